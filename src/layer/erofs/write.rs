//! A sketch becomes an index: first every inode gets its place, then all are written. The same sketch gives the same bytes.

use rustix::fs::FileType;

use super::format::{
    BLOCK, Entries, INODE, INODES, Inode, Layout, MOST_EXTENDED, SLOT, Superblock, chunk, chunk_bits, directory_size,
    extended_size, number,
};
use super::sketch::{Kind, Node, NodeId, ROOT, Sketch, Unfit};
use crate::layer::Content;

/// Where an inode and its content are.
#[derive(Clone, Copy)]
struct Placed {
    at: usize,
    /// How many names it has; none is not placed yet.
    links: u32,
    size: usize,
    layout: Layout,
}

struct Places<'a> {
    sketch: &'a Sketch,
    all: Vec<Placed>,
    /// The nodes that have names, in the order of their places.
    order: Vec<NodeId>,
    end: usize,
}

/// Writes the index of a tarball that was drawn.
pub fn write(sketch: &Sketch, content: &Content) -> Result<Vec<u8>, Unfit> {
    let blocks = u32::try_from(content.size.div_ceil(BLOCK as u64)).map_err(|_| "the tarball is too long")?;
    let places = Places::of(sketch)?;
    let mut image = vec![0; places.end];
    for (serial, id) in places.order.iter().enumerate() {
        places.write(&mut image, *id, serial as u32 + 1);
    }
    let superblock = Superblock {
        root: places.all[ROOT].at,
        inodes: places.order.len() as u64,
        tarball: content.diff_id.hex(),
        blocks,
    };
    superblock.write(&mut image);
    Ok(image)
}

/// The names in a directory, with its own two, in the order of their bytes.
fn entries(sketch: &Sketch, directory: NodeId) -> impl Iterator<Item = (&[u8], NodeId)> {
    let own = [(b".".as_slice(), directory), (b"..", sketch.above(directory))];
    let entries = sketch.entries(directory).iter().map(|(name, id)| (name.as_slice(), *id));
    let (before, after): (Vec<_>, Vec<_>) = entries.partition(|(name, _)| *name < b".".as_slice());
    let (between, after): (Vec<_>, Vec<_>) = after.into_iter().partition(|(name, _)| *name < b"..".as_slice());
    let [dot, dots] = own;
    before.into_iter().chain([dot]).chain(between).chain([dots]).chain(after)
}

impl Places<'_> {
    /// Finds a place for every node that has a name, those of one directory beside each other, and then for long content.
    fn of(sketch: &Sketch) -> Result<Places<'_>, Unfit> {
        let nowhere = Placed {
            at: 0,
            links: 0,
            size: 0,
            layout: Layout::Plain(0),
        };
        let mut places = Places {
            sketch,
            all: vec![nowhere; sketch.nodes.len()],
            order: Vec::new(),
            end: INODES,
        };
        places.place(ROOT)?;
        let mut left = vec![ROOT];
        while let Some(directory) = left.pop() {
            for child in sketch.entries(directory).values() {
                if places.all[*child].links == 0 {
                    places.place(*child)?;
                }
                places.all[*child].links += 1;
                if sketch.nodes[*child].is_directory() {
                    // Its own `.`, and its `..`.
                    places.all[*child].links += 1;
                    places.all[directory].links += 1;
                    left.push(*child);
                }
            }
        }
        places.all[ROOT].links += 2;
        places.place_blocks()?;
        Ok(places)
    }

    fn place(&mut self, id: NodeId) -> Result<(), Unfit> {
        let node = &self.sketch.nodes[id];
        let extended = extended_size(&node.extended);
        if extended > MOST_EXTENDED {
            return Err("a file has too many extended attributes");
        }
        let size = match &node.kind {
            Kind::Directory(..) => directory_size(entries(self.sketch, id).map(|(name, _)| name)),
            Kind::Link(target) => target.len(),
            _ => 0,
        };
        let (layout, behind) = match &node.kind {
            Kind::File { length: 1.., .. } => (Layout::Chunk(0), 8),
            _ if size > 0 && INODE + extended + size <= BLOCK => (Layout::Inline, size),
            _ => (Layout::Plain(0), 0),
        };
        let mut at = self.end.next_multiple_of(SLOT);
        let left = BLOCK - at % BLOCK;
        // Neither an inode nor what is inline may cross a block's end.
        if left < INODE || layout == Layout::Inline && left < INODE + extended + size {
            at = at.next_multiple_of(BLOCK);
        }
        self.end = match layout {
            Layout::Chunk(_) => (at + INODE + extended).next_multiple_of(8) + behind,
            _ => at + INODE + extended + behind,
        };
        self.all[id] = Placed {
            at,
            links: 0,
            size,
            layout,
        };
        self.order.push(id);
        Ok(())
    }

    /// Gives blocks to what has no room behind its inode.
    fn place_blocks(&mut self) -> Result<(), Unfit> {
        self.end = self.end.next_multiple_of(BLOCK);
        for id in &self.order {
            let placed = &mut self.all[*id];
            if let (Layout::Plain(_), 1..) = (placed.layout, placed.size) {
                placed.layout = Layout::Plain((self.end / BLOCK) as u32);
                self.end += placed.size.next_multiple_of(BLOCK);
            }
        }
        match u32::try_from(self.end / BLOCK) {
            Ok(_) => Ok(()),
            Err(_) => Err("the index is too long"),
        }
    }

    fn write(&self, image: &mut [u8], id: NodeId, serial: u32) {
        let (node, placed) = (&self.sketch.nodes[id], self.all[id]);
        let behind = placed.at + INODE + extended_size(&node.extended);
        let (mut size, mut layout, mut device) = (placed.size as u64, placed.layout, 0);
        let (at, content) = match (&node.kind, placed.layout) {
            (Kind::File { offset, length }, _) => {
                size = *length;
                if *length > 0 {
                    layout = Layout::Chunk(chunk_bits(*length));
                    (behind.next_multiple_of(8), chunk((offset / BLOCK as u64) as u32).to_vec())
                } else {
                    (behind, Vec::new())
                }
            }
            (Kind::Special(_, number), _) => {
                device = *number;
                (behind, Vec::new())
            }
            (_, Layout::Plain(block)) => (block as usize * BLOCK, self.content(id)),
            _ => (behind, self.content(id)),
        };
        image[at..at + content.len()].copy_from_slice(&content);
        let inode = Inode {
            layout,
            kind: kind(node),
            mode: node.mode,
            size,
            device,
            serial,
            user: node.user,
            group: node.group,
            seconds: node.modified.tv_sec,
            nanoseconds: node.modified.tv_nsec as u32,
            links: placed.links,
            extended: &node.extended,
        };
        inode.write(image, placed.at);
    }

    /// What a directory or a link says.
    fn content(&self, id: NodeId) -> Vec<u8> {
        match &self.sketch.nodes[id].kind {
            Kind::Link(target) => target.clone(),
            Kind::Directory(..) => {
                let mut all = Entries::default();
                for (name, child) in entries(self.sketch, id) {
                    all.add(name, number(self.all[child].at), kind(&self.sketch.nodes[child]));
                }
                all.finish()
            }
            _ => Vec::new(),
        }
    }
}

fn kind(node: &Node) -> FileType {
    match &node.kind {
        Kind::Directory(..) => FileType::Directory,
        Kind::File { .. } => FileType::RegularFile,
        Kind::Link(_) => FileType::Symlink,
        Kind::Special(kind, _) => *kind,
    }
}
