"""Times engines in turn, so that whatever else the machine does meets all of them alike, and prints one table.

An engine that is not installed, or cannot do what a row measures, has `-` there.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

TINYDOCK = os.environ.get("TINYDOCK_BIN", "target/x86_64-unknown-linux-gnu/release/tinydock")
ENGINES = ["tinydock", "crun", "runc", "bwrap"]


def bundle(directory, runtime):
    """An OCI bundle of busybox that runs `true` without a network."""
    root = os.path.join(directory, "rootfs")
    os.makedirs(os.path.join(root, "bin"), exist_ok=True)
    for folder in ("proc", "sys", "dev"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    shutil.copy("/bin/busybox", os.path.join(root, "bin/busybox"))
    if not os.path.lexists(os.path.join(root, "bin/true")):
        os.symlink("busybox", os.path.join(root, "bin/true"))
    path = os.path.join(directory, "config.json")
    if os.path.exists(path):
        os.remove(path)
    subprocess.run([runtime, "spec"], cwd=directory, check=True)
    with open(path) as file:
        config = json.load(file)
    config["process"].update(args=["/bin/true"], terminal=False)
    # Raising limits needs a capability that root does not have everywhere.
    config["process"].pop("rlimits", None)
    with open(path, "w") as file:
        json.dump(config, file)
    return directory


def commands(directory):
    """What each row runs, by engine."""
    rows = {"run true, no network": {"tinydock": [TINYDOCK, "run", "--rm", "--network", "none", "busybox", "true"]},
            "run true, on a bridge": {"tinydock": [TINYDOCK, "run", "--rm", "busybox", "true"]},
            "exec true": {"tinydock": [TINYDOCK, "exec", "sleeper", "true"]}}
    plain = rows["run true, no network"]
    for runtime in ("crun", "runc"):
        if shutil.which(runtime):
            place = os.path.join(directory, runtime)
            os.makedirs(place)
            plain[runtime] = [runtime, "--root", place + "/state", "run", "--bundle", bundle(place, runtime), "bench-" + runtime]
    if shutil.which("bwrap"):
        place = os.path.join(directory, "bwrap")
        os.makedirs(place + "/bin")
        shutil.copy("/bin/busybox", place + "/bin/true")
        plain["bwrap"] = ["bwrap", "--unshare-all", "--bind", place, "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    return rows


def measure(engines, runs):
    """Milliseconds of each run, by engine; the engines take turns. An engine that fails is left out, and named."""
    times = {engine: [] for engine in engines}
    for turn in range(runs + 1):
        for engine in list(times):
            start = time.perf_counter()
            done = subprocess.run(engines[engine], stdin=subprocess.DEVNULL, capture_output=True)
            elapsed = (time.perf_counter() - start) * 1000
            if done.returncode:
                print(f"{engine} fails: {done.stderr.decode(errors='replace').strip()[:200]}")
                del times[engine]
            elif turn:
                times[engine].append(elapsed)
    return times


def cell(times, own):
    if not times:
        return "-"
    median = statistics.median(times)
    return f"{median:.2f} / {min(times):.2f}  x{median / own:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="measured runs of each engine")
    runs = parser.parse_args().runs
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="tinydock-bench-") as directory:
        os.environ["TINYDOCK_ROOT"] = os.path.join(directory, "state")
        subprocess.run([TINYDOCK, "run", "-d", "--name", "sleeper", "busybox", "sleep", "1000"], check=True, stdout=subprocess.DEVNULL)
        try:
            lines = []
            for row, engines in commands(directory).items():
                times = measure(engines, runs)
                own = statistics.median(times["tinydock"])
                lines.append([row] + [cell(times.get(engine), own) for engine in ENGINES])
        finally:
            subprocess.run([TINYDOCK, "rm", "-f", "sleeper"], check=True, stdout=subprocess.DEVNULL)
    print(f"milliseconds: median / minimum of {runs} runs in turn, and the ratio of the median to tinydock's")
    for line in [["" ] + ENGINES] + lines:
        print("".join(text.ljust(26) for text in line).rstrip())


if __name__ == "__main__":
    main()
