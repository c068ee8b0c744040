"""Layers that keep the gradient of their output, and add that of their input to an array that backward is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.places import output_paths
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.state import Snapshot

# Where such a layer keeps the gradient of its output, which the next one adds to.
_KEPT = "delta"


def with_gradient_kept(target: Any, forward: Callable[..., Any], backward: Any, inputs: Sequence[Any]) -> Any:
    """A backward pass as darknet's layers have it, as one that is given the gradient of the output; any other as it is.

    Forward leaves an array as ``delta``, for what comes after it to add to, and backward adds to the one that it is
    given, which it calls as a gradient.
    """
    required, optional = (None if backward is None else positional(backward)) or ([], [])
    places = [name for name in (*required, *optional) if names.role(name) == names.GRAD]
    if len(places) != 1 or len(inputs) != 1 or not _makes_room(target, forward, inputs[0]):
        return backward
    others = [name for name in required if name not in places]

    def given_the_gradient(*arguments: Any) -> Any:
        *given, grad_output = arguments
        setattr(target, _KEPT, np.array(grad_output))
        added = np.zeros_like(inputs[0])
        backward(**dict(zip(others, given, strict=True)), **{places[0]: added})
        return added

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return Dressed(
        given_the_gradient, inspect.Signature([inspect.Parameter(name, kind) for name in (*others, *places)])
    )


def _makes_room(target: Any, forward: Callable[..., Any], x: Any) -> bool:
    """Whether forward makes an array anew for the gradient of its output, which backward alone does elsewhere."""
    before, earlier = Snapshot(target), attributes(target).get(_KEPT)
    try:
        with Running(type(target).__name__, Patience()):
            returned = forward(x.copy())
        kept, leaves = attributes(target).get(_KEPT), bool(output_paths(target))
    except SubjectError:
        return False  # what it raises comes again at the first pass after this
    finally:
        before.restore()
    is_new = isinstance(kept, np.ndarray) and kept is not earlier
    return is_new and leaves and (returned is None or returned is target)
