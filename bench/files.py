"""The root file systems that the benchmark runs."""

import os
import shutil
import subprocess


class Files:
    def __init__(self, directory):
        self.directory = directory
        default = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tinydock-bench")
        self.cache = os.environ.get("TINYDOCK_BENCH_CACHE", default)

    def path(self, name):
        return os.path.join(self.directory, name)

    def busybox_tarball(self):
        """A root file system of busybox alone."""
        if os.path.exists(self.path("busybox.tar")):
            return self.path("busybox.tar")
        root = self.path("busybox")
        for folder in ("bin", "proc", "sys", "dev", "etc", "tmp", "root"):
            os.makedirs(os.path.join(root, folder))
        shutil.copy("/bin/busybox", os.path.join(root, "bin/busybox"))
        applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
        for applet in applets:
            if applet != "busybox":
                os.symlink("busybox", os.path.join(root, "bin", applet))
        subprocess.run(["tar", "-C", root, "-cf", self.path("busybox.tar"), "."], check=True)
        return self.path("busybox.tar")

    def debian_tarball(self):
        """A Debian system of about 350 MB."""
        tarball = os.path.join(self.cache, "debian.tar.gz")
        if not os.path.exists(tarball):
            raise FileNotFoundError(f"{tarball} is missing")
        return tarball

    def make_debian_tarball(self):
        """Makes the Debian system once, from the mirror that this machine uses."""
        tarball = os.path.join(self.cache, "debian.tar.gz")
        if not os.path.exists(tarball):
            os.makedirs(self.cache, exist_ok=True)
            root = self.path("debian")
            mirror = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
                                    check=True, capture_output=True, text=True).stdout.split()[0]
            subprocess.run(["debootstrap", "--variant=minbase", "--include=perl,python3,git,vim-tiny", "bookworm", root, mirror],
                           check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["tar", "-C", root, "-czf", tarball + ".new", "."], check=True)
            os.rename(tarball + ".new", tarball)

    def prepare(self, methods):
        """Makes what rows need that cannot be made without a mirror."""
        if "first_run" in methods and shutil.which("debootstrap"):
            self.make_debian_tarball()
