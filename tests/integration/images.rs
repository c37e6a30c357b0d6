//! Images from tarballs.

use std::fs;
use std::process::Child;

use crate::host::Host;

/// Makes a tarball with a Python script that has `add(name, data=b"", **fields)` and writes to a TarFile `t`.
fn tarball(host: &Host, name: &str, script: &str) {
    let registry = host.root().join("image/registry");
    fs::create_dir_all(&registry).expect("make the registry");
    let path = registry.join(name);
    let mode = match name.rsplit_once('.').expect("an ending").1 {
        "gz" => "w:gz",
        _ => "w",
    };
    let head = format!(
        "import tarfile, io, sys\nt = tarfile.open({path:?}, {mode:?}, format=tarfile.GNU_FORMAT)\n\
         def add(name, data=b'', **fields):\n    i = tarfile.TarInfo(name); i.size = len(data); i.mode = 0o755\n    \
         for k, v in fields.items(): setattr(i, k, v)\n    t.addfile(i, io.BytesIO(data))\n\
         add('bin', type=tarfile.DIRTYPE); add('bin/busybox', open('/bin/busybox','rb').read())\n\
         for n in 'sh cat ls stat readlink true wc od'.split(): add('bin/' + n, type=tarfile.SYMTYPE, linkname='busybox')\n"
    );
    fs::write(host.path("make.py"), head + script + "\nt.close()\n").expect("write");
    host.sh("python3 make.py").ok();
}

#[track_caller]
fn shell(host: &Host, image: &str, script: &str) -> String {
    host.inside(&[], image, &["sh", "-c", script]).ok()
}

#[test]
fn a_tarball_dropped_in_is_an_image() {
    let host = Host::new();
    tarball(&host, "gz.tar.gz", "add('f', b'gz')");
    tarball(&host, "plain.tar", "add('f', b'plain')");
    tarball(&host, "z.tar", "add('f', b'z')");
    host.sh("cd root/image/registry && zstd -q --rm z.tar").ok();
    for (image, text) in [("gz", "gz"), ("plain", "plain"), ("z", "z")] {
        assert_eq!(shell(&host, image, "cat /f"), text);
        assert!(
            host.run("images")
                .ok()
                .lines()
                .any(|line| line.starts_with(&format!("{image} ")))
        );
    }
    fs::remove_file(host.root().join("image/registry/z.tar.zst")).expect("remove");
}

#[test]
fn a_changed_tarball_is_unpacked_again() {
    let host = Host::new();
    tarball(&host, "app.tar.gz", "add('f', b'one')");
    assert_eq!(shell(&host, "app", "cat /f"), "one");
    tarball(&host, "app.tar.gz", "add('f', b'second')");
    assert_eq!(shell(&host, "app", "cat /f"), "second");
}

#[test]
fn ten_at_once_unpack_once() {
    let host = Host::new();
    tarball(&host, "raced.tar.gz", "add('big', b'x' * 20000000)");
    let runs: Vec<Child> = (0..10)
        .map(|_| host.spawn(&["run", "--rm", "--network", "none", "raced", "wc", "-c", "/big"]))
        .collect();
    for run in runs {
        let output = run.wait_with_output().expect("wait");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "20000000 /big\n", "{output:?}");
    }
    assert_eq!(fs::read_dir(host.root().join("layer/sha256")).expect("layers").count(), 1);
}

