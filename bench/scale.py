"""What a command costs beside one, many and very many running containers: it should not matter."""

import subprocess

from engines import NOWHERE
from turns import Turns

# How many containers run, in the order in which they are measured; the last is an option.
COUNTS = [1, 100]


class Scale(Turns):
    """The rows' titles say what is measured, and beside how many: `exec, beside 100`."""

    def __init__(self, runs, engines, others):
        super().__init__(runs)
        self.engines = [engine for engine in engines if engine.takes_many]
        self.counts = [count for count in COUNTS if count < others] + [others]
        self.times = {}

    def work(self, engine):
        """What is measured, by the beginning of the title: command lines that are run one after the other."""
        return {
            "run": [engine.run(network=False)],
            "exec": [engine.execute("beside-0")],
            "start and remove": [engine.start("extra"), engine.remove("extra")],
            "list": [engine.list()],
        }

    def measure_all(self):
        started = 0
        try:
            for count in self.counts:
                for engine in self.engines:
                    for n in range(started, count):
                        subprocess.run(engine.start(f"beside-{n}"), check=True, **NOWHERE)
                started = count
                for kind in ("run", "exec", "start and remove", "list"):
                    title = f"{kind}, beside {count}"
                    lines = [(engine, self.work(engine)[kind]) for engine in self.engines]
                    self.times[title] = self.in_turn_all(title, lines)
        finally:
            for engine in self.engines:
                for n in range(max(self.counts)):
                    subprocess.run(engine.remove(f"beside-{n}"), **NOWHERE)

    def numbers(self, title, others):
        """Milliseconds of a row."""
        if not self.times:
            self.measure_all()
        return self.times.get(title.replace("beside many", f"beside {others}"), {})
