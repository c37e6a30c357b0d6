//! `system fsck`: what the store has is compared with what it should have, byte by byte.
//!
//! A blob must have the digest that is its name. A layer that is a tree must be what its blob unpacks to: it is unpacked again,
//! beside, and both trees are packed and compared. One that is an image is checked by itself: its tarball has its digest, and the index
//! follows from that. Everything below the root is counted, so that nothing is there that nobody knows of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::{Container, Engine, disk_usage};
use crate::error::{Doing, Error, Result};
use crate::image::{
    BUSYBOX, Blobs, Catalog, Collecting, Descriptor, Image, Layout, Lease, Name, Record, digest_of, sweep_blob_drafts,
};
use crate::layer::{self, Draft, Filled, Limits};
use crate::store::Digest;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// What takes how much: its name, how many, and how many bytes of the disk.
    pub uses: Vec<(&'static str, usize, u64)>,
    /// All that is below the root.
    pub total: u64,
    pub problems: Vec<Problem>,
}

/// Something that is not as it should be.
#[derive(Debug)]
pub struct Problem {
    pub error: Error,
    pub repaired: bool,
}

/// What a layer was unpacked from.
enum Source {
    Blob(Descriptor),
    Tarball(Name),
    Builtin,
    /// It lies on top of these.
    Layers(Vec<Digest>),
}

/// The folders below the root that others than images have, and what they are.
const OTHERS: [(&str, &str); 6] = [
    ("containers", "container"),
    ("networks", "network"),
    ("volumes", "volume"),
    ("running", "run"),
    ("trash", "trash"),
    ("tarballs", "image/registry"),
];

impl Engine {
    /// Checks everything, and if `repair` says so, puts right what can be put right.
    pub fn fsck(&self, repair: bool) -> Result<Report> {
        let mut report = Report::default();
        let mut sources: BTreeMap<Digest, Source> = BTreeMap::new();
        self.check_images(&mut report, &mut sources, repair)?;
        let needed = {
            let collecting = Collecting::begin(&self.store)?;
            // An image that is damaged and stays is told above; what it needs is not known, so nothing is called garbage.
            self.needed(&collecting).ok()
        };
        self.check_blobs(&mut report, needed.as_ref(), repair)?;
        self.check_layers(&mut report, needed.as_ref(), &sources, repair)?;
        self.check_containers(&mut report)?;
        if repair {
            self.complete_images()?;
        }
        if repair {
            let collecting = Collecting::begin(&self.store)?;
            self.collect(&collecting)?;
            sweep_blob_drafts(&self.store, true)?;
            layer::sweep_drafts(&self.store)?;
        }
        self.store.empty_trash()?;
        self.count(&mut report);
        Ok(report)
    }

    /// Reads the documents of all images, and notes which blob each layer comes from.
    fn check_images(&self, report: &mut Report, sources: &mut BTreeMap<Digest, Source>, repair: bool) -> Result<()> {
        let layout = Layout::new(&self.store);
        for entry in layout.entries()? {
            match Image::read(&self.store, &entry) {
                Ok(image) => {
                    let blobs = image.manifest.iter().flat_map(|(_, manifest)| manifest.layers.clone());
                    for (diff_id, blob) in image.layers().iter().zip(blobs) {
                        if !Blobs::new(&self.store).contains(&blob.digest) {
                            let missing = Error::system(format!("layer blob `{}` is missing", blob.digest));
                            report.problem(
                                missing.doing(format!("image `{}`", image.id)).hint("pull or load it again"),
                                false,
                            );
                        }
                        sources.insert(diff_id.clone(), Source::Blob(blob));
                    }
                    sources.insert(layer::top_of(image.layers()), Source::Layers(image.layers().to_vec()));
                }
                Err(error) => {
                    let name = entry.name().map_or(entry.manifest.digest.to_string(), |name| name.familiar());
                    if repair {
                        layout.remove(|other| other.manifest.digest == entry.manifest.digest)?;
                    }
                    report.problem(error.doing(format!("image `{name}`")), repair);
                }
            }
        }
        sources.insert(Record::builtin().layers[0].clone(), Source::Builtin);
        for listed in Catalog::new(&self.store).list()? {
            if let Some(record) = listed.record.filter(|record| record.source.is_some()) {
                sources.insert(record.layers[0].clone(), Source::Tarball(Name::parse(&listed.name)?));
            }
        }
        Ok(())
    }

