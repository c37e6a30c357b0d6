//! What the monitor is given when it is executed, and what passes between it and its clients. The engine and the monitor
//! both include this file.
//!
//! A client is whoever is attached to a container: a connection of sequenced packets, each one message. The first byte says
//! what it is, the rest is its content. The first message of a client is [`ask::ATTACH`]. All clients are told the end.

/// How many bytes are set aside for the record of the end, so that a container that ends because the disk is full has one.
pub const EXIT_RECORD: usize = 160;

/// Messages of the monitor: bytes that the container wrote, or the end.
pub mod tell {
    pub const STDOUT: u8 = b'o';
    pub const STDERR: u8 = b'e';
    /// The client that cleans up has the container's lock, which comes with this.
    pub const LOCK: u8 = b'l';
    /// The container ended; 4 bytes follow, its exit code in native order.
    pub const EXIT: u8 = b'x';
}

/// Messages of a client.
pub mod ask {
    /// What the client wants: one byte of [`super::want`]. Somebody who only waits for the end wants nothing.
    pub const ATTACH: u8 = b'a';
    /// Bytes for the container's standard input.
    pub const INPUT: u8 = b'i';
    /// There will be no more input of this client.
    pub const END: u8 = b'd';
    /// The terminal's size changed; rows and columns follow, 2 bytes each in native order.
    pub const RESIZE: u8 = b'r';
    /// The client cleans up after the container, of which it has been told the end.
    pub const CLEAN: u8 = b'c';
}

/// What a client wants.
pub mod want {
    /// To write to the container's standard input.
    pub const INPUT: u8 = 1;
    pub const STDOUT: u8 = 2;
    pub const STDERR: u8 = 4;
}

/// The longest message, with its first byte.
pub const MESSAGE: usize = 8 << 10;

/// What the monitor works with: descriptors that it inherits, or -1, and what it becomes in the end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
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
    /// The container's directory, where the exit record is written, and where the log is: `log`, and what was written before
    /// in `log.1`, `log.2` and so on.
    pub directory: i32,
    /// The record of the end, `.exit.new` in that directory: [`EXIT_RECORD`] spaces so far.
    pub exit: i32,
    /// The file that counts kills for want of memory, in a line `oom_kill N`.
    pub oom: i32,
    /// The executable that cleans up.
    pub program: i32,
    /// The container's run directory, and its lock.
    pub run: i32,
    pub lock: i32,
    /// The container's mounts, which end with the last who refers to them.
    pub mounts: i32,
    /// Whether the container's input ends when that of a client does, or when a client leaves that writes to it.
    pub input_once: u32,
    /// Whether the client that is there from the start cleans up, if it is still there.
    pub cleans: u32,
    /// How many files the log has at most.
    pub log_files: u64,
    /// How long each may become, or 0 if that does not matter, and how long the current one is.
    pub log_limit: u64,
    pub log_size: u64,
    /// Whether it ends within a line.
    pub log_torn: u64,
    /// What each line has besides: `"attrs":{…},`, or nothing. Its address and its length.
    pub attributes: u64,
    pub attributes_length: u64,
    /// The addresses of that executable's arguments and environment.
    pub arguments: u64,
    /// The arguments with which it cleans up after a container that nobody is responsible for.
    pub abandoned: u64,
    pub environment: u64,
}
