//! Volumes: made, filled, shared and removed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Stdio;

use crate::host::{Done, Host};

/// Runs a script in a new container that is removed at its end.
pub fn script(host: &Host, flags: &[&str], script: &str) -> Done {
    host.inside(flags, "busybox", &["sh", "-c", script])
}

/// The names of all volumes.
pub fn names(host: &Host) -> Vec<String> {
    host.run("volume ls -q").ok().lines().map(str::to_string).collect()
}

/// Makes an image of busybox and what a script does in a container, which may be called `name` by then.
pub fn image(host: &Host, name: &str, script: &str) {
    image_on(host, "busybox", name, script);
}

/// The same, of another image.
pub fn image_on(host: &Host, base: &str, name: &str, script: &str) {
    host.tinydock(&["run", "--name", name, "--network", "none", base, "sh", "-c", script])
        .ok();
    host.tinydock(&["commit", name, name]).ok();
    host.tinydock(&["rm", name]).ok();
}

#[test]
fn s5_14_a_named_volume_outlives_its_containers() {
    let host = Host::new();
    assert_eq!(script(&host, &["-v", "data:/d"], "echo kept > /d/f").ok(), "");
    assert_eq!(
        script(&host, &["--mount", "src=data,dst=/x/y,ro"], "cat /x/y/f; touch /x/y/g 2>&1").code,
        1
    );
    assert_eq!(names(&host), ["data"]);
    let data = host.root().join("volume/data/data");
    assert_eq!(fs::read_to_string(data.join("f")).expect("the volume's file"), "kept\n");
    assert_eq!(fs::metadata(&data).expect("the volume").mode() & 0o777, 0o755);
}

#[test]
fn s5_14_an_empty_volume_gets_what_the_image_has() {
    let host = Host::new();
    let make = "mkdir -p /data/sub; echo one > /data/f; ln /data/f /data/sub/hard; ln -s ../etc /data/link; mkfifo /data/pipe; \
                chown 5:6 /data /data/f; chmod 4751 /data/f; chmod 2710 /data; touch -d 2001-02-03 /data/sub /data/f; echo x > /data/gone";
    host.tinydock(&["run", "--name", "mm", "--network", "none", "busybox", "sh", "-c", make])
        .ok();
    let upper = host.sh("echo $TINYDOCK_ROOT/container/*/upper").ok();
    let file = format!("{}/data/f", upper.trim());
    rustix::fs::setxattr(file.as_str(), "user.note", b"here", rustix::fs::XattrFlags::empty()).expect("an attribute");
    host.run("commit mm low").ok();
    host.run("rm mm").ok();
    // A second layer hides a part of the first.
    image_on(&host, "low", "image", "rm /data/gone; echo two > /data/g");

    let look = "cd /data; stat -c '%n %a %u:%g' . sub; stat -c '%a %u:%g %h' f; cat f g; readlink link; test -p pipe && echo pipe; ls | tr '\\n' ' '; stat -c %y f sub | cut -c1-10";
    let expected = host.inside(&[], "image", &["sh", "-c", look]).ok();
    assert!(
        expected.contains("\n4751 5:6 2\n") && !expected.contains("gone"),
        "{expected}"
    );
    assert_eq!(
        host.inside(&["-v", "data:/data"], "image", &["sh", "-c", look]).ok(),
        expected
    );
    assert_eq!(host.inside(&["-v", "/data"], "image", &["sh", "-c", look]).ok(), expected);
    let mut value = [0; 8];
    let kept = rustix::fs::getxattr(host.root().join("volume/data/data/f"), "user.note", &mut value).expect("the attribute");
    assert_eq!(&value[..kept], b"here");

    // Once there is something in it, and where it is not wanted, nothing is copied.
    assert_eq!(host.inside(&["-v", "data:/etc"], "image", &["cat", "/etc/f"]).ok(), "one\n");
    let empty = host.inside(&["-v", "other:/data:nocopy"], "image", &["ls", "/data"]).ok();
    assert_eq!(empty, "");
    let empty = host
        .inside(&["--mount", "dst=/data,volume-nocopy"], "image", &["ls", "/data"])
        .ok();
    assert_eq!(empty, "");
    // Nothing but the owner of an empty directory.
    image(&host, "bare", "mkdir /bare; chown 7:8 /bare");
    assert_eq!(
        host.inside(&["-v", "bare:/bare"], "bare", &["stat", "-c", "%u:%g", "/bare"])
            .ok(),
        "7:8\n"
    );
}

