//! Containers that are looked at, or fail, while they are being started: a process of the start is held where it matters.

use std::fs::{self, File};

use crate::host::Host;
use crate::tracer::{self, Hold, Role};

/// The host opens the network of a container with users of its own, or with another's processes, by init's number. Where init has
/// ended by then, that fails, too.
#[test]
fn the_first_of_two_errors_is_told() {
    let host = Host::new();
    host.start(&["--name", "partner", "--network", "none", "busybox", "sleep", "1000"]);
    let domain = "d".repeat(100);
    for flags in [["--userns", "auto"], ["--pid", "container:partner"]] {
        let run = [&["run", "--rm", "--domainname", &domain], &flags[..], &["busybox", "true"]].concat();
        let told = host.path("told");
        let mut command = host.command(&run);
        command.stderr(File::create(&told).expect("make a file"));
        let was_held = tracer::run_holding(
            &mut command,
            Hold {
                role: Role::Monitor,
                at: &|call| call.number == libc::SYS_openat && call.path(1).ends_with("/ns/net"),
                until: &mut |call| fs::metadata(call.path(1)).is_err(),
            },
        );
        assert!(was_held, "{flags:?}");
        let told = fs::read_to_string(&told).expect("read");
        assert!(told.contains("setdomainname(") && told.contains("invalid argument"), "{told}");
    }
}
