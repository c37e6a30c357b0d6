//! Sixty-four shells at once: every one gets what it asked for or is told why not, and no two get the same.

use std::collections::BTreeSet;

use crate::host::{Host, TINYDOCK};

const SHELLS: usize = 64;

/// Has as many shells run a script at the same moment, `$T` being tinydock and `$n` their numbers. Returns what they print and their
/// exit codes: a line `CODE OUTPUT` each, in any order.
fn at_once(host: &Host, script: &str) -> Vec<String> {
    // Whoever holds the gate's lock for itself keeps all others waiting.
    let script = format!(
        "rm -rf results && mkdir results && export T={TINYDOCK}\n\
         exec 9> gate; flock 9\n\
         for n in $(seq {SHELLS}); do n=$n sh -c 'exec 9>&-; flock -s gate true; out=$({script} 2>&1); echo $? $out > results/$n' & done\n\
         sleep 0.2; flock -u 9; wait\n\
         cat results/*"
    );
    host.sh(&script).ok().lines().map(str::to_string).collect()
}

/// The outputs of those that succeeded.
fn succeeded(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("0 ")).collect()
}

fn distinct(values: &[&str]) -> usize {
    values.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn containers_of_sixty_four_shells_share_nothing() {
    let host = Host::new();
    let run = "$T run -d -p 127.0.0.1::80 --label shell=$n busybox sleep 1000";
    let lines = at_once(&host, run);
    assert_eq!(distinct(&succeeded(&lines)), SHELLS, "{lines:#?}");
    let column = |template: &str| {
        host.sh(&format!("{TINYDOCK} inspect -f '{template}' $({TINYDOCK} ps -q)"))
            .ok()
    };
    for what in [
        "{{.Name}}",
        "{{.NetworkSettings.IPAddress}}",
        "{{.NetworkSettings.MacAddress}}",
        "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}",
        "{{.Config.Labels.shell}}",
    ] {
        let values = column(what);
        assert_eq!(distinct(&values.lines().collect::<Vec<_>>()), SHELLS, "{what}: {values}");
    }
    let created = host
        .run("events --since 0 --until 0s --filter event=create --format json")
        .ok();
    assert_eq!(created.lines().count(), SHELLS, "{created}");
    // All of them are changed, stopped, started again and removed at once as well.
    std::fs::write(host.path("all"), host.run("ps -q --no-trunc").ok()).expect("write the ids");
    for (act, left) in [
        ("update --restart on-failure:$n", SHELLS),
        ("stop -t 0", 0),
        ("start", SHELLS),
        ("rm -f", 0),
    ] {
        let lines = at_once(&host, &format!("$T {act} $(sed -n ${{n}}p all)"));
        assert_eq!(succeeded(&lines).len(), SHELLS, "{act}: {lines:#?}");
        assert_eq!(host.run("ps -q").ok().lines().count(), left, "{act}");
        if act.starts_with("update") {
            let retries = column("{{.HostConfig.RestartPolicy.MaximumRetryCount}}");
            assert_eq!(distinct(&retries.lines().collect::<Vec<_>>()), SHELLS, "{retries}");
        }
    }
    host.until_nothing_is_left();
}

#[test]
fn one_of_sixty_four_shells_gets_what_there_is_once() {
    let host = Host::new();
    for (wanted, reason) in [
        (
            "$T run -d --name one --network none busybox sleep 1000",
            "the container name `one` is already in use by",
        ),
        ("$T run -d -p 127.0.0.1:8080:80 busybox sleep 1000", "8080"),
        ("$T network create one", "one"),
    ] {
        let lines = at_once(&host, wanted);
        let (won, lost): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with("0 "));
        assert_eq!((won.len(), lost.len()), (1, SHELLS - 1), "{wanted}: {lines:#?}");
        assert!(lost.iter().all(|line| line.contains(reason)), "{wanted}: {lost:#?}");
    }
    assert_eq!(host.run("ps -q").ok().lines().count(), 2);
    // As with Docker, a container whose port was taken is there and can be started when that is free; one without a name is not.
    let left = host.run("ps -aq --filter status=created").ok();
    assert_eq!(left.lines().count(), SHELLS - 1, "{left}");
    let renamed = at_once(&host, "$T rename one other");
    assert_eq!(renamed.iter().filter(|line| line.starts_with('0')).count(), 1, "{renamed:#?}");
    host.start(&["--name", "one", "--network", "none", "busybox", "true"]);
}
