//! Images that are wrong or want to reach the host, and loads that are killed or find no room.

use std::fs;
use std::path::Path;

use crate::host::Host;
use crate::oci_images::{SMALL, is_sound, layout};
use crate::tracer::{self, Kill, Role};

#[test]
fn what_is_wrong_with_an_archive_is_found() {
    let host = Host::new();
    let break_it = |name: &str, script: &str| {
        layout(&host, name, SMALL);
        host.sh(&format!(
            "cd {name}; python3 -c \"{script}\"; tar -cf ../{name}.tar blobs index.json oci-layout"
        ))
        .ok();
        let message = host.run(&format!("load -i {name}.tar")).fails(1);
        assert_eq!(host.run("images -q small").ok(), "", "{name}");
        is_sound(&host);
        message
    };
    let largest = "import glob,os,json; p=max(glob.glob('blobs/sha256/*'), key=os.path.getsize); d=open(p,'rb').read();";
    let message = break_it(
        "flipped",
        &format!("{largest} open(p,'wb').write(d[:-9]+bytes([d[-9]^1])+d[-8:])"),
    );
    assert!(message.contains("digest"), "{message}");
    let message = break_it("short", &format!("{largest} open(p,'wb').write(d[:-9])"));
    assert!(message.contains("digest") || message.contains("bytes"), "{message}");
    let message = break_it("gone", &format!("{largest} os.unlink(p)"));
    assert!(message.contains("missing"), "{message}");
    let message = break_it(
        "size",
        "import json; i=json.load(open('index.json')); i['manifests'][0]['size']+=1; json.dump(i,open('index.json','w'))",
    );
    assert!(message.contains("bytes instead of"), "{message}");
    layout(&host, "lie", "image('small:1', [busybox()], diff_ids=['sha256:' + '0' * 64])");
    let message = host.run("load -i lie.tar").fails(1);
    assert!(message.contains("diff id"), "{message}");
    layout(
        &host,
        "fewer",
        "image('small:1', [busybox(), layer()], diff_ids=['sha256:' + '0' * 64])",
    );
    let message = host.run("load -i fewer.tar").fails(1);
    assert!(message.contains("diff_ids"), "{message}");
    assert!(
        host.sh("head -c 100000 small.tar > cut.tar 2>/dev/null || head -c 100000 lie.tar > cut.tar; $TINYDOCK load -i cut.tar")
            .code
            != 0
    );
    is_sound(&host);
}

#[test]
fn what_is_no_archive_says_so_without_moving_the_cursor() {
    let host = Host::new();
    host.sh("mkdir tree && echo x > tree/x && tar -C tree -cf tree.tar .").ok();
    for (program, name) in [("xz", "tree.tar.xz"), ("bzip2", "tree.tar.bz2")] {
        host.sh(&format!("{program} -k tree.tar")).ok();
        for command in ["load", "import -"] {
            let message = host
                .sh(&format!("{program} -dc < {name} > /dev/null && $TINYDOCK {command} < {name}"))
                .fails(1);
            assert!(
                message.contains(&format!("compressed with {program};")),
                "{command}: {message}"
            );
        }
    }
    host.sh("printf '\\033[31m\\r%01000d' 7 > escapes; python3 -c \"import tarfile; t = tarfile.open('named.tar', 'w'); t.addfile(tarfile.TarInfo('a/../../\\x1b[2J'))\"")
        .ok();
    for command in ["load -i escapes", "import escapes", "import named.tar", "load -i named.tar"] {
        let message = host.run(command).fails(1);
        assert!(
            message.len() < 400 && !message.contains(['\x1b', '\r']),
            "{command}: {message:?}"
        );
    }
    host.run("image prune -f").ok();
    is_sound(&host);
}

