//! Whatever bytes are in `config.json`: there is a plan or an error, and neither panics nor takes more memory than there is.
//!
//! With cargo-fuzz the same function would be a target (`fuzz_target!(|bytes: &[u8]| …)`) that this crate exports behind a feature;
//! this loop takes its place in every run of the tests.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::become_process;
use super::super::process::Process;
use super::*;

const LONG: Duration = Duration::from_secs(2);
/// More than any of it takes, and less than what an unbounded list takes.
const MEMORY: u64 = 1 << 30;

/// Numbers without a pattern, the same ones each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// A value that nobody expects.
fn nasty(random: &mut Random) -> Value {
    let texts = [
        "",
        "/",
        "..",
        "/..",
        "/dev/../proc",
        "a\0b",
        "*",
        "0-4095",
        "-",
        "%s",
        "\u{202e}",
        "/proc/self/fd/3",
        "rbind",
        "idmap",
        "tmpcopyup",
        "user",
        "SCMP_ACT_NOTIFY",
        "cgroup",
        "RLIMIT_",
        "net.//.x",
        "bind",
        "=",
        "0-4095,0-4095",
    ];
    match random.below(12) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!([]),
        3 => json!({}),
        4 => json!(-1),
        5 => json!(u64::MAX),
        6 => json!(i64::MIN),
        7 => json!(u32::MAX),
        8 => json!(1u64 << random.below(64)),
        9 => json!("/x".repeat(random.below(5000))),
        10 => json!(vec![texts[random.below(texts.len())]; random.below(300)]),
        _ => json!(texts[random.below(texts.len())]),
    }
}

/// All places in a value, as pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.into());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(name, value)| places(value, &format!("{at}/{}", name.replace('/', "~1")), found)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(n, value)| places(value, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

/// Puts something else in a place, takes it away, or has it there many times.
fn mutate(config: &mut Value, random: &mut Random) {
    let mut found = Vec::new();
    places(config, "", &mut found);
    let at = found[random.below(found.len())].clone();
    let Some(value) = config.pointer_mut(&at) else { return };
    match (value, random.below(4)) {
        (Value::Array(list), 0) if !list.is_empty() => {
            let one = list[random.below(list.len())].clone();
            list.extend(vec![one; random.below(200)]);
        }
        (Value::Object(map), 0) => drop(map.remove(&map.keys().next().cloned().unwrap_or_default())),
        (Value::Object(map), 1) => {
            let name = ["type", "path", "options", "x", "uidMappings", "net.ipv4.x"][random.below(6)];
            map.insert(name.into(), nasty(random));
        }
        (value, _) => *value = nasty(random),
    }
}

fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What the runtime does with a file that it is given: as a configuration, and as the process of `exec`.
fn take(bundle: &Bundle, bytes: &[u8]) -> bool {
    if let Ok(process) = config::parse::<Process>(bytes) {
        let _ = process
            .check()
            .and_then(|()| become_process::read(&process, &Config::default(), &Host::bare(), &mut Vec::new()).map(|_| ()));
    }
    let asked = Asked {
        waits: true,
        preserve_fds: u32::MAX,
        ..Asked::default()
    };
    match bundle.plan(bytes, asked) {
        Ok((config, plan)) => {
            super::plans::check_inputs(&config, &plan, asked);
            true
        }
        Err(error) => error.to_string().is_empty(),
    }
}

#[test]
fn no_configuration_panics() {
    let bundle = Bundle::new("fuzz");
    let (before, start) = (most_memory(), Instant::now());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut tried, mut planned) = (0, 0);
    while start.elapsed() < LONG {
        let mut config = sample();
        for _ in 0..random.below(4) {
            mutate(&mut config, &mut random);
        }
        if random.below(3) == 0 {
            config = json!(config["process"].as_object().cloned().unwrap_or_else(Map::new));
        }
        let mut bytes = config.to_string().into_bytes();
        match random.below(4) {
            0 => {
                for _ in 0..=random.below(8) {
                    let at = random.below(bytes.len());
                    bytes[at] = random.below(256) as u8;
                }
            }
            1 if random.below(4) == 0 => bytes = (0..random.below(4000)).map(|_| random.below(256) as u8).collect(),
            _ => {}
        }
        planned += usize::from(take(&bundle, &bytes));
        tried += 1;
    }
    assert!(tried > 100 && planned > 10, "{planned} of {tried} were planned");
    assert!(most_memory() - before < MEMORY, "it took {} bytes", most_memory() - before);
}
