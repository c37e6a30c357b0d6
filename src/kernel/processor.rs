//! Which processor a thread of ours runs on.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu};

/// Moves a thread that was just begun to another processor than this thread's, if there is one. The kernel often leaves it on this
/// one's queue until this thread waits for something, although another processor is idle.
pub fn move_elsewhere<T>(thread: &JoinHandle<T>) -> io::Result<()> {
    let all = sched_getaffinity(None)?;
    let here = sched_getcpu();
    let mut others = all;
    others.unset(here);
    if others.count() == 0 {
        return Ok(());
    }
    // Where it goes from there is the kernel's to say.
    allow(thread, &others)?;
    allow(thread, &all)
}

fn allow<T>(thread: &JoinHandle<T>, processors: &CpuSet) -> io::Result<()> {
    let set: *const CpuSet = processors;
    // SAFETY: a thread whose handle is there can be named, and the set is one of the size that is told.
    match unsafe { libc::pthread_setaffinity_np(thread.as_pthread_t(), size_of::<CpuSet>(), set.cast()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_was_moved_may_run_everywhere_again() {
        let (go, wait) = channel();
        let begun = thread::spawn(move || wait.recv().map(|()| sched_getaffinity(None).unwrap()));
        move_elsewhere(&begun).unwrap();
        go.send(()).unwrap();
        assert!(begun.join().unwrap().unwrap() == sched_getaffinity(None).unwrap());
    }
}
