//! criu(8) itself: where it is, what it is told, and what it says when it fails.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cgroup::Group;
use crate::error::{Doing, Error, Result};
use crate::isolation;
use crate::kernel::process::Ending;
use crate::program::{Concept, Fd, Input, Program, Wires};

/// criu, and how it is to do what it does.
#[derive(Clone, Debug, Default)]
pub struct Criu {
    pub program: PathBuf,
    /// Where the images are.
    pub images: PathBuf,
    /// Where its logs go, if not to the images.
    pub work: Option<PathBuf>,
    /// Images of an earlier `--pre-dump`, seen from the new ones.
    pub parent: Option<PathBuf>,
    pub leave_running: bool,
    pub pre_dump: bool,
    pub empty_network: bool,
    /// Its word for how it treats cgroups.
    pub cgroups: String,
    /// Switches that mean the same to it, such as `tcp-established`.
    pub switches: Vec<&'static str>,
}

/// Something of the host's that a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its absolute path in the container.
    pub place: String,
    pub source: String,
}

/// A descriptor in the place of something that was dumped.
#[derive(Debug)]
pub struct Given {
    pub key: String,
    pub fd: OwnedFd,
}

/// Where what is restored is born, and what it inherits there.
pub struct Place<'a> {
    pub group: &'a Group,
    /// Whether nothing above the cgroups is seen.
    pub hidden: bool,
    /// The name of the session's keyring. criu knows nothing of keys: without one of its own, whoever starts it would share them.
    pub keys: String,
}

