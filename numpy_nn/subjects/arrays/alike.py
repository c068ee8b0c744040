"""Arrays and numbers, and containers of them, before and after a step: whether they are alike, moved, or moved on."""

from __future__ import annotations

from typing import Any

import numpy as np

from numpy_nn.subjects.arrays.nested import is_container, items, mapped
from numpy_nn.subjects.state import equal


def is_number(value: Any) -> bool:
    """Whether it is a number, or an array of one float."""
    if isinstance(value, np.ndarray):
        return value.size == 1 and value.dtype.kind == "f"
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def is_of_numbers(value: Any) -> bool:
    """Whether it is an array or a number, or a list, tuple or dict of such alone."""
    if is_container(value):
        return bool(value) and all(is_of_numbers(part) for _, part in items(value))
    return (isinstance(value, np.ndarray) and value.dtype.kind in "fi") or is_number(value)


def is_moved(start: Any, end: Any) -> bool:
    """Whether what is of numbers is so of floats of the same shapes by the end of a round, of other values."""
    return are_alike(start, end) and not are_equal(start, end)


def are_equal(first: Any, second: Any) -> bool:
    """Whether what is alike has the same numbers."""
    return all(equal(in_floats(one), in_floats(other)) for one, other in zip(flat(first), flat(second), strict=True))


def are_alike(start: Any, end: Any) -> bool:
    """Whether it is of the same containers and shapes by the end, of floats."""
    if is_container(start):
        keys = [key for key, _ in items(start)]
        parts = dict(items(end)) if type(end) is type(start) else {}
        return keys == list(parts) and all(are_alike(part, parts[key]) for key, part in items(start))
    if not is_of_numbers(end) or is_container(end) or np.shape(start) != np.shape(end):
        return False
    return np.asarray(end).dtype.kind == "f"


def in_floats(value: Any) -> Any:
    """A copy in float64."""
    if is_container(value):
        return mapped(value, lambda _, part: in_floats(part))
    return np.array(value, np.float64) if isinstance(value, np.ndarray) else float(value)


def elsewhere(value: Any, rng: np.random.Generator, size: float) -> Any:
    """Other numbers, so far away at random."""
    if is_container(value):
        return mapped(value, lambda _, part: elsewhere(part, rng, size))
    moved = value + size * rng.standard_normal(np.shape(value))
    return moved if isinstance(value, np.ndarray) else float(moved)


def off_constants(value: Any, rng: np.random.Generator) -> Any:
    """Other numbers where all of an array are the same."""
    if is_container(value):
        return mapped(value, lambda _, part: off_constants(part, rng))
    return value if np.ptp(value) else elsewhere(value, rng, 0.5)


def flat(value: Any) -> list[Any]:
    """All parts of a container, in order."""
    return [one for _, part in items(value) for one in flat(part)] if is_container(value) else [value]
