//! What a file has beside its content, and giving that to a file.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmod, chownat, fchmod, fchown, fsetxattr, fstat,
    openat, setxattr, utimensat,
};
use rustix::io::Errno;

use crate::error::{Doing, Result};
use crate::layer::owners::Owners;
use crate::layer::proc_path;

/// What a file has beside its content.
pub struct Attributes {
    pub mode: u32,
    pub user: u32,
    pub group: u32,
    pub modified: Timespec,
    /// Names and values.
    pub extended: Vec<(Vec<u8>, Vec<u8>)>,
}

/// How files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    pub owners: Owners,
    /// Whether they are added to what is there, rather than becoming a layer: then `.wh.` at the beginning of a name means nothing,
    /// no directory takes the place of another kind of file or is replaced by one, and an extended attribute that the file
    /// system does not know is left out.
    pub is_copy: bool,
}

/// The bits with which a file that is executed gives the power of its owner.
const SET_ID: u32 = 0o6000;

impl Attributes {
    /// Sets owner, mode and extended attributes. The order matters: a change of owner clears the set-user-ID bit and file
    /// capabilities.
    pub fn set(&self, file: impl AsFd, manner: &Manner, is_directory: bool) -> Result<()> {
        if let Some((user, group)) = manner.owners.inward(self.user, self.group)? {
            fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        }
        // What somebody else's file says of its owner must not be said of us.
        let mine = manner.owners == Owners::Mine && !is_directory;
        let mode = if mine { self.mode & !SET_ID } else { self.mode };
        fchmod(&file, Mode::from_raw_mode(mode))?;
        self.extend(manner, |name, value| fsetxattr(&file, name, value, XattrFlags::empty()))
    }

    /// The same for what cannot be opened: links, which have no mode, and nodes. By now the name may be another file's, so it is
    /// opened once, in a way that has no effect on what it is, and only touched if it is of the kind that was made.
    pub fn set_at(&self, parent: &OwnedFd, name: &[u8], kind: FileType, manner: &Manner) -> Result<()> {
        let made = openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&made)?.st_mode) != kind {
            return Err(Errno::STALE.into());
        }
        let path = proc_path(&made);
        if let Some((user, group)) = manner.owners.inward(self.user, self.group)? {
            chownat(
                &made,
                c"",
                Some(Uid::from_raw(user)),
                Some(Gid::from_raw(group)),
                AtFlags::EMPTY_PATH,
            )?;
        }
        if kind != FileType::Symlink {
            // A device that a container has made is not for everybody here.
            let mine = manner.owners == Owners::Mine;
            let mode = if mine { self.mode & 0o600 } else { self.mode };
            // mknod applies our umask.
            chmod(&path, Mode::from_raw_mode(mode))?;
        }
        self.extend(manner, |name, value| setxattr(&path, name, value, XattrFlags::empty()))?;
        Ok(utimensat(&made, c"", &times(self.modified), AtFlags::EMPTY_PATH)?)
    }

    fn extend(&self, manner: &Manner, set: impl Fn(&[u8], &[u8]) -> rustix::io::Result<()>) -> Result<()> {
        for (name, value) in &self.extended {
            // All but those of users give a file a meaning to the system.
            if manner.owners == Owners::Mine && !name.starts_with(b"user.") {
                continue;
            }
            match set(name, value) {
                Err(Errno::OPNOTSUPP | Errno::PERM) if manner.is_copy => {}
                result => result.doing(|| format!("set extended attribute `{}`", name.escape_ascii()))?,
            }
        }
        Ok(())
    }
}

pub fn times(modified: Timespec) -> Timestamps {
    Timestamps {
        last_access: modified,
        last_modification: modified,
    }
}
