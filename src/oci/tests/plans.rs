//! Valid configurations of all kinds: the programs that they are planned into keep their promises in whatever order their parts are.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::super::container::{Container, Origin, Root};
use super::super::{become_process, create, exec, namespaces::Namespaces, settings};
use super::*;
use crate::cgroup::Group;
use crate::isolation::{self, Filter};
use crate::program::{Argument, Descriptors, Fd, Input, Program, Step};

const KINDS: [&str; 7] = ["pid", "network", "mount", "ipc", "uts", "cgroup", "time"];
const CALLS: [&str; 12] = [
    "mount",
    "write",
    "read",
    "capset",
    "execve",
    "setsid",
    "exit_group",
    "clone",
    "ioctl",
    "openat",
    "chmod",
    "getpid",
];

fn mounts() -> Vec<Value> {
    vec![
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] }),
        json!({ "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue" }),
        json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] }),
        json!({ "destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "ro"] }),
        json!({ "destination": "/data", "type": "bind", "source": "src", "options": ["rbind", "rro", "rslave"] }),
        json!({ "destination": "/data/inner/file", "type": "bind", "source": "src/file", "options": ["bind", "noexec"] }),
        json!({ "destination": "/lib/mapped", "type": "bind", "source": "src", "options": ["bind"],
                "uidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }],
                "gidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }] }),
    ]
}

fn seccomp() -> impl Strategy<Value = Option<Value>> {
    let action = select(vec![
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_NOTIFY",
        "SCMP_ACT_LOG",
    ]);
    let rule = (subsequence(CALLS.to_vec(), 1..12), action).prop_map(|(names, action)| json!({ "names": names, "action": action }));
    let default = select(vec!["SCMP_ACT_ALLOW", "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"]);
    let profile = (default, prop::collection::vec(rule, 0..3)).prop_map(|(default, rules)| {
        let notifies = rules.iter().any(|rule| rule["action"] == "SCMP_ACT_NOTIFY");
        let path = if notifies { "/run/listener" } else { "" };
        json!({ "defaultAction": default, "syscalls": rules, "listenerPath": path })
    });
    prop::option::weighted(0.7, profile)
}

prop_compose! {
    fn namespaces()(kinds in subsequence(KINDS.to_vec(), 0..=7), joined in subsequence(KINDS.to_vec(), 0..3), user in any::<bool>())
        -> Vec<Value> {
        let one = |kind: &&str| match joined.contains(kind) && *kind != "mount" {
            true => json!({ "type": kind, "path": format!("/proc/self/ns/{}", if *kind == "network" { "net" } else { kind }) }),
            false => json!({ "type": kind }),
        };
        let user = user && kinds.contains(&"mount");
        kinds.iter().map(one).chain(user.then(|| json!({ "type": "user" }))).collect()
    }
}

prop_compose! {
    fn process()(terminal in any::<bool>(), uid in select(vec![0, 1, 1000]), groups in prop::collection::vec(0u32..9, 0..4),
        kept in subsequence(vec!["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_KILL"], 0..=3), new in any::<bool>(), cwd in select(vec!["/", "/etc", "/new/deep"]),
        limits in subsequence(vec!["RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_CPU"], 0..=3)) -> Value {
        let limits: Vec<Value> = limits.iter().map(|kind| json!({ "type": kind, "soft": 10, "hard": 10 })).collect();
        json!({
            "terminal": terminal, "user": { "uid": uid, "gid": uid, "additionalGids": groups }, "args": ["true"], "env": ["PATH=/bin:/sbin"],
            "cwd": cwd, "noNewPrivileges": new, "rlimits": limits,
            "capabilities": { "bounding": kept, "effective": kept, "permitted": kept },
        })
    }
}

prop_compose! {
    fn configuration()(namespaces in namespaces(), process in process(), seccomp in seccomp(), readonly in any::<bool>(),
        chosen in subsequence(mounts(), 0..=9), hooks in any::<bool>(),
        masked in subsequence(vec!["/proc/kcore", "/proc/acpi", "/etc/passwd", "/data/file", "/data/inner", "/none", "/lib"], 0..=7)) -> Value {
        let has = |kind: &str| namespaces.iter().any(|namespace| namespace["type"] == kind);
        let proc = json!({ "destination": "/proc", "type": "proc", "source": "proc" });
        let mut config = json!({
            "ociVersion": "1.2.0", "root": { "path": "rootfs", "readonly": readonly }, "process": process,
            "mounts": std::iter::once(proc).chain(chosen).collect::<Vec<_>>(),
            "linux": { "namespaces": namespaces, "maskedPaths": masked, "readonlyPaths": ["/proc/sys", "/data"] },
        });
        if let Some(profile) = seccomp {
            config["linux"]["seccomp"] = profile;
        }
        if has("uts") {
            config["hostname"] = json!("host");
        }
        if has("network") {
            config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
        }
        if has("time") {
            config["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1 } });
        }
        if has("user") {
            for field in ["uidMappings", "gidMappings"] {
                config["linux"][field] = json!([{ "containerID": 0, "hostID": 100000, "size": 65536 }]);
            }
        }
        if hooks {
            config["hooks"] = json!({ "createContainer": [{ "path": "/bin/true" }], "startContainer": [{ "path": "/bin/true" }] });
        }
        config
    }
}

fn names(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| step.call.name).collect()
}

fn first(steps: &[Step], name: &str) -> Option<usize> {
    steps.iter().position(|step| step.call.name == name)
}

fn last(steps: &[Step], is_so: impl Fn(&Step) -> bool) -> Option<usize> {
    steps.iter().rposition(is_so)
}

fn closes_on_exec(step: &Step) -> bool {
    let flagged = |argument: &Argument| matches!(argument, Argument::Flags(bits, _) if bits & libc::O_CLOEXEC as u64 != 0);
    step.arguments.iter().any(flagged)
}

/// What holds for every program that ends with a command: `create`'s and `exec`'s.
fn check_ending(program: &Program, filter: Option<&Filter>, user: u32) {
    let steps = program.steps();
    let execve = first(steps, "execve").expect("a command");
    assert!(
        steps[execve..].iter().all(|step| step.call.name == "execve"),
        "{:?}",
        names(steps)
    );
    let restricted = first(steps, "seccomp");
    assert_eq!(restricted.is_some(), filter.is_some());
    if let (Some(at), Some(filter)) = (restricted, filter) {
        for step in &steps[at + 1..] {
            let number = u32::from(step.call.number);
            let first = match step.call.name {
                "clone" => Some(libc::CLONE_PARENT as u32),
                _ => None,
            };
            let asks = filter.notifies && ["capset", "execve"].contains(&step.call.name);
            let permitted = filter.permits_with(number, first) || asks && filter.permits_or_asks(number);
            assert!(permitted, "`{}` follows a filter that refuses it", step.call.name);
        }
    }
    // No descriptor of ours is the command's, but those that it is given.
    let close = first(steps, "close_range").expect("a call that closes");
    let opens = [
        "openat",
        "openat2",
        "open_tree",
        "fsopen",
        "fsmount",
        "accept4",
        "dup3",
        "socket",
        "pidfd_open",
    ];
    let terminals = |step: &Step| step.call.name == "ioctl" && step.keeps.is_some();
    for step in steps[close..]
        .iter()
        .filter(|step| opens.contains(&step.call.name) || terminals(step))
    {
        assert!(
            ["accept4", "dup3"].contains(&step.call.name) && closes_on_exec(step),
            "{} is open",
            step.show(program)
        );
    }
    let identity = last(steps, |step| step.call.name == "setresuid").expect("a user");
    assert_eq!(steps[identity].arguments[0], Argument::Int(user.into()));
    let directory = last(steps, |step| step.call.name == "fchdir").expect("a working directory");
    assert!(identity < execve && close < execve && directory < execve);
}

fn opened_at(step: &Step, program: &Program) -> usize {
    let shown = step.arguments[0].show(program);
    let (_, number) = shown.rsplit_once(':').expect("a descriptor that a step has opened");
    number.parse::<usize>().expect("a number") - 1
}

/// What holds for the program of a container.
fn check_plan(config: &Config, plan: &Plan, asked: Asked) {
    let (program, steps) = (&plan.program, plan.program.steps());
    let process = config.process().unwrap();
    let filter = config
        .linux
        .seccomp
        .as_ref()
        .map(|profile| isolation::compile_profile(profile).unwrap());
    check_ending(program, filter.as_ref(), process.user.uid);
    let pivots = plan.namespaces.has(crate::program::flags::clone::NEWNS) && !asked.no_pivot;
    let pivot = first(steps, if pivots { "pivot_root" } else { "chroot" }).expect("another root");
    for name in [
        "move_mount",
        "open_tree",
        "fsopen",
        "fsmount",
        "mknodat",
        "mkdirat",
        "symlinkat",
        "openat2",
        "openat",
    ] {
        assert!(
            last(steps, |step| step.call.name == name).is_none_or(|at| at < pivot),
            "{name} after the root"
        );
    }
    let directory = last(steps, |step| step.call.name == "fchdir").unwrap();
    assert!(directory > pivot && opened_at(&steps[directory], program) < pivot);
    // What hides is mounted when everything else is.
    let hides = steps.iter().position(|step| step.why.ends_with("is not for the container"));
    let mounted = last(steps, |step| {
        step.why == "and there it is" || step.why.starts_with("mounted on ")
    });
    assert!(hides.is_none_or(|hides| mounted.is_none_or(|mounted| mounted < hides)));
    check_inputs(config, plan, asked);
}

/// The program uses no descriptor that `create` does not give it, so that it can be encoded.
pub fn check_inputs(config: &Config, plan: &Plan, asked: Asked) {
    let mut given = vec![Input::Report, Input::Release];
    let terminal = config.process().unwrap().terminal;
    given.extend(if terminal {
        vec![Input::Console]
    } else {
        vec![Input::Stdin, Input::Stdout, Input::Stderr]
    });
    given.extend(asked.waits.then_some(Input::Start));
    let joined = plan.namespaces.joined.len() as u8;
    given.extend((0..joined).map(Input::Namespace));
    given.extend(plan.network_ahead.then_some(isolation::NETWORK));
    given.extend(config.linux.has("user").then_some(Input::Users));
    let mappings = settings::mappings(config).len() as u8;
    given.extend((0..mappings).map(|n| Input::Namespace(settings::FIRST_MAPPING + n)));
    given.extend(plan.mounts.iter().filter_map(|mount| mount.made));
    let used = plan.program.steps().iter().flat_map(|step| &step.arguments);
    for argument in used {
        if let Argument::Fd(Fd::Given(input)) = argument {
            assert!(given.contains(input), "{input:?} is not given");
        }
    }
    let mut descriptors = Descriptors::default();
    given
        .iter()
        .zip(3..)
        .for_each(|(input, number)| descriptors.give(*input, number));
    assert!(plan.program.encode(&descriptors).len() > 64 * plan.program.steps().len());
}

/// The container that `exec` enters, and the program of its process.
fn check_exec(bundle: &Bundle, config: &Config) {
    let root = Root {
        path: bundle.0.join("state"),
        systemd_cgroup: false,
    };
    fs::create_dir_all(root.path.join("test")).unwrap();
    let origin = Origin {
        bundle: bundle.0.clone(),
        created: String::new(),
        cgroup: "tests".into(),
        systemd_cgroup: false,
        owner: 0,
        tail: Program::default().tail(),
    };
    let container = Container::record(&root, "test", origin, config.clone()).unwrap();
    let (process, host) = (config.process().unwrap(), create::host_of(config));
    let becoming = become_process::read(process, config, &host, &mut Vec::new()).unwrap();
    let group = Group::find(&Hierarchies::default(), "tests".as_ref());
    let program = exec::plan(&container, process, &becoming, &host, &group, &exec::Request::default());
    check_ending(&program, becoming.process.filter.as_ref(), process.user.uid);
    let steps = program.steps();
    let joins = Namespaces::of(&config.linux).all() != 0;
    let enters = first(steps, "setns");
    assert_eq!(enters.is_some(), joins);
    // What the container's processes see has nothing any more but what the command has.
    let appears = first(steps, "clone").unwrap();
    for name in ["setns", "openat", "openat2", "fchdir", "chroot", "setresuid", "close_range"] {
        assert!(
            last(steps, |step| step.call.name == name).is_none_or(|at| at < appears),
            "{name}: {:?}",
            names(steps)
        );
    }
    let root = first(steps, "openat").unwrap();
    assert!(enters.is_none_or(|enters| enters < root) && root < appears);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_keep_their_promises(json in configuration(), waits in any::<bool>(), no_pivot in any::<bool>(), preserve_fds in 0u32..4) {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let bundle = Bundle::new(&format!("plans-{}", NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        let asked = Asked { waits, no_pivot, preserve_fds, ..Asked::default() };
        match bundle.plan(json.to_string().as_bytes(), asked) {
            Ok((config, plan)) => {
                check_plan(&config, &plan, asked);
                check_exec(&bundle, &config);
            }
            // The only thing that two valid parts can disagree about.
            Err(error) => prop_assert!(error.to_string().contains("`linux.seccomp`: does not permit"), "{error}\n{json}"),
        }
    }
}
