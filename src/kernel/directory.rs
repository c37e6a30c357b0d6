//! What is in a directory. musl reads one 2 KB at a time, and has memory mapped for that and taken away again, which other processors are
//! told of: 30 µs.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};

/// How much is read at once. Only what is used of it takes memory.
const BUFFER: usize = 32 << 10;

/// The names in a directory, in no order.
pub fn names(directory: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, directory.as_ref(), flags, Mode::empty())?;
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn all_names_are_found() {
        let directory = std::env::temp_dir().join(format!("tinydock-names-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let made: BTreeSet<OsString> = (0..1000).map(|n| format!("{n:0>200}").into()).collect();
        made.iter().for_each(|name| fs::write(directory.join(name), "").unwrap());
        let found = names(&directory).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(found.len(), made.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), made);
        assert_eq!(names(&directory).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
