//! The flags that limit how a container uses block devices.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::resources::number;
use super::texts;
use crate::cgroup::{BlockIo, Throttle, WeightDevice, parse_bytes};
use crate::error::{Doing, Error, Result};
use crate::flags::{Flag, Parsed, option};

pub const FLAGS: &[Flag] = &[
    option("blkio-weight", None, "NUMBER", "Its share of disk accesses, 10 to 1000"),
    option("blkio-weight-device", None, "DEVICE:NUMBER", "The same of one block device"),
    option(
        "device-read-bps",
        None,
        "DEVICE:BYTES",
        "Limit what is read from a block device each second",
    ),
    option(
        "device-write-bps",
        None,
        "DEVICE:BYTES",
        "Limit what is written to it each second",
    ),
    option("device-read-iops", None, "DEVICE:NUMBER", "Limit the reads each second"),
    option("device-write-iops", None, "DEVICE:NUMBER", "Limit the writes each second"),
];

/// Reads them.
pub fn take(parsed: &Parsed, block_io: &mut BlockIo) -> Result<()> {
    block_io.weight = number(parsed, "blkio-weight")?;
    for text in texts(parsed, "blkio-weight-device") {
        let doing = || "`--blkio-weight-device`";
        let (device, weight) = split(&text).doing(doing)?;
        let (major, minor) = numbers(device).doing(doing)?;
        let weight = weight
            .parse()
            .ok()
            .filter(|weight| (10..=1000).contains(weight) || *weight == 0);
        let invalid = || Error::invalid(format!("invalid weight for device: `{text}`")).hint("a weight is between 10 and 1000");
        block_io.weight_device.push(WeightDevice {
            major,
            minor,
            weight: Some(weight.ok_or_else(invalid).doing(doing)?),
            leaf_weight: None,
        });
    }
    block_io.throttle_read_bps_device = throttles(parsed, "device-read-bps", bytes)?;
    block_io.throttle_write_bps_device = throttles(parsed, "device-write-bps", bytes)?;
    block_io.throttle_read_iops_device = throttles(parsed, "device-read-iops", |text| text.parse().ok())?;
    block_io.throttle_write_iops_device = throttles(parsed, "device-write-iops", |text| text.parse().ok())?;
    Ok(())
}

fn bytes(text: &str) -> Option<u64> {
    parse_bytes(text).ok().map(|bytes| bytes as u64)
}

fn throttles(parsed: &Parsed, flag: &str, read: fn(&str) -> Option<u64>) -> Result<Vec<Throttle>> {
    let throttle = |text: &String| -> Result<Throttle> {
        let (device, rate) = split(text)?;
        let invalid = || {
            Error::invalid(format!("invalid rate for device: `{text}`"))
                .hint("give a device and a positive number, as in `/dev/sda:10`, for bytes also with a unit: `/dev/sda:10mb`")
        };
        let rate = read(rate).ok_or_else(invalid)?;
        let (major, minor) = numbers(device)?;
        Ok(Throttle { major, minor, rate })
    };
    let all = texts(parsed, flag);
    all.iter()
        .map(|text| throttle(text).doing(|| format!("`--{flag}`")))
        .collect()
}

fn split(text: &str) -> Result<(&str, &str)> {
    match text.rsplit_once(':') {
        Some((device, value)) if device.starts_with("/dev/") && !value.is_empty() => Ok((device, value)),
        _ => Err(Error::invalid(format!("bad format for path: `{text}`")).hint("give a device and a value, as in `/dev/sda:10`")),
    }
}

/// The numbers by which the kernel knows a block device.
fn numbers(device: &str) -> Result<(i64, i64)> {
    let found = fs::metadata(device).doing(|| format!("`{device}`"))?;
    if !found.file_type().is_block_device() {
        return Err(Error::invalid(format!("`{device}` is no block device")));
    }
    let number = found.rdev();
    Ok((rustix::fs::major(number).into(), rustix::fs::minor(number).into()))
}
