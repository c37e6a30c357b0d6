//! Volumes: directories that outlive containers, by name.
//!
//! ```text
//! volume/NAME/
//!   record      when it was made, its labels and its options
//!   data/       what containers see
//!   lock        held by whoever copies an image's files into it
//!   filling/    such a copy while it is made: worth nothing if its maker dies
//!   filled/     such a copy once it is whole, on its way to `data`
//! volume/.new/  a volume that is being made, by the holder of the store's lock
//! ```
//!
//! A volume that is there is whole, since it is made as `.new` and renamed. A copy of an image's files is made beside, synced and
//! renamed to `filled`; from then on whoever uses the volume moves its entries to `data`, one rename each. So whenever somebody
//! is killed, a volume has nothing of the copy, or the next one finishes it, and nothing that a container wrote is lost.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::fill;
use super::mount::Origin;
use crate::error::{Doing, Error, Result};
use crate::store::{Id, Lock, Store, clock, read_if_present, write_durably};

/// The label of a volume that nobody has named, which is Docker's.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    pub name: String,
    /// In RFC 3339.
    pub created: String,
    pub labels: BTreeMap<String, String>,
    /// What the driver is told: `type`, `device` and `o`, as mount(8) has them.
    pub options: BTreeMap<String, String>,
}

impl Volume {
    /// A volume to be made. Without a name it gets one.
    pub fn new(name: &str, mut labels: BTreeMap<String, String>, options: BTreeMap<String, String>) -> Result<Volume> {
        if name.is_empty() {
            labels.insert(ANONYMOUS.into(), String::new());
        } else {
            check_name(name)?;
        }
        check_options(&options)?;
        let name = match name {
            "" => Id::generate()?.to_string(),
            name => name.into(),
        };
        let created = clock::now();
        Ok(Volume {
            name,
            created,
            labels,
            options,
        })
    }

    /// Whether nobody has named it.
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }
}

/// Checks a volume's name.
pub fn check_name(name: &str) -> Result<()> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if (2..=255).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(valid) {
        return Ok(());
    }
    let hint = "a name has 2 to 255 letters, digits, `_`, `.` and `-`, and begins with a letter or a digit; \
                a directory of the host is written with `/` or `.` at its beginning";
    Err(Error::invalid(format!("invalid volume name `{name}`")).hint(hint))
}

/// Checks the name of a driver.
pub fn check_driver(name: &str) -> Result<()> {
    match name {
        "" | "local" => Ok(()),
        name => Err(Error::invalid(format!("unsupported volume driver: `{name}`")).hint("the only driver is `local`")),
    }
}

/// File systems on other hosts, which are mounted from the host's network.
const REMOTE: [&str; 8] = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "fuse"];

fn check_options(options: &BTreeMap<String, String>) -> Result<()> {
    if let Some(name) = options.keys().find(|name| !["type", "device", "o"].contains(&name.as_str())) {
        return Err(Error::invalid(format!("unknown volume option `{name}`")).hint("the driver knows `type`, `device` and `o`"));
    }
    let option = |name: &str| options.get(name).map_or("", String::as_str);
    if REMOTE.contains(&option("type")) {
        let wrong = Error::invalid(format!("volumes of type `{}` are not supported", option("type")));
        return Err(wrong.hint("mount it on the host, and show it with `-v` or `--opt type=none --opt o=bind`"));
    }
    if !options.is_empty() && option("device").is_empty() {
        return Err(Error::invalid("missing volume option `device`"));
    }
    if is_bind(option("o")) && !option("device").starts_with('/') {
        return Err(Error::invalid("volume option `device`: it must be an absolute path"));
    }
    if !options.is_empty() && !is_bind(option("o")) && option("type").is_empty() {
        return Err(Error::invalid("missing volume option `type`"));
    }
    Ok(())
}

fn is_bind(words: &str) -> bool {
    words.split(',').any(|word| ["bind", "rbind"].contains(&word))
}

/// The volumes of a store.
pub struct Volumes<'a> {
    store: &'a Store,
}

