"""The user's own code runs in here: without NumPy's warnings, with one kind of error, and not for ever.

A loop such as ``while abs(g * g - x) > tol`` ends at the user's inputs, and may not at one that the check makes up.
Code that takes many times as long as it did before is stopped there, as an error of its own would stop it.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Code that has run to its end before may take so many times as long as it took at most, and so many seconds at least,
# as what is compiled at a later call takes long; once it has been stopped, no more than these.
TIMES, SECONDS, TIMES_ONCE_STOPPED, SECONDS_ONCE_STOPPED = 100.0, 5.0, 25.0, 0.1

# How often the watch looks, in seconds at most; so many times within the limit of what is running.
PERIOD, LOOKS = 0.25, 4.0


def as_floats(output: NDArray[Any], result: Any, label: str, *, were_floats: bool) -> NDArray[Any]:
    """An output as an array of floats. TypeError if it is one of other numbers.

    But for one whole number of Python's where outputs before ``were_floats``: so is max(0, x) where it is 0.
    """
    if were_floats and type(result) is int:
        return np.asarray(result, np.float64)
    if output.dtype.kind != "f":
        raise TypeError(f"{label}: expected an output of floats, got an array of {output.dtype}")
    return output


class SubjectError(Exception):
    """The subject's own code has raised ``__cause__``: at a point that the user gave it is his, else no verdict.

    Without a cause, the code was stopped.
    """

    @property
    def reason(self) -> str:
        """What the code's own error says, or what kind of error it is where it says nothing."""
        error = self.__cause__ or self
        return str(error) or type(error).__name__


class _Stopped(BaseException):
    """Raised in code that runs for too long, which may itself catch every Exception and go on."""


class Patience:
    """How long a subject's calls may take: the first as long as it likes.

    In seconds: a call is stopped after so many of its thread's own processor time, where the system tells it, so that a
    busy machine stops nothing.
    """

    def __init__(self) -> None:
        self.limit = float("inf")
        self._longest = -1.0  # of none yet
        self._least, self._times = SECONDS, TIMES

    def ended(self, seconds: float) -> None:
        """A call has come to its end."""
        if seconds > self._longest:
            self._longest = seconds
            self.limit = max(self._least, self._times * seconds)

    def lost(self) -> None:
        """A call was stopped."""
        self._least, self._times = SECONDS_ONCE_STOPPED, TIMES_ONCE_STOPPED
        if self._longest >= 0.0:
            self.limit = max(self._least, self._times * self._longest)


class Running:
    """A call of the user's code, for a ``with`` block: what it raises becomes a SubjectError, Ctrl-C excepted.

    ``label`` says whose code it is, ``limit`` how many seconds it may take; with ``quiet`` NumPy warns of nothing. The
    code may itself have code checked, which then runs in a block of its own. A class, as every evaluation enters it,
    and a generator takes longer.
    """

    __slots__ = (
        "_began",
        "_doomed",
        "_errstate",
        "_label",
        "_outer",
        "_patience",
        "_seen",
        "_settled",
        "_thread",
        "limit",
    )

    def __init__(self, label: str, patience: Patience, *, quiet: bool = True) -> None:
        self._label, self._patience, self.limit = label, patience, patience.limit
        self._errstate: AbstractContextManager[None] = np.errstate(all="ignore") if quiet else nullcontext()
        self._doomed = self._settled = False
        self._seen: float | None = None  # the thread's time when somebody first looked

    def __enter__(self) -> None:
        self._errstate.__enter__()
        self._thread, self._began = threading.get_ident(), time.perf_counter()
        # A call in which this one is, watched again after it.
        self._outer: Running | None = _running.get(self._thread)
        if self.limit < float("inf"):
            _running[self._thread] = self
            if not _watching:
                _watch()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            self._leave()
        except _Stopped as stopped:  # after the last of the user's instructions
            error = stopped
        finally:
            self._take_out()
            self._errstate.__exit__(kind, error, trace)
        took = time.perf_counter() - self._began
        if isinstance(error, _Stopped):
            if not self._doomed:
                raise error  # it is the code around this that takes too long
            self._patience.lost()
            raise SubjectError(f"{self._label}: stopped after {took:.1f} s, many times as long as it took before")
        if error is None:
            self._patience.ended(took)
        elif not isinstance(error, (SubjectError, KeyboardInterrupt, GeneratorExit)):
            raise SubjectError(f"{self._label}: {type(error).__name__}: {error}") from error

    def stop_if_over_time(self) -> None:
        """Raise in its thread, unless the call has ended meanwhile; the time counts from the first look on."""
        if self not in _running_in(self._thread):  # whose thread may have ended, and has no time any more
            return
        now = _time_of(self._thread)
        if self._seen is None:
            self._seen = now
        if now - self._seen <= self.limit:
            return
        # The call takes itself out before it asks whether it is doomed: so one of the two sees the other.
        self._doomed, self._settled = True, False
        if self in _running_in(self._thread):
            _raise_in(self._thread, _Stopped)
        self._settled = True

    def _leave(self) -> None:
        """Take the call out, and raise here what was to be raised in it and has not been."""
        self._take_out()
        if self._doomed:
            while not self._settled:
                time.sleep(0.0)
            # What is taken back leaves a mark in Python 3.11, by which a profiler or debugger would never get further.
            with suppress(_Stopped):
                _raise_in(self._thread, _Stopped)
                while True:
                    time.sleep(0.0)

    def _take_out(self) -> None:
        if self._outer is None:
            _running.pop(self._thread, None)
        else:
            _running[self._thread] = self._outer


_running: dict[int, Running] = {}
_watching: dict[str, threading.Thread] = {}


def _watch() -> None:
    """Have somebody look at what is running: a thread that ends when nothing is."""
    thread = threading.Thread(target=_look, name="watch of the user's code", daemon=True)
    if _watching.setdefault("it", thread) is thread:  # another thread may be here at the same time
        thread.start()


def _look() -> None:
    while limits := [call.limit for call in list(_running.values())]:
        time.sleep(min(PERIOD, min(limits) / LOOKS))
        for thread in list(_running):
            for call in _running_in(thread):
                call.stop_if_over_time()
    _watching.clear()
    if _running:  # it has begun in between, and saw that somebody was looking
        _watch()


def _running_in(thread: int) -> Iterator[Running]:
    """The call that runs in a thread, and those within which it does."""
    call = _running.get(thread)
    while call is not None:
        yield call
        call = call._outer


def _time_of(thread: int) -> float:
    """The processor time of a thread, in seconds; where the system does not tell that of another, time itself."""
    if hasattr(time, "pthread_getcpuclockid"):
        return time.clock_gettime(time.pthread_getcpuclockid(thread))
    return time.perf_counter()


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Have a thread raise at one of its next instructions in Python, this and nothing else that it was to."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


# A process that is forked has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watching.clear)
