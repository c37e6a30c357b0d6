//! `update`: other limits for a container, from now on and whenever it is started again.

use super::restart::Policy;
use super::{Container, Engine, Options, cgroups, events};
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
        if after.limits != before.spec.options.limits && before.state()?.started().is_some() {
            let doing = || format!("update container `{}`", container.name());
            let applied = self.apply(&before, &after.limits, change.limits.memory.limit);
            let warnings = applied
                .inspect_err(|_| drop(self.apply(&before, &before.spec.options.limits, None)))
                .doing(doing)?;
            warnings.iter().for_each(|warning| warn(warning));
        }
        let _lock = self.store.lock()?;
        // It may have another name by now.
        let mut now = Container::load(&self.store, container.id())?.ok_or_else(gone)?;
        now.spec.options.limits = after.limits;
        now.spec.options.restart = after.restart;
        write_durably(&now.file("spec"), &now.spec)?;
        events::tell_of(&self.store, &now, "update", &[]);
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
