//! Namespaces that a thread of ours makes for others to enter.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Makes a network namespace, and moves this thread there. The namespace lasts as long as somebody refers to it.
pub fn unshare_network() -> io::Result<OwnedFd> {
    // SAFETY: what threads of one process must share, such as descriptors, stays shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
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
}
