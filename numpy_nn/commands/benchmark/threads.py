"""Engines on the number of threads that is the fastest for them, each on its own; or all on a fixed one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from numpy_nn.commands.benchmark.engine import Engine
from numpy_nn.commands.machine.threads import Threads, settle

# A turn that takes so many times as long as the best is one in which threads waited for others' processes.
DISTURBED = 3.0
# Stretches with each number in a trial: fewer than in a training, which goes on for longer with what was found, as
# trials are a third of a benchmark's time.
ROUNDS = 3
# Pieces of work between two looks at whether the number is found.
PIECES = 8
# Two cores of a virtual machine may share one of the processor's for a while, and a second thread then gains nothing,
# for that while. So a number below the most is found so many times, so many seconds apart, and the best time counts;
# unless a larger one took so many times as long, which that does not explain.
OPINIONS, APART, FAR = 3, 1.0, 1.5


class OnThreads:
    """An engine that is timed on as many threads as were found to be the fastest for it, out of ``counts``.

    The number is found before the engine is timed, if it is not the most again before later turns, and anew after a
    turn in which it was disturbed. ``used`` counts the turns on each. An engine that cannot have several has the last
    of them.
    """

    def __init__(self, engine: Engine, counts: Sequence[int], clock: Callable[[], float] = time.perf_counter) -> None:
        self.engine, self.pool = engine, engine.pool
        self.used: Counter[int] = Counter()
        self._counts = counts if engine.adapts else counts[-1:]
        self._clock = clock
        self._best = float("inf")
        self._count: int | None = None
        self._found: list[tuple[float, int]] = []  # the seconds of a step or a piece of work on the number found
        self._is_near = True  # a larger one was not much slower
        self._last = 0.0

    def seconds(self, n: int) -> float:
        """Do the work ``n`` times; the seconds it took."""
        if self._count is None or self._may_be_more():
            self._found.append(self._find())
            self._last = self._clock()
            self._count = min(self._found)[1]
        if self.engine.set_threads is not None:
            self.engine.set_threads(self._count)
        if n == 0:
            return 0.0
        self.used[self._count] += 1
        seconds = self.engine.seconds(n)
        self._best = min(self._best, seconds / n)
        if len(self._counts) > 1 and seconds / n > DISTURBED * self._best:
            self._count, self._found = None, []
        return seconds

    def _may_be_more(self) -> bool:
        doubted = self._count != self._counts[-1] and self._is_near and len(self._found) < OPINIONS
        return doubted and self._clock() - self._last >= APART

    def _find(self) -> tuple[float, int]:
        # An epoch is too long to be tried out, and is made of steps.
        piece = self.engine.step if self.engine.case.kind == "epoch" else self.engine.work
        threads = Threads(self._counts, self.engine.set_threads, self._clock, rounds=ROUNDS)
        while not threads.settled:
            with threads.epoch():
                for _ in range(PIECES):
                    piece()
                    threads.step()
        if len(self._counts) > 1:
            settle()  # or the threads that wait for more would take a core from the next engine
        larger = [seconds for count, seconds in threads.times.items() if count > threads.count]
        self._is_near = bool(larger) and min(larger) < FAR * threads.times[threads.count]
        return threads.each, threads.count
