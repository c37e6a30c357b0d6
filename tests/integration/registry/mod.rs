//! Images from registries and to them: real ones, and such that nobody should trust.

mod file;
mod hostile;
mod image;
mod logins;
mod network;
mod real;
mod removal;
mod server;
mod tags;
