"""Jacobians among what a backward pass returns, in the place of gradients."""

from __future__ import annotations

from collections.abc import Mapping

from numpy_nn.subjects.arrays.gradients import Leaf, is_jacobian, same_but_ones
from numpy_nn.subjects.arrays.places import Path
from numpy_nn.subjects.names import tells_gradients

Shape = tuple[int, ...]


def has_jacobian(leaves: Mapping[str, object], output: Shape, shapes: Mapping[str, Shape]) -> bool:
    """Whether one of these is no gradient, but the Jacobian of an output with axes."""
    own = {name: leaf.value.shape for name, leaf in leaves.items() if isinstance(leaf, Leaf)}
    return bool(output) and any(
        shape != shapes[name] and is_jacobian(shape, output, shapes[name]) for name, shape in own.items()
    )


def others_than_jacobians(
    leaves: Mapping[str, object], output: Shape, shapes: Mapping[str, Shape], told: Mapping[Path, str]
) -> list[str]:
    """Whose gradients were taken to be what stands beside a Jacobian and is none: a matrix that selects entries, say.

    What is ``told`` to be a gradient, by its name in the source, is one of the wrong shape.
    """
    found = []
    for name, leaf in leaves.items():
        if isinstance(leaf, Leaf) and not tells_gradients(told.get(leaf.path, "")):
            shape, array = leaf.value.shape, shapes[name]
            if not (same_but_ones(shape, array) or is_jacobian(shape, output, array)):
                found.append(name)
    return found
