//! Reading archives.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tar::{Archive, Entry, EntryType};

use super::Listed;
use crate::error::{Doing, Error, Result};
use crate::image::{
    Blobs, Config, Descriptor, Document, Index, Ingest, LARGEST_DOCUMENT, Lease, Manifest, Platform, Reference, layer_type, media,
    parse_json, parse_object, read_manifest, unpack_layers,
};
use crate::layer::{Limits, inflated};
use crate::store::{Digest, Store};

/// How many files an archive may have: more than any has.
const MOST_FILES: usize = 100_000;
/// How many bytes of documents are kept in memory.
const MOST_IN_MEMORY: u64 = 64 << 20;
/// How long a chain of links within an archive may be.
const MOST_LINKS: usize = 8;

/// An image that was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub manifest: Descriptor,
    /// The digest of its configuration.
    pub id: Digest,
    pub names: Vec<Reference>,
}

/// What an archive has.
#[derive(Default)]
struct Contents {
    /// Files that are small, and no blobs.
    small: HashMap<String, Vec<u8>>,
    in_memory: u64,
    /// Those that are blobs of the store by now.
    blobs: HashMap<String, (Digest, u64)>,
    links: HashMap<String, String>,
}

/// Reads an archive, and unpacks the layers of its images for the wanted platform. What was added is kept by the lease until the
/// caller has named the images.
pub fn load(store: &Store, source: impl Read + Send, wanted: &Platform, lease: &Lease) -> Result<Vec<Loaded>> {
    let blobs = Blobs::new(store);
    let contents = Contents::read(&blobs, source, lease)?;
    let listed: Vec<Listed> = match contents.document("manifest.json")? {
        Some(bytes) => parse_json(&bytes, "list of images").doing(|| doing("manifest.json"))?,
        None => Vec::new(),
    };
    let mut loaded = Vec::new();
    if let (Some(index), true) = (contents.document("index.json")?, contents.exists("oci-layout")) {
        let index: Index = parse_object(&index, "index").doing(|| doing("index.json"))?;
        for entry in &index.manifests {
            contents.image(&blobs, entry, wanted, &listed, &mut loaded)?;
        }
    } else {
        for image in &listed {
            contents.listed_image(&blobs, image, lease, &mut loaded)?;
        }
    }
    if loaded.is_empty() {
        return Err(
            Error::invalid("the archive has no images").hint("`tinydock import` makes an image of the tarball of a file system")
        );
    }
    for (image, config, manifest) in &loaded {
        lease.keep(&config.rootfs.diff_ids)?;
        unpack_layers(store, manifest, config, lease).doing(|| format!("image `{}`", image.id))?;
    }
    Ok(loaded.into_iter().map(|(image, ..)| image).collect())
}

/// How many files may be on their way to the disk.
const AHEAD: usize = 4;

fn doing(name: &str) -> String {
    format!("file `{}` of the archive", name.escape_debug())
}

type Found = Vec<(Loaded, Config, Manifest)>;

