//! `config.json`, read and written as Docker does.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Login, registry_of};
use crate::error::{Doing, Error, Result};

/// Names the folder that the file is in.
const VARIABLE: &str = "DOCKER_CONFIG";

/// The file and what is in it.
pub struct File {
    path: PathBuf,
    content: Map<String, Value>,
}

impl File {
    pub fn read() -> Result<File> {
        let home = || Path::new(&env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker");
        let folder = env::var_os(VARIABLE)
            .filter(|path| !path.is_empty())
            .map_or_else(home, PathBuf::from);
        File::at(folder.join("config.json"))
    }

    fn at(path: PathBuf) -> Result<File> {
        let doing = || format!("logins in `{}`", path.display());
        let content = match fs::read(&path) {
            Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => Map::new(),
            bytes => {
                let bytes = bytes.doing(doing)?;
                let empty = bytes.iter().all(u8::is_ascii_whitespace);
                if empty {
                    Map::new()
                } else {
                    serde_json::from_slice(&bytes).map_err(Error::invalid).doing(doing)?
                }
            }
        };
        Ok(File { path, content })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The helper for a registry, if one is named for it or for all.
    pub fn helper(&self, registry: &str) -> Option<String> {
        let own = self.content.get("credHelpers").and_then(|helpers| helpers.get(registry));
        let name = own.or_else(|| self.content.get("credsStore"))?.as_str()?;
        (!name.is_empty()).then(|| name.to_string())
    }

    /// The login in the file itself.
    pub fn find(&self, registry: &str) -> Result<Option<Login>> {
        let entries = self.content.get("auths").and_then(Value::as_object).into_iter().flatten();
        let mut meant: Vec<_> = entries.filter(|(key, _)| registry_of(key) == registry).collect();
        // The key that is the name itself counts for more than a URL that means it.
        meant.sort_by_key(|(key, _)| *key != registry);
        for (key, entry) in meant {
            if let Some(login) = read_entry(entry) {
                return login
                    .map(Some)
                    .doing(|| format!("login for `{key}` in `{}`", self.path.display()));
            }
        }
        Ok(None)
    }

    /// Keeps a login under a key, or only the word that there is one elsewhere.
    pub fn set(&mut self, key: &str, login: Option<(&str, &str)>) -> Result<()> {
        let entry = match login {
            Some((user, password)) => json!({ "auth": STANDARD.encode(format!("{user}:{password}")) }),
            None => json!({}),
        };
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        let doing = || format!("write `{}`", self.path.display());
        let auths = auths
            .as_object_mut()
            .ok_or_else(|| Error::invalid("`auths` is not an object").doing(doing()))?;
        auths.insert(key.into(), entry);
        self.write()
    }

    /// Removes what there is for a registry. Returns whether that was anything.
    pub fn remove(&mut self, registry: &str) -> Result<bool> {
        let Some(auths) = self.content.get_mut("auths").and_then(Value::as_object_mut) else {
            return Ok(false);
        };
        let count = auths.len();
        auths.retain(|key, _| registry_of(key) != registry);
        let found = auths.len() < count;
        if found {
            self.write()?;
        }
        Ok(found)
    }

    /// Writes the file: whoever reads it meanwhile reads the old one or the new one.
    fn write(&self) -> Result<()> {
        // A link to the file stays one.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let doing = || format!("write `{}`", path.display());
        let mut bytes = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, tabs);
        self.content.serialize(&mut serializer).map_err(Error::system).doing(doing)?;
        bytes.push(b'\n');
        let folder = path.parent().unwrap_or(&path);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .doing(doing)?;
        let beside = path.with_extension(format!("json.{}", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .doing(doing)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).doing(doing)?;
        fs::rename(&beside, &path).doing(doing)
    }
}

/// The login that an entry has; an empty entry has none.
fn read_entry(entry: &Value) -> Option<Result<Login>> {
    let field = |name| entry.get(name).and_then(Value::as_str).filter(|text: &&str| !text.is_empty());
    if let Some(token) = field("identitytoken") {
        return Some(Ok(Login::Token(token.into())));
    }
    if let Some(auth) = field("auth") {
        return Some(decode(auth).ok_or_else(|| Error::invalid("`auth` is not `user:password` in base64")));
    }
    let (user, password) = (field("username")?, field("password")?);
    Some(Ok(Login::Password {
        user: user.into(),
        password: password.into(),
    }))
}

fn decode(auth: &str) -> Option<Login> {
    let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Login::Password {
        user: user.into(),
        // Docker fills up with zeros what it once padded.
        password: password.trim_end_matches('\0').into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: Value) -> File {
        File {
            path: "/none".into(),
            content: content.as_object().unwrap().clone(),
        }
    }

    fn password(user: &str, password: &str) -> Option<Login> {
        Some(Login::Password {
            user: user.into(),
            password: password.into(),
        })
    }

    #[test]
    fn logins_are_read_in_all_their_forms() {
        let file = file(json!({ "auths": {
            "a.test": { "auth": STANDARD.encode("me:pass:word") },
            "https://b.test/v2/": { "username": "you", "password": "p" },
            "c.test": { "identitytoken": "t", "auth": STANDARD.encode("x:y") },
            "d.test": {},
            "https://index.docker.io/v1/": { "auth": STANDARD.encode("hub:h") },
            "e.test": { "auth": "%" },
        }}));
        assert_eq!(file.find("a.test").unwrap(), password("me", "pass:word"));
        assert_eq!(file.find("b.test").unwrap(), password("you", "p"));
        assert_eq!(file.find("c.test").unwrap(), Some(Login::Token("t".into())));
        assert_eq!(file.find("docker.io").unwrap(), password("hub", "h"));
        assert_eq!(file.find("d.test").unwrap(), None);
        assert_eq!(file.find("f.test").unwrap(), None);
        assert!(file.find("e.test").is_err());
    }

    #[test]
    fn helpers_are_for_one_registry_or_for_all() {
        let file = file(json!({ "credsStore": "all", "credHelpers": { "a.test": "own", "b.test": "" } }));
        assert_eq!(file.helper("a.test").as_deref(), Some("own"));
        assert_eq!(file.helper("b.test"), None);
        assert_eq!(file.helper("c.test").as_deref(), Some("all"));
    }

    #[test]
    fn what_others_have_written_stays() {
        let folder = std::env::temp_dir().join(format!("tinydock-logins-{}", std::process::id()));
        let path = folder.join("config.json");
        let mut written = File::at(path.clone()).unwrap();
        written.content.insert("detachKeys".into(), json!("ctrl-x"));
        written.set("a.test", Some(("me", "secret"))).unwrap();
        let mut again = File::at(path.clone()).unwrap();
        assert_eq!(again.find("a.test").unwrap(), password("me", "secret"));
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
        assert!(again.remove("a.test").unwrap());
        assert!(!again.remove("a.test").unwrap());
        let left = File::at(path).unwrap().content;
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(left["detachKeys"], "ctrl-x");
    }
}
