//! `top`: the processes of a container, as ps(1) shows them, or in its usual columns where there is none.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

use super::{Container, Engine, cgroups};
use crate::error::{Doing, Error, Result};
use crate::kernel::table;
use crate::store::clock;

/// A table of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processes {
    pub titles: Vec<String>,
    /// As many cells each; the last may have spaces.
    pub rows: Vec<Vec<String>>,
}

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

impl Engine {
    /// The processes of a container, as the host numbers them, as ps(1) with these options shows them.
    pub fn top(&self, container: &Container, options: &[OsString]) -> Result<Processes> {
        if container.state()?.started().is_none() {
            return Err(container.not_running());
        }
        let processes = cgroups::existing(&self.store, container.id())?.processes()?;
        let pids: Vec<i32> = processes.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
        let usual = [OsString::from("-ef")];
        let asked = if options.is_empty() { &usual } else { options };
        match Command::new("ps").args(asked).output() {
            Ok(done) if done.status.success() => select(&String::from_utf8_lossy(&done.stdout), &pids),
            Ok(done) => {
                let wrong = String::from_utf8_lossy(&done.stderr).trim().to_string();
                Err(Error::invalid(wrong.lines().next().unwrap_or("it fails")).doing("run `ps`"))
            }
            Err(error) if error.kind() == ErrorKind::NotFound && asked == usual => Ok(own_table(&pids)),
            Err(error) => Err(error)
                .doing(|| "run `ps`")
                .map_err(|error| error.hint("without options tinydock shows the processes by itself")),
        }
    }
}

/// The lines of these processes in what ps(1) has printed. As many words as there are titles are cells, and the last has the rest.
fn select(text: &str, pids: &[i32]) -> Result<Processes> {
    let mut lines = text.lines();
    let titles: Vec<String> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_string)
        .collect();
    let column = titles.iter().position(|title| title == "PID").ok_or_else(|| {
        Error::invalid("couldn't find PID field in ps output").hint("let it show that column, as in `-o pid,cmd`")
    })?;
    let rows = lines.filter_map(|line| {
        let cells = cells(line, titles.len());
        let pid: i32 = cells.get(column)?.parse().ok()?;
        pids.contains(&pid).then_some(cells)
    });
    Ok(Processes {
        rows: rows.collect(),
        titles,
    })
}

fn cells(line: &str, count: usize) -> Vec<String> {
    let mut cells = Vec::new();
    let mut rest = line.trim();
    while cells.len() + 1 < count && !rest.is_empty() {
        let (cell, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        cells.push(cell.to_string());
        rest = after.trim_start();
    }
    cells.push(rest.to_string());
    cells
}

/// The usual columns, from what the kernel tells.
fn own_table(pids: &[i32]) -> Processes {
    let users = users(&fs::read_to_string("/etc/passwd").unwrap_or_default());
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let uptime: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let row = |pid: &i32| {
        // It may have ended since.
        let stat = table::text(format!("/proc/{pid}/stat"), table::PAGE).ok()?;
        let user = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let user = users.get(&user).cloned().unwrap_or_else(|| user.to_string());
        row(&stat, user, &command, uptime, clock::since_1970())
    };
    Processes {
        titles: TITLES.map(str::to_string).to_vec(),
        rows: pids.iter().filter_map(row).collect(),
    }
}

/// The row of one process (proc_pid_stat(5)). Its name is in parentheses and may have some itself.
fn row(stat: &str, user: String, command: &[u8], uptime: f64, now: Duration) -> Option<Vec<String>> {
    let (before, after) = stat.rsplit_once(')')?;
    let (pid, name) = before.split_once(" (")?;
    let fields: Vec<i64> = after
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let [parent, _, _, terminal, ..] = fields[..] else {
        return None;
    };
    let ticks = clock_ticks_per_second().max(1) as f64;
    let seconds = |ticks_of: i64| ticks_of as f64 / ticks;
    let used = seconds(fields.get(10)? + fields.get(11)?);
    let age = (uptime - seconds(*fields.get(18)?)).max(0.0);
    let share = if age > 0.0 { (used / age * 100.0) as u64 } else { 0 };
    let words = String::from_utf8_lossy(command).replace('\0', " ");
    let command = if words.trim().is_empty() {
        format!("[{name}]")
    } else {
        words.trim_end().into()
    };
    Some(vec![
        user,
        pid.into(),
        parent.to_string(),
        share.min(99).to_string(),
        began(now, age),
        terminal_name(terminal as u64),
        spell_time(used as u64),
        command,
    ])
}

/// When a process began: the time of day, or the day if that was not today, in UTC.
fn began(now: Duration, age: f64) -> String {
    let began = clock::show(now.as_secs().saturating_sub(age as u64));
    let today = clock::show(now.as_secs());
    let (day, time) = began.split_once([' ', 'T']).unwrap_or((&began, ""));
    if today.starts_with(day) {
        time.chars().take(5).collect()
    } else {
        day.into()
    }
}

/// Terminals of containers have the major numbers 136 to 143 (the kernel's `admin-guide/devices.txt`).
fn terminal_name(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    match major {
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => "?".into(),
    }
}

fn spell_time(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The host's names of users.
fn users(passwd: &str) -> BTreeMap<u32, String> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.nth(2)?.parse().ok()?, line.split(':').next()?.to_string()))
    };
    passwd.lines().filter_map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_containers_processes_are_selected() {
        let text = "\
UID          PID    PPID  C STIME TTY          TIME CMD
root           1       0  0 08:00 ?        00:00:09 /sbin/init splash
www           42       1  3 09:00 pts/0    00:00:01 sh -c  a b
";
        let found = select(text, &[42, 7]).unwrap();
        assert_eq!(found.titles, TITLES);
        assert_eq!(
            found.rows,
            [["www", "42", "1", "3", "09:00", "pts/0", "00:00:01", "sh -c  a b"]]
        );
        let error = select("CMD\nx\n", &[42]).unwrap_err().to_string();
        assert!(error.starts_with("couldn't find PID field in ps output"), "{error}");
    }

    #[test]
    fn the_kernel_tells_what_ps_shows() {
        let stat = "42 (a) b) S 1 42 42 34816 42 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1000 1 1 1";
        let now = Duration::from_secs(1_700_000_000);
        let ticks = clock_ticks_per_second().max(1) as f64;
        let row = row(stat, "www".into(), b"sleep\x00100\x00", 1000.0 / ticks + 20.0, now).unwrap();
        assert_eq!(row[..4], ["www", "42", "1", "10"]);
        assert_eq!(
            row[4..],
            [began(now, 20.0), "pts/0".into(), "00:00:02".into(), "sleep 100".into()]
        );
        assert_eq!(began(now, 20.0).len(), 5);
        assert_eq!(began(now, 1e6).len(), 10);
    }
}
