//! The flags about a container's image.

use crate::flags::{Flag, option, switch};

pub const FLAGS: &[Flag] = &[
    option(
        "pull",
        None,
        "WHEN",
        "Fetch the image always, if it is missing (the usual), or never",
    ),
    option(
        "platform",
        None,
        "PLATFORM",
        "Run the image for this platform, as in linux/arm64",
    ),
    switch("quiet", Some(b'q'), "Do not show how an image is fetched"),
];
