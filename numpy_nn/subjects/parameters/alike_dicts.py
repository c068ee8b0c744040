"""Several dicts of parameters with the same keys, as a generator's and a discriminator's: of which a gradient is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.gradients import Leaf, same_but_ones
from numpy_nn.subjects.arrays.places import Place
from numpy_nn.subjects.subject import Array


def in_other_dicts(
    places: Mapping[str, Place], arrays: Mapping[str, Array], found: Sequence[Leaf], agrees: Callable[[str, Leaf], bool]
) -> set[str]:
    """The parameters in dicts with keys of the gradients that are returned, but for the dict of which these are.

    That is the one whose arrays have their shapes, and most of whose gradients are those of the function.
    """
    returned = {leaf.path[-1].key: leaf for leaf in found if leaf.returned and leaf.path}
    if len(returned) != sum(leaf.returned for leaf in found) or not all(isinstance(key, str) for key in returned):
        return set()
    dicts: dict[Any, dict[Any, str]] = {}
    for name, place in places.items():
        dicts.setdefault(place.path[:-1], {})[place.path[-1].key] = name
    alike = [own for path, own in dicts.items() if path and own.keys() <= returned.keys()]

    def fitting(own: Mapping[Any, str]) -> tuple[int, int]:
        fits = [(own[key], leaf) for key, leaf in returned.items() if key in own]
        fits = [(name, leaf) for name, leaf in fits if same_but_ones(arrays[name].shape, leaf.value.shape)]
        return len(fits), sum(agrees(name, leaf) for name, leaf in fits)

    ranked = sorted(alike, key=fitting, reverse=True)
    if len(ranked) < 2 or len(ranked[0]) < len(returned) or fitting(ranked[0]) == fitting(ranked[1]):
        return set()
    return {name for own in ranked[1:] for name in own.values()}


def is_asked_for_one(owner: Any, forward: Any) -> bool:
    """Whether a function of an object is none that it is asked by on the whole, as ``d_loss`` beside ``g_loss``."""
    whole = (names.method(owner, names.LOSSES), names.passes(owner)[0])
    return getattr(forward, "__self__", None) is owner and forward not in whole
