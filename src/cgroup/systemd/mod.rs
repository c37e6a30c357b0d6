//! Cgroups that systemd makes: where it runs, it thinks of the whole tree as its own, and others ask it for a part of it.
//!
//! The part is a *scope*, a unit for processes that systemd has not started. It is in a *slice*, a unit that is only a
//! directory: `a-b.slice` is `a.slice/a-b.slice`. A scope cannot be empty, so that it is made for a process that is there
//! already: init, before its first step. What systemd has no word for is then written to the scope's files as anywhere.

mod bus;
mod properties;
mod wire;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Hierarchies, Resources};
use crate::error::{Doing, Error, Kind, Result};
use bus::{Connection, Target};
use properties::properties;
use wire::Value;

/// A scope of systemd's for one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    slice: String,
    unit: String,
}

const MANAGER: Target = Target {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};
const SIGNALS: &str = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
/// How long a job may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest name of a unit (systemd.unit(5)).
const LONGEST: usize = 255;

impl Scope {
    /// Reads `slice:prefix:name`. Nothing at all is a scope of the container's own in the usual slice.
    pub fn parse(path: &str, id: &str) -> Result<Scope> {
        let usual = format!("system.slice:tinydock:{id}");
        let path = if path.is_empty() { &usual } else { path };
        let wrong = |wrong: String| Error::invalid(wrong).doing("`linux.cgroupsPath`");
        let parts: Vec<&str> = path.split(':').collect();
        let [slice, prefix, name] = parts[..] else {
            return Err(wrong(format!(
                "`{path}` is not `slice:prefix:name`, as systemd's cgroups need it"
            )));
        };
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        if expand(slice).is_none() {
            return Err(wrong(format!("`{slice}` is no name of a slice such as `a-b.slice`")));
        }
        let dash = if prefix.is_empty() { "" } else { "-" };
        let unit = format!("{prefix}{dash}{name}.scope");
        let is_named = |c: char| c.is_ascii_alphanumeric() || "-_.\\@".contains(c);
        if name.is_empty() || name.ends_with(".slice") || unit.len() > LONGEST || !unit.chars().all(is_named) {
            return Err(wrong(format!("`{unit}` is no name of a scope")));
        }
        Ok(Scope {
            slice: slice.into(),
            unit,
        })
    }

    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Where it is below each tree's mount.
    pub fn path(&self) -> PathBuf {
        expand(&self.slice).unwrap_or_default().join(&self.unit)
    }

    /// Makes the scope with a process in it. Returns when the process is there.
    pub fn start(&self, pid: u32, resources: &Resources, hierarchies: &Hierarchies) -> Result<()> {
        let doing = || format!("start `{}`", self.unit);
        let unified = hierarchies.separate.is_empty();
        let mut connection = connect()?;
        let property = |name: &str, value| (name.to_string(), value);
        let accounting = if unified { "IOAccounting" } else { "BlockIOAccounting" };
        let mut all = vec![
            property("Description", Value::text(format!("container {}", self.unit))),
            property("Slice", Value::text(&self.slice)),
            property("PIDs", Value::Array("u".into(), vec![Value::U32(pid)])),
            property("Delegate", Value::Bool(true)),
            property("DefaultDependencies", Value::Bool(false)),
        ];
        for name in ["CPUAccounting", "MemoryAccounting", "TasksAccounting", accounting] {
            all.push(property(name, Value::Bool(true)));
        }
        all.extend(properties(resources, unified));
        let arguments = [
            Value::text(&self.unit),
            Value::text("replace"),
            listed(all),
            Value::Array("(sa(sv))".into(), Vec::new()),
        ];
        let mut answer = connection.call(MANAGER, "StartTransientUnit", &arguments);
        if matches!(&answer, Err(error) if error.kind == Kind::Conflict) {
            // One that failed is kept until somebody has seen it.
            let _ = connection.call(MANAGER, "ResetFailedUnit", &[Value::text(&self.unit)]);
            answer = connection.call(MANAGER, "StartTransientUnit", &arguments);
        }
        let job = answer.doing(doing)?;
        match wait(&mut connection, &job).doing(doing)?.as_str() {
            "done" => Ok(()),
            result => {
                let _ = connection.call(MANAGER, "ResetFailedUnit", &[Value::text(&self.unit)]);
                Err(Error::system(format!("systemd says `{result}`")).doing(doing()))
            }
        }
    }

