//! What is mounted in a container.

use std::fs;

use crate::engine::{Engine, for_both};

for_both!(files_are_shared_with_the_host, mounts_appear_later);

fn files_are_shared_with_the_host(engine: &Engine) {
    let shared = engine.host.path("shared");
    fs::create_dir(&shared).expect("make a directory");
    fs::write(shared.join("greeting"), "hello\n").expect("write a file");
    let place = |rest: &str| format!("{}{rest}", shared.display());
    let (both, read, file) = (place(":/data"), place(":/still:ro"), place("/greeting:/etc/greeting"));
    let flags = [
        "-v",
        &both,
        "-v",
        &read,
        "-v",
        &file,
        "--tmpfs",
        "/scratch:size=1m,mode=700,noexec",
        "--shm-size",
        "4m",
        "-v",
        "kept:/kept",
    ];
    let script = "cat /data/greeting /still/greeting /etc/greeting; echo back > /data/answer; echo kept > /kept/file
        touch /still/new; dd if=/dev/zero of=/scratch/big bs=1k count=2000; stat -c %a /scratch
        grep -q '/scratch tmpfs .*noexec' /proc/mounts && df -k /dev/shm | tail -1 | awk '{print $2}'";
    let done = engine.inside(&flags, script);
    assert_eq!(done.stdout, "hello\nhello\nhello\n700\n4096\n", "{done:?}");
    assert!(done.stderr.contains("/still/new: Read-only file system"), "{done:?}");
    assert!(done.stderr.contains("No space left on device"), "{done:?}");
    assert_eq!(fs::read_to_string(shared.join("answer")).expect("what it wrote"), "back\n");
    assert_eq!(engine.inside(&["-v", "kept:/kept"], "cat /kept/file").ok(), "kept\n");
    engine.line("volume rm kept").ok();
}

fn mounts_appear_later(engine: &Engine) {
    let shared = engine.host.place("shared");
    engine
        .host
        .sh(&format!(
            "mkdir {shared}; mount --bind {shared} {shared}; mount --make-shared {shared}"
        ))
        .ok();
    let [slave, private] = ["rslave", "rprivate"].map(|kind| format!("{shared}:/{kind}:{kind}"));
    engine.start("web", &["-v", &slave, "-v", &private], "sleep 1000");
    engine
        .host
        .sh(&format!(
            "mkdir {shared}/late; mount -t tmpfs tmpfs {shared}/late; touch {shared}/late/file"
        ))
        .ok();
    assert_eq!(engine.exec("web", "ls /rslave/late; ls /rprivate/late").ok(), "file\n");
    engine.line("rm -f web").ok();
    engine.host.sh(&format!("umount {shared}/late; umount {shared}")).ok();
}
