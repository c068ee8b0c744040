"""Python's numbers among the arguments of a function: a bias of 0.5 is learned if there is a gradient of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from numpy_nn.subjects.arrays.nested import is_container, mapped, written_in
from numpy_nn.subjects.arrays.places import Path, Step
from numpy_nn.subjects.signatures import positional, signature


def numbers_in(given: Mapping[str, Any], target: str | None) -> dict[str, float]:
    """The numbers among the arguments and in lists, tuples and dicts there, by what they are called."""
    found: dict[str, float] = {}
    for name, value in given.items():
        if name != target:
            _replaced(value, name, (), found, ())
    return found


def as_learned(given: Mapping[str, Any], learned: Collection[str]) -> dict[str, Any]:
    """The same arguments with numbers of NumPy, of which there may be gradients, in the place of these."""
    return {name: _replaced(value, name, (), {}, learned) for name, value in given.items()}


def with_defaults(function: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with those that the function has for itself, if a number of floats is among these."""
    spec = positional(function)
    if spec is None or list(given) != [*spec[0], *spec[1]][: len(given)]:
        return dict(given)
    parameters = signature(function).parameters
    rest = {name: parameters[name].default for name in spec[1] if name not in given}
    return {**given, **rest} if any(type(value) is float for value in rest.values()) else dict(given)


def _replaced(value: Any, name: str, path: Path, found: dict[str, float], learned: Collection[str]) -> Any:
    if is_container(value):
        return mapped(value, lambda key, part: _replaced(part, name, (*path, Step(key, True)), found, learned))
    listed = bool(path) and isinstance(path[-1].key, int)  # whole numbers in lists are labels, indices, sizes
    if type(value) is float or (type(value) is int and not listed):
        found[called := written_in(name, path)] = value
        return np.float64(value) if called in learned else value
    return value
