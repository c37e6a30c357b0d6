"""Measures engines in turn, so that whatever else the machine does meets all of them alike, and prints tables of the
engines, of the OCI runtimes and of images."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile

from engines import installed, quietly
from files import Files
from images import ImageRows
from rows import Rows
from runtimes import RuntimeRows

# Title, unit, and the method of Rows.
ROWS = [
    ("run, no network", "ms", "run_alone"),
    ("run, on a bridge", "ms", "run_on_a_bridge"),
    ("exec", "ms", "execute"),
    ("start and remove, detached", "ms", "crowd"),
    ("memory per container", "KiB", "resident"),
    ("memory when none runs", "KiB", "idle"),
    *((f"{work}, beside {count}", "ms", "at_scale") for work in ("run", "exec", "start and remove", "list") for count in (1, 100, "many")),
    ("throughput, 8 at once", "/s", "throughput"),
    ("version", "ms", "version"),
    ("first run of a 350 MB tarball", "s", "first_run"),
    ("commit of 100 MB", "s", "commit"),
    ("system calls of a run", "", "system_calls"),
]
# The same, and the methods of RuntimeRows.
RUNTIME_ROWS = [
    ("runtime run", "ms", "run_warm"),
    ("runtime run, cold", "ms", "run_cold"),
    ("runtime create, start, delete", "ms", "three_commands"),
    ("runtime exec", "ms", "execute"),
    ("runtime smallest memory limit", "KiB", "least_memory"),
    ("runtime system calls of run", "", "calls_of_run"),
    ("runtime system calls of exec", "", "calls_of_exec"),
]
# The same, and the methods of ImageRows.
IMAGE_ROWS = [
    ("image pull, 10 layers, 100 MB", "ms", "pull"),
    ("image load", "ms", "load"),
    ("image first run", "ms", "first"),
    ("image second run", "ms", "second"),
    ("image remove", "ms", "remove"),
    ("image commit, 1000 files, 20 MB", "ms", "commit"),
    ("image disk for 20 that share layers", "MB", "disk"),
]


def cell(numbers, own):
    """Median, minimum where there are several, and how the median compares to tinydock's."""
    if not numbers:
        return "-"
    median = statistics.median(numbers)
    spell = lambda number: f"{number:.0f}" if number >= 1000 or number == int(number) else f"{number:.2f}"
    text = spell(median) if len(numbers) == 1 else f"{spell(median)}/{spell(min(numbers))}"
    # Nothing is no measure of anything.
    comparable = own and own is not numbers and statistics.median(own)
    return text + (f" x{median / comparable:.2f}" if comparable else "")


