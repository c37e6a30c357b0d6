//! The program as it lies in memory: the one layout that the encoder writes and init reads.
//!
//! ```text
//! BASE ┌──────────────┐
//!      │ Header       │ 16 bytes
//!      ├──────────────┤
//!      │ Instruction  │ 64 bytes each, `Header::count` of them
//!      │ …            │
//!      ├──────────────┤
//!      │ data         │ strings, structures, registers (4 bytes each), addressed absolutely
//!      └──────────────┘
//! ```
//!
//! init is linked at a fixed address and the kernel maps the program at [`BASE`] when it executes init, so every
//! address in the program is final when it is encoded and init has nothing to relocate, load or parse.
//!
//! An init that is born before its program is written is executed with a header that counts no instructions. It receives its program on
//! [`Header::wire`] as one message: the program's length in 8 bytes, then the program, and with the first byte the descriptors that it was
//! not born with (unix(7), `SCM_RIGHTS`). Their numbers are where the program expects them, at [`RECEIVED`].

/// Where the kernel maps the program.
pub const BASE: u64 = 0x1000_0000;

/// How many bytes there are at [`BASE`] for a program that comes later. Only what is used of them takes memory.
pub const ROOM: u64 = 16 << 20;

/// How many bytes of that, at its end, are for the control message which its descriptors come in.
pub const CONTROL: u64 = 4096;

/// The length of a control message's header (cmsg(3)).
pub const CONTROL_HEADER: u64 = 16;

/// Where the first of these descriptors is, in 4 bytes like those that follow.
pub const RECEIVED: u64 = BASE + ROOM - CONTROL + CONTROL_HEADER;

/// The start of every program.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    /// How many instructions follow.
    pub count: u32,
    /// The descriptor that a failure is reported on, as one [`Failure`].
    pub report: i32,
    /// The descriptor that a [`Timing`] is written to after each instruction, or -1.
    pub trace: i32,
    /// Where the program comes, if it is not here yet.
    pub wire: i32,
}

/// One system call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Instruction {
    /// The system call's number.
    pub number: u16,
    /// What counts as success: one of the constants of [`kind`].
    pub kind: u8,
    /// Bit n is set where argument n is not the value itself but the address of the register that holds it.
    pub loads: u8,
    /// Errors that count as success; unused places are 0.
    pub forgiven: [u8; FORGIVEN],
    /// The address of the register that keeps the result, or 0.
    pub keep: u32,
    pub arguments: [u64; 6],
}

/// How many errors one instruction can forgive.
pub const FORGIVEN: usize = 8;

/// What an instruction's result means.
pub mod kind {
    /// The call succeeds, or its error is forgiven.
    pub const CALL: u8 = 0;
    /// The call must return more than 0: a read that waits for a byte must not end because the writer died.
    pub const WAIT: u8 = 1;
    /// A candidate of a search: a forgiven error leads to the next one, but is remembered where it says more than that
    /// the candidate does not exist, so that the search can report it when no candidate is left.
    pub const TRY: u8 = 2;
    /// The call makes a copy of the process, which goes on with the program. The process itself reports the copy, as a
    /// [`Failure`](super::Failure) whose error is minus the copy's process id, and ends.
    pub const FORK: u8 = 3;
    /// The same, but the process itself stays: it passes on signals to the copy, reaps whatever ends, and ends as the copy does.
    pub const STAY: u8 = 4;
}

/// What init writes before it gives up.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Failure {
    /// The instruction's index.
    pub step: u32,
    /// The error's number.
    pub errno: u32,
}

/// What init writes after each instruction of a traced program.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Timing {
    /// The instruction's index.
    pub step: u32,
    pub nanoseconds: u32,
}
