//! tinydock on the real kernel. Each test has a host of its own: see [`host::Host`].

mod attacks;
mod bundle;
mod cgroups;
mod documents;
mod host;
mod images;
mod isolation;
mod kills;
mod layering;
mod lifecycle;
mod limits;
mod networking;
mod program;
mod redis;
mod runtime;
mod runtime_attacks;
mod runtime_kills;
mod security;
mod sharing;
mod terminal;
mod tracer;
mod trust;
mod users;
mod vm;
mod watchers;
