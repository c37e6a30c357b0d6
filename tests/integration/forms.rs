//! Layers that are mounted without being unpacked: they are the same trees, and whatever is done with layers is done with them.

use crate::host::{Done, Host, until};
use crate::oci_images::layout;

/// Three layers, whose directories are not all told of.
const RECIPE: &str = r"
base = busybox()
base.directory('t', mode=0o751, uid=3, gid=4); base.add('t/below', b'below', uid=7)
base.add('t/set', b'x', mode=0o4755); base.directory('t/sub'); base.add('t/sub/one', b'one')
middle = layer(); middle.add('t/sub/two', b'two'); middle.add('t/.wh.below')
top = layer(); top.directory('t/sub', mode=0o700, uid=5); top.add('t/top', b'top' * 1000)
image('tree:1', [base, middle, top], Cmd=['sh'])
";

/// A host with the image, whose layers have a form.
fn host(form: &str) -> Host {
    let host = Host::new();
    layout(&host, "tree", RECIPE);
    run(&host, form, "load -i tree.tar").ok();
    host
}

fn run(host: &Host, form: &str, line: &str) -> Done {
    let mut command = host.command(&line.split_whitespace().collect::<Vec<_>>());
    command.env("TINYDOCK_LAYERS", form).output().expect("run tinydock").into()
}

/// How many layers are mounted, and how many are trees.
#[track_caller]
fn forms(host: &Host) -> (usize, usize) {
    let count = |test: &str| {
        let script = format!("n=0; for layer in root/layer/sha256/*; do [ {test} -e $layer/erofs ] && n=$((n+1)); done; echo $n");
        host.sh(&script).ok().trim().parse().expect("a number")
    };
    (count(""), count("!"))
}

/// All that is known of the files of the image, in a form.
fn shown(host: &Host, form: &str) -> String {
    let show = "find /bin /t -xdev | sort | xargs stat -c '%n %A %u %g %Y'; find /bin /t -xdev -type f | sort | xargs md5sum";
    let mut command = host.command(&["run", "--rm", "--network", "none", "tree:1", "sh", "-c", show]);
    let done: Done = command.env("TINYDOCK_LAYERS", form).output().expect("run tinydock").into();
    done.ok()
}

#[test]
fn a_layer_becomes_a_tree_where_it_cannot_be_mounted() {
    let host = host("image");
    // The directories that are only passed through are a tree.
    assert_eq!(forms(&host), (3, 1));
    let info = |form| run(&host, form, "info --format {{.Layers}}").ok();
    assert_eq!(info("image"), "images mounted without unpacking (EROFS)\n");
    assert_eq!(info("tree"), "unpacked folders (TINYDOCK_LAYERS says so)\n");
    let mounted = shown(&host, "image");
    assert!(mounted.contains("/t/top") && !mounted.contains("/t/below"), "{mounted}");
    assert_eq!(forms(&host), (3, 1));
    assert_eq!(shown(&host, "tree"), mounted);
    assert_eq!(forms(&host), (0, 4));
    assert_eq!(shown(&host, "image"), mounted);
    assert_eq!(host.run("system fsck").code, 0);
    host.run("rmi tree:1").ok();
    let wrong = run(&host, "both", "load -i tree.tar").fails(1);
    assert!(wrong.contains("`TINYDOCK_LAYERS` is neither `tree` nor `image`"), "{wrong}");
}

