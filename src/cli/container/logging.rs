//! The flags about a container's log.

use super::texts;
use crate::engine::LogConfig;
use crate::error::Result;
use crate::flags::{Flag, Parsed, option};

pub const FLAGS: &[Flag] = &[
    option(
        "log-driver",
        None,
        "DRIVER",
        "How its log is kept: `json-file` (default), `local`, `none`",
    ),
    option(
        "log-opt",
        None,
        "NAME=VALUE",
        "`max-size` (default 10 MiB), `max-file` (3), `tag`, `labels`, `env`, `mode`",
    ),
];

pub fn log(parsed: &Parsed) -> Result<LogConfig> {
    LogConfig::parse(parsed.text("log-driver")?, &texts(parsed, "log-opt"))
}