#[test]
fn an_image_is_copied_when_a_container_is_created() {
    let host = Host::new();
    image(&host, "image", "mkdir /data; echo one > /data/f");
    host.run("create --name holder -v data:/data image true").ok();
    assert_eq!(
        fs::read_to_string(host.root().join("volume/data/data/f")).expect("the copy"),
        "one\n"
    );
}

#[test]
fn a_copy_goes_to_containers_that_run_already() {
    let host = Host::new();
    image(&host, "image", "mkdir /data; echo image > /data/f; echo image > /data/g");
    host.start(&[
        "--name",
        "first",
        "--network",
        "none",
        "-v",
        "data:/data",
        "busybox",
        "sleep",
        "1000",
    ]);
    host.inside(&["-v", "data:/data"], "image", &["true"]).ok();
    assert_eq!(host.run("exec first cat /data/f /data/g").ok(), "image\nimage\n");
}

#[test]
fn no_link_of_an_image_leads_a_copy_out() {
    let host = Host::new();
    fs::create_dir(host.path("outside")).expect("make a directory");
    fs::write(host.path("outside/secret"), "secret").expect("write");
    let outside = host.path("outside").display().to_string();
    let links = format!(
        "ln -s {outside} /abs; ln -s ../../../../../..{outside} /rel; mkdir /in; ln -s {outside}/secret /in/link; ln -s etc /to-etc"
    );
    image(&host, "links", &links);
    for target in ["/abs", "/rel"] {
        let done = host.inside(&["-v", target], "links", &["sh", "-c", &format!("ls -A {target}")]);
        assert_eq!(done.stdout, "", "{target}: {done:?}");
    }
    let copied = host.inside(&["-v", "in:/in"], "links", &["readlink", "/in/link"]).ok();
    assert_eq!(copied, format!("{outside}/secret\n"));
    assert!(host.root().join("volume/in/data/link").is_symlink());
    assert_eq!(
        host.inside(&["-v", "/to-etc"], "links", &["cat", "/etc/passwd"]).ok(),
        host.inside(&[], "links", &["cat", "/etc/passwd"]).ok()
    );
}

#[test]
fn s5_14_volumes_without_names_go_with_their_containers() {
    let host = Host::new();
    script(&host, &["-v", "/a", "-v", "named:/b"], "touch /a/f /b/f").ok();
    assert_eq!(names(&host), ["named"]);
    // A container that fails to start, too.
    host.tinydock(&["run", "--rm", "-v", "/a", "busybox", "/none"]).fails(127);
    assert_eq!(names(&host), ["named"]);
    for (line, left) in [("rm cc", 2), ("rm -v cc", 2), ("rm -fv cc", 2)] {
        host.tinydock(&[
            "run",
            "--name",
            "cc",
            "--network",
            "none",
            "-v",
            "/a",
            "-v",
            "named:/b",
            "busybox",
            "true",
        ])
        .ok();
        host.run(line).ok();
        assert_eq!(names(&host).len(), left, "{line}");
    }
    // Not while somebody else uses it.
    host.run("create --name cc -v /a busybox true").ok();
    host.run("create --name dd --volumes-from cc busybox true").ok();
    host.run("rm -v cc").ok();
    assert_eq!(names(&host).len(), 3);
    host.run("rm -v dd").ok();
    assert_eq!(names(&host).len(), 2);
}

