//! A user at a terminal.

use crate::engine::{Engine, for_both};

for_both!(
    a_shell_in_a_new_container,
    a_shell_in_a_running_container,
    a_terminal_that_nobody_looks_at
);

/// The size travels beside the keys, so it is asked for until it has arrived.
const KEYS: &str = "tty; until stty size 2>/dev/null | grep '33 77'; do sleep 0.1; done
test -t 0 && test -t 1 && test -t 2 && echo all''three
echo con''trolled > /dev/tty
ls -l /dev/console; exit 5
";

#[track_caller]
fn use_shell(engine: &Engine, line: &str) -> String {
    let done = engine.host.at_terminal(line, KEYS);
    let screen = done.stdout;
    assert_eq!(done.code, 5, "{screen}");
    assert!(screen.contains("\n/dev/"), "{screen}");
    assert!(screen.contains("\n33 77\n"), "{screen}");
    assert!(screen.contains("\nallthree\n"), "{screen}");
    assert!(screen.contains("\ncontrolled\n"), "{screen}");
    screen
}

fn a_shell_in_a_new_container(engine: &Engine) {
    let screen = use_shell(engine, &engine.shell_words("run", "-it --rm --network none busybox sh"));
    assert!(screen.contains("\ncrw"), "{screen}");
}

fn a_shell_in_a_running_container(engine: &Engine) {
    engine.start("web", &[], "sleep 1000");
    use_shell(engine, &engine.shell_words("exec", "-it web sh"));
    // A user who may not open the terminal again may still use it.
    let done = engine
        .host
        .at_terminal(&engine.shell_words("exec", "-it -u user web sh"), "id -u; exit 6\n");
    assert!(done.code == 6 && done.stdout.contains("\n1000\n"), "{done:?}");
}

fn a_terminal_that_nobody_looks_at(engine: &Engine) {
    engine.start(
        "web",
        &["-t"],
        "tty; stty size; test -t 0 && test -t 1 && echo both; sleep 1000",
    );
    let logged = || engine.line("logs web").stdout.replace('\r', "");
    crate::host::until("a terminal", || logged().contains("\nboth\n"));
}