def print_table(columns, results):
    lines = [["", *columns]]
    for title, unit, numbers in results:
        own = numbers.get("tinydock")
        lines.append([f"{title} {unit}".rstrip(), *(cell(numbers.get(column), own) for column in columns)])
    widths = [max(len(line[n]) for line in lines) + 2 for n in range(len(lines[0]))]
    for line in lines:
        print("".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    print()


def describe_machine(programs):
    print(f"{os.cpu_count()} processors, Linux {platform.release()}")
    for name, program in programs.items():
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.splitlines()
        print(f"{name}: {version[0] if version else 'version unknown'}")


def measure(rows, wanted):
    """The results of the wanted rows that could be measured."""
    results = []
    for title, unit, method in wanted:
        try:
            results.append((title, unit, getattr(rows, method)(title)))
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            rows.notes.append(f"{title}: {error}")
    return results


def measure_engines(directory, files, options, wanted):
    """The table of the engines, and the programs that they are."""
    with Installed(directory, files) as installed:
        for engine in installed.engines:
            engine.crowd = min(engine.crowd, options.crowd)
        rows = Rows(installed.engines, options.runs, options.others, files)
        rows.notes.extend(installed.notes)
        return rows, measure(rows, wanted), installed.programs()


def measure_images(directory, files, options, wanted):
    """The table of images, and the programs that make it."""
    place = os.path.join(directory, "images")
    os.mkdir(place)
    with Installed(place, files) as installed:
        rows = ImageRows(installed.engines, files, min(options.runs, 5))
        try:
            return rows, measure(rows, wanted), installed.programs()
        finally:
            rows.tear_down()


class Installed:
    """The engines that this machine has, for as long as this is used. What dies with the boot is in memory."""

    def __init__(self, directory, files):
        self.run = os.path.join(directory, "run")
        os.mkdir(self.run)
        quietly(["mount", "-t", "tmpfs", "tmpfs", self.run])
        self.engines, self.notes = installed(directory, files.busybox_tarball())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for engine in self.engines:
            engine.tear_down()
        subprocess.run(["umount", "--lazy", self.run])

    def programs(self):
        return {engine.name: "dockerd" if engine.name == "docker" else getattr(engine, "base", [engine.name])[0]
                for engine in self.engines if engine.name != "floor"}


def measure_runtimes(directory, files, options, wanted):
    """The table of the OCI runtimes, and the programs that they are."""
    rows = RuntimeRows(directory, files.busybox_tarball(), options.runs)
    try:
        results = measure(rows, wanted)
    finally:
        rows.tear_down()
    programs = {kind.name: kind.program for kind in rows.runtimes + rows.sandboxes}
    return rows, results, programs


def parse():
    titles = [title for title, _, _ in ROWS + RUNTIME_ROWS + IMAGE_ROWS]
    parser = argparse.ArgumentParser(
        prog="bench/run.sh", usage="%(prog)s [--install] [FLAGS]", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Rows:\n  " + "\n  ".join(titles) + "\n\nThose of a `runtime` are of `tinydock runtime` and the other OCI runtimes, with one bundle for all.")
    parser.add_argument("--install", action="store_true", help="install the other engines first, as the first flag")
    parser.add_argument("--runs", type=int, default=30, help="measured runs of each engine where they are short")
    parser.add_argument("--rows", default="", help="only rows whose titles contain this text")
    parser.add_argument("--crowd", type=int, default=100, help="detached containers of the fast engines")
    parser.add_argument("--others", type=int, default=1000, help="how many containers are many")
    parser.add_argument("--json", help="write all numbers to this file")
    parser.add_argument("--prepare", action="store_true", help="only make what a mirror is needed for")
    return parser.parse_args()


def choose(text):
    """The rows of both tables whose titles contain a text, with those that they need."""
    chosen = [[row for row in rows if text in row[0]] for rows in (ROWS, RUNTIME_ROWS, IMAGE_ROWS)]
    methods = [method for _, _, method in chosen[0]]
    if "resident" in methods and "crowd" not in methods:
        chosen[0].insert(0, next(row for row in ROWS if row[2] == "crowd"))
    # One life of an image is measured in one go.
    lives = [row for row in IMAGE_ROWS if row[2] in ("load", "first", "second", "remove")]
    if any(row in chosen[2] for row in lives):
        chosen[2] = [row for row in IMAGE_ROWS if row in chosen[2] or row is lives[0]]
    return chosen


def main():
    options = parse()
    tables = list(zip((measure_engines, measure_runtimes, measure_images), choose(options.rows)))
    done = []
    with tempfile.TemporaryDirectory(prefix="tinydock-bench-", ignore_cleanup_errors=True) as directory:
        files = Files(directory)
        if options.prepare:
            return files.prepare([method for _, wanted in tables for _, _, method in wanted])
        for measure_all, wanted in tables:
            if wanted:
                done.append(measure_all(directory, files, options, wanted))
    print(f"Median/minimum of {options.runs} runs in turn, and the ratio of the median to tinydock's; one number where it was measured once.\n")
    for rows, results, _ in done:
        print_table(rows.COLUMNS, results)
    describe_machine({name: program for _, _, programs in done for name, program in programs.items()})
    for note in dict.fromkeys(note for rows, _, _ in done for note in rows.notes):
        print(note)
    if options.json:
        with open(options.json, "w") as file:
            json.dump([{"row": title, "unit": unit, "numbers": numbers} for _, results, _ in done for title, unit, numbers in results],
                      file, indent=1)


if __name__ == "__main__":
    main()
