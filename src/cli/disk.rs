//! `tinydock system df`: what takes how much of the disk, and how much of that nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use super::images::ago;
use super::listing::{FORMAT, Listing};
use super::table::decimal;
use super::template::Value;
use super::{Command, print, ps, report, tidy_all};
use crate::engine::{Engine, ImageFilter, Listed, ListedImage};
use crate::error::Result;
use crate::flags::{Order, Parsed, parse, switch};
use crate::layer::Volume;
use crate::store::Digest;

pub const COMMAND: Command = Command {
    name: "system df",
    usage: "[-v] [--format TEMPLATE]",
    summary: "Show how much of the disk is used",
    flags: &[
        FORMAT,
        switch("verbose", Some(b'v'), "Show it for each image, container and volume"),
    ],
    order: Order::Mixed,
    arguments: (0, 0),
    failure: 1,
    run,
};

const LISTING: Listing = Listing {
    table: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    quiet: "{{.Type}}",
    headings: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
};

const IMAGES: Listing = Listing {
    table: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    quiet: "{{.ID}}",
    headings: &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("Size", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
        ("Containers", "CONTAINERS"),
    ],
};

const CONTAINERS: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";

const VOLUMES: Listing = Listing {
    table: "{{.Name}}\t{{.Links}}\t{{.Size}}",
    quiet: "{{.Name}}",
    headings: &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")],
};

/// All that takes room, and how much.
struct Disk {
    images: Vec<(ListedImage, usize)>,
    /// The layers of images: how large each is, and of how many images it is.
    layers: BTreeMap<Digest, (u64, usize)>,
    containers: Vec<(Listed, u64)>,
    volumes: Vec<(Volume, usize, u64)>,
}

fn run(engine: &Engine, parsed: Parsed) -> Result<u8> {
    tidy_all(engine);
    let disk = Disk::measure(engine)?;
    if parsed.is_set("verbose") && parsed.text("format")?.is_none() {
        return print(disk.details(engine)?).map(|()| 0);
    }
    let rows = [disk.image_row(), disk.container_row(), disk.volume_row()];
    print(LISTING.format(&parsed)?.show(rows)?).map(|()| 0)
}

fn row(kind: &str, (total, active): (usize, usize), (size, free): (u64, u64)) -> Value {
    let share = (free * 100)
        .checked_div(size)
        .map(|share| format!(" ({share}%)"))
        .unwrap_or_default();
    Value::Object(vec![
        ("Active", active.to_string().into()),
        ("Reclaimable", (decimal(free, 4) + &share).into()),
        ("Size", decimal(size, 4).into()),
        ("TotalCount", total.to_string().into()),
        ("Type", kind.into()),
    ])
}

impl Disk {
    fn measure(engine: &Engine) -> Result<Disk> {
        let listed = engine.list(true, |error| report(&error))?;
        let containers: Vec<(Listed, u64)> = listed
            .into_iter()
            .map(|listed| {
                let size = listed.size().unwrap_or(0);
                (listed, size)
            })
            .collect();
        let mut layers: BTreeMap<Digest, (u64, usize)> = BTreeMap::new();
        let mut images = Vec::new();
        let mut seen = BTreeSet::new();
        for listed in engine.images(&ImageFilter::default(), |error| report(&error))? {
            let mut users = 0;
            if let Some(image) = &listed.image {
                let is_user = |(container, _): &&(Listed, u64)| container.brief.image_id.as_ref() == Some(&image.id);
                users = containers.iter().filter(is_user).count();
                // An image with two names is one image.
                let once = usize::from(seen.insert(image.id.clone()));
                for id in image.layers() {
                    let size = || (engine.layer_size(id), 0);
                    layers.entry(id.clone()).or_insert_with(size).1 += once;
                }
            }
            images.push((listed, users));
        }
        let mut volumes = Vec::new();
        for (volume, _) in engine.volumes()? {
            let uses = |(container, _): &&(Listed, u64)| {
                let mut used = container.brief.mounts.iter().filter_map(|mount| mount.volume());
                used.any(|used| used.name == volume.name)
            };
            let links = containers.iter().filter(uses).count();
            let size = engine.volume_size(&volume.name);
            volumes.push((volume, links, size));
        }
        Ok(Disk {
            images,
            layers,
            containers,
            volumes,
        })
    }

