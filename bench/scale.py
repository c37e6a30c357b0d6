"""What a command costs beside one, many and very many running containers of the same engine: it should not matter."""

import subprocess
import time

from engines import NOWHERE
from turns import Turns, timed

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
        """One engine after the other, so that as many containers run as a title says, not those of all engines together."""
        for engine in self.engines:
            try:
                self.measure_engine(engine)
            except RuntimeError as error:
                self.note(engine, "beside others", error)
            finally:
                for n in range(max(self.counts)):
                    subprocess.run(engine.remove(f"beside-{n}"), **NOWHERE)

    def measure_engine(self, engine):
        started = 0
        for count in self.counts:
            for n in range(started, count):
                timed(engine.start(f"beside-{n}"))
            started = count
            # What the kernel does after so many starts is given the time to end.
            time.sleep(2)
            for kind, lines in self.work(engine).items():
                title = f"{kind}, beside {count}"
                self.times.setdefault(title, {}).update(self.in_turn_all(title, [(engine, lines)]))

    def numbers(self, title, others):
        """Milliseconds of a row."""
        if not self.times:
            self.measure_all()
        return self.times.get(title.replace("beside many", f"beside {others}"), {})
