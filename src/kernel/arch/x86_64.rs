//! What must be written in the machine's own language: of two processes that share their memory and their stack, one is suspended, or
//! may touch neither and goes from the clone to execveat, or to its end, without a memory access in between.

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::ptr;

/// Clones with `arguments` (clone3(2)) and executes `image` in the child. Returns what clone3 returned: the child's pid,
/// or a negated error number. A child that cannot execute exits with the error's number.
///
/// # Safety
/// `arguments` must ask for `CLONE_VM` and `CLONE_VFORK` without a stack; `argv` and `envp` must be NULL-terminated.
pub unsafe fn clone_and_execute(
    arguments: &libc::clone_args,
    image: i32,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
) -> isize {
    let result: isize;
    // SAFETY: the parent is suspended until the child has executed or exited, and the child uses only registers, all of
    // which the kernel keeps but rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, r9",
            "mov rsi, r12",
            "mov eax, {execveat}",
            "syscall",
            "mov edi, eax",
            "neg edi",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            execveat = const libc::SYS_execveat,
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") arguments,
            in("rsi") size_of::<libc::clone_args>(),
            in("rdx") argv,
            in("r10") envp,
            in("r8") libc::AT_EMPTY_PATH as usize,
            in("r9") image as usize,
            in("r12") c"".as_ptr(),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Clones with `flags` and `child_tid` (clone(2)) into a child that calls a function, with a stack that ends at `stack`. Returns the child's
/// pid, or a negated error number. musl's function does not allow all flags.
///
/// # Safety
/// The function must not return, and nobody else may use the stack. It may be NULL with `CLONE_VM` and `CLONE_VFORK`: then it is ours, below
/// what is in use.
pub unsafe fn clone_and_call(
    flags: c_int,
    stack: *mut c_void,
    child_tid: *mut u32,
    function: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> isize {
    let result: isize;
    // SAFETY: what the child pushes is below its stack pointer, which is aligned for it here. If that is ours, we are suspended until it
    // does not use our memory any more, and the kernel keeps it like every other register but rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "and rsp, -16",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags as usize,
            in("rsi") stack,
            in("rdx") ptr::null::<u8>(),
            in("r10") child_tid,
            in("r8") 0,
            in("r12") argument,
            in("r13") function,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Clones into a child that goes on with our memory, our stack and our descriptors, and ends this process with `code`. Returns in the
/// child, or a negated error number.
///
/// # Safety
/// There must be no other thread.
pub unsafe fn clone_and_exit(code: u8) -> isize {
    let result: isize;
    // SAFETY: the parent uses only registers from here on, all of which the kernel keeps but rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jle 2f",
            "mov edi, r9d",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit_group,
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") libc::CLONE_VM | libc::SIGCHLD,
            in("rsi") ptr::null::<u8>(),
            in("rdx") ptr::null::<u8>(),
            in("r10") ptr::null::<u8>(),
            in("r8") 0,
            in("r9") u64::from(code),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}
