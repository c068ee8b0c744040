"""One thread for what gains nothing from a second."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

# What tells a library, before it is loaded, on how many threads it computes.
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def one_thread() -> AbstractContextManager[Any]:
    """Inside the ``with``, NumPy's BLAS and torch compute on one thread; without threadpoolctl nothing changes.

    The threads of a BLAS wait for each other actively. Beside other work, small products on two of them take ten times
    as long as on one, and more.
    """
    if importlib.util.find_spec("threadpoolctl") is None:
        return nullcontext()
    return _limited(_libraries("torch" in sys.modules))


# What puts the numbers back that were there before each limit that holds; the oldest first.
_before: list[list[Any]] = []


@contextmanager
def _limited(libraries: Any) -> Iterator[None]:
    own = [libraries.limit(limits=1)]
    _before.append(own)
    try:
        yield
    finally:
        place = next(place for place, one in enumerate(_before) if one is own)
        if own is _before[-1]:
            own[0].restore_original_limits()
        else:  # it goes on for who began later, and then puts back what was there before both
            _before[place + 1][0] = own[0]
        del _before[place]


def ask_for_one_thread() -> None:
    """NumPy and torch, if they are not loaded yet, compute on one thread, unless the user has asked for a number."""
    if "numpy" not in sys.modules:
        for variable in VARIABLES:
            os.environ.setdefault(variable, "1")


@cache
def _libraries(with_torch: bool) -> Any:
    """Those that are loaded by now, torch's too; looking for them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api=["blas", "openmp"] if with_torch else "blas")
