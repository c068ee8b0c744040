"""Gradients that neither names nor numbers tell, as those that are wrong: what is left is that of what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.gradients import SURE, Leaf, likeness, same_but_ones
from numpy_nn.subjects.arrays.places import Path, Place, Step, last_name, places
from numpy_nn.subjects.names import tells_gradients
from numpy_nn.subjects.parameters.overlapping import OverlappingCode
from numpy_nn.subjects.source import roles
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Array, SubjectError

# What forward leaves beside what backward writes is a gradient only if its numbers speak for it.
LEFT_BY_FORWARD, LEAST = 0.45, 0.5

# Of so many parameters at least the order of what is returned tells which is left.
FEWEST = 3


class RemainingCode(OverlappingCode):
    """Called code, of which some gradients are found last of all."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._not_taken: list[Leaf] = []  # what may be a gradient, and is not taken for any

    def _less_if_zero(
        self, likely: Mapping[str, Callable[[Leaf], float]], found: Sequence[Leaf], agrees: Callable[[str, Leaf], bool]
    ) -> dict[str, Callable[[Leaf], float]]:
        """The likeness to each parameter, less for what is 0 where another array is right: it is kept, and not used."""

        def is_zero(leaf: Leaf) -> bool:
            return not (leaf.returned or np.any(leaf.value))

        def lessened(name: str, like: Callable[[Leaf], float]) -> Callable[[Leaf], float]:
            zeros = [leaf for leaf in found if is_zero(leaf) and like(leaf) >= LEAST]
            shape = self.arrays[name].shape
            others = (leaf for leaf in found if not is_zero(leaf) and leaf.value.shape == shape) if zeros else ()
            if (right := next((leaf for leaf in others if agrees(name, leaf)), None)) is None:
                return like
            self.notes.append(f"{', '.join(map(str, zeros))} is 0: {right} is taken for the gradient of {name}")
            return lambda leaf: min(like(leaf), LEFT_BY_FORWARD) if is_zero(leaf) else like(leaf)

        return {name: lessened(name, like) for name, like in likely.items()}

    def _less_if_left_by_forward(
        self, likely: Mapping[str, Callable[[Leaf], float]], found: Sequence[Leaf]
    ) -> dict[str, Callable[[Leaf], float]]:
        """The likeness to each parameter, less for what forward leaves where backward writes what may be its gradient.

        So do layers that compute their derivatives in forward, ``grad["W"] = x``, for backward to multiply.
        """
        known: dict[Path, bool] = {}

        def is_left(leaf: Leaf) -> bool:
            if leaf.returned:
                return False
            if leaf.path not in known:
                known[leaf.path] = self._is_left_by_forward(leaf)
            return known[leaf.path]

        def lessened(name: str, like: Callable[[Leaf], float]) -> Callable[[Leaf], float]:
            named = [leaf for leaf in found if not leaf.returned and like(leaf) >= LEAST]
            left = [leaf for leaf in named if is_left(leaf)] if len(named) > 1 else []
            others = [leaf for leaf in named if leaf not in left]
            if not left or not any(same_but_ones(leaf.value.shape, self.arrays[name].shape) for leaf in others):
                return like
            return lambda leaf: min(like(leaf), LEFT_BY_FORWARD) if is_left(leaf) else like(leaf)

        return {name: lessened(name, like) if name in self._places else like for name, like in likely.items()}

    def _is_left_by_forward(self, leaf: Leaf) -> bool:
        """Whether forward puts there what is there: a new array of these numbers, or a parameter, or the input."""
        place, before = Place(self._owner, leaf.path), self.snapshot()
        if not place.exists():
            return False
        if any(np.shares_memory(place.read(), array) for array in self.arrays.values()):
            return True
        home, self._home = self._home, None  # what is put back from there may be of a backward pass
        try:
            place.put(np.asarray(leaf.value + 1.0, leaf.value.dtype))
            self.output()
            return place.exists() and equal(np.asarray(place.read()), leaf.value)
        except (SubjectError, TypeError, ValueError):
            return False
        finally:
            self._home = home
            before.restore()

    def _match_by_elimination(self, found: Sequence[Leaf], grad_output: Array) -> None:
        """Take for the gradient of an array what is left where the others are, if it is all that has its shape.

        So a wrong one is found whose name tells nothing, and whose numbers cannot. What has as many rows as the input
        has may be on its way to a gradient, and is none; nor is what the name of another array tells to be that one's,
        which may be one that the output does not depend on at this point, nor of the input what forward leaves there.
        """
        missing = {name: array.shape for name, array in self.arrays.items() if name not in self._leaves}
        for name in list(missing):
            path = self._places[name].path if name in self._places else (Step(name, False),)
            if is_state(name, path) or roles.is_data(name):
                del missing[name]
        taken = [leaf for leaf in self._leaves.values() if isinstance(leaf, Leaf)]
        for name, leaf in the_only_ones_left(missing, found, taken).items() if missing else ():
            if name not in self._places and not leaf.returned and self._is_left_by_forward(leaf):
                continue
            if self._keeps_its_shape(leaf, grad_output) and not self._is_of_another(leaf, name):
                self._leaves[name] = leaf
        missing = {name: shape for name, shape in missing.items() if name not in self._leaves and name in self._places}
        left = next(iter(missing), "")
        if len(missing) == 1 and (between := self._between_others(left, found)) is not None:
            self._leaves[left] = between
        taken = [leaf for leaf in self._leaves.values() if isinstance(leaf, Leaf)]
        self._not_taken = not_taken(found, taken)

    def _between_others(self, name: str, found: Sequence[Leaf]) -> Leaf | None:
        """What is returned where the gradient of this array would be, of another shape, in a list of those of all.

        That has one entry for each parameter, and those of the others in their order: the one between has the wrong
        shape, as a sum over the wrong axis has.
        """
        own = [one for one in self._places if one == name or isinstance(self._leaves.get(one), Leaf)]
        leaves = [self._leaves.get(one) for one in own]
        paths = [leaf.path for leaf in leaves if isinstance(leaf, Leaf) and leaf.returned]
        if len(own) < FEWEST or len(paths) != len(own) - 1 or len({path[:-1] for path in paths}) != 1:
            return None
        if any(len(path) == 0 for path in paths):
            return None
        inside = paths[0][:-1]
        beside = [
            leaf for leaf in found if leaf.returned and leaf.path[:-1] == inside and len(leaf.path) == len(paths[0])
        ]
        by_key = {leaf.path[-1].key: leaf for leaf in beside}
        if len(beside) != len(own) or list(by_key) != list(range(len(own))):
            return None
        left = by_key.pop(own.index(name))
        in_order = [path[-1].key for path in paths] == list(by_key)
        return left if in_order and left.value.ndim == self.arrays[name].ndim else None

    def _is_of_another(self, leaf: Leaf, name: str) -> bool:
        """Whether a leaf is called as the gradient of another array is that the object has."""
        if not isinstance(leaf.path[-1].key if leaf.path else None, str):
            return False
        own = self._places[name].read() if name in self._places else None
        others = (place for place in places(self._owner, repeated=True) if place.read() is not own)
        return any(likeness(place.path, leaf, np.shape(place.read())) >= SURE for place in others)

    def _keeps_its_shape(self, leaf: Leaf, grad_output: Array) -> bool:
        """Whether a leaf has its shape for another number of rows too; where none can be had, if it has not that."""
        given = self.arrays.get(self.input)
        rows = given.shape[0] if given is not None and given.ndim else 1
        if given is not None:
            with self.resized(rows + 1) as can:
                if can:
                    try:
                        returned = self._claimed(np.resize(grad_output, self.output().shape))
                    except SubjectError:
                        return False
                    return np.shape(leaf.read(returned, self._owner)) == leaf.value.shape
        return rows not in leaf.value.shape

    @property
    def returns_gradients(self) -> bool:
        """Whether the gradient of a parameter is returned: what has its shape at any number of rows."""
        own = [leaf for name, leaf in self._leaves.items() if name in self._places and isinstance(leaf, Leaf)]
        returned = [leaf for leaf in own if leaf.returned and leaf.value.ndim]
        return any(self._keeps_its_shape(leaf, np.ones(self.output().shape)) for leaf in returned)

    def _is_weight_of_loss(self, shape: tuple[int, ...]) -> bool:
        """Whether it is a loss without a forward pass that gives its input's gradient, and none of what it holds."""
        if not self.is_loss or names.method(self._owner, names.FORWARDS) is not None or self.input not in self._leaves:
            return False
        claims = any(name in self._leaves for name in self._places)
        return not (claims or any(same_but_ones(leaf.value.shape, shape) for leaf in self._not_taken))


