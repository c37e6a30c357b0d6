//! The entries of a tarball, drawn: each changes the sketch as unpacking it would change a tree.

use rustix::fs::FileType;

use super::super::implied::Implied;
use super::super::unpack::{Attributes, Data, Target, join, names};
use super::sketch::{Kind, Lost, Node, NodeId, ROOT, Sketch, TOO_DEEP, Unfit};
use crate::error::Result;

/// Tarballs and images have the same blocks.
const BLOCK: u64 = 512;
/// The longest file that one chunk describes.
const LONGEST_FILE: u64 = BLOCK << 31;
/// The longest target of a symbolic link.
const LONGEST_TARGET: usize = 4095;

impl Target for Sketch {
    fn has_whiteouts(&self) -> bool {
        true
    }

    fn set_root(&mut self, attributes: &Attributes) -> Result<()> {
        self.draw(|sketch| {
            sketch.nodes[ROOT].set(attributes)?;
            sketch.told.directory(b"", attributes.modified);
            Ok(())
        })
    }

    fn directory(&mut self, path: &[Vec<u8>], name: &[u8], attributes: &Attributes) -> Result<()> {
        self.draw(|sketch| {
            let parent = sketch.parent(path)?;
            let there = sketch.find(parent, name);
            let directory = match there {
                Some(there) if sketch.nodes[there].is_directory() => there,
                _ => {
                    let mut made = Sketch::new_directory(parent);
                    if there.is_some_and(|there| sketch.nodes[there].is_whiteout()) {
                        made.make_opaque();
                    }
                    sketch.add(parent, name, made)?
                }
            };
            sketch.nodes[directory].set(attributes)?;
            let extended = attributes.extended.iter().map(|(name, value)| name.len() + value.len());
            sketch.hold(extended.sum::<usize>())?;
            sketch.told.directory(&join(path, name), attributes.modified);
            sketch.told.check().map_err(|_| TOO_DEEP)
        })
    }

    fn file(&mut self, path: &[Vec<u8>], name: &[u8], attributes: &Attributes, data: Data) -> Result<()> {
        self.draw(|sketch| {
            // An image says nothing of holes: what it has would take all its length when it is copied.
            if data.sparse.is_some() {
                return Err("a file has holes");
            }
            if !data.offset.is_multiple_of(BLOCK) || data.length > LONGEST_FILE || data.offset / BLOCK > u64::from(u32::MAX >> 1) {
                return Err("a file is too long, or too far away");
            }
            let (offset, length) = (data.offset, data.length);
            sketch.put(path, name, Kind::File { offset, length }, attributes)
        })
    }

    fn symlink(&mut self, path: &[Vec<u8>], name: &[u8], target: &[u8], attributes: &Attributes) -> Result<()> {
        self.draw(|sketch| {
            if target.len() > LONGEST_TARGET || target.contains(&0) {
                return Err("the target of a link is no path");
            }
            sketch.put(path, name, Kind::Link(target.to_vec()), attributes)
        })
    }

    fn node(&mut self, path: &[Vec<u8>], name: &[u8], kind: FileType, device: u64, attributes: &Attributes) -> Result<()> {
        // mknod(2) takes this much of a device's number.
        self.draw(|sketch| sketch.put(path, name, Kind::Special(kind, device as u32), attributes))
    }

    fn whiteout(&mut self, path: &[Vec<u8>], name: &[u8]) -> Result<()> {
        self.draw(|sketch| {
            let parent = sketch.parent(path)?;
            match sketch.find(parent, name) {
                Some(there) if sketch.nodes[there].is_directory() => {
                    sketch.nodes[there].make_opaque();
                    sketch.told.begins_anew(&join(path, name));
                    Ok(())
                }
                Some(_) => Ok(()),
                None => {
                    let gone = Node::new(Kind::Special(FileType::CharacterDevice, 0));
                    sketch.add(parent, name, gone).map(|_| ())
                }
            }
        })
    }

    fn opaque(&mut self, path: &[Vec<u8>]) -> Result<()> {
        self.draw(|sketch| {
            let directory = sketch.parent(path)?;
            sketch.nodes[directory].make_opaque();
            Ok(())
        })
    }

    fn hard_link(&mut self, path: &[Vec<u8>], name: &[u8], target: &[Vec<u8>]) -> Result<()> {
        self.draw(|sketch| {
            let (target_name, target_path) = target.split_last().ok_or("a link leads to the root directory")?;
            let source = sketch.walk(target_path).map_err(|lost| match lost {
                Lost::Absent => LEADS_NOWHERE,
                Lost::Unfit(unfit) => unfit,
            })?;
            let parent = sketch.parent(path)?;
            if (target_path, target_name.as_slice()) == (path, name) {
                return Err("a hard link leads to itself");
            }
            let linked = sketch.hard_linked(source, target_name, parent, name)?;
            sketch.name(parent, name, linked)
        })
    }
}

const LEADS_NOWHERE: Unfit = "a hard link leads nowhere";

impl Sketch {
    /// Draws an entry, unless it is known that another form is needed.
    fn draw(&mut self, act: impl FnOnce(&mut Sketch) -> std::result::Result<(), Unfit>) -> Result<()> {
        if self.unfit.is_none() {
            self.unfit = act(self).err();
        }
        Ok(())
    }

    fn put(&mut self, path: &[Vec<u8>], name: &[u8], kind: Kind, attributes: &Attributes) -> std::result::Result<(), Unfit> {
        let parent = self.parent(path)?;
        let mut node = Node::new(kind);
        node.set(attributes)?;
        self.add(parent, name, node).map(|_| ())
    }

    /// Finds what a hard link leads to, once what has the link's own name is out of the way.
    fn hard_linked(&mut self, source: NodeId, target: &[u8], parent: NodeId, name: &[u8]) -> std::result::Result<NodeId, Unfit> {
        self.find(source, target).ok_or(LEADS_NOWHERE)?;
        if let Some(removed) = self.remove(parent, name)
            && self.is_within(source, removed)
        {
            return Err(LEADS_NOWHERE);
        }
        let linked = self.find(source, target).ok_or(LEADS_NOWHERE)?;
        if self.nodes[linked].is_directory() {
            return Err("a hard link leads to a directory");
        }
        Ok(linked)
    }

    /// Whether a directory is another one, or below it.
    fn is_within(&self, mut directory: NodeId, other: NodeId) -> bool {
        while directory != other && directory != ROOT {
            directory = self.above(directory);
        }
        directory == other
    }

    /// Marks the directories of which no entry has told anything, and ends the sketch.
    pub fn finish_layer(&mut self) -> Implied {
        let mut marks = Implied {
            root: self.told.implies_root(),
            below: false,
        };
        let ended = self.mark_below(&mut marks).and_then(|()| self.finish());
        self.unfit = self.unfit.or(ended.err());
        if let Some((name, value)) = marks.of_root() {
            self.nodes[ROOT].extended.insert(name.into(), value.into());
        }
        marks
    }

    fn mark_below(&mut self, marks: &mut Implied) -> std::result::Result<(), Unfit> {
        let told = std::mem::take(&mut self.told);
        for place in told.implied() {
            match self.walk(&names(place)) {
                Ok(directory) => {
                    let (name, value) = Implied::of_directory();
                    self.nodes[directory].extended.insert(name.into(), value.into());
                    marks.below = true;
                }
                // A later entry replaced it.
                Err(Lost::Absent) => {}
                Err(Lost::Unfit(unfit)) => return Err(unfit),
            }
        }
        self.told = told;
        Ok(())
    }
}
