//! `tinydock network ls`: networks as Docker lists them.

use std::collections::BTreeMap;

use crate::cli::filter::Filters;
use crate::cli::listing::Listing;
use crate::cli::template::Value;
use crate::cli::{print, tidy};
use crate::engine::Engine;
use crate::error::Result;
use crate::flags::Parsed;
use crate::network::{DEFAULT, Network};
use crate::store::clock;

const LISTING: Listing = Listing {
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    quiet: "{{.ID}}",
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
        ("Bridge", "BRIDGE"),
        ("Gateway", "GATEWAY"),
    ],
};

/// A network as lists have it. Of those that are no networks of ours there is only the name.
pub struct Row {
    pub name: String,
    pub driver: &'static str,
    pub network: Option<Network>,
}

pub fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy(engine);
    let filters = Filters::parse(&parsed, &["driver", "id", "name", "scope", "type", "label", "dangling"])?;
    let dangling = filters.truth("dangling")?;
    let format = LISTING.format(&parsed)?;
    let used = if dangling.is_some() {
        engine.used_networks()?
    } else {
        Default::default()
    };
    let is_meant = |row: &Row| {
        let id = engine.network_id(&row.name);
        let is_own = row.network.as_ref().is_some_and(|network| network.name != DEFAULT);
        filters.any("name", |name| row.name.contains(name))
            && filters.any("id", |wanted| id.contains(wanted))
            && filters.any("driver", |driver| row.driver == driver)
            && filters.any("scope", |scope| scope == "local")
            && filters.any("type", |kind| kind == if is_own { "custom" } else { "builtin" })
            && !filters.has("label")
            && dangling.is_none_or(|dangling| dangling == (is_own && !used.contains(&row.name)))
    };
    let rows = rows(engine)?.into_iter().filter(is_meant);
    let full = parsed.is_set("no-trunc");
    print(format.show(rows.map(|row| fields(engine, row, full)))?).map(|()| 0)
}

/// All networks, by name.
pub fn rows(engine: &Engine) -> Result<Vec<Row>> {
    let own = |network: Network| Row {
        name: network.name.clone(),
        driver: "bridge",
        network: Some(network),
    };
    let mode = |name: &str, driver| Row {
        name: name.into(),
        driver,
        network: None,
    };
    let mut rows: Vec<Row> = engine.networks()?.into_iter().map(own).collect();
    rows.extend([mode("host", "host"), mode("none", "null")]);
    if !rows.iter().any(|row| row.name == DEFAULT) {
        rows.push(mode(DEFAULT, "bridge"));
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(rows)
}

fn fields(engine: &Engine, row: Row, full: bool) -> Value {
    let mut id = engine.network_id(&row.name);
    if !full {
        id.truncate(12);
    }
    let network = row.network.as_ref();
    let created = network.map_or_else(String::new, |network| format!("{} +0000 UTC", clock::show(network.created)));
    let gateway = network.map_or_else(String::new, |network| {
        format!("{}/{}", network.subnet.gateway(), network.subnet.prefix())
    });
    Value::Object(vec![
        ("Bridge", network.map_or("", |network| &network.bridge).into()),
        ("CreatedAt", created.into()),
        ("Driver", row.driver.into()),
        ("Gateway", gateway.into()),
        ("ID", id.into()),
        ("IPv4", network.is_some().to_string().into()),
        ("IPv6", "false".into()),
        ("Internal", "false".into()),
        ("Label", Value::Lookup(BTreeMap::new())),
        ("Labels", "".into()),
        ("Name", row.name.into()),
        ("Scope", "local".into()),
    ])
}
