#!/usr/bin/env python3
"""Finds out which functions the usual commands run, and writes them to order.ld, for the linker: first those that all of them run,
then those that all but one do, and so on.

What is used together is together then, in a few pages, instead of all over an executable of 10 MB. To be run as root, after changes
of what those commands do; it takes some minutes. Names of crates have hashes that are others with each compiler, and in another
directory: they are left out, as is what is called like too much else. The C library has its functions by files.
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
TARGET = subprocess.run([os.path.join(ROOT, "scripts/target.sh")], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
EXECUTABLE = os.path.join(ROOT, "target", TARGET, "release/tinydock")
MAP = EXECUTABLE + ".map"

BEFORE = ["run -d --name one busybox sleep 1000000", "create --name given busybox", "export -o rootfs.tar given", "rm given", "runtime spec"]
# In the order of how much their time matters.
COMMANDS = ["run --rm --network none busybox true", "exec one true", "run -d --name two -p 127.0.0.1:8080:80 busybox sleep 1000000",
            "runtime run three", "ps", "rm -f two", "stop -t 0 one", "logs one"]
HEAD = """/* The functions that the usual commands run, those that most of them do first: see bench/order.py, which has written this. */
SECTIONS
{
  .init : { KEEP(*(.init)) }
  .iplt : { *(.iplt) }
  .text.order :
  {
"""
TAIL = "  }\n}\nINSERT BEFORE .text;\n"


def build():
    """Builds the executable, and has the linker tell what it puts where."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--target", TARGET], check=True, cwd=ROOT, env={**os.environ, "TINYDOCK_MAP": MAP})


def sections():
    """All sections of code: where they begin, their sizes and names, in order. The C library has one or a few for each file."""
    with open(MAP, encoding="utf-8", errors="replace") as lines:
        found = [re.match(r" *([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +\d+ +(\S+):\(\.text\.?(\S*)\)$", line) for line in lines]
    if not any(found):
        sys.exit(f"{MAP}: is no map of lld's, which Rust has from 1.90 on")
    known = []
    for start, size, file, name in (match.groups() for match in found if match):
        known.append((int(start, 16), int(size, 16), file_words(file) or name))
    return sorted(known)


def file_words(path):
    """The linker's words for a file of the C library, or None."""
    found = re.search(r"/(lib[cm])\b[^/]*\.a\((\S+)\)$|/(r?crt\w+\.o)$", path)
    return found and (f"*{found[1]}*.a:{found[2]}" if found[1] else f"*{found[3]}")


def prepare(directory, environment):
    """Makes the containers that the commands are about, and the bundle that the OCI runtime is to run."""
    rootfs = os.path.join(directory, "rootfs")
    os.mkdir(rootfs)
    for command in BEFORE:
        subprocess.run([EXECUTABLE, *command.split()], check=True, env=environment, cwd=directory, stdout=subprocess.DEVNULL)
    subprocess.run(["tar", "-xf", "rootfs.tar", "-C", rootfs], check=True, cwd=directory)
    path = os.path.join(directory, "config.json")
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    config["process"].update({"terminal": False, "args": ["/bin/true"]})
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)


def step(directory):
    """Runs the commands, and yields to which code each comes, in that order."""
    stepper = os.path.join(directory, "steps")
    subprocess.run(["cc", "-O2", "-o", stepper, os.path.join(HERE, "steps.c")], check=True)
    environment = {**os.environ, "TINYDOCK_ROOT": os.path.join(directory, "root"), "TINYDOCK_RUN": os.path.join(directory, "run")}
    output = os.path.join(directory, "addresses")
    prepare(directory, environment)
    for command in COMMANDS:
        print(command, flush=True)
        subprocess.run([stepper, output, EXECUTABLE, *command.split()], check=True, env=environment, cwd=directory,
                       stdin=subprocess.DEVNULL)
        with open(output, encoding="ascii") as lines:
            yield [int(line, 16) for line in lines]


def find(steps, known):
    """The sections that the commands come to: first those that most of them do, and of those the ones of the first commands."""
    starts = [start for start, _, _ in known]
    users = {}
    for command, addresses in enumerate(steps):
        for address in addresses:
            start, size, name = known[max(bisect.bisect_right(starts, address) - 1, 0)]
            if start <= address < start + size:
                users.setdefault((size, name), set()).add(command)
    return sorted(users, key=lambda section: (-len(users[section]), sorted(users[section])))


def pattern(name):
    """What a section is called by all compilers."""
    return re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)


def patterns(steps, known):
    """The linker's words for what the commands come to, in order."""
    matched = {}
    for _, size, name in known:
        matched[pattern(name)] = matched.get(pattern(name), 0) + size
    meant = {}
    for size, name in find(steps, known):
        if name.startswith("*"):
            meant.setdefault(f"{name}(.text .text.*)")
        elif name and matched[pattern(name)] <= 2 * size:
            # A dollar has a meaning in linker scripts.
            meant.setdefault("*(.text." + pattern(name).replace("$", "?") + ")")
    return list(meant)


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
