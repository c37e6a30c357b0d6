"""Measuring in turn: whatever else the machine does meets all alike, and nobody always runs in the wake of the same other."""

import os
import random
import select
import tempfile
import time


def timed(command):
    """Milliseconds of a command that must succeed, from when it is spawned, which takes less than Python's own way to do that. It gets
    a file for its errors: a pipe would only end with what it leaves running."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        _, status = os.waitpid(spawn(command, errors.fileno()), 0)
        elapsed = (time.perf_counter() - start) * 1000
        if status:
            errors.seek(0)
            raise RuntimeError(errors.read().decode(errors="replace").strip()[-200:])
    return elapsed


def seconds_at_once(commands, at_once):
    """Seconds that it takes to run commands, so many at once, and how many of them failed."""
    waiting, running, failed = commands[::-1], {}, 0
    ends = select.poll()
    with open(os.devnull, "w") as errors:
        start = time.perf_counter()
        while waiting or running:
            while waiting and len(running) < at_once:
                pid = spawn(waiting.pop(), errors.fileno())
                end = os.pidfd_open(pid)
                running[end] = pid
                ends.register(end, select.POLLIN)
            for end, _ in ends.poll():
                ends.unregister(end)
                os.close(end)
                _, status = os.waitpid(running.pop(end), 0)
                failed += status != 0
        return time.perf_counter() - start, failed


def spawn(command, errors):
    """Starts a command that reads nothing and whose output goes nowhere. Returns its process."""
    files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
             (os.POSIX_SPAWN_DUP2, errors, 2)]
    return os.posix_spawnp(command[0], command, os.environ, file_actions=files)


class Turns:
    def __init__(self, runs):
        self.runs = runs
        self.notes = []

    def note(self, engine, row, error):
        self.notes.append(f"{engine.name}, {row}: {error}")

    def in_turn(self, row, commands, before=lambda: None):
        """Milliseconds of each run of the commands. What is to be done before each is not measured."""

        return self.in_turn_all(row, [(engine, [command]) for engine, command in commands if command], before)

    def in_turn_all(self, row, sequences, before=lambda: None):
        """The same, of several commands one after the other."""

        def measuring(sequence):
            def measure(_):
                before()
                return sum(timed(command) for command in sequence)

            return measure

        return self.measure_in_turn(row, [(engine, measuring(sequence)) for engine, sequence in sequences])

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
