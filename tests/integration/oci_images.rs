//! Images of the OCI's and Docker's format: from archives, to archives, run, removed, checked.

use std::fs;

use crate::host::{Host, until};

/// Makes an OCI layout in the directory `name` with a recipe (see `layout.py`), and an archive `name.tar` of it.
#[track_caller]
pub fn layout(host: &Host, name: &str, recipe: &str) {
    let directory = host.path(name);
    fs::create_dir_all(&directory).expect("make a directory");
    fs::write(directory.join("recipe.py"), recipe).expect("write the recipe");
    fs::write(host.path("layout.py"), include_str!("layout.py")).expect("write the script");
    host.sh(&format!(
        "python3 layout.py {name} && tar -C {name} -cf {name}.tar blobs index.json oci-layout"
    ))
    .ok();
}

pub const SMALL: &str = "image('small:1', [busybox()], Cmd=['echo', 'hello'])";

/// The digest of an image's manifest.
#[track_caller]
pub fn digest(host: &Host, name: &str) -> String {
    let (repository, tag) = name.split_once(':').expect("a tag");
    let list = host.run("images --digests").ok();
    let line = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = line.filter(|words| words[..2] == [repository, tag]);
    found.next().unwrap_or_else(|| panic!("no {name} in\n{list}"))[2].to_string()
}

#[track_caller]
pub fn is_sound(host: &Host) {
    let done = host.run("system fsck");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.stdout.contains("that nothing needs"), "{}", done.stdout);
    assert!(!done.stdout.contains("drafts"), "{}", done.stdout);
}

#[test]
fn s5_13_a_config_is_honoured() {
    let host = Host::new();
    layout(
        &host,
        "app",
        "image('app:1', [busybox()], Entrypoint=['echo', 'entry'], Cmd=['cmd'], Env=['A=image', 'B=image'])
image('env:1', [busybox()], Cmd=['sh', '-c', 'echo $A $B; pwd; id -u; id -g'], Env=['A=image', 'B=image'], WorkingDir='/work/dir', User='12:34')
image('nameless:1', [busybox()], Env=['=x'])",
    );
    let loaded = "Loaded image: app:1\nLoaded image: env:1\nLoaded image: nameless:1\n";
    assert_eq!(host.run("load -i app.tar").ok(), loaded);
    assert_eq!(host.inside(&[], "app:1", &[]).ok(), "entry cmd\n");
    assert_eq!(host.inside(&[], "app:1", &["other"]).ok(), "entry other\n");
    assert_eq!(host.inside(&["--entrypoint", "env"], "app:1", &["pwd"]).ok(), "/\n");
    assert_eq!(
        host.inside(&["-e", "B=user"], "env:1", &[]).ok(),
        "image user\n/work/dir\n12\n34\n"
    );
    assert_eq!(
        host.inside(&["-u", "0:0", "-w", "/bin"], "env:1", &[]).ok(),
        "image image\n/bin\n0\n0\n"
    );
    let nameless = host.inside(&[], "nameless:1", &["true"]).fails(125);
    assert!(nameless.contains("environment variable `=x`"), "{nameless}");
    let inspected = host.run("image inspect app:1").ok();
    let value: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
    assert_eq!(value[0]["Config"]["Entrypoint"][1], "entry");
    assert_eq!(value[0]["RepoTags"][0], "app:1");
    assert_eq!(value[0]["Created"], "2024-01-02T03:04:05Z");
    is_sound(&host);
}

#[test]
fn where_an_image_listens_is_shown_and_published() {
    let host = Host::new();
    layout(
        &host,
        "web",
        "image('web:1', [busybox()], ExposedPorts={'80/tcp': {}, '53/udp': {}, '9/sctp': {}},
            Cmd=['sh', '-c', 'while :; do echo served | nc -l -p 80; done'])",
    );
    host.run("load -i web.tar").ok();
    host.start(&["--name", "shown", "web:1"]);
    host.start(&[
        "--name",
        "all",
        "--expose",
        "81",
        "-p",
        "127.0.0.1:5353:53/udp",
        "-P",
        "web:1",
    ]);
    let listed = host.run("ps --format {{.Names}}:{{.Ports}}").ok();
    assert!(listed.contains("shown:53/udp, 80/tcp\n"), "{listed}");
    let published = host.run("port all").ok();
    assert!(
        published.contains("53/udp -> 127.0.0.1:5353\n") && published.lines().count() == 3,
        "{published}"
    );
    let place = host.run("port all 80").ok();
    let (_, port) = place.trim().rsplit_once(':').expect("a port");
    let served = || host.sh(&format!("busybox nc 127.0.0.1 {port} < /dev/null")).stdout == "served\n";
    until("it serves what it has", served);
    assert_eq!(
        host.tinydock(&[
            "inspect",
            "-f",
            "{{json .Config.ExposedPorts}}{{json .NetworkSettings.Ports}}",
            "shown"
        ])
        .ok(),
        "{\"53/udp\":{},\"80/tcp\":{}}{\"53/udp\":null,\"80/tcp\":null}\n"
    );
    assert_eq!(host.inside(&["-P"], "web:1", &["echo", "alone"]).ok(), "alone\n");
    host.run("run --rm --expose 80:80 web:1").fails(125);
    host.run("rm -f shown all").ok();
    host.until_nothing_is_left();
}

