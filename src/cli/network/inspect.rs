//! What `inspect` tells about networks.

use std::collections::BTreeMap;

use serde::Serialize;

use super::list::{Row, rows};
use crate::cli::report;
use crate::cli::template::Value;
use crate::engine::Engine;
use crate::error::{Kind, Result};
use crate::network::Network;
use crate::store::clock;

/// A network as Docker shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    name: String,
    id: String,
    created: String,
    scope: &'static str,
    driver: &'static str,
    #[serde(rename = "EnableIPv4")]
    has_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    has_ipv6: bool,
    #[serde(rename = "IPAM")]
    addresses: Addresses,
    internal: bool,
    attachable: bool,
    ingress: bool,
    containers: BTreeMap<String, Member>,
    options: BTreeMap<&'static str, String>,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Addresses {
    driver: &'static str,
    options: Option<BTreeMap<String, String>>,
    config: Vec<Pool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pool {
    subnet: String,
    gateway: String,
}

/// A container that is on the network now.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    address: String,
    #[serde(rename = "IPv6Address")]
    address6: String,
}

/// All that is known of a network, or of what containers can have in the place of one.
pub fn inspect(engine: &Engine, text: &str) -> Result<Value> {
    let found = match engine.network(text) {
        Err(error) if error.kind == Kind::NotFound => {
            let row = rows(engine)?
                .into_iter()
                .find(|row| row.network.is_none() && row.name == text);
            row.ok_or(error)?
        }
        found => found.map(|network| Row {
            name: network.name.clone(),
            driver: "bridge",
            network: Some(network),
        })?,
    };
    let network = found.network.as_ref();
    let pool = |network: &Network| Pool {
        subnet: network.subnet.to_string(),
        gateway: network.subnet.gateway().to_string(),
    };
    let created = network.map_or(0, |network| network.created);
    let option = |network: &Network| ("com.docker.network.bridge.name", network.bridge.clone());
    Value::of(&Shown {
        id: engine.network_id(&found.name),
        created: clock::spell(std::time::Duration::from_secs(created)),
        scope: "local",
        driver: found.driver,
        has_ipv4: network.is_some(),
        has_ipv6: false,
        addresses: Addresses {
            driver: "default",
            options: None,
            config: network.map(pool).into_iter().collect(),
        },
        internal: false,
        attachable: false,
        ingress: false,
        containers: members(engine, &found.name)?,
        options: network.map(option).into_iter().collect(),
        labels: BTreeMap::new(),
        name: found.name,
    })
}

fn members(engine: &Engine, network: &str) -> Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    for listed in engine.list(false, |error| report(&error))? {
        if let Some(endpoint) = listed.endpoint()?.filter(|endpoint| endpoint.network == network) {
            let member = Member {
                name: listed.brief.name.clone(),
                endpoint_id: String::new(),
                mac_address: endpoint.mac(),
                address: format!("{}/{}", endpoint.address, endpoint.prefix),
                address6: String::new(),
            };
            members.insert(listed.brief.id.to_string(), member);
        }
    }
    Ok(members)
}
