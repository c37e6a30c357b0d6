//! Plans for hosts of all kinds.

use super::*;

fn tree(mount: &str, controllers: &[&str]) -> Tree {
    Tree {
        mount: mount.into(),
        controllers: controllers.iter().map(|name| name.to_string()).collect(),
    }
}

fn hybrid() -> Hierarchies {
    let separate = ["cpu", "memory", "pids"]
        .map(|name| tree(&format!("/c/{name}"), &[name]))
        .to_vec();
    Hierarchies {
        unified: Some(tree("/c/unified", &["hugetlb"])),
        separate,
    }
}

fn pure() -> Hierarchies {
    Hierarchies {
        unified: Some(tree("/c", &["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"])),
        separate: Vec::new(),
    }
}

fn old() -> Hierarchies {
    let names = [
        "blkio", "cpu", "cpuset", "devices", "freezer", "memory", "net_cls", "net_prio", "pids", "rdma",
    ];
    Hierarchies {
        unified: None,
        separate: names.map(|name| tree(&format!("/c/{name}"), &[name])).to_vec(),
    }
}

fn spell(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for write in &plan.writes {
        lines.push(format!("{} {}", write.file.display(), write.value));
    }
    lines
}

fn of_limits(hierarchies: &Hierarchies, text: &str) -> Vec<String> {
    let limits: Resources = serde_json::from_str(text).unwrap();
    spell(&Plan::of(hierarchies, "tinydock", "id", &limits).unwrap())
}

fn planned(hierarchies: &Hierarchies, text: &str) -> Result<Plan> {
    Plan::new(hierarchies, Path::new("/id"), &serde_json::from_str(text).unwrap())
}

/// What is written to the container's own directories.
fn own(hierarchies: &Hierarchies, text: &str) -> Vec<String> {
    let plan = planned(hierarchies, text).unwrap();
    spell(&plan)
        .into_iter()
        .filter(|line| !line.contains("subtree_control"))
        .collect()
}

#[test]
fn each_limit_is_written_where_its_controller_is() {
    let limits = r#"{"cpu":{"quota":50000,"period":100000},"memory":{"limit":1048576},"pids":{"limit":10}}"#;
    assert_eq!(
        of_limits(&hybrid(), limits),
        [
            "/c/cpu/tinydock/id/cpu.cfs_period_us 100000",
            "/c/cpu/tinydock/id/cpu.cfs_quota_us 50000",
            "/c/memory/tinydock/id/memory.limit_in_bytes 1048576",
            "/c/memory/tinydock/id/memory.memsw.limit_in_bytes 2097152",
            "/c/pids/tinydock/id/pids.max 10",
        ]
    );
    assert_eq!(
        of_limits(&pure(), limits),
        [
            "/c/cgroup.subtree_control +cpu +memory +pids",
            "/c/tinydock/cgroup.subtree_control +cpu +memory +pids",
            "/c/tinydock/id/cpu.max 50000 100000",
            "/c/tinydock/id/memory.max 1048576",
            "/c/tinydock/id/memory.swap.max 1048576",
            "/c/tinydock/id/pids.max 10",
        ]
    );
}

