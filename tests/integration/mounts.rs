//! All that a container sees besides its image.

use std::fs;

use crate::host::Host;
use crate::volumes::{image, image_on, names, script};

#[test]
fn s5_14_a_source_that_is_missing_is_made_by_the_short_form_only() {
    let host = Host::new();
    script(&host, &["-v", "./new/deep:/d"], "touch /d/f").ok();
    assert!(host.path("new/deep/f").exists());
    let none = host.path("none").display().to_string();
    let error = script(&host, &["--mount", &format!("type=bind,src={none},dst=/d")], "true").fails(125);
    assert!(
        error.contains(&format!("mount source `{none}`: no such file or directory")),
        "{error}"
    );
    assert!(!host.path("none").exists());
    script(
        &host,
        &["--mount", &format!("type=bind,src={none},dst=/d,bind-create-src")],
        "true",
    )
    .ok();
    assert!(host.path("none").is_dir());
    let error = script(&host, &["-v", "/a:/x", "--mount", "type=tmpfs,dst=/x/"], "true").fails(125);
    assert!(error.contains("duplicate mount point: `/x`"), "{error}");
}

#[test]
fn read_only_reaches_what_is_mounted_below() {
    let host = Host::new();
    host.sh("mkdir -p top/inner && mount -t tmpfs inner top/inner").ok();
    let top = host.path("top").display().to_string();
    let attempt =
        "touch /d/f 2>/dev/null && echo top; touch /d/inner/f 2>/dev/null && echo inner; grep -cE ' /d(/inner)? ' /proc/mounts";
    for (flags, seen) in [
        (["-v", &format!("{top}:/d")], "top\ninner\n2\n"),
        (["-v", &format!("{top}:/d:ro")], "2\n"),
        (["-v", &format!("{top}:/d:ro-non-recursive")], "inner\n2\n"),
        (["--mount", &format!("type=bind,src={top},dst=/d,readonly")], "2\n"),
        (
            ["--mount", &format!("type=bind,src={top},dst=/d,ro,bind-recursive=writable")],
            "inner\n2\n",
        ),
        (
            ["--mount", &format!("type=bind,src={top},dst=/d,bind-recursive=disabled")],
            "top\ninner\n1\n",
        ),
    ] {
        assert_eq!(script(&host, &flags, attempt).stdout, seen, "{flags:?}");
        host.sh("rm -f top/f top/inner/f").ok();
    }
    host.sh("umount top/inner").ok();
}

#[test]
fn mounts_propagate_as_they_are_told() {
    let host = Host::new();
    host.sh("mkdir -p s && mount -t tmpfs top s && mount --make-shared s && mkdir s/here s/there")
        .ok();
    let source = host.path("s").display().to_string();
    let privileged = ["--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"];
    for (mode, from_host, from_container) in [("rprivate", 0, 0), ("rslave", 1, 0), ("rshared", 1, 1)] {
        let volume = format!("{source}:/s:{mode}");
        let flags = ["--name", mode, "--network", "none", "-v", &volume];
        host.start(&[&flags[..], &privileged[..2], &["busybox", "sleep", "1000"]].concat());
        host.sh("mount -t tmpfs new s/here").ok();
        let seen = host
            .tinydock(&["exec", mode, "grep", "-c", " /s/here ", "/proc/mounts"])
            .stdout;
        assert_eq!(seen, format!("{from_host}\n"), "{mode}");
        host.tinydock(&["exec", mode, "mount", "-t", "tmpfs", "new", "/s/there"]).ok();
        let seen = host.sh("grep -c /s/there /proc/thread-self/mountinfo || true").ok();
        assert_eq!(seen, format!("{from_container}\n"), "{mode}");
        host.tinydock(&["rm", "-f", mode]).ok();
        host.sh("umount s/here; umount s/there 2>/dev/null || true").ok();
    }
    host.sh("umount s").ok();
}

#[test]
fn file_systems_in_memory_are_as_docker_makes_them() {
    let host = Host::new();
    let mounts = "grep ' /t ' /proc/mounts; stat -c %a /t";
    for (flags, mount, mode) in [
        (["--tmpfs", "/t"], "rw,nosuid,nodev,noexec", "1777"),
        (
            ["--tmpfs", "/t:size=64k,mode=750,exec"],
            "rw,nosuid,nodev,relatime,size=64k,mode=750",
            "750",
        ),
        (["--tmpfs", "/t:ro"], "ro,nosuid,nodev,noexec", "1777"),
        (
            ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700"],
            "nosuid,nodev,noexec,relatime,size=1024k,mode=700",
            "700",
        ),
    ] {
        let seen = script(&host, &flags, mounts).ok();
        assert!(
            seen.contains(mount) && seen.ends_with(&format!("\n{mode}\n")),
            "{flags:?}: {seen}"
        );
    }
    // One that covers a directory has its mode, and one that can only be read can be mounted in.
    image(&host, "image", "mkdir /t; chmod 711 /t; touch /t/f");
    let seen = host
        .inside(&["--tmpfs", "/t"], "image", &["sh", "-c", "stat -c %a /t; ls /t"])
        .ok();
    assert_eq!(seen, "711\n");
    let seen = script(
        &host,
        &["--tmpfs", "/t:ro", "-v", "in:/t/a/b"],
        "touch /t/a/b/f && ls /t/a/b; touch /t/f || echo refused",
    )
    .stdout;
    assert_eq!(seen, "f\nrefused\n");
    let size = script(&host, &["--shm-size", "1m"], "df -k /dev/shm | tail -1 | awk '{print $2}'").ok();
    assert_eq!(size, "1024\n");
    assert_eq!(
        script(
            &host,
            &["--tmpfs", "/dev/shm:size=2m"],
            "df -k /dev/shm | tail -1 | awk '{print $2}'"
        )
        .ok(),
        "2048\n"
    );
    host.tinydock(&["run", "--rm", "--shm-size", "x", "busybox", "true"])
        .fails(125);
}