#[test]
fn volumes_are_made_listed_shown_and_removed() {
    let host = Host::new();
    assert_eq!(host.run("volume create data --label tier=db --label x").ok(), "data\n");
    assert_eq!(host.run("volume create data").ok(), "data\n");
    let anonymous = host.run("volume create").ok();
    assert_eq!(anonymous.trim().len(), 64);
    let events = fs::read_to_string(host.root().join("run/events")).expect("events");
    assert!(
        events.contains(r#""Type":"volume","Action":"create","Actor":{"ID":"data","Attributes":{"driver":"local"}}"#),
        "{events}"
    );
    let list = host.run("volume ls").ok();
    assert!(list.starts_with("DRIVER    VOLUME NAME\nlocal    "), "{list}");
    for (filter, count) in [
        ("name=dat", 1),
        ("label=tier", 1),
        ("label=tier=web", 0),
        ("driver=local", 2),
        ("dangling=true", 2),
        ("dangling=false", 0),
    ] {
        assert_eq!(
            host.run(&format!("volume ls -q -f {filter}")).ok().lines().count(),
            count,
            "{filter}"
        );
    }
    host.run("volume ls -f colour=red").fails(1);
    let json: serde_json::Value = serde_json::from_str(&host.run("volume inspect data").ok()).expect("JSON");
    let volume = &json[0];
    assert_eq!(volume["Name"], "data");
    assert_eq!(volume["Driver"], "local");
    assert_eq!(volume["Scope"], "local");
    assert_eq!(volume["Labels"]["tier"], "db");
    assert!(volume["Options"].is_null());
    assert_eq!(
        volume["Mountpoint"],
        host.root().join("volume/data/data").display().to_string()
    );
    let done = host.run("volume inspect none data");
    assert!(
        done.code == 1 && done.stderr.contains("no such volume: `none`") && done.stdout.contains("\"data\""),
        "{done:?}"
    );

    let id = host.run("create --name cc -v data:/d busybox true").ok();
    let error = host.run("volume rm data").fails(1);
    assert!(
        error.contains(&format!("remove `data`: volume is in use - [{}]", id.trim())),
        "{error}"
    );
    assert_eq!(host.run("volume ls -q -f dangling=false").ok(), "data\n");
    host.run("rm cc").ok();
    // A container that has just ended, and is still being removed, is in nobody's way.
    for _ in 0..20 {
        script(&host, &["-v", "data:/d"], "true").ok();
        assert_eq!(host.run("volume rm data").ok(), "data\n");
    }
    let error = host.run("volume rm data").fails(1);
    assert!(error.contains("no such volume: `data`"), "{error}");
    assert_eq!(host.run("volume rm -f data").ok(), "data\n");
    for (line, part) in [
        ("volume create x", "invalid volume name `x`"),
        ("volume create ../up", "invalid volume name `../up`"),
        ("volume create -d nfs data", "unsupported volume driver: `nfs`"),
        ("volume create -o size=1g data", "unknown volume option `size`"),
        (
            "run --rm --volume-driver nfs busybox true",
            "unsupported volume driver: `nfs`",
        ),
    ] {
        let done = host.run(line);
        assert!(done.code != 0 && done.stderr.contains(part), "{done:?}");
    }
}

#[test]
fn prune_takes_what_nobody_has_named() {
    let host = Host::new();
    host.run("volume create named").ok();
    host.run("create --name cc -v /used busybox true").ok();
    let used = names(&host).into_iter().find(|name| name.len() == 64).expect("a volume");
    let anonymous = host.run("volume create").ok();
    fs::write(host.root().join(format!("volume/{}/data/f", anonymous.trim())), [0; 2000]).expect("write");

    let mut child = host.spawn(&["volume", "prune"]);
    child.stdin.take().expect("its input").write_all(b"n\n").expect("answer");
    let done: Done = child.wait_with_output().expect("wait").into();
    assert!(done.code == 1 && done.stderr.contains("cancelled"), "{done:?}");
    assert_eq!(
        done.stdout,
        "WARNING! This will remove anonymous local volumes not used by at least one container.\n\
         Are you sure you want to continue? [y/N] "
    );
    let freed = format!("Deleted Volumes:\n{anonymous}\nTotal reclaimed space: 2.00kB\n");
    assert_eq!(host.run("volume prune -f").ok(), freed);
    assert_eq!(host.run("volume prune -f").ok(), "Total reclaimed space: 0B\n");
    assert_eq!(
        host.run("volume prune -af").ok(),
        "Deleted Volumes:\nnamed\n\nTotal reclaimed space: 0B\n"
    );
    assert_eq!(names(&host), [used]);
}

#[test]
fn the_local_driver_mounts_what_it_is_told() {
    let host = Host::new();
    fs::create_dir(host.path("dir")).expect("make a directory");
    let device = format!("device={}", host.path("dir").display());
    host.tinydock(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "bound"])
        .ok();
    script(&host, &["-v", "bound:/d"], "touch /d/f").ok();
    assert!(host.path("dir/f").exists());
    let mount = "src=mem,dst=/d,volume-opt=type=tmpfs,volume-opt=device=tmpfs,\"volume-opt=o=size=64k,mode=700\"";
    let seen = script(
        &host,
        &["--mount", mount],
        "stat -c %a /d; df -k /d | tail -1 | awk '{print $2}'",
    )
    .ok();
    assert_eq!(seen, "700\n64\n");
    assert_eq!(host.run("volume rm bound mem").ok(), "bound\nmem\n");
    assert!(host.path("dir/f").exists());
}

#[test]
fn users_of_a_containers_own_own_their_volumes() {
    let host = Host::new();
    image(&host, "image", "mkdir /data; echo one > /data/f; chown 5:6 /data/f");
    let flags = ["--userns", "auto", "-v", "data:/data"];
    let look = "stat -c %u:%g /data/f; echo two > /data/g; chown 7:8 /data/g; stat -c %u:%g /data/g";
    assert_eq!(host.inside(&flags, "image", &["sh", "-c", look]).ok(), "5:6\n7:8\n");
    let found = fs::metadata(host.root().join("volume/data/data/g")).expect("the file");
    assert_eq!((found.uid(), found.gid()), (7, 8));
}