#[test]
fn processes_are_limited_unless_the_user_says_otherwise() {
    let limit = |text| of_limits(&hybrid(), text);
    assert_eq!(limit("{}"), ["/c/pids/tinydock/id/pids.max 4096"]);
    assert_eq!(limit(r#"{"pids":{"limit":7}}"#), ["/c/pids/tinydock/id/pids.max 7"]);
    assert_eq!(limit(r#"{"pids":{"limit":-1}}"#), ["/c/pids/tinydock/id/pids.max max"]);
}

#[test]
fn swap_is_as_much_as_memory_unless_the_user_says_otherwise() {
    let limit = |swap: &str| of_limits(&pure(), &format!(r#"{{"memory":{{"limit":100{swap}}}}}"#))[3].clone();
    assert_eq!(limit(""), "/c/tinydock/id/memory.swap.max 100");
    assert_eq!(limit(r#","swap":150"#), "/c/tinydock/id/memory.swap.max 50");
    assert_eq!(limit(r#","swap":-1"#), "/c/tinydock/id/memory.swap.max max");
}

#[test]
fn further_controllers_are_enabled_where_a_limit_needs_them() {
    let enabled = |text| of_limits(&pure(), text)[0].clone();
    assert_eq!(enabled("{}"), "/c/cgroup.subtree_control +cpu +memory +pids");
    assert_eq!(
        enabled(r#"{"cpu":{"cpus":"0"},"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5}]}}"#),
        "/c/cgroup.subtree_control +cpu +memory +pids +cpuset +io"
    );
}

#[test]
fn a_missing_controller_is_a_warning_until_a_limit_needs_it() {
    let mut hierarchies = hybrid();
    hierarchies.separate.remove(1);
    let plan = Plan::of(&hierarchies, "tinydock", "id", &Resources::default()).unwrap();
    assert_eq!(
        plan.warnings,
        ["this host has no cgroup controller for memory: it cannot be limited"]
    );
    let limits: Resources = serde_json::from_str(r#"{"memory":{"limit":1}}"#).unwrap();
    let error = Plan::of(&hierarchies, "tinydock", "id", &limits).unwrap_err();
    assert_eq!(error.to_string(), "`--memory`: this host has no cgroup controller `memory`");
}

#[test]
fn every_directory_above_enables_all_controllers() {
    let plan = Plan::new(&pure(), Path::new("/kubepods/../pods/./burstable/id"), &Resources::default()).unwrap();
    let all = "+cpuset +cpu +io +memory +hugetlb +pids +rdma";
    assert_eq!(
        spell(&plan),
        ["/c", "/c/pods", "/c/pods/burstable"].map(|directory| format!("{directory}/cgroup.subtree_control {all}"))
    );
    assert_eq!(plan.directories, [PathBuf::from("/c/pods/burstable/id")]);
    let levels = ["/c/pods", "/c/pods/burstable", "/c/pods/burstable/id"].map(Path::new);
    assert_eq!(plan.levels(&plan.directories[0]), levels);
    assert_eq!(plan.devices, Devices::Inherited);
    for path in ["", "/", "a/.."] {
        assert!(Plan::new(&pure(), Path::new(path), &Resources::default()).is_err(), "{path}");
    }
}

#[test]
fn resources_in_version_2() {
    for (text, files) in [
        (
            r#"{"cpu":{"shares":1024,"quota":-1,"period":50000}}"#,
            "cpu.weight 100, cpu.max max 50000",
        ),
        (r#"{"cpu":{"quota":5000,"burst":1000}}"#, "cpu.max 5000, cpu.max.burst 1000"),
        (r#"{"cpu":{"idle":1,"shares":2}}"#, "cpu.idle 1"),
        (r#"{"cpu":{"idle":0,"shares":2}}"#, "cpu.idle 0, cpu.weight 1"),
        (r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#, "cpuset.cpus 0-1, cpuset.mems 0"),
        (
            r#"{"memory":{"limit":100,"swap":150,"reservation":50}}"#,
            "memory.max 100, memory.swap.max 50, memory.low 50",
        ),
        (r#"{"memory":{"limit":100,"swap":100}}"#, "memory.max 100, memory.swap.max 0"),
        (r#"{"memory":{"limit":100,"swap":-1}}"#, "memory.max 100, memory.swap.max max"),
        (r#"{"memory":{"limit":-1}}"#, "memory.max max, memory.swap.max max"),
        (r#"{"memory":{"limit":-1,"swap":9}}"#, "memory.max max, memory.swap.max 9"),
        (r#"{"pids":{"limit":-1}}"#, "pids.max max"),
        (r#"{"pids":{"limit":0}}"#, ""),
        (r#"{"blockIO":{"weight":500}}"#, "io.bfq.weight 500"),
        (
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":0}]}}"#,
            "io.max 8:0 rbps=7, io.max 8:16 wiops=max",
        ),
        (
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":9}]}"#,
            "hugetlb.2MB.max 9, hugetlb.2MB.rsvd.max 9",
        ),
        (
            r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10}}}"#,
            "rdma.max mlx5_1 hca_handle=3 hca_object=10",
        ),
        (
            r#"{"memory":{"limit":5},"unified":{"memory.high":"4","io.max":"8:0 rbps=1\n8:16 rbps=2"}}"#,
            "memory.max 5, io.max 8:0 rbps=1, io.max 8:16 rbps=2, memory.high 4",
        ),
    ] {
        let expected: Vec<String> = files
            .split(", ")
            .filter(|file| !file.is_empty())
            .map(|file| format!("/c/id/{file}"))
            .collect();
        assert_eq!(own(&pure(), text), expected, "{text}");
    }
    let plan = planned(&pure(), r#"{"blockIO":{"weight":500}}"#).unwrap();
    let Some(Missing::Instead(other)) = plan.writes.last().map(|write| &write.missing) else {
        panic!("{plan:?}")
    };
    assert_eq!((other.file.clone(), other.value.as_str()), ("/c/id/io.weight".into(), "4950"));
}

#[test]
fn resources_in_version_1() {
    for (text, files) in [
        (
            r#"{"cpu":{"shares":512,"quota":-1,"period":50000,"burst":0,"realtimePeriod":1000,"realtimeRuntime":500}}"#,
            "cpu.shares 512, cpu.rt_period_us 1000, cpu.rt_runtime_us 500, cpu.cfs_period_us 50000, cpu.cfs_quota_us -1, \
                cpu.cfs_burst_us 0",
        ),
        (r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#, "cpuset.cpus 0-1, cpuset.mems 0"),
        (
            r#"{"memory":{"limit":100,"swap":150,"reservation":50,"swappiness":0,"disableOOMKiller":true,"useHierarchy":true}}"#,
            "memory.limit_in_bytes 100, memory.memsw.limit_in_bytes 150, memory.soft_limit_in_bytes 50, memory.swappiness 0, \
                memory.oom_control 1, memory.use_hierarchy 1",
        ),
        (
            r#"{"memory":{"limit":-1}}"#,
            "memory.limit_in_bytes -1, memory.memsw.limit_in_bytes -1",
        ),
        (r#"{"pids":{"limit":5}}"#, "pids.max 5"),
        (
            r#"{"blockIO":{"weight":500,"leafWeight":20,"weightDevice":[{"major":8,"minor":0,"weight":10,"leafWeight":11}],
                "throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":7}]}}"#,
            "blkio.weight 500, blkio.leaf_weight 20, blkio.weight_device 8:0 10, blkio.leaf_weight_device 8:0 11, \
                blkio.throttle.write_bps_device 8:0 7",
        ),
        (
            r#"{"network":{"classID":1048577,"priorities":[{"name":"eth0","priority":5}]}}"#,
            "net_cls.classid 1048577, net_prio.ifpriomap eth0 5",
        ),
    ] {
        let expected: Vec<String> = files
            .split(", ")
            .map(|file| format!("/c/{}/id/{file}", file.split('.').next().unwrap()))
            .collect();
        assert_eq!(own(&old(), text), expected, "{text}");
    }
}

#[test]
fn on_a_hybrid_host_each_controller_is_where_it_is() {
    let text = r#"{"memory":{"limit":5},"hugepageLimits":[{"pageSize":"2MB","limit":9}],"unified":{"hugetlb.2MB.max":"8"}}"#;
    assert_eq!(
        own(&hybrid(), text),
        [
            "/c/memory/id/memory.limit_in_bytes 5",
            "/c/unified/id/hugetlb.2MB.max 9",
            "/c/unified/id/hugetlb.2MB.rsvd.max 9",
            "/c/unified/id/hugetlb.2MB.max 8",
        ]
    );
}

#[test]
fn what_cannot_be_kept_is_told_or_refused() {
    let none = Hierarchies::default();
    for (hierarchies, text, warning) in [
        (
            &none,
            r#"{"cpu":{"shares":5}}"#,
            "`linux.resources.cpu` is not kept: this host has no cgroup controller `cpu`",
        ),
        (
            &hybrid(),
            r#"{"blockIO":{"weight":500}}"#,
            "`linux.resources.blockIO.weight` is not kept: this host has no cgroup controller `blkio`",
        ),
        (
            &hybrid(),
            r#"{"rdma":{"mlx5_1":{"hcaHandles":3}}}"#,
            "`linux.resources.rdma` is not kept: this host has no cgroup controller `rdma`",
        ),
        (
            &pure(),
            r#"{"memory":{"swappiness":5}}"#,
            "`linux.resources.memory.swappiness` is not kept: cgroups of version 2 have nothing like it",
        ),
        (
            &pure(),
            r#"{"memory":{"kernel":5}}"#,
            "`linux.resources.memory.kernel` is not kept: kernels do not limit their own memory by itself any more",
        ),
        (
            &pure(),
            r#"{"network":{"classID":5}}"#,
            "`linux.resources.network.classID` is not kept: this host has no cgroup controller `net_cls`",
        ),
    ] {
        assert_eq!(planned(hierarchies, text).unwrap().warnings, [warning], "{text}");
    }
    for (hierarchies, text, field) in [
        (&none, r#"{"cpu":{"quota":5000}}"#, "cpu.quota"),
        (&none, r#"{"memory":{"limit":5}}"#, "memory.limit"),
        (&none, r#"{"memory":{"reservation":5}}"#, "memory.reservation"),
        (&none, r#"{"pids":{"limit":5}}"#, "pids.limit"),
        (&none, r#"{"cpu":{"cpus":"0"}}"#, "cpu.cpus"),
        (
            &none,
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}]}}"#,
            "blockIO.throttleReadBpsDevice",
        ),
        (&old(), r#"{"unified":{"memory.max":"5"}}"#, "unified.memory.max"),
        (&hybrid(), r#"{"unified":{"memory.max":"5"}}"#, "unified.memory.max"),
        (&pure(), r#"{"memory":{"swap":5}}"#, "memory.swap"),
        (&pure(), r#"{"memory":{"limit":-5}}"#, "memory.limit"),
    ] {
        let error = planned(hierarchies, text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`linux.resources.{field}`: ")), "{text}: {error}");
    }
    for text in [
        r#"{"cpu":{"quota":-1}}"#,
        r#"{"memory":{"limit":-1}}"#,
        r#"{"pids":{"limit":-1}}"#,
    ] {
        assert!(planned(&none, text).is_ok(), "{text}");
    }
}