    /// Gives the scope other limits, until it ends.
    pub fn update(&self, resources: &Resources, hierarchies: &Hierarchies) -> Result<()> {
        let all = properties(resources, hierarchies.separate.is_empty());
        let arguments = [Value::text(&self.unit), Value::Bool(true), listed(all)];
        let answer = connect()?.call(MANAGER, "SetUnitProperties", &arguments);
        answer.map(drop).doing(|| format!("update `{}`", self.unit))
    }

    /// Ends the scope, with what is left in it. One that is gone is no error.
    pub fn stop(&self) -> Result<()> {
        let doing = || format!("stop `{}`", self.unit);
        let mut connection = connect()?;
        let arguments = [Value::text(&self.unit), Value::text("replace")];
        match connection.call(MANAGER, "StopUnit", &arguments) {
            Err(error) if error.kind == Kind::NotFound => return Ok(()),
            job => wait(&mut connection, &job.doing(doing)?).doing(doing)?,
        };
        // It is only there if it failed.
        let _ = connection.call(MANAGER, "ResetFailedUnit", &[Value::text(&self.unit)]);
        Ok(())
    }
}

/// Whether systemd is this host's service manager (sd_booted(3)).
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn connect() -> Result<Connection> {
    if !is_running() {
        return Err(
            Error::invalid("systemd does not run on this host: it has no `/run/systemd/system`")
                .hint("leave `--systemd-cgroup` out to make cgroups without it"),
        );
    }
    let mut connection = Connection::open(SIGNALS)?;
    connection.call(MANAGER, "Subscribe", &[])?;
    Ok(connection)
}

/// Waits until a job has ended. Returns its result.
fn wait(connection: &mut Connection, job: &[Value]) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let Some(job @ Value::Path(_)) = job.first() else {
        return Err(Error::system("systemd answers with no job"));
    };
    while Instant::now() < deadline {
        let signal = connection.signal()?;
        // The body is the job's number, the job, the unit and the result.
        if let ("JobRemoved", [_, ended, _, Value::Text(result)]) = (signal.member.as_str(), &signal.body[..])
            && ended == job
        {
            return Ok(result.clone());
        }
    }
    Err(Error::system("systemd does not finish its job"))
}

fn listed(properties: Vec<(String, Value)>) -> Value {
    let property = |(name, value)| Value::Struct(vec![Value::Text(name), Value::variant(value)]);
    Value::Array("(sv)".into(), properties.into_iter().map(property).collect())
}

/// The directory of a slice (systemd.slice(5)). `-.slice` is the root.
fn expand(slice: &str) -> Option<PathBuf> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(PathBuf::new());
    }
    let is_named = |c: char| c.is_ascii_alphanumeric() || "_.\\@:".contains(c);
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in name.split('-') {
        if part.is_empty() || !part.chars().all(is_named) {
            return None;
        }
        path.push(format!("{prefix}{part}.slice"));
        prefix = format!("{prefix}{part}-");
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_a_place() {
        for (path, place) in [
            ("", "system.slice/tinydock-0123.scope"),
            ("system.slice:docker:1234", "system.slice/docker-1234.scope"),
            ("a-b-c.slice:cri:x", "a.slice/a-b.slice/a-b-c.slice/cri-x.scope"),
            (":crio:x", "system.slice/crio-x.scope"),
            ("-.slice::x", "x.scope"),
        ] {
            assert_eq!(Scope::parse(path, "0123").unwrap().path(), Path::new(place), "{path}");
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "/kubepods/pod1",
            "a:b",
            "a:b:c",
            "a--b.slice:c:d",
            "../a.slice:b:c",
            "system.slice:a:b/c",
            "system.slice:a:",
            "system.slice:a:b:c",
        ] {
            let error = Scope::parse(path, "0123").unwrap_err().to_string();
            assert!(error.starts_with("`linux.cgroupsPath`: "), "{path}: {error}");
        }
    }
}
