//! The tree that a container sees is the one that umoci and Podman unpack: mode, owner, times, extended attributes and content of each
//! file.
//!
//! umoci unpacks all layers into one directory, which is what the specification describes. Podman unpacks each layer alone and has
//! overlayfs stack them, as tinydock does. Where the two differ, the test says who is right.

use crate::host::{Done, Host};
use crate::oci_images::layout;

/// Everything that is hard to get right, below `/t`.
const RECIPE: &str = r"
import subprocess
base = busybox()
base.directory('t', mode=0o751, uid=3, gid=4)
for n in 'gone kept replaced opaque deep'.split():
    base.directory('t/' + n); base.add(f't/{n}/file', n.encode()); base.add(f't/{n}/other', b'other')
base.add('t/file', b'below', mode=0o644)
base.add('t/setuid', b'x', mode=0o4755); base.add('t/setgid', b'x', mode=0o2711); base.directory('t/sticky', mode=0o1777)
base.add('t/owned', b'x', uid=1234567, gid=7654321)
base.add('t/hard-one', b'hard'); base.add('t/hard-two', type=tarfile.LNKTYPE, linkname='t/hard-one')
base.add('t/hard-gone', type=tarfile.LNKTYPE, linkname='t/hard-one')
base.add('t/pair-one', b'pair'); base.add('t/pair-gone', type=tarfile.LNKTYPE, linkname='t/pair-one')
base.link('t/link', 'file', uid=5, gid=6); base.link('t/dangling', '../../nowhere'); base.link('t/way', 'kept')
base.add('t/way/through', b'a symlinked parent')
base.add('t/fifo', type=tarfile.FIFOTYPE); base.add('t/null', type=tarfile.CHRTYPE, devmajor=1, devminor=3)
base.add('t/loop', type=tarfile.BLKTYPE, devmajor=7, devminor=1, mode=0o600)
base.add('t/attributes', b'x', pax_headers={'SCHILY.xattr.user.one': 'value', 'SCHILY.xattr.user.two': 'a=b\nc'})
base.add('t/none', b'x', pax_headers={'SCHILY.xattr.user.none': '', 'SCHILY.xattr.user.some': 'x'})
base.directory('t/attributed', pax_headers={'SCHILY.xattr.user.of-directory': 'value'})
base.add('t/capable', b'x', pax_headers={'SCHILY.xattr.security.capability': '\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'})
base.add('t/capable-and-setuid', b'x', mode=0o4755, uid=7, pax_headers={'SCHILY.xattr.security.capability': '\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'})
base.add('t/exact', b'x', mtime=1700000000.123456)
base.add('t/' + 'long' * 50, b'long')
for n in range(1, 60): base.directory('t/' + '/'.join(['dir'] * n))
base.add('t/' + 'dir/' * 59 + 'deep', b'deep')
base.add('t/size-of-record', b'12345', pax_headers={'size': '5'})
base.add('t/empty', b''); base.add('t/big', bytes(range(256)) * 4096)
odd = layer(format=tarfile.GNU_FORMAT, errors='surrogateescape')
odd.directory('t', mode=0o755)
odd.add('t/caf\udce9\udcff', b'not UTF-8'); odd.add('t/new\nline', b'x'); odd.add('t/old', b'x', mtime=1)
odd.add('t/large-owner', b'x', uid=0x7ffffffe, gid=5000000)
odd.directory('t/d\udcff'); odd.add('t/d\udcff/gone\udcfe', b'x'); odd.add('t/d\udcff/kept', b'x')
top = layer(format=tarfile.GNU_FORMAT, errors='surrogateescape')
top.directory('t', mode=0o755)
top.add('t/.wh.gone'); top.add('t/.wh.dangling'); top.add('t/.wh.hard-gone'); top.add('t/.wh.pair-gone')
top.directory('t/d\udcff', mode=0o700); top.add('t/d\udcff/.wh.gone\udcfe')
top.directory('t/opaque', mode=0o700); top.add('t/opaque/.wh..wh..opq'); top.add('t/opaque/new', b'new')
top.add('t/.wh.replaced'); top.add('t/replaced', b'a file now')
top.directory('t/kept', mode=0o711, uid=9); top.add('t/kept/.wh.file'); top.add('t/kept/added', b'added')
top.add('t/file', b'above', mode=0o600)
top.directory('t/deep'); top.directory('t/deep/er'); top.add('t/deep/er/file', b'x')
last = layer()
last.directory('t', mode=0o755, uid=3)
last.add('t/.wh.deep'); last.directory('t/deep'); last.add('t/deep/only', b'only')
last.directory('t/gone', mode=0o750); last.add('t/gone/again', b'again')
def sparse(form):
    script = 'mkdir -p s/t; cd s; truncate -s 5M t/sparse-$1; printf middle | dd of=t/sparse-$1 bs=1M seek=3 conv=notrunc status=none'
    script += '; tar --format=$1 -S --mtime=@1700000000 --owner=1 --group=2 --mode=640 -c t/sparse-$1'
    return subprocess.run(['sh', '-ec', script, 'sh', form], stdout=subprocess.PIPE, check=True).stdout
