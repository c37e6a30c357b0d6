//! Both forms of a layer are the same tree. Mounting takes root.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, readlinkat, statx};
use tar::{Builder, EntryType, Header};

use super::super::proc_path;
use super::super::tarball::{DIRECTORY, names_in};
use super::*;

/// A directory of a test's own.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("tinydock-erofs-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        for directory in ["tree", "image"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        Place(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is known of each file below a directory, by its path.
pub type Listing = BTreeMap<Vec<u8>, String>;

fn list(directory: &Path) -> Listing {
    let mut found = Listing::new();
    let root = rustix::fs::openat(CWD, directory, DIRECTORY, Mode::empty()).unwrap();
    list_below(&root, b"", &mut found, &mut BTreeMap::new());
    found
}

fn list_below(directory: &std::os::fd::OwnedFd, path: &[u8], found: &mut Listing, linked: &mut BTreeMap<u64, Vec<u8>>) {
    let all = names_in(directory).unwrap();
    for name in std::iter::once(b".".to_vec()).chain(all) {
        if name == b"." && !path.is_empty() {
            continue;
        }
        let full = [path, b"/", &name].concat();
        found.insert(full.clone(), describe(directory, &name, &full, linked));
        let below = rustix::fs::openat(directory, name.as_slice(), DIRECTORY, Mode::empty());
        if let (Ok(below), false) = (below, name == b".") {
            list_below(&below, &full, found, linked);
        }
    }
}

fn describe(directory: &std::os::fd::OwnedFd, name: &[u8], full: &[u8], linked: &mut BTreeMap<u64, Vec<u8>>) -> String {
    let stat = statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS).unwrap();
    let kind = FileType::from_raw_mode(stat.stx_mode.into());
    let mut text = format!(
        "{:o} {}:{} {}:{}",
        stat.stx_mode, stat.stx_uid, stat.stx_gid, stat.stx_rdev_major, stat.stx_rdev_minor
    );
    let path = format!("{}/{}", proc_path(directory), String::from_utf8_lossy(name));
    match kind {
        FileType::Symlink => text += &format!(" to {:?}", readlinkat(directory, name, Vec::new()).unwrap()),
        FileType::RegularFile => {
            use sha2::Digest as _;
            let how = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(directory, name, how, Mode::empty()).unwrap());
            let (mut content, mut hasher) = (Vec::new(), sha2::Sha256::new());
            file.read_to_end(&mut content).unwrap();
            hasher.update(&content);
            text += &format!(" {} {} bytes", crate::store::Digest::of(hasher), stat.stx_size);
        }
        _ => {}
    }
    if kind != FileType::Directory {
        let first = linked.entry(stat.stx_ino).or_insert(full.to_vec());
        text += &format!(" links {} is {}", stat.stx_nlink, first.escape_ascii());
    }
    // A whiteout has no time of its own.
    if (kind, stat.stx_rdev_major, stat.stx_rdev_minor) != (FileType::CharacterDevice, 0, 0) {
        text += &format!(" at {}.{}", stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
    }
    if let Ok(attributes) = attributes(&path) {
        text += &attributes;
    }
    text
}

fn attributes(path: &str) -> rustix::io::Result<String> {
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut names)?;
    let mut names: Vec<&[u8]> = names[..length].split(|c| *c == 0).filter(|name| !name.is_empty()).collect();
    names.sort();
    let mut text = String::new();
    for name in names.into_iter().filter(|name| *name != MARK.as_bytes()) {
        let mut value = vec![0; 1 << 16];
        let length = lgetxattr(path, name, &mut value)?;
        text += &format!(" {}={}", name.escape_ascii(), value[..length].escape_ascii());
    }
    Ok(text)
}

/// What both forms make of a tarball: errors as their messages, and none for the image where that is not made.
pub fn both(name: &str, tarball: &[u8], limits: &Limits) -> (Result<Listing>, Option<Result<Listing>>) {
    let place = Place::new(name);
    let (tree, image) = (place.0.join("tree"), place.0.join("image"));
    let unpacked = unpack(tarball, &tree, limits).map(|_| list(&tree));
    let made = make_image(tarball, None, &image, limits).map(|content| {
        if !is_image(&image) {
            return None;
        }
        assert_eq!(check(&image, limits).unwrap(), content);
        let Mounted { mount, .. } = mount(&image).unwrap();
        Some(list(format!("{}/.", proc_path(&mount)).as_ref()))
    });
    (unpacked, made.transpose())
}