#[test]
fn bombs_stop_at_limits_that_can_be_raised() {
    let host = Host::new();
    layout(
        &host,
        "bomb",
        "one = layer(); one.add('zeros', bytes(50_000_000)); image('bomb:1', [busybox(), one], Cmd=['wc', '-c', '/zeros'])",
    );
    let message = host.sh("TINYDOCK_LAYER_BYTES=20000000 $TINYDOCK load -i bomb.tar").fails(1);
    assert!(message.contains("TINYDOCK_LAYER_BYTES"), "{message}");
    let message = host.sh("TINYDOCK_LAYER_ENTRIES=3 $TINYDOCK load -i bomb.tar").fails(1);
    assert!(message.contains("TINYDOCK_LAYER_ENTRIES"), "{message}");
    is_sound(&host);
    host.run("load -i bomb.tar").ok();
    assert_eq!(host.inside(&[], "bomb:1", &[]).ok(), "50000000 /zeros\n");
    host.sh("zstd -q bomb.tar -o bomb.zst && TINYDOCK_LAYER_BYTES=1000 $TINYDOCK load -i bomb.zst")
        .fails(1);
}

#[test]
fn many_layers_stack_up_and_too_many_are_refused() {
    let host = Host::new();
    let recipe = |count| {
        format!(
            "def one(n):\n    new = layer(); new.add(f'f{{n}}', str(n).encode()); new.add(f'.wh.f{{n - 1}}'); return new\n\
             image('many:1', [busybox()] + [one(n) for n in range({count})], Cmd=['sh', '-c', 'cat /f* && ls / | wc -l'])"
        )
    };
    layout(&host, "deep", &recipe(127));
    host.run("load -i deep.tar").ok();
    let shown = host.inside(&[], "many:1", &["sh", "-c", "cat /f*"]).ok();
    assert_eq!(shown, "126");
    layout(&host, "deeper", &recipe(600));
    let message = host.run("load -i deeper.tar").fails(1);
    assert!(message.contains("500"), "{message}");
}

#[test]
fn what_is_no_document_is_named() {
    let host = Host::new();
    let listed = "{'mediaType': 'application/vnd.oci.image.manifest.v1+json', 'digest': blob(text), 'size': len(text)}";
    layout(&host, "page", &format!("text = b'<html>'\nmanifests.append({listed})"));
    let recipe = "kind = 'application/vnd.oci.image.config.v1+json'; spec = b'{'
text = json.dumps({'schemaVersion': 2, 'layers': [], 'config': {'mediaType': kind, 'digest': blob(spec), 'size': 1}}).encode()";
    layout(&host, "config", &format!("{recipe}\nmanifests.append({listed})"));
    host.sh("mkdir old new && echo hello > old/manifest.json && tar -C old -cf list.tar manifest.json")
        .ok();
    host.sh("echo [] > new/index.json && touch new/oci-layout && tar -C new -cf index.tar index.json oci-layout")
        .ok();
    host.sh("echo '[{\"Config\":\"a.json\",\"Layers\":[]}]' > old/manifest.json && touch old/a.json")
        .ok();
    host.sh("tar -C old -cf old.tar manifest.json a.json").ok();
    for (archive, is, wrong) in [
        (
            "page",
            "index.json: manifest `sha256:",
            "is not a manifest: it is not a JSON object",
        ),
        (
            "config",
            "index.json: image config `sha256:",
            "is not an image config: it is not JSON: EOF",
        ),
        (
            "list",
            "file `manifest.json` of the archive",
            "is not a list of images: it is not JSON: exp",
        ),
        (
            "index",
            "file `index.json` of the archive",
            "is not an index: it is not a JSON object",
        ),
        (
            "old",
            "file `a.json` of the archive",
            "is not an image config: it is not a JSON object",
        ),
    ] {
        let message = host.run(&format!("load -i {archive}.tar")).fails(1);
        assert!(message.contains(is) && message.contains(wrong), "{message}");
    }
}

