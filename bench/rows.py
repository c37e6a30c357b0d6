"""What is measured: each row does the same with every engine that can do it, and returns lists of numbers by engine."""

import glob
import os
import subprocess
import time

from engines import NOWHERE, quietly
from scale import Scale
from turns import Turns, seconds_at_once, timed


class Rows(Turns):
    COLUMNS = ["tinydock", "crun", "runc", "bwrap", "podman", "docker", "skopeo+umoci", "floor"]
    # How many run at once, and how often they do.
    AT_ONCE, IN_ALL = 8, 64

    def __init__(self, engines, runs, others, files):
        super().__init__(runs)
        self.engines = engines
        # How many containers are many.
        self.others = others
        self.files = files
        self.scale = Scale(runs, engines, others)
        self.scale.notes = self.notes

    def run_alone(self, row):
        return self.in_turn(row, [(engine, engine.run(network=False)) for engine in self.engines])

    def run_on_a_bridge(self, row):
        return self.in_turn(row, [(engine, engine.run()) for engine in self.engines])

    def execute(self, row):
        able = [engine for engine in self.engines if engine.start("sleeper")]
        try:
            for engine in able:
                subprocess.run(engine.start("sleeper"), check=True, **NOWHERE)
            lines = [(engine, engine.execute("sleeper")) for engine in able]
            process = able[0].process("sleeper")
            lines += [(engine, engine.enter(process)) for engine in self.engines]
            return self.in_turn(row, lines)
        finally:
            for engine in able:
                subprocess.run(engine.remove("sleeper"), **NOWHERE)

    def crowd(self, _):
        """Milliseconds for each of many detached containers, started one after the other and then removed."""
        times = {}
        self.memory = {}
        for engine in self.engines:
            names = [f"crowd-{n}" for n in range(engine.crowd)]
            if not engine.start(names[0]):
                continue
            starts = sum(timed(engine.start(name)) for name in names)
            self.memory[engine.name] = [kib / len(names) for kib in resident_memory(engine)]
            removals = sum(timed(engine.remove(name)) for name in names)
            times[engine.name] = [(starts + removals) / len(names)]
        return times

    def resident(self, _):
        """KiB of memory (PSS) of the processes that stay with a container, measured with the crowd."""
        return self.memory

    def idle(self, _):
        """KiB of memory (PSS) of what stays when no container runs."""
        # What ends is given the time to.
        time.sleep(1)
        return {engine.name: memory_of(engine.daemons) for engine in self.engines if engine.daemons}

    def at_scale(self, row):
        """Milliseconds beside as many running containers as the title says."""
        return self.scale.numbers(row, self.others)

    def throughput(self, _):
        """Runs in a second, several at once."""
        rates = {}
        for engine in self.engines:
            if engine.run(network=False):
                rates[engine.name] = [self.rate(engine) for _ in range(3)]
        return rates

    def rate(self, engine):
        seconds, failed = seconds_at_once([engine.run(network=False, number=n) for n in range(self.IN_ALL)], self.AT_ONCE)
        if failed:
            self.notes.append(f"{engine.name}, throughput: {failed} of {self.IN_ALL} failed")
        return self.IN_ALL / seconds

    def version(self, row):
        return self.in_turn(row, [(engine, engine.version()) for engine in self.engines])

    def first_run(self, row):
        """Seconds from a tarball of a Debian system to the end of the first container of it."""
        tarball = self.files.debian_tarball()
        times = {}
        for engine in self.engines:
            load = engine.load(tarball, "debian")
            if load:
                start = time.perf_counter()
                quietly(load)
                quietly(engine.run(network=False, image="debian"))
                times[engine.name] = [time.perf_counter() - start]
        return times

    def commit(self, row):
        """Seconds to make an image of a container that has written 100 MB."""
        times = {}
        for engine in self.engines:
            if not engine.commit("writer", "image"):
                continue
            quietly(engine.start("writer", "dd", "if=/dev/urandom", "of=/data", "bs=1M", "count=100"))
            quietly(engine.wait("writer"))
            times[engine.name] = []
            for n in range(3):
                start = time.perf_counter()
                quietly(engine.commit("writer", f"image{n}"))
                times[engine.name].append(time.perf_counter() - start)
            quietly(engine.remove("writer"))
        return times

    def pull(self, row):
        """Milliseconds to pull an image of ten layers from a registry on this host, of which nothing is here before."""
        image = "127.0.0.1:5000/ten:1"
        registry = self.files.registry(image)
        try:
            pullers = [*self.engines, SkopeoAndUmoci(self.files.directory)]
            able = [puller for puller in pullers if puller.pull(image)]
            forget = lambda: [puller.forget(image) for puller in able]
            return self.in_turn(row, [(puller, puller.pull(image)) for puller in able], before=forget)
        finally:
            registry.terminate()
            registry.wait(30)

    def system_calls(self, _):
        """How many system calls a run makes, in all the processes that it starts. Daemons are not counted."""
        counts = {}
        for engine in self.engines:
            command = engine.run(network=False)
            summary = self.files.path("calls")
            subprocess.run(["strace", "-f", "-qq", "-c", "-o", summary, *command], check=True, **NOWHERE)
            with open(summary) as file:
                total = [line.split() for line in file if line.rstrip().endswith(" total")]
            counts[engine.name] = [int(total[-1][3])]
        return counts


def resident_memory(engine):
    return memory_of((engine.resident,)) if engine.resident else []


def memory_of(kinds):
    """The memory that all processes of some programs take together, in KiB: each page shared by n counts one n-th."""
    total = 0
    for directory in glob.glob("/proc/[0-9]*"):
        try:
            program = os.readlink(directory + "/exe")
            if any(os.path.basename(program).startswith(kind) or program.startswith("/" + kind) for kind in kinds):
                with open(directory + "/smaps_rollup") as file:
                    total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            pass  # It has ended.
    return [total]