#[test]
fn layers_are_unpacked_once_and_removed_with_the_last_image() {
    let host = Host::new();
    layout(
        &host,
        "two",
        "base = busybox().bytes()
def more(name):
    one = layer(); one.add(name); return one
image('one:1', [base, more('a')], Cmd=['ls', '/a'])
image('two:1', [base, more('b')], Cmd=['ls', '/b'])",
    );
    host.run("load -i two.tar").ok();
    let layers = || fs::read_dir(host.root().join("layer/sha256")).expect("layers").count();
    assert_eq!(layers(), 3);
    assert_eq!(host.inside(&[], "two:1", &[]).ok(), "/b\n");
    host.run("tag one:1 other:2").ok();
    assert_eq!(host.run("rmi one:1").ok(), "Untagged: one:1\n");
    assert_eq!(layers(), 3);
    assert!(host.run("rmi other:2").ok().contains("Deleted: sha256:"));
    assert_eq!(layers(), 2);
    host.run("create --name keeper two:1").ok();
    assert!(host.run("rmi two:1").fails(1).contains("keeper") || host.run("images").ok().contains("two"));
    host.run("rmi -f two:1").ok();
    assert_eq!(host.run("start -a keeper").ok(), "/b\n");
    host.run("rm keeper").ok();
    host.run("image prune -f").ok();
    assert_eq!(layers(), 0);
    assert_eq!(
        fs::read_dir(host.root().join("image/blobs/sha256")).expect("blobs").count(),
        0
    );
}

#[test]
fn digests_survive_archives_and_other_tools() {
    let host = Host::new();
    layout(&host, "small", SMALL);
    host.run("load -i small.tar").ok();
    let expected = digest(&host, "small:1");
    let index = fs::read_to_string(host.path("small/index.json")).expect("index");
    assert!(index.contains(&expected));
    for (format, compress) in [
        ("docker-archive", ""),
        ("oci-archive", "--compress zstd"),
        ("oci-archive", "--compress gzip"),
    ] {
        host.run(&format!("save {compress} --format {format} -o saved.tar small:1"))
            .ok();
        host.run("rmi small:1").ok();
        assert_eq!(host.run("load -i saved.tar").ok(), "Loaded image: small:1\n");
        assert_eq!(digest(&host, "small:1"), expected, "{format} {compress}");
    }
    let skopeo = |source: &str| host.sh(&format!("skopeo inspect --format '{{{{.Digest}}}}' {source}")).ok();
    assert_eq!(skopeo("oci:root/image:small:1"), format!("{expected}\n"));
    host.run("save --format oci-archive -o saved.oci small:1").ok();
    assert_eq!(skopeo("oci-archive:saved.oci:small:1"), format!("{expected}\n"));
    host.sh("skopeo copy -q oci:root/image:small:1 docker-archive:copied.tar:copied:3")
        .ok();
    assert_eq!(host.run("load -i copied.tar").ok(), "Loaded image: copied:3\n");
    assert_eq!(host.inside(&[], "copied:3", &[]).ok(), "hello\n");
    host.run("save -o docker.tar small:1").ok();
    host.sh("skopeo copy -q docker-archive:docker.tar:small:1 oci:from-docker:x && umoci unpack --image from-docker:x bundle")
        .ok();
    assert!(host.path("bundle/rootfs/bin/busybox").exists());
    is_sound(&host);
}

#[test]
fn a_repository_is_saved_with_all_its_tags() {
    let host = Host::new();
    layout(&host, "small", SMALL);
    host.run("load -i small.tar").ok();
    for name in ["small:2", "smaller:1", "localhost:5000/small:3", "busybox:old"] {
        host.run(&format!("tag small:1 {name}")).ok();
    }
    host.run("save -o saved.tar small localhost:5000/small busybox").ok();
    host.run("rmi -f small:1 small:2 smaller:1 localhost:5000/small:3 busybox:old")
        .ok();
    let loaded = host.run("load -i saved.tar").ok();
    let mut names: Vec<&str> = loaded.lines().map(|line| line.trim_start_matches("Loaded image: ")).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "busybox:latest",
            "busybox:old",
            "localhost:5000/small:3",
            "small:1",
            "small:2"
        ]
    );
    assert!(host.run("save -o none.tar nosuch").fails(1).contains("no such image"));
    let manifest = host.sh("skopeo inspect --raw oci:root/image:busybox:latest").ok();
    assert!(manifest.contains("tar+gzip"), "Docker before 23 reads no zstd: {manifest}");
    is_sound(&host);
}

