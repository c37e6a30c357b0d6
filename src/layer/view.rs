//! A stack of layers as one tree, read without mounting it.
//!
//! What a container's files say is needed before there is a container: who `-u www` is, whether a volume's target exists.
//! This walks the layers as overlayfs does: the topmost layer that has a name wins, a whiteout hides what is below, an
//! opaque directory hides the directories of the same name below it. Symbolic links are resolved within the tree, and
//! every step is relative to an open directory, so nothing leads out of it.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fgetxattr, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::error::{Doing, Error, Result};

/// How many symbolic links one path may lead through (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// Room for most files that are read.
const USUAL: usize = 4 << 10;

/// A stack of directories, topmost first.
pub struct View {
    root: Directory,
    /// The directory of the root that was looked up last, with its name: one file of `/etc` is mostly followed by another.
    last: RefCell<(Vec<u8>, Directory)>,
}

/// A directory of the tree: the same directory in each layer that contributes to it, topmost first.
pub type Directory = Vec<Rc<OwnedFd>>;

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The path without symbolic links, `.` and `..`, relative to the root.
    pub path: Vec<Vec<u8>>,
    /// How many of its last components do not exist.
    pub missing: usize,
    /// What it is, if it exists.
    pub kind: Option<FileType>,
}

/// What a directory has under a name.
pub enum Entry {
    Missing,
    Directory(Directory),
    /// Where it leads, and the layer's directory that has it.
    Link(Vec<u8>, Rc<OwnedFd>),
    Other(FileType, Rc<OwnedFd>),
}

impl View {
    /// The view of a stack of directories, topmost first.
    pub fn new(stack: &[PathBuf]) -> Result<View> {
        let open = |path: &PathBuf| {
            open_directory(CWD, path)
                .map(Rc::new)
                .doing(|| format!("open layer `{}`", path.display()))
        };
        stack.iter().map(open).collect::<Result<_>>().map(View::of)
    }

    /// The view of open directories, topmost first.
    pub fn of(root: Directory) -> View {
        View {
            root,
            last: RefCell::default(),
        }
    }

    /// Finds out where `path` leads. Components that do not exist are kept as they are.
    pub fn resolve(&self, path: &[u8]) -> Result<Resolved> {
        self.walk(path).map(|(resolved, _)| resolved)
    }

    /// Reads a regular file of at most `limit` bytes. No such file is no error.
    pub fn read(&self, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>> {
        let (resolved, layer) = self.walk(path)?;
        let (Some(FileType::RegularFile), Some(directory), Some(name)) = (resolved.kind, layer, resolved.path.last()) else {
            return Ok(None);
        };
        let doing = || format!("read `{}` of the image", String::from_utf8_lossy(path));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file: File = openat(&*directory, name.as_slice(), flags, Mode::empty())
            .doing(doing)?
            .into();
        let mut bytes = Vec::with_capacity(USUAL);
        file.take(limit + 1).read_to_end(&mut bytes).doing(doing)?;
        if bytes.len() as u64 > limit {
            return Err(Error::invalid(format!("larger than {limit} bytes")).doing(doing()));
        }
        Ok(Some(bytes))
    }

    /// The directory that `path` leads to, if it is one.
    pub fn directory(&self, path: &[u8]) -> Result<Option<Directory>> {
        let mut directory = self.root.clone();
        for name in self.resolve(path)?.path {
            match lookup(&directory, &name)? {
                Entry::Directory(below) => directory = below,
                _ => return Ok(None),
            }
        }
        Ok(Some(directory))
    }

    /// The mode of the directory that `path` leads to, if it is one.
    pub fn directory_mode(&self, path: &[u8]) -> Result<Option<u32>> {
        let directory = self.directory(path)?;
        directory
            .map(|directory| Ok(fstat(&directory[0])?.st_mode & 0o7777))
            .transpose()
    }

    fn lookup_in_root(&self, name: &[u8]) -> rustix::io::Result<Entry> {
        let mut last = self.last.borrow_mut();
        if last.0 == name {
            return Ok(Entry::Directory(last.1.clone()));
        }
        let entry = lookup(&self.root, name)?;
        if let Entry::Directory(directory) = &entry {
            *last = (name.to_vec(), directory.clone());
        }
        Ok(entry)
    }

    /// Walks `path`. Also returns the layer's directory that holds what the path leads to, unless that is a directory.
    fn walk(&self, path: &[u8]) -> Result<(Resolved, Option<Rc<OwnedFd>>)> {
        let mut left: VecDeque<Vec<u8>> = components(path).collect();
        let mut place = vec![(Vec::new(), self.root.clone())];
        let mut links = 0;
        let doing = || format!("look up `{}` in the image", String::from_utf8_lossy(path));
        while let Some(name) = left.pop_front() {
            if name == b".." {
                place.truncate((place.len() - 1).max(1));
                continue;
            }
            let found = match &place[..] {
                [_] => self.lookup_in_root(&name),
                [.., (_, directory)] => lookup(directory, &name),
                [] => unreachable!("the root stays"),
            };
            match found.doing(doing)? {
                Entry::Directory(directory) => place.push((name, directory)),
                Entry::Link(target, _) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP).doing(doing);
                    }
                    if target.starts_with(b"/") {
                        place.truncate(1);
                    }
                    components(&target).rev().for_each(|component| left.push_front(component));
                }
                Entry::Other(kind, layer) => {
                    let missing = left.len();
                    let kind = (missing == 0).then_some(kind);
                    let path = full(place, Some(name), left);
                    return Ok((Resolved { path, missing, kind }, Some(layer)));
                }
                Entry::Missing => {
                    let (missing, kind) = (left.len() + 1, None);
                    let path = full(place, Some(name), left);
                    return Ok((Resolved { path, missing, kind }, None));
                }
            }
        }
        let (missing, kind) = (0, Some(FileType::Directory));
        let path = full(place, None, left);
        Ok((Resolved { path, missing, kind }, None))
    }
}