impl Contents {
    /// Reads all files. What is read goes to the disk while the next is.
    fn read(blobs: &Blobs, source: impl Read + Send, lease: &Lease) -> Result<Contents> {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<(Ingest, String)>(AHEAD);
            let finisher = scope.spawn(move || {
                let mut done = Ok(());
                for (ingest, name) in receiver {
                    done = match done {
                        Ok(()) => ingest.finish("").map(|_| ()).doing(|| doing(&name)),
                        // Nobody will go on with the others.
                        Err(error) => ingest.discard().and(Err(error)),
                    };
                }
                done
            });
            let contents = Contents::read_files(blobs, source, lease, &sender);
            drop(sender);
            finisher.join().map_err(|_| Error::system("a thread panicked"))??;
            contents
        })
    }

    fn read_files<'a>(
        blobs: &Blobs<'a>,
        source: impl Read + Send,
        lease: &Lease,
        finisher: &SyncSender<(Ingest<'a>, String)>,
    ) -> Result<Contents> {
        let mut contents = Contents::default();
        let limits = Limits::find()?;
        let mut archive = Archive::new(inflated(source)?);
        for (n, entry) in archive.entries()?.enumerate() {
            let mut entry = entry.map_err(malformed)?;
            if n >= MOST_FILES {
                return Err(Error::invalid(format!("the archive has more than {MOST_FILES} files")));
            }
            let name = normal(&String::from_utf8_lossy(&entry.path_bytes()));
            let shown = name.clone();
            let written = contents
                .take(blobs, &mut entry, name, &limits, lease)
                .doing(|| doing(&shown))?;
            if let Some(ingest) = written {
                let gone = |_| Error::system("the archive is read no further");
                finisher.send((ingest, shown)).map_err(gone)?;
            }
        }
        Ok(contents)
    }

    /// Takes one file, and returns the blob that it is, which is written but not yet finished.
    fn take<'a, R: Read>(
        &mut self,
        blobs: &Blobs<'a>,
        entry: &mut Entry<R>,
        name: String,
        limits: &Limits,
        lease: &Lease,
    ) -> Result<Option<Ingest<'a>>> {
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = String::from_utf8_lossy(&target).into_owned();
            // A symbolic link is relative to its own directory, a hard link to the archive.
            let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
            let target = normal(&format!("{}/{target}", if kind.is_symlink() { parent } else { "" }));
            self.links.insert(name, target);
            return Ok(None);
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            return Ok(None);
        }
        let size = entry.size();
        if size > limits.bytes {
            return Err(crate::layer::too_long(limits.bytes));
        }
        let hex = name.strip_prefix("blobs/sha256/");
        if let Some(digest) = hex.and_then(|hex| Digest::parse(&format!("sha256:{hex}"))) {
            lease.keep([&digest])?;
            let descriptor = Descriptor::new("", digest.clone(), size);
            self.blobs.insert(name, (digest, size));
            let Some(mut ingest) = blobs.resume(&descriptor)? else {
                return Ok(None);
            };
            ingest.restart()?;
            if let Err(error) = copy(entry, &mut ingest) {
                return ingest.discard().and(Err(error));
            }
            Ok(Some(ingest))
        } else if size <= LARGEST_DOCUMENT && self.in_memory + size <= MOST_IN_MEMORY && !name.ends_with(".tar") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(malformed)?;
            self.in_memory += size;
            self.small.insert(name, bytes);
            Ok(None)
        } else {
            let mut ingest = blobs.ingest()?;
            copy(entry, &mut ingest)?;
            let digest = ingest.digest();
            lease.keep([&digest])?;
            self.blobs.insert(name, (digest, ingest.written()));
            Ok(Some(ingest))
        }
    }

    /// The name of a file behind links.
    fn resolve(&self, name: &str) -> String {
        let mut name = normal(name);
        for _ in 0..MOST_LINKS {
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        name
    }

    fn exists(&self, name: &str) -> bool {
        let name = self.resolve(name);
        self.small.contains_key(&name) || self.blobs.contains_key(&name)
    }

    /// A file that is a document, if there is one.
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let found = self.resolve(name);
        match (self.small.get(&found), self.blobs.contains_key(&found)) {
            (Some(bytes), _) => Ok(Some(bytes.clone())),
            (None, false) => Ok(None),
            (None, true) => Err(Error::invalid(format!(
                "file `{}` of the archive is too large",
                name.escape_debug()
            ))),
        }
    }

    /// The image that an entry of `index.json` leads to, under the names that anything in the archive gives it.
    fn image(&self, blobs: &Blobs, entry: &Descriptor, wanted: &Platform, listed: &[Listed], loaded: &mut Found) -> Result<()> {
        let (manifest_descriptor, manifest, config) = read_manifest(blobs, entry, wanted).doing(|| "index.json")?;
        for layer in &manifest.layers {
            // It is in the archive, or it was here before.
            blobs
                .open(layer)
                .doing(|| format!("manifest `{}`", manifest_descriptor.digest))?;
        }
        let id = manifest.config.digest.clone();
        let of_config = |image: &&Listed| normal(&image.config) == format!("blobs/sha256/{}", id.hex());
        let mut names = Vec::new();
        // A bare tag names no image.
        let short = entry
            .annotation("org.opencontainers.image.ref.name")
            .filter(|name| name.contains([':', '/']));
        let annotated = entry.annotation("io.containerd.image.name").or(short);
        let tags = listed
            .iter()
            .filter(of_config)
            .flat_map(|image| image.repo_tags.iter().flatten().map(String::as_str));
        for name in annotated.into_iter().chain(tags) {
            names.push(Reference::parse(name).doing(|| "index.json")?);
        }
        add(
            loaded,
            Loaded {
                manifest: manifest_descriptor,
                id,
                names,
            },
            config,
            manifest,
        );
        Ok(())
    }

    /// An image of `manifest.json`, to which a manifest is written.
    fn listed_image(&self, blobs: &Blobs, image: &Listed, lease: &Lease, loaded: &mut Found) -> Result<()> {
        let missing = |name: &str| Error::invalid(format!("file `{}` is missing in the archive", name.escape_debug()));
        let bytes = match self.blobs.get(&self.resolve(&image.config)) {
            Some((digest, size)) => blobs.read(&Descriptor::new(media::CONFIG, digest.clone(), *size))?,
            None => self.document(&image.config)?.ok_or_else(|| missing(&image.config))?,
        };
        let config = Config::parse(&bytes).doing(|| doing(&image.config))?;
        let mut layers = Vec::new();
        for name in &image.layers {
            let found = self.resolve(name);
            let (digest, size) = match (self.blobs.get(&found), self.small.get(&found)) {
                (Some(blob), _) => blob.clone(),
                (None, Some(bytes)) => add_leased(blobs, "", bytes, lease).map(|blob| (blob.digest, blob.size))?,
                (None, None) => return Err(missing(name).doing("manifest.json")),
            };
            layers.push(Descriptor::new(layer_type(&blobs.path(&digest))?, digest, size));
        }
        let manifest = Manifest::new(add_leased(blobs, media::CONFIG, &bytes, lease)?, layers);
        config.check_against(&manifest)?;
        let spelled = serde_json::to_vec(&manifest).map_err(Error::system)?;
        // It is read as a stranger's would be.
        Document::parse(&spelled)?;
        let mut descriptor = add_leased(blobs, media::MANIFEST, &spelled, lease)?;
        descriptor.platform = Some(config.platform());
        let names = image.repo_tags.iter().flatten();
        let names = names
            .map(|name| Reference::parse(name))
            .collect::<Result<_>>()
            .doing(|| "manifest.json")?;
        let id = manifest.config.digest.clone();
        add(
            loaded,
            Loaded {
                manifest: descriptor,
                id,
                names,
            },
            config,
            manifest,
        );
        Ok(())
    }
}