/// A version of criu's. One that it does not tell is older than all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    fn read(text: &str) -> Version {
        let version = text.lines().find_map(|line| line.strip_prefix("Version:"));
        Version(version.unwrap_or_default().trim().into())
    }

    /// Whether it restores that files give no privileges. If it does not, they could again.
    pub fn keeps_no_new_privileges(&self) -> bool {
        let mut parts = self.0.split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (3, 19)
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name under which a namespace of others is dumped and given.
pub fn namespace_key(kind: &str) -> String {
    format!("outer-{kind}")
}

impl Criu {
    /// Whether it writes images after which the container is gone.
    pub fn ends_it(&self) -> bool {
        !self.leave_running && !self.pre_dump
    }

    /// Makes sure that there is one, before anything is done for it. Returns its version.
    pub fn check(&self) -> Result<Version> {
        let mut run = Command::new(&self.program);
        let run = run.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
        let said = run.map_err(|error| self.unusable(error))?.stdout;
        Ok(Version::read(&String::from_utf8_lossy(&said)))
    }

    fn unusable(&self, error: std::io::Error) -> Error {
        let name = self.program.display();
        if error.kind() == ErrorKind::NotFound {
            let hint = "install criu(8), or say where it is: `--criu PATH`, before the command";
            return Error::not_found(format!("criu is not installed: there is no `{name}`")).hint(hint);
        }
        Error::from(error).doing(format!("run `{name}`"))
    }

    pub fn make_directories(&self) -> Result<()> {
        let all = [Some(&self.images), self.work.as_ref()];
        all.into_iter()
            .flatten()
            .try_for_each(|path| fs::create_dir_all(path).doing(|| format!("make `{}`", path.display())))
    }

    /// The arguments that write a container's processes to images.
    pub fn dump(&self, pid: i32, root: &Path, shown: &[Shown], namespaces: &[String], streams: &[String]) -> Vec<OsString> {
        let mut arguments = self.begin(if self.pre_dump { "pre-dump" } else { "dump" }, "dump.log", root);
        add(&mut arguments, "--tree", pid.to_string());
        if let Some(parent) = &self.parent {
            add(&mut arguments, "--prev-images-dir", parent);
        }
        if self.parent.is_some() || self.pre_dump {
            arguments.push("--track-mem".into());
        }
        if self.leave_running && !self.pre_dump {
            arguments.push("--leave-running".into());
        }
        for Shown { place, .. } in shown {
            add(&mut arguments, "--external", format!("mnt[{place}]:{place}"));
        }
        // Pipes whose other end is elsewhere are dumped as they are.
        for external in namespaces.iter().chain(streams.iter().filter(|key| key.starts_with("file["))) {
            add(&mut arguments, "--external", external);
        }
        arguments
    }

    /// The arguments that make the processes again, as our children.
    pub fn restore(&self, root: &Path, pid_file: &Path, shown: &[Shown], given: &[Given]) -> Vec<OsString> {
        let mut arguments = self.begin("restore", "restore.log", root);
        arguments.extend(["--restore-detached".into(), "--restore-sibling".into()]);
        add(&mut arguments, "--pidfile", pid_file);
        for Shown { place, source } in shown {
            add(&mut arguments, "--external", format!("mnt[{place}]:{source}"));
        }
        for Given { key, fd } in given {
            add(&mut arguments, "--inherit-fd", format!("fd[{}]:{key}", fd.as_raw_fd()));
        }
        arguments
    }

    /// What is said whatever is to be done.
    fn begin(&self, word: &str, log: &str, root: &Path) -> Vec<OsString> {
        let mut arguments = vec![word.into()];
        add(&mut arguments, "--images-dir", &self.images);
        add(&mut arguments, "--work-dir", self.logs());
        add(&mut arguments, "--log-file", log);
        arguments.push("-v4".into());
        add(&mut arguments, "--root", root);
        arguments.push(format!("--manage-cgroups={}", self.cgroups).into());
        if self.empty_network {
            add(&mut arguments, "--empty-ns", "net");
        }
        arguments.extend(self.switches.iter().map(|name| format!("--{name}").into()));
        arguments
    }

    fn logs(&self) -> &Path {
        self.work.as_deref().unwrap_or(&self.images)
    }

    /// Runs it to its end. An error is what its log says last.
    pub fn run(&self, arguments: Vec<OsString>, log: &str) -> Result<()> {
        let word = arguments.first().map(|word| word.display().to_string()).unwrap_or_default();
        let run = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        let status = run.map_err(|error| self.unusable(error))?;
        self.judge(&word, status.success(), &status.to_string(), log)
    }

    /// Runs it at a place, where what it makes again is born.
    pub fn run_at(&self, place: &Place, arguments: Vec<OsString>, log: &str) -> Result<()> {
        let word = arguments.first().map(|word| word.display().to_string()).unwrap_or_default();
        let program = self.program_at(place, arguments);
        let mut wires = Wires::new()?;
        let null = || {
            File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .doing(|| "open `/dev/null`")
        };
        for input in [Input::Stdin, Input::Stdout] {
            wires.give(input, null()?.into())?;
        }
        let cgroup = place.group.open_unified()?;
        let criu = wires.start(&program, 0, cgroup.as_ref().map(AsFd::as_fd))?;
        let begun = wires.read_report(&program);
        let ended = criu.wait().doing(|| "wait for criu")?;
        begun?;
        let why = format!("exited with status {}", ended.code());
        self.judge(&word, ended == Ending::Exited(0), &why, log)
    }

    fn program_at(&self, place: &Place, arguments: Vec<OsString>) -> Program {
        let mut program = Program::default();
        program.concept(Concept::ProcessIsolation);
        program.unblock_signals("criu starts with no signal blocked");
        place.group.enter(&mut program);
        if place.hidden {
            isolation::hide_cgroup_parents(&mut program);
        }
        program.join_keyring(&place.keys, "keys of the container's own, which it inherits from criu");
        for (number, input) in [(0, Input::Stdin), (1, Input::Stdout)] {
            program.dup3(Fd::Given(input), number, "criu has nothing to read or say");
        }
        let line = |(name, value): (OsString, OsString)| [name.as_bytes(), b"=", value.as_bytes()].concat();
        let own = self.program.as_os_str().as_bytes().to_vec();
        let command = isolation::Command {
            arguments: std::iter::once(own)
                .chain(arguments.into_iter().map(OsString::into_vec))
                .collect(),
            environment: std::env::vars_os().map(line).collect(),
        };
        isolation::execute(&mut program, &command);
        program
    }

    fn judge(&self, word: &str, is_done: bool, status: &str, log: &str) -> Result<()> {
        if is_done {
            return Ok(());
        }
        let log = self.logs().join(log);
        let text = fs::read(&log).unwrap_or_default();
        let why = last_errors(&String::from_utf8_lossy(&text)).unwrap_or_else(|| status.to_string());
        let hint = format!("all that it did is in `{}`", log.display());
        Err(Error::system(why).doing(format!("criu {word}")).hint(hint))
    }
}

fn add(arguments: &mut Vec<OsString>, flag: &str, value: impl Into<OsString>) {
    arguments.extend([flag.into(), value.into()]);
}

/// The last two errors in a log of criu's that say why, what happened and what came of it. Others only say that it failed, or that a
/// program did that it has looked for.
fn last_errors(log: &str) -> Option<String> {
    let all = log
        .lines()
        .filter_map(|line| line.split_once("Error (").map(|(_, error)| error.trim_end()));
    let says_nothing = |error: &str| error.contains("FAILED") || error.contains("failed.") || error.starts_with("criu/util.c");
    let why: Vec<&str> = all.clone().filter(|error| !says_nothing(error)).collect();
    let why = if why.is_empty() { all.collect() } else { why };
    let last = why[why.len().saturating_sub(2)..].iter().map(|error| format!("({error}"));
    (!why.is_empty()).then(|| last.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Vec<Shown> {
        let shown = |place: &str, source: &str| Shown {
            place: place.into(),
            source: source.into(),
        };
        vec![shown("/data", "/srv/data"), shown("/proc/kcore", "/dev/null")]
    }

    fn criu() -> Criu {
        Criu {
            program: "criu".into(),
            images: "images".into(),
            cgroups: "ignore".into(),
            switches: vec!["tcp-established", "shell-job"],
            ..Criu::default()
        }
    }

    fn line(arguments: Vec<OsString>) -> String {
        arguments.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn a_dump_names_what_is_the_hosts() {
        let streams = ["".into(), "pipe:[7]".into(), "file[1f:2a]".into()];
        assert_eq!(
            line(criu().dump(42, Path::new("/b/rootfs"), &shown(), &["net[99]:outer-net".into()], &streams)),
            "dump --images-dir images --work-dir images --log-file dump.log -v4 --root /b/rootfs --manage-cgroups=ignore \
             --tcp-established --shell-job --tree 42 --external mnt[/data]:/data --external mnt[/proc/kcore]:/proc/kcore \
             --external net[99]:outer-net --external file[1f:2a]"
        );
    }

    #[test]
    fn a_dump_builds_on_an_earlier_one() {
        let first = Criu {
            pre_dump: true,
            leave_running: true,
            ..criu()
        };
        let first = line(first.dump(42, Path::new("/r"), &[], &[], &[]));
        assert!(
            first.starts_with("pre-dump ") && first.ends_with("--tree 42 --track-mem"),
            "{first}"
        );
        let second = Criu {
            parent: Some("../first".into()),
            leave_running: true,
            work: Some("work".into()),
            empty_network: true,
            ..criu()
        };
        assert_eq!(
            line(second.dump(42, Path::new("/r"), &[], &[], &[])),
            "dump --images-dir images --work-dir work --log-file dump.log -v4 --root /r --manage-cgroups=ignore --empty-ns net \
             --tcp-established --shell-job --tree 42 --prev-images-dir ../first --track-mem --leave-running"
        );
    }

    #[test]
    fn a_restore_is_given_what_is_the_hosts() {
        let fd: OwnedFd = fs::File::open("/dev/null").unwrap().into();
        let number = fd.as_raw_fd();
        let key = "pipe:[7]".to_string();
        assert_eq!(
            line(criu().restore(
                Path::new("/run/c/root"),
                Path::new("/run/c/restored"),
                &shown(),
                &[Given { key, fd }]
            )),
            format!(
                "restore --images-dir images --work-dir images --log-file restore.log -v4 --root /run/c/root \
                 --manage-cgroups=ignore --tcp-established --shell-job --restore-detached --restore-sibling --pidfile \
                 /run/c/restored --external mnt[/data]:/srv/data --external mnt[/proc/kcore]:/dev/null --inherit-fd \
                 fd[{number}]:pipe:[7]"
            )
        );
    }

    #[test]
    fn old_versions_are_known() {
        for (said, keeps) in [
            ("Version: 3.17.1\n", false),
            ("Version: 3.19\nGitID: v3.19\n", true),
            ("Version: 4.0\n", true),
            ("", false),
        ] {
            assert_eq!(Version::read(said).keeps_no_new_privileges(), keeps, "{said}");
        }
    }

    #[test]
    fn the_error_is_the_one_that_says_why() {
        for (log, expected) in [
            ("(00.1) Running\n", None),
            (
                "(00.1) Running\n(00.2) Error (criu/files.c:9): Can't lookup mount=5\n(00.3) Error (criu/cr-dump.c:1): Dumping FAILED.\n",
                Some("(criu/files.c:9): Can't lookup mount=5"),
            ),
            (
                "Error (criu/util.c:6): execvp(\"tar\", ...) failed: No such file\n(0.1) Error (criu/filesystems.c:4): Can't dump tmpfs content\n",
                Some("(criu/filesystems.c:4): Can't dump tmpfs content"),
            ),
            (
                "(0.1) Error (criu/tun.c:8): tun: none\n(0.2) Error (criu/files-reg.c:2): bad size\n(0.3) Error (criu/files.c:1): Unable to open\n",
                Some("(criu/files-reg.c:2): bad size; (criu/files.c:1): Unable to open"),
            ),
            (
                "Error (criu/util.c:6): exited, status=1\n",
                Some("(criu/util.c:6): exited, status=1"),
            ),
        ] {
            assert_eq!(last_errors(log).as_deref(), expected, "{log}");
        }
    }
}
