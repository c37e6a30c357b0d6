//! What is in a container, from outside: `diff` and `export`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::host::{Done, Host, until};

/// Makes a container without network that runs a script and has ended, or runs still.
pub fn container(host: &Host, name: &str, flags: &[&str], script: &str) {
    let before = ["run", "-d", "--name", name, "--network", "none"];
    host.tinydock(&[&before, flags, &["busybox", "sh", "-c", script]].concat())
        .ok();
    if !script.contains("sleep") {
        host.run(&format!("wait {name}")).ok();
    }
}

/// Runs a command of tinydock in a pipeline.
pub fn shell(host: &Host, script: &str) -> Done {
    host.sh(&format!("td() {{ \"$TINYDOCK\" \"$@\"; }}; {script}"))
}

pub fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
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
