//! The plan of a container: the program of its init. Nothing is done here but to look at the root and at what is to be mounted.
//!
//! ```text
//! host's namespaces     cgroups, namespaces to join, clones of what the container is shown
//!   (fork)              only where it needs one: see `birth`
//! container's           mounts, devices, terminal, network
//!   ⇄ create            hooks; then the root is exchanged, and the process becomes the user
//!   ⇄ start             the filter; the command
//! ```

use std::path::{Path, PathBuf};

use super::become_process::Becoming;
use super::birth;
use super::config::{Config, wrong};
use super::cover::Covers;
use super::mount_options::propagation_of;
use super::mounts::{self, Surroundings};
use super::namespaces::Namespaces;
use super::settings;
use super::sources::{Planned, Sources, read_mounts};
use super::tree::Tree;
use super::{become_process, devices};
use crate::cgroup::{self, Hierarchies};
use crate::error::Result;
use crate::isolation::{self, Exchange, Host, LabelFiles};
use crate::layer::MountPoint;
use crate::network;
use crate::program::flags::{clone, propagation};
use crate::program::{Concept, Fd, Input, MountChange, Program, Register};

/// What the plan depends on beside the configuration.
pub struct Facts {
    pub host: Host,
    pub hierarchies: Hierarchies,
    pub bundle: PathBuf,
    pub cgroup: String,
    pub id: String,
    /// Whether systemd makes the cgroups, for a process that is there.
    pub systemd: bool,
    /// Whether mounts and namespaces can be made with the power of the host's root.
    pub privileged: bool,
}

/// What the caller of `create` or `run` asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// How many descriptors after the standard streams the command inherits.
    pub preserve_fds: u32,
    /// Whether the command waits for `start`.
    pub waits: bool,
}

#[derive(Clone)]
pub struct Plan {
    pub program: Program,
    pub cgroup: cgroup::Plan,
    pub namespaces: Namespaces,
    /// Whether the network namespace is given to init.
    pub network_ahead: bool,
    pub mounts: Vec<Planned>,
    pub warnings: Vec<String>,
}

struct Planner<'a> {
    config: &'a Config,
    facts: &'a Facts,
    asked: Asked,
    namespaces: Namespaces,
    program: Program,
    warnings: Vec<String>,
}

/// Plans a container.
pub fn plan(config: &Config, facts: &Facts, asked: Asked) -> Result<Plan> {
    let namespaces = Namespaces::of(&config.linux);
    let cgroup = cgroup::Plan::new(&facts.hierarchies, Path::new(&facts.cgroup), &config.resources())?;
    let mut planner = Planner {
        config,
        facts,
        asked,
        namespaces: namespaces.clone(),
        program: Program::default(),
        warnings: cgroup.warnings.clone(),
    };
    let mounts = planner.write(&cgroup)?;
    Ok(Plan {
        program: planner.program,
        cgroup,
        network_ahead: namespaces.network_is_made_ahead(facts.privileged),
        namespaces,
        mounts,
        warnings: planner.warnings,
    })
}

impl Plan {
    /// What init is born in, as `CLONE_NEW…` flags.
    pub fn born(&self, config: &Config) -> u64 {
        let ahead = if self.network_ahead { clone::NEWNET } else { 0 };
        match self.namespaces.forks() {
            true => 0,
            false => self.namespaces.born(config) & !ahead,
        }
    }
}

impl<'a> Planner<'a> {
    fn write(&mut self, cgroup: &cgroup::Plan) -> Result<Vec<Planned>> {
        let root_path = self.config.root(&self.facts.bundle);
        let mut tree = Tree::new(&root_path).map_err(|error| wrong("root.path", error))?;
        let mut mounts = read_mounts(self.config, &self.facts.bundle, &mut tree)?;
        settings::number_mounts(&mut mounts, self.config)?;
        let covers = Covers::find(&tree, &self.config.linux)?;
        let devices = devices::Devices::of(self.config, &self.namespaces, &mounts);

        let becoming = self.read_process(&tree)?;

        self.begin(cgroup, &becoming);
        let early = self.open_early();
        let mut sources = Sources::open(&mut self.program, &root_path, &mounts, self.namespaces.forks());
        devices.open(&mut self.program, &mut sources)?;
        covers.open(&mut self.program, &mut sources)?;
        self.be_born(&early);
        let labels = becoming.process.labels.open(&mut self.program);
        self.isolate();
        let root = self.attach_root(&sources, &root_path);
        let around = self.surroundings();
        for mount in &mounts {
            mounts::mount(&mut self.program, &sources, &around, mount);
        }
        devices.make(&mut self.program, &tree, &mut sources)?;
        let terminal = devices.open_terminal(&mut self.program, &tree, root)?;
        if self.namespaces.makes(clone::NEWNET) && !self.network_is_made_ahead() {
            network::loopback(&mut self.program);
        }
        let directory = self.open_directory(&tree, root)?;
        self.meet_create();
        if let Some(settings) = early.settings {
            settings::set(&mut self.program, settings, self.config)?;
        }
        mounts::protect(&mut self.program, root, &mounts);
        covers.apply(&mut self.program, &mut sources, root)?;
        self.enter_root(root);
        self.become_command(&becoming, labels, directory, terminal);
        Ok(mounts)
    }

