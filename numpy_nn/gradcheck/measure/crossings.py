"""Both sides of branches: those that other arrays than the input enter, weights that are clipped, a second argument.

Such an array is not moved as freely as an input: where weights are large an iteration may converge no more, and the
gradient of its limit is off for no mistake. So the two sides lie close together, and what is wrong on one of them
counts only if it is right on the other, and is wrong by much. So it is with an input of a function of single numbers
beside 0, where a branch of many of these begins, and which no line from 0 through the input crosses.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.measure.beyond import AT_MOST, reached
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.points import BESIDE, Point, are_probabilities, beside_bends, in_unit, is_symmetric
from numpy_nn.subjects.source.roles import is_learned
from numpy_nn.subjects.source.written import numbers_written
from numpy_nn.subjects.subject import Subject

# So far on each side of a number in the code, as a share of it.
CLOSE_BY = BESIDE[1]

# So small is an input beside 0, as a share of what it is.
BESIDE_ZERO = 2.0**-10

# Of a target with more such arrays, as a whole network is, it is the input that enters the branches.
MOST = 6


def crossings(subject: Subject, evidences: list[Evidence]) -> Iterator[tuple[Point, Point]]:
    """Two points on the two sides of a branch, for each that such an array is found to enter."""
    yield from _beside_zero(subject, evidences)
    others = [e for e in evidences if e.name != subject.moved_elsewhere and _may_move(e)]
    if not 0 < len(others) <= MOST:
        return
    numbers = reached(numbers_written(*subject.own_code()))[:AT_MOST]
    first = subject.arrays.get(subject.moved_elsewhere)
    for evidence in others:
        name, array = evidence.name, evidence.array.copy()
        for number in [sign * number for number in numbers for sign in (1.0, -1.0)]:
            if (moved := _one_entry(evidence, number)) is not None:
                yield _sides(name, f"where an entry of {name} is", number, moved)
            if first is not None and first.shape == array.shape and array.size > 1:
                words = f"where {name} - {subject.moved_elsewhere} is"
                yield _sides(name, words, number, (first.copy(), np.full(array.shape, number)))
        bends = beside_bends(subject, name, evidence.differences.elementwise)
        yield from zip(bends, bends, strict=True)


def _beside_zero(subject: Subject, evidences: list[Evidence]) -> Iterator[tuple[Point, Point]]:
    """The first argument of a function of single numbers, all of it just above 0, and all of it just below."""
    if are_probabilities(subject):
        return  # none lies below 0
    for evidence in evidences:
        name, array = evidence.name, evidence.array
        if name == subject.moved_elsewhere and evidence.differences.elementwise and np.any(array):
            small = BESIDE_ZERO * np.where(array == 0.0, np.abs(array).max(), np.abs(array))
            words = f"where {name} is just"
            yield Point(f"{words} above 0", {name: small}), Point(f"{words} below 0", {name: -small})
        elif name == subject.moved_elsewhere and array.size > 1 and _is_of_one_sign(name, array):
            # Of the absolute values of weights, those below 0 are not seen where none is.
            small, some = array.copy(), np.arange(array.size).reshape(array.shape) % 2 == 0
            small[some] *= BESIDE_ZERO
            words = f"where entries of {name} are just"
            yield (
                Point(f"{words} on the side of 0 of the others", {name: small}),
                Point(f"{words} on the other side of 0 than the others", {name: np.where(some, -small, small)}),
            )


def _is_of_one_sign(name: str, array: Array) -> bool:
    """Whether it lies on one side of 0, and is no mask, no probabilities and no definite matrix."""
    if not (np.all(array > 0.0) or np.all(array < 0.0)) or is_symmetric(array):
        return False
    return is_learned(name) or not in_unit(array)


def _sides(name: str, words: str, number: float, moved: tuple[Array, Array]) -> tuple[Point, Point]:
    base, step = moved
    return (
        Point(f"{words} just within {number:g}, as in the code", {name: base + (1.0 - CLOSE_BY) * step}),
        Point(f"{words} just beyond {number:g}, as in the code", {name: base + (1.0 + CLOSE_BY) * step}),
    )


def _one_entry(evidence: Evidence, number: float) -> tuple[Array, Array] | None:
    """The array with a 0 for the entry of this sign that moves the output most; and the number in its place."""
    array, gradient = evidence.array.copy(), evidence.gradient
    if gradient is None or gradient.shape != array.shape:
        return None
    weight = np.where(np.sign(array) == np.sign(number), np.abs(gradient), -1.0)
    index = np.unravel_index(int(weight.argmax()), array.shape)
    if weight[index] <= 0.0:
        return None
    step = np.zeros(array.shape)
    array[index], step[index] = 0.0, number
    return array, step


def _may_move(evidence: Evidence) -> bool:
    """Whether an array may be larger or smaller than it is: no mask, no probabilities, no definite matrix."""
    array = evidence.array
    return bool(np.any(array)) and not in_unit(array) and not is_symmetric(array)
