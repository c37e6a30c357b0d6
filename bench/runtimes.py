"""The OCI runtimes: each does the same with one and the same bundle, and two tools that do less show what the kernel takes."""

import json
import os
import shutil
import subprocess
import time

from engines import NOWHERE, TINYDOCK, quietly
from turns import Turns, timed

MIB = 1 << 20
# The names of containers, which are those of cgroups too.
RUN, SLEEPER = "tinydock-bench-run", "tinydock-bench-sleeper"


class Bundle:
    """A prepared bundle: busybox, and the configuration that `tinydock runtime spec` gives, without a terminal."""

    def __init__(self, path, rootfs_tar):
        self.path = path
        self.root = os.path.join(path, "rootfs")
        os.makedirs(self.root)
        quietly(["tar", "-xf", rootfs_tar, "-C", self.root])
        quietly([TINYDOCK, "runtime", "spec", "--bundle", path])
        self.file = os.path.join(path, "config.json")
        with open(self.file) as file:
            self.original = json.load(file)
        # crun 1.8 knows no later version, and nothing in the configuration needs one.
        self.original["ociVersion"] = "1.0.2"
        self.write("/bin/true")

    def write(self, *arguments, memory=None):
        config = json.loads(json.dumps(self.original))
        config["process"].update(args=list(arguments), terminal=False)
        if memory:
            config["linux"]["resources"]["memory"] = {"limit": memory}
        with open(self.file, "w") as file:
            json.dump(config, file)


class OciRuntime:
    """Methods return command lines, or None for what it cannot do."""

    def __init__(self, name, program, directory, bundle):
        self.name = name
        self.program = program[0]
        self.bundle = bundle
        self.state = os.path.join(directory, name)
        self.base = [*program, "--root", self.state]

    def run(self, name):
        return [*self.base, "run", "--bundle", self.bundle.path, name]

    def run_detached(self, name):
        return [*self.base, "run", "--detach", "--bundle", self.bundle.path, name]

    def create(self, name, pid_file):
        return [*self.base, "create", "--bundle", self.bundle.path, "--pid-file", pid_file, name]

    def start(self, name):
        return [*self.base, "start", name]

    def delete(self, name, *flags):
        return [*self.base, "delete", *flags, name]

    def execute(self, name):
        return [*self.base, "exec", name, "/bin/true"]

    def pid(self, name):
        state = subprocess.run([*self.base, "state", name], check=True, capture_output=True)
        return json.loads(state.stdout)["pid"]


class Bubblewrap:
    """A sandbox with the namespaces and, but for sysfs and cgroups, the mounts of the bundle. It has no containers to enter."""

    name = program = "bwrap"

    def __init__(self, bundle):
        self.bundle = bundle

    def run(self, _):
        return ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup", "--as-pid-1",
                "--ro-bind", self.bundle.root, "/", "--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue", "/bin/true"]


class Nsenter:
    """Joins the namespaces of a process, and nothing else: neither its cgroups nor its limits."""

    name = program = "nsenter"

    def __init__(self, pid):
        self.command = ["nsenter", "--all", "--target", str(pid), "/bin/true"]

    def execute(self, _):
        return self.command


