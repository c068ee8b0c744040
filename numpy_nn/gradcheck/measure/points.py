"""Other points at which a gradient must be right too: where a random input does not go, and no constant hides it.

A branch that only small, large or rare inputs enter is not seen at one random input; a factor that is 1 at first, or a
term that is 0, is not seen until training moves it. The points are chosen with care for what an argument may mean: an
input is scaled by a positive factor, or averaged with its neighbours in the batch, which leaves signs, symmetry and
sums of probabilities alone; a parameter moves only where all of it is one number, and keeps its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.subjects.subject import Subject, SubjectError

# How far a bend is looked for, in multiples of the input; and how far beside it the gradient is checked.
REACH = 2.0 ** np.linspace(-6.0, 4.0, 26)
BESIDE = (2.0**-5, 2.0**-9)

# After so many halvings of the distance the change of slope of a smooth function is 2^-12 of what it was, at a kink
# all of what it was, or most.
HALVINGS, STAYS = 12, 2.0**-4

# Of an output that is no function of its own entry of the input alone, so many bends are looked at.
BENDS = 2


# An input that is smaller or larger is also looked at in size 1: a term of a sum may be all but lost where others are
# large, or itself small. So it may be beside entries that are so many times as large as half of the others.
OF_SIZE_1, UNEVEN = (0.25, 10.0), 1e4

# It is also looked at without small entries, if one is smaller than this share of what half of the others are.
POLAR = 0.25

# Sizes of an input at which a norm of two numbers that lie apart is flat no more.
SMALL = (2.0**-6, 2.0**-12)


_WAY = " of the way to the point "


class Point(NamedTuple):
    """Values for some of a subject's arrays, and where that is, in words that follow "wrong".

    ``beyond`` says that it lies beyond a number in the code: what is wrong there must count here as well. ``way`` is
    the share of the way to the point that was meant first.
    """

    words: str
    moved: dict[str, Array]
    beyond: bool = False
    way: float = 1.0

    def half_way(self, homes: Mapping[str, Array]) -> Point:
        """The point half of the way there, from these values."""
        way = 0.5 * self.way
        meant = self.words.partition(_WAY)[2] or self.words
        words = f"at {way:g}{_WAY}{meant}"
        return Point(words, {name: 0.5 * (homes[name] + there) for name, there in self.moved.items()}, self.beyond, way)


def other_points(subject: Subject, output: Array, elementwise: bool, rng: np.random.Generator) -> Iterator[Point]:
    """Points near the one where the subject is, and not so near; of a loss of probabilities none beyond 1."""
    points = _other_points(subject, output, elementwise, rng)
    yield from points if not are_probabilities(subject) else filter(lambda p: in_unit(_first(subject, p)), points)


def _first(subject: Subject, point: Point) -> Array:
    """What the first array is moved to; zeros if it is not."""
    return np.asarray(point.moved.get(subject.moved_elsewhere, 0.0))


def are_probabilities(subject: Subject) -> bool:
    """Whether the input and the targets of a loss all lie between 0 and 1; labels may be what they are."""
    if subject.compared_with is None:
        return False
    x, targets = subject.arrays[subject.input], np.asarray(subject.compared_with)
    labels = targets.dtype.kind in "iu" and targets.shape == x.shape[:-1]
    alike = targets.dtype.kind in "fiub" and targets.size == x.size and in_unit(targets)
    return in_unit(x) and (labels or alike)


def in_unit(array: Array) -> bool:
    """Whether all of it lies between 0 and 1."""
    return bool(np.all((array >= 0.0) & (array <= 1.0)))


def _other_points(subject: Subject, output: Array, elementwise: bool, rng: np.random.Generator) -> Iterator[Point]:
    name = subject.moved_elsewhere
    x, this = subject.arrays[name].copy(), _in_words(subject)
    yield Point(f"at a tenth of {this}", {name: 0.1 * x})
    # The probability of a label soon becomes so small that what keeps its logarithm finite is all that is left.
    large = 2.0 if output.size == 1 or subject.targets is not None else 10.0
    yield Point(f"at {large:g} times {this}", {name: large * x})
    size = float(np.abs(x).max(initial=0.0))
    if size > 0.0 and not OF_SIZE_1[0] <= size <= OF_SIZE_1[1]:
        yield Point(f"at {this} scaled to size 1", {name: x / size})
    others = np.sort(np.abs(x[x != 0.0]))
    typical = float(others[others.size // 2]) if others.size else 0.0
    if size > UNEVEN * typical:
        yield Point(f"where the largest entries of {this} are smaller", {name: np.clip(x, -typical, typical)})
    if others.size and others[0] < POLAR * typical and not is_symmetric(x):
        # Beside a pole one term may be all that shows.
        apart = np.sign(x) * np.hypot(x, typical) / typical
        yield Point(f"where {this} has size 1 and no small entries", {name: apart})
    if x.ndim and len(x) > 1 and not is_symmetric(x):
        # Halves of an even number of rows make a singular matrix, which functions of matrices do not take.
        own = 0.75 if x.ndim == 2 and x.shape[0] == x.shape[1] else 0.5
        mixed = own * x + (1.0 - own) * np.roll(x, 1, axis=0)
        yield Point(f"at the means of neighbouring rows of {this}", {name: mixed})
    if _is_constant(x) and (x.size > 1 or not x.any()):
        # As a minimiser begins at zeros, where a penalty does not show, and a transposed array of ones is itself.
        spread = _spread(x, rng)
        yield Point(where_moved(subject, name, spread), {name: spread})
    elif x.ndim > 1 and _is_ramp(x):
        # The largest entry of a window is its last one in all of them, and sorting does nothing.
        yield Point(f"at the entries of {this} in another order", {name: rng.permutation(x.ravel()).reshape(x.shape)})
    if constants := {key: array for key, array in subject.arrays.items() if key != name and _is_constant(array)}:
        yield Point("", {key: _spread(array, rng) for key, array in constants.items()})
    yield from beside_bends(subject, name, elementwise)


def far_points(subject: Subject, rng: np.random.Generator) -> Iterator[Point]:
    """More inputs, for a function that does not move near this one."""
    name = subject.moved_elsewhere
    x, this = subject.arrays[name].copy(), _in_words(subject)
    if largest := float(np.abs(x).max(initial=0.0)):
        for size in SMALL:
            yield Point(f"at {this} scaled to size {size:.2g}", {name: size / largest * x})
    for size in (1.0, 30.0):
        yield Point(f"at a random input of size {size:g}", {name: size * rng.standard_normal(x.shape)})
    for factor in (100.0, 1000.0):
        yield Point(f"at {factor:g} times {this}", {name: factor * x})


def _in_words(subject: Subject) -> str:
    return "this input" if subject.moved_elsewhere == subject.input else subject.moved_elsewhere


def where_moved(subject: Subject, name: str, values: Array) -> str:
    """In words: a parameter that is one number is so no longer."""
    was = float(subject.arrays[name].flat[0])
    if values.size == 1:
        return f"where {name} is {values.item():.3g}, not {was:g}"
    return f"where {name} is not {was:g} throughout: moved to {values.min():.3g} .. {values.max():.3g}"


def is_symmetric(array: Array) -> bool:
    """Whether it is a symmetric matrix, such as a definite one, which it would not be any more."""
    return array.ndim == 2 and array.shape[0] == array.shape[1] and bool(np.allclose(array, array.T))


def _is_constant(array: Array) -> bool:
    return array.size > 0 and bool(np.all(array == array.flat[0]))


def _is_ramp(array: Array) -> bool:
    """Whether each entry is larger than the one before, or each smaller, as linspace makes them."""
    steps = np.diff(array.ravel())
    return bool(steps.size and (np.all(steps > 0.0) or np.all(steps < 0.0)))


def _spread(array: Array, rng: np.random.Generator) -> Array:
    """Other numbers of the same sign and about the same size; around 0 for zeros."""
    if not np.any(array):
        return rng.uniform(-0.5, 0.5, array.shape)
    return np.asarray(array * rng.uniform(0.6, 1.8, array.shape))


def beside_bends(subject: Subject, name: str, elementwise: bool) -> Iterator[Point]:
    """On both sides of kinks along the line from 0 through an array, the two sides one after the other."""
    x, this = subject.arrays[name].copy(), "this input" if name == subject.input else name

    def output_at(factors: Array | float) -> Array:
        with subject.at({name: x * factors}):
            try:
                return subject.output()
            except SubjectError:
                return np.full(1, np.nan)

    # A loss bends also where it saturates, as log(1 - a) of a sigmoid that is all but 1 does.
    is_loss = subject.is_loss or (len(subject.arrays) > 1 and output_at(1.0).size == 1)
    reach = REACH[: int(np.searchsorted(REACH, 2.0, "right"))] if is_loss else REACH
    scan = [output_at(t) for t in reach]
    if any(values.shape != scan[0].shape for values in scan):
        return
    lines = np.stack(scan).reshape(len(reach), -1)
    if elementwise:
        found = _bends(reach, lines, lambda factors: output_at(factors.reshape(x.shape)).ravel())
        if np.isnan(found).all():
            return
        at = float(x.flat[np.flatnonzero(~np.isnan(found))[0]] * found[~np.isnan(found)][0])
        for beside in (1.0 + s * d for d in BESIDE for s in (1.0, -1.0)):
            factors = np.where(np.isnan(found), 1.0, found * beside).reshape(x.shape)
            yield Point(f"beside a bend of the function, as at {at:.3g}", {name: x * factors})
        return
    with np.errstate(all="ignore"):
        change = _changes(lines, reach[:, None]).max(axis=0)
    largest = np.argsort(np.nan_to_num(change, nan=-1.0))[::-1][:BENDS]

    def chosen(factors: Array) -> Array:
        return np.array([_entry(output_at(t), k) for t, k in zip(factors, largest, strict=True)])

    for t in _bends(reach, lines[:, largest], chosen):
        if not np.isnan(t):
            for beside in (1.0 + BESIDE[1], 1.0 - BESIDE[1]):
                yield Point(f"beside a bend of the function, at {t * beside:.4g} times {this}", {name: t * beside * x})


def _entry(values: Array, index: int) -> float:
    return float(values.flat[index]) if values.size > index else np.nan


def _changes(values: Array, at: Array) -> Array:
    """By how much the slope changes at every inner point."""
    return np.asarray(np.abs(np.diff(np.diff(values, axis=0) / np.diff(at, axis=0), axis=0)))


def _bends(reach: Array, lines: Array, evaluate: Callable[[Array], Array]) -> Array:
    """For each column of ``lines`` the t of its sharpest kink, NaN if it has none; ``evaluate`` takes a t for each."""
    columns = np.arange(lines.shape[1])
    with np.errstate(all="ignore"):
        slopes = np.abs(np.diff(lines, axis=0) / np.diff(reach)[:, None])
        change = np.nan_to_num(_changes(lines, reach[:, None]), nan=-1.0)
        # A curve changes its slope everywhere, a kink in one place.
        curvature = np.diff(np.diff(lines, axis=0) / np.diff(reach)[:, None], axis=0) / np.diff(reach)[1:, None]
        around = sliding_window_view(np.pad(curvature, ((2, 2), (0, 0)), "reflect"), 5, axis=0)
        k = np.nan_to_num(np.abs(curvature - median(around)), nan=-1.0).argmax(axis=0)
        first = change[k, columns]
        hopeful = first > 1e-6 * np.nan_to_num(slopes, nan=0.0).max(axis=0)
        if not hopeful.any():
            return np.full(len(columns), np.nan)
        t = np.stack([reach[k], reach[k + 1], reach[k + 2]])
        values = np.stack([lines[k + i, columns] for i in range(3)])
        last = first
        for _ in range(HALVINGS):
            between = 0.5 * (t[:-1] + t[1:])
            extra = np.stack([evaluate(row) for row in between])
            t = np.stack([t[0], between[0], t[1], between[1], t[2]])
            values = np.stack([values[0], extra[0], values[1], extra[1], values[2]])
            change = np.nan_to_num(_changes(values, t), nan=-1.0)
            k = change.argmax(axis=0)
            last = change[k, columns]
            if not np.any(hopeful & (last > 0.5 * STAYS * first)):
                break  # of a kink that lies between two points, half of its change of slope shows
            t = np.stack([t[k + i, columns] for i in range(3)])
            values = np.stack([values[k + i, columns] for i in range(3)])
    return np.where(hopeful & (last > STAYS * first), t[1], np.nan)


def median(windows: Array) -> Array:
    """The median along the last axis, of an odd length; NaN where there is a NaN.

    NumPy's own loads the masked arrays at its first call, which takes longer than all that is done here.
    """
    ordered = np.sort(windows, axis=-1)
    return np.where(np.isnan(ordered[..., -1]), np.nan, ordered[..., ordered.shape[-1] // 2])
