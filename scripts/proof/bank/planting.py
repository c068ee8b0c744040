"""How a wrong gradient gets into the bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from scripts.proof.bank.right_layers import Case

Make = Callable[[np.random.Generator], Case]
OTHER = "other"
"""The cause of mistakes that no cause names: they must be found, and no cause be named with confidence."""


class Drawn(Protocol):
    """What a class in the bank has."""

    @classmethod
    def draw(cls, rng: np.random.Generator, /) -> Case:
        """One with random shapes and data, its input, and its targets or None."""
        ...


@dataclass(frozen=True)
class PlantedBug:
    """A wrong gradient.

    ``make(rng)`` draws shapes and data and returns the target, its input, and its targets or None. ``cause`` is the
    word for the mistake that a diagnosis should find. ``wrong`` names the entries whose gradients are wrong, the one
    first in which the mistake itself stands; all others are right. ``also`` are other causes that are as true.
    ``known`` is False where no diagnosis finds the cause so far.
    """

    name: str
    cause: str
    make: Make
    wrong: tuple[str, ...]
    also: tuple[str, ...] = ()
    known: bool = True


PLANTED: list[PlantedBug] = []
Class = TypeVar("Class", bound="type[Drawn]")


def planted(cause: str, *wrong: str, also: tuple[str, ...] = (), known: bool = True) -> Callable[[Class], Class]:
    """Put the class into the bank."""

    def add(cls: Class) -> Class:
        PLANTED.append(PlantedBug(cls.__name__, cause, cls.draw, wrong, also, known))
        return cls

    return add
