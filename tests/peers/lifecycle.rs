//! From the start of a container to its end.

use crate::engine::{Engine, for_both};
use crate::host::until;

for_both!(
    output_input_and_status_are_the_commands,
    what_cannot_be_run_is_told,
    a_container_stops_and_starts_again,
    a_container_that_will_not_stop_is_killed,
    a_paused_container_stands_still,
    many_containers_at_once,
);

fn output_input_and_status_are_the_commands(engine: &Engine) {
    let done = engine.inside(&[], "echo out; echo wrong >&2; exit 7");
    assert_eq!(
        (done.code, done.stdout.as_str(), done.stderr.as_str()),
        (7, "out\n", "wrong\n")
    );
    let run = ["run", "--rm", "-i", "--network", "none", "busybox", "tr", "a-z", "A-Z"];
    let text = "all of the input\n".repeat(10_000);
    assert_eq!(engine.fed(&run, &text).ok(), text.to_uppercase());
    let done = engine.inside(&[], "(sleep 0.1; kill -TERM 1) & trap 'exit 3' TERM; wait; wait");
    assert_eq!(done.code, 3, "{done:?}");
}

fn what_cannot_be_run_is_told(engine: &Engine) {
    let run = |command: &str| engine.line(&format!("run --rm --network none busybox {command}"));
    run("no-such-command").fails(127);
    run("/no/such/file").fails(127);
    run("/etc/passwd").fails(126);
    engine.start("web", &[], "sleep 1000");
    // Docker of this version has one status for both.
    let missing = if engine.is_podman() { 127 } else { 126 };
    for (command, code) in [("no-such-command", missing), ("/etc", 126), ("/etc/passwd", 126)] {
        engine.line(&format!("exec web {command}")).fails(code);
    }
    assert_eq!(engine.exec("web", "echo still").ok(), "still\n");
    let message = engine.line("run --rm --network none -w /etc/passwd busybox true");
    assert_ne!(message.code, 0, "{message:?}");
}

fn a_container_stops_and_starts_again(engine: &Engine) {
    let script = "echo $$ up; trap 'echo caught; exit 3' TERM; trap 'echo user' USR1; while :; do sleep 0.05; done";
    engine.start("web", &[], script);
    engine.until_logged("web", "1 up");
    assert_eq!(engine.inspect("web", ".State.Status"), "running");
    engine.line("kill -s USR1 web").ok();
    engine.until_logged("web", "user");
    engine.line("stop web").ok();
    engine.until_logged("web", "caught");
    assert_eq!(engine.inspect("web", ".State.Status"), "exited");
    assert_eq!(engine.inspect("web", ".State.ExitCode"), "3");
    for verb in ["start", "restart"] {
        let before = engine.inspect("web", ".State.Pid");
        engine.line(&format!("{verb} web")).ok();
        assert_eq!(engine.inspect("web", ".State.Status"), "running");
        assert_ne!(engine.inspect("web", ".State.Pid"), before);
        let ups = || engine.line("logs web").ok().matches("1 up").count();
        until("another start", || ups() == if verb == "start" { 2 } else { 3 });
    }
    engine.line("kill web").ok();
    assert_eq!(engine.line("wait web").ok(), "137\n");
    engine.line("rm web").ok();
    assert_eq!(engine.line("ps -aq").ok(), "");
}

fn a_container_that_will_not_stop_is_killed(engine: &Engine) {
    let deaf = "trap '' TERM; echo up; sleep 1000 & while :; do sleep 0.05; done";
    engine.start("deaf", &[], deaf);
    engine.until_logged("deaf", "up");
    engine.line("stop -t 1 deaf").ok();
    assert_eq!(engine.inspect("deaf", ".State.ExitCode"), "137");
    engine.line("start deaf").ok();
    engine.line("rm -f deaf").ok();
    // Where the host's processes are seen, there is no first one whose end is everyone's.
    engine.start("wide", &["--pid", "host"], "sleep 1003 & sleep 1003 & echo up; wait");
    engine.until_logged("wide", "up");
    engine.line("rm -f wide").ok();
    until("the end of its children", || {
        engine.host.sh("pgrep -f 'sleep 100[3]'").code == 1
    });
}

fn a_paused_container_stands_still(engine: &Engine) {
    engine.start("clock", &[], "while :; do echo tick; sleep 0.02; done");
    engine.until_logged("clock", "tick");
    engine.line("pause clock").ok();
    assert_eq!(engine.inspect("clock", ".State.Status"), "paused");
    let ticks = || engine.line("logs clock").ok().lines().count();
    std::thread::sleep(std::time::Duration::from_millis(200));
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(ticks(), before, "it ticks while it is paused");
    engine.line("unpause clock").ok();
    until("another tick", || ticks() > before);
}

fn many_containers_at_once(engine: &Engine) {
    let run = engine.shell_words("run", "-d --network none --name many-$i busybox sleep 1000");
    let exec = engine.shell_words("exec", "many-$i cat /proc/1/cmdline");
    let all = |command: &str| {
        let each = format!("{command} >out-$i 2>&1 & pids=\"$pids $!\"");
        engine.host.sh(&format!(
            "for i in 1 2 3 4 5 6; do {each}; done; for p in $pids; do wait $p; done; cat out-*"
        ))
    };
    all(&run).ok();
    assert_eq!(engine.line("ps -q").ok().lines().count(), 6);
    assert_eq!(all(&exec).ok().matches("1000").count(), 6);
    all(&engine.shell_words("rm", "-f many-$i")).ok();
}
