"""Several processes that work on one thing, in a ring, for a lesson: as a script and in a notebook alike.

    together(4, [helper, job], x, y)

starts three processes beside the one that calls, which has rank 0. All four call ``job(ring, x, y)``, and what they
returned comes back in the order of their ranks. A process cannot import what stands in a notebook, so the others get
the source of the functions: these may use ``np``, ``nn``, each other and what they are given, and import the rest
themselves.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import secrets
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection, Listener
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn

Array = NDArray[Any]

# What a process meets whose neighbour is gone.
_GONE = (EOFError, ConnectionError)


class Ring:
    """The processes as one of them sees them: its ``rank`` among ``size``, with a neighbour on either side.

    ``sent`` counts the bytes of all arrays that it has sent. Where it is alone, what it sends comes back to itself.
    """

    def __init__(self, rank: int, size: int, neighbours: tuple[Connection, Connection] | None) -> None:
        self.rank, self.size, self.sent = rank, size, 0
        self._neighbours = neighbours

    def exchange(self, array: Array) -> Array:
        """Send an array to the next process, and return the one that the process before sent, of the same dtype."""
        if self._neighbours is None:
            return array.copy()
        following, previous = self._neighbours
        self.sent += array.nbytes
        # If all sent first, and more than what lies between them holds, all would wait for ever.
        if self.rank % 2 == 0:
            following.send_bytes(array.tobytes())
        arrived = previous.recv_bytes()
        if self.rank % 2 == 1:
            following.send_bytes(array.tobytes())
        return np.frombuffer(arrived, array.dtype)


def together(size: int, functions: Sequence[Callable[..., Any]], *arguments: Any) -> list[Any]:
    """What the last of the functions returns in each of so many processes, called with a :class:`Ring` and these.

    RuntimeError with what a process said that failed.
    """
    source = "\n\n".join(textwrap.dedent(inspect.getsource(function)) for function in functions)
    key = secrets.token_bytes(16)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "numpy_nn.lessons.processes"]
    with contextlib.ExitStack() as stack:
        others = []
        for _ in range(1, size):
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            others.append(stack.enter_context(worker))
            stack.callback(worker.kill)
        for rank, worker in enumerate(others, start=1):
            _write(worker.stdin, (rank, key, source, functions[-1].__name__, arguments))
        listener = stack.enter_context(Listener(("127.0.0.1", 0), authkey=key))
        addresses = [listener.address, *map(_read, others)]
        for worker in others:
            _write(worker.stdin, addresses)
        results, errors = list[Any](), list[Exception]()
        try:
            # Closed before the others are asked, so that who waits for this process learns that it is gone.
            with contextlib.ExitStack() as connections:
                ring = Ring(0, size, _neighbours(0, listener, addresses, key, connections))
                results.append(functions[-1](ring, *arguments))
        except _GONE as error:
            errors.append(error)
        for worker in others:
            try:
                results.append(_read(worker))
            except RuntimeError as error:
                errors.append(error)
        if errors:  # one that was told has the others for its consequence
            raise next((error for error in errors if isinstance(error, _Told)), errors[-1])
    return results


class _Told(RuntimeError):
    """An error that a process has told."""


def _neighbours(
    rank: int, listener: Listener, addresses: Sequence[Any], key: bytes, stack: contextlib.ExitStack
) -> tuple[Connection, Connection] | None:
    """The connections to the next process and to the one before, which the stack closes."""
    if len(addresses) == 1:
        return None
    # The first calls before it answers, as somebody must; all others answer first.
    previous = stack.enter_context(listener.accept()) if rank else None
    following = stack.enter_context(Client(addresses[(rank + 1) % len(addresses)], authkey=key))
    return following, previous or stack.enter_context(listener.accept())


def _write(file: IO[bytes] | None, value: Any) -> None:
    assert file is not None
    pickle.dump(value, file)
    file.flush()


def _read(worker: subprocess.Popen[bytes]) -> Any:
    """The next thing that a process says."""
    assert worker.stdout is not None
    try:
        fine, value = pickle.load(worker.stdout)
    except EOFError:
        raise RuntimeError(f"a process ended with status {worker.wait()}") from None
    if not fine:
        raise _Told(f"a process ended with\n{value}")
    return value


def _work() -> None:
    """What each of the others does: find its neighbours, call the function, say what it returned."""
    # What the function prints must not come between the two things that are said.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    orders = sys.stdin.buffer
    rank, key, source, name, arguments = pickle.load(orders)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(Listener(("127.0.0.1", 0), authkey=key))
        _write(answers, (True, listener.address))
        addresses = pickle.load(orders)
        ring = Ring(rank, len(addresses), _neighbours(rank, listener, addresses, key, stack))
        try:
            functions: dict[str, Any] = {"np": np, "nn": nn}
            exec(source, functions)
            answer = True, functions[name](ring, *arguments)
        except _GONE:  # it tells why itself
            sys.exit(1)
        except Exception:  # whatever the lesson's function raises
            answer = False, traceback.format_exc()
        _write(answers, answer)


if __name__ == "__main__":
    _work()
