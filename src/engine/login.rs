//! `login` and `logout`: what a registry lets in is kept, and forgotten.

use super::Engine;
use crate::error::{Doing, Result};
use crate::image::credentials::{Credentials, Login};
use crate::image::registry::Registries;

pub use crate::image::credentials::Kept;

impl Engine {
    /// Asks a registry whether it lets a user in, and keeps the password if it does.
    pub fn login(&self, registry: &str, user: &str, password: &str) -> Result<Kept> {
        let login = Login::Password {
            user: user.into(),
            password: password.into(),
        };
        let doing = || format!("log in to `{registry}`");
        Registries::open()?.check(registry, login).doing(doing)?;
        Credentials::read()?.keep(registry, user, password).doing(doing)
    }

    /// Forgets a login. Returns whether there was any.
    pub fn logout(&self, registry: &str) -> Result<bool> {
        let doing = || format!("log out of `{registry}`");
        Credentials::read()?.forget(registry).doing(doing)
    }
}