const LIMITS: Limits = Limits {
    bytes: 1 << 30,
    entries: 1 << 20,
};

/// Writes a tarball whose entries are named as they are.
struct Packer(Builder<Vec<u8>>);

impl Packer {
    fn new() -> Packer {
        Packer(Builder::new(Vec::new()))
    }

    fn extended(mut self, records: &[(&str, &[u8])]) -> Packer {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    fn add(mut self, kind: EntryType, name: &[u8], target: &[u8], mode: u32, data: &[u8]) -> Packer {
        use std::os::unix::ffi::OsStrExt;
        let as_path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(name.len() as u64 * 70_000);
        header.set_gid(7);
        header.set_mtime(1_600_000_000 + name.len() as u64);
        header.set_size(data.len() as u64);
        header.set_device_major(5).unwrap();
        header.set_device_minor(300).unwrap();
        if target.is_empty() {
            self.0.append_data(&mut header, as_path(name), data).unwrap();
        } else {
            self.0.append_link(&mut header, as_path(name), as_path(target)).unwrap();
        }
        self
    }

    fn file(self, name: &[u8], data: &[u8]) -> Packer {
        self.add(EntryType::Regular, name, b"", 0o640, data)
    }

    fn directory(self, name: &[u8]) -> Packer {
        self.add(EntryType::Directory, name, b"", 0o2750, b"")
    }

    fn link(self, name: &[u8], target: &[u8]) -> Packer {
        self.add(EntryType::Symlink, name, target, 0o777, b"")
    }

    fn hard(self, name: &[u8], target: &[u8]) -> Packer {
        self.add(EntryType::Link, name, target, 0o644, b"")
    }

    #[track_caller]
    fn same(self, name: &str) -> Listing {
        let (tree, image) = both(name, &self.0.into_inner().unwrap(), &LIMITS);
        let (tree, image) = (tree.unwrap(), image.expect("an image is made").unwrap());
        for path in tree.keys().chain(image.keys()) {
            assert_eq!(image.get(path), tree.get(path), "{}", path.escape_ascii());
        }
        image
    }
}

#[test]
#[ignore = "it mounts, which only root may: `make test` runs it"]
fn files_of_all_kinds_are_the_same() {
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let big: Vec<u8> = (0..700_000u32).flat_map(|n| n.to_le_bytes()).collect();
    Packer::new()
        .directory(b"a/")
        .file(b"a/empty", b"")
        .file(b"a/small", b"small")
        .file(b"a/block", &[7; 512])
        .file(b"big", &big)
        .add(EntryType::Regular, b"set", b"", 0o6755, b"x")
        .link(b"l", b"a")
        .file(b"l/through", b"a symlinked parent")
        .link(b"long", &[b'x'; 600])
        .link(b"longest", &[b'x'; 4095])
        .hard(b"hard", b"a/small")
        .hard(b"soft", b"l")
        .add(EntryType::Char, b"char", b"", 0o620, b"")
        .add(EntryType::Block, b"block", b"", 0o660, b"")
        .add(EntryType::Fifo, b"fifo", b"", 0o600, b"")
        .extended(&[
            ("SCHILY.xattr.user.one", b"1"),
            ("SCHILY.xattr.user.empty", b"x"),
            ("mtime", b"-1.25"),
        ])
        .file(b"attributes", b"x")
        .extended(&[
            ("SCHILY.xattr.security.capability", &capability),
            ("mtime", b"1700000000.123456789"),
        ])
        .file(b"capable", b"x")
        .extended(&[("SCHILY.xattr.trusted.long", &[b'v'; 2000])])
        .directory(b"attributed/")
        .file(b"attributed/x", b"x")
        .file(b"of/nobody/x", b"x")
        .file(b"not UTF-8 \xff\xfe", b"x")
        .file(&[b'n'; 255], b"x")
        .file(b".wh.gone", b"")
        .file(b"o/.wh..wh..opq", b"")
        .same("kinds");
}

#[test]
#[ignore = "it mounts, which only root may: `make test` runs it"]
fn what_comes_later_counts() {
    Packer::new()
        .file(b"d/one", b"1")
        .directory(b"d/")
        .file(b"d/one", b"2")
        .file(b"was/file/below", b"x")
        .file(b"was", b"now a file")
        .file(b"f", b"a file")
        .file(b"f/below", b"x")
        .file(b"h1", b"linked")
        .hard(b"h2", b"h1")
        .hard(b"h3", b"h2")
        .file(b"h1", b"another")
        .hard(b"h4", b"h1")
        .file(b"h4", b"no link any more")
        .file(b".wh.w", b"")
        .directory(b"w/")
        .file(b".wh.v", b"")
        .file(b"v/x", b"")
        .directory(b"u/")
        .file(b".wh.u", b"")
        .link(b"self", b".")
        .file(b"self/a", b"x")
        .file(b"self/self", b"x")
        .file(b"self/b", b"still the same directory")
        .link(b"nowhere", b"../../some/where")
        .file(b"nowhere/x", b"x")
        .directory(b"set/")
        .file(b"set/passed/x", b"x")
        .same("later");
}

#[test]
#[ignore = "it mounts, which only root may: `make test` runs it"]
fn a_directory_may_be_large() {
    let mut packer = Packer::new();
    for n in 0..600 {
        packer = packer.file(
            format!("many/{}{n}", "x".repeat(n % 200)).as_bytes(),
            n.to_string().as_bytes(),
        );
    }
    for name in ["!", "-", ".", ".a", "..a", "...", "~"].iter().filter(|name| **name != ".") {
        packer = packer.file(format!("many/{name}").as_bytes(), name.as_bytes());
    }
    for n in 0..300 {
        packer = packer.directory(format!("many/d{n}/{}/", "deep/".repeat(n % 20)).as_bytes());
    }
    assert!(packer.same("large").len() > 900);
}

#[test]
#[ignore = "it mounts, which only root may: `make test` runs it"]
fn what_an_index_cannot_say_is_unpacked() {
    let value = [b'v'; 1000];
    let strange = Packer::new()
        .extended(&[("SCHILY.xattr.security.strange", &value)])
        .file(b"x", b"x");
    let (tree, image) = both("unfit", &strange.0.into_inner().unwrap(), &LIMITS);
    assert_eq!((tree.is_ok(), image.is_none()), (true, true));
    let place = Place::new("unfit");
    let early = Packer::new()
        .directory(b"./")
        .file(b"old", b"x")
        .hard(b"y", b"missing")
        .0
        .into_inner()
        .unwrap();
    let (tree, image) = (
        unpack(early.as_slice(), &place.0.join("tree"), &LIMITS),
        make_image(early.as_slice(), None, &place.0.join("image"), &LIMITS),
    );
    assert_eq!(image.unwrap_err().to_string(), tree.unwrap_err().to_string());
}

#[test]
#[ignore = "it mounts, which only root may: `make test` runs it"]
fn the_same_tarball_gives_the_same_index_and_damage_is_found() {
    let place = Place::new("check");
    let tarball = Packer::new()
        .file(b"a/b", b"content")
        .link(b"l", b"a")
        .0
        .into_inner()
        .unwrap();
    let image = place.0.join("image");
    make_image(tarball.as_slice(), None, &image, &LIMITS).unwrap();
    assert_eq!(fs::read(image.join(TAR)).unwrap(), tarball);
    let index = fs::read(image.join(INDEX)).unwrap();
    fs::create_dir(place.0.join("again")).unwrap();
    make_again(&image, &place.0.join("again"), &LIMITS).unwrap();
    assert_eq!(fs::read(place.0.join("again").join(INDEX)).unwrap(), index);
    check(&image, &LIMITS).unwrap();
    let mut damaged = index.clone();
    damaged[1400] ^= 1;
    fs::write(image.join(INDEX), &damaged).unwrap();
    assert!(check(&image, &LIMITS).is_err());
    fs::write(image.join(INDEX), &index).unwrap();
    check(&image, &LIMITS).unwrap();
    rustix::fs::chmod(&image, Mode::from_raw_mode(0o700)).unwrap();
    assert!(check(&image, &LIMITS).is_err());
}
