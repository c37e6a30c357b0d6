//! Connecting to containers, leaving them, and waiting for their ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crate::host::{Host, until};
use crate::terminal::Terminal;
use crate::tracer::{self, Hold, Role};

fn kill(child: &Child, signal: i32) {
    // SAFETY: it is a child that nobody has waited for.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0, "signal {signal}");
}

#[test]
fn s5_2_streams_are_connected_as_asked() {
    let host = Host::new();
    let script = ["busybox", "sh", "-c", "cat; echo out; echo err >&2"];
    for (flags, out, err) in [
        (&["-i"][..], "in\nout\n", "err\n"),
        (&[], "out\n", "err\n"),
        (&["-i", "-a", "stdout"], "out\n", ""),
        (&["-i", "-a", "stdin", "-a", "stdout"], "in\nout\n", ""),
        (&["-a", "STDERR"], "", "err\n"),
    ] {
        let mut command = host.command(&[&["run", "--rm", "--network", "none"], flags, &script].concat());
        let file = host.path("in");
        fs::write(&file, "in\n").expect("write");
        command.stdin(fs::File::open(&file).expect("open"));
        if flags == ["-i", "-a", "stdout"] {
            // Nobody is there to end its input.
            continue;
        }
        let output = command.output().expect("run");
        assert_eq!(
            (
                String::from_utf8_lossy(&output.stdout).as_ref(),
                String::from_utf8_lossy(&output.stderr).as_ref()
            ),
            (out, err),
            "{flags:?}"
        );
    }
    let message = host.run("run -d -a stdout busybox true").fails(125);
    assert!(
        message.contains("conflicting options: cannot specify both --attach and --detach"),
        "{message}"
    );
    assert!(host.run("run -a nowhere busybox true").fails(125).contains("`nowhere`"));
    let id = host
        .sh("echo fed | $TINYDOCK run -i -a stdin --name fed --network none busybox cat")
        .ok();
    assert_eq!(id.trim().len(), 64);
    assert_eq!(host.run("wait fed").ok(), "0\n");
    assert_eq!(host.run("logs fed").ok(), "fed\n");
}

/// Both directions at once are more than all buffers hold.
#[test]
fn input_and_output_do_not_wait_for_each_other() {
    let host = Host::new();
    host.start(&["--name", "there", "--network", "none", "busybox", "sleep", "1000"]);
    for command in ["run --rm -i --network none busybox cat", "exec -i there cat"] {
        let line = format!("head -c 8000000 /dev/zero | timeout 50 $TINYDOCK {command} | wc -c");
        assert_eq!(host.sh(&line).ok(), "8000000\n", "{command}");
    }
}

#[test]
#[expect(clippy::zombie_processes, reason = "the client ends with its container")]
fn several_users_are_attached_at_once() {
    let host = Host::new();
    host.start(&[
        "-i",
        "--name",
        "shared",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "while read line; do echo got $line; echo error >&2; done; exit 5",
    ]);
    let mut first = host.spawn(&["attach", "shared"]);
    let second = host.spawn(&["attach", "--no-stdin", "shared"]);
    let mut lines = BufReader::new(first.stdout.take().expect("a pipe")).lines();
    let mut keyboard = first.stdin.take().expect("a pipe");
    // The second is connected as well once it shows something.
    let mut seen = BufReader::new(second.stdout.expect("a pipe"));
    let mut writer = host.spawn(&["attach", "shared"]);
    let mut other = writer.stdin.take().expect("a pipe");
    thread::sleep(Duration::from_millis(500));
    keyboard.write_all(b"one\n").expect("type");
    assert_eq!(lines.next().expect("a line").expect("text"), "got one");
    let mut line = String::new();
    seen.read_line(&mut line).expect("read");
    assert_eq!(line, "got one\n");
    // Who was never in the foreground keeps its input, whoever leaves.
    drop(keyboard);
    kill(&first, libc::SIGKILL);
    first.wait().expect("its end");
    other.write_all(b"two\n").expect("type");
    line.clear();
    seen.read_line(&mut line).expect("read");
    assert_eq!(line, "got two\n");
    host.run("kill shared").ok();
    assert_eq!(writer.wait().expect("its end").code(), Some(137));
    assert!(host.run("attach shared").fails(1).contains("`shared` is not running"));
}

