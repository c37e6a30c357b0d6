//! Which images there are.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{BUSYBOX, Name, Record};
use crate::error::{Doing, Error, Result};
use crate::store::{Digest, Store, read_if_present, write_durably};

/// What tells one version of a tarball from the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub size: u64,
    pub inode: u64,
    /// When it was last modified, in seconds and nanoseconds.
    pub modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            size: metadata.size(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A tarball that is an image once it is unpacked.
pub enum Tarball {
    Builtin,
    File { path: PathBuf, file: File, stamp: Stamp },
}

/// What is known of an image.
pub enum Found {
    /// Its layers were unpacked.
    Unpacked(Record),
    /// It was not used yet, or the tarball has changed since.
    Packed(Tarball),
}

impl Found {
    /// Whether there is a tarball of this name.
    pub fn is_tarball(&self) -> bool {
        match self {
            Found::Unpacked(record) => record.source.is_some(),
            Found::Packed(tarball) => matches!(tarball, Tarball::File { .. }),
        }
    }
}

/// What a list of images says about one.
pub struct Listed {
    pub name: String,
    /// In seconds since 1970.
    pub created: u64,
    /// In bytes: of the tarball, or of all layers.
    pub size: u64,
    /// What is known since it was unpacked.
    pub record: Option<Record>,
}

/// The suffixes of tarballs in the registry folder. What is in them is told by their content.
const SUFFIXES: [&str; 5] = [".tar.gz", ".tgz", ".tar.zst", ".tar.zstd", ".tar"];

/// The images of a store.
pub struct Catalog<'a> {
    store: &'a Store,
}

