//! `create`: a container's record, its name and its directories.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::patience::Patience;
use super::{Container, Engine, Options, Spec, check_name, image_config, names, recover};
use crate::error::{Doing, Error, Result};
use crate::image::Image;
use crate::network::Mode;
use crate::store::{Id, Lock, Store, Text, clock, write};

/// How long something that is being cleaned up may be in the way.
pub const CLEANED_UP: Duration = Duration::from_secs(10);

/// What a container is called: by its user, and by itself. What is missing is made up.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    pub name: Option<&'a str>,
    pub hostname: Option<&'a str>,
}

impl Engine {
    /// Creates a container. Whoever has the lock that is returned may start it. One that `starts` at once is gone with whoever would
    /// start it.
    pub fn create(&self, mut options: Options, called: Called, starts: bool) -> Result<(Container, Lock)> {
        options.check()?;
        called.name.map_or(Ok(()), check_name)?;
        self.find_partners(&mut options)?;
        // From here until the container's record is written nobody may take the image's layers away.
        let kept = self.image(&options.image)?;
        image_config::merge(&mut options, &kept.image.config.config)?;
        if options.arguments().is_empty() {
            return Err(Error::invalid(format!("image `{}` names no command to run", options.image))
                .hint("give one after the image's name"));
        }
        self.complete_mounts(&mut options, &image_volumes(&kept.image))?;
        let id = Id::generate()?;
        let hostname = hostname_of(&options, called.hostname, &id)?;
        let lock = lock(&self.store, &id)?;
        if starts && options.auto_remove {
            write(&self.store.container_run(&id).join("starting"), &clock::now())?;
        }
        let name = self.claim_name(called.name, &id).inspect_err(|_| self.forget(&id))?;
        self.make_volumes(&id, &mut options, kept.image.layers())
            .inspect_err(|_| self.forget(&id))?;
        let now = clock::since_1970();
        let spec = Spec {
            hostname,
            name,
            layers: kept.image.layers().to_vec(),
            image_id: Some(kept.image.id.clone()),
            created: now.as_secs(),
            created_nanos: now.subsec_nanos(),
            options,
            id,
        };
        let container = Container::new(&self.store, spec);
        self.write_down(&container).inspect_err(|_| self.forget(container.id()))?;
        self.keep_volumes(&container)?;
        Ok((container, lock))
    }

    /// Gives a container the name that is asked for, or makes one up.
    fn claim_name(&self, name: Option<&str>, id: &Id) -> Result<String> {
        if !self.store.names().path("").is_dir() {
            self.store.directory_of_many("container")?;
            self.store.directory("container/names")?;
        }
        let Some(name) = name else {
            let _lock = self.store.lock()?;
            let name = names::generate(|name| self.store.names().owner(name).is_some())?;
            return self.store.names().claim(&name, id, "").map(|()| name);
        };
        let mut patience = Patience::of(CLEANED_UP);
        while let Some(owner) = self.store.names().owner(name) {
            recover::sweep(&self.store)?;
            match Container::load(&self.store, &owner)? {
                Some(container) if container.name() != name => self.release_name(name, &owner, &mut patience)?,
                Some(container) if !container.is_vanishing(&container.state()?) || patience.is_over() => {
                    let taken = Error::conflict(format!(
                        "the container name `{name}` is already in use by container `{}`",
                        owner.short()
                    ));
                    return Err(taken.hint(format!(
                        "choose another name, or remove that container with `tinydock rm {name}`"
                    )));
                }
                Some(_) => patience.pause(),
                None => self.release_name(name, &owner, &mut patience)?,
            }
        }
        let _lock = self.store.lock()?;
        if self.store.names().owner(name).is_some() {
            return Err(Error::conflict(format!(
                "the container name `{name}` is already in use by a container that is being created"
            )));
        }
        self.store.names().claim(name, id, "").map(|()| name.to_string())
    }

    /// Frees a name whose owner died before there was a container, or after it was removed, or has another name now.
    fn release_name(&self, name: &str, owner: &Id, patience: &mut Patience) -> Result<()> {
        let _lock = self.store.lock()?;
        let owns = Container::load(&self.store, owner)?.map(|container| container.name() == name);
        if owns.unwrap_or_else(|| Lock::is_held(&self.store.container_run(owner).join("lock"))) {
            patience.pause();
            return Ok(());
        }
        self.store.names().release(name, owner)
    }

    /// Makes a container's directories and its record.
    fn write_down(&self, container: &Container) -> Result<()> {
        let directory = container.file("");
        if !self.store.take_spare(&directory) || !is_complete(&directory) {
            make_directories(&directory)?;
        }
        write(&container.file("spec"), &container.spec)
    }

    /// Undoes a creation that failed; the error that is being returned says why.
    fn forget(&self, id: &Id) {
        let _ = recover::remove_left(&self.store, id);
    }
}

/// Makes the directories of a container that comes later, when `id` has ended.
pub fn make_spare(store: &Store, id: &Id) -> Result<()> {
    store.make_spare(&id.as_str()[..2], make_directories)
}

/// The root directory of a container is what its upper directory is: everybody may enter it. That is said last.
const UPPER_MODE: u32 = 0o755;

/// Makes those of a container's directories that are missing.
fn make_directories(directory: &Path) -> Result<()> {
    for name in ["", "work", "upper"] {
        let path = directory.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.doing(|| format!("make `{}`", path.display()))?,
        }
    }
    let upper = directory.join("upper");
    fs::set_permissions(&upper, Permissions::from_mode(UPPER_MODE)).doing(|| format!("change the mode of `{}`", upper.display()))
}

/// Whether whoever made a container's directories came to the end. If somebody took it meanwhile, and another one began the next under
/// the same name, that has what was still to be made, but not all that comes before: so both are looked for at once.
fn is_complete(directory: &Path) -> bool {
    fs::metadata(directory.join("work/../upper")).is_ok_and(|upper| upper.mode() & 0o7777 == UPPER_MODE)
}

/// The paths at which an image wants volumes.
pub fn image_volumes(image: &Image) -> Vec<Text> {
    image.config.config.volumes.keys().map(|path| path.as_str().into()).collect()
}

/// Locks the container `id`, in a run directory of its own.
pub fn lock(store: &Store, id: &Id) -> Result<Lock> {
    loop {
        let directory = make_run_directory(store, id)?;
        match Lock::acquire(&directory.join("lock")) {
            // Somebody swept the directory up before it was locked.
            Err(_) if !directory.exists() => {}
            result => return result,
        }
    }
}

/// Locks the container `id` if nobody has.
pub fn try_lock(store: &Store, id: &Id) -> Result<Option<Lock>> {
    make_run_directory(store, id)?;
    recover::try_lock(&store.container_run(id).join("lock"))
}

fn make_run_directory(store: &Store, id: &Id) -> Result<PathBuf> {
    store.run_directory("container")?;
    let directory = store.container_run(id);
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(Error::from(error).doing(format!("make `{}`", directory.display())))
        }
        _ => Ok(directory),
    }
}

/// The host name of a container: the one that is asked for, or its id, or the host's where that or the host's network is shared.
pub fn hostname_of(options: &Options, asked: Option<&str>, id: &Id) -> Result<String> {
    let hosts = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    match (options.namespaces.host_uts, asked) {
        (false, Some(asked)) => Ok(asked.to_string()),
        (false, None) if options.network == Mode::Host => Ok(hosts()),
        (false, None) => Ok(id.short().to_string()),
        (true, None) => Ok(hosts()),
        (true, Some(_)) => Err(Error::invalid(
            "a container with the host's name has no `--hostname` of its own",
        )),
    }
}
