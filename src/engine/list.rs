//! `ls`: which containers there are, and what is true of each.

use super::{Container, Engine, State};
use crate::error::Result;
use crate::network::Endpoint;
use crate::store::clock;

/// A container and what is true of it.
pub struct Listed {
    pub container: Container,
    pub state: State,
    pub endpoint: Option<Endpoint>,
    /// When it was created, in UTC.
    pub created: String,
}

impl Engine {
    /// The containers that run, or `all`, the newest first. A record that cannot be read is told to `report`, and the others
    /// are listed nevertheless.
    pub fn list(&self, all: bool, mut report: impl FnMut(crate::error::Error)) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for id in Container::ids(&self.store)? {
            match Container::load(&self.store, &id).and_then(|container| container.map(look).transpose()) {
                Ok(found) => {
                    listed.extend(found.filter(|found| all && !found.container.is_vanishing(&found.state) || found.state.is_live()))
                }
                Err(error) => report(error),
            }
        }
        listed.sort_by(|one, other| {
            other
                .container
                .spec
                .created
                .cmp(&one.container.spec.created)
                .then(one.container.id().cmp(other.container.id()))
        });
        Ok(listed)
    }
}

fn look(container: Container) -> Result<Listed> {
    let state = container.state()?;
    let endpoint = if state.started().is_some() {
        container.endpoint()?
    } else {
        None
    };
    let created = clock::show(container.spec.created);
    Ok(Listed {
        container,
        state,
        endpoint,
        created,
    })
}
