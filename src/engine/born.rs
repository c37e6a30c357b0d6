//! How a container's init comes to be: before it is known what it has to do, or with all of it.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use super::bring_up::{adopt, make_group, spawn};
use super::plan::limits;
use super::prepare::Prepared;
use super::wires::Wires;
use super::{Container, Engine, Options, users};
use crate::cgroup::{Group, Hierarchies, Resources};
use crate::error::{Doing, Error, Result};
use crate::isolation::{Host, Namespaces};
use crate::kernel::namespace::in_new_network;
use crate::kernel::process::Child;
use crate::network::{Loopback, Mode};
use crate::program::Input;

/// What is known of a container before it is there.
pub struct Expected {
    limits: Resources,
    network: Mode,
    namespaces: Namespaces,
    terminal: bool,
    interactive: bool,
    trace: bool,
}

impl Expected {
    pub fn of(options: &Options, trace: bool) -> Expected {
        Expected {
            limits: options.limits.clone(),
            network: options.network.clone(),
            namespaces: options.namespaces.clone(),
            terminal: options.terminal,
            interactive: options.interactive,
            trace,
        }
    }

    /// The wires of its init.
    pub fn wires(&self) -> Result<Wires> {
        let mut wires = Wires::new(self.terminal, self.interactive)?;
        if self.trace {
            wires.trace()?;
        }
        Ok(wires)
    }
}

/// An init in its namespaces.
pub struct Born {
    pub init: Child,
    pub wires: Wires,
    /// Its cgroups, if it was born there.
    pub group: Option<Group>,
    /// What is still down there, where the host has nothing else to do for it.
    pub loopback: Option<Loopback>,
}

impl Born {
    /// Makes one with these wires that waits for its program. If it must be born in its cgroups, `container` is waited for, and makes them.
    pub fn ahead(
        engine: &Engine,
        expected: &Expected,
        mut wires: Wires,
        container: impl FnOnce() -> Option<Arc<Container>>,
    ) -> Result<Born> {
        let namespaces = expected.namespaces.born(&Host::bare(), false);
        let bear = || -> Result<Born> {
            let loopback = loopback(&expected.network)?;
            let in_group = Hierarchies::have_unified();
            let group = in_group.then(|| engine.make_group_ahead(expected, container)).transpose()?;
            let cgroup = group.as_ref().map(Group::open_unified).transpose()?.flatten();
            let init = wires.start_without_program(namespaces, cgroup.as_ref().map(AsFd::as_fd))?;
            Ok(Born {
                init,
                wires,
                group,
                loopback,
            })
        };
        match expected.network {
            Mode::Host => bear(),
            _ => in_new_network(bear).doing(|| "make a network namespace")?,
        }
    }

    /// Makes one that has its program. What it does until it has had its child may need the container's cgroups.
    pub fn of(container: &Container, prepared: &Prepared, mut wires: Wires) -> Result<Born> {
        let plan = &prepared.plan;
        let group = make_group(container, &plan.cgroup)?;
        if let Some(ids) = &prepared.users {
            wires.give(Input::Users, users::namespace(ids)?)?;
            wires.give_away(ids)?;
        }
        let init = spawn(&plan.program, 0, Some(&group), &mut wires)?;
        Ok(Born {
            init: adopt(init, &plan.program, &mut wires)?,
            wires,
            group: Some(group),
            loopback: None,
        })
    }

    /// The numbers of all that is open for it.
    pub fn descriptors(&self) -> Vec<i32> {
        let wires = self.wires.descriptors().map(|wire| wire.as_raw_fd());
        let loopback = self.loopback.iter().map(|loopback| loopback.as_fd().as_raw_fd());
        wires.chain(loopback).chain([self.init.pidfd.as_raw_fd()]).collect()
    }
}

/// The loopback interface of the network namespace that this is in, if it is a container's.
fn loopback(network: &Mode) -> Result<Option<Loopback>> {
    match network {
        Mode::Host => Ok(None),
        // There is time to start it while init mounts,
        Mode::None => Loopback::here().map(Some),
        // but not if the container is connected meanwhile.
        Mode::Bridge(_) => Loopback::here()?.start().map(|()| None),
    }
}

impl Engine {
    /// Makes the cgroups of a container, as soon as it is recorded that there is one.
    fn make_group_ahead(&self, expected: &Expected, container: impl FnOnce() -> Option<Arc<Container>>) -> Result<Group> {
        let container = container().ok_or_else(|| Error::system("there is no container"))?;
        make_group(
            &container,
            &limits(&Hierarchies::of(&expected.limits), &container.spec, &self.store.label())?,
        )
    }
}
