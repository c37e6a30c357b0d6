//! Other limits for a container that runs.

use std::path::{Path, PathBuf};

use super::group::{inherit_cpusets, make_levels};
use super::plan::{Devices, Write};
use super::processes::listed;
use super::write::{write_all, write_file};
use super::{Group, Hierarchies, Plan, Resources};
use crate::error::{Doing, Error, Result};

impl Group {
    /// Gives a running container other limits. Returns what cannot be kept of them.
    pub fn update(hierarchies: &Hierarchies, path: &Path, resources: &Resources) -> Result<Vec<String>> {
        let plan = Plan::new(hierarchies, path, resources)?;
        let group = Group::find(hierarchies, path);
        if resources.memory.check_before_update == Some(true) {
            group.check_memory(resources.memory.limit.unwrap_or(-1))?;
        }
        if let Devices::Listed(_) = plan.devices {
            group.filter_devices(&plan)?;
        }
        let own = plan.writes.iter().filter(|write| !group.is_above(write));
        let mut warnings = write_all(own)?;
        warnings.splice(0..0, plan.warnings);
        Ok(warnings)
    }

    fn check_memory(&self, limit: i64) -> Result<()> {
        let usage = self.stats()?.memory.usage.usage;
        if limit > 0 && usage > limit as u64 {
            return Err(
                Error::conflict(format!("{limit} is below the {usage} bytes in use")).doing("`linux.resources.memory.limit`")
            );
        }
        Ok(())
    }

    /// Gives a running container of the engine's what is planned for it now, which may be in trees that it was not in before.
    /// Returns what cannot be kept.
    pub fn change(&self, plan: &Plan, memory: Option<i64>) -> Result<Vec<String>> {
        if let Some(bytes) = memory.and_then(|bytes| u64::try_from(bytes).ok()) {
            self.make_room(bytes)?;
        }
        let further: Vec<&PathBuf> = plan.directories.iter().filter(|directory| !directory.exists()).collect();
        for directory in &further {
            let levels = plan.levels(directory);
            let mut made = Vec::new();
            make_levels(&levels, &mut made)?;
            if directory.join("cpuset.cpus").exists() {
                inherit_cpusets(&levels, &made)?;
            }
        }
        let (above, own): (Vec<&Write>, Vec<&Write>) = plan.writes.iter().partition(|write| self.is_above(write));
        self.enable(&above, &own)?;
        let warnings = write_all(own.into_iter())?;
        further.iter().try_for_each(|directory| self.move_into(directory))?;
        Ok(warnings)
    }

    /// Has the kernel take back memory that is used beyond a limit. In version 2 it would kill for a limit that it cannot keep,
    /// where version 1 refuses it.
    fn make_room(&self, limit: u64) -> Result<()> {
        let Some(directory) = self.unified.as_ref().filter(|path| path.join("memory.max").exists()) else {
            return Ok(());
        };
        let used = || self.stats().map(|stats| stats.memory.usage.usage);
        let beyond = used()?.saturating_sub(limit);
        if limit == 0 || beyond == 0 {
            return Ok(());
        }
        // It takes back what it can and says that it could not take all.
        let _ = write_file(&directory.join("memory.reclaim"), &beyond.to_string());
        let left = used()?;
        if left > limit {
            let wrong = format!("{limit} is below the {left} bytes in use, which cannot be swapped out");
            return Err(Error::conflict(wrong).doing("`linux.resources.memory.limit`"));
        }
        Ok(())
    }

    /// Moves all processes into a directory of a tree that they were not in, also those that are born meanwhile.
    fn move_into(&self, directory: &Path) -> Result<()> {
        let doing = || format!("move the processes into `{}`", directory.display());
        let file = directory.join("cgroup.procs");
        loop {
            let there = listed(directory).doing(doing)?;
            let missing: Vec<_> = self.processes()?.into_iter().filter(|pid| !there.contains(pid)).collect();
            let mut moved = false;
            for pid in missing {
                match write_file(&file, &pid.as_raw_nonzero().to_string()) {
                    // It has ended since.
                    Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                    written => {
                        written.doing(doing)?;
                        moved = true;
                    }
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }
}