#[test]
fn everything_is_counted_once() {
    let host = Host::new();
    host.run("create --name one busybox").ok();
    host.run("volume create data").ok();
    let counted = host.run("system fsck").ok();
    for what in ["containers", "volumes", "layers"] {
        let line = counted
            .lines()
            .find(|line| line.starts_with(what))
            .unwrap_or_else(|| panic!("{counted}"));
        assert_eq!(line.split_whitespace().nth(1), Some("1"), "{counted}");
    }
    host.run("rm one").ok();
    assert!(!host.run("system fsck").ok().contains("containers"));
}

#[test]
fn standard_input_and_output_are_archives_too() {
    let host = Host::new();
    layout(&host, "small", SMALL);
    host.sh("gzip -c small.tar | $TINYDOCK load").ok();
    host.sh("$TINYDOCK save small:1 | zstd -q | $TINYDOCK load -q").ok();
    host.sh("mkdir tree && cp /bin/busybox tree && tar -C tree -c . | $TINYDOCK import -c 'ENTRYPOINT [\"/busybox\"]' -c 'CMD [\"echo\", \"in\"]' - brought")
        .ok();
    assert_eq!(host.inside(&[], "brought", &[]).ok(), "in\n");
    is_sound(&host);
}

#[test]
fn the_platform_is_selected() {
    let host = Host::new();
    layout(
        &host,
        "many",
        "own = image('x:1', [busybox()], Cmd=['echo', 'own'])
other = image('x:1', [busybox()], architecture='riscv64', Cmd=['echo', 'other'])
index = json.dumps({'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json', 'manifests': [other, own]}).encode()
manifests[:] = [{'mediaType': 'application/vnd.oci.image.index.v1+json', 'digest': blob(index), 'size': len(index),
    'annotations': {'io.containerd.image.name': 'docker.io/library/many:1'}}]",
    );
    host.run("load -i many.tar").ok();
    assert_eq!(host.inside(&[], "many:1", &[]).ok(), "own\n");
    is_sound(&host);
    host.run("load -i many.tar --platform linux/riscv64").ok();
    assert!(host.run("image inspect many:1").ok().contains("riscv64"));
    let message = host.run("load -i many.tar --platform linux/s390x").fails(1);
    assert!(message.contains("linux/riscv64"), "{message}");
}

#[test]
fn the_same_commit_has_the_same_digest() {
    let host = Host::new();
    let commit = |name: &str, root: &str| {
        let script = format!(
            "export TINYDOCK_ROOT=$PWD/{root} SOURCE_DATE_EPOCH=1700000000; $TINYDOCK run --name {name} --network none busybox sh -c 'echo x > /x; rm /etc/passwd'
             $TINYDOCK commit -m same -c 'ENV A=b' {name} made; $TINYDOCK rm {name} > /dev/null; $TINYDOCK images --digests made"
        );
        let done = host.sh(&script).ok();
        let line = done.lines().last().expect("a line").to_string();
        line.split_whitespace().nth(2).expect("a digest").to_string()
    };
    let first = commit("one", "root");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(first, commit("two", "root-of-another"));
    let history = host.run("history made").ok();
    assert!(history.contains("same") && history.lines().count() == 3, "{history}");
    let exact = host
        .run("history --human=false --format {{.CreatedSince}},{{.Size}} made")
        .ok();
    let newest = exact.lines().next().expect("a line");
    let (time, size) = newest.split_once(',').expect("two fields");
    assert!(time.ends_with('Z') && size.parse::<u64>().is_ok(), "{exact}");
    assert!(host.run("history -H=0 made").ok().starts_with("IMAGE          CREATED AT "));
    is_sound(&host);
    host.run("save -o made.tar made").ok();
    host.sh("TINYDOCK_ROOT=$PWD/root-of-another $TINYDOCK load -i made.tar").ok();
}

