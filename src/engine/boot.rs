//! What runs when the host does: containers that are started with it, and stopped before it goes down.
//!
//! There is no daemon that would do this. A unit of systemd runs `tinydock system start` at boot, and `tinydock system stop` before the
//! host goes down.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::stop::Asking;
use super::{Container, Engine, State};
use crate::error::{Doing, Error, Result};
use crate::store::{read_if_present, remove_if_present};

const UNITS: &str = "/etc/systemd/system";
const WANTS: &str = "multi-user.target.wants";

/// Where systemd says that it runs (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

impl Engine {
    /// Starts all containers that are to run when the host does. Each is told to `done`, with what became of it.
    pub fn start_all(&self, mut done: impl FnMut(&Container, Result<()>), warn: impl Fn(&str)) -> Result<()> {
        for container in self.all()? {
            let exit = read_if_present(&container.file("exit"))?;
            let wanted = container.spec.options.restart;
            let is_idle = matches!(container.state()?, State::Exited(_));
            if is_idle && wanted.wants_at_boot(exit.as_ref(), container.stopped()?.is_some()) {
                let started = self.start(&container, &warn).map(|_| ());
                done(&container, started);
            }
        }
        Ok(())
    }

    /// Asks all containers to end at once, and waits until they have. It does not count as their users' wish.
    pub fn stop_all(&self, mut done: impl FnMut(&Container, Result<()>)) -> Result<()> {
        let running: Vec<Container> = self
            .all()?
            .into_iter()
            .filter(|one| one.state().is_ok_and(|state| state.is_live()))
            .collect();
        std::thread::scope(|scope| {
            let asking = Asking {
                by: "system stop",
                for_host: true,
                ..Asking::default()
            };
            let asked = running.iter().map(|container| {
                let asking = asking.clone();
                (container, scope.spawn(move || self.stop(container, &asking)))
            });
            for (container, stopped) in asked.collect::<Vec<_>>() {
                done(
                    container,
                    stopped
                        .join()
                        .unwrap_or_else(|_| Err(Error::system("the thread that stops it ended"))),
                );
            }
        });
        Ok(())
    }

    fn all(&self) -> Result<Vec<Container>> {
        let ids = Container::ids(&self.store)?;
        let loaded = ids.iter().map(|id| Container::load(&self.store, id));
        Ok(loaded.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The unit that starts containers with the host.
    pub fn unit(&self) -> Result<String> {
        let program = std::env::current_exe().doing(|| "find tinydock's own executable")?;
        let program = format!("{} --root {}", program.display(), self.store.root().display());
        Ok(format!(
            "[Unit]\n\
             Description=Containers that are to run when the host does\n\
             Wants=network-online.target\n\
             After=network-online.target local-fs.target\n\n\
             [Service]\n\
             Type=oneshot\n\
             RemainAfterExit=yes\n\
             ExecStart={program} system start\n\
             ExecStop={program} system stop\n\
             # The monitors of containers are children of the first command, and end with their containers.\n\
             KillMode=process\n\
             TimeoutStopSec=90\n\n\
             [Install]\n\
             WantedBy=multi-user.target\n"
        ))
    }

    /// Installs that unit for the next boot, and returns where it is.
    pub fn enable(&self) -> Result<PathBuf> {
        if !Path::new(BOOTED).exists() {
            return Err(Error::system("this host was not started by systemd")
                .doing("enable")
                .hint("have it run `tinydock system start` when it starts, and `tinydock system stop` before it goes down"));
        }
        let (unit, link) = self.unit_paths();
        let doing = || format!("write `{}`", unit.display());
        fs::write(&unit, self.unit()?).doing(doing)?;
        let wants = link.parent().unwrap_or(Path::new(UNITS));
        fs::create_dir_all(wants).doing(|| format!("make `{}`", wants.display()))?;
        remove_if_present(&link)?;
        symlink(&unit, &link).doing(|| format!("link `{}`", link.display()))?;
        Ok(unit)
    }

    /// Removes the unit.
    pub fn disable(&self) -> Result<PathBuf> {
        let (unit, link) = self.unit_paths();
        remove_if_present(&link)?;
        remove_if_present(&unit)?;
        Ok(unit)
    }

    fn unit_paths(&self) -> (PathBuf, PathBuf) {
        let name = format!("{}.service", self.store.label());
        (Path::new(UNITS).join(&name), Path::new(UNITS).join(WANTS).join(&name))
    }
}
