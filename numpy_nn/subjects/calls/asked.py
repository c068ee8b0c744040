"""Arguments of functions that have no gradient: which of them should have one, and whose a single one is."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.gradients import SURE, Leaf, same_but_ones
from numpy_nn.subjects.arrays.places import Path, Step
from numpy_nn.subjects.source.roles import is_learned


def is_left_out(name: str, claimed: Collection[str], arguments: Sequence[str]) -> bool:
    """Whether an argument, or an array in one, is learned as others are: beside them in a list, or a weight or bias.

    The b right after a matrix A without a gradient is no bias, but the right-hand side of A x = b.
    """
    if (root := argument_with(name, arguments)) != name:
        return any(other.startswith((f"{root}[", f"{root}.")) for other in claimed)
    if name == "b" and "A" not in claimed and ("A", "b") in pairwise(arguments):
        return False
    return is_learned(name) and any(is_learned(other) for other in claimed)


def argument_with(name: str, arguments: Sequence[str]) -> str:
    """The argument that an array is in: ``params`` of ``params[0]`` and of ``params.W``, and x of x."""
    root = re.split(r"[.\[]", name, maxsplit=1)[0]
    return root if root in arguments else name.partition("[")[0]


def in_its_place(
    inputs: Sequence[str],
    leaves: Mapping[str, Any],
    found: Sequence[Leaf],
    told: Mapping[Path, str],
    is_none: Callable[[str], bool],
) -> tuple[str, Leaf] | None:
    """The argument after those whose gradients are returned in their order, and what is returned in its place.

    None where all have theirs, where that is called otherwise than a gradient is, or where the next is to have none.
    """
    places = {leaf.path: leaf for leaf in found if leaf.returned and leaf.value.dtype.kind == "f"}
    for index, name in enumerate(inputs):
        path = (Step(index, True),)
        leaf = leaves.get(name)
        if isinstance(leaf, Leaf) and leaf.returned and leaf.path == path:
            continue
        free = leaf is None and path in places and all(places[path] is not other for other in leaves.values())
        word = told.get(path, "")
        is_gradient = not word or names.tells_gradients(word)
        return (name, places[path]) if free and index and is_gradient and not is_none(name) else None
    return None


def rival_of(
    name: str, function: Any, shapes: Mapping[str, tuple[int, ...]], targets: Collection[str], data: Collection[str]
) -> tuple[str, bool]:
    """Another argument that a single gradient may be meant of, though it is that of ``name``; and whether surely.

    Surely where the name of the function says so, as ``df_dx`` does, or where ``name`` is the target of a loss. Else it
    is one of the same shape that comes before; of weights, one that is no data. Empty where there is none.
    """
    word = getattr(signatures.unwrapped(function), "__name__", "") if function is not None else ""
    alike = [other for other in shapes if other != name and same_but_ones(shapes[other], shapes[name])]

    def says(other: str) -> bool:
        return names.is_gradient_of(word, other) >= SURE or word.endswith((f"_d{other}", f"_wrt_{other}"))

    if says(name):
        return "", False
    meant = [other for other in alike if says(other)]
    if not meant and name in targets:
        meant = [other for other in alike if other not in targets]
    if len(meant) == 1:
        return meant[0], True
    earlier = list(shapes)[: list(shapes).index(name)]
    before = [other for other in alike if other in earlier and not (other in data and is_learned(name))]
    before = [other for other in before if other not in targets or name in targets]  # nobody wants those of targets
    return (before[0] if before else ""), False


def turned_round(
    inputs: Sequence[str], leaves: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], told: Mapping[Path, str]
) -> tuple[str, str] | None:
    """Two arguments of one shape whose gradients are returned in the other order, which no name in the source tells."""
    placed = [
        (leaf.path[0].key, name)
        for name, leaf in leaves.items()
        if name in inputs and isinstance(leaf, Leaf) and leaf.returned and len(leaf.path) == 1
        if isinstance(leaf.path[0].key, int) and names.is_gradient_of(told.get(leaf.path, ""), name) < SURE
    ]
    in_order = [name for _, name in sorted(placed)]
    pairs = ((a, b) for i, a in enumerate(in_order) for b in in_order[i + 1 :])
    return next(((b, a) for a, b in pairs if inputs.index(a) > inputs.index(b) and shapes[a] == shapes[b]), None)
