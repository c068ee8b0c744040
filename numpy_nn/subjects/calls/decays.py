"""Weight decay: what a step has of the array itself, or of its signs, beside the gradient of the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from numpy_nn.subjects.agreement import decays_in
from numpy_nn.subjects.subject import Array, Subject


class Decay(NamedTuple):
    """How much of an array, or of its signs, is in a step over its rate, by which numbers in the code it may be."""

    by: float
    of: Callable[[Array], Array]
    numbers: tuple[float, ...]

    def said_of(self, name: str) -> str:
        """How it is told to the reader."""
        return f"{self.by:.6g} of {name if self.of is np.positive else f'the sign of {name}'}"


def decayed(decays: Sequence[Decay], array: Array) -> Any:
    """What weight decay makes of an array in a step from it, over the rate."""
    return sum(decay.by * decay.of(array) for decay in decays)


class Strengths:
    """How strong decays may be by the numbers in the code, the rate, and a mean over so many rows or columns."""

    def __init__(self, written: Sequence[float], rate: float, lengths: Sequence[int]) -> None:
        self._written, self._rate, self._over = written, rate, (1, *dict.fromkeys(lengths))

    def nearest(self, multiple: float, *, shared: bool) -> tuple[float, tuple[float, ...]] | None:
        """The strength that a multiple is to three digits, and the numbers by which it may be; None if it is none.

        One that is ``shared`` between the array and its signs may be a part of a number, as of an elastic net.
        """
        meant = [*self._of_one(), *(self._of_parts() if shared else ())]
        found = [one for one in meant if abs(one[0] - multiple) <= 1e-3 * multiple]
        nearest = min((one for one, _ in found), key=lambda one: abs(one - multiple), default=None)
        if nearest is None:
            return None
        return nearest, tuple(dict.fromkeys(number for one, number in found if abs(one - nearest) <= 1e-9 * nearest))

    def _of_one(self) -> Iterator[tuple[float, float]]:
        for number in self._written:
            for one in (number, 2 * number, number / self._rate, (1 - number) / self._rate):
                yield from ((one / n, number) for n in self._over)

    def _of_parts(self) -> Iterator[tuple[float, float]]:
        for number in self._written:
            for part in self._written:
                for one in (number * part, number * (1 - part)):
                    yield from ((times * one / n, number) for times in (1, 2) for n in self._over)


def decays_of(subject: Subject, name: str, step: Array, grad_output: Array, strengths: Strengths) -> tuple[Decay, ...]:
    """The decays in a step over its rate: of the array, of its signs, or of both, whichever the code names."""
    for kinds, multiples in decays_in(subject, name, step, grad_output, (np.positive, np.sign)):
        found = [strengths.nearest(multiple, shared=len(kinds) > 1) for multiple in multiples]
        decays = [Decay(one[0], kind, one[1]) for one, kind in zip(found, kinds, strict=True) if one is not None]
        if len(decays) == len(kinds):
            return tuple(decays)
    return ()
