"""How time is taken: alternating rounds, medians with their spread, ratios round by round with bootstrap intervals."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from numpy_nn.commands.machine.threads import settle

# A sample shorter than this would measure the clock and the scheduler as well.
SAMPLE_SECONDS = 0.02


class Timed(Protocol):
    """What can be timed; engines with the same ``pool`` compute with the same threads."""

    @property
    def pool(self) -> str:
        """The name of its pool of threads."""

    def seconds(self, n: int) -> float:
        """Do the work ``n`` times; the seconds it took."""


@dataclass(frozen=True)
class Piece:
    """A piece of work that can be timed."""

    work: Callable[[], object]
    pool: str = "numpy"

    def seconds(self, n: int) -> float:
        """Do the work ``n`` times; the seconds it took."""
        started = time.perf_counter()
        for _ in range(n):
            self.work()
        return time.perf_counter() - started


class Summary(NamedTuple):
    """Median and quartiles, in seconds or as a ratio."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """The distance of the quartiles in units of the median."""
        return (self.high - self.low) / self.median


class Interval(NamedTuple):
    """A median with the ends of its bootstrap interval."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """In units of the median."""
        return (self.high - self.low) / self.median


def summarize(values: Sequence[float]) -> Summary:
    """Median and quartiles. ValueError for no values."""
    if not len(values):
        raise ValueError("values: expected at least one, got none")
    low, median, high = np.quantile(np.asarray(values, dtype=np.float64), (0.25, 0.5, 0.75))
    return Summary(float(median), float(low), float(high))


def bootstrap_median(
    values: Sequence[float], *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The median with its percentile bootstrap interval (Efron and Tibshirani, 1993, chapter 13).

    ``resamples`` times as many values are drawn, with replacement; the interval holds the middle ``confidence`` of
    their medians. ValueError for no values, or a confidence outside (0, 1).
    """
    if not len(values):
        raise ValueError("values: expected at least one, got none")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence}")
    sample = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    medians = np.median(sample[rng.integers(0, len(sample), (resamples, len(sample)))], axis=1)
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(medians, (tail, 1.0 - tail))
    return Interval(float(np.median(sample)), float(low), float(high))


def ratios(seconds: Mapping[str, Sequence[float]], reference: str) -> dict[str, Interval]:
    """Time over the reference's, round by round, so that what slows a whole round cancels; with its interval."""
    below = np.asarray(seconds[reference])
    return {name: bootstrap_median((np.asarray(above) / below).tolist()) for name, above in seconds.items()}


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The exponent p of the power law y ~ x^p that fits best, by least squares on the logarithms.

    ValueError for fewer than two different x.
    """
    if len(set(x)) < 2:
        raise ValueError(f"x: expected at least two different values, got {list(x)}")
    log_x, log_y = np.log(x), np.log(y)
    centered = log_x - log_x.mean()
    return float(centered @ (log_y - log_y.mean()) / (centered @ centered))


def noise_warnings(ratio: Mapping[str, Interval], reference: str, tolerated: float = 0.05) -> list[str]:
    """A line for each engine that is not told apart from the reference, because the interval is too wide."""
    return [
        f"too noisy to tell {name} from {reference}: time ratio {r.median:.2f}, anywhere in {r.low:.2f} to {r.high:.2f}"
        for name, r in ratio.items()
        if name != reference and r.low <= 1.0 <= r.high and r.width > tolerated
    ]


@contextmanager
def without_collector() -> Iterator[None]:
    """No garbage collection inside the ``with``, as in ``timeit``."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def repetitions(engine: Timed, sample_seconds: float = SAMPLE_SECONDS) -> int:
    """How often the work must be done for one sample, found by doubling; warms up on the way."""
    n = 1
    engine.seconds(1)
    while (taken := engine.seconds(n)) < sample_seconds:
        n *= 2
    return math.ceil(n * sample_seconds / taken)  # up to half of the last doubling is too many


def run_rounds(
    engines: Mapping[str, Timed],
    rounds: int,
    *,
    sample_seconds: float = SAMPLE_SECONDS,
    settle: Callable[[], None] = settle,
    after_turn: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds of one piece of work, for each engine and round.

    In each round every engine has its turn, in an order that rotates. Engines that share a pool of threads follow each
    other; between pools the threads of the last one are given time to fall asleep. ``after_turn`` is called when a turn
    is over.
    """
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, got {rounds}")
    pools: dict[str, list[str]] = {}
    for name, engine in engines.items():
        pools.setdefault(engine.pool, []).append(name)
    times: dict[str, list[float]] = {name: [] for name in engines}
    counts: dict[str, int] = {}
    for names in pools.values():
        settle()
        for name in names:
            counts[name] = repetitions(engines[name], sample_seconds)
    groups = list(pools.values())
    for index in range(rounds):
        for group in _rotated(groups, index):
            if len(groups) > 1:
                settle()
            for name in _rotated(group, index):
                engine, n = engines[name], counts[name]
                with without_collector():
                    engine.seconds(n // 10)  # to fill the caches and wake the threads
                    times[name].append(_each(engine, n))
                after_turn()
    return times


def _each(engine: Timed, n: int) -> float:
    """Seconds of one piece of work out of ``n``, or out of more where the clock did not move in so many."""
    while (taken := engine.seconds(n)) <= 0.0:
        n *= 2
    return taken / n


def _rotated(items: Sequence[Any], by: int) -> list[Any]:
    by %= len(items)
    return [*items[by:], *items[:by]]
