//! What tinydock says about itself: its help word for word, and its manual page and completions as those who read them see them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TINYDOCK: &str = env!("CARGO_BIN_EXE_tinydock");

fn tinydock(arguments: &[&str]) -> String {
    text(Command::new(TINYDOCK).args(arguments).output().expect("run tinydock"))
}

#[track_caller]
fn text(output: Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What a program prints for an input.
#[track_caller]
fn filtered(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("give it the input");
    drop(stdin);
    text(child.wait_with_output().expect("wait for it"))
}

/// The names of all commands of something, as its help lists them.
fn commands(of: &[&str]) -> Vec<String> {
    let help = tinydock(&[of, &["--help"]].concat());
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).map(|line| {
        let name = line.trim_start().split("  ").next();
        name.expect("a name").to_string()
    });
    names.collect()
}

#[test]
fn help_is_as_it_was_reviewed() {
    let mut all = tinydock(&["--help"]);
    let runtimes = commands(&["runtime"]).into_iter().map(|command| format!("runtime {command}"));
    for command in commands(&[]).into_iter().chain(runtimes) {
        let words: Vec<&str> = command.split(' ').collect();
        let help = tinydock(&[words.as_slice(), &["--help"]].concat());
        assert_eq!(help, tinydock(&[&["help"], words.as_slice()].concat()), "help {command}");
        all += &format!("\n# tinydock {command} --help\n{help}");
    }
    let long = all.lines().find(|line| line.len() > 120);
    assert_eq!(long, None, "this line does not fit a terminal");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("TINYDOCK_BLESS").is_some() {
        fs::write(&path, &all).expect("write the new help");
    }
    assert!(
        all == fs::read_to_string(&path).expect("read the reviewed help"),
        "if this is intended, run the test with TINYDOCK_BLESS=1 and review the difference:\n{all}"
    );
}

#[test]
fn the_manual_page_is_a_manual_page() {
    let page = filtered("man", &["--warnings", "-E", "ascii", "-l", "-"], &tinydock(&["manual"]));
    for command in commands(&[]) {
        assert!(
            page.contains(&format!("tinydock {command}")),
            "{command} is missing in\n{page}"
        );
    }
}

#[test]
fn every_command_has_a_manual_page() {
    for name in tinydock(&["manual", "--names"]).lines() {
        let page = filtered("man", &["--warnings", "-E", "ascii", "-l", "-"], &tinydock(&["manual", name]));
        assert!(page.contains(&format!("tinydock-{name}")), "{name} is missing in\n{page}");
    }
}

#[test]
fn bash_completes_commands_and_flags() {
    let script = tinydock(&["completion", "bash"]);
    for (line, expected) in [
        ("tinydock ru", "run runtime"),
        ("tinydock ex", "exec explain export"),
        ("tinydock network cr", "create"),
        ("tinydock run --publ", "--publish --publish-all"),
        ("tinydock network create --sub", "--subnet"),
        ("tinydock logs --fol", "--follow"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let directory = Path::new(TINYDOCK).parent().expect("its directory").display();
        let complete = format!(
            "PATH={directory}:$PATH\n{script}\nCOMP_WORDS=({line}); COMP_CWORD={}; _tinydock; echo \"${{COMPREPLY[@]}}\"\n",
            words.len() - 1
        );
        assert_eq!(filtered("bash", &[], &complete), format!("{expected}\n"), "{line}");
    }
}
