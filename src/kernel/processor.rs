//! Threads for work that is short, and is to be done while this thread does something else.

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// As large as Rust's threads have it: a process may go on in the place of such a thread. Only what is used takes memory.
const STACK: usize = 2 << 20;

/// Work that a thread does. The thread has ended when this is gone: whoever forks next must be the only one.
pub struct Elsewhere<T>(Option<JoinHandle<T>>);

impl<T: Send + 'static> Elsewhere<T> {
    /// Begins it on another processor than this thread's, if there is one.
    pub fn begin(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Elsewhere<T>> {
        let (here, all) = (sched_getcpu(), sched_getaffinity(None));
        let is_moved = Arc::new(AtomicBool::new(false));
        let was_moved = is_moved.clone();
        let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
            let _ = all.and_then(|all| make_way(here, &all, &was_moved));
            work()
        })?;
        is_moved.store(true, Ordering::SeqCst);
        // Where that fails, it only takes longer.
        let _ = all.map(|all| move_from(here, &all, &thread));
        Ok(Elsewhere(Some(thread)))
    }

    /// Waits until it is done.
    pub fn finish(mut self) -> T {
        let thread = self.0.take().expect("it is finished once");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<T> Drop for Elsewhere<T> {
    fn drop(&mut self) {
        self.0.take().map(JoinHandle::join);
    }
}

/// On which processors a thread may run.
pub struct Processors(CpuSet);

impl Processors {
    /// This thread's.
    pub fn ours() -> io::Result<Processors> {
        Ok(Processors(sched_getaffinity(None)?))
    }

    /// Has this thread run on any of them.
    pub fn use_all(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.0)?)
    }
}

/// Has a process that is about to be woken run on the processor that this thread is about to leave, and on no other one until it says
/// otherwise. Where it ran last, the kernel would put it in front of what runs there now.
pub fn bring_here(process: Pid) -> io::Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    Ok(sched_setaffinity(Some(process), &here)?)
}

/// Moves this thread to another processor of `all` if it has begun instead of the one that is about to move it. On which it may run is
/// not asked here: while it is moved, that is not all of them.
fn make_way(here: usize, all: &CpuSet, was_moved: &AtomicBool) -> rustix::io::Result<()> {
    if was_moved.load(Ordering::SeqCst) || sched_getcpu() != here {
        return Ok(());
    }
    let mut others = *all;
    others.unset(here);
    sched_setaffinity(None, &others)?;
    // Who has not moved it yet will, and lets it run everywhere then.
    if was_moved.load(Ordering::SeqCst) {
        sched_setaffinity(None, all)?;
    }
    Ok(())
}

/// Moves a thread from a processor to another one of `all`, if there is one. It may run on all of them afterwards. The kernel often
/// leaves one that was just begun on the queue of the processor where that was done until whoever did it waits for something, although
/// another processor is idle.
fn move_from<T>(here: usize, all: &CpuSet, thread: &JoinHandle<T>) -> io::Result<()> {
    let mut others = *all;
    others.unset(here);
    if others.count() == 0 {
        return Ok(());
    }
    // Where it goes from there is the kernel's to say.
    allow(thread, &others)?;
    allow(thread, all)
}

fn allow<T>(thread: &JoinHandle<T>, processors: &CpuSet) -> io::Result<()> {
    let set: *const CpuSet = processors;
    // SAFETY: a thread whose handle is there can be named, and the set is one of the size that is told.
    match unsafe { libc::pthread_setaffinity_np(thread.as_pthread_t() as libc::pthread_t, size_of::<CpuSet>(), set.cast()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use rustix::thread::gettid;

    use super::*;

    #[test]
    fn a_thread_that_was_moved_may_run_everywhere_again() {
        let (go, wait) = channel();
        let begun = Elsewhere::begin(move || wait.recv().map(|()| sched_getaffinity(None).unwrap())).unwrap();
        go.send(()).unwrap();
        assert!(begun.finish().unwrap() == sched_getaffinity(None).unwrap());
    }

    #[test]
    fn who_is_brought_here_may_go_again() {
        let (go, wait) = channel();
        let (tell, told) = channel();
        let all = Processors::ours().unwrap();
        let thread = thread::spawn(move || {
            tell.send(gettid()).unwrap();
            wait.recv().unwrap();
            let brought = sched_getaffinity(None).unwrap();
            all.use_all().unwrap();
            (brought.count(), sched_getaffinity(None).unwrap())
        });
        bring_here(told.recv().unwrap()).unwrap();
        go.send(()).unwrap();
        let (brought, free) = thread.join().unwrap();
        assert_eq!(brought, 1);
        assert!(free == sched_getaffinity(None).unwrap());
    }

    fn only(processor: usize) -> CpuSet {
        let mut set = CpuSet::new();
        set.set(processor);
        set
    }

    /// Whether a busy thread that is kept on a processor is found on another one once it was moved.
    fn leaves(here: usize, all: &CpuSet) -> bool {
        let (is_here, was_moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (tell, ask) = (is_here.clone(), was_moved.clone());
        let thread = thread::spawn(move || {
            while !ask.load(Ordering::SeqCst) {
                tell.fetch_or(sched_getcpu() == here, Ordering::SeqCst);
            }
            sched_getcpu() != here
        });
        allow(&thread, &only(here)).unwrap();
        while !is_here.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        move_from(here, all, &thread).unwrap();
        was_moved.store(true, Ordering::SeqCst);
        thread.join().unwrap()
    }

    #[test]
    fn a_thread_is_moved_if_there_is_another_processor() {
        let (here, all) = (sched_getcpu(), sched_getaffinity(None).unwrap());
        if all.count() == 1 {
            return assert!(!leaves(here, &all));
        }
        // The kernel may bring it back, the more often the busier the other processors are, but not forever.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !leaves(here, &all) {
            assert!(Instant::now() < deadline, "it is brought back each time");
        }
    }

    #[test]
    fn a_thread_runs_where_there_is_no_other_processor() {
        let alone = thread::spawn(|| {
            let here = sched_getcpu();
            sched_setaffinity(None, &only(here)).unwrap();
            (Elsewhere::begin(sched_getcpu).unwrap().finish(), here)
        });
        let (there, here) = alone.join().unwrap();
        assert_eq!(there, here);
    }
}
