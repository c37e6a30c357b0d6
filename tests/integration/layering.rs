//! Layers, volumes and commits.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::host::Host;

#[test]
fn a_container_writes_only_its_own_layer() {
    let host = Host::new();
    host.tinydock(&[
        "run",
        "--network",
        "none",
        "--name",
        "one",
        "busybox",
        "sh",
        "-c",
        "echo x > /x; rm /etc/passwd",
    ])
    .ok();
    assert_eq!(
        host.tinydock(&[
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            "ls /x /etc/passwd 2>/dev/null; true"
        ])
        .ok(),
        "/etc/passwd\n"
    );
}

#[test]
fn a_commit_keeps_exactly_what_changed() {
    let host = Host::new();
    let script = "echo new > /new; rm /etc/passwd; mkdir -p /d/e; ln -s new /link; ln /new /hard; chmod 4711 /new; rm -r /var; mkdir /var; mkfifo /pipe; chown 5:6 /d";
    host.tinydock(&["run", "--name", "cc", "--network", "none", "busybox", "sh", "-c", script])
        .ok();
    host.run("commit cc changed").ok();
    let look = "cat /new; test -e /etc/passwd || echo gone; readlink /link; stat -c '%a %h' /new; ls /var; stat -c %u:%g /d; test -p /pipe && echo pipe";
    let seen = host
        .tinydock(&["run", "--rm", "--network", "none", "changed", "sh", "-c", look])
        .ok();
    assert_eq!(seen, "new\ngone\nnew\n4711 2\n5:6\npipe\n");
    host.run("rm cc").ok();
    assert_eq!(
        host.tinydock(&["run", "--rm", "--network", "none", "changed", "cat", "/new"])
            .ok(),
        "new\n"
    );
    assert!(host.run("images").ok().contains("changed"));
}

#[test]
fn a_running_container_is_committed() {
    let host = Host::new();
    host.start(&[
        "--name",
        "live",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo a > /a; sleep 100",
    ]);
    crate::host::until("the file is written", || host.run("exec live cat /a").stdout == "a\n");
    host.run("commit live image-of-live").ok();
    assert_eq!(host.status("live"), "running");
    assert_eq!(host.run("exec live cat /a").ok(), "a\n");
    assert_eq!(host.run("run --rm --network none image-of-live cat /a").ok(), "a\n");
}

#[test]
fn commits_stack_up() {
    let host = Host::new();
    let mut image = "busybox".to_string();
    for n in 0..12 {
        let name = format!("layer{n}");
        host.tinydock(&[
            "run",
            "--name",
            &name,
            "--network",
            "none",
            &image,
            "sh",
            "-c",
            &format!("echo {n} > /f{n}"),
        ])
        .ok();
        host.tinydock(&["commit", &name, &name]).ok();
        host.tinydock(&["rm", &name]).ok();
        image = name;
    }
    assert_eq!(
        host.tinydock(&["run", "--rm", "--network", "none", &image, "sh", "-c", "cat /f* | wc -l"])
            .ok(),
        "12\n"
    );
}

#[test]
fn volumes_are_folders_or_files_of_the_host() {
    let host = Host::new();
    let (folder, file) = (host.path("new/folder"), host.path("file"));
    fs::write(&file, "from the host").expect("write");
    let volumes = [
        format!("{}:/data", folder.display()),
        format!("{}:/etc/settings:ro", file.display()),
    ];
    let script = "cat /etc/settings; echo hello > /data/f; echo x > /etc/settings";
    let done = host.tinydock(&[
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        &volumes[0],
        "-v",
        &volumes[1],
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert!(
        done.stdout == "from the host" && done.stderr.contains("Read-only"),
        "{done:?}"
    );
    assert_eq!(fs::read_to_string(folder.join("f")).expect("the volume's file"), "hello\n");
    for bad in ["./a b:/data:rx", "n@me:/data", "/a:relative", "/a:/b:rx"] {
        let message = host.tinydock(&["run", "--rm", "-v", bad, "busybox", "true"]).fails(125);
        assert!(message.contains(bad.split(':').next().expect("a part")), "{message}");
    }
}

#[test]
fn no_symbolic_link_of_an_image_leads_a_volume_out() {
    let host = Host::new();
    let outside = host.path("outside");
    fs::create_dir(&outside).expect("make");
    let link = format!(
        "ln -s {0} /abs; ln -s ../../../../../../..{0} /rel; ln -s /proc/1/root{0} /magic",
        outside.display()
    );
    host.tinydock(&["run", "--name", "cc", "--network", "none", "busybox", "sh", "-c", &link])
        .ok();
    host.run("commit cc evil").ok();
    let source = host.path("source");
    for target in ["/abs/deep/x", "/rel/deep/x", "/abs", "/magic/x"] {
        let volume = format!("{}:{target}", source.display());
        host.tinydock(&["run", "--rm", "--network", "none", "-v", &volume, "-w", "/", "evil", "true"]);
        host.tinydock(&["run", "--rm", "--network", "none", "-w", target, "evil", "true"]);
        assert_eq!(fs::read_dir(&outside).expect("list").count(), 0, "{target}");
    }
    assert_eq!(fs::metadata(&outside).expect("there").nlink(), 2);
}

#[test]
fn a_source_that_is_a_link_of_the_host_is_followed() {
    let host = Host::new();
    fs::create_dir(host.path("real")).expect("make");
    fs::write(host.path("real/f"), "f").expect("write");
    symlink(host.path("real"), host.path("link")).expect("link");
    let volume = format!("{}:/data", host.path("link").display());
    assert_eq!(
        host.tinydock(&["run", "--rm", "--network", "none", "-v", &volume, "busybox", "cat", "/data/f"])
            .ok(),
        "f"
    );
}
