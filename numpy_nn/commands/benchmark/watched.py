"""Arrays that write down what NumPy does with them: each operation, its shapes and its seconds.

A :class:`Watched` array hands every operation to NumPy as plain arrays, and what comes out is watched again: so all
that is made of a watched batch is seen, in anybody's code. Inside :func:`watching` new arrays are watched too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any
from unittest import mock

import numpy as np

PRODUCTS = frozenset({"matmul", "dot", "vdot", "inner", "outer", "tensordot", "einsum", "multi_dot"})


@dataclass(frozen=True)
class Operation:
    """One call of NumPy on arrays: its name, the shapes of its arguments and of what it gave, the type of that.

    ``arrays`` is the number of bytes that it reads and writes at least, in all of those arrays.
    """

    name: str
    arguments: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]
    dtype: str
    arrays: int
    seconds: float

    @property
    def is_product(self) -> bool:
        """Whether it is a product of matrices, or of a matrix and a vector."""
        return self.name in PRODUCTS


_log: list[Operation] = []


def _plain(value: Any) -> Any:
    if isinstance(value, Watched):
        return value.view(np.ndarray)
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(one) for one in value) if type(value) in (tuple, list) else value
    return {key: _plain(one) for key, one in value.items()} if type(value) is dict else value


def _watched(value: Any) -> Any:
    if type(value) is np.ndarray:
        return value.view(Watched)
    return tuple(_watched(one) for one in value) if type(value) is tuple else value


def _found(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _found(one)


def _timed(name: str, function: Callable[..., Any], arguments: Any, options: dict[str, Any]) -> Any:
    arguments, options = _plain(tuple(arguments)), _plain(options)
    started = time.perf_counter()
    result = function(*arguments, **options)
    seconds = time.perf_counter() - started
    given = [*_found(arguments), *_found([*options.values()])]
    made = [*_found(result)]
    dtype = (made or given or [np.empty(0)])[0].dtype.name
    size = sum(array.nbytes for array in {id(one): one for one in (*given, *made)}.values())
    shape = made[0].shape if made else ()
    _log.append(Operation(name, tuple(one.shape for one in given), shape, dtype, size, seconds))
    return result


class Watched(np.ndarray[Any, Any]):
    """An array whose operations are written down."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """A function of arrays, such as ``+``, ``@`` or ``np.exp``, also summed (``reduce``)."""
        out = options.get("out")
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        result = _timed(name, getattr(ufunc, method), inputs, options)
        if out is None:
            return _watched(result)
        return out[0] if len(out) == 1 else out

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        """Any other function of NumPy's, such as ``np.concatenate``."""
        result = _timed(function.__name__, function, arguments, options)
        out = options.get("out")
        return out if out is not None else _watched(result)


def _method(name: str) -> Callable[..., Any]:
    plain = getattr(np.ndarray, name)

    @wraps(plain)
    def method(self: Watched, *arguments: Any, **options: Any) -> Any:
        result = _timed(name.strip("_"), plain, (self, *arguments), options)
        # A view, as x.T or x[3:], keeps the memory; what is written through it is seen.
        return _watched(result)

    return method


# The methods that are no functions of arrays themselves; x.sum() and x.max() are.
for _name in (
    *("dot", "copy", "astype", "argmax", "argmin", "take", "repeat", "fill", "clip", "choose", "ravel", "flatten"),
    *("reshape", "transpose", "__getitem__", "__setitem__", "argsort", "cumsum", "nonzero", "round"),
):
    setattr(Watched, _name, _method(_name))


@contextmanager
def watching() -> Iterator[list[Operation]]:
    """Write down what is done with watched arrays; ``np.empty``, ``np.asarray`` and the like give watched ones, too."""

    def making(plain: Callable[..., Any], keeps: bool) -> Callable[..., Any]:
        @wraps(plain)
        def make(*arguments: Any, **options: Any) -> Any:
            if keeps and arguments and not isinstance(arguments[0], Watched):
                return plain(*arguments, **options)
            return _watched(plain(*arguments, **options))

        return make

    del _log[:]
    with ExitStack() as stack:
        for name in ("empty", "zeros", "ones", "full"):
            stack.enter_context(mock.patch.object(np, name, making(getattr(np, name), False)))
        for name in ("array", "asarray", "ascontiguousarray"):
            stack.enter_context(mock.patch.object(np, name, making(getattr(np, name), True)))
        yield _log