    fn check_blobs(&self, report: &mut Report, needed: Option<&BTreeSet<Digest>>, repair: bool) -> Result<()> {
        let (mut used, mut unused) = ((0, 0), (0, 0));
        for entry in fs::read_dir(self.store.root().join("image/blobs/sha256"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            let named = Digest::parse(&format!("sha256:{}", entry.file_name().to_string_lossy()));
            let problem = match named
                .as_ref()
                .map(|digest| Ok::<_, Error>((digest, digest_of(&path)?.0)))
                .transpose()
            {
                Ok(Some((named, found))) if *named == found => None,
                Ok(Some((named, found))) => Some(Error::system(format!("blob `{named}` has the digest `{found}`"))),
                Ok(None) => Some(Error::system(format!("`{}` is no blob", path.display()))),
                Err(error) => Some(error),
            };
            let size = disk_usage(&path);
            if let Some(error) = problem {
                if repair {
                    self.store.discard(&path)?;
                }
                report.problem(error, repair);
            }
            let is_used = named.is_some_and(|digest| needed.is_none_or(|needed| needed.contains(&digest)));
            let kind = if is_used { &mut used } else { &mut unused };
            *kind = (kind.0 + 1, kind.1 + size);
        }
        report.uses.push(("blobs", used.0, used.1));
        report.uses.push(("blobs that nothing needs", unused.0, unused.1));
        Ok(())
    }

    fn check_layers(
        &self,
        report: &mut Report,
        needed: Option<&BTreeSet<Digest>>,
        sources: &BTreeMap<Digest, Source>,
        repair: bool,
    ) -> Result<()> {
        let (mut used, mut unused) = ((0, 0), (0, 0));
        let entries = fs::read_dir(self.store.root().join("layer/sha256")).into_iter().flatten();
        let mut entries: Vec<_> = entries.flatten().collect();
        // What follows from other layers comes after they are right.
        entries.sort_by_key(|entry| {
            let id = Digest::parse(&format!("sha256:{}", entry.file_name().to_string_lossy()));
            id.is_some_and(|id| matches!(sources.get(&id), Some(Source::Layers(_))))
        });
        let mut damaged = BTreeSet::new();
        for entry in entries {
            let path = entry.path();
            let Some(diff_id) = Digest::parse(&format!("sha256:{}", entry.file_name().to_string_lossy())) else {
                if repair {
                    self.store.discard(&path)?;
                }
                report.problem(Error::system(format!("`{}` is no layer", path.display())), repair);
                continue;
            };
            let is_used = needed.is_none_or(|needed| needed.contains(&diff_id));
            let kind = if is_used { &mut used } else { &mut unused };
            *kind = (kind.0 + 1, kind.1 + disk_usage(&path));
            // What follows from layers that are damaged is not known.
            let is_known =
                |source: &&Source| !matches!(source, Source::Layers(layers) if layers.iter().any(|layer| damaged.contains(layer)));
            let source = sources.get(&diff_id).filter(is_known);
            let problem = if layer::is_image(&path) {
                self.check_image(&diff_id, source, &path, repair)?
            } else {
                let checked = source.map(|source| self.check_layer(&diff_id, source, &path, repair));
                checked.transpose()?.flatten()
            };
            if problem.as_ref().is_some_and(|problem| !problem.repaired) {
                damaged.insert(diff_id);
            }
            report.problems.extend(problem);
        }
        report.uses.push(("layers", used.0, used.1));
        report.uses.push(("layers that nothing needs", unused.0, unused.1));
        Ok(())
    }

    /// Compares a layer with what it was unpacked from.
    fn check_layer(&self, diff_id: &Digest, source: &Source, path: &Path, repair: bool) -> Result<Option<Problem>> {
        let fresh = match self.unpack_again(diff_id, source) {
            Ok(fresh) if fresh.content.diff_id == *diff_id => fresh,
            // The source is told about elsewhere; there is nothing to compare with.
            Ok(other) => return other.discard().map(|()| None),
            Err(_) => return Ok(None),
        };
        let digest = |directory: &Path| layer::pack(directory, u64::MAX, std::io::sink()).map(|packed| packed.content.diff_id);
        let same = digest(path).and_then(|found| Ok(found == digest(fresh.directory())?));
        if same == Ok(true) {
            return fresh.discard().map(|()| None);
        }
        let error = match same {
            Err(error) => error.doing(format!("layer `{diff_id}`")),
            Ok(_) => Error::system(format!("layer `{diff_id}` is not what its tarball unpacks to")),
        };
        if repair {
            fresh.replace()?;
        } else {
            fresh.discard()?;
        }
        Ok(Some(Problem { error, repaired: repair }))
    }

    fn unpack_again(&self, diff_id: &Digest, source: &Source) -> Result<Filled<'_>> {
        let limits = Limits::find()?;
        let draft = self.draft_again(diff_id)?;
        match source {
            Source::Layers(layers) => draft.fill(|into| layer::fill_top(&self.store, layers, into)),
            source => {
                let file = self.open_source(source)?;
                draft.fill(|into| layer::unpack(file, into, &limits))
            }
        }
    }

