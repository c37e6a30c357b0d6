//! Leaving a container to a process that is there and can clean up: that is sooner done than by a program that is executed for it.

use crate::clients::Clients;
use crate::protocol::{Given, tell};
use crate::sys;

/// Ends if a client cleans up that was told the end. The lock is its own then, at no time nobody's.
pub fn to_client(given: &Given, clients: &Clients) {
    let Some(client) = clients.who_cleans() else {
        return;
    };
    // Ports are reserved by sockets, which close before the lock says that the container is gone.
    sys::close_all_but([given.lock, given.mounts, client, -1, -1]);
    sys::send_with(client, &[tell::LOCK], given.lock);
    sys::exit(0);
}

/// Ends if somebody removes the container, with its mounts as the last thing: taking down a writable overlay writes out what the
/// disk's file system has in memory, which nobody needs to wait for.
pub fn to_remover(given: &Given) {
    let Some(removing) = sys::open(given.run, c"removing") else {
        return;
    };
    if !sys::is_locked(removing) {
        return;
    }
    // Ports are reserved by sockets, which close before the lock says that the container is gone.
    sys::close_all_but([given.lock, given.mounts, given.run, given.program, removing]);
    sys::close(given.lock);
    sys::wait_unlocked(removing);
    // Whoever has come so far has removed the file. If it is there, they were killed.
    if sys::open(given.run, c"removing").is_some() {
        sys::become_program(given.program, given.abandoned, given.environment);
    }
    sys::exit(0);
}