def one_of_many(n):
    new = layer(); new.directory('t', mode=0o755, uid=n); new.add(f't/many-{n}', str(n).encode())
    new.add(f't/.wh.many-{n - 1}')
    return new
many = [one_of_many(n) for n in range(20)]
image('tree:1', [base, odd, top, last, sparse('posix')] + many, Cmd=['true'])
";

#[test]
fn a_tree_is_what_others_make_of_it() {
    let host = Host::new();
    let trees = Trees::of(&host, RECIPE, "/t", true);
    assert!(trees.ours.lines().count() > 80, "{}", trees.ours);
    same("umoci", &trees.ours, &trees.umoci);
    // Podman lets through what is below a directory that a layer both takes away and makes; the specification does not.
    same("podman", &without("/deep", &trees.ours), &without("/deep", &trees.podman));
}

/// Directories that a layer has something in, but says nothing about.
const PASSED: &str = r"
base = busybox()
base.directory('t', mode=0o751, uid=3)
base.directory('t/plain', mode=0o2711, uid=5, gid=6, mtime=1600000000, pax_headers={'SCHILY.xattr.user.one': 'value'})
base.add('t/plain/file', b'x')
base.directory('t/plain/below', mode=0o1770, uid=7); base.add('t/plain/below/file', b'x')
for n in 'between opaque gone later file removed'.split():
    base.directory('t/' + n, mode=0o700, uid=8, mtime=1500000000); base.add(f't/{n}/old', b'old')
base.directory('t/opaque/sub', mode=0o711, uid=8); base.add('t/opaque/sub/old', b'old')
base.directory('real', mode=0o755); base.directory('real/dir', mode=0o710, uid=9); base.link('t/link', '../real')
one = layer()
one.add('t/plain/below/one', b'one')
one.directory('t/between', mode=0o750, uid=10, mtime=1550000000)
one.add('t/opaque/.wh..wh..opq'); one.add('t/opaque/sub/new', b'new')
one.add('t/removed/.wh.old')
two = layer()
two.add('t/plain/below/two', b'two'); two.add('t/between/two', b'two')
two.add('t/.wh.gone'); two.add('t/gone/again', b'again')
two.directory('t/later', mode=0o701, uid=11, mtime=1560000000); two.add('t/.wh.file')
two.add('t/children/first', b'x'); two.directory('t/children', mode=0o730)
two.link('t/into', '../real/dir'); two.add('t/into/below', b'below')
three = layer()
three.add('t/later/three', b'three'); three.add('t/file/new', b'new'); three.add('t/fresh/deep/down', b'x')
image('tree:1', [base, one, two, three], Cmd=['true'])
";

