//! The image that is part of tinydock: this machine's busybox when tinydock was built, packed by build.rs.

use super::Record;
use crate::store::Digest;

/// An embedded image.
pub struct Builtin {
    pub name: &'static str,
    /// The tarball, compressed with gzip.
    pub tarball: &'static [u8],
    /// The diff id of its one layer.
    pub diff_id: &'static str,
    /// What runs if the user names no command.
    pub command: &'static str,
}

pub const BUSYBOX: Builtin = Builtin {
    name: "busybox",
    tarball: include_bytes!(concat!(env!("OUT_DIR"), "/busybox.tar.gz")),
    diff_id: include_str!(concat!(env!("OUT_DIR"), "/busybox.digest")),
    command: "sh",
};

impl Record {
    /// What will be known of the built-in image, unpacked or not.
    pub fn builtin() -> Record {
        Record {
            layers: vec![Digest::parse(BUSYBOX.diff_id).expect("made by build.rs")],
            command: vec![BUSYBOX.command.into()],
            created: 0,
            size: BUSYBOX.tarball.len() as u64,
            source: None,
        }
    }
}
