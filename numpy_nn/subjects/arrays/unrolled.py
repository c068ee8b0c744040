"""Gradients of all parameters one after the other in a vector, as optimizers of functions of a vector want them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from numpy_nn.subjects.arrays.gradients import Leaf

Shape = tuple[int, ...]
Layout = Literal["C", "F"]


class Part(NamedTuple):
    """The gradient of one array in such a vector: from which place on, and of which shape, row by row or by columns."""

    vector: Leaf
    start: int
    shape: Shape
    layout: Layout

    def __str__(self) -> str:
        return f"{self.vector}[{self.start}:{self.start + math.prod(self.shape)}]"

    def of(self, vector: Any) -> Any:
        """The part of this vector."""
        flat = np.asarray(vector).reshape(-1)
        return flat[self.start : self.start + math.prod(self.shape)].reshape(self.shape, order=self.layout)

    def read(self, returned: Any, owner: Any) -> Any:
        """The part of the vector of the last backward pass; None if there is none."""
        vector = self.vector.read(returned, owner)
        return None if vector is None else self.of(vector)


def is_unrolled(leaf: Leaf, shapes: Sequence[Shape]) -> bool:
    """Whether a leaf is a vector that has as many numbers as several arrays of these shapes together."""
    numbers = sum(map(math.prod, shapes))
    return len(shapes) > 1 and leaf.value.size == numbers == max(leaf.value.shape, default=0)


def parts_of(
    leaf: Leaf, arrays: Mapping[str, Shape], agrees: Callable[[str, Leaf], bool]
) -> tuple[dict[str, Part], bool]:
    """The part of each array in a vector of them all, in the order in which most gradients agree; whether any does.

    Tried are the order given, weights before biases, layer by layer, and the last layer first; each array row by row or
    by columns.
    """
    best: dict[str, Part] = {}
    most = -1
    for order in _orders(arrays):
        for layout in ("C", "F"):
            made = _laid_out(leaf, {name: arrays[name] for name in order}, layout)
            agreeing = sum(agrees(name, leaf._replace(value=part.of(leaf.value))) for name, part in made.items())
            if agreeing > most:
                best, most = made, agreeing
    return best, most > 0


def _orders(arrays: Mapping[str, Shape]) -> Iterator[list[str]]:
    names = list(arrays)
    by_kind = sorted(names, key=lambda name: -sum(length > 1 for length in arrays[name]))
    pairs = [name for i in range(len(names) - 2, -1, -2) for name in names[i : i + 2]]
    half = len(names) // 2
    by_layer = [name for pair in zip(by_kind[:half], by_kind[half:], strict=False) for name in pair]
    tried: list[list[str]] = []
    for order in (names, by_kind, by_layer, names[::-1], by_kind[::-1], pairs):
        if len(order) == len(names) and order not in tried:
            tried.append(order)
            yield order


def _laid_out(leaf: Leaf, arrays: Mapping[str, Shape], layout: Layout) -> dict[str, Part]:
    made, start = {}, 0
    for name, shape in arrays.items():
        made[name] = Part(leaf, start, shape, layout)
        start += math.prod(shape)
    return made