#[test]
fn a_directory_that_is_only_passed_through_stays_as_it_was() {
    let host = Host::new();
    // Podman gives such directories usual attributes, and cannot unpack one that the same layer takes away.
    let trees = Trees::of(&host, PASSED, "/t", false);
    let plain = trees.ours.lines().find(|line| line.starts_with("/plain ")).expect("a line");
    assert_eq!(plain, "/plain 42711 5:6 time=1600000000.000000000 user.one=value");
    // What nobody has told has the time when umoci made it, and the epoch's with us. What has changed in a directory changes its
    // time for umoci, and not with us: whoever packed the layer did not say so.
    let untold = [" ", "/gone ", "/opaque ", "/opaque/sub ", "/file ", "/fresh ", "/fresh/deep "];
    let timeless = |tree: &str| -> String {
        let lines = tree.lines().map(|line| match line.split_once(" time=") {
            Some((before, _)) if untold.iter().any(|name| line.starts_with(name)) => format!("{before}\n"),
            _ => format!("{line}\n"),
        });
        lines.collect()
    };
    same("umoci", &timeless(&trees.ours), &timeless(&trees.umoci));
    // All else that has to do with it: nothing is left, nothing is missing, and what is damaged is found and made anew.
    let stacked = || host.sh("ls -d root/layer/sha256/* | wc -l").ok().trim().to_string();
    assert_eq!(stacked(), "5");
    assert_eq!(host.run("system fsck").code, 0);
    let find = "for layer in root/layer/sha256/*; do [ -n \"$(find $layer ! -type d)\" ] || echo $layer; done";
    let top = host.sh(find).ok();
    host.sh(&format!("chmod 700 {}/t/plain", top.trim())).ok();
    assert_eq!(host.run("system fsck").code, 1);
    host.run("system fsck --repair");
    assert_eq!(host.run("system fsck").code, 0);
    host.sh(&format!("rm -rf {}", top.trim())).ok();
    assert_eq!(host.inside(&[], "tree:1", &["stat", "-c%a", "/t/plain"]).ok(), "2711\n");
    host.run("rmi tree:1").ok();
    assert_eq!(
        host.sh("ls root/layer/sha256 root/layer/draft | grep -c '^[0-9a-f]' || true")
            .ok(),
        "0\n"
    );
}

/// Directories that become others while entries are made in them, and links in the midst of what is made.
const MOVING: &str = r"
base = busybox()
base.directory('t', mode=0o751); base.directory('t/x'); base.directory('t/x/y'); base.add('t/x/y/old', b'old')
base.add('t/x', b'a file'); base.directory('t/x'); base.directory('t/x/y', mode=0o711); base.add('t/x/y/new', b'new')
base.directory('t/two'); base.directory('t/two/in'); base.directory('t/one'); base.link('t/one/near', '../two')
base.link('t/one/far', '/t/two/in'); base.add('t/one/a', b'a')
base.add('t/one/near/b', b'b'); base.add('t/one/near/in/c', b'c'); base.add('t/one/d', b'd')
base.directory('t/one/far/e', mode=0o700); base.add('t/one/far/e/f', b'f'); base.add('t/one/near/.wh.nothing')
base.directory('t/v'); base.directory('t/v/w'); base.link('t/v/w/up', '../..'); base.add('t/v/w/g', b'g')
base.directory('t/v/w/up/v', mode=0o705); base.add('t/v/w/up/v/w/h', b'h'); base.add('t/v/w/i', b'i')
for n in range(1, 400): base.directory('t/' + '/'.join('d' * n), mode=0o700 + n % 8, mtime=1600000000 + n)
image('tree:1', [base], Cmd=['true'])
";

#[test]
fn what_was_opened_last_is_what_its_name_still_means() {
    let host = Host::new();
    let trees = Trees::of(&host, MOVING, "/t", false);
    assert!(trees.ours.lines().count() > 415, "{}", trees.ours);
    same("umoci", &trees.ours, &trees.umoci);
    // A link leads above what was opened, and what is there is replaced.
    let recipe = "x = layer(); x.directory('a'); x.directory('a/b'); x.add('a/b/one', b'1'); x.link('a/b/up', '../..')
x.add('a/b/up/a', b'a file'); x.add('a/b/two', b'2'); image('above:1', [busybox(), x])";
    let seen = in_both_forms(&host, recipe);
    assert_eq!(seen, "/a:\nb\n\n/a/b:\ntwo\n");
    // The next entry has the same name for what is above, but that leads there no longer.
    let recipe = "x = layer(); x.directory('a'); x.directory('a/b'); x.link('a/b/up', '../..')
x.add('a/b/up/a', b'a file'); x.add('a/b/up/two', b'2'); image('above:1', [busybox(), x])";
    let seen = in_both_forms(&host, recipe);
    assert_eq!(seen, "/a:\nb\n\n/a/b:\nup\n\n/a/b/up:\ntwo\n");
    // A directory has become a link that leads in a circle.
    let recipe = "x = layer(); x.directory('a'); x.directory('a/b'); x.link('a/b', 'b'); image('above:1', [busybox(), x])";
    let seen = in_both_forms(&host, recipe);
    assert_eq!(seen, "/a:\nb\n");
}

