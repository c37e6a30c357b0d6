//! The container's root becomes the root.

use crate::program::{Concept, Program, Register};

/// Writes the steps after which no path leads to the host's files.
pub fn enter_root(program: &mut Program, root: Register) {
    program.concept(Concept::ProcessIsolation);
    program.fchdir(root, "pivot_root takes directories: this is the new root");
    program.pivot_root(
        ".",
        ".",
        "the container's root becomes the root; the host's root is mounted on top of it",
    );
    program.unmount(".", "the host's root goes, with all that is mounted below it");
}
