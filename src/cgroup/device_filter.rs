//! Which devices a container may open. It may make nodes of any device, as root can, but open only the harmless ones: a
//! node of the host's disk is of no use to it.
//!
//! The rule is the same for all containers, so it is set once, on the directory that all containers' cgroups are below: as
//! a BPF program in a version 2 tree (bpf(2), `BPF_PROG_TYPE_CGROUP_DEVICE`), as a list in version 1.

use std::fs::{self, File};
use std::path::Path;

use crate::error::{Doing, Result};
use crate::kernel::bpf::{self, Instruction as I};

/// Character devices that a container may open: major numbers, each with its minor numbers or none for all of them.
const ALLOWED: [(u32, &[u32]); 3] = [
    (1, &[3, 5, 7, 8, 9]), // null zero full random urandom
    (5, &[0, 1, 2]),       // tty console ptmx
    (136, &[]),            // pts
];

/// The kinds of device and of access in the context of such a program (linux/bpf.h).
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;

/// Sets the rule for all cgroups below a version 2 directory, unless it is set.
pub fn set_unified(directory: &Path) -> Result<()> {
    let doing = || format!("filter devices in `{}`", directory.display());
    let cgroup = File::open(directory).doing(doing)?;
    if bpf::attached_to_cgroup(&cgroup).doing(doing)? == 0 {
        bpf::attach_to_cgroup(&cgroup, &program()).doing(doing)?;
    }
    Ok(())
}

/// Sets the rule for all cgroups below a version 1 directory, unless it is set.
pub fn set_separate(directory: &Path) -> Result<()> {
    let list = directory.join("devices.list");
    if !fs::read_to_string(&list)
        .doing(|| format!("read `{}`", list.display()))?
        .contains("a *:* rwm")
    {
        return Ok(());
    }
    let write = |file: &str, value: String| {
        let file = directory.join(file);
        fs::write(&file, &value).doing(|| format!("write `{value}` to `{}`", file.display()))
    };
    write("devices.deny", "a".into())?;
    for any in ["c *:* m", "b *:* m"] {
        write("devices.allow", any.into())?;
    }
    for (major, minors) in ALLOWED {
        let minors: Vec<String> = if minors.is_empty() {
            vec!["*".into()]
        } else {
            minors.iter().map(u32::to_string).collect()
        };
        for minor in minors {
            write("devices.allow", format!("c {major}:{minor} rwm"))?;
        }
    }
    Ok(())
}

/// The rule as a program: returns 1 for what is allowed. Registers: 1 the context, 2 the access, 3 the kind of device,
/// 4 the major and 5 the minor number.
fn program() -> Vec<I> {
    let mut program = vec![
        I::load(2, 1, 0),
        I::copy(3, 2),
        I::and(3, 0xffff),
        I::shift_right(2, 16),
        I::load(4, 1, 4),
        I::load(5, 1, 8),
        I::skip_unless_equal(2, MKNOD, 2),
        I::set(0, 1),
        I::exit(),
        I::skip_if_equal(3, CHARACTER, 2),
        I::set(0, 0),
        I::exit(),
    ];
    for (major, minors) in ALLOWED {
        let allowed = [I::set(0, 1), I::exit()];
        if minors.is_empty() {
            program.push(I::skip_unless_equal(4, major as i32, 2));
            program.extend(allowed);
        }
        for minor in minors {
            program.push(I::skip_unless_equal(4, major as i32, 3));
            program.push(I::skip_unless_equal(5, *minor as i32, 2));
            program.extend(allowed);
        }
    }
    program.extend([I::set(0, 0), I::exit()]);
    program
}
