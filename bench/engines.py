"""How each engine is asked to do the same things."""

import glob
import json
import os
import shutil
import subprocess
import time

TINYDOCK = os.environ.get("TINYDOCK_BIN", "target/tinydock")
NOWHERE = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def quietly(command):
    """Runs a command that must succeed. What it writes is shown only if it does not."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()[-300:]}")


class Engine:
    """An engine of a full kind: images, networks, names. Methods return command lines, or None for what it cannot do."""

    name = ""
    # The executable of the process that stays with each container.
    resident = ""
    # Those of the processes that stay when there is no container.
    daemons = ()
    # How many detached containers are enough to measure one.
    crowd = 100
    # Whether it starts a thousand containers in less than a few minutes.
    takes_many = False

    def __init__(self, directory):
        self.directory = os.path.join(directory, self.name)
        # What dies with the boot is in memory, as /run is on most hosts.
        self.run_directory = os.path.join(directory, "run", self.name)
        os.makedirs(self.directory)
        os.makedirs(self.run_directory)

    def command(self, *arguments):
        return [*self.base, *arguments]

    def set_up(self, rootfs_tar):
        """Makes the image `busybox`."""
        quietly(self.command("import", rootfs_tar, "busybox"))

    def tear_down(self):
        pass

    def run(self, network=True, image="busybox", number=0):
        return self.command("run", "--rm", *self.flags, *([] if network else ["--network", "none"]), image, "true")

    def start(self, name, *command):
        return self.command("run", "-d", "--name", name, *self.flags, "--network", "none", "busybox", *(command or ["sleep", "1000"]))

    def execute(self, name):
        return self.command("exec", name, "true")

    def enter(self, process):
        return None

    def remove(self, name):
        return self.command("rm", "-f", name)

    def wait(self, name):
        return self.command("wait", name)

    def commit(self, name, image):
        return self.command("commit", name, image)

    def list(self):
        return self.command("ps", "-a")

    def version(self):
        return None

    def load(self, tarball, image):
        return self.command("import", tarball, image)

    def pull(self, image):
        return self.command("pull", "-q", image)

    def load_image(self, archive):
        return self.command("load", "-q", "-i", archive)

    def forget(self, image):
        """Removes an image, so that it can be pulled anew."""
        subprocess.run(self.command("rmi", "-f", image), **NOWHERE)

    flags = []


class Tinydock(Engine):
    name = "tinydock"
    resident = "memfd:tinydock-monitor"
    daemons = ("memfd:tinydock-monitor", "tinydock")
    takes_many = True

    def __init__(self, directory):
        super().__init__(directory)
        self.base = [TINYDOCK, "--root", self.directory]
        os.environ["TINYDOCK_RUN"] = self.run_directory

    def set_up(self, rootfs_tar):
        quietly(self.run(network=False))

    def tear_down(self):
        # The directories above all containers of this root stay for its next one, but there will be none.
        for path in glob.glob("/sys/fs/cgroup/tinydock-*") + glob.glob("/sys/fs/cgroup/*/tinydock-*"):
            # It fails where it must: for those of other roots, whose containers are in them.
            subprocess.run(["rmdir", path], **NOWHERE)

    def load(self, tarball, image):
        registry = os.path.join(self.directory, "image/registry")
        os.makedirs(registry, exist_ok=True)
        return ["cp", tarball, os.path.join(registry, f"{image}.tar.gz")]

    def wait(self, name):
        return self.command("logs", "-f", name)

    def forget(self, image):
        super().forget(image)
        quietly(self.command("image", "prune", "-f"))

    def process(self, name):
        """The number of a container's first process."""
        inspect = self.command("inspect", "--format", "{{.State.Pid}}", name)
        return subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()

    def version(self):
        return [TINYDOCK, "--version"]


class Podman(Engine):
    name = "podman"
    resident = "conmon"
    daemons = ("conmon", "podman")
    crowd = 10
    # Raising limits needs a capability that root does not have everywhere.
    flags = ["--ulimit", "host"]

    def __init__(self, directory):
        super().__init__(directory)
        place = lambda name: os.path.join(self.directory, name)
        run = lambda name: os.path.join(self.run_directory, name)
        self.base = ["podman", "--root", place("storage"), "--runroot", run("run"), "--tmpdir", run("tmp"),
                     "--network-config-dir", place("networks"), "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
                     "--events-backend", "file"]

    def remove(self, name):
        return self.command("rm", "-f", "-t", "0", name)

    def pull(self, image):
        return self.command("pull", "-q", "--tls-verify=false", image)