impl Volumes<'_> {
    pub fn new(store: &Store) -> Volumes<'_> {
        Volumes { store }
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.store.root().join("volume").join(name)
    }

    /// Where the files of a volume are.
    pub fn data(&self, name: &str) -> PathBuf {
        self.directory(name).join("data")
    }

    pub fn find_if_present(&self, name: &str) -> Result<Option<Volume>> {
        match check_name(name) {
            Ok(()) => read_if_present(&self.directory(name).join("record")),
            Err(_) => Ok(None),
        }
    }

    pub fn find(&self, name: &str) -> Result<Volume> {
        let found = self.find_if_present(name)?;
        found.ok_or_else(|| Error::not_found(format!("no such volume: `{name}`")))
    }

    /// All volumes, by name.
    pub fn list(&self) -> Result<Vec<Volume>> {
        let directory = self.store.root().join("volume");
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing(|| format!("read `{}`", directory.display()))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut volumes = Vec::new();
        for name in names {
            volumes.extend(self.find_if_present(&name)?);
        }
        volumes.sort_by(|a: &Volume, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Makes a volume, unless there is one of its name. Returns whether there was none. The store's lock is held.
    pub fn create(&self, volume: &Volume) -> Result<bool> {
        if self.find_if_present(&volume.name)?.is_some() {
            return Ok(false);
        }
        self.store.directory("volume")?;
        self.sweep()?;
        let new = self.store.directory("volume/.new")?;
        let doing = || format!("make volume `{}`", volume.name);
        fs::create_dir(new.join("data")).doing(doing)?;
        fs::set_permissions(new.join("data"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).doing(doing)?;
        write_durably(&new.join("record"), volume)?;
        fs::rename(&new, self.directory(&volume.name)).doing(doing).map(|()| true)
    }

    /// Discards what somebody was making who died. The store's lock is held.
    pub fn sweep(&self) -> Result<()> {
        self.store.discard(&self.directory(".new")).map(|_| ())
    }

    /// Whether somebody has died while making a volume, or is making one.
    pub fn needs_sweep(&self) -> bool {
        self.directory(".new").exists()
    }

    /// Removes a volume at once; its files go with the trash. The store's lock is held, and no container uses it.
    pub fn remove(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.store.discard(&self.directory(name)).map(|_| ())
    }

    /// How many bytes the files of a volume have.
    pub fn size(&self, name: &str) -> Result<u64> {
        fill::size(&self.data(name)).doing(|| format!("look through volume `{name}`"))
    }

    /// What containers see of a volume with these options.
    pub fn origin(&self, name: &str, options: &BTreeMap<String, String>) -> Result<Origin> {
        let option = |name: &str| options.get(name).cloned().unwrap_or_default();
        if options.is_empty() {
            let path = self.data(name).into_os_string().into_encoded_bytes();
            return Ok(Origin::Path { path, recursive: true });
        }
        let words = option("o");
        if is_bind(&words) {
            return Ok(Origin::Path {
                path: option("device").into_bytes(),
                recursive: words.split(',').any(|word| word == "rbind"),
            });
        }
        let (attributes, mut data) = super::mount::mount_words(&words);
        if option("type") != "tmpfs" {
            data.insert(0, ("source".into(), option("device")));
        }
        Ok(Origin::New {
            kind: option("type"),
            data,
            attributes,
        })
    }

    /// Fills an empty volume with what `copy` writes into an empty directory. It says whether there is anything.
    pub fn fill(&self, name: &str, copy: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
        let directory = self.directory(name);
        let _lock = Lock::acquire(&directory.join("lock"))?;
        self.finish(&directory)?;
        if fs::read_dir(directory.join("data"))?.next().is_some() {
            return Ok(());
        }
        let filling = directory.join("filling");
        self.store.discard(&filling)?;
        fs::create_dir(&filling)?;
        let copied = copy(&filling).and_then(|any| {
            if any {
                syncfs(File::open(&filling)?)?;
                fs::rename(&filling, directory.join("filled"))?;
            }
            Ok(())
        });
        self.store.discard(&filling)?;
        copied?;
        self.finish(&directory)
    }

    /// Finishes what somebody had begun who filled the volume and died.
    pub fn settle(&self, name: &str) -> Result<()> {
        let directory = self.directory(name);
        if !directory.join("filled").exists() {
            return Ok(());
        }
        let _lock = Lock::acquire(&directory.join("lock"))?;
        self.finish(&directory)
    }

    /// Moves a whole copy to where it is seen. What is there already, because a container wrote it, stays.
    fn finish(&self, directory: &Path) -> Result<()> {
        let (filled, data) = (directory.join("filled"), directory.join("data"));
        let entries = match fs::read_dir(&filled) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let attributes = fill::root_attributes(&filled)?;
        for entry in entries {
            let name = entry?.file_name();
            match renameat_with(CWD, filled.join(&name), CWD, data.join(&name), RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                moved => moved.doing(|| format!("move `{}` into its volume", name.display()))?,
            }
        }
        fill::set_root_attributes(&data, &attributes)?;
        self.store.discard(&filled).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_docker_has_them() {
        for name in ["data", "a1", "My_vol.1-x", &"0".repeat(64)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a", ".new", "-v", "a/b", "..", "a b", "é1", &"x".repeat(256)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_driver_knows_what_it_can_do() {
        let options = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect()
        };
        for pairs in [
            &[][..],
            &[("type", "none"), ("o", "bind"), ("device", "/srv")],
            &[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,uid=1000")],
        ] {
            assert!(check_options(&options(pairs)).is_ok(), "{pairs:?}");
        }
        for (pairs, part) in [
            (&[("size", "1g")][..], "unknown volume option `size`"),
            (&[("type", "tmpfs")], "missing volume option `device`"),
            (&[("device", "/dev/sda1")], "missing volume option `type`"),
            (&[("o", "bind"), ("device", "srv")], "must be an absolute path"),
            (
                &[("type", "nfs"), ("device", ":/x"), ("o", "addr=10.0.0.1")],
                "type `nfs` are not supported",
            ),
        ] {
            let error = check_options(&options(pairs)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
