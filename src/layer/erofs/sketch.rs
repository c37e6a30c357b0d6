//! A layer's tree while it is only drawn: everything that an image of it says, in memory, without the content of files.
//!
//! Every path is resolved as the kernel resolves it in a tree that is being unpacked (`unpack/tree.rs`): in the tree only, through at
//! most 40 links. What is drawn is what unpacking would make, or it is said to be unfit: then unpacking has the last word, be it a
//! tree or an error.

use std::collections::BTreeMap;

use rustix::fs::{FileType, Timespec};

use super::super::unpack::{self, Attributes, EPOCH, Told};
use super::super::view::OPAQUE;

/// Why a layer cannot be an image.
pub type Unfit = &'static str;

/// The number of a node in a sketch.
pub type NodeId = usize;

pub const ROOT: NodeId = 0;

/// How many symbolic links one path may lead through (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// The longest path, and the longest name in it (limits.h(0P), `PATH_MAX`, `NAME_MAX`).
const LONGEST_PATH: usize = 4095;
const LONGEST_NAME: usize = 255;
/// How much may be drawn: it is all in memory.
const MOST_NODES: usize = 1 << 20;
const MOST_BYTES: usize = 256 << 20;
/// How much extended attributes a file may have for every file system to keep them when it is copied up.
const MOST_EXTENDED: usize = 2 << 10;
/// The times that usual file systems have.
const SECONDS: std::ops::Range<i64> = -(1 << 31)..(1 << 34) - (1 << 31);

/// A file of any kind.
pub struct Node {
    pub kind: Kind,
    pub mode: u32,
    pub user: u32,
    pub group: u32,
    pub modified: Timespec,
    pub extended: BTreeMap<Vec<u8>, Vec<u8>>,
}

pub enum Kind {
    Directory(BTreeMap<Vec<u8>, NodeId>, NodeId),
    /// Where its content is in the tarball.
    File {
        offset: u64,
        length: u64,
    },
    Link(Vec<u8>),
    /// What it is, and of which device.
    Special(FileType, u32),
}

pub const TOO_DEEP: Unfit = "there are too many directories, or they are too deep";

/// What a path may lead to instead of a directory.
pub enum Lost {
    /// There is nothing, or no directory.
    Absent,
    Unfit(Unfit),
}

impl From<Unfit> for Lost {
    fn from(unfit: Unfit) -> Lost {
        Lost::Unfit(unfit)
    }
}

pub struct Sketch {
    pub nodes: Vec<Node>,
    pub told: Told,
    /// The directory of the last entry, found as [`Tree`](super::super::unpack::Tree) finds it: once for entries that follow each other.
    parent: Option<(Vec<Vec<u8>>, NodeId)>,
    pub unfit: Option<Unfit>,
    held: usize,
}

impl Node {
    pub fn new(kind: Kind) -> Node {
        Node {
            kind,
            mode: 0,
            user: 0,
            group: 0,
            modified: EPOCH,
            extended: BTreeMap::new(),
        }
    }

    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(..))
    }

    pub fn is_whiteout(&self) -> bool {
        matches!(self.kind, Kind::Special(FileType::CharacterDevice, 0))
    }

    pub fn make_opaque(&mut self) {
        self.extended.insert(OPAQUE.into(), b"y".into());
    }

    /// Sets owner, mode, time and extended attributes; extended ones that are not named stay.
    pub fn set(&mut self, attributes: &Attributes) -> Result<(), Unfit> {
        let modified = attributes.modified;
        if !SECONDS.contains(&modified.tv_sec) || !(0..1_000_000_000).contains(&modified.tv_nsec) {
            return Err("a file is from a time that file systems do not have");
        }
        for (name, value) in &attributes.extended {
            self.check_extended(name, value)?;
            self.extended.insert(name.clone(), value.clone());
        }
        let extended = self.extended.iter().map(|(name, value)| name.len() + value.len());
        if extended.sum::<usize>() > MOST_EXTENDED {
            return Err("a file has more extended attributes than file systems keep");
        }
        (self.user, self.group, self.modified) = (attributes.user, attributes.group, modified);
        self.mode = if matches!(self.kind, Kind::Link(_)) {
            0o777
        } else {
            attributes.mode
        };
        Ok(())
    }

    /// Leaves to the kernel what it has an opinion about (xattr(7)).
    fn check_extended(&self, name: &[u8], value: &[u8]) -> Result<(), Unfit> {
        let is_plain = matches!(self.kind, Kind::File { .. } | Kind::Directory(..));
        let is_known = match name {
            b"security.capability" => matches!(self.kind, Kind::File { .. }) && is_capability(value),
            name => {
                name.strip_prefix(b"trusted.").is_some_and(|rest| !rest.is_empty())
                    || is_plain && name.strip_prefix(b"user.").is_some_and(|rest| !rest.is_empty())
            }
        };
        if !is_known || name.contains(&0) {
            return Err("a file has an extended attribute of a special kind");
        }
        if name.len() > LONGEST_NAME || value.len() > usize::from(u16::MAX) {
            return Err("an extended attribute is too long");
        }
        Ok(())
    }
}

