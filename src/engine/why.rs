//! `why`: in words, why a container ended, or what it does now.

use serde::{Deserialize, Serialize};

use super::logs::Stream;
use super::state::{Exit, Lost, Stopped};
use super::{Container, Engine, State};
use crate::error::Result;
use crate::kernel::signal;
use crate::store::read_if_present;

/// How many bytes of memory a container had used at most when the kernel killed for want of it, and how many it might use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub peak: u64,
    pub limit: u64,
}

/// What there is to say about a container.
pub struct Why {
    /// Sentences without a full stop, the most important one first.
    pub sentences: Vec<String>,
    /// The last lines that it has written.
    pub lines: Vec<(Stream, String)>,
}

/// How many lines are shown.
const LINES: u64 = 10;

impl Engine {
    /// Says why a container ended, or what it does.
    pub fn why(&self, container: &Container) -> Result<Why> {
        if matches!(container.state()?, State::Exited(_)) {
            // Whoever cleans up records what is known only now.
            container.wait_until_clean();
        }
        let mut sentences = Vec::new();
        match container.state()? {
            State::Created => sentences.extend(created(container)?),
            State::Running(started) => sentences.push(format!(
                "it runs since {}, as process {} of this host",
                started.at, started.pid
            )),
            State::Paused(started) => sentences.push(format!(
                "it runs since {}, as process {} of this host, and is paused",
                started.at, started.pid
            )),
            State::Restarting(exit) => {
                sentences.push("it is about to be started again".to_string());
                sentences.extend(ended(container, &exit)?);
            }
            State::Exited(exit) => sentences.extend(ended(container, &exit)?),
        }
        let restarts = container.restarts()?.count;
        if restarts > 0 {
            let policy = container.spec.options.restart;
            let times = if restarts == 1 {
                "once".into()
            } else {
                format!("{restarts} times")
            };
            sentences.push(format!(
                "it was started again by itself {times}, since its restart policy is `{policy}`"
            ));
        }
        Ok(Why {
            sentences,
            lines: self
                .last_lines(container, LINES)?
                .into_iter()
                .map(|line| (line.stream, line.log))
                .collect(),
        })
    }
}

fn created(container: &Container) -> Result<Vec<String>> {
    Ok(match container.failure()? {
        None => vec!["it was created and not started yet".into()],
        Some(error) => vec![format!("it could not be started: {}", error.message())],
    })
}

/// How a container ended, and who wanted that.
fn ended(container: &Container, exit: &Exit) -> Result<Vec<String>> {
    if let Some(error) = container.failure()? {
        return Ok(vec![format!("it could not be started again: {}", error.message())]);
    }
    let memory = read_if_present::<Memory>(&container.file("memory"))?;
    let mut sentences = vec![how(exit, memory)];
    sentences.push(format!("that was at {}", exit.finished));
    match container.stopped()? {
        Some(stopped) => sentences.push(wish(&stopped, exit)),
        None if exit.signal != 0 && !exit.oom_killed && exit.lost.is_none() => {
            sentences.push(
                "no command of tinydock sent that signal: it came from the container itself, or from somebody on the host".into(),
            );
        }
        None => {}
    }
    Ok(sentences)
}

fn how(exit: &Exit, memory: Option<Memory>) -> String {
    match (exit.lost, exit.signal) {
        (Some(Lost::Host), _) => "it ended with the host, which went down or was started again".into(),
        (Some(Lost::Monitor), _) => "it was killed with its monitor, the process of tinydock that stays with a container".into(),
        (None, _) if exit.oom_killed => {
            let bytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
            let used = memory.map_or(String::new(), |memory| {
                format!(
                    ": it may use {}, and had used {} at most",
                    bytes(memory.limit),
                    bytes(memory.peak)
                )
            });
            format!(
                "the kernel killed a process of it for want of memory{used}; exit status {}",
                exit.code
            )
        }
        (None, 0) => by_itself(exit.code),
        (None, number) => format!(
            "its command was killed by {}{}; exit status {}",
            signal::name(number),
            meaning(number),
            exit.code
        ),
    }
}

fn by_itself(code: i32) -> String {
    match code {
        0 => "its command ended by itself, with exit status 0: all was well".into(),
        126 => "its command ended with exit status 126, by which a shell says that a file could not be executed".into(),
        127 => "its command ended with exit status 127, by which a shell says that it did not find a command".into(),
        129..=192 => {
            let signal = signal::name(code - 128);
            format!("its command ended with exit status {code}, by which programs say that {signal} ended them")
        }
        code => format!("its command ended by itself, with exit status {code}: it failed"),
    }
}

/// What a signal means that programs get for what they do.
fn meaning(number: i32) -> &'static str {
    match number {
        libc::SIGSEGV | libc::SIGBUS => " (it used memory that it has not got: a bug of the program)",
        libc::SIGILL => " (it executed what is no instruction of this processor)",
        libc::SIGFPE => " (it divided by zero)",
        libc::SIGABRT => " (it gave up by itself)",
        libc::SIGPIPE => " (nobody read what it wrote)",
        libc::SIGSYS => " (it made a system call that its filter refuses)",
        libc::SIGXCPU => " (it used more processor time than its limit)",
        _ => "",
    }
}

fn wish(stopped: &Stopped, exit: &Exit) -> String {
    let asked = format!(
        "`tinydock {}` sent it {} at {}",
        stopped.by,
        signal::name(stopped.signal),
        stopped.at
    );
    if exit.signal == libc::SIGKILL && stopped.signal != libc::SIGKILL {
        return format!("{asked}; since it did not end in time, it was killed");
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32, signal: i32) -> Exit {
        Exit {
            code,
            signal,
            lost: None,
            ..Exit::lost(Lost::Host)
        }
    }

    #[test]
    fn ends_are_told_in_words() {
        let memory = Some(Memory {
            peak: 8 << 20,
            limit: 8 << 20,
        });
        let starved = Exit {
            oom_killed: true,
            ..exit(137, 9)
        };
        for (exit, memory, part) in [
            (exit(0, 0), None, "all was well"),
            (exit(3, 0), None, "status 3"),
            (exit(127, 0), None, "did not find a command"),
            (exit(143, 0), None, "SIGTERM"),
            (exit(139, 11), None, "killed by SIGSEGV (it used memory"),
            (exit(162, 34), None, "signal 34"),
            (starved.clone(), memory, "may use 8.0 MiB, and had used 8.0 MiB"),
            (starved, None, "for want of memory; exit status 137"),
            (Exit::lost(Lost::Monitor), None, "with its monitor"),
            (Exit::lost(Lost::Host), None, "with the host"),
        ] {
            let told = how(&exit, memory);
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn who_wanted_it_is_told() {
        let stopped = |signal| Stopped {
            by: "stop".into(),
            signal,
            at: "now".into(),
        };
        assert_eq!(wish(&stopped(15), &exit(143, 15)), "`tinydock stop` sent it SIGTERM at now");
        assert!(wish(&stopped(15), &exit(137, 9)).ends_with("since it did not end in time, it was killed"));
        assert!(!wish(&stopped(9), &exit(137, 9)).contains("in time"));
    }
}
