//! The flags about the container itself and its process.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::flags::{Flag, Parsed, option, switch};
use crate::store::Text;

pub const FLAGS: &[Flag] = &[
    switch("interactive", Some(b'i'), "Keep the container's standard input open"),
    switch("tty", Some(b't'), "Give the container a terminal"),
    switch("rm", None, "Remove the container when it ends"),
    switch("detach", Some(b'd'), "Leave the container running and print its id"),
    switch("trace", None, "Show each step of the start with its microseconds"),
    option("name", None, "NAME", "Name the container"),
    option("hostname", Some(b'h'), "NAME", "The container's own host name"),
    option("env", Some(b'e'), "NAME=VALUE", "Set an environment variable"),
    option("workdir", Some(b'w'), "DIRECTORY", "The working directory"),
    option("user", Some(b'u'), "USER[:GROUP]", "Run as a user, by name or number"),
    option("ulimit", None, "NAME=SOFT[:HARD]", "Limit what each process may use"),
];

/// The variables that are set. One without a value has the user's own; if the user has none, it is left out.
pub fn environment(parsed: &Parsed) -> Vec<Text> {
    let set = |line: &OsString| {
        if line.as_bytes().contains(&b'=') {
            return Some(line.clone().into());
        }
        let value = env::var_os(line)?;
        Some([line.as_bytes(), b"=", &value.into_vec()].concat().into())
    };
    parsed.all("env").filter_map(set).collect()
}