/// A layer that tries to write, or to hide something, outside.
#[test]
fn no_layer_reaches_outside() {
    let host = Host::new();
    let outside = host.path("outside");
    fs::create_dir(&outside).expect("make");
    for (n, entries) in [
        "x.add('../../../../../../../../OUT/.wh.secret')",
        "x.link('a', 'OUT'); x.add('a/.wh.secret')",
        "x.link('a', 'OUT'); x.add('a/.wh..wh..opq')",
        "x.add('.wh...')",
        "x.add('a/.wh..')",
        "x.add('.wh.')",
        "x.link('a', '../../../../../../../../OUT'); x.add('a/secret', b'x')",
        "x.link('a', 'OUT'); x.add('b', type=tarfile.LNKTYPE, linkname='a/secret')",
        "x.link('a', 'OUT/new'); x.add('a/b/c', b'x')",
        "x.link('a', '../../../../../../../../OUT/new'); x.add('a/b/c', b'x')",
        "x.link('a', 'b'); x.link('b', '..'); x.link('c', 'a/a/a/../../../../../../OUT/new'); x.add('c/d', b'x')",
        "x.link('a', 'a'); x.add('a/b', b'x')",
        "x.link('a', 'OUT/new'); x.add('a/b/.wh.c')",
        "x.add('a', pax_headers={'path': '../../../../../../../../OUT/x'})",
        "x.add('a', type=tarfile.SYMTYPE, linkname='b', pax_headers={'linkpath': 'OUT'}); x.add('a/x', b'x')",
        "x.link('a', 'OUT/secret'); x.add('a/x', b'x')",
        "x.add('d', type=tarfile.CHRTYPE, devmajor=0, devminor=0); x.add('d/x', b'x')",
    ]
    .iter()
    .enumerate()
    {
        fs::write(outside.join("secret"), "secret").expect("write");
        let entries = entries.replace("OUT", &outside.display().to_string());
        layout(
            &host,
            &format!("evil{n}"),
            &format!("x = layer(); {entries}\nimage('evil:{n}', [busybox(), x])"),
        );
        host.run(&format!("load -i evil{n}.tar"));
        host.inside(&[], &format!("evil:{n}"), &["sh", "-c", "rm -rf /a /b; true"]);
        assert_eq!(fs::read_dir(&outside).expect("list").count(), 1, "{entries}");
        assert_eq!(
            fs::read_to_string(outside.join("secret")).expect("read"),
            "secret",
            "{entries}"
        );
    }
    is_sound(&host);
}

#[test]
fn flipped_bits_are_found_and_repaired() {
    let host = Host::new();
    layout(&host, "small", SMALL);
    // Layers that are not unpacked are damaged in `forms.rs`.
    host.sh("TINYDOCK_LAYERS=tree $TINYDOCK load -i small.tar").ok();
    is_sound(&host);
    let layer = fs::read_dir(host.root().join("layer/sha256"))
        .expect("layers")
        .next()
        .expect("one")
        .expect("one")
        .path();
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("write");
    };
    flip(&layer.join("bin/busybox"));
    assert!(
        host.run("system fsck")
            .fails(1)
            .contains("is not what its tarball unpacks to")
    );
    assert!(host.run("system fsck --repair").ok().contains("repaired"));
    is_sound(&host);
    host.sh(&format!("chmod 700 {}/bin", layer.display())).ok();
    host.run("system fsck").fails(1);
    host.run("system fsck --repair").ok();
    let blobs = fs::read_dir(host.root().join("image/blobs/sha256")).expect("blobs").flatten();
    let largest = blobs
        .max_by_key(|blob| blob.metadata().expect("there").len())
        .expect("one")
        .path();
    flip(&largest);
    let message = host.run("system fsck").fails(1);
    assert!(
        message.contains(&largest.file_name().expect("a name").display().to_string()),
        "{message}"
    );
    host.run("save -o x.tar small:1").fails(1);
    host.run("system fsck --repair").ok();
    host.run("load -i small.tar").ok();
    is_sound(&host);
    fs::write(host.root().join("image/blobs/sha256/stray"), "x").expect("write");
    host.run("system fsck").fails(1);
    host.run("system fsck --repair").ok();
    is_sound(&host);
}