    fn begin(&mut self, cgroup: &cgroup::Plan, becoming: &Becoming) {
        self.program.concept(Concept::ProcessIsolation);
        self.program
            .unblock_signals("the command starts with no signal blocked, whatever we were started with");
        self.program.umask(0, "modes are what they are said to be");
        if let Some(adjustment) = becoming.oom_score {
            isolation::prefer_to_kill(&mut self.program, adjustment);
        }
        if self.facts.systemd {
            self.program.wait(Input::Release, "systemd has made the cgroups around it");
        }
        cgroup::enter(&mut self.program, cgroup);
    }

    fn network_is_made_ahead(&self) -> bool {
        self.namespaces.network_is_made_ahead(self.facts.privileged)
    }

    /// What is opened while the host's `/proc` is there and no other.
    fn open_early(&mut self) -> Early {
        let settings = (!self.config.linux.sysctl.is_empty()).then(|| settings::open(&mut self.program));
        let clocks = birth::open_clocks(&mut self.program, self.config);
        if self.namespaces.forks() && self.facts.privileged {
            birth::prepare(&mut self.program, &self.namespaces);
        }
        if !self.facts.privileged && self.namespaces.has(clone::NEWUSER) {
            isolation::become_root(&mut self.program, self.facts.privileged);
            birth::prepare(&mut self.program, &self.namespaces);
        }
        if !self.namespaces.forks() {
            self.set_propagation();
        }
        Early { settings, clocks }
    }

    fn be_born(&mut self, early: &Early) {
        birth::join(&mut self.program, &self.namespaces);
        if self.network_is_made_ahead() {
            isolation::join_network(&mut self.program);
        }
        if self.facts.privileged && self.namespaces.has(clone::NEWUSER) {
            isolation::become_root(&mut self.program, self.facts.privileged);
        }
        birth::set_clocks(&mut self.program, self.config, &self.namespaces, early.clocks);
        if self.namespaces.forks() {
            birth::fork(&mut self.program, self.config, &self.namespaces);
            self.set_propagation();
        }
    }

    /// Mounts reach the container from the host, and never the other way, unless the root is to be shared.
    fn set_propagation(&mut self) {
        self.program.concept(Concept::ProcessIsolation);
        if !self.namespaces.makes(clone::NEWNS) {
            return;
        }
        if !self.config.linux.rootfs_propagation.ends_with("shared") {
            self.program
                .propagate(propagation::SLAVE, "nothing mounted here shows on the host");
        } else {
            let parent = settings::mount_point(&self.config.root(&self.facts.bundle));
            let change = MountChange {
                propagation: propagation::PRIVATE,
                ..MountChange::default()
            };
            self.program.change_mount_at(
                parent.as_os_str().as_encoded_bytes(),
                change,
                "the root itself does not show on the host",
            );
        }
    }

    fn isolate(&mut self) {
        let program = &mut self.program;
        program.concept(Concept::ProcessIsolation);
        if self.namespaces.makes(clone::NEWCGROUP) {
            isolation::hide_cgroup_parents(program);
        }
        if !self.config.hostname.is_empty() {
            program.sethostname(&self.config.hostname, "the UTS namespace's own host name");
        }
        if !self.config.domainname.is_empty() {
            program.setdomainname(&self.config.domainname, "and its NIS domain name");
        }
    }

