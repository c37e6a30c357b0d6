//! Stops the processes of tinydock at their system calls, and kills one of them at one (ptrace(2)).

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What a process is to a container. A child of the command is a monitor, and a child of a monitor is an init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Command,
    Monitor,
    Init,
}

/// Which process to kill, and at which of its system calls, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub role: Role,
    pub call: usize,
}

/// The same for a command that leaves a process which goes on: ends when the command has ended. What it has left is traced as long as
/// this thread lives; [`let_go_on`] lets it go on.
pub fn run_leaving(command: &mut Command, kill: Kill) -> bool {
    let (mut tracer, pid) = Tracer::start(command, &[], kill);
    while let Some((ended, status)) = wait(-1) {
        tracer.handle(ended, status);
        if ended == pid && !libc::WIFSTOPPED(status) {
            break;
        }
    }
    let_go_on();
    tracer.killed
}

/// Lets processes go on that this thread traces and that have stopped.
pub fn let_go_on() {
    let mut status = 0;
    // SAFETY: the pointer is valid.
    while let pid @ 1.. = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG) } {
        if libc::WIFSTOPPED(status) {
            let _ = ptrace(libc::PTRACE_CONT, pid, 0, 0);
        }
    }
}

struct Tracer {
    kill: Kill,
    /// Processes that were there before, and may stay when the command was killed.
    others: Vec<i32>,
    roles: HashMap<i32, Role>,
    /// System calls that the processes of the victim's role have begun.
    calls: usize,
    killed: bool,
}

/// Runs a command, and traces it, its children and `others` until all have ended, or one was killed and the children have
/// ended. Returns whether the system call at which to kill was reached.
pub fn run(command: &mut Command, others: &[(i32, Role)], kill: Kill) -> bool {
    let (mut tracer, _) = Tracer::start(command, others, kill);
    while let Some((pid, status)) = wait(-1) {
        tracer.handle(pid, status);
    }
    tracer.killed
}

const OPTIONS: usize = (libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL) as usize;

impl Tracer {
    /// Starts a command, and lets it and the others go on to their first system call. Returns the command's process.
    fn start(command: &mut Command, others: &[(i32, Role)], kill: Kill) -> (Tracer, i32) {
        let mut tracer = Tracer {
            kill,
            others: others.iter().map(|(pid, _)| *pid).collect(),
            roles: HashMap::new(),
            calls: 0,
            killed: false,
        };
        // SAFETY: the closure makes one system call.
        unsafe { command.pre_exec(|| ptrace(libc::PTRACE_TRACEME, 0, 0, 0)) };
        // It is stopped when it has executed; nobody but us waits for it.
        #[expect(clippy::zombie_processes, reason = "it is waited for like all that are traced")]
        let child = command.spawn().expect("start tinydock");
        let pid = child.id() as i32;
        tracer.roles.insert(pid, Role::Command);
        wait(pid);
        ptrace(libc::PTRACE_SETOPTIONS, pid, 0, OPTIONS).expect("set the options");
        for (other, role) in others {
            tracer.roles.insert(*other, *role);
            ptrace(libc::PTRACE_SEIZE, *other, 0, OPTIONS).expect("trace a process");
            ptrace(libc::PTRACE_INTERRUPT, *other, 0, 0).expect("stop a process");
        }
        tracer.go_on(pid, 0);
        (tracer, pid)
    }

    fn handle(&mut self, pid: i32, status: i32) {
        if !libc::WIFSTOPPED(status) {
            return;
        }
        let signal = match libc::WSTOPSIG(status) {
            stop if stop == libc::SIGTRAP | 0x80 => {
                self.system_call(pid);
                0
            }
            _ if status >> 16 != 0 => {
                self.event(pid, status >> 16);
                0
            }
            // How a new process begins that is traced from its birth.
            libc::SIGSTOP => 0,
            signal => signal,
        };
        self.go_on(pid, signal);
    }

    fn event(&mut self, pid: i32, event: i32) {
        if [libc::PTRACE_EVENT_FORK, libc::PTRACE_EVENT_VFORK, libc::PTRACE_EVENT_CLONE].contains(&event) {
            let mut child: libc::c_ulong = 0;
            let asked = ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut child as usize);
            let role = match self.roles[&pid] {
                Role::Command => Role::Monitor,
                Role::Monitor | Role::Init => Role::Init,
            };
            // It fails if the parent was killed in this moment.
            if asked.is_ok() {
                self.roles.entry(child as i32).or_insert(role);
            }
        }
    }

    fn system_call(&mut self, pid: i32) {
        if self.killed || self.roles.get(&pid) != Some(&self.kill.role) || !is_entry(pid) {
            return;
        }
        if self.calls == self.kill.call {
            self.killed = true;
            // SAFETY: the process is stopped, so its number is still its own.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            for other in &self.others {
                // One that has ended cannot be stopped.
                let _ = ptrace(libc::PTRACE_INTERRUPT, *other, 0, 0);
            }
        }
        self.calls += 1;
    }

    /// Lets a process go on, to its next system call as long as one is to be found. It may have been killed meanwhile.
    fn go_on(&self, pid: i32, signal: i32) {
        let request = match self.killed {
            true if self.others.contains(&pid) => libc::PTRACE_DETACH,
            true => libc::PTRACE_CONT,
            false => libc::PTRACE_SYSCALL,
        };
        let _ = ptrace(request, pid, 0, signal as usize);
    }
}

/// Whether a process that is stopped at a system call begins it.
fn is_entry(pid: i32) -> bool {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    let asked = ptrace(
        libc::PTRACE_GET_SYSCALL_INFO,
        pid,
        size_of::<libc::ptrace_syscall_info>(),
        info.as_mut_ptr() as usize,
    );
    // SAFETY: zeroes are a valid value of plain numbers, whether the kernel has filled them or not.
    asked.is_ok() && unsafe { info.assume_init() }.op == libc::PTRACE_SYSCALL_INFO_ENTRY
}

/// Waits for a process that this thread traces. Returns none if there is none.
fn wait(pid: i32) -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the pointer is valid. Children of the other threads, which run other tests, are left to them.
    let pid = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    (pid > 0).then_some((pid, status))
}

fn ptrace(request: libc::c_uint, pid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: the requests made here read and write only what `data` points to, and nothing of ours else.
    match unsafe { libc::ptrace(request, pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
