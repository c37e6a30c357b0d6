//! The layers of an image as they can be read now: trees where they are, and images mounted where nobody sees them.
//!
//! A mount belongs to whoever has it open. A container's init is given those of its root ([`Given`]), and the overlay that it makes
//! of them keeps them for as long as it lives: nothing of it is ever in the host's mount table. Containers that run at the same time
//! share mounts (`erofs/share.rs`).

use std::borrow::Cow;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{CWD, fstat};
use rustix::mount::{OpenTreeFlags, open_tree};

use super::erofs::{Generation, Mounted};
use super::implied::stack;
use super::view::{Directory, open_directory};
use super::{Draft, Limits, View, erofs, path};
use crate::error::{Doing, Error, Result};
use crate::program::Input;
use crate::store::{Digest, Id, Store};

/// A layer of an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lower {
    /// A directory.
    Tree(PathBuf),
    /// What init is given as the mount of an image, and which directory in it is meant.
    Image { given: Input, path: Vec<u8> },
    /// An empty directory below others, since an overlay has two layers at least.
    Nothing(PathBuf),
}

/// The mounts that init is given.
#[derive(Default)]
pub struct Given {
    /// With the directories of their layers.
    mounts: Vec<(PathBuf, Mounted)>,
    /// Whether they are nobody else's.
    own: bool,
}

impl Given {
    fn add(&mut self, directory: PathBuf, mount: Mounted) -> Input {
        self.mounts.push((directory, mount));
        Input::Mount(self.mounts.len() as u16 - 1)
    }

    /// The mount that init knows as `input`.
    pub fn find(&self, input: Input) -> Option<&OwnedFd> {
        self.mounts().find(|(known, _)| *known == input).map(|(_, mount)| mount)
    }

    /// Each as what init knows it.
    pub fn mounts(&self) -> impl Iterator<Item = (Input, &OwnedFd)> {
        self.mounts
            .iter()
            .enumerate()
            .map(|(n, (_, mounted))| (Input::Mount(n as u16), &mounted.mount))
    }

    /// Makes them mounts of init's own, which it may change.
    pub fn disjoin(&mut self) -> Result<()> {
        for (directory, mounted) in &mut self.mounts {
            let how = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
            match open_tree(&mounted.mount, c"", how) {
                Ok(clone) => mounted.mount = clone,
                // Before Linux 6.15 only what is attached can be cloned.
                Err(_) => *mounted = erofs::mount(directory)?,
            }
        }
        self.own = true;
        Ok(())
    }

    /// Keeps them open in this process, whatever it executes, for others to have them as well. That saves others something, and is no
    /// reason to fail.
    pub fn share(&self, store: &Store, container: &Id) {
        for (directory, mounted) in self.mounts.iter().filter(|_| !self.own) {
            let _ = erofs::share::tell(store, container, &name_of(directory), mounted);
        }
    }

    /// Those that others may have as well.
    pub fn shared(&self) -> impl Iterator<Item = &OwnedFd> {
        let shared = self.mounts.iter().filter(|_| !self.own);
        shared.map(|(_, mounted)| &mounted.mount)
    }

    /// The layers whose images they are.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.mounts.iter().map(|(directory, _)| directory.clone()).collect()
    }
}

/// One layer.
struct Layer {
    directory: PathBuf,
    /// The mount of its image, if it has one.
    mount: Option<Mounted>,
}

impl Layer {
    /// Mounts the image of a layer if it has one. An image that cannot be mounted any more becomes a tree.
    fn open(store: &Store, directory: PathBuf) -> Result<Layer> {
        let mount = match erofs::generation(&directory) {
            Some(generation) => mounted(store, &directory, generation)?,
            None => None,
        };
        Ok(Layer { directory, mount })
    }

    fn root(&self) -> Result<OwnedFd> {
        let root = match &self.mount {
            Some(mounted) => open_directory(&mounted.mount, c"."),
            None => open_directory(CWD, &self.directory),
        };
        root.doing(|| format!("open layer `{}`", self.directory.display()))
    }
}

/// The digits of a layer's diff id.
fn name_of(directory: &Path) -> Cow<'_, str> {
    directory.file_name().unwrap_or_default().to_string_lossy()
}

fn mounted(store: &Store, directory: &Path, generation: Generation) -> Result<Option<Mounted>> {
    let name = name_of(directory);
    if !erofs::only_trees() {
        let mount = erofs::share::find(store, &name, generation).or_else(|| erofs::mount(directory).ok());
        if mount.is_some() {
            return Ok(mount);
        }
    }
    let layer = Digest::parse(&format!("sha256:{name}")).ok_or_else(|| Error::system("an image is in a layer without a digest"))?;
    become_tree(store, &layer).map(|()| None)
}

/// Makes a tree of a layer that is an image, in its place. Who has it mounted keeps that.
pub fn become_tree(store: &Store, layer: &Digest) -> Result<()> {
    let doing = || format!("unpack layer `{layer}`");
    let draft = Draft::begin(store, layer.hex())?;
    let directory = path(store, layer);
    // Somebody else may have done it.
    if !erofs::is_image(&directory) {
        return Ok(());
    }
    let limits = Limits::find()?;
    let filled = draft.fill(|into| {
        let content = erofs::unpack_image(&directory, into, &limits).doing(doing)?;
        if content.diff_id == *layer {
            return Ok(content);
        }
        let damaged = Error::system("its tarball is damaged").doing(doing());
        Err(damaged.hint("`tinydock system fsck --repair` makes it again"))
    })?;
    filled.replace()
}

