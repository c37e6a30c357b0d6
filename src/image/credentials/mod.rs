//! Logins for registries, where Docker keeps them: in `~/.docker/config.json`, or with a helper that the file names.
//!
//! ```json
//! {
//!   "auths": { "registry.test": { "auth": "dXNlcjpwYXNzd29yZA==" } },
//!   "credsStore": "pass",
//!   "credHelpers": { "other.test": "secretservice" }
//! }
//! ```
//!
//! `auth` is `user:password` in base64. A helper is a program, `docker-credential-NAME`, which keeps secrets for others. What is
//! in the file and means nothing to us stays as it is.

mod file;
mod helper;

use crate::error::{Error, Result};

use file::File;
use helper::Helper;

/// The registry that is meant where none is named.
pub const HUB: &str = "docker.io";
/// What Docker calls it where it keeps logins.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Something to log in with.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    Password {
        user: String,
        password: String,
    },
    /// What tokens are issued for, in place of a password.
    Token(String),
}

/// Where a login was put.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the file at this path, where everybody who may read it can read the password.
    InFile(std::path::PathBuf),
    ByHelper,
}

/// All logins.
pub struct Credentials {
    file: File,
}

impl Credentials {
    /// Reads the file.
    pub fn read() -> Result<Credentials> {
        File::read().map(|file| Credentials { file })
    }

    /// The login for a registry.
    pub fn find(&self, registry: &str) -> Result<Option<Login>> {
        let key = key(registry);
        if let Some(helper) = self.helper(registry)
            && let Some(login) = helper.find(key)?
        {
            return Ok(Some(login));
        }
        self.file.find(registry)
    }

    /// Keeps a login.
    pub fn keep(&mut self, registry: &str, user: &str, password: &str) -> Result<Kept> {
        if user.contains(':') {
            return Err(Error::invalid("a user's name has no `:`"));
        }
        match self.helper(registry) {
            Some(helper) => {
                helper.keep(key(registry), user, password)?;
                // An entry says that there is a login; it must not be an old one that contradicts the helper's.
                self.file.set(key(registry), None)?;
                Ok(Kept::ByHelper)
            }
            None => {
                self.file.set(key(registry), Some((user, password)))?;
                Ok(Kept::InFile(self.file.path().into()))
            }
        }
    }

    /// Forgets the login for a registry. Returns whether there was any.
    pub fn forget(&mut self, registry: &str) -> Result<bool> {
        let mut found = self.file.remove(registry)?;
        if let Some(helper) = self.helper(registry) {
            found |= helper.find(key(registry))?.is_some();
            helper.forget(key(registry))?;
        }
        Ok(found)
    }

    fn helper(&self, registry: &str) -> Option<Helper> {
        self.file
            .helper(registry)
            .or_else(|| self.file.helper(key(registry)))
            .map(Helper::new)
    }
}

/// The name under which a registry's login is kept.
fn key(registry: &str) -> &str {
    if registry == HUB { HUB_KEY } else { registry }
}

/// The registry that a key means: keys may be URLs.
fn registry_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

/// Does not show secrets.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Login::Password { user, .. } => write!(f, "Password {{ user: {user:?}, .. }}"),
            Login::Token(_) => f.write_str("Token(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_have_keys_of_several_forms() {
        for (key, registry) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("https://registry.test/v2/", "registry.test"),
            ("registry.test/path", "registry.test"),
        ] {
            assert_eq!(registry_of(key), registry, "{key}");
        }
        assert_eq!(registry_of(super::key(HUB)), HUB);
    }

    #[test]
    fn secrets_are_not_shown() {
        let login = Login::Password {
            user: "me".into(),
            password: "secret".into(),
        };
        assert!(!format!("{login:?} {:?}", Login::Token("secret".into())).contains("secret"));
    }
}