    /// Attaches the root somewhere, from where it becomes the root. Users of the container's own may not be able to reach where it
    /// is on the host, but `/proc` is always in reach.
    fn attach_root(&mut self, sources: &Sources, path: &Path) -> Register {
        self.program.concept(Concept::FileSystemLayering);
        let at: &[u8] = match () {
            () if self.asked.no_pivot && self.namespaces.has(clone::NEWNS) => b"/",
            () if self.namespaces.has(clone::NEWUSER) => b"/proc",
            () => path.as_os_str().as_encoded_bytes(),
        };
        if !self.namespaces.has(clone::NEWNS) {
            let change = MountChange {
                propagation: propagation::PRIVATE,
                recursive: true,
                ..MountChange::default()
            };
            self.program
                .change_mount(Fd::Kept(sources.root()), change, "what is mounted in it shows nowhere else");
        }
        self.program
            .move_mount(sources.root(), Fd::Cwd, at, "attached in this mount namespace only");
        sources.root()
    }

    fn surroundings(&self) -> Surroundings<'a> {
        Surroundings {
            label: if isolation::has_selinux() {
                &self.config.linux.mount_label
            } else {
                ""
            },
            hierarchies: &self.facts.hierarchies,
            shown: (!self.namespaces.has(clone::NEWCGROUP)).then_some(self.facts.cgroup.as_str()),
        }
    }

    /// The working directory is opened before it is entered, since a path could lead to a descriptor of ours instead
    /// (CVE-2024-21626).
    fn open_directory(&mut self, tree: &Tree, root: Register) -> Result<Register> {
        self.program.concept(Concept::ProcessIsolation);
        let process = self.config.process()?;
        let at: MountPoint = tree
            .place(process.cwd.as_bytes(), true)
            .map_err(|error| wrong("process.cwd", error))?;
        Ok(at.open(&mut self.program, root, "the working directory"))
    }

    /// Hooks see the container when everything is made, and before its root is exchanged.
    fn meet_create(&mut self) {
        self.program.concept(Concept::ProcessIsolation);
        if self.config.hooks.run_at_creation() {
            self.program.tell("everything is made: now is the time for hooks");
        }
        self.program.wait(
            Input::Release,
            "whoever creates the container knows it, and has not just ended",
        );
    }

    fn enter_root(&mut self, root: Register) {
        let program = &mut self.program;
        program.concept(Concept::ProcessIsolation);
        if self.config.root.as_ref().is_some_and(|root| root.readonly) {
            program.change_mount(Fd::Kept(root), mounts::read_only(), "nothing in the root can be changed");
        }
        if self.asked.no_pivot || !self.namespaces.has(clone::NEWNS) {
            program.fchdir(root, "the container's root, which is mounted on the host's");
            program.chroot(".", "becomes the root");
        } else {
            isolation::enter_root(program, root, Exchange::Pivot);
        }
        if let Some(change) = propagation_of(&self.config.linux.rootfs_propagation) {
            program.change_mount_at(b"/", change, "how mounts of the root propagate");
        }
    }

    /// What the command is to be. It must be there.
    fn read_process(&mut self, tree: &Tree) -> Result<Becoming> {
        let process = self.config.process()?;
        let mut becoming = become_process::read(process, self.config, &self.facts.host, &mut self.warnings)?;
        if self.asked.waits {
            isolation::check_waiting(&becoming.process).map_err(|error| wrong("linux.seccomp", error))?;
        }
        become_process::check_command(&becoming.command, tree, &process.cwd)?;
        become_process::add_home(&mut becoming.command, tree.root(), process.user.uid)?;
        Ok(becoming)
    }

    fn become_command(&mut self, becoming: &Becoming, labels: LabelFiles, directory: Register, terminal: Option<Register>) {
        let program = &mut self.program;
        isolation::begin_session(program, terminal);
        isolation::open_streams(program, terminal, directory);
        if !self.asked.no_new_keyring {
            program.join_keyring(
                &format!("_ses.{}", self.facts.id),
                "keys of its own: those of whoever started it are not for it",
            );
        }
        isolation::schedule(program, &becoming.scheduling);
        isolation::become_user(program, &self.facts.host, &becoming.process, labels);
        isolation::leave_nothing(program, false, self.asked.preserve_fds.saturating_add(3));
        // Whoever answers for calls must have the descriptor before the container is created; any other filter can come last.
        let asks = becoming.process.filter.as_ref().is_some_and(|filter| filter.notifies);
        if asks {
            isolation::restrict(program, &self.facts.host, &becoming.process);
        }
        if self.asked.waits {
            program.tell("the container is created");
            program.wait_for_start("the command is executed when it is started");
        }
        if !asks {
            isolation::restrict(program, &self.facts.host, &becoming.process);
        }
        isolation::execute(program, &becoming.command);
    }
}

/// Descriptors of the host's `/proc`.
struct Early {
    settings: Option<Register>,
    clocks: Option<Register>,
}
