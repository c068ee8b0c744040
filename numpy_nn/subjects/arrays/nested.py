"""Arrays of floats in arguments that are lists, tuples or dicts of them, or one themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from numpy_nn.subjects.arrays.places import Field, Path, Step, in_order, written
from numpy_nn.subjects.subject import Array


def is_differentiated(value: Any) -> bool:
    """Whether gradients with respect to it are wanted: arrays of floats."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 0


def as_given(value: Any) -> Any:
    """An argument as the code gets it: float arrays in float64, whatever else unchanged."""
    if isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f":
        return np.array(value, np.float64)
    return mapped(value, lambda _, part: as_given(part)) if is_container(value) else value


def copied(argument: Any) -> Any:
    """An argument that code may write to: a copy of an array, whatever else as it is."""
    return argument.copy() if isinstance(argument, np.ndarray) else argument


def is_container(value: Any) -> bool:
    """Whether an argument is a list, a tuple or a dict, of arrays or of further ones."""
    return isinstance(value, (list, tuple)) or type(value) is dict


def items(container: Any) -> Iterable[tuple[Any, Any]]:
    """The parts of a container by their keys or places."""
    return container.items() if isinstance(container, dict) else in_order(container)


def mapped(container: Any, function: Callable[[Any, Any], Any]) -> Any:
    """A container of the same kind with ``function(key, part)`` in the place of each part."""
    parts = {key: function(key, part) for key, part in items(container)}
    if isinstance(container, dict):
        return parts
    if hasattr(container, "_fields"):  # a tuple with names for its parts takes them one by one
        return type(container)(*parts.values())
    return tuple(parts.values()) if isinstance(container, tuple) else list(parts.values())


def arrays_of(value: Any, path: Path = ()) -> list[tuple[Path, Array]]:
    """The arrays of floats in an argument, by their places in it: it is one, or a list, tuple or dict of some."""
    if is_container(value):
        return [found for key, part in items(value) for found in arrays_of(part, (*path, Step(key, True)))]
    return [(path, value)] if is_differentiated(value) else []


def with_arrays(value: Any, put: Callable[[Path, Array], Array], path: Path = ()) -> Any:
    """A copy of a list, tuple or dict with ``put(path, array)`` in the place of every array of floats."""
    if is_container(value):
        return mapped(value, lambda key, part: with_arrays(part, put, (*path, Step(key, True))))
    return put(path, value) if is_differentiated(value) else value


def written_in(name: str, path: Path) -> str:
    """What an array of an argument is called: ``x``, or ``x[0]``."""
    inside = written(path)
    return f"{name}.{inside}" if path and isinstance(path[0].key, Field) else name + inside
