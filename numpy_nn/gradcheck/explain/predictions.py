"""What a hypothesis says: the numbers that a mistake would give, or a cause that it has found by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.subjects.subject import SubjectError


class Prediction(NamedTuple):
    """The gradient that a mistake would give, and its formula in words."""

    cause: str
    formula: str
    values: Array


class Found(NamedTuple):
    """A cause, and the evidence in words; ``sure`` is False where the numbers could have come about otherwise."""

    cause: str
    text: str
    sure: bool = True


Family = Callable[[Evidence], Iterable["Prediction | Found"]]

# What the user's code raises at another point or for another number of rows, and what numbers do that suit no formula.
DROPPED = (SubjectError, ValueError, ArithmeticError)


class Asked(NamedTuple):
    """The answers of some families: what was found, and every prediction with the family that made it."""

    found: list[Found]
    predictions: list[tuple[Family, Prediction]]


def ask(e: Evidence, families: Iterable[Family]) -> Asked:
    """Each family by itself: one that cannot be asked here is left out, and what the others say stands."""
    asked = Asked([], [])
    for family in families:
        for guess in _answers(e, family):
            if isinstance(guess, Found):
                asked.found.append(guess)
                continue
            asked.predictions.append((family, guess))
            if e.fits(guess.values):
                # A single number is many things by chance.
                asked.found.append(Found(guess.cause, e.everywhere(guess.formula), int(e.looked_at.sum()) > 1))
    return asked


def _answers(e: Evidence, family: Family) -> Iterator[Prediction | Found]:
    homes = {name: array.copy() for name, array in e.subject.arrays.items()}
    with np.errstate(all="ignore"):
        try:
            yield from family(e)
        except DROPPED:
            # The question may have moved an array when it broke off.
            for name, values in homes.items():
                e.subject.arrays[name][...] = values


@contextmanager
def at_another_batch(e: Evidence, rows: int | None = None) -> Iterator[Evidence | None]:
    """What is known about the same gradient for a batch of another number of rows; None if it cannot be had."""
    subject, rows = e.subject, rows or (e.batch - 1 if e.batch > 2 else 2 * e.batch)
    if not e.x.ndim or not e.batch:
        yield None
        return
    with subject.resized(rows) as possible:
        other = None
        if possible:
            try:
                output = subject.output()
                grad_output = subject.random_grad_output(e.rng, output.shape)
                gradient = subject.gradients(grad_output)[e.name]
            except DROPPED:
                gradient = None
            array = subject.arrays[e.name]
            if gradient is not None and gradient.size == array.size:
                gradient = gradient.reshape(array.shape)
                other = Evidence(subject, e.name, gradient, grad_output, output, {}, 0.75 * e.x, grad_output, e.rng)
        yield other


def ratio_at_another_batch(e: Evidence) -> tuple[int, float] | None:
    """The factor between the claimed and the numerical gradient for another number of rows, with that number."""
    try:
        return e.ratio_at_another_batch()
    except DROPPED:
        return None


def is_parameter_row(e: Evidence) -> bool:
    """Whether the gradient is that of a parameter with a single row of numbers, as a bias is."""
    return not e.is_input and e.array.size == max(e.array.shape, default=1)
