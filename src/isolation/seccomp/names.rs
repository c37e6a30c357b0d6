//! System calls by name.

use std::collections::HashMap;

/// A call's numbers: 64-bit, 32-bit and x32 (without its bit).
pub type Numbers = [Option<u32>; 3];

const TABLE: &str = include_str!("calls.txt");

/// All calls that are known. A profile may name others, of newer kernels or of other machines.
pub fn all() -> HashMap<&'static str, Numbers> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default();
            (name, [(); 3].map(|()| words.next().and_then(|number| number.parse().ok())))
        })
        .collect()
}

/// What 32-bit programs may use in place of some calls: `socketcall` or `ipc`, whose first argument says which one is meant.
/// `ipc` looks at its lower half only.
pub fn multiplexed(name: &str) -> Option<(&'static str, u64, u64)> {
    let find = |list: &[(u64, &str)]| list.iter().find(|(_, call)| *call == name).map(|(number, _)| *number);
    let socketcall = find(&SOCKETCALL).map(|number| ("socketcall", u32::MAX.into(), number));
    socketcall.or_else(|| find(&IPC).map(|number| ("ipc", 0xffff, number)))
}

/// `linux/net.h`.
const SOCKETCALL: [(u64, &str); 20] = [
    (1, "socket"),
    (2, "bind"),
    (3, "connect"),
    (4, "listen"),
    (5, "accept"),
    (6, "getsockname"),
    (7, "getpeername"),
    (8, "socketpair"),
    (9, "send"),
    (10, "recv"),
    (11, "sendto"),
    (12, "recvfrom"),
    (13, "shutdown"),
    (14, "setsockopt"),
    (15, "getsockopt"),
    (16, "sendmsg"),
    (17, "recvmsg"),
    (18, "accept4"),
    (19, "recvmmsg"),
    (20, "sendmmsg"),
];

/// `linux/ipc.h`.
const IPC: [(u64, &str); 12] = [
    (1, "semop"),
    (2, "semget"),
    (3, "semctl"),
    (4, "semtimedop"),
    (11, "msgsnd"),
    (12, "msgrcv"),
    (13, "msgget"),
    (14, "msgctl"),
    (21, "shmat"),
    (22, "shmdt"),
    (23, "shmget"),
    (24, "shmctl"),
];
