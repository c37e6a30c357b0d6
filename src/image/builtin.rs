//! The image that is part of tinydock: this machine's busybox when tinydock was built, packed by build.rs.

/// An embedded image.
pub struct Builtin {
    pub name: &'static str,
    /// The tarball, compressed with zstd.
    pub tarball: &'static [u8],
    /// The diff id of its one layer.
    pub diff_id: &'static str,
    /// What runs if the user names no command.
    pub command: &'static str,
}

pub const BUSYBOX: Builtin = Builtin {
    name: "busybox",
    tarball: include_bytes!(concat!(env!("OUT_DIR"), "/busybox.tar.zst")),
    diff_id: include_str!(concat!(env!("OUT_DIR"), "/busybox.digest")),
    command: "sh",
};