class RuntimeRows(Turns):
    COLUMNS = ["tinydock", "crun", "runc", "bwrap", "nsenter"]

    def __init__(self, directory, rootfs_tar, runs):
        super().__init__(runs)
        self.bundle = Bundle(os.path.join(directory, "bundle"), rootfs_tar)
        # /run, where the states of containers are kept, is such a file system on most hosts.
        self.state = os.path.join(directory, "state")
        os.mkdir(self.state)
        quietly(["mount", "-t", "tmpfs", "tmpfs", self.state])
        self.calls = os.path.join(directory, "runtime-calls")
        self.pid_file = os.path.join(directory, "pid")
        self.runtimes, self.sandboxes = [], []
        for name, program in (("tinydock", [TINYDOCK, "runtime"]), ("crun", ["crun"]), ("runc", ["runc"])):
            if self.has(name, program[0]):
                self.runtimes.append(OciRuntime(name, program, self.state, self.bundle))
        if self.has("bwrap", "bwrap"):
            self.sandboxes.append(Bubblewrap(self.bundle))

    def has(self, name, program):
        if not shutil.which(program):
            self.notes.append(f"{name} is not installed")
        return shutil.which(program)

    def run_warm(self, row):
        self.bundle.write("/bin/true")
        return self.in_turn(row, [(kind, kind.run(RUN)) for kind in self.runtimes + self.sandboxes])

    def run_cold(self, row):
        """As if it were the first since the machine started: neither the programs nor the root file system are in memory."""
        self.bundle.write("/bin/true")
        # What is not on disk yet stays in memory.
        os.sync()
        kinds = self.runtimes + self.sandboxes
        forget = self.forgetting(row, [os.path.join(self.bundle.root, "bin/busybox"), *(shutil.which(kind.program) for kind in kinds)])
        return self.in_turn(row, [(kind, kind.run(RUN)) for kind in kinds], before=forget)

    def forgetting(self, row, files):
        """What takes files out of memory: all that can be, or else these alone."""
        try:
            drop_caches()
            self.notes.append(f"{row}: after `echo 3 > /proc/sys/vm/drop_caches`")
            return drop_caches
        except OSError:
            self.notes.append(f"{row}: after posix_fadvise(POSIX_FADV_DONTNEED) of the programs and of busybox")
            return lambda: [drop(file) for file in files]

    def three_commands(self, row):
        """Milliseconds of create, start and delete together. That the command ends is waited for, but not measured."""
        self.bundle.write("/bin/true")

        def measure(runtime):
            elapsed = timed(runtime.create(RUN, self.pid_file)) + timed(runtime.start(RUN))
            with open(self.pid_file) as file:
                await_end(int(file.read()))
            return elapsed + timed(runtime.delete(RUN))

        return self.measure_in_turn(row, [(runtime, measure) for runtime in self.runtimes])

    def execute(self, row):
        return self.with_sleepers(lambda kinds: self.in_turn(row, [(kind, kind.execute(SLEEPER)) for kind in kinds]))

    def with_sleepers(self, measure):
        """Measures while each runtime has a container that runs. nsenter enters the first of them."""
        self.bundle.write("/bin/sleep", "1000")
        try:
            for runtime in self.runtimes:
                timed(runtime.run_detached(SLEEPER))
            return measure([*self.runtimes, Nsenter(self.runtimes[0].pid(SLEEPER))])
        finally:
            for runtime in self.runtimes:
                subprocess.run(runtime.delete(SLEEPER, "--force"), **NOWHERE)

    def least_memory(self, _):
        """KiB of the smallest `linux.resources.memory.limit` under which a container starts and its command succeeds, five times."""
        return {runtime.name: [self.bisect(runtime) // 1024] for runtime in self.runtimes}

    def bisect(self, runtime):
        page = os.sysconf("SC_PAGESIZE")
        fails, works = 0, 64 * MIB // page
        if not self.starts_below(runtime, works * page):
            raise RuntimeError(f"{runtime.name} does not start with 64 MiB")
        while works - fails > 1:
            middle = (fails + works) // 2
            if self.starts_below(runtime, middle * page):
                works = middle
            else:
                fails = middle
        return works * page

    def starts_below(self, runtime, limit):
        self.bundle.write("/bin/true", memory=limit)
        return all(self.starts(runtime) for _ in range(5))

    def starts(self, runtime):
        try:
            done = subprocess.run(runtime.run(RUN), timeout=10, **NOWHERE).returncode == 0
        except subprocess.TimeoutExpired:
            done = False
        if not done:
            subprocess.run(runtime.delete(RUN, "--force"), **NOWHERE)
        return done

    def calls_of_run(self, _):
        self.bundle.write("/bin/true")
        return {kind.name: [self.count_calls(kind.run(RUN))] for kind in self.runtimes + self.sandboxes}

    def calls_of_exec(self, _):
        return self.with_sleepers(lambda kinds: {kind.name: [self.count_calls(kind.execute(SLEEPER))] for kind in kinds})

    def count_calls(self, command):
        """How many system calls a command makes, in all the processes that it starts."""
        subprocess.run(["strace", "-f", "-qq", "-c", "-o", self.calls, *command], check=True, **NOWHERE)
        with open(self.calls) as file:
            total = [line.split() for line in file if line.rstrip().endswith(" total")]
        return int(total[-1][3])

    def tear_down(self):
        for runtime in self.runtimes:
            for name in (RUN, SLEEPER):
                if os.path.exists(os.path.join(runtime.state, name)):
                    subprocess.run(runtime.delete(name, "--force"), **NOWHERE)
        quietly(["umount", self.state])


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def drop(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def await_end(pid):
    """Waits for a process that became our child, since we are the first process here, or is somebody else's."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.001)
