//! The flags about what a container sees besides its image.

use std::env;

use crate::error::{Doing, Result};
use crate::flags::{Flag, Parsed, option};
use crate::layer::Volume;

pub const FLAGS: &[Flag] = &[option(
    "volume",
    Some(b'v'),
    "SOURCE:TARGET[:OPTIONS]",
    "Show a file or directory of the host in the container",
)];

pub fn volumes(parsed: &Parsed) -> Result<Vec<Volume>> {
    let directory = env::current_dir().doing(|| "find the working directory")?;
    parsed
        .all("volume")
        .map(|text| Volume::parse(text.as_encoded_bytes(), &directory))
        .collect()
}
