//! Questions before something is removed.

use std::io::{self, BufRead};

use super::print;
use crate::error::{Doing, Error, Result};
use crate::flags::Parsed;

/// Asks whether to go on, unless `--force` says so. Whoever does not want to ends the command.
pub fn confirm(parsed: &Parsed, warning: &str, command: &str) -> Result<()> {
    if parsed.is_set("force") {
        return Ok(());
    }
    print(format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] "))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).doing(|| "read the answer")?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::invalid(format!("{command} has been cancelled"))),
    }
}