def is_state(name: str, path: Path) -> bool:
    """Whether an array is a statistic, a mask or a state, by its name: none of them is learned."""
    return roles.is_buffer(name) or roles.is_state(str(last_name(path)))


def the_only_ones_left(
    wanted: Mapping[str, tuple[int, ...]], found: Sequence[Leaf], taken: Sequence[Leaf]
) -> dict[str, Leaf]:
    """For each array without a gradient, by its shape: the leaf that is left for it, if there is one and only one.

    ``found`` are all leaves, ``taken`` those that are the gradient of another array.
    """
    free, chosen = not_taken(found, taken), {}
    for name, shape in wanted.items():
        of_shape = [leaf for leaf in free if same_but_ones(leaf.value.shape, shape)]
        if len(of_shape) == 1 and sum(same_but_ones(other, shape) for other in wanted.values()) == 1:
            chosen[name] = of_shape[0]
    return chosen


def not_taken(found: Sequence[Leaf], taken: Sequence[Leaf]) -> list[Leaf]:
    """The leaves that may be gradients and are not taken for any: beside others in a container, or by a name for it."""
    beside = {(leaf.returned, leaf.path[:-1]) for leaf in taken}

    def may_be(leaf: Leaf) -> bool:
        if not leaf.is_new or leaf.value.ndim == 0 or any(leaf.value is other.value for other in taken):
            return False
        is_in_container = leaf.returned or len(leaf.path) > 1
        return (is_in_container and (leaf.returned, leaf.path[:-1]) in beside) or any(
            tells_gradients(step.key) for step in leaf.path
        )

    return list({id(leaf.value): leaf for leaf in found if may_be(leaf)}.values())
