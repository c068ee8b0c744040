"""Gradients of each step of a sequence, in lists or with one more axis, which what updates adds up."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.arrays.places import last_name, places
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.rates import rates_in
from numpy_nn.subjects.given_code import Code
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.running import Patience, Running
from numpy_nn.subjects.state import Snapshot, of_installed
from numpy_nn.subjects.subject import SubjectError

_UPDATES = re.compile("update|step|apply|optim|descen")

# How far the difference of two numbers is rounded beside a step of their size.
_ROUNDED = 1e-6


def of_summed_steps(code: Code, subject: CodeSubject, chosen: Callable[[Code], CodeSubject]) -> CodeSubject | None:
    """The subject of the sums of gradients that an object has for each step; None where it has none such.

    They are meant where a method that updates adds them up; in lists also where their sums are right, but then nothing
    is decided, as nobody is known to add them.
    """
    if code.owner is None or code.backward is None or not subject.make_repeatable():
        return None
    as_it_is = agreement(subject)
    if as_it_is.agreeing == len(subject.arrays) and all(kind != "unchecked" for _, kind, _ in subject.unchecked):
        return None
    held = [place.read() for place in places(code.owner)]
    named = zip((str(last_name(place.path)) for place in places(code.owner)), held, strict=True)
    arrays = [(name, one) for name, one in named if isinstance(one, np.ndarray) and one.dtype.kind == "f"]
    # Gradients in a dict may go by the names of the parameters, and have an axis more than these.
    shapes = {name: one.shape for name, one in sorted(arrays, key=lambda part: -part[1].ndim)}
    found = list(_of_steps(code.owner, subject.latest, shapes))
    if not found:
        return None
    adds = _method_that_adds(code.owner, subject.latest, dict(found))
    if adds is None and not any(isinstance(one, (list, tuple)) for _, one in found):
        return None
    try:
        summed = chosen(replace(code, backward=_adding(code.backward, code.owner, shapes)))
        here = agreement(summed)
    except (SubjectError, TypeError, ValueError):
        return None
    if adds is not None:
        summed.notes.append(f"there is a gradient for each of {len(found[0][1])} steps, which {adds}")
        return summed
    if here.agreeing < here.shaped or here.agreeing <= as_it_is.agreeing:
        return None
    moved = ", ".join(name for name, _ in found)
    summed.complain(
        f"there is a gradient of {moved} for each of {len(found[0][1])} steps, whose sums are right, and no method "
        "that updates adds them up: do so in backward"
    )
    return summed


def _of_steps(owner: Any, returned: Any, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, Any]]:
    """What an object keeps, or returns in a dict, as gradients of these parameters for each step, by their names."""
    parts = returned if isinstance(returned, tuple) else (returned,)
    held = [attributes(owner), *(one for one in attributes(owner).values() if isinstance(one, dict))]
    for name, shape in shapes.items():
        for of in [*(one for one in parts if isinstance(one, dict)), *held]:
            is_own = of is not held[0]  # in a dict of gradients they go by the names of the parameters
            called = {key: one for key, one in of.items() if _is_called(key, name, is_own) and _has_steps(one, shape)}
            if called:
                yield name, next(iter(called.values()))
                break


def _is_called(key: Any, name: str, is_own: bool) -> bool:
    return isinstance(key, str) and (names.is_gradient_of(key, name) > 0.5 or (is_own and key == name))


def _has_steps(value: Any, shape: Sequence[int]) -> bool:
    """Whether it is a list of several arrays of this shape, or one with an axis for them."""
    if isinstance(value, (list, tuple)):
        arrays = all(isinstance(one, np.ndarray) and one.dtype.kind == "f" for one in value)
        return len(value) > 1 and arrays and all(one.shape == tuple(shape) for one in value)
    is_array = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return is_array and len(value) > 1 and value.shape[1:] == tuple(shape) if np.ndim(value) else False


def _adding(backward: Callable[..., Any], owner: Any, shapes: Mapping[str, tuple[int, ...]]) -> Dressed:
    """A backward pass that returns the sums over the steps too, by name."""

    def adding(*arguments: Any, **named: Any) -> Any:
        result = backward(*arguments, **named)
        sums = {f"d{name}": np.sum(one, axis=0) for name, one in _of_steps(owner, result, shapes)}
        parts = result if isinstance(result, tuple) else (result,)
        rest = [one for one in parts if one is not None and not isinstance(one, dict)]
        return (*rest, sums) if rest else sums

    adding.__name__ = getattr(backward, "__name__", "backward")
    dressed = Dressed(adding, signatures.signature(backward))
    dressed.func = backward
    return dressed


def _method_that_adds(owner: Any, returned: Any, steps: Mapping[str, Any]) -> str | None:
    """The method by which an object updates, as its name tells, that moves what is learned by the sums over the steps.

    Or by the means, with what it does in words. It is called, with a rate of 1 and what backward returned where it
    wants these, and what it does is undone.
    """
    kinds = [kind for kind in type(owner).__mro__ if not of_installed(kind)]
    methods = dict.fromkeys(name for kind in kinds for name in vars(kind) if _UPDATES.search(name.lower()))
    parts = returned if isinstance(returned, tuple) else (returned,)
    gradients = [one for one in parts if isinstance(one, dict)]
    before = Snapshot(owner)
    for method in filter(inspect.ismethod, (getattr(owner, name, None) for name in methods)):
        required, optional = signatures.positional(method) or (["?", "?"], [])
        rates = rates_in([*required, *optional])
        others = [name for name in required if name not in rates]
        if len(rates) != 1 or len(others) > len(gradients):
            continue
        was = _learned(owner, steps)
        try:
            with Running(method.__name__, Patience()):
                method(**{rates[0]: 1.0}, **dict(zip(others, gradients, strict=False)))
            now = _learned(owner, steps)
        except SubjectError:
            now = was
        finally:
            before.restore()
        sums = {name: np.sum(one, axis=0) for name, one in steps.items()}
        moved = {name: was[name] - now[name] for name in sums}

        def is_by(part: float, moved: Mapping[str, Any] = moved, sums: Mapping[str, Any] = sums) -> bool:
            return all(np.abs(moved[n] - part * one).max() <= _ROUNDED * np.abs(one).max() for n, one in sums.items())

        if is_by(1.0):
            return f"{method.__name__} adds up: so here"
        if is_by(1.0 / len(next(iter(steps.values())))):
            return f"{method.__name__} takes the mean of: judged are their sums, as gradients of the whole"
    return None


def _learned(owner: Any, steps: Mapping[str, Any]) -> dict[str, Any]:
    """Copies of what is learned, by the names that it has."""
    shapes = {name: np.shape(one)[1:] for name, one in steps.items()}
    named = [(str(last_name(place.path)), place.read()) for place in places(owner)]
    return {name: np.array(one) for name, one in named if name in steps and np.shape(one) == shapes[name]}