    /// The bytes of the layers of an image that are, or are not, layers of others.
    fn size_of(&self, image: &ListedImage, is_shared: bool) -> u64 {
        let layers = image.image.iter().flat_map(|image| image.layers());
        let known = layers.filter_map(|id| self.layers.get(id));
        known
            .filter(|(_, users)| (*users > 1) == is_shared)
            .map(|(size, _)| size)
            .sum()
    }

    fn image_row(&self) -> Value {
        let used: BTreeSet<&Digest> = self
            .images
            .iter()
            .filter(|(_, users)| *users > 0)
            .flat_map(|(listed, _)| listed.image.iter().flat_map(|image| image.layers()))
            .collect();
        let size = self.layers.values().map(|(size, _)| size).sum();
        let free = self
            .layers
            .iter()
            .filter(|(id, _)| !used.contains(id))
            .map(|(_, (size, _))| size)
            .sum();
        let active = self.images.iter().filter(|(_, users)| *users > 0).count();
        row("Images", (self.images.len(), active), (size, free))
    }

    fn container_row(&self) -> Value {
        let size = self.containers.iter().map(|(_, size)| size).sum();
        let (running, stopped): (Vec<_>, Vec<_>) = self.containers.iter().partition(|(listed, _)| listed.state.is_live());
        let free = stopped.iter().map(|(_, size)| size).sum();
        row("Containers", (self.containers.len(), running.len()), (size, free))
    }

    fn volume_row(&self) -> Value {
        let size = self.volumes.iter().map(|(.., size)| size).sum();
        let (used, unused): (Vec<_>, Vec<_>) = self.volumes.iter().partition(|(_, links, _)| *links > 0);
        let free = unused.iter().map(|(.., size)| size).sum();
        row("Local Volumes", (self.volumes.len(), used.len()), (size, free))
    }

    /// The tables of `-v`.
    fn details(&self, engine: &Engine) -> Result<String> {
        let nothing = parse(COMMAND.flags, Order::Mixed, [])?;
        let images = self.images.iter().map(|(listed, users)| self.image_details(listed, *users));
        let images = IMAGES.format(&nothing)?.show(images)?;
        let containers: Vec<&Listed> = self.containers.iter().map(|(listed, _)| listed).collect();
        let containers = ps::table(engine, &nothing, CONTAINERS, &containers)?;
        let volumes = self.volumes.iter().map(|(volume, links, size)| {
            Value::Object(vec![
                ("Links", links.to_string().into()),
                ("Name", volume.name.as_str().into()),
                ("Size", decimal(*size, 4).into()),
            ])
        });
        let volumes = VOLUMES.format(&nothing)?.show(volumes)?;
        Ok(format!(
            "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}"
        ))
    }

    fn image_details(&self, listed: &ListedImage, users: usize) -> Value {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "<none>".into());
        let id = listed
            .image
            .as_ref()
            .map_or_else(String::new, |image| image.id.hex()[..12].into());
        let [own, shared] = [false, true].map(|is_shared| self.size_of(listed, is_shared));
        let created = if listed.created == 0 {
            "N/A".into()
        } else {
            format!("{} ago", ago(listed.created))
        };
        Value::Object(vec![
            ("Containers", users.to_string().into()),
            ("CreatedSince", created.into()),
            ("ID", id.into()),
            ("Repository", text(&listed.repository).into()),
            ("SharedSize", decimal(shared, 4).into()),
            ("Size", decimal(own + shared, 4).into()),
            ("Tag", text(&listed.tag).into()),
            ("UniqueSize", decimal(own, 4).into()),
        ])
    }
}
