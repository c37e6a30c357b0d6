//! What the monitor is given when it is executed, and what passes between it and its clients. The engine and the monitor
//! both include this file.
//!
//! A client is whoever is attached to a container: a connection of sequenced packets, each one message. The first byte says
//! what it is, the rest is its content.

/// Messages of the monitor: bytes that the container wrote, or the end.
pub mod tell {
    pub const STDOUT: u8 = b'o';
    pub const STDERR: u8 = b'e';
    /// The container ended; 4 bytes follow, its exit code in native order.
    pub const EXIT: u8 = b'x';
}

/// Messages of a client.
pub mod ask {
    /// Bytes for the container's standard input.
    pub const INPUT: u8 = b'i';
    /// There will be no more input.
    pub const END: u8 = b'd';
    /// The terminal's size changed; rows and columns follow, 2 bytes each in native order.
    pub const RESIZE: u8 = b'r';
}

/// The longest message, with its first byte.
pub const MESSAGE: usize = 8 << 10;

/// What the monitor works with: descriptors that it inherits, or -1, and what it becomes in the end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Given {
    /// The container's init, a child of the monitor.
    pub init: i32,
    /// Where clients connect.
    pub listener: i32,
    /// The client that is there from the start.
    pub client: i32,
    /// The other end of the container's terminal.
    pub terminal: i32,
    /// The other ends of its standard streams, where it has no terminal. All are non-blocking.
    pub stdin: i32,
    pub stdout: i32,
    pub stderr: i32,
    /// The log, open for appending.
    pub log: i32,
    /// The container's directory, where the exit record is written.
    pub directory: i32,
    /// The record of the end, `.exit.new` in that directory, empty so far.
    pub exit: i32,
    /// The file that counts kills for want of memory, in a line `oom_kill N`.
    pub oom: i32,
    /// The executable that cleans up.
    pub program: i32,
    /// Whether the container's input ends when the first client leaves.
    pub input_once: u32,
    pub reserved: u32,
    /// The addresses of that executable's arguments and environment.
    pub arguments: u64,
    pub environment: u64,
}