    fn draft_again(&self, diff_id: &Digest) -> Result<Draft<'_>> {
        Draft::begin(&self.store, &format!("fsck-{}", diff_id.hex()))
    }

    /// Opens what a layer was unpacked from.
    fn open_source(&self, source: &Source) -> Result<Box<dyn Read + Send>> {
        Ok(match source {
            Source::Blob(blob) => Box::new(Blobs::new(&self.store).open(blob)?),
            Source::Builtin => Box::new(BUSYBOX.tarball),
            Source::Layers(_) => return Err(Error::system("it was not unpacked from anything")),
            Source::Tarball(name) => {
                let path = Catalog::new(&self.store).tarball(name);
                Box::new(File::open(&path).doing(|| format!("open `{}`", path.display()))?)
            }
        })
    }

    /// Checks a layer that is an image.
    fn check_image(&self, diff_id: &Digest, source: Option<&Source>, path: &Path, repair: bool) -> Result<Option<Problem>> {
        let limits = Limits::find()?;
        let error = match layer::check_image(path, &limits) {
            Ok(content) if content.diff_id == *diff_id => return Ok(None),
            Ok(content) => Error::system(format!("its tarball has the digest `{}`", content.diff_id)),
            Err(error) => error,
        };
        let error = error.doing(format!("layer `{diff_id}`"));
        let repaired = repair && self.make_image_again(diff_id, source, path, &limits)?;
        Ok(Some(Problem { error, repaired }))
    }

    /// Makes an image again, from its own tarball if that is right, or from what that came from. Returns whether one was.
    fn make_image_again(&self, diff_id: &Digest, source: Option<&Source>, path: &Path, limits: &Limits) -> Result<bool> {
        let own = self.draft_again(diff_id)?.fill(|into| layer::make_again(path, into, limits));
        let is_right = |filled: &Filled| filled.content.diff_id == *diff_id;
        let filled = match (own, source) {
            (Ok(own), _) if is_right(&own) => own,
            (own, Some(source)) => {
                // There is one draft of a name at a time.
                drop(own);
                let file = self.open_source(source);
                let made = file.and_then(|file| self.draft_again(diff_id)?.fill(|into| layer::make(file, None, into, limits)));
                match made {
                    Ok(made) if is_right(&made) => made,
                    _ => return Ok(false),
                }
            }
            _ => return Ok(false),
        };
        filled.replace().map(|()| true)
    }

    /// Makes what belongs on top of layers that are as they should be now.
    fn complete_images(&self) -> Result<()> {
        let lease = Lease::begin(&self.store)?;
        for entry in Layout::new(&self.store).entries()? {
            // What an image lacks is unpacked when it is used next.
            if let Ok(image) = Image::read(&self.store, &entry)
                && image.layers().iter().all(|layer| layer::path(&self.store, layer).is_dir())
            {
                layer::complete(&self.store, image.layers(), |top| lease.keep([top]))?;
            }
        }
        Ok(())
    }

    fn check_containers(&self, report: &mut Report) -> Result<()> {
        for id in Container::ids(&self.store)? {
            let container = match Container::load(&self.store, &id) {
                Ok(Some(container)) => container,
                Ok(None) => continue,
                Err(error) => {
                    report.problem(error, false);
                    continue;
                }
            };
            for layer in container
                .spec
                .layers
                .iter()
                .filter(|layer| !layer::path(&self.store, layer).is_dir())
            {
                let missing = Error::system(format!("layer `{layer}` is missing"));
                report.problem(missing.doing(format!("container `{}`", container.name())), false);
            }
        }
        Ok(())
    }

    /// Counts what else there is, and what there is altogether.
    fn count(&self, report: &mut Report) {
        let root = self.store.root();
        let names = self.store.names().path("");
        // The folder of names is beside the containers.
        let is_one = |entry: &fs::DirEntry| entry.path() != names;
        let count = |path: &Path| fs::read_dir(path).map_or(0, |entries| entries.flatten().filter(is_one).count());
        for (name, folder) in [("drafts", "image/draft"), ("drafts of layers", "layer/draft")]
            .into_iter()
            .chain(OTHERS)
        {
            report
                .uses
                .push((name, count(&root.join(folder)), disk_usage(&root.join(folder))));
        }
        report.uses.retain(|(_, count, _)| *count > 0);
        report.total = disk_usage(root);
        let known: u64 = report.uses.iter().map(|(.., bytes)| bytes).sum();
        report
            .uses
            .push(("records and folders", 1, report.total.saturating_sub(known)));
        let expected = ["image", "layer", "container", "network", "volume", "run", "spare", "trash"];
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            if !expected.iter().any(|name| entry.file_name() == *name) {
                let unknown = format!("`{}` is nothing of tinydock's", entry.path().display());
                report.problem(Error::system(unknown), false);
            }
        }
    }
}

impl Report {
    fn problem(&mut self, error: Error, repaired: bool) {
        self.problems.push(Problem { error, repaired });
    }
}