impl Catalog<'_> {
    pub fn new(store: &Store) -> Catalog<'_> {
        Catalog { store }
    }

    /// Finds an image by its name, if there is one.
    pub fn find(&self, name: &Name) -> Result<Option<Found>> {
        let record = self.recorded(name)?;
        let tarballs = self.tarballs(name);
        let path = match &tarballs[..] {
            [] => return Ok(without_tarball(name, record)),
            [path] => path.clone(),
            [path, other, ..] => {
                let both = format!("both `{}` and `{}` exist", path.display(), other.display());
                return Err(Error::conflict(both)
                    .doing(format!("image `{name}`"))
                    .hint("rename one of them"));
            }
        };
        let doing = || format!("open tarball `{}`", path.display());
        let file = File::open(&path).doing(doing)?;
        let stamp = Stamp::of(&file.metadata().doing(doing)?);
        match record {
            Some(image) if image.source.as_ref() == Some(&stamp) => Ok(Some(Found::Unpacked(image))),
            Some(image) if image.source.is_none() && name.as_str() != BUSYBOX.name => {
                let both = format!("there are a commit and the tarball `{}` of this name", path.display());
                Err(Error::conflict(both)
                    .doing(format!("image `{name}`"))
                    .hint("rename the tarball"))
            }
            _ => Ok(Some(Found::Packed(Tarball::File { path, file, stamp }))),
        }
    }

    /// Whether a tarball has this name.
    pub fn has_tarball(&self, name: &Name) -> bool {
        !self.tarballs(name).is_empty()
    }

    /// Records an image whose layers are in place.
    pub fn record_image(&self, name: &Name, image: &Record) -> Result<()> {
        self.store.directory("image/record")?;
        write_durably(&self.record(name), image)
    }

    /// What is recorded of an image, however its tarball may have changed since.
    pub fn recorded(&self, name: &Name) -> Result<Option<Record>> {
        read_if_present(&self.record(name))
    }

    /// Forgets what is recorded of an image.
    pub fn forget(&self, name: &Name) -> Result<()> {
        match fs::remove_file(self.record(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::from(error).doing(format!("forget image `{name}`"))),
            _ => Ok(()),
        }
    }

    /// All images, by name. Of those that were not unpacked yet, or whose tarball has changed, there is no record.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut images = BTreeMap::new();
        let builtin = |record: &Record| is_builtin(record) && record.source.is_none();
        images.insert(
            BUSYBOX.name.to_string(),
            Listed {
                name: BUSYBOX.name.into(),
                created: 0,
                size: BUSYBOX.tarball.len() as u64,
                record: Some(
                    self.recorded(&Name::parse(BUSYBOX.name)?)?
                        .filter(builtin)
                        .unwrap_or_else(Record::builtin),
                ),
            },
        );
        for (name, path) in names(&self.store.root().join("image/record"))? {
            if let Some(record) = read_if_present::<Record>(&path)?
                && record.source.is_none()
                && name != BUSYBOX.name
            {
                let (created, size) = (record.created, record.size);
                let record = Some(record);
                let listed = Listed {
                    name: name.clone(),
                    created,
                    size,
                    record,
                };
                images.insert(name, listed);
            }
        }
        for (file, path) in names(&self.registry())? {
            let name = SUFFIXES.iter().find_map(|suffix| file.strip_suffix(suffix));
            if let (Some(name), Ok(metadata)) = (name.and_then(|name| Name::parse(name).ok()), fs::metadata(&path)) {
                let current = |record: &Record| record.source == Some(Stamp::of(&metadata));
                let listed = Listed {
                    name: name.to_string(),
                    created: metadata.mtime().max(0) as u64,
                    size: metadata.size(),
                    record: self.recorded(&name)?.filter(current),
                };
                images.insert(name.to_string(), listed);
            }
        }
        Ok(images.into_values().collect())
    }

    /// All layers that a record names.
    pub fn layers(&self) -> Result<Vec<Digest>> {
        let mut layers = vec![Record::builtin().layers[0].clone()];
        for (_, path) in names(&self.store.root().join("image/record"))? {
            layers.extend(
                read_if_present::<Record>(&path)?
                    .map(|record| record.layers)
                    .unwrap_or_default(),
            );
        }
        Ok(layers)
    }

    /// Where the tarball of this name is, or should be put.
    pub fn tarball(&self, name: &Name) -> PathBuf {
        let tarballs = self.tarballs(name);
        tarballs
            .into_iter()
            .next()
            .unwrap_or_else(|| self.registry().join(format!("{name}.tar.gz")))
    }

    fn registry(&self) -> PathBuf {
        self.store.root().join("image/registry")
    }

    fn record(&self, name: &Name) -> PathBuf {
        self.store.root().join("image/record").join(name.as_str())
    }

    /// The tarballs of this name.
    fn tarballs(&self, name: &Name) -> Vec<PathBuf> {
        let folder = self.registry();
        // Most have none: one question then, instead of one for each suffix.
        if !folder.exists() {
            return Vec::new();
        }
        let paths = SUFFIXES.iter().map(|suffix| folder.join(format!("{name}{suffix}")));
        paths.filter(|path| path.exists()).collect()
    }
}

/// What there is if no tarball has the name.
fn without_tarball(name: &Name, record: Option<Record>) -> Option<Found> {
    let is_busybox = name.as_str() == BUSYBOX.name;
    match record {
        Some(record) if record.source.is_none() && (!is_busybox || is_builtin(&record)) => Some(Found::Unpacked(record)),
        _ if is_busybox => Some(Found::Packed(Tarball::Builtin)),
        _ => None,
    }
}

/// Whether a record is of the busybox that this tinydock has, not of an older one.
fn is_builtin(image: &Record) -> bool {
    matches!(&image.layers[..], [layer] if layer.to_string() == BUSYBOX.diff_id)
}

/// The entries of a directory that may not be there, without hidden ones.
fn names(directory: &PathBuf) -> Result<Vec<(String, PathBuf)>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory).doing(|| format!("read `{}`", directory.display()))?;
    let entries = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    Ok(entries.filter(|(name, _)| !name.starts_with('.')).collect())
}
