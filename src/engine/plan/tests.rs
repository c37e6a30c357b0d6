//! Programs, compared and checked without being run.

use proptest::prelude::*;

use super::*;
use crate::cgroup::Tree;
use crate::isolation::Device;
use crate::layer::{Lower, Mount};
use crate::network::Network;
use crate::program::Argument;
use crate::store::Id;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// What may still be done once the bounding set has been reduced.
const AT_LAST: [&str; 8] = [
    "prctl",
    "seccomp",
    "setgroups",
    "setresgid",
    "setresuid",
    "capset",
    "close_range",
    "execve",
];

/// Kernels with one and with the other way to exchange the root.
const PIVOTING: (u32, u32) = (6, 12);
const REPLACING: (u32, u32) = (6, 15);

fn facts() -> Facts {
    let host = Host {
        time_namespace: true,
        release: PIVOTING,
        capabilities: 41,
        bounding: u64::MAX,
        masks: Vec::new(),
        read_only: vec!["/proc/bus", "/proc/sys"],
    };
    Facts {
        host,
        hierarchies: Hierarchies::default(),
        view: None,
    }
}

fn spec(options: Options) -> Spec {
    Spec {
        id: Id::parse(ID).unwrap(),
        name: "example".into(),
        hostname: "example".into(),
        layers: Vec::new(),
        image_id: None,
        created: 0,
        created_nanos: 0,
        options,
    }
}

fn options() -> Options {
    serde_json::from_value(serde_json::json!({
        "image": "busybox", "command": ["true"], "environment": [], "directory": "", "user": "", "terminal": false,
        "interactive": false, "auto_remove": true, "limits": {}, "network": "none", "ports": [],
    }))
    .unwrap()
}

fn endpoint() -> Endpoint {
    let network = Network {
        name: "bridge".into(),
        subnet: crate::network::Subnet::parse("172.26.0.0/16").unwrap(),
        bridge: "tinydock0".into(),
        created: 0,
    };
    Endpoint::new(&network, &Id::parse(ID).unwrap(), [172, 26, 0, 2].into(), Vec::new())
}

fn planned(options: Options) -> Result<Plan> {
    planned_on(&facts(), options)
}

fn planned_on(facts: &Facts, options: Options) -> Result<Plan> {
    options.check()?;
    let endpoint = matches!(options.network, Mode::Bridge(_)).then(endpoint);
    let spec = spec(options);
    let overlay = Overlay {
        lower: vec![Lower::Tree("/layer".into())],
        upper: "/container/upper".into(),
        work: "/container/work".into(),
        attach: "/container/work".into(),
        volatile: true,
        layer_by_layer: true,
        root: None,
    };
    let store = Store::find(Some("/store".into())).unwrap();
    let mounts = spec.options.mounts.iter();
    let mut given = Given::default();
    let places = Places {
        overlay,
        origins: mounts
            .map(|mount| layer::locate(&store, mount, &mut given))
            .collect::<Result<_>>()?,
        given,
        files: vec![(b"/container/hosts".to_vec(), "/etc/hosts")],
    };
    plan(facts, &spec, &places, "tinydock", endpoint.as_ref())
}

#[test]
fn the_program_of_a_plain_container() {
    let plan = planned(options()).unwrap();
    let lines = plan.program.steps().iter().map(|step| step.show(&plan.program) + "\n");
    let text: String = lines.collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/plan/plain.txt");
    if std::env::var_os("TINYDOCK_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        text, expected,
        "if this is intended, run the test with TINYDOCK_BLESS=1 and review the difference"
    );
}

/// Where cgroups are shown is a file system like others, in which a device may have its place.
#[test]
fn devices_are_made_in_what_is_mounted() {
    let mut facts = facts();
    facts.hierarchies.separate.push(Tree {
        mount: "/sys/fs/cgroup/memory".into(),
        controllers: vec!["memory".into()],
    });
    let devices = vec![Device::parse("/dev/null:/sys/fs/cgroup/device").unwrap()];
    let plan = planned_on(&facts, Options { devices, ..options() }).unwrap();
    let lines: Vec<String> = plan.program.steps().iter().map(|step| step.show(&plan.program)).collect();
    let place = |of: &[&str]| lines.iter().position(|line| of.iter().all(|part| line.contains(part)));
    let (mounted, made) = (place(&["move_mount(", "\"memory\""]), place(&["mknodat(", "\"device\""]));
    assert!(mounted.is_some() && mounted < made, "{lines:#?}");
}

/// Any text without NUL, not only UTF-8.
fn texts() -> impl Strategy<Value = Text> {
    prop::collection::vec(1u8.., 0..20).prop_map(Text::from)
}

