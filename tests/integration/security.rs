//! What a container is refused, tried for real.

use crate::host::Host;

/// Makes calls that a container has no use for, and prints what became of each; with an argument, prints whose power it has.
const CALLS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell(const char *what, long result) {
    printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

/* The way of 32-bit programs, which 64-bit ones can take as well. */
static void tell_32(const char *what, long number, long argument) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(argument), "c"(0), "d"(0), "S"(0), "D"(0) : "memory");
    printf("32-bit %s %s\n", what, result < 0 ? strerrorname_np(-result) : "done");
}

int main(int count, char **words) {
    if (count > 1) {
        printf("user %d\n", geteuid());
        return 0;
    }
    tell("socket", socket(AF_INET, SOCK_DGRAM, 0));
    tell("socket AF_ALG", socket(38, SOCK_SEQPACKET, 0));
    tell("socket AF_VSOCK", socket(40, SOCK_STREAM, 0));
    tell("unshare user", unshare(CLONE_NEWUSER));
    tell("clone user", syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0));
    tell("clone3", syscall(SYS_clone3, 0, 0));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, 0));
    tell("userfaultfd", syscall(323, 1));
    tell("bpf", syscall(SYS_bpf, 0, 0, 0));
    tell("fsopen", syscall(430, "tmpfs", 0));
    tell("a call of the future", syscall(600));
    tell("x32 getpid", syscall(0x40000000 + SYS_getpid));
    tell_32("getpid", 20, 0);
    tell_32("mount", 21, 0);
    tell_32("unshare user", 310, CLONE_NEWUSER);
    tell_32("keyctl", 288, 0);
    return 0;
}
"#;

/// Runs a command in a new busybox container without network.
#[track_caller]
fn inside(host: &Host, flags: &[&str], command: &[&str]) -> String {
    host.inside(flags, "busybox", command).ok()
}

#[test]
fn s5_10_calls_that_a_container_has_no_use_for_are_refused() {
    let host = Host::new();
    let volume = host.compile("calls", CALLS);
    let expected = "socket done\nsocket AF_ALG EPERM\nsocket AF_VSOCK EPERM\nunshare user EPERM\nclone user EPERM\nclone3 ENOSYS\n\
         keyctl EPERM\nio_uring_setup EPERM\nuserfaultfd EPERM\nbpf EPERM\nfsopen EPERM\na call of the future ENOSYS\n\
         x32 getpid ENOSYS\n32-bit getpid done\n32-bit mount EPERM\n32-bit unshare user EPERM\n32-bit keyctl EPERM\n";
    assert_eq!(inside(&host, &["-v", &volume], &["/tools/calls"]), expected);
    assert_eq!(inside(&host, &["-v", &volume, "-u", "1000"], &["/tools/calls"]), expected);
    let id = host.start(&["--network", "none", "-v", &volume, "busybox", "sleep", "1000"]);
    assert_eq!(
        host.tinydock(&["exec", &id, "/tools/calls"]).ok(),
        expected,
        "exec is filtered as run is"
    );
}

#[test]
fn the_filter_can_be_left_out() {
    let host = Host::new();
    let volume = host.compile("calls", CALLS);
    let printed = inside(
        &host,
        &["-v", &volume, "--security-opt", "seccomp=unconfined"],
        &["/tools/calls"],
    );
    assert!(
        printed.contains("\nkeyctl done\n") && printed.contains("\nunshare user done\n"),
        "{printed}"
    );
    let status = inside(
        &host,
        &["--security-opt", "seccomp=unconfined"],
        &["grep", "Seccomp:", "/proc/self/status"],
    );
    assert_eq!(status, "Seccomp:\t0\n");
}

/// Makes calls that a profile says something about, and prints what became of each.
const JUDGED: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void trapped(int signal, siginfo_t *info, void *context) {
    printf("trapped %d\n", info->si_syscall);
}

