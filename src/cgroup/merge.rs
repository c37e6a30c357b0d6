//! `update`: what a container is to have from now on, of what it has and what was asked for.

use super::Resources;
use super::resources::{BlockIo, Cpu, Memory, Throttle};

impl Resources {
    /// Takes over what an update says. What it does not speak of stays as it is, each device of a list for itself.
    pub fn merge(&mut self, update: &Resources) {
        if !update.devices.is_empty() {
            self.devices.clone_from(&update.devices);
        }
        self.memory.merge(&update.memory);
        self.cpu.merge(&update.cpu);
        replace(&mut self.pids.limit, update.pids.limit);
        self.block_io.merge(&update.block_io);
        put(&mut self.hugepage_limits, &update.hugepage_limits, |limit| {
            limit.page_size.clone()
        });
        replace(&mut self.network.class_id, update.network.class_id);
        put(&mut self.network.priorities, &update.network.priorities, |priority| {
            priority.name.clone()
        });
        self.rdma.extend(update.rdma.clone());
        self.unified.extend(update.unified.clone());
    }
}

impl Memory {
    fn merge(&mut self, update: &Memory) {
        if update.limit == Some(-1) {
            // No limit of memory alone: an old one of memory and swap together would go on limiting it.
            self.swap = None;
        }
        replace(&mut self.limit, update.limit);
        replace(&mut self.reservation, update.reservation);
        replace(&mut self.swap, update.swap);
        replace(&mut self.kernel, update.kernel);
        replace(&mut self.kernel_tcp, update.kernel_tcp);
        replace(&mut self.swappiness, update.swappiness);
        replace(&mut self.disable_oom_killer, update.disable_oom_killer);
        replace(&mut self.use_hierarchy, update.use_hierarchy);
        replace(&mut self.check_before_update, update.check_before_update);
    }
}

impl Cpu {
    fn merge(&mut self, update: &Cpu) {
        replace(&mut self.shares, update.shares);
        replace(&mut self.quota, update.quota);
        replace(&mut self.burst, update.burst);
        replace(&mut self.period, update.period);
        replace(&mut self.realtime_runtime, update.realtime_runtime);
        replace(&mut self.realtime_period, update.realtime_period);
        replace(&mut self.idle, update.idle);
        for (ours, asked) in [(&mut self.cpus, &update.cpus), (&mut self.mems, &update.mems)] {
            if !asked.is_empty() {
                ours.clone_from(asked);
            }
        }
    }
}

impl BlockIo {
    fn merge(&mut self, update: &BlockIo) {
        replace(&mut self.weight, update.weight);
        replace(&mut self.leaf_weight, update.leaf_weight);
        put(&mut self.weight_device, &update.weight_device, |device| {
            (device.major, device.minor)
        });
        let device = |throttle: &Throttle| (throttle.major, throttle.minor);
        put(&mut self.throttle_read_bps_device, &update.throttle_read_bps_device, device);
        put(&mut self.throttle_write_bps_device, &update.throttle_write_bps_device, device);
        put(&mut self.throttle_read_iops_device, &update.throttle_read_iops_device, device);
        put(
            &mut self.throttle_write_iops_device,
            &update.throttle_write_iops_device,
            device,
        );
    }
}

fn replace<T>(ours: &mut Option<T>, asked: Option<T>) {
    if asked.is_some() {
        *ours = asked;
    }
}

/// Puts each of `asked` in the place of the one with the same key, or at the end.
fn put<T: Clone, K: PartialEq>(ours: &mut Vec<T>, asked: &[T], key: impl Fn(&T) -> K) {
    for new in asked {
        match ours.iter_mut().find(|old| key(old) == key(new)) {
            Some(old) => *old = new.clone(),
            None => ours.push(new.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_update_does_not_speak_of_stays() {
        let read = |text: &str| serde_json::from_str::<Resources>(text).unwrap();
        for (before, update, after) in [
            (r#"{"pids":{"limit":5}}"#, "{}", r#"{"pids":{"limit":5}}"#),
            (
                r#"{"memory":{"limit":5,"swap":9}}"#,
                r#"{"memory":{"limit":7}}"#,
                r#"{"memory":{"limit":7,"swap":9}}"#,
            ),
            (
                r#"{"memory":{"limit":5,"swap":9}}"#,
                r#"{"memory":{"limit":-1}}"#,
                r#"{"memory":{"limit":-1}}"#,
            ),
            (
                r#"{"cpu":{"quota":5000,"cpus":"0"}}"#,
                r#"{"cpu":{"period":10000,"cpus":"1"}}"#,
                r#"{"cpu":{"quota":5000,"period":10000,"cpus":"1"}}"#,
            ),
            (
                r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":1,"rate":2}]}}"#,
                r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":3},{"major":8,"minor":2,"rate":4}]}}"#,
                r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":1,"rate":3},
                    {"major":8,"minor":2,"rate":4}]}}"#,
            ),
            (
                r#"{"unified":{"a.b":"1","c.d":"2"}}"#,
                r#"{"unified":{"a.b":"3"}}"#,
                r#"{"unified":{"a.b":"3","c.d":"2"}}"#,
            ),
        ] {
            let mut resources = read(before);
            resources.merge(&read(update));
            assert_eq!(resources, read(after), "{before} and {update}");
        }
    }
}
