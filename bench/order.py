#!/usr/bin/env python3
"""Finds out which functions the usual commands run, and in which order, and writes that to order.ld, for the linker.

What is used together is together then, in a few pages, instead of all over an executable of 10 MB. To be run as root, after changes
of what those commands do; it takes some minutes. Names of functions end with a hash that is another one with each compiler: it is
left out.
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
    """Builds an executable whose functions have names."""
    command = ["cargo", "rustc", "--release", "--locked", "--bin", "tinydock", "--", "-C", "strip=none"]
    subprocess.run(command, check=True, cwd=ROOT)


def functions():
    """All functions: where they begin, their sizes and names, in order."""
    lines = subprocess.run(["nm", "-S", EXECUTABLE], check=True, capture_output=True, text=True).stdout.splitlines()
    found = (re.match(r"([0-9a-f]+) ([0-9a-f]+) [tTwW] (.*)", line) for line in lines)
    return sorted((int(match[1], 16), int(match[2], 16), match[3]) for match in found if match)


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
    """The names of functions in the order of their addresses."""
    starts = [start for start, _, _ in known]
    found = {}
    for address in addresses:
        start, size, name = known[bisect.bisect_right(starts, address) - 1]
        if start <= address < start + size:
            found.setdefault(name)
    return list(found)


def pattern(name):
    """What the section of a function of Rust's is called by all compilers; a dollar has a meaning in linker scripts."""
    match = re.match(r"(_ZN.*17h)[0-9a-f]{16}E", name)
    return match and match[1].replace("$", "?") + "*"


def patterns(found, known):
    """Patterns for functions that were found, the large ones last, without those that many others match that were not."""
    meant, matched = {}, {}
    for _, size, name in known:
        matched[pattern(name)] = matched.get(pattern(name), 0) + size
    sizes = {name: size for _, size, name in known}
    for name in filter(pattern, found):
        meant[pattern(name)] = meant.get(pattern(name), 0) + sizes[name]
    kept = [name for name, size in meant.items() if matched[name] <= 2 * size]
    return sorted(kept, key=lambda name: matched[name] >= LARGE)


def main():
    if "--inside" not in sys.argv:
        build()
        inside = ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, __file__, "--inside"]
        os.execvp(inside[0], inside)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        known = functions()
        found = patterns(find(step(directory), known), known)
    with open(SCRIPT, "w", encoding="ascii") as script:
        script.write(HEAD + "".join(f"    *(.text.{name})\n" for name in found) + TAIL)


if __name__ == "__main__":
    main()
