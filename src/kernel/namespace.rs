//! Network namespaces that a thread of ours makes for others.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// Makes one, and moves this thread there. The namespace lasts as long as somebody is in it or refers to it.
pub fn unshare_network() -> io::Result<OwnedFd> {
    unshare()?;
    here()
}

/// Makes one, does something there, and comes back.
pub fn in_new_network<T>(act: impl FnOnce() -> T) -> io::Result<T> {
    let ours = here()?;
    unshare()?;
    let done = act();
    move_into_link_name_space(ours.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(done)
}

fn unshare() -> io::Result<()> {
    // SAFETY: what threads of one process must share, such as descriptors, stays shared.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

fn here() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

#[cfg(test)]
mod tests {
    use std::fs::read_link;
    use std::os::fd::AsRawFd;
    use std::thread;

    use super::*;

    #[test]
    fn it_is_another_namespace_than_ours() {
        match thread::spawn(unshare_network).join().unwrap() {
            Ok(made) => {
                let own = read_link("/proc/self/ns/net").unwrap();
                let other = read_link(format!("/proc/self/fd/{}", made.as_raw_fd())).unwrap();
                assert!(other.to_string_lossy().starts_with("net:["), "{other:?}");
                assert_ne!(own, other);
            }
            // Who is not root may not.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        }
    }

    #[test]
    fn a_namespace_is_left_again() {
        let place = || read_link("/proc/thread-self/ns/net").unwrap();
        let own = place();
        match thread::spawn(move || in_new_network(place).map(|there| (there, place())))
            .join()
            .unwrap()
        {
            Ok((there, back)) => {
                assert!(there.to_string_lossy().starts_with("net:["), "{there:?}");
                assert_ne!(there, own);
                assert_eq!(back, own);
            }
            // Who is not root may not.
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        }
    }
}
