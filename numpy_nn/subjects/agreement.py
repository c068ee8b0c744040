"""How well claimed gradients agree with the function, as far as a few evaluations tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.output_alone import output_alone
from numpy_nn.subjects.subject import Array, Subject, SubjectError

# So many digits of claimed and numerical may be the same by chance, or for a cost that is not meant; and so many show
# that they belong together, as far as quotients of two values tell.
ROUGHLY, CLOSELY = 2, 4

# How far apart the two values are, in units of the array's size: near by, else further off; at last nearer than that,
# as a small probability beside large ones wants it.
LENGTHS = (2.0**-13, 2.0**-6, 2.0**-3, 2.0**-20)

# Changes below this share of the output, or below this where the output is larger than 1, may be rounding.
_ROUNDED = 1e-12


class Agreement(NamedTuple):
    """Of how many arrays the gradient agrees with the function, of how many it has the right shape, to how many digits.

    ``digits`` are those of the array with the fewest, no more than CLOSELY.
    """

    agreeing: int
    shaped: int
    digits: int


def agreement(subject: Subject) -> Agreement:
    """How well the claimed gradients agree with the function, at the point given or where they are not all 0.

    Zeros, as of units that are all off, agree with whatever is flat, by whatever way they were made.
    """
    if not subject.make_repeatable():
        return Agreement(0, 0, 0)
    grad_output, shaped = claimed_in_shape(subject)
    if any(np.any(g) for g in shaped.values()):
        return _agreement_of(subject, grad_output, shaped)
    for moved in _other_inputs(subject):
        with subject.at(moved):
            try:
                grad_output, there = claimed_in_shape(subject)
            except SubjectError:
                continue  # an input that the code does not take
            if any(np.any(g) for g in there.values()):
                return _agreement_of(subject, grad_output, there)
    return Agreement(0, len(shaped), 0)


def _agreement_of(subject: Subject, grad_output: Array, shaped: Mapping[str, NDArray[Any]]) -> Agreement:
    found = [_digits(subject, name, g, grad_output, _known_ends) for name, g in shaped.items()]
    return Agreement(sum(d >= ROUGHLY for d in found), len(shaped), min(found))


def _other_inputs(subject: Subject) -> Iterator[dict[str, Array]]:
    """The input with its signs turned round, larger, and random ones of size 1 and larger."""
    x = subject.arrays.get(subject.input)
    if x is None:
        return
    rng = np.random.default_rng(3)
    for factor in (-1.0, 4.0, -4.0):
        yield {subject.input: factor * x}
    for size in (1.0, 1.0, 1.0, 30.0):
        yield {subject.input: size * rng.standard_normal(x.shape)}


# What differs in size by less than this, as a logarithm, is of one size.
AS_LARGE = 1e-4


def off_in_size(subject: Subject) -> float:
    """By which factor the claimed gradients are larger or smaller than the function's: the size of its logarithm.

    Infinite where there is none.
    """
    grad_output, shaped = claimed_in_shape(subject)
    pairs = [_along_directions(subject, name, g, grad_output, LENGTHS[0]) for name, g in shaped.items()]
    with np.errstate(all="ignore"):
        slopes, claimed = (float(np.linalg.norm(part)) for part in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
        off = float(np.abs(np.log(np.divide(claimed, slopes))))
    return off if np.isfinite(off) else np.inf


def is_as_large(subject: Subject) -> bool:
    """Whether the claimed gradients are as large as those of the function, so that no more than a sign can be off."""
    return subject.make_repeatable() and off_in_size(subject) < AS_LARGE


def digits(subject: Subject, name: str, gradient: Array, grad_output: Array) -> int:
    """To how many digits a gradient is that of the function, along four random directions: to CLOSELY at most."""
    return _digits(subject, name, gradient, grad_output, _ends)


def _digits(
    subject: Subject,
    name: str,
    gradient: Array,
    grad_output: Array,
    ends_by: Callable[[Subject, str, Array, float], Array],
) -> int:
    array = subject.arrays[name]
    most, along = 0, _along(array, gradient)
    slopes: Array | None = None
    for length in LENGTHS:
        ends, reach = ends_by(subject, name, grad_output, length), _reach(array, length)
        changes, claimed = _half_of(ends), reach * along
        with np.errstate(all="ignore"):
            off, size = np.linalg.norm(changes - claimed), np.linalg.norm(changes) + np.linalg.norm(claimed)
        if not np.isfinite(size):
            continue  # of an infinite change, as to log(0), everything is off by the same: by infinity
        rounded = _ROUNDED * min(1.0, float(np.abs(ends).max()))
        most = max(most, *(d for d in range(CLOSELY + 1) if d == 0 or off <= 10.0**-d * size + rounded))
        nearer, slopes = slopes, changes / reach
        if most >= ROUGHLY or (nearer is not None and _are_far_from(along, nearer, slopes)):
            break
    return most


def _are_far_from(claimed: Array, slopes: Array, others: Array) -> bool:
    """Whether the slopes at two lengths are much nearer to each other than to what a gradient says they are.

    Then it will not be right at a third. Slopes of 0 tell nothing: they may be those of the steps of a coarse output.
    """
    apart = np.linalg.norm(slopes - others)
    return bool(np.all(slopes) and np.all(others) and apart <= 0.125 * np.linalg.norm(slopes - claimed))


def factor_of(subject: Subject, name: str, step: Array, grad_output: Array) -> float:
    """By which factor an array is larger than the function's gradient; 0 if it is no multiple of that."""
    changes, claimed = _along_directions(subject, name, step, grad_output, LENGTHS[0])
    with np.errstate(all="ignore"):
        factor = float(claimed @ changes / (changes @ changes))
        off = np.linalg.norm(claimed - factor * changes) / np.linalg.norm(claimed)
    return factor if off <= 1e-3 else 0.0


