//! The flags about what a container sees besides its image.

use std::env;

use crate::error::{Doing, Result};
use crate::flags::{Flag, Parsed, option, switch};
use crate::layer::{self, Mount};

pub const FLAGS: &[Flag] = &[
    option(
        "volume",
        Some(b'v'),
        "[SOURCE:]TARGET[:OPTIONS]",
        "Show a volume, or a path of the host",
    ),
    option(
        "mount",
        None,
        "KEY=VALUE,...",
        "The same, or a tmpfs or an image, in more words",
    ),
    option(
        "tmpfs",
        None,
        "TARGET[:OPTIONS]",
        "Give the container a file system in memory",
    ),
    option("shm-size", None, "BYTES", "The size of /dev/shm (default 64m)"),
    option(
        "volumes-from",
        None,
        "CONTAINER[:ro]",
        "Show the volumes of another container, too",
    ),
    option("volume-driver", None, "DRIVER", "What makes volumes (default `local`)"),
    switch("read-only", None, "Let the container only write to its mounts"),
];

pub fn mounts(parsed: &Parsed) -> Result<Vec<Mount>> {
    layer::check_driver(parsed.text("volume-driver")?.unwrap_or_default())?;
    let directory = env::current_dir().doing(|| "find the working directory")?;
    let short = parsed
        .all("volume")
        .map(|text| Mount::parse_short(text.as_encoded_bytes(), &directory));
    let long = super::texts(parsed, "mount");
    let long = long.iter().map(|text| Mount::parse_long(text, &directory));
    let tmpfs = super::texts(parsed, "tmpfs");
    let tmpfs = tmpfs.iter().map(|text| Mount::parse_tmpfs(text));
    short.chain(long).chain(tmpfs).collect()
}

/// The size of the memory that processes share; 0 means the usual one.
pub fn shared_memory(parsed: &Parsed) -> Result<Option<u64>> {
    let size = parsed.text("shm-size")?.filter(|text| *text != "0");
    size.map(|text| layer::parse_size(text).doing(|| "`--shm-size`")).transpose()
}
