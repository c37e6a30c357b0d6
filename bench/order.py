#!/usr/bin/env python3
"""Finds out which functions the usual commands run, and in which order, and writes that to order.ld, for the linker.

What is used together is together then, in a few pages, instead of all over an executable of 10 MB. To be run as root, after changes
of what those commands do; it takes some minutes. Names of functions have hashes that are others with each compiler: they are left
out, but where too many functions would have the same name. The C library has its functions by files.
"""

import bisect
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SCRIPT = os.path.join(ROOT, "order.ld")
EXECUTABLE = os.path.join(ROOT, "target/x86_64-unknown-linux-gnu/release/tinydock")
MAP = EXECUTABLE + ".map"

# In the order of how much their time matters.
COMMANDS = ["run --rm --network none busybox true", "run -d --name one -p 127.0.0.1:8080:80 busybox sleep 1000000", "exec one true", "ps",
            "logs one", "stop -t 0 one", "rm -f one", "runtime run two"]
# What is larger than this is mostly not run, and would only be in the way.
LARGE = 6000
HEAD = """/* The functions that the usual commands run, in the order in which they do: see bench/order.py, which has written this. */
SECTIONS
{
  .text.order :
  {
"""
TAIL = "  }\n}\nINSERT BEFORE .text;\n"


def build():
    """Builds the executable, and has the linker tell what it puts where."""
    subprocess.run(["cargo", "build", "--release", "--locked"], check=True, cwd=ROOT, env={**os.environ, "TINYDOCK_MAP": MAP})


def sections():
    """All sections of code: where they begin, their sizes and names, in order. The C library has one or a few for each file."""
    with open(MAP, encoding="utf-8", errors="replace") as lines:
        found = [re.match(r" *([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +\d+ +(\S+):\(\.text\.?(\S*)\)$", line) for line in lines]
    if not any(found):
        sys.exit(f"{MAP}: is no map of lld's, which Rust has from 1.90 on")
    known = []
    for start, size, file, name in (match.groups() for match in found if match):
        member = re.search(r"/libc\.a\((\S+)\)$", file)
        known.append((int(start, 16), int(size, 16), f"*libc.a:{member[1]}" if member else name))
    return sorted(known)


def make_bundle(directory, environment):
    """Makes the bundle that the OCI runtime is to run."""
    rootfs = os.path.join(directory, "rootfs")
    os.mkdir(rootfs)
    for command in ("create --name given busybox", "export -o rootfs.tar given", "rm given", "runtime spec"):
        subprocess.run([EXECUTABLE, *command.split()], check=True, env=environment, cwd=directory, stdout=subprocess.DEVNULL)
    subprocess.run(["tar", "-xf", "rootfs.tar", "-C", rootfs], check=True, cwd=directory)
    path = os.path.join(directory, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["process"].update({"terminal": False, "args": ["/bin/true"]})
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)


def step(directory):
    """Runs the commands, and yields where they come to code for the first time."""
    stepper = os.path.join(directory, "steps")
    subprocess.run(["cc", "-O2", "-o", stepper, os.path.join(HERE, "steps.c")], check=True)
    environment = {**os.environ, "TINYDOCK_ROOT": os.path.join(directory, "root"), "TINYDOCK_RUN": os.path.join(directory, "run")}
    output = os.path.join(directory, "addresses")
    make_bundle(directory, environment)
    for command in COMMANDS:
        print(command, flush=True)
        subprocess.run([stepper, output, EXECUTABLE, *command.split()], check=True, env=environment, cwd=directory,
                       stdin=subprocess.DEVNULL)
        with open(output, encoding="ascii") as lines:
            yield from (int(line, 16) for line in lines)


def find(addresses, known):
    """The sections that have the addresses, in the order of first use."""
    starts = [start for start, _, _ in known]
    found = {}
    for address in addresses:
        start, size, name = known[max(bisect.bisect_right(starts, address) - 1, 0)]
        if start <= address < start + size:
            found.setdefault((size, name))
    return list(found)


def pattern(name):
    """What a section is called by all compilers."""
    name = re.sub(r"(\b_ZN.*17h)[0-9a-f]{16}E.*", r"\1*", name)
    return re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name) if re.match(r"(unlikely\.)?_R", name) else name


def patterns(addresses, known):
    """The linker's words for what is at the addresses, in the order of first use, the large ones last."""
    matched = {}
    for _, size, name in known:
        matched[pattern(name)] = matched.get(pattern(name), 0) + size
    meant = {}
    for size, name in find(addresses, known):
        if name.startswith("*"):
            meant.setdefault(f"{name}(.text .text.*)", size)
        elif re.match(r"(unlikely\.)?_", name):
            # Where too many others are called the same, this one is meant, as far as the compiler is the same.
            name = name if matched[pattern(name)] > 2 * size else pattern(name)
            # A dollar has a meaning in linker scripts.
            meant.setdefault("*(.text." + name.replace("$", "?") + ")", size)
    return sorted(meant, key=lambda words: meant[words] >= LARGE)


def main():
    if "--inside" not in sys.argv:
        build()
        inside = ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, __file__, "--inside"]
        os.execvp(inside[0], inside)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    known = sections()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        found = patterns(list(step(directory)), known)
    with open(SCRIPT, "w", encoding="ascii") as script:
        script.write(HEAD + "".join(f"    {words}\n" for words in found) + TAIL)


if __name__ == "__main__":
    main()
