//! Paused containers: their processes stand still, and it is never said of one that goes on.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::host::{Host, until};

/// A container that counts in a file as fast as it can.
fn counting(host: &Host) -> impl Fn() -> String {
    let shared = host.path("shared");
    fs::create_dir(&shared).expect("make a directory");
    let volume = format!("{}:/shared", shared.display());
    let script = "n=0; while :; do n=$((n + 1)); echo $n > /shared/new; mv /shared/new /shared/count; done";
    host.start(&[
        "--name",
        "busy",
        "--network",
        "none",
        "-v",
        &volume,
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let file = shared.join("count");
    until("it counts", || file.exists());
    move || fs::read_to_string(&file).expect("read the count")
}

fn goes_on(count: &impl Fn() -> String) {
    let before = count();
    until("it counts", || count() != before);
}

#[test]
fn a_paused_container_stands_still_until_it_is_unpaused() {
    let host = Host::new();
    let count = counting(&host);
    assert_eq!(host.run("pause busy").ok(), "busy\n");
    let stood = count();
    assert_eq!(host.status("busy"), "paused");
    assert!(host.run("why busy").ok().contains("is paused"));
    assert_eq!(
        host.run("pause busy").fails(1),
        "tinydock: container `busy` is already paused\n"
    );
    let exec = host.run("exec busy true").fails(125);
    assert!(
        exec.contains("container `busy` is paused, unpause the container before exec"),
        "{exec}"
    );
    let start = host.run("start busy").fails(1);
    assert!(start.contains("container `busy` is paused: it cannot be started"), "{start}");
    let removed = host.run("rm busy").fails(1);
    assert!(removed.contains("container `busy` is paused"), "{removed}");
    // What is read while it stands still leaves it as it is.
    host.run("commit busy stood").ok();
    assert!(host.run("stats --no-stream busy").ok().contains("0.00%"));
    sleep(Duration::from_millis(200));
    assert_eq!((count(), host.status("busy")), (stood, "paused".to_string()));
    assert_eq!(host.run("container unpause busy").ok(), "busy\n");
    assert_eq!(host.status("busy"), "running");
    goes_on(&count);
    assert_eq!(
        host.run("unpause busy").fails(1),
        "tinydock: container `busy` is not paused\n"
    );
    let events = host.run("events --since 10m --until 0s").ok();
    let at = |action: &str| events.find(&format!("container {action} ")).expect(action);
    assert!(at("pause") < at("unpause"), "{events}");
}

#[test]
fn what_ends_a_paused_container_lets_it_go_on_first() {
    let host = Host::new();
    let script = "trap 'echo asked; exit 7' TERM; while :; do sleep 0.05; done";
    for (line, status) in [
        ("stop -t 30 paused", "exited (7)"),
        ("kill -s TERM paused", "exited (7)"),
        ("kill paused", "exited (137)"),
        ("restart -t 30 paused", "running"),
    ] {
        host.start(&["--name", "paused", "--network", "none", "busybox", "sh", "-c", script]);
        // The shell must know what to do about the signal.
        sleep(Duration::from_millis(300));
        host.run("pause paused").ok();
        host.run(line).ok();
        until(line, || host.status("paused") == status);
        host.run("rm -f paused").ok();
    }
    host.start(&["--name", "paused", "--network", "none", "busybox", "sleep", "100"]);
    host.run("pause paused").ok();
    // A signal that ends nothing waits.
    host.run("kill -s USR1 paused").ok();
    assert_eq!(host.status("paused"), "paused");
    host.run("rm -f paused").ok();
    assert!(host.run("pause paused").fails(1).contains("no such container"));
    host.run("create --name paused --network none busybox true").ok();
    assert_eq!(
        host.run("pause paused").fails(1),
        "tinydock: container `paused` is not running\n"
    );
}

/// Whenever the command is killed, the container is as `ls` says.
#[test]
fn a_pause_that_is_killed_leaves_what_is_so() {
    let host = Host::new();
    let count = counting(&host);
    for microseconds in (0..40).map(|n| n * 250) {
        let mut pause = host.command(&["pause", "busy"]);
        let mut pause = pause.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start it");
        sleep(Duration::from_micros(microseconds));
        let _ = pause.kill();
        pause.wait().expect("wait for it");
        // The next command lets go on what is half paused.
        host.run("ls").ok();
        let before = count();
        match host.status("busy").as_str() {
            "running" => goes_on(&count),
            "paused" => {
                sleep(Duration::from_millis(20));
                assert_eq!(count(), before);
                host.run("unpause busy").ok();
                goes_on(&count);
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_health_check_waits_while_its_container_is_paused() {
    let host = Host::new();
    let checked = ["--health-cmd", "true", "--health-interval", "50ms"];
    host.start(
        &[
            &checked,
            &["--name", "well", "--network", "none", "busybox", "sleep", "100"][..],
        ]
        .concat(),
    );
    let id = host.run("ls -q --no-trunc").ok();
    let health = host.root().join("container").join(id.trim()).join("health");
    let read = || fs::read_to_string(&health).unwrap_or_default();
    until("it is healthy", || read().contains("healthy"));
    host.run("pause well").ok();
    // One that was under way may still be written down.
    sleep(Duration::from_millis(500));
    let before = read();
    sleep(Duration::from_millis(500));
    assert_eq!(read(), before);
    host.run("unpause well").ok();
    until("it is checked again", || read() != before);
    assert!(!read().contains("unhealthy"), "{}", read());
}
