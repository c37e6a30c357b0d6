//! A container's files from outside: `cp`, `diff` and `export`.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::host::{Done, Host, until};
use crate::tracer::{self, Kill, Role};

/// Makes a container without network that runs a script and has ended, or runs still.
fn container(host: &Host, name: &str, flags: &[&str], script: &str) {
    let before = ["run", "-d", "--name", name, "--network", "none"];
    host.tinydock(&[&before, flags, &["busybox", "sh", "-c", script]].concat())
        .ok();
    if !script.contains("sleep") {
        host.run(&format!("wait {name}")).ok();
    }
}

/// Runs a command of tinydock in a pipeline.
fn shell(host: &Host, script: &str) -> Done {
    host.sh(&format!("td() {{ \"$TINYDOCK\" \"$@\"; }}; {script}"))
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory `src` of the host: `src/f` and `src/sub/g`.
fn source(host: &Host) {
    write(&host.path("src/f"), "f\n", 0o640);
    write(&host.path("src/sub/g"), "g\n", 0o644);
    fs::set_permissions(host.path("src"), fs::Permissions::from_mode(0o750)).unwrap();
}

#[test]
fn a_diff_lists_what_was_added_changed_and_deleted() {
    let host = Host::new();
    let script = "mkdir /d; touch /d/e /etc/added; rm /etc/group; chmod 711 /root; rm -r /usr; mkdir /usr; touch /usr/own; \
                  touch /tmp/t; rm /tmp/t; touch /bin/busybox; mkdir -p /made; rm -r /var";
    container(&host, "diffed", &["-v", "/data", "-w", "/made/deep"], script);
    let below = host.inside(&[], "busybox", &["ls", "/usr"]).ok();
    let deleted: String = below.lines().map(|name| format!("D /usr/{name}\n")).collect();
    let expected = format!(
        "C /bin\nC /bin/busybox\nA /d\nA /d/e\nA /data\nC /etc\nA /etc/added\nD /etc/group\nA /made\nA /made/deep\nC /root\nC \
         /usr\n{deleted}A /usr/own\nD /var\n"
    );
    let mut expected: Vec<&str> = expected.lines().collect();
    let found = host.run("diff diffed").ok();
    let mut found: Vec<&str> = found.lines().collect();
    assert!(
        found.is_sorted_by_key(|line| line[2..].split('/').map(String::from).collect::<Vec<_>>()),
        "{found:#?}"
    );
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(host.run("diff nobody").fails(1), "tinydock: no such container: `nobody`\n");
}

/// Files that come and go while they are read.
#[test]
fn a_container_that_is_busy_is_compared_and_exported() {
    let host = Host::new();
    let busy = "while :; do rm -rf /etc/new /usr/sbin; mkdir /etc/new; touch /etc/new/f; ln -s f /etc/new/l; mkdir -p /usr/sbin/d; \
                rm -r /etc/new; touch /etc/new; done; sleep 1";
    container(&host, "busy", &[], busy);
    until("it is busy", || host.run("diff busy").ok().contains("C /etc\n"));
    for _ in 0..20 {
        host.run("diff busy").ok();
        assert!(shell(&host, "td export busy | tar t").ok().contains("bin/busybox\n"));
    }
    host.run("rm -f busy").ok();
}

#[test]
fn a_container_that_has_only_started_has_no_diff() {
    let host = Host::new();
    container(&host, "plain", &[], "sleep 1000");
    assert_eq!(host.run("diff plain").ok(), "");
    host.run("exec plain touch /x").ok();
    assert_eq!(host.run("container diff plain").ok(), "A /x\n");
}

#[test]
fn an_export_has_all_files_with_all_they_are() {
    let host = Host::new();
    let script = "cd /tmp; echo one > a; ln a b; chown 5:6 a; chmod 4751 a; ln -s a l; mkfifo p; mkdir d; chmod 2770 d; \
                  touch -d @1000000000 d; echo seen > $(printf 'x\\377y'); echo v > /data/v; echo t > /t/t; mknod n c 1 3; rm /etc/group";
    container(&host, "exported", &["-v", "/data", "--tmpfs", "/t"], script);
    host.run("export -o all.tar exported").ok();
    host.sh("mkdir all; tar -C all -xpf all.tar").ok();
    let stat = |name: &str| fs::symlink_metadata(host.path("all/tmp").join(name)).unwrap();
    let a = stat("a");
    assert_eq!((a.uid(), a.gid(), a.mode() & 0o7777, a.nlink()), (5, 6, 0o4751, 2));
    assert_eq!(a.ino(), stat("b").ino());
    assert_eq!((stat("d").mode() & 0o7777, stat("d").mtime()), (0o2770, 1_000_000_000));
    assert_eq!(fs::read_link(host.path("all/tmp/l")).unwrap(), Path::new("a"));
    let name = std::ffi::OsStr::from_bytes(b"x\xffy");
    assert_eq!(fs::read_to_string(host.path("all/tmp").join(name)).unwrap(), "seen\n");
    assert!(!host.path("all/etc/group").exists());
    assert!(host.path("all/bin/busybox").exists());
    // What is mounted is not the container's own.
    assert!(host.path("all/data").exists() && !host.path("all/data/v").exists());
    assert!(host.path("all/proc").exists() && !host.path("all/proc/version").exists());
    assert!(!host.path("all/t/t").exists());
    let names = host.sh("tar -tf all.tar").ok();
    assert!(names.starts_with("bin/\n"), "{}", &names[..40]);
    assert!(
        shell(&host, "td export exported | tar -tv")
            .ok()
            .contains(" tmp/b link to tmp/a")
    );
}

#[test]
fn what_is_exported_is_imported() {
    let host = Host::new();
    let script = "echo hi > /hi; chown 7:8 /hi; ln /hi /hi2; rm -r /var";
    container(&host, "one", &[], script);
    shell(&host, "td export one | td import - again").ok();
    let look = "cat /hi; stat -c '%u %g %h' /hi; ls -d /var 2>/dev/null || echo gone";
    assert_eq!(host.inside(&[], "again", &["sh", "-c", look]).ok(), "hi\n7 8 2\ngone\n");
    container(&host, "two", &["--read-only"], "sleep 1000");
    // One that runs is exported as well.
    shell(&host, "td export two | td import - running").ok();
    assert_eq!(host.inside(&[], "running", &["echo", "well"]).ok(), "well\n");
}

#[test]
fn an_export_is_not_written_to_a_terminal_and_an_old_file_stays_until_it_is_whole() {
    let host = Host::new();
    container(&host, "one", &[], "true");
    let done = host.sh("script -qec \"$TINYDOCK export one\" /dev/null");
    assert!(done.stdout.contains("an archive is not written to a terminal"), "{done:?}");
    fs::write(host.path("kept"), "old").unwrap();
    host.run("export -o kept nobody").fails(1);
    assert_eq!(fs::read_to_string(host.path("kept")).unwrap(), "old");
    // What is there and no file is written to, not replaced.
    host.run("export -o /dev/null one").ok();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
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

/// A container in which `/swap` is a directory, and a link to the host's directory of this name, by turns and without end.
fn swapping(host: &Host, flags: &[&str], target: &Path) {
    let program = r#"
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <stdio.h>
        #include <sys/stat.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            mkdir("/swap", 0777);
            symlink(argv[1], "/other");
            close(open("/swap/file", O_CREAT | O_WRONLY, 0644));
            close(open("/ready", O_CREAT, 0644));
            for (;;) renameat2(AT_FDCWD, "/swap", AT_FDCWD, "/other", RENAME_EXCHANGE);
        }"#;
    let tools = host.compile("swap", program);
    let target = target.display().to_string();
    let before = ["--name", "evil", "--network", "none", "-v", &tools];
    host.start(&[&before, flags, &["busybox", "/tools/swap", &target]].concat());
    until("swapping", || host.run("exec evil ls /ready").code == 0);
}

#[test]
fn a_container_that_exchanges_links_reaches_nothing_of_the_host() {
    let host = Host::new();
    source(&host);
    write(&host.path("secret/file"), "secret\n", 0o600);
    fs::create_dir(host.path("target")).unwrap();
    let secret = host.path("secret");
    for flags in [&[] as &[&str], &["--userns", "auto"]] {
        swapping(&host, flags, &secret);
        for n in 0..60 {
            // Some fail since nothing is there, or what is there is no directory: only the host must be as it was.
            host.run("cp src/f evil:/swap/stolen");
            host.run("cp src/. evil:/swap");
            host.run("cp src/f evil:/swap/file");
            host.run(&format!("cp evil:/swap/file target/a{n}"));
            host.run(&format!("cp -L evil:/swap/ target/b{n}"));
            shell(&host, "tar c src | td cp - evil:/swap");
        }
        host.run("rm -f evil").ok();
    }
    let names: Vec<_> = fs::read_dir(&secret)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(names, ["file"], "something was written to the host");
    assert_eq!(fs::read_to_string(secret.join("file")).unwrap(), "secret\n");
    assert_eq!(fs::metadata(secret.join("file")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o777, 0o755);
    assert_eq!(
        host.sh("grep -rl secret target || true").ok(),
        "",
        "something was read from the host"
    );
    assert!(
        fs::read_dir(host.path("target")).unwrap().count() > 0,
        "nothing was copied at all"
    );
}

#[test]
fn links_of_a_container_lead_nowhere_else() {
    let host = Host::new();
    source(&host);
    let secret = host.path("secret/file");
    write(&secret, "secret\n", 0o600);
    container(&host, "evil", &["-v", "/v"], "sleep 1000");
    let directory = host.path("secret").display().to_string();
    let script = format!(
        "ln -s {directory} /link; ln -s {directory}/file /flink; ln -s ../../../../../..{directory} /up; ln -s /proc/1/root /magic"
    );
    host.tinydock(&["exec", "evil", "sh", "-c", &script]).ok();
    for stopped in [false, true] {
        if stopped {
            host.run("stop -t 0 evil").ok();
        }
        for path in ["/link/", "/link/file", "/up/file", "/magic/etc/passwd"] {
            host.run(&format!("cp evil:{path} x")).fails(1);
        }
        host.run("cp -L evil:/flink x").fails(1);
        host.run("cp src/f evil:/link/new").fails(1);
        host.run("cp src/f evil:/flink").fails(1);
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret\n");
    assert_eq!(fs::read_dir(host.path("secret")).unwrap().count(), 1);
}

#[test]
fn a_hostile_stream_writes_nothing_outside() {
    let host = Host::new();
    container(&host, "here", &[], "sleep 1000");
    let entry = |tar: &mut tar::Builder<Vec<u8>>, name: &[u8], kind: tar::EntryType, link: &str| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
    };
    let mut tar = tar::Builder::new(Vec::new());
    let directory = host.path("").display().to_string();
    entry(&mut tar, b"out", tar::EntryType::Symlink, &directory);
    entry(&mut tar, b"out/written", tar::EntryType::Regular, "");
    let through_link = tar.into_inner().unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    entry(&mut tar, b"../above", tar::EntryType::Regular, "");
    let above = tar.into_inner().unwrap();
    for (stream, wrong) in [
        (through_link, "cannot overwrite non-directory `out` with directory"),
        (above, "has `..` in its name"),
    ] {
        let mut child = host.spawn(&["cp", "-", "here:/tmp"]);
        child.stdin.take().unwrap().write_all(&stream).unwrap();
        let done = Done::from(child.wait_with_output().unwrap());
        let told = done.fails(1);
        assert!(told.contains(wrong), "{told}");
    }
    assert!(!host.path("written").exists());
    assert_eq!(host.run("exec here ls -A / /tmp").ok().matches("above").count(), 0);
}

#[test]
fn a_device_in_place_of_a_file_is_never_opened() {
    let host = Host::new();
    // A pipe that nobody writes to would hold up whoever opens it.
    container(
        &host,
        "here",
        &[],
        "mkdir /d; mkfifo /d/p; mknod /d/n c 1 3; echo x > /d/x; sleep 1000",
    );
    until("the files", || host.run("exec here cat /d/x").stdout == "x\n");
    let names = shell(&host, "td cp here:/d - | tar -tv").ok();
    assert_eq!(names.lines().map(|line| &line[..1]).collect::<String>(), "dcp-");
    host.run("cp here:/d/p pipe").ok();
    let wrong = host.run("cp here:/d/x /dev/null").fails(1);
    assert!(
        wrong.contains("must be a directory or a regular file: got a device"),
        "{wrong}"
    );
}

/// Kills who copies at every call, and looks for what is left.
fn kill_copying(role: Role, script: &str) {
    let host = Host::new();
    source(&host);
    container(&host, "here", &["-v", "vol:/data"], script);
    for words in [["cp", "src", "here:/data"], ["cp", "here:/etc", "out"]] {
        for call in 0.. {
            let mut command: Command = host.command(&words);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            // The later calls are those of reading and writing, and some of them are enough.
            let call = if call < 150 { call } else { 150 + (call - 150) * 17 };
            if !tracer::run(&mut command, &[], Kill { role, call }) {
                break;
            }
            let _ = fs::remove_dir_all(host.path("out"));
            host.run("ls -aq").ok();
            let is_live = script.contains("sleep");
            until(
                &format!("all is gone of a copy whose {role:?} was killed at call {call}"),
                || {
                    is_live
                        || host
                            .traces()
                            .iter()
                            .all(|trace| trace.starts_with("file") && !trace.contains("/run/"))
                },
            );
        }
    }
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    assert!(!mounts.contains(&host.root().display().to_string()), "{mounts}");
    host.run("cp src here:/data/last").ok();
    assert_eq!(shell(&host, "td cp here:/data/last/f - | tar -xO").ok(), "f\n");
}

#[test]
fn whoever_copies_to_a_stopped_container_is_killed() {
    kill_copying(Role::Command, "true");
}

#[test]
fn whoever_keeps_a_stopped_containers_files_is_killed() {
    kill_copying(Role::Monitor, "true");
}

#[test]
fn whoever_copies_to_a_running_container_is_killed() {
    kill_copying(Role::Command, "sleep 10000");
}

#[test]
fn a_copy_and_a_start_do_not_meet() {
    let host = Host::new();
    source(&host);
    fs::write(host.path("src/large"), vec![1; 64 << 20]).unwrap();
    container(&host, "here", &[], "cat /big/large | wc -c");
    let is_busy = || {
        let entries = host.root().join("run/container").read_dir();
        entries.is_ok_and(|mut entries| entries.next().is_some())
    };
    until("its end", || !is_busy());
    let copying = host.spawn(&["cp", "src", "here:/big"]);
    until("the copy", is_busy);
    // The start waits until the copy is done.
    host.run("start here").ok();
    assert!(copying.wait_with_output().unwrap().status.success());
    host.run("wait here").ok();
    assert!(host.run("logs here").ok().ends_with("67108864\n"));
}
