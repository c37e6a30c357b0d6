//! Networks, which engines give to a runtime as a namespace or fill in a hook.

use crate::engine::{Engine, for_both};
use crate::host::until;

for_both!(a_server_is_reached, namespaces_are_shared);

fn a_server_is_reached(engine: &Engine) {
    let script = "mkdir /www; echo hello > /www/index.html; exec httpd -f -h /www";
    engine
        .ask(&[
            "run",
            "-d",
            "--name",
            "web",
            "-p",
            "127.0.0.1:18080:80",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .ok();
    let fetch = "busybox wget -q -O - http://127.0.0.1:18080/";
    until("an answer", || engine.host.sh(fetch).stdout == "hello\n");
    let address = engine.inspect("web", ".NetworkSettings.IPAddress");
    let ask = format!("wget -q -O - http://{address}/; cat /etc/hosts | wc -l");
    let answer = engine.ask(&["run", "--rm", "busybox", "sh", "-c", &ask]).ok();
    assert!(answer.starts_with("hello\n"), "{answer}");
    engine.line("restart -t 0 web").ok();
    until("an answer", || engine.host.sh(fetch).stdout == "hello\n");
}

fn namespaces_are_shared(engine: &Engine) {
    engine.start("web", &["--ipc", "shareable"], "sleep 1000");
    let namespaces = "for n in ipc mnt net pid uts; do readlink /proc/self/ns/$n; done";
    let web = engine.exec("web", namespaces).ok();
    let join = [
        "run",
        "--rm",
        "--network",
        "container:web",
        "--pid",
        "container:web",
        "--ipc",
        "container:web",
    ];
    let joined = engine.ask(&[&join[..], &["busybox", "sh", "-c", namespaces]].concat()).ok();
    let host = engine.host.sh(namespaces).ok();
    let join = [
        "run",
        "--rm",
        "--network",
        "host",
        "--pid",
        "host",
        "--ipc",
        "host",
        "--uts",
        "host",
    ];
    let wide = engine.ask(&[&join[..], &["busybox", "sh", "-c", namespaces]].concat()).ok();
    let same = |one: &str, other: &str| -> Vec<bool> { one.lines().zip(other.lines()).map(|(one, other)| one == other).collect() };
    assert_eq!(same(&web, &joined), [true, false, true, true, false]);
    assert_eq!(same(&host, &wide), [true, false, true, true, true]);
    assert_eq!(same(&host, &web), [false; 5]);
}
