"""How an object that is refused becomes checkable: by methods of its own, once they have been seen to fit."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects.arrays.gradients import is_jacobian, same_but_ones
from numpy_nn.subjects.arrays.nested import arrays_of
from numpy_nn.subjects.arrays.places import places
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.names import callables
from numpy_nn.subjects.state import Snapshot

_OF_DERIVATIVES = re.compile("grad|jac|deriv|prime|adjoint|force")
# What is called so may do more than compute.
_ACTS = re.compile(
    "save|load|write|dump|read|plot|show|draw|print|delete|remove|clear|reset|fit|train|run|update|step|set|send"
)
_OF_BOTH = re.compile("loss|cost|objective|likelihood|nll|elbo|surrogate|_(and|with)_")


def lines_for_methods(target: Any, given: Sequence[Any], targets: bool = False) -> str:
    """How an object becomes checkable by a method, or by two of which one is the gradient of the other; or nothing.

    Methods are called, so that no line is shown that does not work: one that returns a number, or values, and what has
    the shape of an argument's gradient, or a parameter's, or of a Jacobian. ``targets`` says that they are the last of
    what is given.
    """
    own = [name for name, one in callables(target) if not name.startswith("_") and takes(one, len(given))]
    takers = [name for name in own if not _ACTS.match(name.lower())]
    gradients = [name for name in takers if _OF_DERIVATIVES.search(name.lower())]
    values = [name for name in takers if name not in gradients or _OF_BOTH.search(name.lower())]
    before = Snapshot(target)
    try:
        results = {name: _result(getattr(target, name), given) for name in dict.fromkeys([*values, *gradients])}
    finally:
        before.restore()
    values.sort(key=lambda name: not _is_number(results[name]))  # the gradient is rather that of a number
    kept = [place.read() for place in places(target)]  # a loss may return the gradients of the parameters alone
    known = [*given, *(value for value in kept if isinstance(value, np.ndarray))]
    both = [name for name in results if _has_gradients_after_a_value(results[name], known)]
    called_back = [name for name in results if _has_a_function_after_a_value(results[name])]

    def works_alone(f: str, g: str) -> bool:
        """Whether a method gives gradients where it comes after this one alone, of an object as it was."""
        before.restore()
        value = _result(getattr(target, f), given)
        tries = (given, [value]) if isinstance(value, np.ndarray) else (given,)
        return any(_are_of(_result(getattr(target, g), arguments), value, known) for arguments in tries)

    try:
        # That of a path needs the path that has been walked: of those that fit, one that leaves none does not do.
        pairs = [] if both else [(f, g) for g in gradients for f in values if f != g and works_alone(f, g)]
    finally:
        before.restore()
    if not both and not pairs and not called_back:
        return ""
    inputs = len(given) - targets
    x = "x" if inputs == 1 else f"({', '.join('abcdefgh'[:inputs])})"
    x += ", targets" if targets else ""
    kind = type(target).__name__
    it, file = kind.lower(), getattr(inspect.getmodule(type(target)), "__name__", "file")
    named = both[:1] or (list(pairs[0]) if pairs else called_back[:1])
    methods = ", ".join(f"{it}.{name}" for name in named)
    how = "a method of it that returns its value and its gradients" if both else "two methods of it"
    how = how if both or pairs else "a method of it that returns its value and a function for its gradients"
    of_file = ",".join(f"{kind}.{name}" for name in named)
    return (
        f"\nor by {how}:\n    check_gradients({methods if len(named) == 1 else f'({methods})'}, {x})"
        f"    # on the command line, {file}.py:{of_file}"
    )


def _result(function: Callable[..., Any], given: Sequence[Any]) -> Any:
    """What a method returns; None where it does not take what is given."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return function(*(np.array(one) if isinstance(one, np.ndarray) else one for one in given))
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever the user's code raises
        return None


def _is_number(result: Any) -> bool:
    return isinstance(result, (float, np.floating, np.ndarray)) and np.size(result) == 1


def _has_gradients_after_a_value(result: Any, given: Sequence[Any]) -> bool:
    is_pair = isinstance(result, tuple) and len(result) > 1 and np.size(result[0]) == 1
    return is_pair and np.asarray(result[0]).dtype.kind == "f" and _fit(result[1:], given, ())


def _has_a_function_after_a_value(result: Any) -> bool:
    """Whether it is a value and what takes the gradient of it, as of functions that call back."""
    is_pair = isinstance(result, tuple) and len(result) == 2 and callable(result[1])
    return is_pair and isinstance(result[0], (float, np.ndarray)) and np.asarray(result[0]).dtype.kind == "f"


def _are_of(gradients: Any, value: Any, given: Sequence[Any]) -> bool:
    """Whether these have the shapes of gradients of a number, or of Jacobians of an array."""
    if not isinstance(value, (float, np.floating, np.ndarray)) or np.asarray(value).dtype.kind != "f":
        return False
    return _fit(gradients, given, np.shape(value))


def _fit(gradients: Any, given: Sequence[Any], output: tuple[int, ...]) -> bool:
    shapes = [array.shape for one in given for _, array in arrays_of(one)]
    found = [array.shape for _, array in arrays_of(gradients)]
    number = 1 if not output else int(np.prod(output))

    def fits(shape: tuple[int, ...]) -> bool:
        same = any(same_but_ones(shape, one) for one in shapes)
        return same if number == 1 else same or any(is_jacobian(shape, output, one) for one in shapes)

    return bool(found) and all(map(fits, found))