fn mounts() -> impl Strategy<Value = Mount> {
    let path = "(/[a-z]{1,5}){1,4}";
    let short = (
        path,
        path,
        prop::sample::select(vec!["", ":ro", ":ro-non-recursive,rslave", ":rshared"]),
    );
    let long = prop::sample::select(vec![
        "tmpfs,tmpfs-mode=755",
        "tmpfs,ro",
        "volume,src=data",
        "volume,src=data,volume-subpath=a/b",
    ]);
    prop_oneof![
        short.prop_map(|(source, target, options)| format!("/nowhere{source}:{target}{options}")),
        path.prop_map(|target| format!("data:{target}:ro")),
        (path, long).prop_map(|(target, long)| format!("type={long},target={target}")),
    ]
    .prop_map(|text| match text.starts_with("type=") {
        true => Mount::parse_long(&text, "/".as_ref()).unwrap(),
        false => Mount::parse_short(text.as_bytes(), "/".as_ref()).unwrap(),
    })
}

fn any_options() -> impl Strategy<Value = Options> {
    let networks = prop_oneof![Just(Mode::None), Just(Mode::Host), Just(Mode::Bridge("bridge".into()))];
    let lists = (
        prop::collection::vec(texts(), 1..5),
        prop::collection::vec("[A-Z]{1,3}=.{0,9}", 0..4),
        prop::collection::vec(mounts(), 0..4),
    );
    let rest = (
        networks,
        "(/[a-z]{1,4}){0,3}",
        "([0-9]{1,5}(:[0-9]{1,5})?)?",
        any::<[bool; 3]>(),
    );
    (lists, rest).prop_map(
        |((command, environment, mounts), (network, directory, user, [terminal, interactive, auto_remove]))| Options {
            command,
            environment: environment.into_iter().map(Text::from).collect(),
            mounts,
            network,
            directory: directory.into(),
            user,
            terminal,
            interactive,
            auto_remove,
            ..options()
        },
    )
}

proptest! {
    #[test]
    fn every_program_keeps_the_order(options in any_options(), release in prop::sample::select(vec![PIVOTING, REPLACING])) {
        let command = bytes(&options.command);
        let mut facts = facts();
        facts.host.release = release;
        let plan = planned_on(&facts, options);
        // Too many that are refused would fail the test.
        prop_assume!(plan.is_ok());
        let plan = plan.unwrap();
        let steps = plan.program.steps();
        let calls: Vec<&str> = steps.iter().map(|step| step.call.name).collect();
        let exchange: &[&str] = match release {
            PIVOTING => &["fchdir", "pivot_root", "umount2"],
            _ => &["setns", "mount_setattr", "umount2", "setns", "move_mount"],
        };
        let exchanged = calls.windows(exchange.len()).position(|calls| calls == exchange).expect("a new root");
        let (before, after) = (&steps[..exchanged], &steps[exchanged + exchange.len()..]);
        let ending = |name: &str| calls.iter().rposition(|call| *call == name);
        let private = "mount_setattr(AT_FDCWD, \"/\", AT_RECURSIVE, {propagation: MS_PRIVATE}, 32)";
        prop_assert!(before.iter().any(|step| step.show(&plan.program) == private), "the host would lose its root");
        if release == REPLACING {
            prop_assert_eq!(steps[exchanged + 1].show(&plan.program), private);
        }
        prop_assert!(steps[0].show(&plan.program).contains("PR_SET_PDEATHSIG"), "init's life is tied to its monitor's first");
        for step in after {
            let mounting = ["fsopen", "fsmount", "open_tree", "move_mount", "openat2", "unshare", "umount2", "setns"];
            prop_assert!(!mounting.contains(&step.call.name), "{} after the root was exchanged", step.call.name);
            let shown = step.show(&plan.program);
            let protects = shown.contains("{attr_set: MOUNT_ATTR_RDONLY}");
            prop_assert!(step.call.name != "mount_setattr" || protects, "{shown}");
        }
        let reduced = steps.iter().position(|step| step.show(&plan.program).contains("PR_CAPBSET_DROP")).expect("fewer capabilities");
        for call in &calls[reduced..] {
            prop_assert!(AT_LAST.contains(call), "{} once capabilities are given up", call);
        }
        let first = calls.iter().position(|call| *call == "execve").expect("a command");
        let filter = ending("seccomp").expect("a filter");
        prop_assert_eq!(calls[filter - 1], "close_range");
        prop_assert!(calls[filter + 1..first].iter().all(|call| *call == "capset"), "a filtered process only gives up more");
        prop_assert!(calls[first..].iter().all(|call| *call == "execve"));
        for step in &steps[first..] {
            prop_assert_eq!(&step.arguments[1], &Argument::List(command.clone().into()));
        }
    }
}
