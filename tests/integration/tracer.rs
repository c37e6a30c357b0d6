//! Stops the processes of tinydock at their system calls, and kills one of them at one, or holds it there (ptrace(2)).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What a process is to a container. A child of the command is a monitor, and a child of a monitor is an init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Command,
    /// A thread of a command, which may make the monitor.
    Thread,
    Monitor,
    Init,
    /// In which a command goes on that has ended, or leaves something to.
    Successor,
}

/// Which process to kill, and at which of its system calls, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub role: Role,
    pub call: usize,
}

/// A system call that a process begins.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pid: i32,
    pub number: i64,
    pub arguments: [u64; 6],
}

/// Which process to hold, at the first of its calls that is meant, and until when: it is asked again and again.
pub struct Hold<'a> {
    pub role: Role,
    pub at: &'a dyn Fn(&Call) -> bool,
    pub until: &'a mut dyn FnMut(&Call) -> bool,
}

/// The same for a command that leaves a process which goes on: ends when the command has ended. What it has left is traced as long as
/// this thread lives; [`let_go_on`] lets it go on.
pub fn run_leaving(command: &mut Command, kill: Kill) -> bool {
    let (mut tracer, pid) = Tracer::start(command, &[], Some(kill));
    while let Some((ended, status)) = wait(-1) {
        tracer.handle(ended, status);
        if ended == pid && !libc::WIFSTOPPED(status) {
            break;
        }
    }
    tracer.lets_go = true;
    tracer.let_known_go_on();
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

/// Runs a command until it has ended, and traces it and its children until one of them is held and let go. Returns whether one was held.
pub fn run_holding(command: &mut Command, hold: Hold) -> bool {
    let (mut tracer, _) = Tracer::start(command, &[], None);
    let mut held: Option<Call> = None;
    let mut was_held = false;
    while let Some((pid, status)) = wait_at_most(-1, held.is_some()) {
        if let Some(call) = held.filter(|call| (hold.until)(call)) {
            held = None;
            tracer.lets_go = true;
            tracer.go_on(call.pid, 0);
        }
        if pid == 0 {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let is_call = libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80;
        let call = entered(pid).filter(|_| is_call && !was_held && tracer.roles.get(&pid) == Some(&hold.role));
        match call.filter(|call| (hold.at)(call)) {
            Some(call) => (held, was_held) = (Some(call), true),
            None => tracer.handle(pid, status),
        }
    }
    was_held
}

impl Call {
    /// What a descriptor of the process refers to.
    pub fn file(&self, descriptor: i32) -> PathBuf {
        fs::read_link(format!("/proc/{}/fd/{descriptor}", self.pid)).expect("an open descriptor")
    }

    /// What glibc opens with openat(2), musl opens with the older call: it is the newer one here.
    fn of(pid: i32, number: i64, arguments: [u64; 6]) -> Call {
        let [path, flags, mode, ..] = arguments;
        let (number, arguments) = match number {
            libc::SYS_open => (libc::SYS_openat, [libc::AT_FDCWD as u64, path, flags, mode, 0, 0]),
            number => (number, arguments),
        };
        Call { pid, number, arguments }
    }

    /// An argument that is a path.
    pub fn path(&self, argument: usize) -> String {
        let mut bytes = [0; libc::PATH_MAX as usize];
        let memory = File::open(format!("/proc/{}/mem", self.pid)).expect("open its memory");
        let length = memory.read_at(&mut bytes, self.arguments[argument]).expect("read its memory");
        let path = bytes[..length].split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(path).into()
    }
}

struct Tracer {
    kill: Option<Kill>,
    /// Processes that were there before, and may stay when the command was killed.
    others: Vec<i32>,
    roles: HashMap<i32, Role>,
    /// Processes that have stopped at their birth, of which their parents have not told yet.
    unknown: Vec<i32>,
    /// System calls that the processes of the victim's role have begun.
    calls: usize,
    killed: bool,
    /// Whether each process is let go when it stops the next time.
    lets_go: bool,
}

/// Runs a command, and traces it, its children and `others` until all have ended, or one was killed and the children have
/// ended. Returns whether the system call at which to kill was reached.
pub fn run(command: &mut Command, others: &[(i32, Role)], kill: Kill) -> bool {
    let (mut tracer, _) = Tracer::start(command, others, Some(kill));
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
    fn start(command: &mut Command, others: &[(i32, Role)], kill: Option<Kill>) -> (Tracer, i32) {
        let mut tracer = Tracer {
            kill,
            others: others.iter().map(|(pid, _)| *pid).collect(),
            roles: HashMap::new(),
            unknown: Vec::new(),
            calls: 0,
            killed: false,
            lets_go: false,
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
            // How a new process begins that is traced from its birth. What it is, and counts for, is told by its parent, often later.
            libc::SIGSTOP if !self.roles.contains_key(&pid) => {
                self.unknown.push(pid);
                return self.let_known_go_on();
            }
            libc::SIGSTOP => 0,
            signal => signal,
        };
        self.go_on(pid, signal);
        self.let_known_go_on();
    }

    /// Lets those go on whose parents have told of them, and all if that does not matter any more.
    fn let_known_go_on(&mut self) {
        let is_over = self.killed || self.lets_go;
        let known: Vec<i32> = self
            .unknown
            .extract_if(.., |pid| is_over || self.roles.contains_key(pid))
            .collect();
        known.into_iter().for_each(|pid| self.go_on(pid, 0));
    }

    fn event(&mut self, pid: i32, event: i32) {
        if [libc::PTRACE_EVENT_FORK, libc::PTRACE_EVENT_VFORK, libc::PTRACE_EVENT_CLONE].contains(&event) {
            let mut child: libc::c_ulong = 0;
            let asked = ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut child as usize);
            let role = match self.roles[&pid] {
                Role::Command if event == libc::PTRACE_EVENT_CLONE => Role::Thread,
                // The monitor is not a copy.
                Role::Command if event == libc::PTRACE_EVENT_FORK => Role::Successor,
                Role::Command | Role::Thread => Role::Monitor,
                Role::Monitor | Role::Init => Role::Init,
                Role::Successor => Role::Successor,
            };
            // It fails if the parent was killed in this moment.
            if asked.is_ok() {
                self.roles.entry(child as i32).or_insert(role);
            }
        }
    }

    fn system_call(&mut self, pid: i32) {
        let Some(kill) = self
            .kill
            .filter(|kill| !self.killed && self.roles.get(&pid) == Some(&kill.role))
        else {
            return;
        };
        if entered(pid).is_none() {
            return;
        }
        if self.calls == kill.call {
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
            _ if self.lets_go => libc::PTRACE_DETACH,
            true if self.others.contains(&pid) => libc::PTRACE_DETACH,
            true => libc::PTRACE_CONT,
            false => libc::PTRACE_SYSCALL,
        };
        let _ = ptrace(request, pid, 0, signal as usize);
    }
}

/// What ptrace(2) calls `PTRACE_GET_SYSCALL_INFO`, `PTRACE_SYSCALL_INFO_ENTRY` and a `ptrace_syscall_info` of that kind: libc has them
/// for glibc only.
const GET_SYSCALL_INFO: i64 = 0x420e;
const SYSCALL_INFO_ENTRY: u8 = 1;

#[derive(Default)]
#[repr(C)]
struct Entry {
    op: u8,
    architecture: u32,
    instruction: u64,
    stack: u64,
    number: u64,
    arguments: [u64; 6],
}

/// The system call that a process which is stopped at one begins.
fn entered(pid: i32) -> Option<Call> {
    let mut info = Entry::default();
    ptrace(GET_SYSCALL_INFO, pid, size_of::<Entry>(), &raw mut info as usize).ok()?;
    (info.op == SYSCALL_INFO_ENTRY).then(|| Call::of(pid, info.number as i64, info.arguments))
}

/// Waits for a process that this thread traces. Returns none if there is none.
fn wait(pid: i32) -> Option<(i32, i32)> {
    wait_at_most(pid, false)
}

/// The same, but if it is only to `look`, it does not wait: the number is 0 if nothing has happened.
fn wait_at_most(pid: i32, look: bool) -> Option<(i32, i32)> {
    let mut status = 0;
    let flags = libc::__WALL | libc::__WNOTHREAD | if look { libc::WNOHANG } else { 0 };
    // SAFETY: the pointer is valid. Children of the other threads, which run other tests, are left to them.
    let pid = unsafe { libc::waitpid(pid, &raw mut status, flags) };
    (pid >= 0).then_some((pid, status))
}

fn ptrace(request: impl Into<i64>, pid: i32, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: the requests made here read and write only what `data` points to, and nothing of ours else.
    match unsafe { libc::syscall(libc::SYS_ptrace, request.into(), i64::from(pid), address, data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