static void tell(const char *what, long result) {
    printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

int main(int count, char **words) {
    struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
    sigaction(SIGSYS, &action, 0);
    setvbuf(stdout, 0, _IONBF, 0);
    tell("getpgid 0", syscall(SYS_getpgid, 0L));
    tell("getpgid 1 << 32", syscall(SYS_getpgid, 1L << 32));
    tell("lseek and", syscall(SYS_lseek, -1L, 1L, 2L));
    tell("lseek not and", syscall(SYS_lseek, -1L, 1L, 1L));
    tell("umask masked", syscall(SYS_umask, 0x72L));
    tell("umask other", syscall(SYS_umask, 0x62L));
    tell("getppid", syscall(SYS_getppid));
    tell("getsid", syscall(SYS_getsid, 0L));
    tell("traced", syscall(SYS_sync));
    tell("chroot", chroot("/"));
    tell("a call of the future", syscall(600));
    syscall(SYS_getpgrp);
    if (count > 1) {
        syscall(SYS_times, 0L);
        printf("alive\n");
    }
    return 0;
}
"#;

const PROFILE: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
  "flags": ["SECCOMP_FILTER_FLAG_LOG"],
  "syscalls": [
    {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
     "args": [{"index": 0, "value": 4294967296, "op": "SCMP_CMP_GE"}]},
    {"names": ["lseek"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
     "args": [{"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 1, "op": "SCMP_CMP_NE"}]},
    {"names": ["umask"], "action": "SCMP_ACT_ERRNO",
     "args": [{"index": 0, "value": 240, "valueTwo": 112, "op": "SCMP_CMP_MASKED_EQ"}]},
    {"names": ["getppid"], "action": "SCMP_ACT_LOG"},
    {"names": ["getsid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "excludes": {"caps": ["CAP_CHOWN"]}},
    {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "includes": {"caps": ["CAP_CHOWN"]}},
    {"names": ["sync"], "action": "SCMP_ACT_TRACE"},
    {"names": ["getpgrp"], "action": "SCMP_ACT_TRAP"},
    {"names": ["times"], "action": "SCMP_ACT_KILL_PROCESS"}
  ]
}"#;

#[test]
fn calls_are_judged_as_a_profile_says() {
    let host = Host::new();
    let volume = host.compile("judged", JUDGED);
    let profile = host.path("profile.json");
    std::fs::write(&profile, PROFILE).unwrap();
    let option = format!("seccomp={}", profile.display());
    let flags = ["-v", &volume, "--security-opt", &option];
    let expected = "getpgid 0 done\ngetpgid 1 << 32 EOPNOTSUPP\nlseek and ENOSPC\nlseek not and EBADF\numask masked EPERM\n\
         umask other done\ngetppid done\ngetsid done\ntraced ENOSYS\nchroot EACCES\na call of the future ENOSYS\ntrapped 111\n";
    assert_eq!(inside(&host, &flags, &["/tools/judged"]), expected);
    assert_eq!(host.inside(&flags, "busybox", &["/tools/judged", "killed"]).fails(159), "");
    let dropped = inside(&host, &[&flags[..], &["--cap-drop", "CHOWN"]].concat(), &["/tools/judged"]);
    assert!(
        dropped.contains("\ngetsid EACCES\n") && dropped.contains("\nchroot done\n"),
        "{dropped}"
    );
    let id = host.start(&[&flags[..], &["--network", "none", "busybox", "sleep", "1000"]].concat());
    std::fs::remove_file(&profile).unwrap();
    let exec = host.tinydock(&["exec", &id, "/tools/judged"]).ok();
    assert_eq!(exec, expected, "the container keeps its profile");
}

#[test]
fn a_profile_that_makes_no_sense_is_refused() {
    let host = Host::new();
    let path = host.path("profile.json");
    let allow = r#"{"names": ["prctl"], "action": "SCMP_ACT_ALLOW"}"#;
    let wrong = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 7, "value": 0, "op": "SCMP_CMP_EQ"}]}"#;
    let profile = |rules: &[&str]| format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{}]}}"#, rules.join(","));
    for (text, what) in [
        ("{".into(), "EOF while parsing an object"),
        (
            profile(&[allow, wrong]),
            "`syscalls[1].args[0].index`: a system call has six arguments",
        ),
        (
            profile(&[allow]),
            "`setgroups` is not allowed, and starting a container takes it",
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let line = format!("run --rm --security-opt seccomp={} busybox true", path.display());
        let error = host.run(&line).fails(125);
        assert!(
            error.contains(&format!("seccomp profile `{}`: ", path.display())) && error.contains(what),
            "{error}"
        );
    }
}

#[test]
fn capabilities_are_added_and_dropped() {
    let host = Host::new();
    let sets = |flags: &[&str]| {
        inside(
            &host,
            flags,
            &["sh", "-c", "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f2 | uniq"],
        )
    };
    assert_eq!(sets(&[]), "00000000a80425fb\n");
    assert_eq!(sets(&["--cap-drop", "ALL"]), "0000000000000000\n");
    assert_eq!(sets(&["--cap-drop", "all", "--cap-add", "chown"]), "0000000000000001\n");
    assert_eq!(sets(&["--cap-add", "CAP_SYS_ADMIN"]), "00000000a82425fb\n");
    let mounted = ["sh", "-c", "mount -t tmpfs none /tmp && touch /tmp/there && ls /tmp"];
    assert_eq!(
        inside(&host, &["--cap-add", "SYS_ADMIN"], &mounted),
        "there\n",
        "the filter follows the capabilities"
    );
    let id = host.start(&["--network", "none", "--cap-drop", "ALL", "busybox", "sleep", "1000"]);
    let exec = host.tinydock(&["exec", &id, "grep", "CapBnd", "/proc/self/status"]).ok();
    assert_eq!(exec, "CapBnd:\t0000000000000000\n", "exec has no more than the container");
    let error = host.run("run --rm --cap-add FLY busybox true").fails(125);
    assert!(error.contains("unknown capability `FLY`"), "{error}");
    let error = host.run("run --rm --security-opt locks=open busybox true").fails(125);
    assert!(error.contains("unknown security option `locks=open`"), "{error}");
}

/// A capability that this process has not got is not a reason to fail (the user may have asked for `ALL`), but it is said.
#[test]
fn what_we_have_not_got_is_said_and_not_given() {
    let host = Host::new();
    let done = host.sh("setpriv --bounding-set -sys_time $TINYDOCK run --rm --network none --cap-add SYS_TIME busybox grep CapBnd /proc/self/status");
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "CapBnd:\t00000000a80425fb\n"),
        "{done:?}"
    );
    assert!(done.stderr.contains("has not got CAP_SYS_TIME itself"), "{}", done.stderr);
}

