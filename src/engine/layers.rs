//! Doing the same with many layers: several at once, all stopped by the first that fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};

/// More connections make a registry slower, or unfriendly.
const MOST: usize = 6;

/// Does `act` with each item, several at a time, and returns the results in the items' order. After the first error, which is the
/// one that is returned, nothing new is begun, and `stop` is called to end what has been.
pub fn at_once<I: Sync, T: Send>(items: &[I], act: impl Fn(&I) -> Result<T> + Sync, stop: impl Fn() + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let work = || {
        let mut done = Vec::new();
        while failure.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(n) else { break };
            match act(item) {
                Ok(result) => done.push((n, result)),
                Err(error) => {
                    // Those who are stopped by it fail as well, but later.
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    stop();
                }
            }
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..items.len().min(MOST)).map(|_| scope.spawn(work)).collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| Error::system("a thread panicked")));
        joined.collect::<Result<Vec<_>>>()
    })?;
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut results: Vec<(usize, T)> = done.drain(..).flatten().collect();
    results.sort_by_key(|(n, _)| *n);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order() {
        let items: Vec<u32> = (0..50).collect();
        assert_eq!(
            at_once(&items, |n| Ok(n * 2), || ()).unwrap(),
            (0..100).step_by(2).collect::<Vec<_>>()
        );
        assert!(at_once(&[0; 0], |n: &u8| Ok(*n), || ()).unwrap().is_empty());
    }

    #[test]
    fn the_first_error_ends_it() {
        let (begun, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<u32> = (0..1000).collect();
        let act = |n: &u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *n == 3 {
                Err(Error::system("three"))
            } else {
                thread::sleep(std::time::Duration::from_millis(2));
                Ok(())
            }
        };
        let error = at_once(&items, act, || _ = stopped.fetch_add(1, Ordering::Relaxed)).unwrap_err();
        assert_eq!(error.to_string(), "three");
        assert_eq!(stopped.into_inner(), 1);
        assert!(begun.into_inner() < 100);
    }
}
