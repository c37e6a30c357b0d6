"""Images: each engine pulls, loads, runs, commits and removes the same ones."""

import os
import subprocess

from engines import Docker, NOWHERE, Podman, SkopeoAndUmoci, Tinydock, quietly
from turns import Turns, timed

REGISTRY = "127.0.0.1:5000"
TEN = f"{REGISTRY}/ten:1"
# How many images share layers.
FAMILY = 20
# What a container changes before it is committed: many small files, and a large one.
CHANGE = ("mkdir /many; n=0; while [ $n -lt 1000 ]; do echo $n > /many/$n; n=$((n + 1)); done; "
          "dd if=/dev/urandom of=/large bs=1M count=20")


class ImageRows(Turns):
    COLUMNS = ["tinydock", "podman", "docker", "skopeo+umoci"]

    def __init__(self, engines, files, runs):
        super().__init__(runs)
        self.files = files
        self.engines = [engine for engine in engines if isinstance(engine, (Tinydock, Podman, Docker))]
        self.tools = SkopeoAndUmoci(files.directory)
        self.lives = None
        self.registry = files.registry(TEN)

    def tear_down(self):
        self.registry.terminate()
        self.registry.wait(30)

    def pull(self, row):
        """Milliseconds to pull an image of ten layers of which nothing is here before."""
        pullers = [*self.engines, self.tools]
        forget = lambda: [puller.forget(TEN) for puller in pullers]
        return self.in_turn(row, [(puller, puller.pull(TEN)) for puller in pullers], before=forget)

    def load(self, row):
        """Milliseconds to load the same image from an archive. Its whole life is measured in one go."""
        archive = self.files.archive(TEN)
        self.lives = {word: {} for word in ("first", "second", "remove")}

        def life(engine):
            engine.forget(TEN)
            times = [timed(engine.load_image(archive))]
            if engine is not self.tools:
                run = engine.run(network=False, image=TEN)
                times += [timed(run), timed(run), timed(engine.command("rmi", TEN))]
            return times

        numbers = self.measure_in_turn(row, [(engine, life) for engine in [*self.engines, self.tools]])
        for n, word in enumerate(self.lives, 1):
            self.lives[word] = {name: [times[n] for times in lives] for name, lives in numbers.items() if len(lives[:1] and lives[0]) > n}
        return {name: [times[0] for times in lives] for name, lives in numbers.items()}

    def first(self, _):
        """Milliseconds of the first run of an image that was just loaded."""
        return self.lives["first"]

    def second(self, _):
        return self.lives["second"]

    def remove(self, _):
        return self.lives["remove"]

    def commit(self, row):
        """Milliseconds to make an image of a container that has written a thousand small files and 20 MB."""
        for engine in self.engines:
            quietly(engine.start("changed", "sh", "-c", CHANGE))
            quietly(engine.wait("changed"))
        forget = lambda: [engine.forget("committed") for engine in self.engines]
        try:
            return self.in_turn(row, [(engine, engine.commit("changed", "committed")) for engine in self.engines], before=forget)
        finally:
            for engine in self.engines:
                quietly(engine.remove("changed"))

    def disk(self, _):
        """MB that the disk has less of for many images which share their first ten layers. Each is pulled after the other."""
        names = [f"{REGISTRY}/family:{n}" for n in range(FAMILY)]
        self.files.push_family(names)
        used = {}
        for engine in self.engines:
            engine.forget(TEN)
            before = disk_usage(engine.directory)
            for name in names:
                quietly(engine.pull(name))
            used[engine.name] = [(disk_usage(engine.directory) - before) / 1e6]
            subprocess.run(engine.command("rmi", *names), **NOWHERE)
        return used


def disk_usage(directory):
    # Where a container is mounted is not looked into.
    os.sync()
    total = subprocess.run(["du", "-sxB1", directory], capture_output=True, text=True).stdout
    return int(total.split()[0])
