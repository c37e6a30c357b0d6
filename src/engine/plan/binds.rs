//! What a container sees besides its image: the files that tell it about names, and its mounts.

use super::super::Options;
use super::{Facts, Places};
use crate::error::{Doing, Error, Result};
use crate::isolation;
use crate::layer::{self, Access, Bind, Lower, Mount, MountPoint, Origin, Propagation, Source};
use crate::program::{Concept, Program, Register};

/// All of them, in the order in which they are mounted.
pub fn all(facts: &Facts, places: &Places, options: &Options) -> Result<Vec<(Concept, Bind)>> {
    let files = files(facts, places, options)?;
    let files = files.into_iter().map(|bind| (Concept::BridgeNetworking, bind));
    let mounts = mounts(facts, places, options)?;
    let mounts = mounts.into_iter().map(|bind| (Concept::FileSystemLayering, bind));
    Ok(files.chain(mounts).collect())
}

/// The container's root may write to what tells it about names, unless it may write to nothing.
fn files(facts: &Facts, places: &Places, options: &Options) -> Result<Vec<Bind>> {
    let bind = |(source, target): &(Vec<u8>, &str)| {
        Ok(Bind {
            origin: Origin::Path {
                path: source.clone(),
                recursive: true,
            },
            at: facts.mount_point(target.as_bytes(), false)?,
            access: if options.read_only {
                Access::ReadOnly
            } else {
                Access::Writable
            },
            propagation: Propagation::default(),
            id_mapped: options.namespaces.has_users(),
            clone: None,
            why: "names, as this container should know them",
        })
    };
    places.files.iter().map(bind).collect()
}

/// Mounts are made from the outside in, so that one can be below another.
fn mounts(facts: &Facts, places: &Places, options: &Options) -> Result<Vec<Bind>> {
    let mut binds: Vec<Bind> = Vec::new();
    for (mount, origin) in options.mounts.iter().zip(&places.origins) {
        let doing = || format!("{} `{}`", mount.kind(), mount.target);
        let target = mount.target.as_bytes();
        let mut bind = Bind {
            at: facts.mount_point(target, origin.is_directory())?,
            origin: origin.clone(),
            access: mount.effective_access(),
            propagation: propagation(mount),
            id_mapped: is_id_mapped(mount, options),
            clone: None,
            why: why(mount),
        };
        let is_unpacked = |layer: &Lower| matches!(layer, Lower::Tree(_));
        if let (Origin::Layers(layers), true) = (origin, bind.id_mapped)
            && layers.iter().any(is_unpacked)
        {
            let wrong =
                Error::invalid("an image of several layers that are unpacked cannot be shown to users of a container's own");
            return Err(wrong.doing(doing()));
        }
        inherit_mode(facts, mount, &mut bind)?;
        if bind.at.is_below(&MountPoint::existing(b"dev")) || bind.at.is_below(&MountPoint::existing(b"sys")) {
            bind.at = MountPoint::unknown(target, bind.origin.is_directory());
        }
        if binds.iter().any(|other| bind.at.is_below(&other.at)) {
            bind.at = MountPoint::unknown(target, bind.origin.is_directory()).without_links();
        }
        isolation::check_cover(&bind.at.path()).doing(doing)?;
        binds.push(bind);
    }
    binds.sort_by_key(|bind| bind.at.depth());
    Ok(binds)
}

/// Writes the steps that make file systems of the container's own read-only, now that all is there that is mounted in them.
pub fn protect(program: &mut Program, binds: &[(Concept, Bind)], mounted: &[Register]) {
    for ((_, bind), mount) in binds.iter().zip(mounted) {
        if bind.is_new() && bind.access != Access::Writable {
            layer::protect(program, *mount, "everything in it is there: from now on it can only be read");
        }
    }
}

fn propagation(mount: &Mount) -> Propagation {
    match &mount.source {
        Source::Bind(host) => host.propagation,
        _ => Propagation::default(),
    }
}

/// What is on disk of a volume or an image has the ids that an image has; a directory of the host has the host's, unless its owner
/// says otherwise.
fn is_id_mapped(mount: &Mount, options: &Options) -> bool {
    match &mount.source {
        Source::Bind(host) => host.id_mapped,
        Source::Volume(_) | Source::Image(_) => options.namespaces.has_users(),
        Source::Tmpfs(_) => false,
    }
}

fn why(mount: &Mount) -> &'static str {
    match &mount.source {
        Source::Bind(_) => "a part of the host's file system",
        Source::Volume(_) => "a volume: files that outlive the container",
        Source::Tmpfs(_) => "files in memory, which end with the container",
        Source::Image(_) => "the files of another image",
    }
}

/// A file system in memory has the mode of the directory that it covers, as runc gives it.
fn inherit_mode(facts: &Facts, mount: &Mount, bind: &mut Bind) -> Result<()> {
    if let (Source::Tmpfs(tmpfs), Origin::New { data, .. }) = (&mount.source, &mut bind.origin)
        && !tmpfs.has_mode()
        && let Some(view) = &facts.view
        && let Some(mode) = view.directory_mode(mount.target.as_bytes())?
    {
        data.push(("mode".into(), format!("{mode:o}")));
    }
    Ok(())
}
