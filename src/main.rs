//! Which role this process has: a command, or the monitor's last act.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use tinydock::engine::{FINISH, finish};
use tinydock::store::Store;

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if name == FINISH {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.display().to_string()).collect();
        let finished = Store::find(None).and_then(|store| finish(&store, &arguments));
        return if finished.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    ExitCode::from(tinydock::cli::main(arguments))
}
