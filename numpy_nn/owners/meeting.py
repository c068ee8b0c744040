"""Where processes meet: counters in shared memory, for which they wait actively, though only for microseconds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# How often a counter is read before the processor is offered to others, how often it is offered before the process
# sleeps, and how many seconds it sleeps at first and at most. On a quiet machine a meeting is over within the first;
# where others want the processor, the one that is waited for may be waiting for just that.
SPINS, OFFERS, FIRST_SLEEP, LONGEST_SLEEP = 1000, 1000, 5e-5, 2e-3
# Integers from one counter to the next, so that no two lie in one cache line; and how many orders may be ahead.
APART, RING = 16, 16

_offer: Callable[[], object] = getattr(os, "sched_yield", lambda: time.sleep(0.0))
_lock = threading.Lock()


def words_for(size: int) -> int:
    """How many integers ``size`` processes need."""
    return APART * (2 + 2 * size)


def _fence() -> None:
    """Whoever sees what is written after this sees what was written before, on any processor.

    What stands before and after a lock that is taken and given back may move inside, but not past two of them.
    """
    for _ in range(2):
        with _lock:
            pass


class Meetings:
    """The counters, as process ``rank`` of ``size`` sees them; process 0 gives orders, which the others take in turn.

    ``words`` are :func:`words_for` integers in shared memory that begin at 0. Whoever waits for longer than a moment
    calls ``check`` again and again, which raises if there is nobody left to wait for. ``batch`` counts the batches.
    ``meanwhile`` is done once, at the next meeting, while this process waits for the others.
    """

    def __init__(self, words: NDArray[np.int64], rank: int, size: int, check: Callable[[], None]) -> None:
        self._words, self._check = words.data, check
        self._own, *_ = places = [APART * (2 + 2 * r) for r in (rank, *(r for r in range(size) if r != rank))]
        self._others = places[1:]
        self._meetings = self._orders = self.batch = 0
        self.meanwhile: Callable[[], object] | None = None

    def meet(self) -> None:
        """Return when all are here: each then sees what the others wrote before they came."""
        self._meetings += 1
        _fence()
        self._words[self._own] = self._meetings
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        for other in self._others:
            self._wait(other, self._meetings)
        _fence()

    def order(self, what: int) -> None:
        """Have the others do it after all that was ordered before."""
        self._orders += 1
        for other in self._others:  # so that no order is overwritten that one of them has not taken yet
            self._wait(other + APART, self._orders - RING)
        self._words[APART + self._orders % RING] = what
        _fence()
        self._words[0] = self._orders

    def next_order(self) -> int:
        """Process 0's next order, once it is given."""
        self._words[self._own + APART] = self._orders
        self._orders += 1
        self._wait(0, self._orders)
        _fence()
        return int(self._words[APART + self._orders % RING])

    def _wait(self, index: int, value: int) -> None:
        words = self._words
        for _ in range(SPINS):
            if words[index] >= value:
                return
        for _ in range(OFFERS):
            _offer()
            if words[index] >= value:
                return
        seconds = FIRST_SLEEP
        while words[index] < value:
            self._check()
            time.sleep(seconds)
            seconds = min(2.0 * seconds, LONGEST_SLEEP)