#[test]
fn one_killed_halfway_is_no_harm() {
    let host = Host::new();
    tarball(&host, "slow.tar.gz", "import os\nadd('big', os.urandom(60000000))");
    for wait in [5, 20, 60, 120, 250] {
        let mut run = host.spawn(&["run", "--rm", "--network", "none", "slow", "true"]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        run.kill().expect("kill");
        run.wait().expect("wait");
    }
    assert_eq!(shell(&host, "slow", "wc -c < /big"), "60000000\n");
    assert_eq!(fs::read_dir(host.root().join("layer/sha256")).expect("layers").count(), 1);
}

#[test]
fn a_truncated_tarball_is_named() {
    let host = Host::new();
    tarball(&host, "cut.tar.gz", "import os\nadd('f', os.urandom(100000))");
    let path = host.root().join("image/registry/cut.tar.gz");
    let whole = fs::read(&path).expect("read");
    fs::write(&path, &whole[..whole.len() / 2]).expect("write");
    let message = host.run("run --rm --network none cut true").fails(125);
    assert!(message.contains("cut.tar.gz"), "{message}");
    assert_eq!(
        fs::read_dir(host.root().join("layer/sha256")).into_iter().flatten().count(),
        0
    );
}

#[test]
fn nothing_is_written_outside() {
    let host = Host::new();
    let outside = host.path("outside");
    fs::create_dir(&outside).expect("make");
    let o = outside.display();
    for (n, script) in [
        "add('../../../../../../../../OUT/x', b'x')".to_string(),
        "add('OUT/x', b'x')".into(),
        "add('a', type=tarfile.SYMTYPE, linkname='OUT'); add('a/x', b'x')".into(),
        "add('b', type=tarfile.SYMTYPE, linkname='../../../../../../../../..OUT'); add('b/x', b'x')".into(),
        "add('h', type=tarfile.LNKTYPE, linkname='../../../../../../../../OUT/secret'); add('h', b'x')".into(),
        "add('l', type=tarfile.SYMTYPE, linkname='OUT'); add('h', type=tarfile.LNKTYPE, linkname='l/secret')".into(),
        "add('a', type=tarfile.SYMTYPE, linkname='OUT/new'); add('a', b'x')".into(),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(outside.join("secret"), "secret").expect("write");
        let image = format!("evil{n}");
        tarball(&host, &format!("{image}.tar.gz"), &script.replace("OUT", &o.to_string()));
        let done = host.tinydock(&["run", "--rm", "--network", "none", &image, "sh", "-c", "cat /h"]);
        assert!(!done.stdout.contains("secret"), "{done:?}");
        let left: Vec<_> = fs::read_dir(&outside)
            .expect("list")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, ["secret"], "{script}: {done:?}");
        assert_eq!(fs::read_to_string(outside.join("secret")).expect("read"), "secret");
    }
}

#[test]
fn unusual_entries_become_what_they_are() {
    let host = Host::new();
    let script = "add('dup', b'first'); add('dup', b'second')
add('n' * 150 + '/' + 'm' * 150, b'long')
add('d/e/f', b'without parents')
add('null', type=tarfile.CHRTYPE, devmajor=1, devminor=3)
add('owned', b'', uid=12, gid=34, mode=0o4755)
add('one', b'hard'); add('two', type=tarfile.LNKTYPE, linkname='one')
add('./dot', b'dot'); add('/absolute', b'abs')
add('caf\\udce9', b'latin')";
    tarball(&host, "odd.tar.gz", script);
    let look = "cat /dup; echo; cat /n*/m*; echo; cat /d/e/f; echo; stat -c %t,%T /null; stat -c %u:%g:%a /owned; cat /two; stat -c %h /one; cat /dot; cat /absolute; echo; printf '%s\n' /caf* | od -An -tx1 | head -1";
    assert_eq!(
        shell(&host, "odd", look),
        "second\nlong\nwithout parents\n1,3\n12:34:4755\nhard2\ndotabs\n 2f 63 61 66 e9 0a\n"
    );
}

#[test]
fn a_sparse_file_is_whole() {
    let host = Host::new();
    tarball(&host, "sparse.tar.gz", "");
    host.sh("cd root/image/registry && mkdir x && tar -C x -xzf sparse.tar.gz && truncate -s 50M x/hole && printf end >> x/hole && tar -C x -S -czf sparse.tar.gz . && rm -r x").ok();
    assert_eq!(
        shell(&host, "sparse", "wc -c < /hole; od -An -c -j 52428800 /hole"),
        "52428803\n   e   n   d\n"
    );
}

#[test]
fn an_image_that_does_not_exist_is_named() {
    let host = Host::new();
    assert!(host.run("run --rm nothing true").fails(125).contains("nothing"));
    assert!(host.run("run --rm ../../etc true").fails(125).contains("../../etc"));
    assert!(host.run("run --rm").fails(125).contains("argument"));
}

#[test]
fn a_name_is_taken_away_from_an_image_that_the_folder_has_too() {
    let host = Host::new();
    host.start(&["--network", "none", "--name", "user", "busybox", "sleep", "1000"]);
    host.run("tag busybox other:1").ok();
    assert_eq!(host.run("rmi other:1").ok(), "Untagged: other:1\n");
    host.run("run --rm --network none other:1 true").fails(125);
    assert_eq!(host.inside(&[], "busybox", &["echo", "still"]).ok(), "still\n");
    assert_eq!(host.status("user"), "running");
}
