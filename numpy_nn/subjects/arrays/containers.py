"""Arguments that are lists, tuples or dicts of arrays: where in what backward returns their gradients are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.arrays.gradients import IN_ORDER, Leaf, likeness, same_but_ones
from numpy_nn.subjects.arrays.places import Path, Step
from numpy_nn.subjects.names import is_gradient_of, tells_gradients

# The arrays of an argument, by their paths in it: of one that is an array itself, by the path ().
Shapes = Mapping[Path, tuple[int, ...]]

# Of a gradient for which only its shape speaks: its numbers must tell.
BY_SHAPE = 0.3


def prefixes(arguments: Mapping[str, Shapes], found: Sequence[Leaf]) -> dict[str, Path | None]:
    """By the name of each argument the path to its gradients in what was returned; None where the structure tells none.

    A part of what was returned belongs to an argument if it has the same structure, and most of its arrays have the
    shapes, or half, and the others those of none: in the argument's own place, or as all that is returned, or in any
    other place.
    """
    shapes = {leaf.path: leaf.value.shape for leaf in found if leaf.returned}
    places = dict.fromkeys(path[:1] for path in shapes if path)
    told: dict[str, Path | None] = {}
    every = [shape for parts in arguments.values() for shape in parts.values()]
    for index, (name, parts) in enumerate(arguments.items()):
        own: Path = (Step(index, True),)
        # Of an array by itself a key tells by its name, or nothing.
        others = [place for place in places if () not in parts or isinstance(place[0].key, int)]
        free = [place for place in dict.fromkeys([own, (), *others]) if not _overlaps(place, told.values())]
        told[name] = next((place for place in free if _fits(parts, place, shapes, every)), None)
    return told


def _overlaps(place: Path, taken: Iterable[Path | None]) -> bool:
    return any(other is not None and (not place or not other or place == other) for other in taken)


def _fits(parts: Shapes, place: Path, shapes: Shapes, every: Sequence[tuple[int, ...]]) -> bool:
    here = {path[len(place) :]: shape for path, shape in shapes.items() if path[: len(place)] == place}
    if here.keys() != parts.keys():
        return False
    others = [path for path, shape in here.items() if not same_but_ones(shape, parts[path])]
    if 2 * len(others) == len(parts):  # lists by kind are no pairs: each has the shape of another
        return not any(same_but_ones(here[one], shape) for one in others for shape in every)
    return 2 * len(others) < len(parts)


def are_last_first(names: Sequence[str], found: Sequence[Leaf], agrees: Callable[[str, Leaf], bool]) -> bool:
    """Whether gradients in a list are those of the last layer first: more than half agree so, and less in their order.

    That is in turned order, or in turned order of pairs of a weight and a bias, which shapes do not tell where all
    layers are as wide. ``found`` are the leaves in the order in which they were returned, one for each name.
    """

    def agreeing(order: Sequence[Leaf]) -> int:
        return sum(agrees(name, leaf) for name, leaf in zip(names, order, strict=True))

    pairs = [leaf for i in range(len(found) - 2, -1, -2) for leaf in found[i : i + 2]] if len(found) % 2 == 0 else []
    half = len(names) / 2
    return agreeing(found) < half and any(agreeing(order) > half for order in (found[::-1], pairs) if order)


def in_turned_order(
    parameters: Mapping[str, tuple[Path, tuple[int, ...]]],
    found: Sequence[Leaf],
    agrees: Callable[[str, Leaf], bool],
    *,
    may_be_transposed: bool,
) -> Callable[[Callable[[Leaf], float]], Callable[[Leaf], float]]:
    """The same likeness by the place at which its parameter is, in lists that begin with those of the last layer.

    So a backward pass leaves them that appends to a list. Shapes tell, or, where they fit in both orders, numbers do.
    ``parameters`` has the path and the shape of each; gradients ``may_be_transposed`` where an update turns them.
    """

    def agreeing(pairs: Sequence[tuple[str, Leaf]]) -> int:
        return sum(agrees(name, leaf) for name, leaf in pairs)

    held = _by_number((path, (name, path, shape)) for name, (path, shape) in parameters.items())
    left = _by_number(((leaf.returned, *leaf.path), leaf) for leaf in found if _is_called_gradient(leaf))
    turned: set[Any] = set()
    for prefix, leaves in left.items():
        others = [numbers for numbers in held.values() if len(numbers) == len(leaves) > 1]
        orders = [(_pairs(leaves, own), _pairs(leaves, own[::-1])) for own in others]
        if may_be_transposed and all(order == (None, None) for order in orders):
            orders = [(_pairs(leaves, own, _or_turned), _pairs(leaves, own[::-1], _or_turned)) for own in others]
        if any(usual is not None and other is None for usual, other in orders):
            continue
        if any(other and (usual is None or agreeing(other) > agreeing(usual)) for usual, other in orders):
            turned.add(prefix)

    def in_its_place(leaf: Leaf) -> Leaf:
        path: tuple[Any, ...] = (leaf.returned, *leaf.path)
        number = _first_number(path)
        if number is None or path[:number] not in turned:
            return leaf
        last = len(left[path[:number]]) - 1
        here = Step(last - path[number].key, True)
        return leaf._replace(path=(*leaf.path[: number - 1], here, *leaf.path[number:]))

    def placed(like: Callable[[Leaf], float]) -> Callable[[Leaf], float]:
        return lambda leaf: like(in_its_place(leaf))

    return placed if turned else lambda like: like


def _is_called_gradient(leaf: Leaf) -> bool:
    return leaf.returned or any(tells_gradients(step.key) for step in leaf.path)


def _first_number(path: Sequence[Any]) -> int | None:
    return next((i for i, step in enumerate(path) if isinstance(step, Step) and type(step.key) is int), None)


def _by_number(placed: Iterable[tuple[Any, Any]]) -> dict[Any, list[list[Any]]]:
    """What is in lists, by the path to the list: in its order, what there is at each place."""
    lists: dict[Any, dict[int, list[Any]]] = {}
    for path, thing in placed:
        if (number := _first_number(path)) is not None:
            lists.setdefault(path[:number], {}).setdefault(path[number].key, []).append(thing)
    return {path: [numbers[i] for i in sorted(numbers)] for path, numbers in lists.items()}


def _pairs(
    leaves: Sequence[Sequence[Leaf]],
    own: Sequence[Sequence[tuple[str, Path, tuple[int, ...]]]],
    fits: Callable[[tuple[int, ...], tuple[int, ...]], bool] = same_but_ones,
) -> list[tuple[str, Leaf]] | None:
    """Each leaf with the name of its parameter at the same place; None where one has the shape of none of these."""
    found = []
    for here, parameters in zip(leaves, own, strict=True):
        for leaf in here:
            fitting = [(name, path) for name, path, shape in parameters if fits(leaf.value.shape, shape)]
            if not fitting:
                return None
            found.append((max(fitting, key=lambda one: is_gradient_of(leaf.path[-1].key, one[1][-1].key))[0], leaf))
    return found


def _or_turned(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return same_but_ones(first, second) or first == second[::-1]


def likeness_in_argument(
    name: str, path: Path, shape: tuple[int, ...], prefix: Path | None, *, data: bool = False
) -> Callable[[Leaf], float]:
    """How likely a leaf is the gradient of the array at ``path`` in the argument ``name`` that has this prefix.

    Of ``data``, which need have none, what has another name is none: ``grads["dA0"]`` beside those of parameters.
    """

    def like(leaf: Leaf) -> float:
        if not leaf.returned:
            return 0.0
        key = leaf.path[-1].key if leaf.path else None
        named = likeness(path, leaf, shape) if path else float(key == name) or is_gradient_of(key, name)
        in_place = IN_ORDER if prefix is not None and leaf.path == (*prefix, *path) else 0.0
        by_shape = same_but_ones(leaf.value.shape, shape) and not (data and isinstance(key, str))
        return max(named, in_place, BY_SHAPE * by_shape)

    return like


class Numbering:
    """The numbers in each list or dict: one tells of the same number in another only where both have the same."""

    def __init__(self, parameters: Iterable[Path], found: Sequence[Leaf]) -> None:
        self._parameters: dict[Path, set[int]] = {}
        self._leaves: dict[tuple[bool, Path], set[int]] = {}
        for path in filter(is_numbered, parameters):
            self._parameters.setdefault(path[:-1], set()).add(path[-1].key)
        for leaf in found:
            if is_numbered(leaf.path):
                self._leaves.setdefault((leaf.returned, leaf.path[:-1]), set()).add(leaf.path[-1].key)

    def weighed(self, path: Path, like: Callable[[Leaf], float], shape: tuple[int, ...]) -> Callable[[Leaf], float]:
        """The likeness to a parameter at this path, to which a number elsewhere adds nothing."""

        def weighed(leaf: Leaf) -> float:
            if not (is_numbered(path) and is_numbered(leaf.path)):
                return like(leaf)
            if self._parameters.get(path[:-1]) == self._leaves[leaf.returned, leaf.path[:-1]]:
                return like(leaf)
            return min(like(leaf), BY_SHAPE) if same_but_ones(leaf.value.shape, shape) else 0.0

        return weighed


def is_numbered(path: Path) -> bool:
    """Whether it ends in a number: a place in a list."""
    return bool(path) and isinstance(path[-1].key, int)


def paired(found: Sequence[Leaf], held: Mapping[str, NDArray[Any]]) -> dict[tuple[bool, Path], str]:
    """The arrays that are in a pair with a parameter, as in ``[(W, dW), (b, db)]``, by their places, with its name."""
    here = {(leaf.returned, leaf.path): leaf.value for leaf in found if is_numbered(leaf.path)}
    sizes = Counter((returned, path[:-1]) for returned, path in here)
    pairs: dict[tuple[bool, Path], str] = {}
    for (returned, path), value in here.items():
        other = (returned, (*path[:-1], Step(1 - path[-1].key, True)))
        name = next((name for name, array in held.items() if np.array_equal(array, value)), None)
        if name is not None and len(path) > 1 and sizes[returned, path[:-1]] == 2 and other in here and np.any(value):
            pairs[other] = name
    return pairs


def as_paired(
    pairs: Mapping[tuple[bool, Path], str], name: str, like: Callable[[Leaf], float]
) -> Callable[[Leaf], float]:
    """The likeness to a parameter where pairs tell of others; what is kept beside one may be a velocity of it, too."""

    def in_pair(leaf: Leaf) -> float:
        of = pairs.get((leaf.returned, leaf.path), None)
        if of is None:
            return like(leaf)
        return 0.0 if of != name else 1.0 if leaf.returned else like(leaf)

    return in_pair