def factor_to_more_digits(subject: Subject, name: str, step: Array, grad_output: Array, factor: float) -> float:
    """The factor with two lengths extrapolated to 0; as it was where that is another, as at a kink."""
    (far, claimed), (near, _) = (_along_directions(subject, name, step, grad_output, n) for n in (2.0**-9, 2.0**-10))
    changes = (8.0 * near - far) / 3.0  # Richardson: what is left of the error is of the order of the length to the 4th
    with np.errstate(all="ignore"):
        finer = float(claimed @ changes / (changes @ changes))
    return finer if abs(finer - factor) <= 1e-5 * abs(factor) else factor


def is_beyond_chance(subject: Subject) -> bool:
    """Whether all claimed gradients are multiples of the function's to six digits, as those of a like function are not.

    Near weights of 0 the gradient of a hinge is a multiple of that of a cross-entropy, to as many digits as these have.
    """
    grad_output, shaped = claimed_in_shape(subject)
    return all(is_a_multiple(subject, name, step, grad_output) for name, step in shaped.items())


def is_a_multiple(subject: Subject, name: str, step: Array, grad_output: Array) -> bool:
    """Whether an array is a multiple of the function's gradient to six digits."""
    far, claimed = _along_directions(subject, name, step, grad_output, 2.0**-9)
    near, _ = _along_directions(subject, name, step, grad_output, 2.0**-10)
    changes = (8.0 * near - far) / 3.0
    with np.errstate(all="ignore"):
        factor = float(claimed @ changes / (changes @ changes))
        return bool(np.linalg.norm(claimed - factor * changes) <= 1e-6 * np.linalg.norm(claimed))


def decays_in(
    subject: Subject, name: str, step: Array, grad_output: Array, kinds: Sequence[Callable[[Array], Array]]
) -> Iterator[tuple[tuple[Callable[[Array], Array], ...], tuple[float, ...]]]:
    """By which multiples of what is made of the array a step is more than the function's gradient.

    That is of each of the ``kinds`` alone, or of all; those by which it is not, or not by such above 0, are left out.
    """
    array = subject.arrays[name]
    changes = _changes(subject, name, grad_output, LENGTHS[0])
    parts = (step, *(kind(array) for kind in kinds))
    along = [_reach(array, LENGTHS[0]) * _along(array, one) for one in parts]
    if not np.all(np.isfinite([changes, *along])):
        return
    more = along[0] - changes
    of_kinds = dict(zip(kinds, along[1:], strict=True))
    for some in dict.fromkeys([*((kind,) for kind in kinds), tuple(kinds)]):
        known = np.stack([of_kinds[kind] for kind in some], axis=1)
        multiples = np.linalg.lstsq(known, more, rcond=None)[0]
        off = np.linalg.norm(more - known @ multiples)
        if off <= 1e-3 * np.linalg.norm(more) and np.all(multiples > 0.0):
            yield some, tuple(multiples)


def may_be_a_multiple(subject: Subject, name: str, claimed: Array, grad_output: Array) -> bool:
    """Whether a gradient may be a multiple of the function's, with multiples of the array and of its signs in it.

    As far as four directions tell: those of a weight decay are known by more.
    """
    array = subject.arrays[name]
    changes = _changes(subject, name, grad_output, LENGTHS[0])
    along = [_reach(array, LENGTHS[0]) * _along(array, one) for one in (claimed, array, np.sign(array))]
    if not np.all(np.isfinite([changes, *along])):
        return True
    known = np.stack([changes, *along[1:]], axis=1)
    rest = along[0] - known @ np.linalg.lstsq(known, along[0], rcond=None)[0]
    return bool(np.linalg.norm(rest) <= 0.01 * np.linalg.norm(along[0]))


def are_equal(one: Subject, other: Subject) -> bool:
    """Whether two functions of one argument give the same, at its value and at a multiple."""
    for scale in (1.0, 0.75):
        with one.at({one.input: scale * one.arrays[one.input]}):
            here = one.output()
        with other.at({other.input: scale * other.arrays[other.input]}):
            there = other.output()
        if not np.allclose(here, there, rtol=1e-9, atol=0.0):
            return False
    return True


def claimed_in_shape(subject: Subject) -> tuple[Array, dict[str, NDArray[Any]]]:
    """A gradient of the output, and for it those claimed gradients that have the shape of what they belong to."""
    output = subject.output()
    grad_output = subject.random_grad_output(np.random.default_rng(2), output.shape)
    claimed = subject.gradients(grad_output)
    return grad_output, {n: g for n, g in claimed.items() if g is not None and g.shape == subject.arrays[n].shape}


