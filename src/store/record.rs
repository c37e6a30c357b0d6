//! Records: small JSON files that are either the old version or the new one, whatever happens while they are written.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Doing, Error, Result};

/// Room for all of a record, mostly.
const USUAL: usize = 4 << 10;

/// Reads a record that may not be there.
pub fn read_if_present<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match read(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        bytes => bytes.doing(|| format!("read `{}`", path.display()))?,
    };
    let record = serde_json::from_slice(&bytes);
    record
        .map(Some)
        .map_err(|wrong| Error::system(wrong).doing(format!("unreadable record `{}`", path.display())))
}

/// Reads a file in as few calls as it takes.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open_to_read(path)?;
    let mut bytes = Vec::with_capacity(USUAL);
    // A record never becomes longer or shorter, and the kernel gives all of one that there is room for.
    retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut bytes)))?;
    if bytes.len() == bytes.capacity() {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Opens a file in one call: musl's function makes another one, for kernels before Linux 2.6.23.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// Removes a record that may not be there.
pub fn remove_if_present(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).doing(|| format!("remove `{}`", path.display())),
        _ => Ok(()),
    }
}

/// Writes a record that survives the death of any process. The caller is the only one who writes this record now.
pub fn write<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    write_beside(path, record, "new").and_then(|(_, beside)| replace(&beside, path))
}

/// The same for a record that others may write at the same time: one of these versions stays.
pub fn write_among_others<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    let suffix = format!("{}.new", std::process::id());
    write_beside(path, record, &suffix).and_then(|(_, beside)| replace(&beside, path))
}

/// Writes a record that survives a loss of power as well.
pub fn write_durably<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    let (file, beside) = write_beside(path, record, "new")?;
    file.sync_data().doing(|| format!("sync `{}`", beside.display()))?;
    replace(&beside, path)?;
    let directory = path.parent().unwrap_or(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .doing(|| format!("sync `{}`", directory.display()))
}

/// Writes the new version to `.NAME.SUFFIX`, which whoever lists a directory of records passes over.
fn write_beside<T: Serialize>(path: &Path, record: &T, suffix: &str) -> Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{suffix}"));
    let doing = || format!("write `{}`", path.display());
    let bytes = serde_json::to_vec(record).map_err(Error::system).doing(doing)?;
    let mut file = File::create(&beside).doing(doing)?;
    file.write_all(&bytes).doing(doing)?;
    Ok((file, beside))
}

fn replace(beside: &Path, path: &Path) -> Result<()> {
    fs::rename(beside, path).doing(|| format!("write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_does_not_parse_is_reported_by_name() {
        let path = std::env::temp_dir().join(format!("tinydock-record-{}", std::process::id()));
        fs::write(&path, "{").unwrap();
        let error = read_if_present::<Vec<u8>>(&path).unwrap_err().to_string();
        fs::remove_file(&path).unwrap();
        assert!(
            error.starts_with(&format!("unreadable record `{}`", path.display())),
            "{error}"
        );
    }

    #[test]
    fn a_record_is_what_was_last_written() {
        let path = std::env::temp_dir().join(format!("tinydock-written-{}", std::process::id()));
        write(&path, &[1, 2]).unwrap();
        write_durably(&path, &[3]).unwrap();
        assert_eq!(read_if_present::<Vec<u8>>(&path).unwrap(), Some(vec![3]));
        fs::remove_file(&path).unwrap();
        assert_eq!(read_if_present::<Vec<u8>>(&path).unwrap(), None);
    }
}
