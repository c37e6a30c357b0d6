//! Everything of the freestanding programs that is particular to x86-64: how they are entered, how they call the kernel,
//! and the numbers of the calls they make by themselves. Another architecture is another file like this one.

use core::arch::{asm, global_asm};

// The kernel enters with the stack pointer at argc; the ABI wants it aligned to 16 bytes at a call.
global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call enter",
    "ud2",
);

/// The numbers of the calls that the freestanding programs make by themselves; each of them makes some.
#[allow(dead_code)]
mod numbers {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const POLL: usize = 7;
    pub const RT_SIGACTION: usize = 13;
    pub const IOCTL: usize = 16;
    pub const KILL: usize = 62;
    pub const WAIT4: usize = 61;
    pub const FCNTL: usize = 72;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const CLOSE_RANGE: usize = 436;
    pub const PREAD64: usize = 17;
    pub const SENDTO: usize = 44;
    pub const SENDMSG: usize = 46;
    pub const RECVFROM: usize = 45;
    pub const RECVMSG: usize = 47;
    pub const SHUTDOWN: usize = 48;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const WAITID: usize = 247;
    pub const OPENAT: usize = 257;
    pub const SCHED_YIELD: usize = 24;
    pub const RENAMEAT: usize = 264;
    pub const ACCEPT4: usize = 288;
    pub const EXECVEAT: usize = 322;
}
#[allow(unused_imports)]
pub use numbers::*;

/// Makes a system call; a result in -4095..0 is a negated error number.
///
/// # Safety
/// The arguments must be valid for the call.
pub unsafe fn syscall(number: usize, a: [u64; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers rcx and r11 and keeps every other register.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

// The compiler may emit calls to these, and there is no C library to provide them.
global_asm!(
    ".section .text.memory, \"ax\"",
    ".global memcpy, memmove, memset, memcmp",
    "memmove:",
    "cmp rdi, rsi",
    "jbe memcpy",
    "mov rax, rdi",
    "mov rcx, rdx",
    "lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "memcmp:",
    "xor eax, eax",
    "mov rcx, rdx",
    "test rcx, rcx",
    "jz 2f",
    "repe cmpsb",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub eax, ecx",
    "2:",
    "ret",
);
