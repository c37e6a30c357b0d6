"""Makes OCI image layouts: `python3 layout.py DIRECTORY`, which holds `recipe.py`.

The recipe calls `layer()` for a new tarball, whose `add(name, data=b"", **fields)` adds an entry, and `image(name, layers, **config)`.
"""
import gzip, hashlib, io, json, os, sys, tarfile

root = sys.argv[1]
os.makedirs(f"{root}/blobs/sha256", exist_ok=True)
manifests = []


def blob(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{root}/blobs/sha256/{digest}", "wb").write(data)
    return "sha256:" + digest


class layer:
    def __init__(self, **options):
        self.raw = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.raw, mode="w", **{"format": tarfile.PAX_FORMAT, **options})

    def add(self, name, data=b"", **fields):
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = len(data), 0o755, 1700000000
        for key, value in fields.items():
            setattr(info, key, value)
        self.tar.addfile(info, io.BytesIO(data))

    def directory(self, name, **fields):
        self.add(name, type=tarfile.DIRTYPE, **fields)

    def link(self, name, target, **fields):
        self.add(name, type=tarfile.SYMTYPE, linkname=target, **fields)

    def bytes(self):
        self.tar.close()
        return self.raw.getvalue()


def busybox():
    base = layer()
    base.directory("bin")
    base.add("bin/busybox", open("/bin/busybox", "rb").read())
    for name in "sh cat ls stat readlink true wc od env id echo touch rm sleep pwd".split():
        base.link("bin/" + name, "busybox")
    return base


def image(name, layers, compress="gzip", architecture=None, diff_ids=None, **config):
    descriptors, ids = [], []
    for one in layers:
        plain = one if isinstance(one, bytes) else one.bytes()
        data = gzip.compress(plain, mtime=0) if compress == "gzip" else plain
        kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if compress == "gzip" else "")
        ids.append("sha256:" + hashlib.sha256(plain).hexdigest())
        descriptors.append({"mediaType": kind, "digest": blob(data), "size": len(data)})
    architecture = architecture or {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    spec = {
        "created": "2024-01-02T03:04:05Z", "architecture": architecture, "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids or ids},
        "history": [{"created": "2024-01-02T03:04:05Z", "created_by": "layout.py"} for _ in layers],
    }
    spec = json.dumps(spec).encode()
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": blob(spec), "size": len(spec)}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": descriptors}
    manifest = json.dumps(manifest).encode()
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": blob(manifest), "size": len(manifest),
        "platform": {"os": "linux", "architecture": architecture},
        "annotations": {"org.opencontainers.image.ref.name": name},
    }
    manifests.append(entry)
    return entry


exec(open(f"{root}/recipe.py").read())
open(f"{root}/index.json", "w").write(json.dumps({"schemaVersion": 2, "manifests": manifests}))
open(f"{root}/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
