//! Containers that several remove at once, or that somebody begins to remove.

use std::fs::{self, File};

use crate::host::Host;
use crate::tracer::{self, Hold, Role};

/// One command knows the container already when the other one removes it.
#[test]
fn a_container_that_somebody_else_removes_is_removed() {
    let host = Host::new();
    let cases: [(&[&str], &str); 2] = [(&[], "/lock"), (&["--restart", "always"], "/.stopped.new")];
    for (flags, at) in cases {
        let run = [
            &["--name", "victim", "--network", "none"],
            flags,
            &["busybox", "sleep", "1000"],
        ]
        .concat();
        let id = host.start(&run);
        let (told, out) = (host.path("told"), host.path("out"));
        let mut command = host.command(&["rm", "-f", "victim"]);
        command
            .stderr(File::create(&told).expect("make a file"))
            .stdout(File::create(&out).expect("make a file"));
        let was_held = tracer::run_holding(
            &mut command,
            Hold {
                role: Role::Command,
                at: &|call| call.number == libc::SYS_openat && call.path(1).ends_with(&format!("{id}{at}")),
                until: &mut |_| host.run("rm -f victim").ok() == "victim\n",
            },
        );
        assert!(was_held, "{flags:?}");
        let read = |path| fs::read_to_string(path).expect("read");
        assert_eq!((read(told), read(out)), (String::new(), "victim\n".into()), "{flags:?}");
        host.until_nothing_is_left();
    }
}