/// The layers of an image, the topmost first.
pub struct Stack(Vec<Layer>);

impl Stack {
    /// Opens the layers of an image, which are named bottom first.
    pub fn open(store: &Store, layers: &[Digest]) -> Result<Stack> {
        let open = |directory| Layer::open(store, directory);
        stack(store, layers).into_iter().map(open).collect::<Result<_>>().map(Stack)
    }

    /// The same without changing anything: there are none if an image cannot be mounted.
    pub fn look(store: &Store, layers: &[Digest]) -> Option<Stack> {
        let look = |directory: PathBuf| {
            let mount = erofs::is_image(&directory).then(|| erofs::mount(&directory).ok());
            match mount {
                Some(None) => None,
                mount => Some(Layer {
                    directory,
                    mount: mount.flatten(),
                }),
            }
        };
        let layers: Option<Vec<Layer>> = stack(store, layers).into_iter().map(look).collect();
        layers.filter(|layers| !layers.is_empty()).map(Stack)
    }

    /// One tree that is not there yet.
    pub fn to_be(directory: PathBuf) -> Stack {
        Stack(vec![Layer { directory, mount: None }])
    }

    /// What is seen of all.
    pub fn view(&self) -> Result<View> {
        self.roots().map(View::of)
    }

    /// What is seen of all below another directory.
    pub fn view_below(&self, upper: &Path) -> Result<View> {
        let opened = open_directory(CWD, upper).doing(|| format!("open `{}`", upper.display()))?;
        let roots = [Rc::new(opened)].into_iter().chain(self.roots()?);
        Ok(View::of(roots.collect()))
    }

    fn roots(&self) -> Result<Directory> {
        self.0.iter().map(|layer| layer.root().map(Rc::new)).collect()
    }

    /// The layers for an overlay that is made here, with mounts that are lent for it.
    pub fn lend(&self, lent: &mut Given) -> Result<Vec<Lower>> {
        let copy = |layer: &Layer| {
            let mount = layer.mount.as_ref().map(Mounted::try_clone).transpose();
            Ok(Layer {
                directory: layer.directory.clone(),
                mount: mount.doing(|| "copy a descriptor")?,
            })
        };
        let copies = self.0.iter().map(copy).collect::<Result<_>>()?;
        Ok(Stack(copies).give(lent))
    }

    /// The layers for an overlay. The mounts are for init then.
    pub fn give(self, given: &mut Given) -> Vec<Lower> {
        let lower = self.0.into_iter().map(|layer| match layer.mount {
            None => Lower::Tree(layer.directory),
            Some(mount) => Lower::Image {
                given: given.add(layer.directory, mount),
                path: Vec::new(),
            },
        });
        lower.collect()
    }

    /// The same for a directory of the image that all layers are of, as far as they have it. `nothing` makes an empty directory.
    pub fn give_part(self, path: &[u8], given: &mut Given, nothing: impl FnOnce() -> Result<PathBuf>) -> Result<Vec<Lower>> {
        let mut lower = if path.is_empty() || self.0.is_empty() {
            self.give(given)
        } else {
            self.part(path, given)?
        };
        if let [Lower::Image { .. }] = lower[..] {
            lower.push(Lower::Nothing(nothing()?));
        }
        Ok(lower)
    }

    /// The directories that the layers have for a path. Layers do not change, so what was found stays there.
    fn part(self, path: &[u8], given: &mut Given) -> Result<Vec<Lower>> {
        let doing = || format!("subpath `{}` of the image", String::from_utf8_lossy(path));
        let found = self.view()?.directory(path).doing(doing)?;
        let directories = found.ok_or_else(|| Error::not_found("no such directory").doing(doing()))?;
        let mut left = self.0;
        let mut lower = Vec::new();
        for directory in directories {
            let own = fs::read_link(super::proc_path(&directory)).doing(doing)?;
            let device = fstat(&directory)?.st_dev;
            let is_its = |layer: &Layer| is_on(layer, device);
            // Each file system has at most one directory of a path.
            lower.push(match left.iter().position(is_its).map(|n| left.remove(n)) {
                Some(Layer {
                    directory,
                    mount: Some(mount),
                }) => Lower::Image {
                    given: given.add(directory, mount),
                    path: own.as_os_str().as_bytes().strip_prefix(b"/").unwrap_or_default().to_vec(),
                },
                _ => Lower::Tree(own),
            });
        }
        Ok(lower)
    }
}

fn is_on(layer: &Layer, device: u64) -> bool {
    let own = |mounted: &Mounted| fstat(&mounted.mount).is_ok_and(|stat| stat.st_dev == device);
    layer.mount.as_ref().is_some_and(own)
}

/// Opens the root of one layer.
pub fn open_layer(store: &Store, layer: &Digest) -> Result<OwnedFd> {
    Layer::open(store, path(store, layer))?.root()
}

/// How many bytes the files of a layer have. One with several names counts once.
pub fn size(store: &Store, layer: &Digest) -> Result<u64> {
    super::fill::size_below(open_layer(store, layer)?)
}