#[test]
fn what_is_damaged_is_found_and_made_again() {
    let host = host("image");
    assert_eq!(host.run("system fsck").code, 0);
    let largest = "$(ls -S root/layer/sha256/*/tar | head -1)";
    for (damage, told) in [
        (format!("printf X | dd of={largest} bs=1 seek=700 conv=notrunc status=none"), ""),
        ("for f in root/layer/sha256/*/erofs; do printf X | dd of=$f bs=1 seek=1400 conv=notrunc status=none; done".into(), "its index is not what its tarball says"),
        ("rm $(dirname $(ls root/layer/sha256/*/tar | head -1))/erofs".into(), "read its index"),
        (format!("touch $(dirname {largest})/more"), "it has other files"),
        (format!("chmod 700 $(dirname {largest})"), "is not marked as its tarball says"),
        // The blob is damaged as well, but the tarball is not.
        ("blob=$(ls -S root/image/blobs/sha256/* | head -1); cp $blob blob; rm $blob; printf X | dd of=$(ls root/layer/sha256/*/erofs | head -1) bs=1 seek=1400 conv=notrunc status=none".into(), "its index"),
    ] {
        host.sh(&damage).ok();
        let found = host.run("system fsck");
        assert_eq!(found.code, 1, "{damage}");
        assert!((found.stdout + &found.stderr).contains(told), "{damage}: {told}");
        host.run("system fsck --repair");
        host.sh("[ ! -e blob ] || mv blob root/image/blobs/sha256/$(sha256sum < blob | cut -c-64)").ok();
        let after = host.run("system fsck");
        assert_eq!(after.code, 0, "{damage}: {after:?}");
        assert_eq!(host.inside(&[], "tree:1", &["cat", "/t/sub/one", "/t/sub/two"]).ok(), "onetwo");
    }
    assert_eq!(forms(&host), (3, 1));
    // Without its tarball nothing of a layer is left that a tree could be made of.
    host.sh(&format!("printf X | dd of={largest} bs=1 seek=700 conv=notrunc status=none"))
        .ok();
    let wrong = run(&host, "tree", "run --rm --network none tree:1 true").fails(125);
    assert!(wrong.contains("damaged") || wrong.contains("tarball"), "{wrong}");
}

#[test]
fn whatever_is_done_with_layers_is_done_with_mounted_ones() {
    let host = host("image");
    host.tinydock(&[
        "run",
        "--name",
        "made",
        "--network",
        "none",
        "tree:1",
        "sh",
        "-c",
        "rm /t/top; echo new > /t/new; chmod 600 /t/set",
    ])
    .ok();
    assert_eq!(host.run("diff made").ok(), "C /t\nA /t/new\nC /t/set\nD /t/top\n");
    assert_eq!(host.sh("$TINYDOCK export made | tar -xO t/sub/two t/new").ok(), "new\ntwo");
    assert_eq!(host.sh("$TINYDOCK cp made:/t/sub/one - | tar -xO").ok(), "one");
    let id = host.run("commit made changed:1").ok();
    assert_eq!(forms(&host), (4, 2));
    assert_eq!(host.inside(&[], "changed:1", &["ls", "/t"]).ok(), "new\nset\nsub\n");
    host.sh("$TINYDOCK save changed:1 > saved.tar && $TINYDOCK rm made").ok();
    // A volume gets what the image has at its place.
    assert_eq!(
        host.inside(&["-v", "filled:/t/sub"], "tree:1", &["stat", "-c%a:%u", "/t/sub"])
            .ok(),
        "700:5\n"
    );
    assert_eq!(
        host.run("run --rm --network none -v filled:/x busybox cat /x/one").ok(),
        "one"
    );
    // Two files for a layer, and its directory.
    host.run("rmi changed:1 tree:1").ok();
    assert_eq!(
        host.sh("ls root/layer/sha256 root/layer/draft | grep -c '^[0-9a-f]' || true")
            .ok(),
        "1\n"
    );
    assert_eq!(host.run("load -q -i saved.tar").ok().trim(), "Loaded image: changed:1");
    assert_eq!(host.run("images -q --no-trunc changed").ok(), id);
    assert_eq!(host.inside(&[], "changed:1", &["cat", "/t/new"]).ok(), "new\n");
}

#[test]
fn files_of_mounted_layers_are_shown_to_others() {
    let host = host("image");
    let shown = |flags: &[&str], path: &str| {
        let flags = [flags, &["--mount", path]].concat();
        host.inside(&flags, "busybox", &["sh", "-c", "cd /x; stat -c '%n %u' *"]).ok()
    };
    let (whole, part) = (
        "type=image,src=tree:1,dst=/x",
        "type=image,src=tree:1,dst=/x,image-subpath=t/sub",
    );
    assert!(shown(&[], whole).contains("t 3\n"));
    assert_eq!(shown(&[], part), "one 0\ntwo 0\n");
    // One layer is an overlay of one and nothing.
    host.sh("mkdir -p one/a/b && touch one/a/b/c && tar -C one --owner=8 -cf root/image/registry/single.tar . || { mkdir -p root/image/registry && tar -C one --owner=8 -cf root/image/registry/single.tar .; }").ok();
    assert_eq!(shown(&[], "type=image,src=single,dst=/x,image-subpath=a/b"), "c 8\n");
    assert_eq!(shown(&["--userns", "auto"], "type=image,src=single,dst=/x"), "a 8\n");
    // With users of its own the root is what it is without.
    let users = host
        .inside(
            &["--userns", "auto"],
            "tree:1",
            &["stat", "-c%n %u:%a", "/t", "/t/set", "/t/sub", "/bin/busybox"],
        )
        .ok();
    assert_eq!(users, "/t 3:751\n/t/set 0:4755\n/t/sub 5:700\n/bin/busybox 0:755\n");
}