/// Whether a value is a file capability that is kept as it is: version 2, of the host's root (capabilities(7)).
fn is_capability(value: &[u8]) -> bool {
    value.len() == 20 && matches!(value[..4], [0 | 1, 0, 0, 2])
}

impl Sketch {
    /// A root directory with nothing in it.
    pub fn new() -> Sketch {
        let mut root = Node::new(Kind::Directory(BTreeMap::new(), ROOT));
        root.mode = 0o755;
        Sketch {
            nodes: vec![root],
            told: Told::of_layer(),
            parent: None,
            unfit: None,
            held: 0,
        }
    }

    /// What a directory has.
    pub fn entries(&self, directory: NodeId) -> &BTreeMap<Vec<u8>, NodeId> {
        match &self.nodes[directory].kind {
            Kind::Directory(entries, _) => entries,
            _ => unreachable!("paths lead to directories"),
        }
    }

    pub fn above(&self, directory: NodeId) -> NodeId {
        match &self.nodes[directory].kind {
            Kind::Directory(_, above) => *above,
            _ => unreachable!("paths lead to directories"),
        }
    }

    pub fn find(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        self.entries(directory).get(name).copied()
    }

    /// Gives a name to a new node, whatever had it before.
    pub fn add(&mut self, directory: NodeId, name: &[u8], node: Node) -> Result<NodeId, Unfit> {
        let id = self.nodes.len();
        if id == MOST_NODES {
            return Err("there are more files than an index is made for");
        }
        let extended = node.extended.iter().map(|(name, value)| name.len() + value.len());
        let own = match &node.kind {
            Kind::Link(target) => target.len(),
            _ => 0,
        };
        self.hold(extended.sum::<usize>() + own)?;
        self.nodes.push(node);
        self.name(directory, name, id).map(|()| id)
    }

    /// Gives a name to a node that is there.
    pub fn name(&mut self, directory: NodeId, name: &[u8], node: NodeId) -> Result<(), Unfit> {
        if name.len() > LONGEST_NAME {
            return Err("a name is too long");
        }
        self.hold(name.len())?;
        let replaced = match &mut self.nodes[directory].kind {
            Kind::Directory(entries, _) => entries.insert(name.to_vec(), node),
            _ => unreachable!("paths lead to directories"),
        };
        self.forget_parent_if(replaced.is_some());
        Ok(())
    }

    /// The name of the directory of the last entry may have led through what is gone.
    fn forget_parent_if(&mut self, is_gone: bool) {
        if is_gone {
            self.parent = None;
        }
    }

    /// Takes a name away, and returns what had it.
    pub fn remove(&mut self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        let removed = match &mut self.nodes[directory].kind {
            Kind::Directory(entries, _) => entries.remove(name),
            _ => unreachable!("paths lead to directories"),
        };
        self.forget_parent_if(removed.is_some());
        removed
    }

    pub fn hold(&mut self, bytes: usize) -> Result<(), Unfit> {
        self.held += bytes;
        if self.held > MOST_BYTES {
            return Err("there is more to an index than is kept in memory");
        }
        Ok(())
    }

    /// A new directory of nobody's.
    pub fn new_directory(above: NodeId) -> Node {
        Node::new(Kind::Directory(BTreeMap::new(), above))
    }

