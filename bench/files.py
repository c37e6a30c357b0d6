"""The root file systems that the benchmark runs."""

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
import time

from engines import quietly


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

    def ten_layers(self):
        """An OCI layout with an image of ten layers, each of a hundred files that compress to a half, 100 MB in all. The first one has
        busybox, too. An image `N` has one more layer, of its own."""
        layout = self.path("ten")
        os.makedirs(os.path.join(layout, "blobs/sha256"))

        def blob(media_type, data):
            digest = hashlib.sha256(data).hexdigest()
            with open(os.path.join(layout, "blobs/sha256", digest), "wb") as file:
                file.write(data)
            return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

        def layer(name, count, first=None):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as tar:
                if first:
                    tar.add(first, "bin/true")
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
                for n in range(count):
                    data = chance.randbytes(51_000) + b"x" * 51_000
                    entry = tarfile.TarInfo(f"{name}/file{n}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
            gzip = subprocess.run(["gzip", "-n"], input=packed.getvalue(), stdout=subprocess.PIPE, check=True)
            diff_id = "sha256:" + hashlib.sha256(packed.getvalue()).hexdigest()
            return blob("layer.v1.tar+gzip", gzip.stdout), diff_id

        def manifest(name, layers):
            diff_ids = [diff_id for _, diff_id in layers]
            config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/true"]},
                      "rootfs": {"type": "layers", "diff_ids": diff_ids}}
            config = blob("config.v1+json", json.dumps(config).encode())
            manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
                        "layers": [blob for blob, _ in layers]}
            manifest = blob("manifest.v1+json", json.dumps(manifest).encode())
            return {**manifest, "annotations": {"org.opencontainers.image.ref.name": name}}

        chance = random.Random(1)
        layers = [layer(f"layer{n}", 100, None if n else "/bin/busybox") for n in range(10)]
        manifests = [manifest("it", layers)] + [manifest(str(n), [*layers, layer(f"own{n}", 5)]) for n in range(20)]
        for name, content in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": manifests})):
            with open(os.path.join(layout, name), "w") as file:
                json.dump(content, file)
        return layout

    def archive(self, image):
        """An archive of the image of ten layers, as all can load it."""
        archive = self.path("ten.tar")
        quietly(["skopeo", "copy", "-q", f"oci:{self.path('ten')}:it", f"docker-archive:{archive}:{image}"])
        return archive

    def push_family(self, names):
        """Gives the registry images that share all layers but one."""
        for n, name in enumerate(names):
            quietly(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{self.path('ten')}:{n}", f"docker://{name}"])

    def registry(self, image):
        """Starts a registry on this host and gives it the image of ten layers."""
        folder = self.path("registry")
        os.makedirs(folder)
        with open(os.path.join(folder, "config.yml"), "w") as file:
            file.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\n"
                       f"http: {{addr: {image.split('/')[0]}}}\n")
        process = subprocess.Popen(["docker-registry", "serve", os.path.join(folder, "config.yml")],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{self.ten_layers()}:it", f"docker://{image}"]
        for _ in range(100):
            if subprocess.run(copy, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return process
            time.sleep(0.1)
        process.terminate()
        raise RuntimeError("the registry does not answer")

    def prepare(self, methods):
        """Makes what rows need that cannot be made without a mirror."""
        if "first_run" in methods and shutil.which("debootstrap"):
            self.make_debian_tarball()
