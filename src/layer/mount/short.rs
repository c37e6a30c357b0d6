//! `-v`: a source, a target and options, separated by colons. A source that is no path is the name of a volume, and a target
//! alone is a volume that has no name.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::options::Word;
use super::{Access, HostPath, Mount, Source, VolumeUse, clean};
use crate::error::{Error, Result};
use crate::layer::volumes::check_name;

pub fn parse(text: &[u8], directory: &Path) -> Result<Mount> {
    let parts: Vec<&[u8]> = text.split(|c| *c == b':').collect();
    let (source, target, options): (&[u8], &[u8], &[u8]) = match parts[..] {
        [target] => (b"", target, b""),
        [source, target] => (source, target, b""),
        [source, target, options] => (source, target, options),
        _ => return Err(Error::invalid("neither a source and a target nor an option after them")),
    };
    if parts.len() > 1 && source.is_empty() {
        return Err(Error::invalid("the source is missing"));
    }
    let mut mount = Mount {
        target: clean(target)?,
        source: read_source(source, directory)?,
        access: Access::Writable,
    };
    for option in options.split(|c| *c == b',').filter(|_| parts.len() > 2) {
        apply(&mut mount, &String::from_utf8_lossy(option))?;
    }
    Ok(mount)
}

fn read_source(source: &[u8], directory: &Path) -> Result<Source> {
    if !source.starts_with(b"/") && !source.starts_with(b".") {
        let name = String::from_utf8_lossy(source).into_owned();
        if !name.is_empty() {
            check_name(&name)?;
        }
        return Ok(Source::Volume(VolumeUse {
            anonymous: name.is_empty(),
            name,
            ..VolumeUse::default()
        }));
    }
    let path = directory.join(std::ffi::OsStr::from_bytes(source));
    Ok(Source::Bind(HostPath {
        path: path.into_os_string().into(),
        create: true,
        ..HostPath::default()
    }))
}

fn apply(mount: &mut Mount, option: &str) -> Result<()> {
    let unknown = || Error::invalid(format!("unknown option `{option}`"));
    match (Word::parse(option).ok_or_else(unknown)?, &mut mount.source) {
        (Word::Access(access), _) => mount.access = access,
        (Word::Label | Word::Consistency, _) => {}
        (Word::Propagation(kind), Source::Bind(host)) => host.propagation = kind,
        (Word::IdMapped, Source::Bind(host)) => host.id_mapped = true,
        (Word::NoCopy, Source::Volume(volume)) => volume.no_copy = true,
        (Word::NoCopy, _) => {
            return Err(Error::invalid(
                "option `nocopy` is for volumes, and this is a path of the host",
            ));
        }
        _ => {
            let wrong = format!("option `{option}` is for paths of the host, and this is a volume");
            return Err(Error::invalid(wrong));
        }
    }
    Ok(())
}
