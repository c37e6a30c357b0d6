//! The files and directories of the host that a container sees.

use super::super::Options;
use super::{Facts, Places};
use crate::error::{Doing, Result};
use crate::isolation;
use crate::layer::{Bind, MountPoint};
use crate::program::Concept;

/// All of them, in the order in which they are mounted.
pub fn all(facts: &Facts, places: &Places, options: &Options) -> Result<Vec<(Concept, Bind)>> {
    let files = files(facts, places, options)?;
    let files = files.into_iter().map(|bind| (Concept::BridgeNetworking, bind));
    let volumes = volumes(facts, options)?;
    let volumes = volumes.into_iter().map(|bind| (Concept::FileSystemLayering, bind));
    Ok(files.chain(volumes).collect())
}

/// The container's root may write to what tells it about names.
fn files(facts: &Facts, places: &Places, options: &Options) -> Result<Vec<Bind>> {
    let bind = |(source, target): &(Vec<u8>, &str)| {
        Ok(Bind {
            source: source.clone(),
            at: facts.mount_point(target.as_bytes(), false)?,
            read_only: false,
            id_mapped: options.namespaces.has_users(),
            clone: None,
            why: "names, as this container should know them",
        })
    };
    places.files.iter().map(bind).collect()
}

/// Volumes are bound from the outside in, so that one can be below another.
fn volumes(facts: &Facts, options: &Options) -> Result<Vec<Bind>> {
    let mut binds: Vec<Bind> = Vec::new();
    for volume in &options.volumes {
        let directory = volume.path().metadata().map_or(true, |metadata| metadata.is_dir());
        let mut at = facts.mount_point(volume.target.as_bytes(), directory)?;
        if binds.iter().any(|other| at.is_below(&other.at)) {
            at = MountPoint::unknown(volume.target.as_bytes(), directory).without_links();
        }
        isolation::check_cover(&at.path()).doing(|| format!("volume `{}`", volume.target))?;
        binds.push(Bind {
            source: volume.source.as_bytes().to_vec(),
            at,
            read_only: volume.read_only,
            id_mapped: volume.id_mapped,
            clone: None,
            why: "a volume: a part of the host's file system",
        });
    }
    binds.sort_by_key(|bind| bind.at.depth());
    Ok(binds)
}