#[test]
fn a_set_user_id_program_gives_nothing_if_so_asked() {
    let host = Host::new();
    let volume = host.compile("calls", CALLS);
    let script = "cp /tools/calls /tmp/id && chmod 4755 /tmp/id && exec su -s /bin/sh nobody -c '/tmp/id user'";
    let flags = ["-v", &volume, "--security-opt", "no-new-privileges"];
    assert_eq!(inside(&host, &flags[..2], &["sh", "-c", script]), "user 0\n");
    assert_eq!(inside(&host, &flags, &["sh", "-c", script]), "user 65534\n");
}

#[test]
fn limits_of_processes_are_set_for_run_and_exec() {
    let host = Host::new();
    let limits = "ulimit -n; ulimit -Hn; ulimit -c";
    let flags = ["--ulimit", "nofile=100:200", "--ulimit", "core=0"];
    assert_eq!(inside(&host, &flags, &["sh", "-c", limits]), "100\n200\n0\n");
    let id = host.start(&[&flags[..], &["--network", "none", "busybox", "sleep", "1000"]].concat());
    assert_eq!(host.tinydock(&["exec", &id, "sh", "-c", limits]).ok(), "100\n200\n0\n");
    let error = host.run("run --rm --ulimit files=3 busybox true").fails(125);
    assert!(error.contains("no resource is named `files`"), "{error}");
    // Who may not raise a limit gives what it has.
    let script = "ulimit -n 500; setpriv --bounding-set -sys_resource --inh-caps -sys_resource \
         $TINYDOCK run --rm --network none --ulimit nofile=600:700 busybox sh -c 'ulimit -Hn'";
    let done = host.sh(script);
    assert_eq!((done.code, done.stdout.as_str()), (0, "500\n"), "{done:?}");
    assert!(done.stderr.contains("may not raise `nofile`"), "{}", done.stderr);
}

#[test]
fn settings_of_the_containers_own_namespaces_are_changed() {
    let host = Host::new();
    host.run("network create --subnet 172.31.7.0/24 sysctl").ok();
    let setting = "net.ipv4.conf.eth0.rp_filter=2";
    let flags = ["--network", "sysctl", "--sysctl", setting, "--sysctl", "kernel.shmmni=17"];
    let read = "cat /proc/sys/net/ipv4/conf/eth0/rp_filter /proc/sys/kernel/shmmni; \
         (echo 1 > /proc/sys/kernel/shmmni) 2>/dev/null || echo read-only";
    assert_eq!(inside(&host, &flags, &["sh", "-c", read]), "2\n17\nread-only\n");
    for (flags, what) in [
        ("--sysctl kernel.core_pattern=x", "a setting of the whole host"),
        ("--network host --sysctl net.ipv4.ip_forward=1", "of its own to change"),
        ("--sysctl net.//.kernel.core_pattern=x", "no name of a setting"),
    ] {
        let error = host.run(&format!("run --rm {flags} busybox true")).fails(125);
        assert!(error.contains(what), "{error}");
    }
    let error = host
        .run("run --rm --network none --sysctl net.no.such=1 busybox true")
        .fails(125);
    assert!(error.contains("net/no/such"), "{error}");
    host.run("network rm sysctl").ok();
}

#[test]
fn processes_are_limited_by_default() {
    let host = Host::new();
    let read = "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max";
    assert_eq!(inside(&host, &[], &["sh", "-c", read]), "4096\n");
    assert_eq!(inside(&host, &["--pids-limit", "-1"], &["sh", "-c", read]), "max\n");
}
