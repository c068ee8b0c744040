"""Code as it is given: its passes, its arguments, what its user says beside; and what a first call of it returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.gradients import is_jacobian
from numpy_nn.subjects.arrays.nested import as_given, is_container, mapped
from numpy_nn.subjects.arrays.places import follow, output_paths, places
from numpy_nn.subjects.calls.conventions import orders_of_inputs
from numpy_nn.subjects.calls.costs import LossOfOutput
from numpy_nn.subjects.names import tells_gradients
from numpy_nn.subjects.running import Patience, Running
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.returned import lines_for_dict, lines_for_dict_alone, names_by_place
from numpy_nn.subjects.source.surroundings import Surroundings
from numpy_nn.subjects.subject import SubjectError


@dataclass(frozen=True)
class Hints:
    """What a user may say beside the target: see :func:`~numpy_nn.gradcheck.check_gradients`."""

    parameters: Mapping[str, str] | None = None
    constants: Sequence[str] = ()
    generators: Sequence[Any] = field(default_factory=tuple)
    cost: Callable[[Any, Any], Any] | None = None
    # Of each argument the number of the first that is the same array; none where all are different.
    which: Sequence[int] = ()


@dataclass(frozen=True)
class Code:
    """A forward and a backward pass, with the ``given`` arguments by name.

    ``backward`` is None where forward returns a value and its gradients, ``target`` the name of the argument that is
    the target of a loss, ``owner`` the object whose methods they are. All ways to call it have one ``patience``.
    """

    label: str
    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    given: Mapping[str, Any]
    hints: Hints
    target: str | None = None
    owner: Any = None
    patience: Patience = field(default_factory=Patience)


HOW = """
it becomes checkable as a pair of functions, or with its arrays by name:
    check_gradients((f, vjp), x)                    # y = f(x), gradient = vjp(x, grad_output)
    check_gradients(run, grads, x=x, W=net.W)       # run() returns the output, grads(grad_output) the gradients"""


def first_result(code: Code) -> tuple[Any, list[Any]]:
    """What forward returns, and where its output is if it returns nothing."""
    order = orders_of_inputs(code.forward, list(code.given), code.target)
    with Running(code.label, code.patience):
        result = code.forward(*(_handed(code.given[name]) for name in order))
    if isinstance(result, Mapping):
        called = getattr(code.forward, "__qualname__", code.label)
        raise TypeError(
            lines_for_dict(called, result) if code.backward is not None else lines_for_dict_alone(called, result)
        )
    # What can be chained returns itself; with targets it may keep more than one thing that is of them.
    if result is not None and (result is not code.owner or code.target is not None or not output_paths(code.owner)):
        return result, [None]
    paths = output_paths(code.owner)
    if not paths:
        raise TypeError(
            f"{code.label}: expected forward to return its output, or to keep it as output, got nothing{HOW}"
        )
    return np.asarray(follow(code.owner, paths[0])), paths


def _handed(value: Any) -> Any:
    """A copy of an argument as the code gets it: float arrays in float64, a number of NumPy still a number."""
    if is_container(value):
        return mapped(value, lambda _, part: _handed(part))
    if isinstance(value, np.floating):
        return np.float64(value)
    return as_given(value).copy() if isinstance(value, np.ndarray) else value


def is_losses_and_gradient(code: Code, result: Any) -> bool:
    """Whether a function returns a loss for each sample, or by its name each number, and dx.

    Where it is given no targets its name, or what it calls the second, tells that it is a gradient.
    """
    named = names.is_loss(code.label) or names.is_usual_loss(code.label)
    if code.target is not None:
        return may_be_values_and_gradient(code, result, of_any_shape=named)
    told = [code.label, *list(names_by_place(code.forward).values())[1:]]
    tells = any(names.tells_gradients(name) or "grad" in names.plain(name) for name in told)
    return tells and may_be_values_and_gradient(code, result)


def may_be_values_and_gradient(code: Code, result: Any, *, of_any_shape: bool = False) -> bool:
    """Whether it may be a value for each sample, or for each number, and the gradient of an argument."""
    if not (isinstance(result, tuple) and len(result) == 2):
        return False
    values, gradient = result
    if not all(isinstance(part, np.ndarray) and part.dtype.kind == "f" for part in result) or values.ndim == 0:
        return False
    each = code.target is None and values.shape == gradient.shape
    fits = of_any_shape or each or values.size == max(values.shape) in gradient.shape
    return fits and any(np.shape(x) == gradient.shape for name, x in code.given.items() if name != code.target)