/// The path to a place, then a name in it, then what was not walked.
fn full(place: Vec<(Vec<u8>, Directory)>, name: Option<Vec<u8>>, left: VecDeque<Vec<u8>>) -> Vec<Vec<u8>> {
    place
        .into_iter()
        .skip(1)
        .map(|(name, _)| name)
        .chain(name)
        .chain(left)
        .collect()
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> + '_ {
    path.split(|c| *c == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
}

/// Looks a name up in a directory as overlayfs does.
pub fn lookup(directory: &Directory, name: &[u8]) -> rustix::io::Result<Entry> {
    let mut found: Directory = Vec::new();
    for layer in directory {
        let stat = match statat(&**layer, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            result => result?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let below = match open_directory(&**layer, name) {
                    // A container that runs has removed it, or replaced it, just now.
                    Err(Errno::NOENT | Errno::NOTDIR) => continue,
                    below => below?,
                };
                let opaque = is_opaque(&below);
                found.push(Rc::new(below));
                if opaque {
                    break;
                }
            }
            _ if !found.is_empty() || is_whiteout(&stat) => break,
            FileType::Symlink => {
                let target = match readlinkat(&**layer, name, Vec::new()) {
                    Err(Errno::NOENT | Errno::INVAL) => continue,
                    target => target?.into_bytes(),
                };
                return Ok(Entry::Link(target, layer.clone()));
            }
            kind => return Ok(Entry::Other(kind, layer.clone())),
        }
    }
    Ok(if found.is_empty() {
        Entry::Missing
    } else {
        Entry::Directory(found)
    })
}

/// The names that the layers of a directory have, in order. Some may be hidden.
pub fn names(directory: &Directory) -> rustix::io::Result<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    for layer in directory {
        for entry in Dir::read_from(&**layer)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.insert(name.to_vec());
            }
        }
    }
    Ok(names)
}

pub fn open_directory(at: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    openat(
        at,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// Whether overlayfs takes an entry of a layer for "there is nothing of this name": a character device 0:0.
pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether a directory of a layer hides the directories of the same name below it.
pub fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0u8; 1];
    fgetxattr(directory, OPAQUE, &mut value).is_ok_and(|length| length == 1 && value[0] == b'y')
}

/// The extended attribute of an opaque directory; its value is `y`.
pub const OPAQUE: &str = "trusted.overlay.opaque";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Two layers below a directory that is removed when the test is over.
    struct Layers(PathBuf);

    impl Layers {
        fn new(name: &str) -> Layers {
            let base = std::env::temp_dir().join(format!("tinydock-view-{name}-{}", std::process::id()));
            fs::create_dir_all(base.join("upper/etc")).unwrap();
            fs::create_dir_all(base.join("lower/etc")).unwrap();
            Layers(base)
        }

        fn file(&self, path: &str, text: &str) {
            fs::create_dir_all(self.0.join(path).parent().unwrap()).unwrap();
            fs::write(self.0.join(path), text).unwrap();
        }

        fn view(&self) -> View {
            View::new(&[self.0.join("upper"), self.0.join("lower")]).unwrap()
        }

        fn read(&self, path: &str) -> Option<String> {
            self.view()
                .read(path.as_bytes(), 1000)
                .unwrap()
                .map(|bytes| String::from_utf8(bytes).unwrap())
        }

        fn resolve(&self, path: &str) -> (String, usize) {
            let resolved = self.view().resolve(path.as_bytes()).unwrap();
            let path = resolved
                .path
                .iter()
                .map(|name| String::from_utf8_lossy(name).to_string())
                .collect::<Vec<_>>()
                .join("/");
            (path, resolved.missing)
        }
    }

    impl Drop for Layers {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_topmost_layer_wins() {
        let layers = Layers::new("topmost");
        layers.file("lower/etc/passwd", "below");
        layers.file("lower/etc/group", "below");
        layers.file("upper/etc/passwd", "above");
        assert_eq!(layers.read("/etc/passwd").as_deref(), Some("above"));
        assert_eq!(layers.read("etc/group").as_deref(), Some("below"));
        assert_eq!(layers.read("/etc/shadow"), None);
    }

    #[test]
    fn a_file_above_hides_a_directory_below() {
        let layers = Layers::new("hides");
        layers.file("lower/srv/data", "below");
        layers.file("upper/srv", "a file");
        assert_eq!(layers.read("/srv/data"), None);
        assert_eq!(layers.resolve("/srv/data"), ("srv/data".into(), 1));
    }

    #[test]
    fn symbolic_links_stay_inside_and_cross_layers() {
        let layers = Layers::new("links");
        layers.file("lower/usr/lib/os-release", "debian");
        symlink("../usr/lib/os-release", layers.0.join("upper/etc/os-release")).unwrap();
        symlink("/../../../usr", layers.0.join("upper/u")).unwrap();
        symlink("loop", layers.0.join("upper/loop")).unwrap();
        assert_eq!(layers.read("/etc/os-release").as_deref(), Some("debian"));
        assert_eq!(layers.resolve("/u/lib"), ("usr/lib".into(), 0));
        assert_eq!(layers.resolve("/u/none/deeper"), ("usr/none/deeper".into(), 2));
        assert_eq!(layers.resolve("/../.."), (String::new(), 0));
        assert!(layers.view().resolve(b"/loop").is_err());
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let layers = Layers::new("large");
        layers.file("upper/etc/passwd", &"x".repeat(2000));
        assert!(layers.view().read(b"/etc/passwd", 1000).is_err());
    }
}