const SHORT: &str = "run --rm --network none tree:1 true";

/// How many mounts a command takes over from others, and how many it makes.
#[track_caller]
fn opened(host: &Host) -> String {
    // `grep -c` ends with 1 where it counts nothing.
    let script = format!(
        "strace -f -qq -o calls -e trace=pidfd_getfd,fsopen $TINYDOCK {SHORT} > /dev/null; \
         grep -c 'pidfd_getfd.*= [0-9]' calls || true; grep -c erofs calls || true"
    );
    host.sh(&script).ok()
}

#[test]
fn containers_that_run_at_once_share_mounts() {
    let host = host("image");
    let id = host.start(&["--network", "none", "tree:1", "sleep", "1000"]);
    // Those that end meanwhile do not hide the one that stays.
    for _ in 0..3 {
        assert_eq!(opened(&host), "3\n0\n");
    }
    // Nobody is on the host's mount table, and who has users of its own shows them to nobody else.
    assert_eq!(host.sh("grep -c erofs /proc/self/mounts || true").ok(), "0\n");
    assert_eq!(
        host.inside(&["--userns", "auto"], "tree:1", &["stat", "-c%u", "/t"]).ok(),
        "3\n"
    );
    assert_eq!(host.inside(&[], "tree:1", &["stat", "-c%u", "/t"]).ok(), "3\n");
    let another = host.start(&["--network", "none", "tree:1", "sleep", "1000"]);
    host.run(&format!("rm -f {id}")).ok();
    assert_eq!(opened(&host), "3\n0\n");
    // Whoever is the last takes them along.
    host.run(&format!("rm -f {another}")).ok();
    host.until_nothing_is_left();
    assert!(!opened(&host).ends_with("\n0\n"));
    host.until_nothing_is_left();
}

#[test]
fn a_mount_is_told_of_for_as_long_as_it_is_there() {
    let host = host("image");
    let links = || host.sh("find root/run/mount -type l 2>/dev/null | wc -l").ok();
    let id = host.start(&["--network", "none", "tree:1", "sleep", "1000"]);
    assert_eq!(links(), "6\n");
    host.run(&format!("rm -f {id}")).ok();
    until("its links are gone", || links() == "0\n");
    // What a monitor that was killed has told goes with what else it leaves.
    let id = host.start(&["--network", "none", "tree:1", "sleep", "1000"]);
    host.sh(&format!("kill -9 $(ps -o ppid= -p {})", host.init_of(&id))).ok();
    until("the container has ended", || !host.is_running(&id));
    assert!(!opened(&host).ends_with("\n0\n"));
    host.run("ps -a").ok();
    until("all links are gone", || links() == "0\n");
}

/// Whoever has mounted a layer just before it was made again tells of it afterwards.
#[test]
fn a_damaged_mount_is_not_passed_on() {
    let host = host("image");
    let damage = "printf X | dd of=$(ls -S root/layer/sha256/*/tar | head -1) bs=1 seek=700 conv=notrunc status=none";
    host.sh(damage).ok();
    host.start(&["--network", "none", "tree:1", "sleep", "1000"]);
    host.sh("cp -a root/run/mount told").ok();
    host.run("system fsck --repair");
    host.sh("rm -r root/run/mount && cp -a told root/run/mount").ok();
    assert_eq!(opened(&host).split('\n').next(), Some("2"), "one layer is mounted anew");
    assert_eq!(host.run("system fsck").code, 0);
}
