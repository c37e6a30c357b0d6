//! `cp` beside containers that want to reach the host, and beside whoever kills it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::copy::source;
use crate::files::{container, shell, write};
use crate::host::{Done, Host, until};
use crate::tracer::{self, Kill, Role};

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