/// What is in the image `above:1` of a recipe, below `/a`.
fn in_both_forms(host: &Host, recipe: &str) -> String {
    layout(host, "above", recipe);
    let seen = ["tree", "image"].map(|form| {
        host.sh(&format!("TINYDOCK_LAYERS={form} $TINYDOCK load -q -i above.tar"))
            .ok();
        let seen = host.inside(&[], "above:1", &["ls", "-R", "/a"]).ok();
        host.run("rmi above:1").ok();
        seen
    });
    same("the image", &seen[0], &seen[1]);
    let [seen, _] = seen;
    seen
}

/// Lengths that twelve octal digits do not say, in both forms that they come in.
#[test]
fn a_file_may_be_longer_than_8_gib() {
    let host = Host::new();
    host.sh("mkdir one && truncate -s 9G one/hole && printf end >> one/hole && mkdir -p root/image/registry")
        .ok();
    for form in ["gnu", "posix"] {
        host.sh(&format!(
            "tar -C one --format={form} -Scf root/image/registry/{form}.tar . && cp /bin/busybox ."
        ))
        .ok();
        host.sh(&format!(
            "tar --transform s,^,bin/, --format={form} -rf root/image/registry/{form}.tar busybox"
        ))
        .ok();
        let look = "stat -c '%s %b' /hole; tail -c 3 /hole";
        let seen = host.inside(&[], form, &["/bin/busybox", "sh", "-c", look]).ok();
        let (size, rest) = seen.split_once(' ').expect("a size");
        let (blocks, end) = rest.split_once('\n').expect("blocks");
        assert_eq!((size, end), ("9663676419", "end"));
        assert!(blocks.parse::<u64>().expect("a number") < 100, "{blocks}");
    }
}

/// Layers that were mounted are unpacked, and are the same tree.
#[track_caller]
fn both_forms(host: &Host, tools: &str, path: &str, mounted: &str) {
    let count = || host.sh("ls root/layer/sha256/*/erofs 2>/dev/null | wc -l").ok();
    assert_ne!(count(), "0\n");
    let mut command = host.command(&["run", "--rm", "--network", "none", "-v", tools, "tree:1", "/tools/tree", path]);
    let unpacked: Done = command.env("TINYDOCK_LAYERS", "tree").output().expect("run tinydock").into();
    same("the tree", mounted, &unpacked.ok());
    assert_eq!(count(), "0\n");
}

struct Trees {
    ours: String,
    umoci: String,
    podman: String,
}

impl Trees {
    /// What three tools make of the image `tree:1` at a path.
    #[track_caller]
    fn of(host: &Host, recipe: &str, path: &str, with_podman: bool) -> Trees {
        layout(host, "tree", recipe);
        let tools = host.compile("tree", include_str!("tree.c"));
        host.run("load -i tree.tar").ok();
        let ours = host.inside(&["-v", &tools], "tree:1", &["/tools/tree", path]).ok();
        both_forms(host, &tools, path, &ours);
        host.sh("umoci unpack --image tree:tree:1 bundle").ok();
        let umoci = host.sh(&format!("tools/tree bundle/rootfs{path}")).ok();
        if !with_podman {
            let podman = String::new();
            return Trees { ours, umoci, podman };
        }
        host.sh("mkdir store run").ok();
        let podman = "podman --root $PWD/store --runroot $PWD/run --storage-driver overlay";
        host.sh(&format!("{podman} load -q -i tree.tar")).ok();
        let mounted = format!(
            "at=$({podman} image mount $({podman} images -q | head -1)); tools/tree $at{path}; {podman} image unmount -a > /dev/null"
        );
        let podman = host.sh(&mounted).ok();
        host.sh("umount -l store/overlay 2>/dev/null || true").ok();
        Trees { ours, umoci, podman }
    }
}

/// A tree without what is at a path.
fn without(path: &str, tree: &str) -> String {
    let lines = tree.lines().filter(|line| !line.starts_with(path));
    lines.map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn same(whose: &str, ours: &str, theirs: &str) {
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
    let missing: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    let added: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "{whose} has {missing:#?}\nwe have {added:#?}"
    );
}
