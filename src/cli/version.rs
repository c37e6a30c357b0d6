//! `tinydock version`
//!
//! There is no daemon: what Docker's users know as the client and as the server is one program. Both are shown, because scripts ask for
//! one or the other.

use serde::Serialize;

use super::inspect::FORMAT;
use super::template::{Template, Value};
use super::{Command, print};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::{Order, Parsed};

pub const COMMAND: Command = Command {
    name: "version",
    usage: "[-f TEMPLATE]",
    summary: "Show the version",
    flags: &[FORMAT],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Client,
    server: Server,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Client {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    kernel_version: String,
}

const TEXT: &str = "Client:
 Version:           {{.Client.Version}}
 OS/Arch:           {{.Client.Os}}/{{.Client.Arch}}

Server: the same program, there is no daemon
 Engine:
  Version:          {{.Server.Version}}
  OS/Arch:          {{.Server.Os}}/{{.Server.Arch}}
  Kernel:           {{.Server.KernelVersion}}";

/// The machine's architecture as Go calls it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The version of the kernel.
pub fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn run(_: &Engine, parsed: Parsed) -> Result<u8> {
    let versions = Versions {
        client: Client {
            version: VERSION,
            os: "linux",
            arch: architecture(),
        },
        server: Server {
            version: VERSION,
            os: "linux",
            arch: architecture(),
            kernel_version: kernel(),
        },
    };
    let template = match parsed.text("format")?.unwrap_or_default() {
        "" => TEXT,
        "json" => "{{json .}}",
        text => text,
    };
    print(Template::parse(template)?.execute(&Value::of(&versions)?)? + "\n").map(|()| 0)
}