class Docker(Engine):
    name = "docker"
    resident = "containerd-shim"
    daemons = ("containerd-shim", "containerd", "dockerd")
    crowd = 10

    def __init__(self, directory):
        super().__init__(directory)
        self.socket = "unix://" + os.path.join(self.directory, "socket")
        self.base = ["docker", "-H", self.socket]

    def set_up(self, rootfs_tar):
        place = lambda name: os.path.join(self.directory, name)
        log = open(place("log"), "w")
        self.daemon = subprocess.Popen(
            ["dockerd", "--data-root", place("data"), "--exec-root", os.path.join(self.run_directory, "exec"), "--pidfile", place("pid"), "--host", self.socket,
             "--ip6tables=false", "--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs",
             "--bip", "172.30.0.1/16"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(300):
            if subprocess.run(self.command("version"), **NOWHERE).returncode == 0:
                break
            time.sleep(0.1)
        super().set_up(rootfs_tar)

    def tear_down(self):
        self.daemon.terminate()
        self.daemon.wait(30)


class Runtime(Engine):
    """An OCI runtime: it runs a prepared bundle, and knows neither images nor networks."""

    def set_up(self, rootfs_tar):
        self.base = [self.name, "--root", os.path.join(self.run_directory, "state")]
        for word, arguments in (("true", ["/bin/true"]), ("sleep", ["/bin/sleep", "1000"])):
            bundle = os.path.join(self.directory, word)
            os.makedirs(os.path.join(bundle, "rootfs"))
            quietly(["tar", "-xf", rootfs_tar, "-C", os.path.join(bundle, "rootfs")])
            subprocess.run([self.name, "spec"], cwd=bundle, check=True)
            with open(os.path.join(bundle, "config.json"), "r+") as file:
                config = json.load(file)
                config["process"].update(args=arguments, terminal=False)
                config["process"].pop("rlimits", None)
                file.seek(0)
                file.truncate()
                json.dump(config, file)

    def run(self, network=True, image="busybox", number=0):
        if network or image != "busybox":
            return None
        return self.command("run", "--bundle", os.path.join(self.directory, "true"), f"bench-{self.name}-{number}")

    def start(self, name, *command):
        return None if command else self.command("run", "--detach", "--bundle", os.path.join(self.directory, "sleep"), name)

    def execute(self, name):
        return self.command("exec", name, "/bin/true")

    def remove(self, name):
        return self.command("delete", "--force", name)

    def load(self, tarball, image):
        return None

    def commit(self, name, image):
        return None

    def pull(self, image):
        return None

    def list(self):
        return self.command("list")


class Crun(Runtime):
    name = "crun"
    takes_many = True


class Runc(Runtime):
    name = "runc"


class Bubblewrap(Runtime):
    """A sandbox: namespaces and mounts, and nothing that stays."""

    name = "bwrap"

    def set_up(self, rootfs_tar):
        self.root = os.path.join(self.directory, "rootfs")
        os.makedirs(self.root)
        quietly(["tar", "-xf", rootfs_tar, "-C", self.root])

    def run(self, network=True, image="busybox", number=0):
        if network or image != "busybox":
            return None
        return ["bwrap", "--unshare-all", "--bind", self.root, "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]

    def start(self, name, *command):
        return None


class SkopeoAndUmoci:
    """No engine, but two tools that together do what a pull does: one fetches an image, the other unpacks it."""

    name = "skopeo+umoci"

    def __init__(self, directory):
        self.directory = os.path.join(directory, self.name)

    def pull(self, image):
        return ["sh", "-ec", 'skopeo copy -q --src-tls-verify=false "docker://$0" "oci:$1/layout:it"; '
                'umoci unpack --image "$1/layout:it" "$1/bundle"', image, self.directory]

    def load_image(self, archive):
        return ["sh", "-ec", 'skopeo copy -q "docker-archive:$0" "oci:$1/layout:it"; umoci unpack --image "$1/layout:it" "$1/bundle"',
                archive, self.directory]

    def forget(self, _):
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)


class Floor(Runtime):
    """Programs that show what the kernel takes: one that makes a container and forgets it, and one that does nothing."""

    name = "floor"

    def set_up(self, rootfs_tar):
        self.root, self.scratch = os.path.join(self.directory, "rootfs"), os.path.join(self.directory, "scratch")
        os.makedirs(self.root)
        os.makedirs(self.scratch)
        quietly(["tar", "-xf", rootfs_tar, "-C", self.root])
        self.program, self.empty = os.path.join(self.directory, "floor"), os.path.join(self.directory, "empty")
        quietly(["cc", "-O2", "-o", self.program, os.path.join(os.path.dirname(__file__), "floor.c")])
        with open(self.empty + ".rs", "w") as file:
            file.write("fn main() {}")
        target = subprocess.run(["scripts/target.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        quietly(["rustc", "--edition=2024", "-Copt-level=3", "-Cpanic=abort", "-Ctarget-feature=+crt-static", "-Cstrip=symbols",
                 "--target", target, "-o", self.empty, self.empty + ".rs"])

    def run(self, network=True, image="busybox", number=0):
        if network or image != "busybox":
            return None
        return [self.program, self.root, self.scratch, "/bin/true"]

    def start(self, name, *command):
        return None

    def enter(self, process):
        """Joins the namespaces of a process, and nothing else: neither its cgroups nor its limits."""
        return ["nsenter", "--all", "--target", str(process), "true"]

    def version(self):
        return [self.empty]


def installed(directory, rootfs_tar):
    """The engines that this machine has, ready to be used, and what is to be said about the others."""
    ready, notes = [], []
    for kind, program in ((Tinydock, TINYDOCK), (Crun, "crun"), (Runc, "runc"), (Bubblewrap, "bwrap"), (Podman, "podman"),
                          (Docker, "dockerd"), (Floor, "cc")):
        if not shutil.which(program):
            notes.append(f"{kind.name} is not installed")
            continue
        engine = kind(directory)
        try:
            engine.set_up(rootfs_tar)
            ready.append(engine)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            notes.append(f"{kind.name} cannot be set up: {error}")
    return ready, notes
