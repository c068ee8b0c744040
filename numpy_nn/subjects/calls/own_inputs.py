"""Backward passes of an object that stands within the function, as ``lambda x, y: loss(net(x), y)`` and loss.backward.

What such a pass returns is the gradient of what its own object is given there, and of nothing that the function is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.running import Patience, Running
from numpy_nn.subjects.subject import SubjectError
from numpy_nn.subjects.undone import undone


def without_gradient_of_its_own_input(forward: Any, backward: Any, given: Sequence[Any]) -> Any:
    """A method for the backward pass that returns nothing, where what it returns is of another input; else as it is."""
    owner = backward.__self__ if inspect.ismethod(backward) else None
    own = None if owner is None or not hasattr(owner, "__dict__") else names.passes(owner)[0]
    if not inspect.ismethod(own) or own.__name__ in vars(owner) or getattr(forward, "__self__", None) is owner:
        return backward
    try:
        with (
            undone(owner, forward, drawing=forward),
            Running(type(owner).__name__, Patience()),
            _told(owner, own) as inputs,
        ):
            forward(*map(copied, given))
    except (SubjectError, TypeError, ValueError):
        return backward
    arrays = [one for one in given if isinstance(one, np.ndarray) and one.dtype.kind == "f"]
    if not inputs or not arrays or any(_has_the_numbers_of(one, other) for one in inputs for other in arrays):
        return backward

    def silent(*arguments: Any, **named: Any) -> None:
        backward(*arguments, **named)

    silent.__name__ = backward.__name__
    dressed = Dressed(silent, signatures.signature(backward))
    dressed.func = backward
    return dressed


@contextmanager
def _told(owner: Any, method: Callable[..., Any]) -> Iterator[list[NDArray[Any]]]:
    """In the block an object's method puts the array that it is given first into the list."""
    inputs: list[NDArray[Any]] = []

    def telling(*arguments: Any, **named: Any) -> Any:
        inputs.extend(np.array(one) for one in arguments[:1] if isinstance(one, np.ndarray))
        return method(*arguments, **named)

    vars(owner)[method.__name__] = telling
    try:
        yield inputs
    finally:
        vars(owner).pop(method.__name__, None)


def _has_the_numbers_of(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether both have the same numbers, in whatever shape and order."""
    return one.size == other.size and np.array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
