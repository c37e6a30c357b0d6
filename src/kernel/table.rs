//! Tables that the kernel makes while they are read, as in `/proc`: nobody can say how long one is.

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::retry_on_intr;
use rustix::path::Arg;

/// Room for all of most tables. The kernel gives a page at a time, to whoever has room for it.
pub const PAGE: usize = 4 << 10;

/// Reads a table in as few calls as it takes, with `room` bytes for what it usually has.
pub fn read(path: impl Arg, room: usize) -> std::io::Result<Vec<u8>> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::with_capacity(room);
    while retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))? != 0 {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(room);
        }
    }
    Ok(bytes)
}

/// Reads a table as text. Names in it are whatever somebody chose, so the whole need not be text: what is none is replaced.
pub fn text(path: impl Arg, room: usize) -> std::io::Result<String> {
    Ok(String::from_utf8_lossy(&read(path, room)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_whatever_room_there_is() {
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap();
        assert!(!mounts.is_empty());
        for room in [1, 7, PAGE, 1 << 20] {
            assert_eq!(read("/proc/self/mountinfo", room).unwrap(), mounts);
        }
        assert!(read("/proc/self/nothing", PAGE).is_err());
    }
}
