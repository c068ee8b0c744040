"""Parameters that share memory: views of a flat vector, rows of one matrix, one array under several names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.arrays.gradients import SURE, Leaf, SumOfUses, likeness, matched
from numpy_nn.subjects.arrays.places import Path, Place, places
from numpy_nn.subjects.calls.updating import UpdatingCode
from numpy_nn.subjects.names import plain
from numpy_nn.subjects.state import equal, memory_of
from numpy_nn.subjects.subject import Array


class OverlappingCode(UpdatingCode):
    """Called code, of which some arrays share their memory with parameters."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._overlapping: dict[str, Place] = {}  # arrays that share memory with parameters
        self._updated_views: list[str] = []
        # The places where it has bound another array in the place of one of their memory, and what that holds.
        self._parted: list[tuple[Place, NDArray[Any]]] = []
        self._parted_to: list[NDArray[Any]] = []
        self._sharing: list[tuple[Place, NDArray[Any]]] = []  # every place that holds such memory, and what it holds

    def _note_sharing(self) -> None:
        """Note where the code holds the memory of its parameters, which backward may part by binding an array anew."""
        held = [memory_of(self.arrays[name]) for name in self._places]
        owned = {id(memory) for memory in held}
        found = [(place, place.read()) for place in places(self._owner, repeated=True)] if owned else []
        arrays = [(place, value) for place, value in found if isinstance(value, np.ndarray)]
        self._sharing = [(place, value) for place, value in arrays if id(memory_of(value)) in owned]

    def _other_paths(self, name: str) -> list[Path]:
        """Where else the code holds the array of a parameter: in a layer as well as in a dict of all parameters."""
        here = self._places[name].path
        return [place.path for place, held in self._sharing if held is self.arrays[name] and place.path != here]

    def _put_back(self, kept: Mapping[str, Array], by: str) -> dict[str, Array]:
        self._parted = [(place, array) for place, array in self._sharing if place.has_another(array)]
        parted = [np.array(place.read()) for place, _ in self._parted]
        moved = super()._put_back(kept, by)
        self._parted_to = parted
        for place, array in self._parted:
            if place.has_another(array):
                place.put(array)
        return moved

    def _add(self, name: str, place: Place) -> None:
        """Have the code use an array of ours, of float64, in this place."""
        try:
            found: Any = place.read()
        except LookupError:
            raise ValueError(f"parameters: {self.label} has no {name}") from None
        if not isinstance(found, (np.ndarray, float, np.floating)) or np.asarray(found).dtype.kind not in "fiu":
            raise TypeError(f"parameters: expected {name} to be an array of floats, got {type(found).__name__}")
        self.arrays[name] = np.require(np.asarray(found), np.float64, "W")  # of an np.matrix too
        self._places[name] = place

    def _match_overlapping(
        self, found: Sequence[Leaf], agrees: Callable[[str, Leaf], bool], step: Callable[[], Any]
    ) -> None:
        """Gradients of arrays that share their memory with parameters: of views of a flat vector, or of the vector.

        Both may be claimed. What has no gradient by itself is checked where all of it is part of what has one. Where
        ``step``, a backward pass, updates views by binding others, these stand for what they are views of.
        """
        main = list(self._places)
        claimed = [name for name in main if name in self._leaves]
        missing = len(claimed) < len(main)
        for name, place in self._overlapping.items():
            self._add(name, place)

        def like(name: str, leaf: Leaf) -> float:
            path, array = self._places[name].path, self.arrays[name]
            if any(self.arrays[n].size == array.size and np.shares_memory(self.arrays[n], array) for n in claimed):
                return 0.0  # the same numbers once more, of which the gradient is known
            likely = likeness(path, leaf, array.shape)
            if missing and array.ndim == 1 and leaf.is_new and len(leaf.path) == 1 and leaf.value.shape == array.shape:
                likely = max(likely, SURE * (plain(leaf.path[0].key) in ("grad", "grads", "gradient", "gradients")))
            return likely if missing or likely >= SURE else 0.0

        if self._overlapping:
            wanted = {n: (self.arrays[n].shape, partial(like, n)) for n in self._places if n not in self._leaves}
            taken = list(map(id, self._leaves.values()))
            self._leaves |= matched(wanted, [leaf for leaf in found if id(leaf) not in taken], agrees)
        if missing and self._parted:
            step()
            self._updated_views = self._views_bound_anew()
            self._follow_those_bound_anew()
        for name in [name for name in self._places if name not in self._leaves and name not in self._updated_views]:
            if name in self._overlapping or self._is_part_of_checked(name):
                del self._places[name], self.arrays[name]

    def _add_up_uses(
        self, found: Sequence[Leaf], values: Mapping[int, Array], agrees: Callable[[str, Leaf], bool]
    ) -> None:
        """Of an array in several places, each with a gradient beside it, the gradient is their sum, if that agrees.

        So it is of weights that two layers share, where an optimizer steps along the gradient of each. ``values`` has
        by the id of a leaf what it held after the backward pass.
        """
        for name, leaf in list(self._leaves.items()):
            if not isinstance(leaf, Leaf) or name not in self._places or id(leaf) not in values:
                continue
            ours, parts = self.arrays[name], [leaf]
            alike = [one for one in found if one.value.shape == leaf.value.shape == ours.shape]
            for place, held in self._sharing:
                if held.shape != ours.shape or not _is_same(held, ours):
                    continue
                sure = [one for one in alike if likeness(place.path, one, ours.shape) >= SURE]
                parts += [one for one in sure[:1] if not any(np.shares_memory(one.value, p.value) for p in parts)]
            held_by = [leaf._replace(value=values[id(part)]) for part in parts]
            if len(parts) == 1 or agrees(name, held_by[0]):
                continue
            if agrees(name, leaf._replace(value=np.sum([part.value for part in held_by], axis=0))):
                self._leaves[name] = SumOfUses(tuple(parts))
                self.notes.append(f"{name} is used {len(parts)} times, and each has its gradient: checked is their sum")

    def _follow_those_bound_anew(self) -> None:
        """Of parameters held in several places find the updates in one where backward has bound an array anew."""
        for name in [name for name in self._places if name not in self._leaves and name not in self._moved_to]:
            ours, places_of = self.arrays[name], list(zip(self._parted, self._parted_to, strict=True))
            same = [(place, to) for (place, held), to in places_of if _is_same(held, ours) and to.shape == ours.shape]
            if same and all(equal(to, same[0][1]) for _, to in same):
                self._places[name] = same[0][0]
                self._moved[name] = ours

    def _views_bound_anew(self) -> list[str]:
        """One view of each part of memory that backward updates through its views, if all that are alike end alike."""
        chosen: list[str] = []
        for name in self._moved_to:
            alike = [n for n in self._moved_to if _is_same(self.arrays[n], self.arrays[name])]
            if name not in self._overlapping or any(n in chosen or n not in self._overlapping for n in alike):
                continue
            if all(equal(self._moved_to[n], self._moved_to[name]) for n in alike):
                chosen.append(name)
        return chosen

    def _is_part_of_checked(self, name: str) -> bool:
        """Whether each number of this parameter is one of those of arrays of which a gradient was found."""
        checked = [n for n in self._places if (n in self._leaves or n in self._updated_views) and n != name]
        with self.at({n: np.full_like(self.arrays[n], np.nan) for n in checked}):
            return bool(np.isnan(self.arrays[name]).all())


def _is_same(first: Array, second: Array) -> bool:
    """Whether two arrays are the same numbers in memory."""
    return first.size == second.size and np.shares_memory(first, second)


def is_part_or_vector(array: Array, of: Array) -> bool:
    """Whether it is not just the same numbers in another order, as a transpose is."""
    return array.size != of.size or (array.ndim != of.ndim and 1 in (array.ndim, of.ndim))
