//! The settings that are about block devices, huge pages and networks, and those that are spelled as files.

use std::collections::BTreeMap;

use super::check::invalid;
use super::plan::Missing;
use super::resources::{BlockIo, HugepageLimit, Network, Rdma, Throttle, WeightDevice};
use super::settings::{Place, Settings, write};
use crate::error::Result;

impl Settings<'_> {
    pub fn block_io(&mut self, block_io: &BlockIo) -> Result<()> {
        let all = WeightDevice {
            weight: block_io.weight,
            leaf_weight: block_io.leaf_weight,
            ..WeightDevice::default()
        };
        let each = block_io
            .weight_device
            .iter()
            .map(|device| (Some((device.major, device.minor)), device));
        for (device, weights) in [(None, &all)].into_iter().chain(each) {
            if let Some(weight) = weights.weight.filter(|weight| *weight != 0)
                && let Some(place) = self.wanted("blockIO.weight", &["blkio", "io"])
            {
                self.weight(&place, device, weight);
            }
            if let Some(weight) = weights.leaf_weight.filter(|weight| *weight != 0)
                && let Some(place) = self.wanted("blockIO.leafWeight", &["blkio", "io"])
            {
                self.leaf_weight(&place, device, weight);
            }
        }
        self.throttles(block_io)
    }

    /// Which of the files there is depends on the scheduler of the devices that the kernel is built with.
    fn weight(&mut self, place: &Place, device: Option<(i64, i64)>, weight: u16) {
        let field = "blockIO.weight";
        let spell = |weight: u64| match device {
            Some((major, minor)) => format!("{major}:{minor} {weight}"),
            None => weight.to_string(),
        };
        let (first, second, converted) = match (place.unified, device) {
            (true, _) => ("io.bfq.weight", "io.weight", io_weight(weight)),
            (false, None) => ("blkio.weight", "blkio.bfq.weight", weight.into()),
            (false, Some(_)) => ("blkio.weight_device", "blkio.bfq.weight_device", weight.into()),
        };
        let instead = write(place, second, spell(converted), Missing::Warn(field));
        self.add(place, first, spell(weight.into()), Missing::Instead(Box::new(instead)));
    }

    fn leaf_weight(&mut self, place: &Place, device: Option<(i64, i64)>, weight: u16) {
        let field = "blockIO.leafWeight";
        match (place.unified, device) {
            (true, _) => self.unknown_to_unified(field),
            (false, None) => self.add(place, "blkio.leaf_weight", weight, Missing::Warn(field)),
            (false, Some((major, minor))) => {
                let value = format!("{major}:{minor} {weight}");
                self.add(place, "blkio.leaf_weight_device", value, Missing::Warn(field));
            }
        }
    }

    fn throttles(&mut self, block_io: &BlockIo) -> Result<()> {
        let kinds: [(&str, &str, &str, &[Throttle]); 4] = [
            (
                "blockIO.throttleReadBpsDevice",
                "blkio.throttle.read_bps_device",
                "rbps",
                &block_io.throttle_read_bps_device,
            ),
            (
                "blockIO.throttleWriteBpsDevice",
                "blkio.throttle.write_bps_device",
                "wbps",
                &block_io.throttle_write_bps_device,
            ),
            (
                "blockIO.throttleReadIOPSDevice",
                "blkio.throttle.read_iops_device",
                "riops",
                &block_io.throttle_read_iops_device,
            ),
            (
                "blockIO.throttleWriteIOPSDevice",
                "blkio.throttle.write_iops_device",
                "wiops",
                &block_io.throttle_write_iops_device,
            ),
        ];
        for (field, v1, key, list) in kinds {
            for Throttle { major, minor, rate } in list {
                let place = self.needed(field, "blkio")?;
                if place.unified {
                    let rate = if *rate == 0 { "max".into() } else { rate.to_string() };
                    self.add(&place, "io.max", format!("{major}:{minor} {key}={rate}"), Missing::Refuse);
                } else {
                    self.add(&place, v1, format!("{major}:{minor} {rate}"), Missing::Refuse);
                }
            }
        }
        Ok(())
    }

    pub fn hugepages(&mut self, limits: &[HugepageLimit]) {
        let field = "hugepageLimits";
        for HugepageLimit { page_size, limit } in limits {
            let Some(place) = self.wanted(field, &["hugetlb"]) else {
                return;
            };
            let suffix = if place.unified { "max" } else { "limit_in_bytes" };
            let file = format!("hugetlb.{page_size}.{suffix}");
            self.add(&place, &file, limit, Missing::Warn(field));
            // Pages that are reserved but not touched count, too, since Linux 5.7.
            let file = format!("hugetlb.{page_size}.rsvd.{suffix}");
            self.add(&place, &file, limit, Missing::Ignore);
        }
    }

    pub fn network(&mut self, network: &Network) {
        if let Some(class) = network.class_id.filter(|class| *class != 0)
            && let Some(place) = self.wanted("network.classID", &["net_cls"])
        {
            self.add(&place, "net_cls.classid", class, Missing::Warn("network.classID"));
        }
        for priority in &network.priorities {
            let field = "network.priorities";
            let Some(place) = self.wanted(field, &["net_prio"]) else {
                return;
            };
            let value = format!("{} {}", priority.name, priority.priority);
            self.add(&place, "net_prio.ifpriomap", value, Missing::Warn(field));
        }
    }

    pub fn rdma(&mut self, devices: &BTreeMap<String, Rdma>) {
        for (name, limits) in devices {
            let Some(place) = self.wanted("rdma", &["rdma"]) else { return };
            let parts = [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)];
            let parts = parts
                .iter()
                .filter_map(|(key, limit)| limit.map(|limit| format!(" {key}={limit}")));
            let value = format!("{name}{}", parts.collect::<String>());
            self.add(&place, "rdma.max", value, Missing::Warn("rdma"));
        }
    }

    /// Files of version 2 are written as they are given, each line for itself. They come last: they are the more exact.
    pub fn unified(&mut self, files: &BTreeMap<String, String>) -> Result<()> {
        for (file, value) in files {
            let field = format!("unified.{file}");
            let controller = file.split('.').next().unwrap_or_default();
            let Some(place) = self.unified_place() else {
                return Err(invalid(&field, "this host has no cgroups of version 2"));
            };
            if controller != "cgroup" && !self.is_unified(controller) {
                let wrong = format!("this host has no cgroup controller `{controller}` of version 2");
                return Err(invalid(&field, wrong));
            }
            for line in value.lines().filter(|line| !line.trim().is_empty()) {
                self.add(&place, file, line, Missing::Refuse);
            }
        }
        Ok(())
    }
}

/// The weight of version 2 for one of version 1: 10 to 1000 become 1 to 10000.
pub fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_stretched() {
        for (v1, v2) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(io_weight(v1), v2, "{v1}");
        }
    }
}
