"""Whose weight is whose: arrays of two networks paired by names that are given, else by their shapes and order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_ref.foreign_parity.sides import LOSS, OUTPUT, Side

Array = NDArray[np.float64]
Shapes = Mapping[str, tuple[int, ...]]

# So many pairings are tried where shapes leave the choice open, the likeliest first.
TRIED = 200

# Outputs that have half of their digits in common differ by less than this share: in float64, and in float32.
HALF, HALF_OF_FLOAT32 = 2.0**-26, 2.0**-12


@dataclass(frozen=True)
class Pair:
    """An array of mine and one of theirs that hold the same numbers, ``transposed`` or but for axes of length 1."""

    mine: str
    theirs: str
    transposed: bool

    def to_theirs(self, array: Array, shape: tuple[int, ...]) -> Array:
        """My array, or its gradient, as theirs lies."""
        return (np.squeeze(array).T if self.transposed else array).reshape(shape)

    def to_mine(self, array: Array, shape: tuple[int, ...]) -> Array:
        """The opposite."""
        return (np.squeeze(array).T if self.transposed else array).reshape(shape)

    def __str__(self) -> str:
        return f"{self.mine} is {self.theirs}{' transposed' if self.transposed else ''}"


def pairings(mine: Shapes, theirs: Shapes, names: Mapping[str, str]) -> Iterator[list[Pair]]:
    """Every way to pair all arrays that have the shapes for it, the likeliest first; ``names`` are held to.

    The likeliest has arrays of one shape in the order of both networks, and square ones turned as the others are.
    """
    for name, other in names.items():
        if name not in mine or other not in theirs:
            missing, has = (name, mine) if name not in mine else (other, theirs)
            raise ValueError(f"names: there is no {missing}; there are {', '.join(has)}")
    turned = _turned(mine, theirs)

    def rest(left: Sequence[str], free: Sequence[str]) -> Iterator[list[Pair]]:
        if not left:
            yield []
            return
        name = left[0]
        for other in [names[name]] if name in names else [one for one in free if one not in names.values()]:
            for transposed in _ways(mine[name], theirs[other], turned):
                for following in rest(left[1:], [one for one in free if one != other]):
                    yield [Pair(name, other, transposed), *following]

    yield from rest(list(mine), list(theirs))


def _ways(mine: tuple[int, ...], theirs: tuple[int, ...], turned: bool) -> list[bool]:
    """Whether an array can be the other as it is (False), transposed (True), or both, the likelier first."""
    a, b = _long(mine), _long(theirs)
    ways = [transposed for transposed in (turned, not turned) if (a[::-1] if transposed else a) == b]
    return ways if len(a) == 2 else [False] * (a == b)


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its axes of length 1, unless it is a matrix of which only one is longer."""
    return tuple(n for n in shape if n != 1)


def _turned(mine: Shapes, theirs: Shapes) -> bool:
    """Whether the matrices that are not square lie the other way round."""
    shapes = [_long(shape) for shape in theirs.values()]
    oblong = [a for a in map(_long, mine.values()) if len(a) == 2 and a[0] != a[1]]
    return sum(a[::-1] in shapes and a not in shapes for a in oblong) > 0 or (not oblong)


def pair(mine: Side, theirs: Side, names: Mapping[str, str] | None) -> tuple[list[Pair], str]:
    """The pairing that makes the outputs alike, or else the likeliest; my numbers are then in theirs.

    Also a sentence on it. ValueError where the shapes allow none.
    """
    own, other = mine.parameters, theirs.parameters
    if not own and not other:
        return [], ""
    found = list(itertools.islice(pairings(own, other, names or {}), TRIED)) if len(own) == len(other) else []
    if not found:
        lost = [name for side in (mine, theirs) for name, kind, _ in side.network.unchecked if kind == "unchecked"]
        raise ValueError(
            f"the weights do not fit one to one: mine are {_told(own)}; theirs are {_told(other)}"
            + (f"; no gradient was found of {', '.join(lost)}, name it with parameters=" if lost else "")
        )
    wanted, best, least = _seen(mine), found[0], HALF_OF_FLOAT32
    for one in found if len(found) > 1 else ():
        copy_across(mine, theirs, one)
        off = _distance(wanted, _seen(theirs))
        if off < least:
            best, least = one, off
        if off < HALF:
            break
    copy_across(mine, theirs, best)
    return best, f"weights: {'; '.join(map(str, best))}"


def alike(mine: Side, theirs: Side) -> bool:
    """Whether the outputs, or without them the losses, have half of float32's digits in common."""
    return _distance(_seen(mine), _seen(theirs)) < HALF_OF_FLOAT32


def _told(shapes: Shapes) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape)) or 'a number'}" for name, shape in shapes.items()) or "none"


def copy_across(mine: Side, theirs: Side, pairs: Sequence[Pair]) -> None:
    """Write my numbers into their arrays."""
    for one in pairs:
        target = theirs.network.arrays[one.theirs]
        target[...] = one.to_theirs(mine.network.arrays[one.mine], target.shape)


def _seen(side: Side) -> dict[str, Any]:
    """Output and loss, with the samples as they lie on the other side."""
    found = side.run()
    return {name: found[name].T if side.turned else found[name] for name in (OUTPUT, LOSS) if name in found}


def _distance(mine: Mapping[str, Array], theirs: Mapping[str, Array]) -> float:
    """How far the outputs, or without them the losses, are apart: as a share of mine, inf where shapes differ."""
    name = OUTPUT if OUTPUT in mine and OUTPUT in theirs else LOSS
    if name not in mine or name not in theirs or mine[name].size != theirs[name].size:
        return math.inf
    a, b = mine[name], theirs[name]
    with np.errstate(all="ignore"):
        off = np.linalg.norm(a.ravel() - (b.T if a.shape != b.shape else b).ravel()) / np.linalg.norm(a)
    return float(off) if np.isfinite(off) else math.inf
