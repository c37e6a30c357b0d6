//! Which role this process has: a command, the OCI runtime, or one of those that stay with a container.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use tinydock::engine::watch::{WATCH, watch};
use tinydock::engine::{FINISH, finish};
use tinydock::error::Result;
use tinydock::store::Store;

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let own = [(FINISH, finish as fn(&Store, &[String]) -> Result<()>), (WATCH, watch)];
    if let Some((_, act)) = own.into_iter().find(|(own, _)| name == *own) {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.display().to_string()).collect();
        let done = Store::find(None).and_then(|store| act(&store, &arguments));
        return if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if std::path::Path::new(&name)
        .file_name()
        .is_some_and(|name| name == tinydock::oci::NAME)
    {
        return ExitCode::from(tinydock::oci::main(arguments));
    }
    match &arguments[..] {
        [first, rest @ ..] if first == "runtime" => return ExitCode::from(tinydock::oci::main(rest.to_vec())),
        [help, second, rest @ ..] if help == "help" && second == "runtime" => {
            let words = [help].into_iter().chain(rest).cloned().collect();
            return ExitCode::from(tinydock::oci::main(words));
        }
        _ => {}
    }
    ExitCode::from(tinydock::cli::main(arguments))
}
