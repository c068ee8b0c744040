"""How many threads a network is trained with: a fixed number, or the one that is found to be the fastest as it trains.

Threads of a BLAS wait for each other actively. Where other processes keep the cores busy, one that is not scheduled
stops all of them, and two threads take many times as long as one; small networks gain nothing from a second. So
:class:`Threads` times the steps of the running training with 1, 2, 4, ... threads, goes on with the fastest, and times
again when steps become slow, and now and then, as it would not notice otherwise that others are gone.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean, median
from typing import NamedTuple

from numpy_nn.commands.machine.processors import quota

# A stretch of steps is timed as a whole: reading the clock then costs nothing, and a moment of somebody else's is
# little of it. With each number of threads there are so many stretches, in turn.
STRETCH, ROUNDS = 0.01, 5
# Threads beyond the quota of a container run at full speed until its time is used up, and stand still for the rest of
# a period, which is a tenth of a second by default: only a stretch over several periods tells what they are worth.
PERIODS = 0.3
# So long do OpenBLAS's threads wait actively for more work: 2^28 ticks of the processor's clock, at 2 GHz. Those that
# a smaller number leaves idle take a core meanwhile, from the steps themselves where others keep the rest busy, and
# these steps tell nothing.
AWAKE = 0.135
# A number that has lost so many seconds against the best, or half of a stretch if that is more, is given up before its
# rounds are over; but not for its worst stretch, in which somebody else may have been at work for a moment, unless all
# have lost as much as this.
PATIENCE, AT_ONCE = 0.03, 0.15
# Times this near to each other are equal, and the fewer threads, or those at work, are kept.
EQUAL = 1.03
# A step is slow if it takes so many times as long as when the number was chosen.
SLOW = 1.15
# From a trial to the next there are so many seconds at least, and so many times as many as the trial took; and trials
# lose no more than a share of the time.
REST, RESTS, SHARE = 2.0, 10, 0.02
# To wait for threads to sleep, so many seconds at a time, and so many altogether.
SETTLE_SLICE, SETTLE_LIMIT = 0.005, 1.0


class Stretch(NamedTuple):
    """Steps that were timed together, and before them one that was not."""

    seconds: float
    steps: int
    untimed: int = 0

    @property
    def each(self) -> float:
        """The seconds of one step."""
        return self.seconds / self.steps


# Yields a number of threads, and is sent a stretch of steps taken with it.
Decisions = Generator[int, Stretch, None]


# Steps before several processes are timed: at first they compute by the formulas, and record how.
WARM_UP = 8


def counts_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... and ``most``."""
    return (*(2**power for power in range(most.bit_length()) if 2**power < most), most)


