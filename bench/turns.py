"""Measuring in turn: whatever else the machine does meets all alike, and nobody always runs in the wake of the same other."""

import random
import subprocess
import time


class Turns:
    def __init__(self, runs):
        self.runs = runs
        self.notes = []

    def note(self, engine, row, error):
        self.notes.append(f"{engine.name}, {row}: {error}")

    def in_turn(self, row, commands, before=lambda: None):
        """Milliseconds of each run of the commands. What is to be done before each is not measured."""

        def measuring(command):
            def measure(_):
                before()
                start = time.perf_counter()
                done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
                elapsed = (time.perf_counter() - start) * 1000
                if done.returncode:
                    raise RuntimeError(done.stderr.decode(errors="replace").strip()[-200:])
                return elapsed

            return measure

        return self.measure_in_turn(row, [(engine, measuring(command)) for engine, command in commands if command])

    def measure_in_turn(self, row, measures):
        """The numbers of each run of the measures, in another order each time. The first run of each is not counted."""
        numbers = {engine.name: [] for engine, _ in measures}
        order = list(measures)
        for turn in range(self.runs + 1):
            random.shuffle(order)
            for engine, measure in list(order):
                try:
                    number = measure(engine)
                except RuntimeError as error:
                    self.note(engine, row, error)
                    order.remove((engine, measure))
                    numbers[engine.name] = []
                    continue
                if turn:
                    numbers[engine.name].append(number)
        return numbers
