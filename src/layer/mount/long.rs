//! `--mount`: fields `key=value` in a line of CSV, as Docker reads them.

use std::path::Path;

use super::{Access, HostPath, ImageUse, Mount, Propagation, Source, Tmpfs, VolumeUse, clean, subpath};
use crate::error::{Error, Result};
use crate::layer::volumes::check_name;

/// What the fields say, whatever the type is; it may be named last.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    source: String,
    target: String,
    read_only: bool,
    bind: HostPath,
    recursion: Option<String>,
    volume: VolumeUse,
    tmpfs: Tmpfs,
    image: ImageUse,
    /// The fields that only one type has.
    special: Vec<(&'static str, String)>,
}

pub fn parse(text: &str, directory: &Path) -> Result<Mount> {
    let mut fields = Fields::default();
    for field in split(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        fields.take(&key, value).map_err(|error| error.doing(format!("`{field}`")))?;
    }
    fields.finish(directory)
}

/// Takes a line of CSV apart: a field in quotation marks may have commas, and a mark is doubled there (RFC 4180).
fn split(line: &str) -> Result<Vec<String>> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is always one");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            letter => field.push(letter),
        }
    }
    if quoted {
        return Err(Error::invalid("a quotation mark is not closed"));
    }
    Ok(fields)
}

/// A value that may be left out where it is true.
fn boolean(value: Option<&str>) -> Result<bool> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(_) => Err(Error::invalid("the value is neither `true` nor `false`")),
    }
}

fn pair(value: &str) -> (String, String) {
    let (name, value) = value.split_once('=').unwrap_or((value, ""));
    (name.into(), value.into())
}

impl Fields {
    fn take(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        let owner = ["bind-", "volume-", "tmpfs-", "image-"]
            .into_iter()
            .find(|prefix| key.starts_with(prefix));
        if let Some(owner) = owner {
            self.special.push((owner, key.into()));
        }
        let missing = || Error::invalid("the field has no value: write it as `key=value`");
        match key {
            "readonly" | "ro" => self.read_only = boolean(value)?,
            "bind-nonrecursive" if boolean(value)? => self.recursion = Some("disabled".into()),
            "bind-nonrecursive" => {}
            "bind-create-src" => self.bind.create = boolean(value)?,
            "volume-nocopy" => self.volume.no_copy = boolean(value)?,
            key => return self.take_value(key, value.ok_or_else(missing)?),
        }
        Ok(())
    }

    fn take_value(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "type" => self.kind = Some(value.to_lowercase()),
            "source" | "src" => self.source = value.into(),
            "target" | "dst" | "destination" => self.target = value.into(),
            "consistency" => {}
            "bind-propagation" => {
                let unknown = || {
                    Error::invalid("unknown propagation")
                        .hint("it is one of `rprivate`, `private`, `rslave`, `slave`, `rshared`, `shared`")
                };
                self.bind.propagation = Propagation::parse(value).ok_or_else(unknown)?;
            }
            "bind-recursive" => self.recursion = Some(value.into()),
            "volume-subpath" => self.volume.subpath = subpath(value.as_bytes())?,
            "volume-label" => self.volume.labels.extend([pair(value)]),
            "volume-opt" => self.volume.options.extend([pair(value)]),
            "volume-driver" => super::super::volumes::check_driver(value)?,
            "image-subpath" => self.image.subpath = subpath(value.as_bytes())?,
            "tmpfs-size" => self.tmpfs.set_size(value)?,
            "tmpfs-mode" => self.tmpfs.set_mode(value)?,
            _ => return Err(Error::invalid("unknown key")),
        }
        Ok(())
    }

    fn finish(mut self, directory: &Path) -> Result<Mount> {
        let kind = self.kind.take().unwrap_or_else(|| "volume".into());
        if let Some((_, key)) = self.special.iter().find(|(owner, _)| owner.strip_suffix('-') != Some(&kind)) {
            return Err(Error::invalid(format!("`{key}` is not for a mount of type `{kind}`")));
        }
        if self.target.is_empty() {
            return Err(Error::invalid("the target is missing"));
        }
        let target = clean(self.target.as_bytes())?;
        let access = self.access()?;
        let source = match kind.as_str() {
            "bind" => self.bind(directory)?,
            "volume" => self.volume()?,
            "tmpfs" if !self.source.is_empty() => return Err(Error::invalid("a tmpfs has no source")),
            "tmpfs" => Source::Tmpfs(self.tmpfs),
            "image" if self.source.is_empty() => return Err(Error::invalid("the source is missing: the name of an image")),
            "image" => Source::Image(ImageUse {
                name: self.source,
                ..self.image
            }),
            kind => {
                let unknown = Error::invalid(format!("unknown type `{kind}`"));
                return Err(unknown.hint("it is one of `bind`, `volume`, `tmpfs`, `image`"));
            }
        };
        Ok(Mount { target, source, access })
    }

    fn access(&mut self) -> Result<Access> {
        let recursion = self.recursion.take();
        self.bind.alone = recursion.as_deref() == Some("disabled");
        match recursion.as_deref() {
            None | Some("enabled" | "disabled") if !self.read_only => Ok(Access::Writable),
            None | Some("enabled" | "disabled") => Ok(Access::ReadOnly),
            Some("writable") if self.read_only => Ok(Access::ReadOnlyTop),
            Some("writable") => Ok(Access::Writable),
            Some("readonly") if self.read_only => Ok(Access::ReadOnly),
            Some("readonly") => Err(Error::invalid(
                "`bind-recursive=readonly` is for a mount that is `readonly` itself",
            )),
            Some(word) => Err(Error::invalid(format!("`bind-recursive={word}`: unknown value"))
                .hint("it is one of `enabled`, `disabled`, `writable`, `readonly`")),
        }
    }

    fn bind(&mut self, directory: &Path) -> Result<Source> {
        if self.source.is_empty() {
            return Err(Error::invalid("the source is missing: a path of the host"));
        }
        if !self.source.starts_with(['/', '.']) {
            return Err(Error::invalid("the source is no path: it begins with neither `/` nor `.`"));
        }
        let path = directory.join(&self.source).into_os_string().into();
        Ok(Source::Bind(HostPath {
            path,
            ..std::mem::take(&mut self.bind)
        }))
    }

    fn volume(&mut self) -> Result<Source> {
        let name = std::mem::take(&mut self.source);
        if !name.is_empty() {
            check_name(&name)?;
        }
        Ok(Source::Volume(VolumeUse {
            anonymous: name.is_empty(),
            name,
            ..std::mem::take(&mut self.volume)
        }))
    }
}