def is_output_and_jacobian(code: Code, result: Any) -> bool:
    """Whether a function returns an output and what it calls a Jacobian, as ``r, J`` of an optimizer's residuals."""
    if not (isinstance(result, tuple) and len(result) == 2) or is_ragged(result[0]) or np.ndim(result[0]) == 0:
        return False
    told = [code.label, *list(names_by_place(code.forward).values())[1:]]
    if not any(_JACOBIAN.search(names.plain(name)) for name in told):
        return False
    parts = [part for part in _flat(result[1]) if isinstance(part, np.ndarray)]
    shapes = [np.shape(x) for x in code.given.values() if isinstance(x, (float, np.ndarray))]
    output = np.shape(result[0])
    return bool(parts) and all(any(is_jacobian(part.shape, output, shape) for shape in shapes) for part in parts)


_JACOBIAN = re.compile(r"jac|^j\d*$")


def _flat(thing: Any) -> list[Any]:
    return (
        list(thing.values()) if isinstance(thing, Mapping) else [*thing] if isinstance(thing, tuple | list) else [thing]
    )


def is_value_and_gradients(result: Any) -> bool:
    """Whether a function that has no backward pass returns a number, and its gradients after it."""
    if not isinstance(result, tuple) or len(result) < 2 or is_ragged(result[0]):
        return False
    return np.size(result[0]) == 1 and np.isrealobj(result[0])


def is_ragged(thing: Any) -> bool:
    """Whether it is a list or a tuple of arrays of different shapes, of which numpy makes no array."""
    if not isinstance(thing, (list, tuple)):
        return False
    try:
        np.shape(thing)
    except ValueError:
        return True
    return False


def may_leave_gradients(code: Code, result: Any) -> bool:
    """Whether a function returns a number alone, and may leave its gradients in its object or under names around it."""
    if code.owner is None or not isinstance(result, (float, np.floating, np.ndarray)) or np.size(result) != 1:
        return False
    kept = (place.path for place in places(code.owner))
    return isinstance(code.owner, Surroundings) or any(tells_gradients(step.key) for path in kept for step in path)


def likeliest_error(errors: Sequence[tuple[bool, Exception]], code: Code, untold: Sequence[str]) -> Exception:
    """The error of the likeliest way to call the code, of which each has whether it was tried without being told.

    Where all were, and of some of backward's arguments, ``untold``, nothing tells what they are, that is said.
    """
    is_tried, error = min(errors, key=lambda one: one[0], default=(True, None))
    if not (is_tried and untold and code.backward is not None):
        got = getattr(code.backward, "__name__", code.backward) or "one of another kind"
        expected = f"expected a backward pass that takes a gradient, got {got}{HOW}"
        return error or TypeError(f"{code.label}: {expected}")
    name = getattr(code.backward, "__name__", "backward")
    wanted = (positional(code.backward) or ([], []))[0]
    left = ", ".join(one for one in wanted if one not in untold)
    first = next((place for place, one in enumerate(wanted) if one in untold), len(wanted))
    given = ", ".join([*wanted[:first], *(f"{one}={'...' if one in untold else one}" for one in wanted[first:])])
    inputs = ", ".join(name for name in code.given if name != code.target)
    inputs = f"({inputs})" if "," in inputs else inputs
    inputs += f", {code.target}" if code.target is not None else ""
    own = "net." if code.owner is not None else ""
    forward = f"{own}{getattr(code.forward, '__name__', 'forward')}"
    if isinstance(getattr(code.forward, "__self__", None), LossOfOutput):  # a loss that the code does not have
        forward = f"lambda {', '.join(code.given)}: ..."
    reason = f" ({error.reason if isinstance(error, SubjectError) else error})" if error else ""
    lacking = TypeError(
        f"{code.label}: nothing tells what {name} is to be given for {' and '.join(untold)}{reason}; give it "
        f"yourself:\n    check_gradients(({forward}, lambda {left}: {own}{name}({given})), {inputs})"
    )
    lacking.__cause__ = error
    return lacking