/// Adds an image, or only the names of one that was found before.
fn add(loaded: &mut Found, image: Loaded, config: Config, manifest: Manifest) {
    match loaded
        .iter_mut()
        .find(|(other, ..)| other.manifest.digest == image.manifest.digest)
    {
        Some((other, ..)) => other.names.extend(image.names),
        None => loaded.push((image, config, manifest)),
    }
    for (image, ..) in loaded {
        let unique: BTreeMap<String, Reference> = image.names.drain(..).map(|name| (name.to_string(), name)).collect();
        image.names = unique.into_values().collect();
    }
}

fn add_leased(blobs: &Blobs, media_type: &str, bytes: &[u8], lease: &Lease) -> Result<Descriptor> {
    use sha2::{Digest as _, Sha256};
    lease.keep([&Digest::of(Sha256::new_with_prefix(bytes))])?;
    blobs.add(media_type, bytes)
}

/// A name without what does not matter. One that would lead out of the archive leads nowhere.
fn normal(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer).map_err(malformed)? {
            0 => return Ok(()),
            read => to.write_all(&buffer[..read])?,
        }
    }
}

fn malformed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::invalid("the archive is truncated"),
        _ if error.raw_os_error().is_some() => error.into(),
        _ => {
            // What follows are the bytes that were taken for a header.
            let told = error.to_string();
            let wrong = told.split(": ").next().unwrap_or_default();
            Error::invalid(format!("the archive is corrupt: {wrong}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for (name, expected) in [
            ("./a//b/", "a/b"),
            ("/a/./b", "a/b"),
            ("a/../b", "b"),
            ("../../etc/x", "etc/x"),
            ("a/../layer.tar", "layer.tar"),
        ] {
            assert_eq!(normal(name), expected);
        }
    }
}
