//! Which role this process has: a command, the OCI runtime, or one of those that stay with a container.
//!
//! It is called by the C library and not by Rust's own start, which reads the table of the process's memory and installs handlers
//! to tell when a stack overflows: twenty system calls for each command, of which two are needed.

#![no_main]

use std::ffi::{OsString, c_char, c_int};

use tinydock::engine::watch::{WATCH, watch};
use tinydock::engine::{FINISH, finish};
use tinydock::error::Result;
use tinydock::kernel::{descriptor, process, signal};
use tinydock::store::Store;

#[cfg(target_env = "musl")]
#[global_allocator]
static HEAP: tinydock::kernel::heap::Heap = tinydock::kernel::heap::Heap::new();

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    descriptor::open_standard();
    signal::ignore(signal::PIPE);
    process::end_in_panics();
    // SAFETY: they are what the C library gives to a `main`.
    let arguments = unsafe { process::arguments(count, arguments) };
    // This also writes what is left in the buffer of the standard output.
    std::process::exit(act(arguments).into())
}

/// Does what the process is for. Returns its exit code.
fn act(arguments: Vec<OsString>) -> u8 {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let own = [(FINISH, finish as fn(&Store, &[String]) -> Result<()>), (WATCH, watch)];
    if let Some((_, act)) = own.into_iter().find(|(own, _)| name == *own) {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.display().to_string()).collect();
        let done = Store::find(None).and_then(|store| act(&store, &arguments));
        return u8::from(done.is_err());
    }
    if std::path::Path::new(&name)
        .file_name()
        .is_some_and(|name| name == tinydock::oci::NAME)
    {
        return tinydock::oci::main(arguments);
    }
    match &arguments[..] {
        [first, rest @ ..] if first == "runtime" => return tinydock::oci::main(rest.to_vec()),
        [help, second, rest @ ..] if help == "help" && second == "runtime" => {
            let words = [help].into_iter().chain(rest).cloned().collect();
            return tinydock::oci::main(words);
        }
        _ => {}
    }
    tinydock::cli::main(arguments)
}
