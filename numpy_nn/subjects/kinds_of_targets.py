"""What somebody hands over: a function, an object with both passes, or one whose passes are those of a chain."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.calls.losses_kept import is_gain


def is_layer(thing: Any) -> bool:
    """Whether it is an object with both passes."""
    return not isinstance(thing, type) and not inspect.isroutine(thing) and None not in names.passes(thing)


def is_function(target: Any) -> bool:
    """Whether a callable is a function, not an object with passes of its own."""
    if hasattr(target, "__code__") or isinstance(target, np.ufunc):
        return True
    return callable(target) and not (names.has_passes(target) or hasattr(target, "__dict__"))


def are_recursions(thing: Any, forward: Any, backward: Any) -> bool:
    """Whether the two go through a chain of states from either end, as those of a hidden Markov model do.

    They take the same data, none of it a gradient, and it is another method that gives the likelihood.
    """
    if None in (forward, backward) or names.method(thing, names.BACKWARDS) == backward:
        return False
    own, other = (signatures.positional(one) or ([], []) for one in (forward, backward))
    if not own[0] or own[0] != other[0] or any(names.role(name) == names.GRAD for name in own[0]):
        return False
    return any(is_gain(name) and callable(getattr(thing, name)) for name in dir(thing) if not name.startswith("__"))
