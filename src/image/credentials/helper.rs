//! Programs that keep secrets: `docker-credential-NAME get|store|erase`, which read what is asked for on the standard input.

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use super::Login;
use crate::error::{Doing, Error, Result};

/// What a helper says if it has no login, in place of an answer.
const UNKNOWN: &str = "credentials not found in native keychain";
/// The user's name if the secret is a token.
const TOKEN: &str = "<token>";

/// A helper.
pub struct Helper {
    program: String,
}

impl Helper {
    pub fn new(name: String) -> Helper {
        Helper {
            program: format!("docker-credential-{name}"),
        }
    }

    /// Asks for the login that is kept under a key.
    pub fn find(&self, key: &str) -> Result<Option<Login>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Found {
            #[serde(default)]
            username: String,
            #[serde(default)]
            secret: String,
        }
        let Some(answer) = self.ask("get", key)? else {
            return Ok(None);
        };
        let found: Found = serde_json::from_str(&answer)
            .map_err(|_| Error::system("its answer is not a login"))
            .doing(|| format!("`{} get`", self.program))?;
        Ok(match found.username.as_str() {
            _ if found.secret.is_empty() => None,
            TOKEN => Some(Login::Token(found.secret)),
            _ => Some(Login::Password {
                user: found.username,
                password: found.secret,
            }),
        })
    }

    pub fn keep(&self, key: &str, user: &str, password: &str) -> Result<()> {
        let login = json!({ "ServerURL": key, "Username": user, "Secret": password });
        self.ask("store", &login.to_string()).map(|_| ())
    }

    pub fn forget(&self, key: &str) -> Result<()> {
        self.ask("erase", key).map(|_| ())
    }

    /// Runs the helper. Returns what it says, or nothing if it knows no such login.
    fn ask(&self, verb: &str, input: &str) -> Result<Option<String>> {
        let doing = || format!("`{} {verb}`", self.program);
        if self.program.contains('/') {
            return Err(Error::invalid("not the name of a program").doing(doing()));
        }
        let mut command = Command::new(&self.program);
        command
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().doing(doing)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not want to read says why in the end.
            let _ = stdin.write_all(input.as_bytes());
        }
        let done = child.wait_with_output().doing(doing)?;
        let said = String::from_utf8_lossy(&done.stdout).trim().to_string();
        if done.status.success() {
            return Ok(Some(said));
        }
        if said.contains(UNKNOWN) {
            return Ok(None);
        }
        let complaint = String::from_utf8_lossy(&done.stderr).trim().to_string();
        let text = if said.is_empty() { complaint } else { said };
        let shown: String = text.chars().filter(|c| !c.is_control()).collect();
        Err(Error::system(if shown.is_empty() { done.status.to_string() } else { shown }).doing(doing()))
    }
}
