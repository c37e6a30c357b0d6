//! `update`: other limits for a container, from now on and whenever it is started again.

use super::bring_up::wait_for_root;
use super::patience::{BUSY, Patience};
use super::restart::Policy;
use super::{Container, Engine, Options, State, cgroups, events, recover};
use crate::cgroup::{self, Hierarchies, Plan, Resources, error_in_flags, in_flags};
use crate::error::{Doing, Error, Result};
use crate::store::{Lock, write_durably};

/// What is to be different.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// What it does not speak of stays.
    pub limits: Resources,
    pub restart: Option<Policy>,
}

impl Engine {
    /// Changes a container. If the kernel refuses one of the limits, all are as they were. What the user should know is told to
    /// `warn`.
    pub fn update(&self, container: &Container, change: &Change, warn: impl Fn(&str)) -> Result<()> {
        let gone = || Error::not_found(format!("no such container: `{}`", container.name()));
        let path = container.file("update");
        if !container.file("spec").exists() {
            return Err(gone());
        }
        // One after the other, or one would undo what the other has changed.
        let _updating = Lock::acquire(&path)?;
        let before = Container::load(&self.store, container.id())?.ok_or_else(gone)?;
        let after = changed(&before.spec.options, change)?;
        let limits = (after.limits != before.spec.options.limits).then(|| after.limits.clone());
        let apply = || match &limits {
            Some(limits) => self.apply_if_running(&before, limits, change.limits.memory.limit, &warn),
            None => Ok(true),
        };
        let is_applied = apply()?;
        let now = self.record(container, after)?.ok_or_else(gone)?;
        if !is_applied {
            // Somebody may have begun to start it with those that it had.
            apply()?;
        }
        events::tell_of(&self.store, &now, "update", &[]);
        Ok(())
    }

    /// Records what a container is to be. Returns it, if it is still there.
    fn record(&self, container: &Container, after: Options) -> Result<Option<Container>> {
        let _lock = self.store.lock()?;
        // It may have another name by now.
        let Some(mut now) = Container::load(&self.store, container.id())? else {
            return Ok(None);
        };
        now.spec.options.limits = after.limits;
        now.spec.options.restart = after.restart;
        write_durably(&now.file("spec"), &now.spec)?;
        Ok(Some(now))
    }

    /// Gives a container limits if it runs, or if it is being started with those that it had. Returns whether it has them.
    fn apply_if_running(
        &self,
        container: &Container,
        limits: &Resources,
        memory: Option<i64>,
        warn: impl Fn(&str),
    ) -> Result<bool> {
        let doing = || format!("update container `{}`", container.name());
        if !runs_after_start(container).doing(doing)? {
            return Ok(false);
        }
        let applied = self.apply(container, limits, memory);
        let applied = applied.inspect_err(|_| drop(self.apply(container, &container.spec.options.limits, None)));
        if !container.state()?.is_live() {
            return self.remove_late(container).doing(doing).map(|()| false);
        }
        applied.doing(doing)?.iter().for_each(|warning| warn(warning));
        Ok(true)
    }

    /// Removes what was made for a container that has ended meanwhile: whoever has cleaned up after it need not have met with that.
    fn remove_late(&self, container: &Container) -> Result<()> {
        let mut patience = Patience::of(BUSY);
        // Whoever starts it again removes that in the end.
        while !container.state()?.is_live() {
            if let Some(_lock) = super::create::try_lock(&self.store, container.id())? {
                cgroups::record_parent(container)?;
                return recover::bury(&self.store, container.id());
            }
            patience.wait_for_others(container)?;
        }
        Ok(())
    }

    /// Gives a running container limits; `memory` is one that it may use more than now.
    fn apply(&self, container: &Container, limits: &Resources, memory: Option<i64>) -> Result<Vec<String>> {
        let options = &container.spec.options;
        let hierarchies = Hierarchies::of(limits);
        let label = self.store.label();
        let parent = cgroups::parent(options, &label);
        let plan = Plan::of(&hierarchies, parent, container.id().as_str(), limits)?;
        let group = cgroups::existing(&self.store, container.id())?;
        let mut warnings = group.change(&plan, memory).map_err(error_in_flags)?;
        warnings.splice(0..0, plan.warnings);
        Ok(warnings.iter().map(|warning| in_flags(warning)).collect())
    }
}

/// Whether a container runs. If it is being started, this waits until its first process is in its cgroups, where others are found by it.
fn runs_after_start(container: &Container) -> Result<bool> {
    let mut patience = Patience::of(BUSY);
    loop {
        let is_starting = match container.state()? {
            State::Running(started) | State::Paused(started) => return wait_for_root(container, started.pid).map(|()| true),
            State::Restarting(_) => container.run_file("starting").exists(),
            State::Created | State::Exited(_) => Lock::is_held(&container.run_file("lock")),
        };
        if !is_starting {
            return Ok(false);
        }
        patience.wait_for_others(container)?;
    }
}

/// What a container is to be after a change.
fn changed(options: &Options, change: &Change) -> Result<Options> {
    let mut after = options.clone();
    after.limits.merge(&change.limits);
    after.restart = change.restart.unwrap_or(after.restart);
    if after.auto_remove && after.restart != Policy::No {
        return Err(Error::invalid("a container that is removed when it ends cannot be started again").doing("`--restart`"));
    }
    cgroup::check_limits(&after.limits)?;
    Ok(after)
}