#[test]
fn a_read_only_root_leaves_what_is_mounted() {
    let host = Host::new();
    let attempt = "touch /f 2>/dev/null && echo root; touch /etc/hosts 2>/dev/null && echo hosts; touch /d/f && echo volume; \
                   touch /t/f && echo memory; echo x > /dev/null && touch /dev/shm/f && echo dev; ls /work; cat /proc/self/comm";
    let flags = ["--read-only", "-v", "data:/d", "--tmpfs", "/t", "-w", "/work/deep"];
    assert_eq!(script(&host, &flags, attempt).ok(), "volume\nmemory\ndev\ndeep\ncat\n");
    host.start(&["--name", "cc", "--network", "none", "--read-only", "busybox", "sleep", "1000"]);
    host.run("exec cc touch /f").fails(1);
    let explained = host.run("explain run --read-only busybox true").ok();
    assert!(
        explained.contains("the container may write to its mounts, but not to its root"),
        "{explained}"
    );
}

#[test]
fn a_container_sees_what_another_one_sees() {
    let host = Host::new();
    fs::create_dir(host.path("dir")).expect("make a directory");
    let bind = format!("{}:/bind", host.path("dir").display());
    host.tinydock(&[
        "create",
        "--name",
        "giver",
        "-v",
        "data:/data",
        "-v",
        "/anon",
        "-v",
        &bind,
        "--tmpfs",
        "/t",
        "busybox",
        "true",
    ])
    .ok();
    let look = "touch /data/f /anon/f /bind/f; ls -d /t 2>/dev/null; true";
    script(&host, &["--volumes-from", "giver"], look).ok();
    assert!(host.path("dir/f").exists() && host.root().join("volume/data/data/f").exists());
    assert_eq!(names(&host).len(), 2, "what belongs to another container stays");
    let seen = script(
        &host,
        &["--volumes-from", "giver:ro", "-v", "own:/data"],
        "touch /data/g; touch /anon/g 2>/dev/null || echo refused",
    )
    .ok();
    assert_eq!(seen, "refused\n");
    let error = script(&host, &["--volumes-from", "nobody"], "true").fails(125);
    assert!(
        error.contains("`--volumes-from nobody`: no such container: `nobody`"),
        "{error}"
    );
}

#[test]
fn an_image_can_be_seen_by_others() {
    let host = Host::new();
    image(
        &host,
        "low",
        "mkdir -p /tools/bin; echo tool > /tools/bin/t; echo gone > /tools/bin/u",
    );
    image_on(&host, "low", "two", "rm /tools/bin/u; echo new > /tools/bin/v");
    for (mount, path) in [
        ("type=image,src=two,dst=/x", "/x/tools/bin"),
        ("type=image,src=two,dst=/x,image-subpath=tools/bin", "/x"),
    ] {
        let look = format!("cd {path}; ls | tr '\\n' ' '; cat t v; touch f 2>/dev/null || echo refused");
        assert_eq!(
            script(&host, &["--mount", mount], &look).ok(),
            "t v tool\nnew\nrefused\n",
            "{mount}"
        );
    }
    assert!(script(&host, &["--mount", "type=image,src=busybox,dst=/x"], "/x/bin/busybox true").code == 0);
    let error = script(&host, &["--mount", "type=image,src=two,dst=/x,image-subpath=none"], "true").fails(125);
    assert!(error.contains("no such directory"), "{error}");
    let error = script(&host, &["--mount", "type=image,src=nothing,dst=/x"], "true").fails(125);
    assert!(error.contains("nothing"), "{error}");
}

#[test]
fn everything_mounted_is_explained() {
    let host = Host::new();
    let done = host
        .run("explain run -v data:/d -v /anon --tmpfs /t --mount src=data,dst=/x,volume-subpath=a busybox true")
        .ok();
    for part in [
        "volume/data/data",
        "files that outlive the container",
        "files in memory",
        "RESOLVE_BENEATH",
    ] {
        assert!(done.contains(part), "{part}: {done}");
    }
    assert!(!host.root().join("volume").exists(), "explaining makes nothing");
    host.until_nothing_is_left();
}
