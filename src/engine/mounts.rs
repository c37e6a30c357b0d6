//! What a container that is being created will see besides its image: what was asked for, what the image asks for and what other
//! containers see, with the volumes that it takes.

use std::collections::BTreeSet;

use super::images::layers_of;
use super::volumes::{Note, tell};
use super::{Container, Engine, Options};
use crate::error::{Doing, Error, Result};
use crate::layer::{self, Access, Mount, Source, Stack, View, Volume, Volumes};
use crate::store::{Digest, Id, Text};

impl Engine {
    /// Adds the mounts that follow from others, and checks that no two are at one place. `volumes` are the paths at which the image
    /// wants volumes. Layers of images are only known if they are in place.
    pub fn complete_mounts(&self, options: &mut Options, volumes: &[Text]) -> Result<()> {
        let mut targets = BTreeSet::new();
        for mount in &options.mounts {
            if !targets.insert(mount.target.clone()) {
                return Err(Error::invalid(format!("duplicate mount point: `{}`", mount.target)));
            }
        }
        for text in &options.volumes_from.clone() {
            let others = self.mounts_of(text).doing(|| format!("`--volumes-from {text}`"))?;
            options
                .mounts
                .extend(others.into_iter().filter(|mount| targets.insert(mount.target.clone())));
        }
        for target in volumes {
            let mount = Mount::anonymous(target.as_bytes()).doing(|| format!("volume `{target}` of the image"))?;
            if targets.insert(mount.target.clone()) {
                options.mounts.push(mount);
            }
        }
        for mount in &mut options.mounts {
            if let Source::Image(image) = &mut mount.source {
                image.layers = layers_of(self.image_if_unpacked(&image.name)?);
            }
        }
        Ok(())
    }

    /// The volumes and directories of the host that another container sees: `NAME[:ro]`.
    fn mounts_of(&self, text: &str) -> Result<Vec<Mount>> {
        let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
        if !["rw", "ro", "z", "Z"].contains(&mode) {
            return Err(Error::invalid(format!("unknown mode `{mode}`")).hint("it is `ro` or `rw`"));
        }
        let mut mounts = self.find(name)?.spec.options.mounts;
        mounts.retain(|mount| !matches!(mount.source, Source::Tmpfs(_)));
        for mount in &mut mounts {
            if mode == "ro" {
                mount.access = Access::ReadOnly;
            }
            if let Some(volume) = mount.volume_mut() {
                volume.no_copy = true;
            }
        }
        Ok(mounts)
    }

    /// Makes the volumes that a container will use, and fills those that are empty with what the image has at their places. The
    /// container's lock is held; if it is never made, what was made for it goes with its run directory.
    pub fn make_volumes(&self, id: &Id, options: &mut Options, layers: &[Digest]) -> Result<()> {
        for mount in &mut options.mounts {
            match &mut mount.source {
                Source::Image(image) => image.layers = self.image(&image.name)?.image.layers().to_vec(),
                Source::Bind(host) if !host.create => host.prepare()?,
                _ => {}
            }
        }
        if options.mounts.iter().all(|mount| mount.volume().is_none()) {
            return Ok(());
        }
        self.claim_volumes(id, options)?;
        let doing = |name: &str| format!("fill volume `{name}`");
        let mut view = None;
        for mount in &options.mounts {
            let Some(volume) = mount
                .volume()
                .filter(|volume| !volume.no_copy && volume.subpath.as_bytes().is_empty())
            else {
                continue;
            };
            // One that is mounted by its options is not ours to write to.
            if !Volumes::new(&self.store).find(&volume.name)?.options.is_empty() {
                continue;
            }
            let view = match &view {
                Some(view) => view,
                None => view.insert(self.view(layers)?),
            };
            let copy = |into: &std::path::Path| layer::copy_tree(view, mount.target.as_bytes(), into);
            Volumes::new(&self.store)
                .fill(&volume.name, copy)
                .doing(|| doing(&volume.name))?;
        }
        Ok(())
    }

    /// Names the volumes that a container will use, and makes those that are missing.
    fn claim_volumes(&self, id: &Id, options: &mut Options) -> Result<()> {
        let lock = self.store.lock()?;
        let volumes = Volumes::new(&self.store);
        let (mut note, mut new) = (Note::default(), Vec::new());
        for mount in &mut options.mounts {
            let Some(used) = mount.volume_mut() else { continue };
            if used.name.is_empty() || volumes.find_if_present(&used.name)?.is_none() {
                let volume = Volume::new(&used.name, used.labels.clone(), used.options.clone())?;
                if used.name.is_empty() {
                    note.own.insert(volume.name.clone());
                }
                used.name.clone_from(&volume.name);
                new.push(volume);
            }
            note.uses.insert(used.name.clone());
        }
        note.write(&self.store, id)?;
        for volume in &new {
            volumes.create(volume)?;
        }
        drop(lock);
        let names: Vec<String> = new.into_iter().map(|volume| volume.name).collect();
        tell(&self.store, "create", &names);
        Ok(())
    }

    fn view(&self, layers: &[Digest]) -> Result<View> {
        Stack::open(&self.store, layers)?.view()
    }

    /// Says that a container is there now, so that its volumes are known from its record.
    pub fn keep_volumes(&self, container: &Container) -> Result<()> {
        if container.spec.options.mounts.iter().any(|mount| mount.volume().is_some()) {
            Note::remove(&self.store, container.id())?;
        }
        Ok(())
    }
}
