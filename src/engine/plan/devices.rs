//! The devices that a container is given: its nodes of them, and what its cgroups let it do with them.

use std::path::Path;

use super::super::Options;
use super::Facts;
use crate::cgroup::{self, DeviceRule};
use crate::error::{Doing, Result};
use crate::isolation::{self, Node};
use crate::program::{Concept, Program, Register};

/// All devices that the container is given. One that is named has its place before what all privileged containers have.
pub fn nodes(options: &Options) -> Result<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::new();
    for device in &options.devices {
        nodes.extend(device.nodes()?);
    }
    if options.security.privileged {
        let all = isolation::all_devices()?;
        let is_new = |node: &Node| nodes.iter().all(|named| named.target != node.target);
        let all: Vec<Node> = all.into_iter().filter(is_new).collect();
        nodes.extend(all);
    }
    Ok(nodes)
}

/// Has the container's cgroups allow its devices, and whatever rules it has.
pub fn allow(cgroup: &mut cgroup::Plan, options: &Options, nodes: &[Node]) {
    if options.security.privileged {
        return cgroup.allow_devices([DeviceRule::everything()]);
    }
    let given = nodes
        .iter()
        .map(|node| DeviceRule::one(node.is_block(), node.major, node.minor, &node.access));
    let rules: Vec<DeviceRule> = given.chain(options.device_rules.iter().cloned()).collect();
    // The rule that all of the engine's containers have is on the directory above theirs: another one is not the engine's.
    if !rules.is_empty() || !options.cgroup_parent.is_empty() {
        cgroup.allow_devices(rules);
    }
}

/// Writes the steps that make the nodes which are not to be in `/dev`.
pub fn make_elsewhere(program: &mut Program, facts: &Facts, nodes: &[Node], root: Register) -> Result<()> {
    program.concept(Concept::ProcessIsolation);
    for node in nodes.iter().filter(|node| isolation::below_dev(node).is_none()) {
        let path = Path::new(&node.target);
        let (directory, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
        let at = facts.mount_point(directory.as_os_str().as_encoded_bytes(), true)?;
        isolation::check_cover(&[&at.path(), &b"/"[..], name.as_encoded_bytes()].concat())
            .doing(|| format!("device `{}`", node.target))?;
        let directory = at.open(program, root, "where the device is to be");
        isolation::make_node(program, directory, &name.to_string_lossy(), node);
    }
    Ok(())
}