#[test]
fn a_load_that_is_killed_leaves_the_old_or_the_new() {
    let host = Host::new();
    layout(
        &host,
        "small",
        "one = layer(); one.add('f', b'x'); image('small:1', [one], Cmd=['x'])",
    );
    let quiet = |words: &[&str]| {
        let mut command = host.command(words);
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command
    };
    let mut call = 0;
    loop {
        let kill = Kill {
            role: Role::Command,
            call,
        };
        if !tracer::run(&mut quiet(&["load", "-i", "small.tar"]), &[], kill) {
            break;
        }
        host.run("ls").ok();
        let list = host.run("images -q small").ok();
        assert!(list.lines().count() <= 1, "{list}");
        let done = host.run("system fsck --repair");
        assert_eq!(
            (done.code, done.stdout.contains("repaired")),
            (0, false),
            "killed at call {call}: {done:?}"
        );
        is_sound(&host);
        let kill = Kill {
            role: Role::Command,
            call,
        };
        if !list.is_empty() && tracer::run(&mut quiet(&["rmi", "small:1"]), &[], kill) {
            assert_eq!(host.run("system fsck --repair").code, 0, "rmi killed at call {call}");
        }
        call += 5;
    }
    assert!(call > 100, "load makes only {call} calls");
    is_sound(&host);
}

#[test]
fn a_disk_that_fills_up_leaves_the_old_state() {
    let host = Host::new();
    layout(&host, "small", SMALL);
    layout(
        &host,
        "large",
        "import os\none = layer(); one.add('f', os.urandom(30_000_000)); image('large:1', [busybox(), one])",
    );
    host.sh("mkdir root && mount -t tmpfs -o size=20m tmpfs root").ok();
    host.run("load -i small.tar").ok();
    for size in [20, 24, 32, 40, 48, 60] {
        host.sh(&format!("mount -o remount,size={size}m root")).ok();
        let message = host.run("load -i large.tar").fails(1);
        assert!(message.contains("no space left"), "{message}");
        assert_eq!(host.run("images -q large").ok(), "");
        is_sound(&host);
        assert_eq!(host.inside(&[], "small:1", &[]).ok(), "hello\n");
    }
    host.sh("mount -o remount,size=200m root").ok();
    host.run("load -i large.tar").ok();
    host.inside(&[], "large:1", &["true"]).ok();
    is_sound(&host);
    for id in host.run("ls -aq").ok().split_whitespace() {
        host.tinydock(&["rm", "-f", id]);
    }
    host.sh("umount -l root").ok();
}

#[test]
fn whoever_races_removes_nothing_that_is_needed() {
    let host = Host::new();
    layout(&host, "small", SMALL);
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do $TINYDOCK image prune -af > /dev/null; $TINYDOCK rmi small:1 > /dev/null 2>&1 || :; done";
    let mut removing = std::process::Command::new("sh");
    removing
        .args(["-c", script])
        .env("TINYDOCK", crate::host::TINYDOCK)
        .env("TINYDOCK_ROOT", host.root());
    let mut removing = removing.spawn().expect("start a shell");
    let mut ran = 0;
    while removing.try_wait().expect("wait").is_none() || ran < 3 {
        host.run("load -i small.tar").ok();
        let done = host.inside(&[], "small:1", &[]);
        // It may be gone; it may not be half there.
        let gone = ["no such image", "removed again and again", "Unable to find image"]
            .iter()
            .any(|told| done.stderr.contains(told));
        assert!(done.stdout == "hello\n" || gone, "{done:?}");
        ran += usize::from(done.code == 0);
    }
    host.run("image prune -af").ok();
    is_sound(&host);
}
