//! The program that shows a container's files while it does not run: its root with its volumes, for one process that does nothing but
//! keep them.

use super::super::Options;
use super::{Facts, Places, binds};
use crate::error::Result;
use crate::isolation::{self, Exchange};
use crate::layer::{self, Bind, MountPoint, Origin};
use crate::program::{Concept, Input, Program, Register};

/// Plans it. Files in memory and what the kernel shows are only there while a container runs, and so are its users: owners are those
/// on disk.
pub fn show(facts: &Facts, places: &Places, options: &Options) -> Result<Program> {
    let mut binds = binds::all(facts, places, options)?;
    binds.retain(|(_, bind)| is_kept(bind));
    let mut program = Program::default();
    isolation::begin(&mut program, None, |_| {});
    let root = layer::make_overlay(&mut program, &places.overlay);
    layer::attach_overlay(&mut program, &places.overlay, root);
    let mut mount = |(concept, bind): &mut (Concept, Bind)| {
        bind.id_mapped = false;
        layer::bind(&mut program, *concept, root, bind)
    };
    let mounted: Vec<Register> = binds.iter_mut().map(&mut mount).collect();
    binds::protect(&mut program, &binds, &mounted);
    if options.read_only {
        layer::protect(&mut program, root, "nobody may write to the container's root");
    }
    isolation::enter_root(&mut program, root, Exchange::Pivot);
    program.tell("the files can be reached through this process");
    program.wait(Input::Release, "it lives for as long as somebody needs them");
    Ok(program)
}

/// Whether something that a container sees is there without it.
fn is_kept(bind: &Bind) -> bool {
    let is_missing = match &bind.origin {
        Origin::New { kind, .. } => kind == "tmpfs",
        // What tells a container about names is written when it starts.
        Origin::Path { path, .. } => !exists(path),
        _ => false,
    };
    let kernels = ["proc", "sys", "dev"].map(|name| MountPoint::existing(name.as_bytes()));
    !is_missing && !kernels.iter().any(|kernels| bind.at.is_below(kernels))
}

fn exists(path: &[u8]) -> bool {
    std::path::Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path)).exists()
}
