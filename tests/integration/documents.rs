//! The commands of the README and of the pages in docs/ do what is shown there.
//!
//! In a `console` block a line that begins with `# ` is a command; one that ends with a backslash goes on in the next line.
//! Lines without it are what the command before them prints. A command that shows none may print anything. None may fail.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::host::{Host, TINYDOCK, until};
use crate::terminal::Terminal;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Debug, PartialEq)]
struct Shown {
    command: String,
    output: String,
}

/// The commands of all console blocks of a page, in order.
fn commands(page: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut inside = false;
    let mut continues = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let (true, Some(last)) = (continues, shown.last_mut()) {
            last.command += &format!("\n{line}");
            continues = line.ends_with('\\');
        } else if let Some(command) = line.strip_prefix("# ") {
            continues = command.ends_with('\\');
            shown.push(Shown {
                command: command.into(),
                output: String::new(),
            });
        } else if let Some(last) = shown.last_mut() {
            last.output += &format!("{line}\n");
        }
    }
    shown
}

/// Runs a page's commands in one shell on a terminal, with tinydock's usual directories, and compares what they print.
fn follow(page: &str) {
    let host = Host::new();
    let shown = commands(&fs::read_to_string(Path::new(REPOSITORY).join(page)).expect("read the page"));
    assert!(!shown.is_empty(), "{page} shows no commands");
    host.sh("mount -t tmpfs tmpfs /var/lib && mount -t tmpfs tmpfs /run && mkdir work bin")
        .ok();
    symlink(TINYDOCK, host.path("bin/tinydock")).expect("link tinydock");
    symlink(Path::new(REPOSITORY).join("examples"), host.path("work/examples")).expect("link the examples");
    let mut script = format!("unset TINYDOCK_ROOT; PATH={}:$PATH; cd work\n", host.path("bin").display());
    for (n, shown) in shown.iter().enumerate() {
        script += &format!("{}\necho \"@@@ {n} $?\"\n", shown.command);
    }
    script += "tinydock ls -aq\n";
    fs::write(host.path("script"), script).expect("write the script");
    let mut bash = Command::new("bash");
    bash.arg("script").current_dir(host.path(""));
    let (printed, code) = Terminal::run(bash).end();
    assert_eq!(code, Some(0), "{page}:\n{printed}");
    let mut rest = printed.as_str();
    for (n, shown) in shown.iter().enumerate() {
        let (output, after) = rest
            .split_once(&format!("@@@ {n} 0\n"))
            .unwrap_or_else(|| panic!("{page}: this fails: {}\n{rest}", shown.command));
        assert!(
            shown.output.is_empty() || shown.output == output,
            "{page}: {}\nprints: {output}\nnot: {}",
            shown.command,
            shown.output
        );
        rest = after;
    }
    assert_eq!(rest, "", "{page} leaves containers");
    // A monitor ends a moment after the command that has removed its container.
    let unmount = "for place in /run /var/lib; do ! mountpoint -q $place || umount $place || exit 1; done";
    until("nothing is in use", || host.sh(unmount).code == 0);
}

#[test]
fn the_readme_is_true() {
    follow("README.md");
}

#[test]
fn the_page_about_process_isolation_is_true() {
    follow("docs/process-isolation.md");
}

#[test]
fn the_page_about_resource_limits_is_true() {
    follow("docs/resource-limits.md");
}

#[test]
fn the_page_about_layers_is_true() {
    follow("docs/file-system-layering.md");
}

#[test]
fn the_page_about_images_is_true() {
    follow("docs/base-images.md");
}

#[test]
fn the_page_about_registries_is_true() {
    follow("docs/registries.md");
}

#[test]
fn the_page_about_networks_is_true() {
    follow("docs/bridge-networking.md");
}

#[test]
fn the_page_about_the_oci_runtime_is_true() {
    follow("docs/oci-runtime.md");
}

#[test]
fn the_page_about_logs_is_true() {
    follow("docs/logs.md");
}

#[test]
fn the_page_for_people_who_type_docker_is_true() {
    follow("docs/docker.md");
}
