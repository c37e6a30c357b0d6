//! `cp`, to and from containers, in all the ways that there are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::files::{container, shell, write};
use crate::host::{Host, until};

/// A directory `src` of the host: `src/f` and `src/sub/g`.
pub fn source(host: &Host) {
    write(&host.path("src/f"), "f\n", 0o640);
    write(&host.path("src/sub/g"), "g\n", 0o644);
    fs::set_permissions(host.path("src"), fs::Permissions::from_mode(0o750)).unwrap();
}

/// What `cp` says in each case that the documentation of Docker lists, for a container that runs and one that does not.
fn copy_in_all_ways(host: &Host, name: &str) {
    source(host);
    let cp = |line: &str| host.run(&format!("cp {}", line.replace("C:", &format!("{name}:"))));
    let tree = |path: &str| {
        let list = shell(host, &format!("td cp {name}:{path} - | tar -tf - | sort")).ok();
        list.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // A file: to a directory, over a file, as a new one, and not as a directory that is missing.
    cp("src/f C:/tmp").ok();
    cp("src/f C:/tmp/copy").ok();
    cp("src/sub/g C:/tmp/copy").ok();
    assert_eq!(tree("/tmp"), "tmp/ tmp/copy tmp/f");
    cp("C:/tmp/copy out").ok();
    assert_eq!(fs::read_to_string(host.path("out")).unwrap(), "g\n");
    assert_eq!(
        cp("src/f C:/none/").fails(1),
        format!("tinydock: `{name}:/none/`: no such directory\n")
    );
    assert_eq!(
        cp("src/f C:/none/x").fails(1),
        format!("tinydock: could not find the file `/none` in container `{name}`\n")
    );
    // A directory: into one that is there, as one that is missing, its content only, and not over a file.
    cp("src C:/tmp").ok();
    assert_eq!(tree("/tmp/src"), "src/ src/f src/sub/ src/sub/g");
    cp("src C:/new").ok();
    cp("src/ C:/new2/").ok();
    cp("src/. C:/new").ok();
    assert_eq!(tree("/new"), "new/ new/f new/sub/ new/sub/g");
    assert_eq!(tree("/new2"), "new2/ new2/f new2/sub/ new2/sub/g");
    assert_eq!(
        cp("src C:/tmp/f").fails(1).lines().next(),
        Some("tinydock: cannot copy directory")
    );
    // The same the other way.
    cp("C:/new out2").ok();
    cp("C:/new out2").ok();
    cp("C:/new/. out2").ok();
    assert!(host.path("out2/f").exists() && host.path("out2/new/sub/g").exists());
    assert_eq!(fs::metadata(host.path("out2")).unwrap().mode() & 0o777, 0o750);
    assert_eq!(
        cp("C:/new out").fails(1).lines().next(),
        Some("tinydock: cannot copy directory")
    );
    assert_eq!(
        cp("C:/tmp/f none/").fails(1),
        format!("tinydock: `{}/`: no such directory\n", host.path("none").display())
    );
    let missing = format!(
        "tinydock: invalid output path: directory `{}` does not exist\n",
        host.path("none").display()
    );
    assert_eq!(cp("C:/tmp/f none/x").fails(1), missing);
    // What is missing, and what is of another kind.
    assert_eq!(
        cp("C:/none x").fails(1),
        format!("tinydock: could not find the file `/none` in container `{name}`\n")
    );
    assert_eq!(
        cp("C:/tmp/f/ x").fails(1),
        format!("tinydock: `{name}:/tmp/f/`: not a directory\n")
    );
    assert_eq!(
        cp("none C:/x").fails(1),
        format!("tinydock: `{}`: no such file or directory\n", host.path("none").display())
    );
    fs::create_dir_all(host.path("clash/f")).unwrap();
    assert!(
        cp("clash/. C:/new")
            .fails(1)
            .contains("cannot overwrite non-directory `f` with directory")
    );
    write(&host.path("clash2/sub"), "", 0o644);
    assert!(
        cp("clash2/. C:/new")
            .fails(1)
            .contains("cannot overwrite directory `sub` with non-directory")
    );
    // Paths begin at the root and never lead above it.
    cp("src/f C:tmp/../../../../relative").ok();
    assert_eq!(tree("/relative"), "relative");
    // Neither is the kernel's a file to copy.
    assert_eq!(
        cp("C:/proc/version x").fails(1),
        format!("tinydock: could not find the file `/proc/version` in container `{name}`\n")
    );
}

#[test]
fn s2_2_files_are_copied_to_and_from_a_running_container() {
    let host = Host::new();
    container(&host, "here", &[], "sleep 1000");
    copy_in_all_ways(&host, "here");
}

#[test]
fn s2_2_files_are_copied_to_and_from_a_stopped_container() {
    let host = Host::new();
    container(&host, "here", &[], "true");
    copy_in_all_ways(&host, "here");
    assert_eq!(host.status("here"), "exited (0)");
    host.run("start here").ok();
}

#[test]
fn the_words_of_a_copy_are_read_as_docker_does() {
    let host = Host::new();
    source(&host);
    container(&host, "here", &[], "true");
    assert!(
        host.run("cp here:/a here:/b")
            .fails(1)
            .contains("copying between containers is not supported")
    );
    assert!(
        host.run("cp a b")
            .fails(1)
            .contains("must specify at least one container source")
    );
    assert!(
        host.run("cp - -")
            .fails(1)
            .contains("must specify at least one container source")
    );
    assert!(
        host.tinydock(&["cp", "", "here:/b"])
            .fails(1)
            .contains("source can not be empty")
    );
    assert!(
        host.tinydock(&["cp", "src", ""])
            .fails(1)
            .contains("destination can not be empty")
    );
    assert!(host.run("cp src/f nobody:/").fails(1).contains("no such container: `nobody`"));
    write(&host.path("a:b"), "colon\n", 0o644);
    host.run("cp ./a:b here:/tmp").ok();
    host.run("cp here:/tmp/a:b ./c:d").ok();
    assert_eq!(fs::read_to_string(host.path("c:d")).unwrap(), "colon\n");
    let told = host.sh("script -qec \"$TINYDOCK cp src/f here:/told\" /dev/null").ok();
    assert!(told.starts_with("Successfully copied 2.05kB to here:/told"), "{told}");
    assert_eq!(host.sh("script -qec \"$TINYDOCK cp -q src/f here:/told\" /dev/null").ok(), "");
    assert!(
        host.sh("script -qec \"$TINYDOCK cp here:/told -\" /dev/null")
            .stdout
            .contains("not written to a terminal")
    );
}

#[test]
fn links_are_copied_as_links_and_followed_as_destinations() {
    let host = Host::new();
    source(&host);
    container(&host, "here", &[], "sleep 1000");
    host.tinydock(&[
        "exec",
        "here",
        "sh",
        "-c",
        "mkdir /dir; echo a > /a; ln -s a /l; ln -s dir /ld; ln -s /none /dangling; ln -s l /ll",
    ])
    .ok();
    host.run("cp here:/l link").ok();
    assert_eq!(fs::read_link(host.path("link")).unwrap(), Path::new("a"));
    host.run("cp -L here:/ll followed").ok();
    assert_eq!(fs::read_to_string(host.path("followed")).unwrap(), "a\n");
    fs::create_dir(host.path("into")).unwrap();
    host.run("cp -L here:/l into").ok();
    assert_eq!(fs::read_to_string(host.path("into/l")).unwrap(), "a\n");
    assert!(
        host.run("cp -L here:/dangling x")
            .fails(1)
            .contains("could not find the file `/dangling`")
    );
    // A link to a directory is the directory if it ends with a slash.
    host.run("cp src/f here:/ld").ok();
    host.run("cp src/f here:/ld/g").ok();
    host.run("cp here:/ld/ out").ok();
    assert!(host.path("out/f").exists() && host.path("out/g").exists());
    host.run("cp src/f here:/l").ok();
    assert_eq!(host.run("exec here cat /a").ok(), "f\n");
    host.run("cp src/f here:/dangling").ok();
    assert_eq!(host.run("exec here cat /none").ok(), "f\n");
    symlink("src", host.path("lsrc")).unwrap();
    host.run("cp lsrc here:/copied").ok();
    host.run("cp -L lsrc here:/copied2").ok();
    host.run("cp lsrc/ here:/copied3").ok();
    assert_eq!(host.run("exec here readlink /copied").ok(), "src\n");
    assert_eq!(host.run("exec here cat /copied2/f /copied3/sub/g").ok(), "f\ng\n");
    // A link of the host as the destination.
    symlink("into", host.path("linto")).unwrap();
    host.run("cp here:/a linto").ok();
    assert!(host.path("into/a").exists());
}

#[test]
fn copies_are_streams() {
    let host = Host::new();
    source(&host);
    container(&host, "here", &[], "sleep 1000");
    shell(&host, "tar c src | td cp - here:/tmp; tar cz src | td cp - here:/root").ok();
    assert_eq!(host.run("exec here cat /tmp/src/f /root/src/sub/g").ok(), "f\ng\n");
    assert_eq!(shell(&host, "td cp here:/tmp/src/f - | tar -xO").ok(), "f\n");
    assert_eq!(
        shell(&host, "td cp here:/tmp/src - | td cp - here:/; td exec here cat /src/f").ok(),
        "f\n"
    );
    let wrong = |line: &str| shell(&host, &format!("tar c src | td cp - {line}")).fails(1);
    assert_eq!(
        wrong("here:/tmp/src/f"),
        "tinydock: destination `here:/tmp/src/f` must be a directory\n"
    );
    assert_eq!(
        wrong("here:/none"),
        "tinydock: destination `here:/none` must be a directory\n"
    );
    assert!(shell(&host, "echo no | td cp - here:/tmp").code == 1);
}

#[test]
fn a_copy_keeps_what_files_are() {
    let host = Host::new();
    let script = "mkdir -p /t/d; echo x > /t/a; ln /t/a /t/b; chown 3:4 /t/a; chmod 6755 /t/a; mkfifo /t/p; mknod /t/n c 1 3; \
                  chmod 666 /t/n; touch -d @1000000000 /t/d; sleep 1000";
    container(&host, "here", &[], script);
    until("the files", || host.run("exec here stat /t/d").stdout.contains("2001"));
    let root = host.init("here");
    host.sh(&format!("setfattr -n user.colour -v red /proc/{root}/root/t/a || true"))
        .ok();
    let is_marked = host.sh(&format!("getfattr -n user.colour /proc/{root}/root/t/a")).code == 0;
    host.run("cp here:/t mine").ok();
    host.run("cp -a here:/t theirs").ok();
    let stat = |path: &str| fs::symlink_metadata(host.path(path)).unwrap();
    let (mine, theirs) = (stat("mine/a"), stat("theirs/a"));
    // What gives the power of a file's owner does not give ours.
    assert_eq!((mine.uid(), mine.gid(), mine.mode() & 0o7777, mine.nlink()), (0, 0, 0o755, 2));
    assert_eq!((theirs.uid(), theirs.gid(), theirs.mode() & 0o7777), (3, 4, 0o6755));
    assert_eq!(
        (stat("mine/n").mode() & 0o777, stat("theirs/n").mode() & 0o777),
        (0o600, 0o666)
    );
    assert_eq!(stat("mine/d").mtime(), 1_000_000_000);
    assert_eq!(mine.ino(), stat("mine/b").ino());
    if is_marked {
        host.sh("getfattr -n user.colour mine/a").ok();
    }
    // Into a container owners are always those of the source.
    host.run("cp theirs here:/back").ok();
    assert_eq!(
        host.tinydock(&["exec", "here", "stat", "-c", "%u %g %a %h", "/back/a"]).ok(),
        "3 4 6755 2\n"
    );
    // A name that says "gone" in a layer is only a name.
    write(&host.path("odd/.wh.bin"), "x", 0o644);
    write(&host.path("odd/.wh..wh..opq"), "x", 0o644);
    host.run("cp odd here:/").ok();
    assert_eq!(host.run("exec here ls -A /odd").ok(), ".wh..wh..opq\n.wh.bin\n");
    host.run("exec here ls /bin/busybox").ok();
}

#[test]
fn a_copy_sees_volumes_and_what_is_in_memory() {
    let host = Host::new();
    source(&host);
    let show = format!("{}:/host", host.path("shown").display());
    let flags = ["-v", "vol:/data", "-v", &show, "--tmpfs", "/mem"];
    container(&host, "here", &flags, "sleep 1000");
    for place in ["/data", "/host", "/mem"] {
        host.run(&format!("cp src/f here:{place}")).ok();
        assert_eq!(host.run(&format!("exec here cat {place}/f")).ok(), "f\n");
        assert_eq!(shell(&host, &format!("td cp here:{place}/f - | tar -xO")).ok(), "f\n");
    }
    assert_eq!(fs::read_to_string(host.path("shown/f")).unwrap(), "f\n");
    // What is mounted is not taken away from the container.
    assert!(host.run("cp src/f here:/etc/hosts").fails(1).contains("resource busy"));
    assert!(host.run("exec here cat /etc/hosts").ok().contains("localhost"));
    host.run("stop -t 0 here").ok();
    for place in ["/data", "/host"] {
        host.run(&format!("cp src/sub/g here:{place}")).ok();
        assert_eq!(shell(&host, &format!("td cp here:{place}/f - | tar -xO")).ok(), "f\n");
    }
    assert_eq!(fs::read_to_string(host.path("shown/g")).unwrap(), "g\n");
    assert!(
        host.run("cp here:/mem/f x")
            .fails(1)
            .contains("could not find the file `/mem/f`")
    );
    assert_eq!(host.inside(&["-v", "vol:/v"], "busybox", &["cat", "/v/g"]).ok(), "g\n");
}

#[test]
fn nothing_is_copied_to_what_is_read_only() {
    let host = Host::new();
    source(&host);
    let flags = ["--read-only", "-v", "vol:/data:ro", "-v", "free:/free"];
    container(&host, "runs", &flags, "sleep 1000");
    container(&host, "ended", &flags, "true");
    for name in ["runs", "ended"] {
        let wrong = |to: &str| host.run(&format!("cp src/f {name}:{to}")).fails(1);
        assert_eq!(wrong("/x"), "tinydock: container rootfs is marked read-only\n");
        assert_eq!(wrong("/data"), "tinydock: mounted volume is marked read-only\n");
        host.run(&format!("cp src/f {name}:/free")).ok();
        host.run(&format!("cp {name}:/free/f out")).ok();
    }
}

#[test]
fn owners_are_the_containers_own() {
    let host = Host::new();
    source(&host);
    host.sh("chown 1000:1001 src/f").ok();
    container(
        &host,
        "here",
        &["--userns", "auto", "-v", "vol:/data", "--tmpfs", "/mem"],
        "sleep 1000",
    );
    for place in ["/", "/data", "/mem"] {
        host.run(&format!("cp src/f here:{place}")).ok();
        let seen = host
            .tinydock(&["exec", "here", "stat", "-c", "%u %g", &format!("{place}/f")])
            .ok();
        assert_eq!(seen, "1000 1001\n", "{place}");
        let sent = shell(&host, &format!("td cp here:{place}/f - | tar -tv --numeric-owner")).ok();
        assert!(sent.contains(" 1000/1001 "), "{sent}");
    }
    assert!(
        shell(&host, "td export here | tar -tv --numeric-owner f")
            .ok()
            .contains(" 1000/1001 ")
    );
    // Who is nobody on the host owns nothing there.
    host.run("exec here chmod 4755 /f").ok();
    host.run("cp -a here:/f back").ok();
    let back = fs::metadata(host.path("back")).unwrap();
    assert_eq!((back.uid(), back.mode() & 0o7777), (0, 0o755));
    host.sh("chown 70000 src/f").ok();
    assert!(
        host.run("cp src/f here:/tmp")
            .fails(1)
            .contains("the container has no such user")
    );
}
