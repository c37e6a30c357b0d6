//! Safe wrappers of the Linux calls that no library wraps, and the only `unsafe` of the house. What rustix offers is used
//! from there directly.

#![allow(unsafe_code)]

#[cfg_attr(target_arch = "x86_64", path = "arch/x86_64.rs")]
mod arch;
pub mod bpf;
pub mod credentials;
pub mod descriptor;
pub mod direct;
pub mod directory;
pub mod filelock;
#[cfg(target_env = "musl")]
pub mod heap;
pub mod memfd;
pub mod memory;
pub mod namespace;
pub mod netlink;
pub mod process;
pub mod processor;
pub mod signal;
pub mod status;
pub mod table;
pub mod terminal;
