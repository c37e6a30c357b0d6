//! Resources in systemd's words (systemd.resource-control(5)). It would undo a limit that it has not been told of, the next
//! time that it reads its files.

use super::wire::Value;
use crate::cgroup::Resources;
use crate::cgroup::check::parse_list;
use crate::cgroup::settings::weight_of_shares;
use crate::cgroup::settings_devices::io_weight;

/// The usual period, in microseconds.
const PERIOD: u64 = 100_000;
/// systemd counts quotas in hundredths of a second's processor time.
const HUNDREDTH: u64 = 10_000;

/// The properties for which something was asked.
pub fn properties(resources: &Resources, unified: bool) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut add = |name: &str, value: Option<u64>| {
        if let Some(value) = value {
            found.push((name.to_string(), Value::U64(value)));
        }
    };
    let memory = &resources.memory;
    let limit = memory.limit.filter(|limit| *limit != 0);
    if unified {
        add("MemoryMax", limit.map(bound));
        let swap = memory.swap.filter(|swap| *swap != 0);
        let alone = |swap: i64| if swap < 0 { swap } else { swap - limit.unwrap_or(0).max(0) };
        add("MemorySwapMax", swap.map(|swap| bound(alone(swap))));
        add("MemoryLow", memory.reservation.filter(|low| *low != 0).map(bound));
    } else {
        add("MemoryLimit", limit.map(bound));
    }
    let cpu = &resources.cpu;
    let shares = cpu.shares.filter(|shares| *shares != 0 && cpu.idle != Some(1));
    if unified {
        add("CPUWeight", shares.map(weight_of_shares));
    } else {
        add("CPUShares", shares);
    }
    let period = cpu.period.filter(|period| *period != 0);
    add("CPUQuotaPeriodUSec", period);
    let quota = cpu.quota.filter(|quota| *quota != 0);
    add(
        "CPUQuotaPerSecUSec",
        quota.map(|quota| quota_per_second(quota, period.unwrap_or(PERIOD))),
    );
    add("TasksMax", resources.pids.limit.filter(|limit| *limit != 0).map(bound));
    let weight = resources.block_io.weight.filter(|weight| *weight != 0);
    if unified {
        add("IOWeight", weight.map(io_weight));
    } else {
        add("BlockIOWeight", weight.map(u64::from));
    }
    if unified {
        for (name, list) in [("AllowedCPUs", &cpu.cpus), ("AllowedMemoryNodes", &cpu.mems)] {
            if let Some(numbers) = parse_list(list) {
                found.push((name.to_string(), bits(&numbers)));
            }
        }
    }
    found
}

/// -1 is no limit; the largest number is what systemd has for that.
fn bound(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Rounded up, so that systemd never allows less than the file that is written in the end.
fn quota_per_second(quota: i64, period: u64) -> u64 {
    match u64::try_from(quota) {
        Ok(quota) => (quota.saturating_mul(1_000_000) / period).next_multiple_of(HUNDREDTH),
        Err(_) => u64::MAX,
    }
}

/// A set as bits, the lowest number first.
fn bits(numbers: &[u32]) -> Value {
    let largest = numbers.iter().max().copied().unwrap_or(0) as usize;
    let mut bytes = vec![0u8; largest / 8 + 1];
    numbers
        .iter()
        .for_each(|number| bytes[*number as usize / 8] |= 1 << (number % 8));
    Value::Array("y".into(), bytes.into_iter().map(Value::Byte).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_properties() {
        let text = r#"{"memory":{"limit":100,"swap":150,"reservation":-1},"cpu":{"shares":1024,"quota":12345,"period":50000,
            "cpus":"0-1,9"},"pids":{"limit":7},"blockIO":{"weight":10}}"#;
        let resources: Resources = serde_json::from_str(text).unwrap();
        let numbers = |unified| {
            let found = properties(&resources, unified).into_iter();
            found
                .map(|(name, value)| match value {
                    Value::U64(u64::MAX) => format!("{name}=infinity"),
                    Value::U64(number) => format!("{name}={number}"),
                    Value::Array(_, bytes) => format!("{name}={bytes:?}"),
                    value => format!("{name}={value:?}"),
                })
                .collect::<Vec<String>>()
                .join(" ")
        };
        assert_eq!(
            numbers(true),
            "MemoryMax=100 MemorySwapMax=50 MemoryLow=infinity CPUWeight=100 CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=250000 \
                TasksMax=7 IOWeight=1 AllowedCPUs=[Byte(3), Byte(2)]"
        );
        assert_eq!(
            numbers(false),
            "MemoryLimit=100 CPUShares=1024 CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=250000 TasksMax=7 BlockIOWeight=10"
        );
        assert_eq!(properties(&Resources::default(), true), []);
    }
}
