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
SPINS, OFFERS, FIRST_SLEEP, LONGEST_SLEEP = 1000, 1000, 5e-5, 1e-3
# Integers of 8 bytes, of which those of each process have cache lines of their own.
LINE, RING = 16, 16
WORDS_EACH = 2 * LINE

_offer: Callable[[], object] = getattr(os, "sched_yield", lambda: time.sleep(0.0))
_lock = threading.Lock()


def words_for(size: int) -> int:
    """How many integers ``size`` processes need."""
    return LINE + RING + WORDS_EACH * size


def _fence() -> None:
    """What was written before is seen by whoever sees what is written after, on any processor.

    Taking a lock and giving it back lets what stands before and after move inside; two of them one after the other do
    not let it pass both.
    """
    for _ in range(2):
        _lock.acquire()
        _lock.release()


class Meetings:
    """The counters, as process ``rank`` of ``size`` sees them; process 0 gives orders, which all others take in turn.

    ``words`` are :func:`words_for` integers of shared memory that begin at 0. Whoever waits for longer than a moment
    calls ``check`` again and again, which raises if there is nobody left to wait for.
    """

    def __init__(self, words: NDArray[np.int64], rank: int, size: int, check: Callable[[], None]) -> None:
        self._words = memoryview(words)
        self._check = check
        places = [LINE + RING + WORDS_EACH * r for r in range(size)]
        self._own = places[rank]
        self._others = [place for place in places if place != self._own]
        self._meetings = self._orders = 0

    def meet(self) -> None:
        """Return when all are here: each then sees what the others wrote before they came."""
        self._meetings += 1
        _fence()
        self._words[self._own] = self._meetings
        for other in self._others:
            self._wait(other, self._meetings)
        _fence()

    def order(self, what: int) -> None:
        """Have the others do it after all that was ordered before."""
        self._orders += 1
        for other in self._others:  # which may be so far behind that its order would be overwritten
            self._wait(other + LINE, self._orders - RING)
        self._words[LINE + self._orders % RING] = what
        _fence()
        self._words[0] = self._orders

    def next_order(self) -> int:
        """Wait for process 0's next order."""
        self._words[self._own + LINE] = self._orders
        self._orders += 1
        self._wait(0, self._orders)
        _fence()
        return int(self._words[LINE + self._orders % RING])

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