class Threads:
    """Sets the number of threads of a training, which says when an epoch begins and ends and when a step is over.

    Of ``counts``, in ascending order, it finds the fastest; a single one is set and kept. A count -N at their end
    stands for N processes of one thread each. ``set_threads`` sets the
    number; None where it cannot be set or makes no difference, and then nothing is timed either. ``used`` counts the
    steps that were taken with each number. ``cores`` is the processors' time that there is a second, by default the
    quota of this process's container. A trial has ``rounds`` stretches with each number at most. ValueError for no
    counts.
    """

    def __init__(
        self,
        counts: Sequence[int],
        set_threads: Callable[[int], object] | None,
        clock: Callable[[], float] = time.perf_counter,
        cores: float | None = None,
        rounds: int = ROUNDS,
    ) -> None:
        if not counts:
            raise ValueError("counts: expected at least one number of threads, got none")
        cores = quota() if cores is None else cores
        self._rounds = rounds
        self._stretch = PERIODS if cores < max(map(abs, counts)) else STRETCH
        self.used: Counter[int] = Counter()
        self.trials = 0  # how many there were
        self.each = 0.0  # the seconds of a step on the number that the last trial has found
        self.times: dict[int, float] = {}  # those on each number that it has tried
        self.chooses = set_threads is not None and len(counts) > 1
        self.settled = not self.chooses  # no trial is going on
        self._set_threads, self._clock = set_threads or (lambda _: None), clock
        self._since = 0.0  # when the clock was last read
        self._trained = 0.0  # the seconds of all steps; what is done between two epochs is none of a trial either
        self._decisions = self._decide(counts) if self.chooses else None
        self.count = next(self._decisions) if self._decisions else counts[-1]
        self._seconds, self._steps = 0.0, 0  # of the stretch so far, when the clock was last read
        self._ahead = self._left = 1  # steps from one reading to the next, and how many of them are to come
        self._warm = False  # the first step with another number wakes threads, and counts only if it is a long one
        self._awake = 0.0  # for how long threads that are not used any more may be
        self._untimed = 0

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Steps are taken inside the ``with``; what is done between two epochs is nobody's time."""
        self._set_threads(self.count)
        self._ahead = self._left = self._ahead if self._decisions else 1 << 62
        self._since = self._clock()
        try:
            yield
        finally:
            self._read()

    def step(self) -> None:
        """A step is over."""
        self._left -= 1
        if self._left <= 0:
            self._read()

    def _read(self) -> None:
        """Add the time since the last reading to the stretch; if it is long enough, decide how to go on."""
        steps = self._ahead - self._left
        self._left = self._ahead
        if steps == 0:
            return
        now = self._clock()
        first = not self.used
        self.used[self.count] += steps
        seconds, self._since = now - self._since, now
        self._trained += seconds
        if self._decisions is None:
            return
        if not self._warm:
            is_timed = not (first or self._awake or self.count < 0 or seconds < self._stretch)
            if self._awake:
                self._awake = max(0.0, self._awake - seconds)
                # As many as may be left, and no more than twice as many as before.
                left = self._awake * steps / seconds if seconds else steps
                self._ahead = self._left = max(1, min(2 * steps, int(left)))
            self._warm = not self._awake
            if not is_timed:
                self._untimed += steps
                return
        self._seconds += seconds
        self._steps += steps
        if self._seconds < self._stretch:
            # As many as are missing if the next take as long, and no more than there were.
            missing = self._steps * (self._stretch - self._seconds) / self._seconds if self._seconds else self._steps
            self._ahead = self._left = max(1, min(self._steps, int(missing) + 1))
            return
        stretch = Stretch(self._seconds, self._steps, self._untimed)
        self._seconds, self._steps, self._untimed = 0.0, 0, 0
        count = self._decisions.send(stretch)
        if count == self.count:
            # A quarter of a stretch, so that one in which steps become slow is not four times as long.
            self._ahead = self._left = max(1, min(stretch.steps, int(self._stretch / stretch.each) // 4))
            return
        self._awake = AWAKE if self.count > max(1, count) else 0.0
        self.count, self._warm = count, False
        self._ahead = self._left = 1 if count > 0 else WARM_UP
        self._set_threads(count)
        self._since = self._clock()

    def _decide(self, counts: Sequence[int]) -> Decisions:
        chosen: int | None = None
        slow, patience = False, 1
        while True:
            self.settled, self.trials = False, self.trials + 1
            before = chosen
            began = self._trained
            chosen, self.each, cost = yield from self._trial(counts, before)
            rest = max(REST, RESTS * (self._trained - began), cost / SHARE)
            self.settled = True
            if chosen != before:
                patience = 1
            elif slow:  # the number of threads was not the reason, and may not be the next time
                patience = min(16, 2 * patience)
            slow = yield from self._watch(chosen, self.each, rest, patience * max(PATIENCE, 3 * cost))

    def _trial(self, counts: Sequence[int], now: int | None) -> Generator[int, Stretch, tuple[int, float, float]]:
        """Time a few stretches with each number; returns the best, the seconds of its step, and what the rest lost."""
        times: dict[int, list[Stretch]] = {}
        left = list(counts)
        for turn in range(self._rounds):
            # There and back, as fewer threads than before are timed only when those are asleep.
            for count in counts if turn % 2 == 0 else reversed(counts):
                if count in left:
                    times.setdefault(count, []).append((yield count))
                    left = _promising(left, times, max(PATIENCE, self._stretch / 2))
            if len(left) == 1:
                break
        best = min(_each(times[count]) for count in left)
        equal = [count for count in left if _each(times[count]) <= EQUAL * best]
        chosen = now if now in equal else equal[0]
        each = max(_each(times[chosen]), fmean(stretch.each for stretch in times[chosen]))
        self.times = {count: _each(stretches) for count, stretches in times.items()}
        return chosen, each, sum(_lost(stretches, each) for stretches in times.values())

    def _watch(self, count: int, each: float, rest: float, patience: float) -> Generator[int, Stretch, bool]:
        """Go on until it is time for a trial; returns whether that is so because steps have become slow."""
        seconds = late = 0.0
        while seconds < rest:
            stretch = yield count
            seconds += stretch.seconds
            late = max(0.0, late + stretch.seconds - SLOW * each * stretch.steps)
            if late > patience:
                return True
        return False


def _promising(left: Sequence[int], times: Mapping[int, Sequence[Stretch]], patience: float) -> list[int]:
    """Those that have not lost too much; where one is too many for what else goes on, so are all above it.

    The best stays, though a stretch of its own in which somebody else was at work is a loss as well.
    """
    best = min((count for count in left if count in times), key=lambda count: _each(times[count]))
    each = _each(times[best])
    others = [count for count in left if count in times and count != best]
    poor = [count for count in others if _is_poor(times[count], each, patience)]
    too_many = min((count for count in poor if count > best), default=math.inf)
    return [count for count in left if count not in poor and count < too_many]


def _is_poor(stretches: Sequence[Stretch], each: float, patience: float) -> bool:
    lost = [_more(stretch, each) for stretch in stretches]
    return sum(lost) - max(lost) > patience or sum(lost) > max(patience, AT_ONCE)


def _each(stretches: Iterable[Stretch]) -> float:
    """The seconds of a step, little moved by a single stretch in which somebody else was at work."""
    return median(stretch.each for stretch in stretches)


def _lost(stretches: Iterable[Stretch], each: float) -> float:
    """How much longer these stretches took than with so many seconds a step, those that were not timed included."""
    return max(0.0, sum(_more(stretch, each) for stretch in stretches))


def _more(stretch: Stretch, each: float) -> float:
    return (stretch.each - each) * (stretch.steps + stretch.untimed)


def describe(used: Counter[int]) -> str:
    """How often each number was used, as "1 in 98%, 2 in 2% of the steps"; -N is one thread in each of N processes."""
    names = {count: str(count) if count > 0 else f"{-count} processes" for count in used}
    shares = [
        f"{names[count]} in {used[count] / used.total():.0%}" for count in sorted(used, key=lambda n: (n < 0, abs(n)))
    ]
    return f"{', '.join(shares)} of the steps"


def blas_setter() -> Callable[[int], object] | None:
    """Sets the threads of NumPy's BLAS, and of any other; None if threadpoolctl is not installed or knows none."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return None
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    if not libraries:
        return None

    def set_threads(number: int) -> None:
        for library in libraries:
            library.set_num_threads(number)

    return set_threads


@contextmanager
def given_back() -> Iterator[None]:
    """At the end, every library that threadpoolctl knows has as many threads as before."""
    if importlib.util.find_spec("threadpoolctl") is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits():
        yield


def settle(
    clock: Callable[[], float] = time.process_time,
    sleep: Callable[[float], None] = time.sleep,
    limit: float = SETTLE_LIMIT,
) -> None:
    """Wait until this process's other threads sleep.

    OpenBLAS's and OpenMP's threads spin for a while after their last piece of work, OpenBLAS's for more than 0.1 s,
    and would take a core from an engine that has threads of its own.
    """
    for _ in range(int(limit / SETTLE_SLICE)):
        before = clock()
        sleep(SETTLE_SLICE)
        if clock() - before < SETTLE_SLICE / 4:
            return
