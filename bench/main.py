"""Measures engines in turn, so that whatever else the machine does meets all of them alike, and prints one table."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile

from engines import Tinydock, installed
from files import Files
from rows import Rows

COLUMNS = ["tinydock", "crun", "runc", "bwrap", "podman", "docker"]
# Title, unit, and the method of Rows.
ROWS = [
    ("run, no network", "ms", "run_alone"),
    ("run, on a bridge", "ms", "run_on_a_bridge"),
    ("exec", "ms", "execute"),
    ("start and remove, detached", "ms", "crowd"),
    ("memory per container", "KiB", "resident"),
    ("first run of a 350 MB tarball", "s", "first_run"),
    ("commit of 100 MB", "s", "commit"),
    ("system calls of a run", "", "system_calls"),
]


def cell(numbers, own):
    """Median, minimum where there are several, and how the median compares to tinydock's."""
    if not numbers:
        return "-"
    median = statistics.median(numbers)
    spell = lambda number: f"{number:.0f}" if number >= 1000 or number == int(number) else f"{number:.2f}"
    text = spell(median) if len(numbers) == 1 else f"{spell(median)}/{spell(min(numbers))}"
    return text + (f" x{median / statistics.median(own):.2f}" if own and own is not numbers else "")


def print_table(results, runs):
    print(f"Median/minimum of {runs} runs in turn, and the ratio of the median to tinydock's; one number where it was measured once.\n")
    lines = [["", *COLUMNS]]
    for title, unit, numbers in results:
        own = numbers.get("tinydock")
        lines.append([f"{title} {unit}".rstrip(), *(cell(numbers.get(column), own) for column in COLUMNS)])
    widths = [max(len(line[n]) for line in lines) + 2 for n in range(len(lines[0]))]
    for line in lines:
        print("".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def describe_machine(engines):
    print(f"\n{os.cpu_count()} processors, Linux {platform.release()}")
    for engine in engines:
        program = "dockerd" if engine.name == "docker" else getattr(engine, "base", [engine.name])[0]
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.splitlines()
        print(f"{engine.name}: {version[0] if version else 'version unknown'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="measured runs of each engine where they are short")
    parser.add_argument("--rows", help="only rows whose titles contain this text")
    parser.add_argument("--crowd", type=int, default=100, help="detached containers of the fast engines")
    parser.add_argument("--json", help="write all numbers to this file")
    options = parser.parse_args()
    wanted = [row for row in ROWS if not options.rows or options.rows in row[0]]
    if any(row[2] == "resident" for row in wanted) and not any(row[2] == "crowd" for row in wanted):
        wanted.insert(0, ROWS[3])
    with tempfile.TemporaryDirectory(prefix="tinydock-bench-", ignore_cleanup_errors=True) as directory:
        files = Files(directory)
        engines, notes = installed(directory, files.busybox_tarball())
        for engine in engines:
            engine.crowd = min(engine.crowd, options.crowd)
        rows = Rows(engines, options.runs, files)
        results = []
        try:
            for title, unit, method in wanted:
                try:
                    results.append((title, unit, getattr(rows, method)(title)))
                except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                    notes.append(f"{title}: {error}")
        finally:
            for engine in engines:
                engine.tear_down()
        print_table(results, options.runs)
        describe_machine(engines)
    for note in notes + rows.notes:
        print(note)
    if options.json:
        with open(options.json, "w") as file:
            json.dump([{"row": title, "unit": unit, "numbers": numbers} for title, unit, numbers in results], file, indent=1)


if __name__ == "__main__":
    main()
