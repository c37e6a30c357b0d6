//! What a container sees besides its image, as Docker shows it.

use serde::Serialize;

use crate::engine::{Engine, Options};
use crate::error::Result;
use crate::layer::{Access, Mount, Source};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mounted {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    source: String,
    destination: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    driver: &'static str,
    mode: &'static str,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: &'static str,
}

impl Engine {
    /// The mounts of a container.
    pub fn mounted(&self, options: &Options) -> Result<Vec<Mounted>> {
        Ok(options.mounts.iter().map(|mount| self.mount(mount)).collect())
    }

    fn mount(&self, mount: &Mount) -> Mounted {
        let writable = mount.access == Access::Writable;
        let (name, source, driver, propagation) = match &mount.source {
            Source::Bind(host) => (String::new(), host.path.to_string(), "", host.propagation.name()),
            Source::Volume(volume) => {
                // A volume that somebody removed by hand has no place any more.
                let place = self.volume(&volume.name).map(|(_, data)| data.display().to_string());
                (volume.name.clone(), place.unwrap_or_default(), "local", "")
            }
            Source::Tmpfs(_) => (String::new(), String::new(), "", ""),
            Source::Image(image) => (String::new(), image.name.clone(), "", ""),
        };
        Mounted {
            kind: mount.kind(),
            name,
            source,
            destination: mount.target.to_string(),
            driver,
            mode: if writable { "" } else { "ro" },
            writable,
            propagation,
        }
    }
}