fn detach(host: &Host, arguments: &[&str], keys: &str) {
    let mut terminal = Terminal::run(host.command(arguments));
    terminal.press("echo ali''ve\r");
    terminal.shows("\r\nalive\r\n");
    terminal.press(keys);
    let (screen, code) = terminal.end();
    assert_eq!(code, Some(0), "{arguments:?}: {screen}");
    assert!(screen.ends_with("read escape sequence\n"), "{arguments:?}: {screen}");
}

#[test]
fn s5_4_detach_keys_leave_the_container_running() {
    let host = Host::new();
    let base = ["--network", "none", "busybox", "sh"];
    detach(&host, &[&["run", "-it", "--name", "left"], &base[..]].concat(), "\x10\x11");
    assert_eq!(host.status("left"), "running");
    detach(&host, &["attach", "left"], "\x10\x11");
    detach(&host, &["attach", "--detach-keys", "ctrl-x,q", "left"], "\x18q");
    assert_eq!(host.status("left"), "running");
    let mut terminal = Terminal::run(host.command(&["attach", "left"]));
    terminal.resize(33, 77);
    // The keys that do not follow are typed after all.
    terminal.press("until stty size | grep '33 77'; do sleep 0.1; done\r");
    terminal.shows("\r\n33 77\r\n");
    terminal.press("exit 6\r");
    assert_eq!(terminal.end().1, Some(6));
    detach(&host, &["start", "-ai", "--detach-keys", "ctrl-a", "left"], "\x01");
    assert_eq!(host.status("left"), "running");
    host.run("rm -f left").ok();
    for keys in ["ctrl-", "ctrl-1", "ab", "ctrl-p,,ctrl-q"] {
        let message = host.tinydock(&["run", "--detach-keys", keys, "busybox", "true"]).fails(125);
        assert!(message.contains(&format!("invalid detach keys `{keys}`")), "{message}");
    }
}

fn processes(host: &Host, name: &str) -> String {
    host.tinydock(&["exec", name, "ps", "-o", "args"]).stdout
}

#[test]
fn detach_keys_leave_an_executed_command_running() {
    let host = Host::new();
    host.start(&["--name", "there", "--network", "none", "busybox", "sleep", "1000"]);
    let script = "echo rea''dy; read line; n=0; while [ $n -lt 100000 ]; do echo $n; n=$((n+1)); done; sleep 777";
    let mut terminal = Terminal::run(host.command(&["exec", "-it", "there", "sh", "-c", script]));
    terminal.shows("ready\r\n");
    terminal.press("\r\x10\x11");
    let (screen, code) = terminal.end();
    assert!(
        code == Some(0) && screen.ends_with("read escape sequence\n"),
        "{code:?} {screen}"
    );
    // What it writes is read, or it would not come so far.
    until("it goes on", || processes(&host, "there").contains("sleep 777"));
    let mut terminal = Terminal::run(host.command(&["exec", "-it", "there", "sh"]));
    terminal.press("exit 4\r");
    assert_eq!(terminal.end().1, Some(4));
    assert_eq!(host.sh("script -qec \"$TINYDOCK exec -it there nope\" /dev/null").code, 127);
}