def loss_is_of_new_values(subject: Subject, rate: float) -> bool:
    """Whether a step returns its loss after it has moved the parameters, for which its gradients are right.

    Then the slope along v is that of f(w - r g(w)): g(w - r g(w)) . (v - r H v), with H v from two gradients.
    """
    if not subject.make_repeatable():
        return False
    grad_output, here = claimed_in_shape(subject)
    homes = {name: subject.arrays[name].copy() for name in here}
    rng = np.random.default_rng(8)
    lines = {name: rng.standard_normal(home.shape) for name, home in homes.items()}

    def at(moved: Mapping[str, Array]) -> tuple[float, dict[str, Array]]:
        with subject.at(dict(moved)):
            return float(np.sum(grad_output * subject.output())), claimed_in_shape(subject)[1]

    h = 2.0**-13
    try:
        (plus, up), (minus, down) = (at({n: homes[n] + s * h * lines[n] for n in homes}) for s in (1.0, -1.0))
        _, there = at({name: homes[name] - rate * here[name] for name in homes})
        before = sum(float(np.sum(here[n] * lines[n])) for n in homes)
        after = sum(float(np.sum(there[n] * (lines[n] - rate * (up[n] - down[n]) / (2.0 * h)))) for n in homes)
    except (SubjectError, KeyError):
        return False
    slope = (plus - minus) / (2.0 * h)
    return abs(slope - after) <= 1e-5 * abs(slope) < 1e-3 * abs(slope - before)


def is_linear_in_the_gradient(subject: Subject) -> bool:
    """Whether twice the gradient of the output gives twice the claimed gradients, as that of a gradient does."""
    grad_output, once = claimed_in_shape(subject)
    twice = subject.gradients(2.0 * grad_output)
    return all((of := twice[name]) is not None and np.allclose(of, 2.0 * g, rtol=1e-6) for name, g in once.items())


def _along_directions(
    subject: Subject, name: str, gradient: Array, grad_output: Array, length: float
) -> tuple[Array, Array]:
    """The changes along four random directions, and what they are by this gradient."""
    array = subject.arrays[name]
    return _changes(subject, name, grad_output, length), _reach(array, length) * _along(array, gradient)


def _directions(array: Array) -> list[Array]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(array.shape) for _ in range(4)]


def _reach(array: Array, length: float) -> float:
    """How far the ends of a length are from the array, in its own units."""
    scale = float(np.sqrt(np.mean(np.square(array)))) or 1.0
    # What is lost in the steps of an output of float32 may be seen at distances of 1.
    return length * (scale if length == LENGTHS[0] else max(scale, 1.0))


def _along(array: Array, gradient: Array) -> Array:
    """What the slopes along these directions are by a gradient."""
    with np.errstate(all="ignore"):
        return np.array([float(np.sum(gradient * direction)) for direction in _directions(array)])


def _changes(subject: Subject, name: str, grad_output: Array, length: float) -> Array:
    return _half_of(_ends(subject, name, grad_output, length))


def _half_of(ends: Array) -> Array:
    """Half of what lies between the two ends of each line; NaN between two infinities."""
    with np.errstate(all="ignore"):
        return np.asarray(0.5 * (ends[:, 0] - ends[:, 1]))


def _ends(subject: Subject, name: str, grad_output: Array, length: float) -> Array:
    """The values at the ends of a line along each direction, to its one side and to the other."""
    home = subject.arrays[name].copy()
    steps = [_reach(home, length) * direction for direction in _directions(home)]
    return np.array(
        [[_value_at(subject, {name: home + sign * step}, grad_output) for sign in (1, -1)] for step in steps]
    )


class _Known(NamedTuple):
    """The values at the ends of lines, by the array's name and the length, all found at one point."""

    point: dict[str, Array]
    ends: dict[tuple[str, float], Array]


_KNOWN: WeakKeyDictionary[Subject, _Known] = WeakKeyDictionary()


def _known_ends(subject: Subject, name: str, grad_output: Array, length: float) -> Array:
    """These values, found once for a point: while forms are tried, one way to call code is often asked about again."""
    point = {**subject.arrays, "": grad_output}  # no array has an empty name
    known = _KNOWN.get(subject)
    if (
        known is None
        or known.point.keys() != point.keys()
        or not all(map(np.array_equal, known.point.values(), point.values()))
    ):
        known = _KNOWN[subject] = _Known({key: one.copy() for key, one in point.items()}, {})
    if (name, length) not in known.ends:
        known.ends[name, length] = _ends(subject, name, grad_output, length)
    return known.ends[name, length]


def _value_at(subject: Subject, moved: Mapping[str, Array], grad_output: Array) -> float:
    """sum(grad_output * output) with arrays moved; NaN where the code has none."""
    with subject.at(moved):
        try:
            output = output_alone(subject)
        except SubjectError:
            return np.nan
    with np.errstate(all="ignore"):
        return float(np.sum(grad_output * output)) if output.shape == grad_output.shape else np.nan