/// The layer of the built-in image, and one of several compressed chunks of which some are not worth it.
#[test]
fn other_tools_read_what_was_committed() {
    let host = Host::new();
    let fill =
        "for n in 1 2 3; do cat /bin/busybox; done > /dull; dd if=/dev/urandom of=/noise bs=1M count=2; sha256sum /dull /noise";
    let sums = host
        .sh(&format!("$TINYDOCK run --name made --network none busybox sh -c '{fill}'"))
        .ok();
    host.run("commit made made:1").ok();
    host.sh("umoci unpack --image root/image:made:1 bundle").ok();
    assert_eq!(
        host.sh("cd bundle/rootfs && sha256sum dull noise").ok(),
        sums.replace("  /", "  ")
    );
    host.sh("skopeo copy -q oci:root/image:made:1 docker-archive:made.tar:copied:1")
        .ok();
    host.run("load -i made.tar").ok();
    assert_eq!(host.inside(&[], "copied:1", &["sha256sum", "/dull", "/noise"]).ok(), sums);
    is_sound(&host);
}

/// How a container was started goes into an image that is made of it, and what the image below says stays.
#[test]
fn a_commit_remembers_how_the_container_was_started() {
    let host = Host::new();
    layout(
        &host,
        "base",
        "image('base:1', [busybox()], Cmd=['true'], StopSignal='INT', Volumes={'/below': {}}, ExposedPorts={'1/tcp': {}}, Healthcheck={'Test': ['CMD', 'true']})",
    );
    host.run("load -i base.tar").ok();
    host.run("create --name plain base:1").ok();
    let flags = "--stop-signal USR1 --expose 2 --health-cmd false --health-interval 7s -v /own -l A=b";
    host.run(&format!("create --name asked {flags} base:1 echo hi")).ok();
    host.run("create --name well --no-healthcheck base:1").ok();
    let config = |name: &str| {
        host.run(&format!("commit {name} made-of-{name}")).ok();
        let inspected = host.run(&format!("image inspect made-of-{name}")).ok();
        let value: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
        value[0]["Config"].clone()
    };
    let mut below = serde_json::json!({
        "Cmd": ["true"], "StopSignal": "INT", "Volumes": {"/below": {}}, "ExposedPorts": {"1/tcp": {}}, "Healthcheck": {"Test": ["CMD", "true"]},
    });
    let has = |config: &serde_json::Value, wanted: &serde_json::Value| {
        let wanted = wanted.as_object().expect("an object").iter();
        wanted.for_each(|(key, value)| assert_eq!(config[key], *value, "{key}"));
    };
    has(&config("plain"), &below);
    let asked = config("asked");
    assert_eq!(asked["Healthcheck"]["Test"], serde_json::json!(["CMD-SHELL", "false"]));
    assert_eq!(asked["Healthcheck"]["Interval"], 7_000_000_000u64);
    let more = serde_json::json!({
        "Cmd": ["echo", "hi"], "StopSignal": "SIGUSR1", "Labels": {"A": "b"},
        "Volumes": {"/below": {}, "/own": {}}, "ExposedPorts": {"1/tcp": {}, "2/tcp": {}},
    });
    has(&asked, &more);
    // What it has of others is not its own.
    host.run("create --name sharing --volumes-from asked base:1").ok();
    has(&config("sharing"), &below);
    below["Healthcheck"] = serde_json::Value::Null;
    has(&config("well"), &below);
    is_sound(&host);
}

#[test]
fn a_commit_keeps_the_times_of_files() {
    let host = Host::new();
    let make = "touch -d '2020-01-02 03:04:05' /old; touch -d '2090-01-01 00:00:00' /future";
    host.sh(&format!("$TINYDOCK run --name made --network none busybox sh -c \"{make}\""))
        .ok();
    let commit = |name: &str| host.run(&format!("commit made {name}")).ok();
    let before = host.sh("date +%s").ok();
    let first = commit("one");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let seen = host.inside(&[], "one", &["stat", "-c", "%Y", "/old", "/future"]).ok();
    let (old, future) = seen.trim().split_once('\n').expect("two times");
    assert_eq!(old, "1577934245");
    // What is not yet cannot be.
    assert!(future.len() == 10 && future >= before.trim(), "{future} {before}");
    let created = host.run("image inspect -f {{.Created}} one").ok();
    let spelled = host.sh(&format!("date -u -d @{future} +%FT%T.000000000Z")).ok();
    assert_eq!(created, spelled);
    // All of its times are those of its files.
    host.sh("$TINYDOCK start made > /dev/null; $TINYDOCK wait made").ok();
    host.run("rm made").ok();
    host.sh("$TINYDOCK create --name again --network none busybox true").ok();
    let upper = "root/container/$(ls root/container | grep -v names)/upper";
    host.sh(&format!("cd {upper} && echo x > x && touch -d @1600000000 x .")).ok();
    let again = |name: &str| host.run(&format!("commit again {name}")).ok();
    assert_eq!(again("two"), again("three"));
    assert_ne!(first, again("two"));
    let created = host.run("image inspect -f {{.Created}} two").ok();
    assert_eq!(created, "2020-09-13T12:26:40.000000000Z\n");
}
