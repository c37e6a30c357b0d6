//! The tree that a container sees is the one that umoci and Podman unpack: mode, owner, times, extended attributes and content of each
//! file.

use crate::host::Host;
use crate::oci_images::layout;

/// Everything that is hard to get right, below `/t`.
const RECIPE: &str = r"
import struct
base = busybox()
base.directory('t', mode=0o751, uid=3, gid=4)
for n in 'gone kept replaced opaque deep'.split():
    base.directory('t/' + n); base.add(f't/{n}/file', n.encode()); base.add(f't/{n}/other', b'other')
base.add('t/file', b'below', mode=0o644)
base.add('t/setuid', b'x', mode=0o4755); base.add('t/setgid', b'x', mode=0o2711); base.directory('t/sticky', mode=0o1777)
base.add('t/owned', b'x', uid=1234567, gid=7654321)
base.add('t/hard-one', b'hard'); base.add('t/hard-two', type=tarfile.LNKTYPE, linkname='t/hard-one')
base.link('t/link', 'file', uid=5, gid=6); base.link('t/dangling', '../../nowhere'); base.link('t/way', 'kept')
base.add('t/way/through', b'a symlinked parent')
base.add('t/fifo', type=tarfile.FIFOTYPE); base.add('t/null', type=tarfile.CHRTYPE, devmajor=1, devminor=3)
base.add('t/loop', type=tarfile.BLKTYPE, devmajor=7, devminor=1, mode=0o600)
base.add('t/attributes', b'x', pax_headers={'SCHILY.xattr.user.one': 'value'})
base.add('t/capable', b'x', pax_headers={'SCHILY.xattr.security.capability': '\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'})
base.add('t/exact', b'x', mtime=1700000000.123456)
base.add('t/' + 'long' * 50, b'long'); 
for n in range(1, 60): base.directory('t/' + '/'.join(['dir'] * n))
base.add('t/' + 'dir/' * 59 + 'deep', b'deep')
base.add('t/empty', b''); base.add('t/big', bytes(range(256)) * 4096)
odd = layer(format=tarfile.GNU_FORMAT, errors='surrogateescape')
odd.directory('t', mode=0o755)
odd.add('t/caf\udce9\udcff', b'not UTF-8'); odd.add('t/new\nline', b'x'); odd.add('t/old', b'x', mtime=1)
top = layer()
top.directory('t', mode=0o755)
top.add('t/.wh.gone'); top.add('t/.wh.dangling')
top.directory('t/opaque', mode=0o700); top.add('t/opaque/.wh..wh..opq'); top.add('t/opaque/new', b'new')
top.add('t/.wh.replaced'); top.add('t/replaced', b'a file now')
top.directory('t/kept', mode=0o711, uid=9); top.add('t/kept/.wh.file'); top.add('t/kept/added', b'added')
top.add('t/file', b'above', mode=0o600)
top.directory('t/deep'); top.directory('t/deep/er'); top.add('t/deep/er/file', b'x')
last = layer()
last.directory('t', mode=0o755, uid=3)
last.add('t/.wh.deep'); last.directory('t/deep'); last.add('t/deep/only', b'only')
last.directory('t/gone', mode=0o750); last.add('t/gone/again', b'again')
image('tree:1', [base, odd, top, last], Cmd=['true'])
";

#[test]
fn a_tree_is_what_others_make_of_it() {
    let host = Host::new();
    layout(&host, "tree", RECIPE);
    let tools = host.compile("tree", include_str!("tree.c"));
    host.run("load -i tree.tar").ok();
    let ours = host.inside(&["-v", &tools], "tree:1", &["/tools/tree", "/t"]).ok();
    host.sh("umoci unpack --image tree:tree:1 bundle").ok();
    let umoci = host.sh("tools/tree bundle/rootfs/t").ok();
    same("umoci", &ours, &umoci);
    host.sh("mkdir store run").ok();
    let podman = "podman --root $PWD/store --runroot $PWD/run --storage-driver overlay";
    host.sh(&format!("{podman} load -q -i tree.tar")).ok();
    let mounted = format!(
        "at=$({podman} image mount $({podman} images -q | head -1)); tools/tree $at/t; {podman} image unmount -a > /dev/null"
    );
    let podman = host.sh(&mounted).ok();
    // Podman lets through what is below a directory that a layer both takes away and makes; the specification does not.
    let without = |tree: &str| -> String {
        let lines = tree.lines().filter(|line| !line.starts_with("/deep"));
        lines.map(|line| format!("{line}\n")).collect()
    };
    same("podman", &without(&ours), &without(&podman));
    host.sh("umount -l store/overlay 2>/dev/null || true").ok();
}

#[track_caller]
fn same(whose: &str, ours: &str, theirs: &str) {
    assert!(ours.lines().count() > 80, "{ours}");
    let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
    let missing: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    let added: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "{whose} has {missing:#?}\nwe have {added:#?}"
    );
}