/// P20, moby#9098, #35703: a command outlived whoever had executed it.
#[test]
#[expect(clippy::zombie_processes, reason = "the test ends soon after the client was killed")]
fn an_executed_command_ends_with_whoever_executed_it() {
    let host = Host::new();
    host.start(&["--name", "there", "--network", "none", "busybox", "sleep", "1000"]);
    let client = host.spawn(&["exec", "there", "sleep", "111"]);
    let terminal = Terminal::run(host.command(&["exec", "-it", "there", "sleep", "222"]));
    host.run("exec -d there sleep 333").ok();
    until("all run", || {
        ["111", "222", "333"]
            .iter()
            .all(|time| processes(&host, "there").contains(time))
    });
    kill(&client, libc::SIGKILL);
    kill(terminal.child(), libc::SIGKILL);
    until("both are gone", || {
        !["111", "222"].iter().any(|time| processes(&host, "there").contains(time))
    });
    assert!(processes(&host, "there").contains("sleep 333"));
    let client = host.spawn(&[
        "exec",
        "there",
        "sh",
        "-c",
        "trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done",
    ]);
    let mut client = client;
    let mut ready = [0; 6];
    client.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("read");
    kill(&client, libc::SIGTERM);
    assert_eq!(client.wait().expect("its end").code(), Some(8));
}

#[test]
fn s5_3_signals_are_passed_on_unless_they_must_not_be() {
    let host = Host::new();
    let script = "trap 'exit 4' TERM; trap 'echo winch' WINCH; trap 'exit 9' TSTP; trap 'exit 5' 34; echo ready; while :; do sleep 0.1; done";
    for (flags, signal, code) in [
        (&["--name", "proxy"][..], libc::SIGTERM, Some(4)),
        (&["--name", "stops"], libc::SIGTSTP, Some(9)),
        // The first real-time signal is one that C libraries may keep for themselves.
        (&["--name", "first"], 34, Some(5)),
        (&["--sig-proxy=false", "--name", "alone"], libc::SIGTERM, None),
    ] {
        let mut run = host.spawn(&[&["run", "--network", "none"], flags, &["busybox", "sh", "-c", script]].concat());
        let mut ready = [0; 6];
        run.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("read");
        kill(&run, signal);
        assert_eq!(run.wait().expect("its end").code(), code, "{flags:?}");
    }
    assert_eq!(host.status("alone"), "running");
    let attached = host.spawn(&["attach", "alone"]);
    thread::sleep(Duration::from_millis(300));
    kill(&attached, libc::SIGTERM);
    assert_eq!(attached.wait_with_output().expect("its end").status.code(), Some(4));
}

#[test]
fn s5_1_wait_prints_the_code_of_each_end() {
    let host = Host::new();
    for (name, flags, script) in [
        ("ended", &[][..], "exit 3"),
        ("slow", &[], "sleep 1; exit 4"),
        ("removed", &["--rm"], "sleep 0.5; exit 5"),
        ("again", &["--restart", "on-failure:1"], "sleep 0.7; exit 6"),
    ] {
        host.start(
            &[
                &["--name", name, "--network", "none"],
                flags,
                &["busybox", "sh", "-c", script],
            ]
            .concat(),
        );
    }
    until("one has ended", || host.status("ended").contains("exited"));
    assert_eq!(host.run("wait ended slow removed again").ok(), "3\n4\n5\n6\n");
    let missing = host.run("wait ended nobody");
    assert_eq!((missing.code, missing.stdout.as_str()), (1, "3\n"));
    host.run("create --name fresh --network none busybox true").ok();
    assert_eq!(host.run("wait fresh").ok(), "0\n");
    host.start(&[
        "--name",
        "many",
        "--rm",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "read x </dev/zero; sleep 1000",
    ]);
    let waiting: Vec<Child> = (0..30).map(|_| host.spawn(&["wait", "many"])).collect();
    thread::sleep(Duration::from_millis(1500));
    host.run("kill -s KILL many").ok();
    for waiting in waiting {
        assert_eq!(
            String::from_utf8_lossy(&waiting.wait_with_output().expect("its end").stdout),
            "137\n"
        );
    }
}

