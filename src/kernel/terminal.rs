//! The user's terminal and the other ends of containers' terminals.

use std::io;
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// A terminal in raw mode: what is typed arrives at once and as it is. Its mode is restored when this is dropped.
pub struct Raw<T: AsFd> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> Raw<T> {
    /// Puts a terminal into raw mode.
    pub fn enter(terminal: T) -> io::Result<Raw<T>> {
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Raw { terminal, before })
    }
}

impl<T: AsFd> Drop for Raw<T> {
    fn drop(&mut self) {
        // Only a terminal that is gone cannot be restored.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// A terminal that does not show what is typed, until this is dropped.
pub struct Silent<T: AsFd> {
    _restored: Raw<T>,
}

impl<T: AsFd> Silent<T> {
    pub fn enter(terminal: T) -> io::Result<Silent<T>> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Silent {
            _restored: Raw { terminal, before },
        })
    }
}

/// Whether a descriptor is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    isatty(fd)
}

/// A terminal's rows and columns.
pub fn size(terminal: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(terminal).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Sets a terminal's rows and columns; the processes on it are told.
pub fn resize(terminal: impl AsFd, (rows, columns): (u16, u16)) -> io::Result<()> {
    Ok(tcsetwinsize(
        terminal,
        Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?)
}