    /// Finds the directory that a path leads to.
    pub fn walk(&self, path: &[Vec<u8>]) -> Result<NodeId, Lost> {
        if path.iter().map(|name| name.len() + 1).sum::<usize>() > LONGEST_PATH + 1 {
            return Err(Lost::Unfit("a path is too long"));
        }
        let mut left: Vec<&[u8]> = path.iter().rev().map(Vec::as_slice).collect();
        let (mut at, mut links) = (ROOT, 0);
        while let Some(name) = left.pop() {
            if name == b".." {
                at = self.above(at);
                continue;
            }
            if name.len() > LONGEST_NAME {
                return Err(Lost::Unfit("a name is too long"));
            }
            let next = self.find(at, name).ok_or(Lost::Absent)?;
            match &self.nodes[next].kind {
                Kind::Directory(..) => at = next,
                Kind::Link(target) => {
                    follow(&mut links)?;
                    if target.starts_with(b"/") {
                        at = ROOT;
                    }
                    left.extend(names(target).rev());
                }
                _ => return Err(Lost::Absent),
            }
        }
        Ok(at)
    }

    /// Finds the directory that an entry is made in, making what no entry made.
    pub fn parent(&mut self, path: &[Vec<u8>]) -> Result<NodeId, Unfit> {
        if let Some((open, directory)) = &self.parent
            && open == path
        {
            return Ok(*directory);
        }
        let directory = match self.walk(path) {
            Ok(directory) => directory,
            Err(Lost::Absent) => self.make_path(path)?,
            Err(Lost::Unfit(unfit)) => return Err(unfit),
        };
        self.parent = Some((path.to_vec(), directory));
        Ok(directory)
    }

    /// Makes the directories of a path one by one. A link leads on even if this layer has nothing where it leads: the layers below
    /// may. What is in the way and no directory is replaced.
    fn make_path(&mut self, path: &[Vec<u8>]) -> Result<NodeId, Unfit> {
        let mut left: Vec<Vec<u8>> = path.iter().rev().cloned().collect();
        let (mut at, mut place, mut links) = (ROOT, Vec::new(), 0);
        while let Some(name) = left.pop() {
            if name == b".." {
                place.pop();
                at = self.above(at);
                continue;
            }
            let there = self.find(at, &name);
            match there.map(|there| &self.nodes[there].kind) {
                Some(Kind::Directory(..)) => {
                    at = there.unwrap_or(ROOT);
                    place.push(name);
                }
                Some(Kind::Link(target)) => {
                    follow(&mut links)?;
                    if target.starts_with(b"/") {
                        (at, place) = (ROOT, Vec::new());
                    }
                    left.extend(names(target).rev().map(<[u8]>::to_vec));
                }
                _ => {
                    at = self.pass_through(at, &name, there)?;
                    place.push(name);
                    self.told.made(&place, there.is_none());
                    self.told.check().map_err(|_| TOO_DEEP)?;
                }
            }
        }
        Ok(at)
    }

    /// Makes a directory that no entry has told of, in place of what is `there`.
    fn pass_through(&mut self, parent: NodeId, name: &[u8], there: Option<NodeId>) -> Result<NodeId, Unfit> {
        let mut made = Sketch::new_directory(parent);
        made.mode = 0o755;
        // mkdir(2), "the set-group-ID bit".
        if self.nodes[parent].mode & 0o2000 != 0 {
            made.group = self.nodes[parent].group;
        }
        if there.is_some_and(|there| self.nodes[there].is_whiteout()) {
            made.make_opaque();
        }
        self.add(parent, name, made)
    }

    /// Sets what is said of directories when all entries are written.
    pub fn finish(&mut self) -> Result<(), Unfit> {
        let told = std::mem::take(&mut self.told);
        for (place, modified) in told.times() {
            match self.walk(&unpack::names(place)) {
                Ok(directory) => self.nodes[directory].modified = modified,
                // A later entry replaced it.
                Err(Lost::Absent) => {}
                Err(Lost::Unfit(unfit)) => return Err(unfit),
            }
        }
        self.told = told;
        Ok(())
    }
}

/// Counts a link that is followed.
fn follow(links: &mut usize) -> Result<(), Unfit> {
    *links += 1;
    if *links > MOST_LINKS {
        return Err("a path leads through too many links");
    }
    Ok(())
}

/// The names in the target of a link.
fn names(target: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    target.split(|c| *c == b'/').filter(|name| !name.is_empty() && *name != b".")
}
