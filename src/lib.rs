//! tinydock: a container engine you can read.
//!
//! A container is a program: an ordered list of system calls that a freestanding init of some 700 bytes executes before
//! it becomes the user's command. This crate plans such programs, runs them, and explains them.
//!
//! | room          | what it is about                                                          | imports               |
//! |---------------|---------------------------------------------------------------------------|-----------------------|
//! | [`cli`]       | the command line                                                          | all below             |
//! | [`oci`]         | the OCI runtime's command line                                            | all below but engine, image |
//! | [`engine`]    | the verbs; the only room that knows several concepts                      | all below             |
//! | [`isolation`] | process isolation: namespaces, mounts, devices, users, capabilities       | program, kernel       |
//! | [`cgroup`]    | resource limits                                                           | program, kernel       |
//! | [`layer`]     | file system layering: layers, overlay, volumes, differences               | program, store, kernel |
//! | [`network`]   | bridge networking: networks, endpoints, addresses, ports, packet filter   | program, store, kernel |
//! | [`image`]     | base image management: names, tarballs, the built-in image                | store, kernel         |
//! | [`program`]   | a container as data: steps, their encoding, their explanation             | kernel                |
//! | [`store`]     | what is on disk: paths, records, locks, ids                               | kernel                |
//! | [`kernel`]    | safe wrappers of Linux calls; the only `unsafe`                           |                       |
//! | [`error`]     | what went wrong                                                           |                       |

#![deny(unsafe_code)]

pub mod cgroup;
pub mod cli;
pub mod engine;
pub mod error;
pub mod flags;
pub mod image;
pub mod isolation;
pub mod kernel;
pub mod layer;
pub mod network;
pub mod oci;
pub mod program;
pub mod store;
