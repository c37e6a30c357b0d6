//! The container's terminal: a pseudoterminal of the container's own `/dev/pts`, whose other end the monitor gets.

use super::KernelMounts;
use crate::program::flags::open;
use crate::program::{Concept, Fd, Input, Program, Register};

/// Writes the steps that open a terminal, send its other end away and show it as `/dev/console`. Returns the terminal.
pub fn open_terminal(program: &mut Program, mounts: &KernelMounts, user: u32) -> Register {
    program.concept(Concept::ProcessIsolation);
    let terminal = pair(program, Fd::Kept(mounts.pts), b"ptmx");
    program.fchown(terminal, user, -1, "the user can open the terminal by its name");
    let console = program.open(
        Fd::Kept(mounts.dev),
        b"console",
        open::CREAT | open::WRONLY,
        "a file to mount it on",
    );
    let tree = program.open_tree(terminal, b"", false, "the terminal by another name");
    program.move_mount_onto(tree, console, "mounted on /dev/console");
    terminal
}

/// Writes the steps that open another terminal of a container that was joined.
pub fn join_terminal(program: &mut Program, user: u32) -> Register {
    let terminal = pair(program, Fd::Cwd, b"/dev/pts/ptmx");
    program.fchown(terminal, user, -1, "the user can open the terminal by its name");
    terminal
}

/// Writes the steps that open a terminal and send its other end to whoever started init.
fn pair(program: &mut Program, directory: Fd, ptmx: &[u8]) -> Register {
    let master = program.open(
        directory,
        ptmx,
        open::RDWR | open::NOCTTY,
        "a new terminal: this is the end that sees what is written",
    );
    pair_terminal(program, master, None)
}

/// Writes the steps that open the other end of a terminal, for the command, and send this one away.
pub fn pair_terminal(program: &mut Program, master: Register, size: Option<(u16, u16)>) -> Register {
    program.unlock_terminal(master, "its other end may be opened");
    if let Some((rows, columns)) = size {
        program.resize_terminal(master, rows, columns, "how large it is");
    }
    let terminal = program.terminal_peer(master, "the end that the command reads and writes");
    program.send_descriptor(
        Input::Console,
        master,
        "what passes between the terminal and the user is carried outside",
    );
    terminal
}
