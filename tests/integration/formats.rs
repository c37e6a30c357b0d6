//! What is told of containers and of everything else: lists, filters, templates, `inspect`.

use serde_json::Value;

use crate::host::{Host, until};

/// A host with a container that runs, one that has failed and one that never ran.
fn three() -> (Host, String) {
    let host = Host::new();
    let web = host.tinydock(&[
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "8080:80",
        "-p",
        "9000-9001:9000-9001",
        "-l",
        "com.x=y",
        "-l",
        "tier=front",
        "busybox",
        "sleep",
        "1000",
    ]);
    let web = web.ok().trim().to_string();
    host.tinydock(&[
        "run",
        "--network",
        "none",
        "--name",
        "failed",
        "busybox",
        "sh",
        "-c",
        "exit 3",
    ])
    .fails(3);
    host.run("create --network none --name new -l tier=back busybox sh -c true")
        .ok();
    (host, web)
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn s5_15_ps_has_the_columns_and_words_of_docker() {
    let (host, web) = three();
    let listed = host.run("ps").ok();
    let [heading, line] = lines(&listed)[..] else {
        panic!("{listed}")
    };
    let words: Vec<&str> = heading.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(
        words,
        ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    );
    assert!(line.starts_with(&web[..12]) && line.ends_with("web"), "{line}");
    assert!(line.contains("   \"sleep 1000\"   ") && line.contains(" ago   Up "), "{line}");
    assert!(
        line.contains("0.0.0.0:9000-9001->9000-9001/tcp, 0.0.0.0:8080->80/tcp"),
        "{line}"
    );
    let told = host.tinydock(&["ps", "-a", "--format", "{{.Names}}={{.Status}}"]).ok();
    let told = lines(&told);
    // The newest is the first, also if all are of the same second.
    assert_eq!(told[0], "new=Created");
    assert!(
        told[1].starts_with("failed=Exited (3) ") && told[1].ends_with(" ago"),
        "{told:?}"
    );
    assert!(told[2].starts_with("web=Up "), "{told:?}");
    assert_eq!(host.run("ps -lq --no-trunc").ok().trim().len(), 64);
    assert_eq!(
        host.tinydock(&["ps", "-n", "2", "--format", "{{.Names}}"]).ok(),
        "new\nfailed\n"
    );
    assert_eq!(host.run("container ls -q").ok(), format!("{}\n", &web[..12]));
    let row: Value = serde_json::from_str(&host.run("ps --format json").ok()).expect("JSON");
    assert_eq!(
        (row["State"].as_str(), row["Networks"].as_str(), row["Labels"].as_str()),
        (Some("running"), Some("bridge"), Some("com.x=y,tier=front"))
    );
    let table = host
        .tinydock(&["ps", "-a", "--format", "table {{.Names}}\\t{{.Label \"tier\"}}"])
        .ok();
    assert_eq!(table, "NAMES     tier\nnew       back\nfailed    \nweb       front\n");
    assert!(host.run("ps -s").ok().contains("B (virtual "));
    host.run("pause web").ok();
    assert!(
        host.tinydock(&["ps", "--format", "{{.Status}}"])
            .ok()
            .trim()
            .ends_with("(Paused)")
    );
    host.run("unpause web").ok();
}

#[test]
fn s5_15_filters_choose_containers() {
    let (host, web) = three();
    let meant = |filters: &[&str]| {
        let flags: Vec<&str> = filters.iter().flat_map(|filter| ["-f", filter]).collect();
        let listed = host
            .tinydock(&[&["ps", "-a", "--format", "{{.Names}}"], flags.as_slice()].concat())
            .ok();
        listed.split_whitespace().map(String::from).collect::<Vec<_>>().join(" ")
    };
    for (filters, expected) in [
        (vec!["name=e"], "new failed web"),
        (vec!["name=^web$"], "web"),
        (vec!["name=^(new|web)$", "status=running"], "web"),
        (vec![&*format!("id={}", &web[..6])], "web"),
        (vec!["label=tier"], "new web"),
        (vec!["label=tier=front", "label=com.x"], "web"),
        (vec!["label!=tier"], "failed"),
        (vec!["status=exited", "status=created"], "new failed"),
        (vec!["exited=3"], "failed"),
        (vec!["exited=0"], ""),
        (vec!["ancestor=busybox"], "new failed web"),
        (vec!["ancestor=other"], ""),
        (vec!["before=new"], "failed web"),
        (vec!["since=web"], "new failed"),
        (vec!["network=none"], "new failed"),
        (vec!["publish=8080"], "web"),
        (vec!["publish=80"], ""),
        (vec!["expose=80"], "web"),
        (vec!["expose=8999-9000/tcp"], "web"),
        (vec!["health=none"], "new failed web"),
        (vec!["health=healthy"], ""),
        (vec!["is-task=true"], ""),
    ] {
        assert_eq!(meant(&filters), expected, "{filters:?}");
    }
    for (filter, wrong) in [
        ("color=red", "filter `color=red`: invalid filter `color`"),
        ("status=asleep", "filter `status=asleep`: it is one of created, "),
        ("exited=x", "filter `exited=x`: it is no exit status"),
        ("since=nobody", "filter `since=nobody`: no such container: `nobody`"),
        ("name", "filter `name`: it has no `=`"),
        ("publish=x", "filter `publish=x`: it is no port"),
    ] {
        let error = host.tinydock(&["ps", "-f", filter]).fails(1);
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn s5_15_inspect_has_dockers_shape() {
    let (host, web) = three();
    let all: Value = serde_json::from_str(&host.run("inspect web new").ok()).expect("JSON");
    let (first, second) = (&all[0], &all[1]);
    assert_eq!(
        (first["Id"].as_str(), first["Name"].as_str()),
        (Some(web.as_str()), Some("/web"))
    );
    assert_eq!(first["State"]["Status"], "running");
    assert_eq!(first["State"]["Pid"].as_i64(), Some(host.init("web").into()));
    assert_eq!(second["State"]["StartedAt"], "0001-01-01T00:00:00Z");
    assert_eq!(first["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"], "8080");
    assert_eq!(first["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
    assert_eq!(
        (first["Path"].as_str(), first["Args"][0].as_str()),
        (Some("sleep"), Some("1000"))
    );
    let text = host.run("inspect web").ok();
    assert!(
        text.starts_with("[\n    {\n        \"Id\": \"") && text.ends_with("    }\n]\n"),
        "{text}"
    );
    let order: Vec<usize> = [
        "\"Created\"",
        "\"Path\"",
        "\"State\"",
        "\"Image\"",
        "\"HostConfig\"",
        "\"Mounts\"",
        "\"Config\"",
        "\"NetworkSettings\"",
    ]
    .iter()
    .map(|name| text.find(&format!("\n        {name}: ")).expect(name))
    .collect();
    assert!(order.is_sorted(), "{order:?}");
    let asked = |template: &str| host.tinydock(&["inspect", "-f", template, "web"]).ok();
    assert_eq!(
        asked("{{.State.Status}} {{.State.Running}} {{len .Config.Cmd}}"),
        "running true 2\n"
    );
    let address = asked("{{.NetworkSettings.Networks.bridge.IPAddress}}");
    assert_eq!(address, asked("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"));
    assert!(address.starts_with("172.26.0."), "{address}");
    assert_eq!(
        asked("{{range $port, $bindings := .NetworkSettings.Ports}}{{$port}}->{{(index $bindings 0).HostPort}} {{end}}"),
        "80/tcp->8080 9000/tcp->9000 9001/tcp->9001 \n"
    );
    assert_eq!(
        asked("{{index .Config.Labels \"com.x\"}}{{index .Config.Labels \"no\"}}"),
        "y\n"
    );
    assert_eq!(
        asked("{{if .State.Health}}watched{{else}}not watched{{end}}"),
        "not watched\n"
    );
    assert_eq!(asked("{{json .Config.Cmd}}"), "[\"sleep\",\"1000\"]\n");
    let error = host.tinydock(&["inspect", "-f", "{{.State.Foo}}", "web"]).fails(1);
    assert!(
        error.contains("template: 1:8: executing \"\" at <.State.Foo>: can't evaluate field Foo"),
        "{error}"
    );
    assert!(error.contains("hint: the fields are Status, Running, "), "{error}");
    let done = host.tinydock(&["inspect", "-f", "{{.Name}}", "nobody", "web"]);
    assert_eq!(done.stdout, "/web\n");
    assert!(done.fails(1).contains("no such object: `nobody`"));
    assert_eq!(host.run("inspect nobody").stdout, "[]\n");
    assert!(host.run("inspect --type image web").fails(1).contains("no such image: `web`"));
    assert!(host.run("inspect --type thing web").fails(1).contains("unknown type `thing`"));
    assert!(host.run("container inspect -s web").ok().contains("\"SizeRw\""));
}

#[test]
fn s5_15_health_is_told_by_ps_and_inspect() {
    let host = Host::new();
    let command = [
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "sick",
        "--health-cmd",
        "exit 1",
        "--health-interval",
        "100ms",
    ];
    host.tinydock(&[&command, ["--health-retries", "1", "busybox", "sleep", "1000"].as_slice()].concat())
        .ok();
    until("it is unhealthy", || {
        host.tinydock(&["inspect", "-f", "{{.State.Health.Status}}", "sick"]).ok() == "unhealthy\n"
    });
    let status = host.tinydock(&["ps", "--format", "{{.Status}}|{{.HealthStatus}}"]).ok();
    assert!(
        status.starts_with("Up ") && status.trim().ends_with(" (unhealthy)|unhealthy"),
        "{status}"
    );
    assert_eq!(host.run("ps -q -f health=unhealthy").ok().lines().count(), 1);
    let log = host
        .tinydock(&["inspect", "-f", "{{(index .State.Health.Log 0).ExitCode}}", "sick"])
        .ok();
    assert_eq!(log, "1\n");
}

#[test]
fn s5_17_port_tells_what_is_published() {
    let (host, _) = three();
    assert_eq!(
        host.run("port web").ok(),
        "80/tcp -> 0.0.0.0:8080\n9000/tcp -> 0.0.0.0:9000\n9001/tcp -> 0.0.0.0:9001\n"
    );
    assert_eq!(host.run("port web 80").ok(), "0.0.0.0:8080\n");
    assert_eq!(host.run("container port web 80/tcp").ok(), "0.0.0.0:8080\n");
    assert!(
        host.run("port web 81")
            .fails(1)
            .contains("no public port `81/tcp` published for `web`")
    );
    assert_eq!(host.run("port new").ok(), "");
}

#[test]
fn networks_are_listed_inspected_and_pruned() {
    let (host, web) = three();
    host.run("network create unused").ok();
    host.run("network create kept").ok();
    host.run("create --network kept --name keeper busybox true").ok();
    let listed = host.run("network ls").ok();
    assert!(listed.starts_with("NETWORK ID     NAME      DRIVER    SCOPE\n"), "{listed}");
    let named = |arguments: &[&str]| {
        host.tinydock(&[&["network", "ls", "--format", "{{.Name}}:{{.Driver}}"], arguments].concat())
            .ok()
    };
    assert_eq!(
        named(&[]),
        "bridge:bridge\nhost:host\nkept:bridge\nnone:null\nunused:bridge\n"
    );
    assert_eq!(named(&["-f", "type=custom", "-f", "name=us"]), "unused:bridge\n");
    assert_eq!(named(&["-f", "dangling=true"]), "unused:bridge\n");
    let shown: Value = serde_json::from_str(&host.run("network inspect bridge").ok()).expect("JSON");
    assert_eq!(shown[0]["Containers"][&web]["Name"], "web");
    assert_eq!(shown[0]["IPAM"]["Config"][0]["Gateway"], "172.26.0.1");
    let id = host.tinydock(&["network", "inspect", "-f", "{{.Id}}", "unused"]).ok();
    assert_eq!(
        host.tinydock(&["network", "inspect", "-f", "{{.Name}}", &id[..12]]).ok(),
        "unused\n"
    );
    assert!(
        host.run("network inspect nowhere")
            .fails(1)
            .contains("no such network: `nowhere`")
    );
    assert!(host.run("network prune").fails(1).contains("has been cancelled"));
    assert_eq!(host.run("network prune -f").ok(), "Deleted Networks:\nunused\n\n");
    assert_eq!(named(&["-f", "type=custom"]), "kept:bridge\n");
}

#[test]
fn what_is_not_used_is_counted_and_pruned() {
    let (host, _) = three();
    let used = host.run("system df").ok();
    let line = |kind: &str| {
        used.lines()
            .find(|line| line.starts_with(kind))
            .expect(kind)
            .split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert!(
        used.starts_with("TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"),
        "{used}"
    );
    assert_eq!(line("Containers")[1..3], ["3", "1"]);
    assert_eq!(line("Images")[1..3], ["1", "1"]);
    assert!(
        host.run("system df -v")
            .ok()
            .contains("\nLocal Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\n")
    );
    let done = host.run("container prune");
    assert!(
        done.stdout
            .starts_with("WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ")
    );
    assert!(done.fails(1).contains("container prune has been cancelled"));
    let kept = host
        .tinydock(&["container", "prune", "-f", "--filter", "label=tier=back"])
        .ok();
    assert!(
        kept.starts_with("Deleted Containers:\n") && kept.contains("\n\nTotal reclaimed space: "),
        "{kept}"
    );
    assert_eq!(host.tinydock(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "failed\nweb\n");
    assert!(
        !host
            .tinydock(&["container", "prune", "-f", "--filter", "until=1h"])
            .ok()
            .contains("Deleted")
    );
    let warned = host.run("system prune --volumes").stdout;
    assert!(
        warned.contains("  - all stopped containers\n") && warned.contains("  - all anonymous volumes "),
        "{warned}"
    );
    assert!(host.run("system prune -f").ok().contains("Deleted Containers:\n"));
    assert_eq!(host.tinydock(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "web\n");
}

#[test]
fn the_program_tells_about_itself_and_its_host() {
    let host = Host::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        host.tinydock(&["version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
            .ok(),
        format!("{version} {version}\n")
    );
    assert!(
        host.run("version")
            .ok()
            .contains(&format!("Client:\n Version:           {version}\n"))
    );
    let info: Value = serde_json::from_str(&host.run("info -f json").ok()).expect("JSON");
    assert_eq!(
        info["DockerRootDir"].as_str(),
        Some(host.root().display().to_string().as_str())
    );
    assert_eq!(info["Containers"], 0);
    assert!(host.run("system info").ok().contains("\n Containers: 0\n  Running: 0\n"));
}

#[test]
fn names_of_what_there_is_are_completed() {
    let (host, _) = three();
    host.run("network create mesh").ok();
    let completed = |words: &str| {
        host.run(&format!("completion words -- {words}"))
            .ok()
            .trim()
            .replace('\n', " ")
    };
    for (words, expected) in [
        ("rm w", "web"),
        ("container exec -it f", "failed"),
        ("run --network m", "mesh"),
        ("run b", "busybox"),
        ("image inspect b", "busybox"),
        ("network rm m", "mesh"),
        ("inspect me", "mesh"),
        ("container pru", "prune"),
        ("network prune --f", "--filter --force"),
    ] {
        assert_eq!(completed(words), expected, "{words}");
    }
}
