//! What only Docker asks of a runtime.

use crate::engine::Engine;
use crate::host::until;

#[test]
fn containers_start_again_by_themselves() {
    let engine = Engine::docker();
    engine.start("web", &["--restart", "on-failure:2"], "echo up; sleep 0.2; exit 1");
    until("its end", || {
        engine.inspect("web", ".RestartCount") == "2" && engine.inspect("web", ".State.Status") == "exited"
    });
    assert_eq!(engine.line("logs web").ok(), "up\nup\nup\n");
}

#[test]
fn containers_outlive_the_daemon() {
    let mut engine = Engine::docker();
    engine.start("web", &[], "trap 'exit 3' TERM; while :; do sleep 0.05; done");
    let pid = engine.inspect("web", ".State.Pid");
    engine.replace_daemon();
    assert_eq!(engine.inspect("web", ".State.Status"), "running");
    assert_eq!(engine.inspect("web", ".State.Pid"), pid);
    assert_eq!(engine.exec("web", "echo still").ok(), "still\n");
    engine.line("stop web").ok();
    assert_eq!(engine.inspect("web", ".State.ExitCode"), "3");
}
