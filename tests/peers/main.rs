//! tinydock as the OCI runtime of other engines: what they ask of a runtime is theirs, so what is tested here is that they
//! are content, and that the kernel shows what they asked for.
//!
//! Each test has a host of its own: see [`host::Host`]. `TINYDOCK_PEER_RUNTIME` is the path of another runtime, such as runc,
//! to be used instead: a test that fails with it, too, tells nothing about tinydock.

mod containerd;
mod differences;
mod docker;
mod engine;
mod host;
mod lifecycle;
mod limits;
mod network;
mod podman;
mod pods;
mod process;
mod security;
mod storage;
mod terminal;