/// What a container writes must not wait for somebody who only waits for its end.
#[test]
fn who_waits_holds_up_nobody() {
    let host = Host::new();
    host.start(&[
        "--name",
        "busy",
        "--network",
        "none",
        "-di",
        "busybox",
        "sh",
        "-c",
        "read go; yes | head -c 3000000; exit 2",
    ]);
    let waiting = host.spawn(&["wait", "busy"]);
    thread::sleep(Duration::from_millis(300));
    kill(&waiting, libc::SIGSTOP);
    host.sh("echo go | timeout 50 $TINYDOCK attach busy >/dev/null").fails(2);
    kill(&waiting, libc::SIGCONT);
    assert_eq!(
        String::from_utf8_lossy(&waiting.wait_with_output().expect("its end").stdout),
        "2\n"
    );
}

#[test]
fn a_monitor_stays_small() {
    let host = Host::new();
    let script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; sleep 1000";
    host.start(&[
        "--name",
        "small",
        "--network",
        "none",
        "--log-opt",
        "max-size=10k",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    until("it has written all", || host.run("logs -n 1 small").stdout == "line 2999\n");
    let monitor = host.sh(&format!("ps -o ppid= -p {}", host.init("small"))).ok();
    let path = Path::new("/proc").join(monitor.trim()).join("smaps_rollup");
    let text = fs::read_to_string(path).expect("read its memory");
    let kilobytes = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    let private = kilobytes("Private_Dirty:") + kilobytes("Private_Clean:");
    assert!(private <= 100, "{private} kB\n{text}");
}

/// A command that was to clean up, and cannot, is not waited for.
#[test]
fn a_container_is_cleaned_up_after_while_its_command_is_stopped() {
    let host = Host::new();
    let mut command = host.command(&[
        "run",
        "--rm",
        "--name",
        "left",
        "--network",
        "none",
        "busybox",
        "sleep",
        "1000",
    ]);
    let mut command = command.spawn().expect("run");
    let mut id = String::new();
    until("it runs", || {
        id = host.run("ps -q --no-trunc").ok();
        !id.is_empty()
    });
    let directory = host.root().join("container").join(id.trim());
    kill(&command, libc::SIGSTOP);
    host.run("kill left").ok();
    until("it is gone", || !directory.exists());
    kill(&command, libc::SIGCONT);
    assert_eq!(command.wait().expect("wait").code(), Some(137));
}

/// Whoever reads what a command writes waits for the command, and not for who cleans up.
#[test]
fn whoever_cleans_up_has_none_of_the_users_streams() {
    let host = Host::new();
    let mut command = host.command(&["run", "--rm", "--network", "none", "busybox", "true"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut streams = Vec::new();
    let was_held = tracer::run_holding(
        &mut command,
        Hold {
            role: Role::Successor,
            at: &|call| call.number == libc::SYS_sendto,
            until: &mut |call| {
                streams = (0..3).map(|descriptor| call.file(descriptor)).collect();
                true
            },
        },
    );
    assert!(was_held);
    assert_eq!(streams, ["/dev/null"; 3].map(PathBuf::from));
    host.until_nothing_is_left();
}

/// What a user has done with a command they can have back when it has ended: a lock that it inherits, and the directory it is in.
#[test]
fn whoever_cleans_up_is_in_nobodys_way() {
    let host = Host::new();
    let script = "mkdir there; for n in 1 2 3 4 5; do mount -t tmpfs there there
        (cd there; exec flock ../a-lock \"$TINYDOCK\" run --rm --network none busybox true)
        flock -n a-lock true || echo the lock is held; umount there; done";
    assert_eq!(host.sh(script).ok(), "");
    // Its monitor does not stay in the directory, either.
    host.sh(
        "mount -t tmpfs there there; (cd there; \"$TINYDOCK\" run -d --name stays --network none busybox sleep 1000); umount there",
    )
    .ok();
    host.run("rm -f stays").ok();
}
