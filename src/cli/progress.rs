//! How the layers of an image get on: a line for each that is kept up to date on a terminal, and elsewhere a line for each step.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::table::bytes;
use crate::engine::Step;
use crate::kernel::terminal;
use crate::store::Digest;

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Stdout,
    Stderr,
    Nowhere,
}

/// What is done with layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Pulling,
    Pushing,
}

/// The layers of one image.
pub struct Display {
    place: Place,
    doing: Doing,
    /// The rows and columns of the terminal, if it is one.
    size: Option<(u16, u16)>,
    lines: Mutex<Vec<Line>>,
}

struct Line {
    layer: Digest,
    drawn: Instant,
}

/// How often a moving line is drawn at most.
const PACE: Duration = Duration::from_millis(100);
/// How many digits of a layer's digest are shown.
const SHORT: usize = 12;

impl Display {
    pub fn new(place: Place, doing: Doing) -> Display {
        let size = match place {
            Place::Stdout => terminal::size(io::stdout()),
            Place::Stderr => terminal::size(io::stderr()),
            Place::Nowhere => None,
        };
        Display {
            place,
            doing,
            size,
            lines: Mutex::default(),
        }
    }

    /// Shows a line of its own. That nobody reads it must not end what is being done.
    pub fn say(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// Shows that a layer has got on.
    pub fn show(&self, layer: &Digest, step: Step) {
        if self.place == Place::Nowhere {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &layer.hex()[..SHORT];
        let Some((rows, columns)) = self.size else {
            if let Some(text) = self.words(step).filter(|_| !matches!(step, Step::Moving(..))) {
                self.write(&format!("{name}: {text}\n"));
            }
            return;
        };
        let text = match step {
            Step::Moving(done, total) => bar(self.words(step).unwrap_or_default(), done, total, columns),
            step => self.words(step).unwrap_or_default().to_string(),
        };
        let Some(at) = lines.iter().position(|line| line.layer == *layer) else {
            lines.push(Line {
                layer: layer.clone(),
                drawn: Instant::now(),
            });
            return self.write(&format!("{name}: {text}\n"));
        };
        if matches!(step, Step::Moving(..)) && lines[at].drawn.elapsed() < PACE {
            return;
        }
        lines[at].drawn = Instant::now();
        let up = lines.len() - at;
        // What has left the screen cannot be drawn again.
        if up < usize::from(rows) {
            self.write(&format!("\x1b[{up}A\r\x1b[2K{name}: {text}\x1b[{up}B\r"));
        }
    }

    fn words(&self, step: Step) -> Option<&'static str> {
        Some(match (self.doing, step) {
            (Doing::Pulling, Step::Waiting) => "Pulling fs layer",
            (Doing::Pulling, Step::Exists) => "Already exists",
            (Doing::Pulling, Step::Moving(..)) => "Downloading",
            (Doing::Pulling, Step::Received) => "Download complete",
            (Doing::Pulling, Step::Done | Step::Mounted) => "Pull complete",
            (Doing::Pushing, Step::Waiting) => "Preparing",
            (Doing::Pushing, Step::Exists) => "Layer already exists",
            (Doing::Pushing, Step::Moving(..)) => "Pushing",
            (Doing::Pushing, Step::Received) => return None,
            (Doing::Pushing, Step::Mounted) => "Mounted from another repository",
            (Doing::Pushing, Step::Done) => "Pushed",
        })
    }

    fn write(&self, text: &str) {
        let _ = match self.place {
            Place::Stdout => io::stdout().lock().write_all(text.as_bytes()),
            Place::Stderr => io::stderr().lock().write_all(text.as_bytes()),
            Place::Nowhere => Ok(()),
        };
    }
}

/// A bar with what it stands for, in as many columns as there are.
fn bar(word: &str, done: u64, total: u64, columns: u16) -> String {
    let numbers = format!("{}/{}", bytes(done), bytes(total));
    let taken = SHORT + word.len() + numbers.len() + 7;
    let width = usize::from(columns).saturating_sub(taken).min(50);
    if width < 5 {
        return format!("{word} {numbers}");
    }
    let filled = (done.min(total) as u128 * width as u128 / u128::from(total.max(1))) as usize;
    let head = if filled < width { ">" } else { "" };
    let rest = " ".repeat(width - filled - head.len());
    format!("{word} [{}{head}{rest}] {numbers}", "=".repeat(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fits_its_line() {
        for columns in [0, 20, 40, 60, 80, 200] {
            for done in [0, 1, 500, 999, 1000] {
                let bar = bar("Downloading", done, 1000, columns);
                assert!(bar.len() + SHORT + 2 < usize::from(columns).max(45), "{bar}");
            }
        }
        assert_eq!(bar("Pushing", 500, 1000, 60), "Pushing [===========>           ] 500B/1.00kB");
    }
}