#[test]
fn parts_of_a_volume_do_not_lead_out() {
    let host = Host::new();
    fs::create_dir_all(host.path("outside")).expect("make a directory");
    fs::write(host.path("outside/secret"), "secret").expect("write");
    script(
        &host,
        &["-v", "data:/d"],
        "mkdir -p /d/a/b; echo part > /d/a/b/f; ln -s a/b /d/inner; echo file > /d/file",
    )
    .ok();
    let data = host.root().join("volume/data/data");
    symlink(host.path("outside"), data.join("abs")).expect("link");
    symlink("../../../../outside", data.join("rel")).expect("link");
    symlink("/proc/self/root", data.join("magic")).expect("link");
    for part in ["a/b", "inner"] {
        let mount = format!("src=data,dst=/x,volume-subpath={part}");
        assert_eq!(
            script(&host, &["--mount", &mount], "cat /x/f; ls -a /x/.. | grep -c file").stdout,
            "part\n0\n"
        );
    }
    assert_eq!(
        script(&host, &["--mount", "src=data,dst=/x,volume-subpath=file"], "cat /x").ok(),
        "file\n"
    );
    for part in ["abs", "rel", "magic", "none", "abs/secret"] {
        let mount = format!("src=data,dst=/x,volume-subpath={part}");
        let done = script(&host, &["--mount", &mount], "ls /x");
        assert!(
            done.code == 125 && done.stderr.contains(&format!("subpath `{part}`")),
            "{part}: {done:?}"
        );
    }
}

/// CVE-2021-25741, CVE-2017-1002101: while a part of a volume was mounted, a container exchanged it for a link to the host.
#[test]
fn a_race_for_a_part_of_a_volume_does_not_leave_it() {
    let host = Host::new();
    fs::create_dir_all(host.path("outside")).expect("make a directory");
    fs::write(host.path("outside/secret"), "secret").expect("write");
    host.run("volume create data").ok();
    let data = host.root().join("volume/data/data");
    fs::create_dir(data.join("a")).expect("make a directory");
    symlink(host.path("outside"), data.join("b")).expect("link");
    let tools = host.compile(
        "exchange",
        r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(void) {
    for (;;) renameat2(AT_FDCWD, "/d/a", AT_FDCWD, "/d/b", RENAME_EXCHANGE);
}
"#,
    );
    let racer = host.start(&[
        "--network",
        "none",
        "-v",
        &tools,
        "-v",
        "data:/d",
        "busybox",
        "/tools/exchange",
    ]);
    let start = std::time::Instant::now();
    let mut codes = std::collections::BTreeSet::new();
    let lasts = |seconds| start.elapsed() < std::time::Duration::from_secs(seconds);
    while lasts(3) || (codes.len() < 2 && lasts(60)) {
        let done = script(
            &host,
            &["--mount", "src=data,dst=/x,volume-subpath=a"],
            "cat /x/secret 2>/dev/null; true",
        );
        assert_eq!(done.stdout, "", "{done:?}");
        codes.insert(done.code);
    }
    assert!(
        codes.contains(&125) && codes.contains(&0),
        "the race was never close: {codes:?}"
    );
    host.tinydock(&["rm", "-f", &racer]).ok();
}

#[test]
fn whoever_removes_volumes_spares_containers_that_are_being_created() {
    let host = Host::new();
    host.run("run --rm busybox true").ok();
    let pruner = format!(
        "{}; while ! test -e stop; do $TINYDOCK volume prune -af > /dev/null; done",
        "true"
    );
    let mut child = std::process::Command::new("sh")
        .args(["-c", &pruner])
        .current_dir(host.path(""))
        .env("TINYDOCK", crate::host::TINYDOCK)
        .env("TINYDOCK_ROOT", host.root())
        .stdout(Stdio::null())
        .spawn()
        .expect("start a shell");
    for n in 0..30 {
        let name = format!("c{n}");
        host.tinydock(&["create", "--name", &name, "-v", "data:/etc", "-v", "/anon", "busybox", "true"])
            .ok();
        let json = fs::read_dir(host.root().join("volume")).expect("volumes").flatten().count();
        assert!(json >= 2, "a volume of a container is gone");
        assert_eq!(host.tinydock(&["start", "-a", &name]).code, 0);
        host.tinydock(&["rm", "-v", &name]).ok();
    }
    fs::write(host.path("stop"), "").expect("write");
    child.wait().expect("wait for the shell");
}
