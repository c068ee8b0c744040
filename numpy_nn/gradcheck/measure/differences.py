"""Numerical gradients of sum(grad_output * output) with respect to an array, from as few evaluations as can be.

Perturbing one entry and evaluating costs an evaluation for each entry. But where slice s along one axis of the array
moves only slice s along some axis of the output (a row of the batch, a column of a weight, anything elementwise), one
entry of every slice can be perturbed at once: the idea by which sparse Jacobians are estimated (Curtis, Powell and
Reid, 1974). That structure is found by probing, not assumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.gradcheck.measure.derivatives import RATIO, STEPS, Array, noise_level, own_scale_of, scale_of
from numpy_nn.gradcheck.measure.resolution import FLAT, steps_of
from numpy_nn.gradcheck.measure.slopes import Mask, Slopes, resolved, summarise
from numpy_nn.subjects.output_alone import output_alone
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Subject, SubjectError

# Three steps suffice where the function is smooth over a distance of 2^-9 of the size of its argument.
QUICK_STEPS = 2.0**-9 * RATIO ** -np.arange(3.0)

# Where the output moves in steps that finer ones cannot cross, the coarsest four decide most.
ROUGH_STEPS = STEPS[:4]

# A step so many times the share of the output that its own steps are: with it a slope has a digit, if no more.
FINEST_ROUGH = 8.0

# There a slope with so small a bound has digits enough, and one with so large a bound has hardly any.
FEW_DIGITS, NO_DIGIT = 1e-3, 1e-2

# The share of an output by which rounding in another order may move it.
REORDERED = 2.0**-40

# How many numbers an extrapolation table holds at most, within a factor of two. Its rows are read again and again, so
# that those of a larger one would be fetched from memory each time, which is slower and takes more of it.
CHUNK = 2**18


class ShapeError(ValueError):
    """The output has another shape than at the point where the differences start."""


class Differences:
    """Difference quotients by the array ``name`` of a subject, around the point where the subject is now."""

    def __init__(self, subject: Subject, name: str, rng: np.random.Generator) -> None:
        self._subject, self._rng = subject, rng
        self.array = subject.arrays[name]
        self.home = self.array.copy()
        self.center = subject.output()
        # Numbers may be as small as 1e-15 or as large as 1e6 where the function bends over distances of 1.
        own = own_scale_of(self.home)
        self.scales = {
            "own": own,
            "wide": scale_of(self.home),
            "unit": np.ones(self.home.shape),
            "fine": 2.0**-24 * own,
        }

    @cached_property
    def aligned(self) -> list[tuple[int, int]]:
        """Pairs of an axis of the array and one of the output such that slice s of the one moves slice s alone."""
        return self._aligned_axes(0.0)

    @cached_property
    def nearly_aligned(self) -> list[tuple[int, int]]:
        """The same but for rounding, as of a softmax from which the largest of all entries is subtracted first."""
        return self._aligned_axes(REORDERED)

    @cached_property
    def _axes(self) -> list[int]:
        along = [axis for axis, _ in self.aligned]
        return [axis for axis in range(self.array.ndim) if axis not in along] + along

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape[axis] for axis in self._axes)

    @cached_property
    def _outer(self) -> tuple[int, ...]:
        return self._shape[: len(self._shape) - len(self.aligned)]

    @cached_property
    def _out_axes(self) -> list[int]:
        out = [axis for _, axis in self.aligned]
        return out + [axis for axis in range(self.center.ndim) if axis not in out]

    @cached_property
    def _slices(self) -> int:
        return math.prod(self.array.shape[axis] for axis, _ in self.aligned)

    @cached_property
    def groups(self) -> int:
        """How many evaluations move every coordinate once."""
        return math.prod(self._outer)

    @property
    def numbers(self) -> int:
        """How many numbers an evaluation reads: those of all arrays."""
        return sum(array.size for array in self._subject.arrays.values())

    def some_groups(self, number: int) -> Mask:
        """The coordinates of so many groups, drawn by chance."""
        mask = np.zeros((self.groups, math.prod(self._shape) // self.groups), np.bool_)
        mask[self._rng.choice(self.groups, min(number, self.groups), replace=False)] = True
        return mask.reshape(self._shape).transpose(np.argsort(self._axes))

    def assume(self, share: float, *, unmeasured: bool = False) -> None:
        """Take the output to move in steps of this share of it, as it does with another array or elsewhere."""
        if unmeasured:
            self._steps = share * np.abs(self.center), share
            return
        self._steps = np.maximum(self._steps[0], share * np.abs(self.center)), max(self._steps[1], share)

    @cached_property
    def _steps(self) -> tuple[Array, float]:
        """How far steps in which the output moves may put each output off, and the typical share of it that this is."""
        # No powers of two: moved by these, a number keeps the digits that rounding to float32 takes from it.
        direction = self._rng.choice([-1.0, 1.0], self.array.shape) * self._rng.uniform(0.5, 1.0, self.array.shape)

        def steps(scale: Array) -> tuple[Array, float]:
            return steps_of(lambda t: self._evaluate(self.home + t * scale * direction), self.center)

        own, wide, unit = (self.scales[scale] for scale in ("own", "wide", "unit"))
        found = steps(wide)
        if found[1] and np.any(own < wide):
            # Beside a small entry a logarithm is the same at every spacing, as steps are; not so at that entry's.
            by_size = steps(np.minimum(own, wide))
            return found if by_size[1] else by_size
        if found[1] or np.all(wide >= unit):
            return found
        near = self._evaluate(self.home + FLAT * wide * direction)
        # Within a step that is too wide to be seen as one, or on a plateau: further on the one shows steps, no other.
        return steps(np.maximum(wide, unit)) if equal(near, self.center) else found

    @property
    def seen_coarseness(self) -> float:
        """The same as ``coarseness`` where it had to be measured already, else 0."""
        return self.coarseness if "_steps" in vars(self) else 0.0

    @property
    def coarseness(self) -> float:
        """The share of the output that the steps are in which it moves, as where it is rounded to float32; else 0."""
        return self._steps[1]

    @property
    def elementwise(self) -> bool:
        """Whether each entry moves one entry of the output, and that one alone."""
        return self._slices == self.array.size == self.center.size

    def quick(self, grad_output: Array, mask: Mask | None = None) -> Slopes:
        """Six evaluations for each group of coordinates."""
        return self._slopes(grad_output, mask, QUICK_STEPS, "wide")

    def few(self, grad_output: Array, mask: Mask | None = None) -> Slopes:
        """``rough`` where the output was seen to move in steps, else ``quick``."""
        return (self.rough if self.seen_coarseness else self.quick)(grad_output, mask)

    def rough(self, grad_output: Array, mask: Mask | None = None) -> Slopes:
        """Eight evaluations for each group of coordinates, for a function that moves in steps."""
        return self._across_steps(grad_output, mask, ROUGH_STEPS, sides=False)

    def close(self, grad_output: Array, mask: Mask) -> Slopes:
        """Twenty-four evaluations and more: steps from 2^-2 to 2^-24 of the size of the entry, then 2^24 times finer.

        Where the steps leave the slope unresolved, as many with the size of the array's entries, then with 1. Where the
        finer steps contradict the others they are believed: the function bends in between. Where the output moves in
        steps, differences within a step tell nothing: there a few wide ones are all that is taken.
        """
        if self.coarseness:
            # Finer steps than these show nothing but those of the output.
            telling = STEPS[FINEST_ROUGH * self.coarseness <= STEPS]
            return self._across_steps(grad_output, mask, telling if len(telling) > 2 else ROUGH_STEPS, sides=True)
        slopes = self._slopes(grad_output, mask, STEPS, "own", sides=True)
        tried = [self.scales["own"]]
        used = self.scales["own"].copy()
        for scale in ("wide", "unit"):
            size = self.scales[scale]
            unresolved = mask & ~resolved(slopes, mask, 1e-9)
            unresolved &= np.all([other != size for other in tried], axis=0)
            if unresolved.any():
                other = self._slopes(grad_output, unresolved, STEPS, scale, sides=True)
                better = np.where(_contradict(other, slopes), size < used, ~(other.bound >= slopes.bound))
                slopes.replace(unresolved & better, other)
                used = np.where(unresolved & better, size, used)
            tried.append(size)
        # Within a step of what rounds on the way there is no noise to be seen: that of wider distances stays.
        fine = self._slopes(grad_output, mask, STEPS, "fine", sides=True, floor=self._noise_beside("own"))
        contradicts = _contradict(fine, slopes)
        slopes.replace(mask & contradicts & ~slopes.kink, fine)
        if (mask & contradicts).any():
            # A bend that is seen at some coordinates may lie within the wider steps at all: none is known any better
            # than the finer ones tell. Next to 1e8 a batch norm bends within 1e-3 of each entry.
            apart = np.abs(fine.value - slopes.value) + fine.bound
            widened = mask & ~contradicts & ~slopes.kink & np.isfinite(apart)
            slopes.bound[widened] = np.maximum(slopes.bound, apart)[widened]
        return slopes

    def _across_steps(self, grad_output: Array, mask: Mask | None, steps: Array, *, sides: bool) -> Slopes:
        """The slopes by differences across many of the output's own steps.

        They are of the array's size; where these leave few digits, of size 1, where none, of that of the entry.
        """
        mask = np.ones(self.array.shape, np.bool_) if mask is None else mask
        floor = self._steps[0]
        slopes = self._slopes(grad_output, mask, steps, "wide", sides=sides, floor=floor)
        for scale, share in (("unit", FEW_DIGITS), ("own", NO_DIGIT)):
            unresolved = mask & ~resolved(slopes, mask, share) & (self.scales[scale] != self.scales["wide"])
            if unresolved.any():
                other = self._slopes(grad_output, unresolved, steps, scale, sides=sides, floor=floor)
                slopes.replace(unresolved & ~(other.bound >= slopes.bound), other)
        return slopes

    def along(self, direction: Array, grad_output: Array) -> tuple[float, float, bool]:
        """The slope along a direction in which all coordinates move, its bound, and whether it has a kink here."""
        shape = (1, 1, self.center.size)

        def at(t: float) -> Array:
            return self._evaluate(self.home + t * direction).reshape(shape)

        with np.errstate(all="ignore"):
            noise = np.nan_to_num(noise_level(lambda t: at(2.0**-20 * t)), nan=np.inf)[0]
        outputs = np.stack([[at(sign * t) for t in STEPS] for sign in (1.0, -1.0)])
        center, weights = self.center.reshape(shape[1:]), grad_output.reshape(shape[1:])
        found = summarise(outputs, center, STEPS, weights, np.maximum(noise, self._steps[0].reshape(shape[1:])), True)
        return found["value"].item(), found["bound"].item(), bool(found["kink"].item())

    def value_along(self, direction: Array, grad_output: Array) -> Callable[[float], float]:
        """sum(grad_output * output) as a function of the distance along a direction; NaN where it fails."""

        def value(t: float) -> float:
            with np.errstate(all="ignore"):
                return float(np.sum(grad_output * self._evaluate(self.home + t * direction)))

        return value

    def quotient_along(self, direction: Array, grad_output: Array, step: float) -> float:
        """One difference quotient along a direction, from two evaluations and without a bound; NaN where it fails."""
        plus, minus = (self._evaluate(self.home + t * direction) for t in (step, -step))
        with np.errstate(all="ignore"):
            return float(np.sum(grad_output * (plus - minus)) / (2.0 * step))

    def complex_step(self, grad_output: Array, mask: Mask) -> Array | None:
        """The slopes by the complex step, NaN outside ``mask``; None if the target does not take complex numbers."""
        h, back = 1e-100 * self.scales["own"].transpose(self._axes), np.argsort(self._axes)
        slopes = np.full(self._shape, np.nan)
        for index in self._needed(mask.transpose(self._axes)):
            shift = np.zeros(self._shape)
            shift[index] = h[index]
            output = self._subject.complex_output(self.home + 1j * shift.transpose(back))
            if output is None or output.shape != self.center.shape:
                return None
            slopes[index] = self._fold(output.imag * grad_output).sum(axis=-1).reshape(slopes[index].shape) / h[index]
        return slopes.transpose(back)

    def _evaluate(self, values: Array) -> Array:
        self.array[...] = values
        try:
            return self._output()
        finally:
            self.array[...] = self.home

    def _output(self) -> Array:
        try:
            output = output_alone(self._subject)
        except SubjectError:  # a step beyond the domain, which the target refuses where NumPy gives NaN
            return np.full(self.center.shape, np.nan)
        if output.shape != self.center.shape:
            raise ShapeError(
                f"{self._subject.label}: the output's shape changes from {self.center.shape} to {output.shape}"
            )
        return output

    def _aligned_axes(self, rounding: float) -> list[tuple[int, int]]:
        """Pairs of an axis of the array and one of the output such that slice s of the one moves slice s alone.

        For each bit of the slices' numbers, all slices with that bit are moved, then all without: an output slice
        that shares no bit must not change. Each two slices differ in some bit.
        """
        pairs: list[tuple[int, int]] = []
        for axis, length in enumerate(self.array.shape):
            for out_axis, out_length in enumerate(self.center.shape):
                free = all(axis != a and out_axis != o for a, o in pairs)
                if free and length == out_length > 1 and self._moves_alone(axis, out_axis, rounding):
                    pairs.append((axis, out_axis))
        return pairs

    def _moves_alone(self, axis: int, out_axis: int, rounding: float) -> bool:
        """Whether no other slice changes, by more than this share of the largest output."""
        most = rounding * np.abs(self.center).max()
        numbers = np.arange(self.array.shape[axis])
        for size in (0.25 * self.scales["wide"], 2.0**-9 * self.scales["wide"], 0.25 * self.scales["unit"]):
            for bit in range(int(numbers[-1]).bit_length()):
                for value in (0, 1):
                    chosen = (numbers >> bit) & 1 == value
                    shift = size * self._rng.choice([-1.0, 1.0], self.array.shape)
                    shape = [1] * self.array.ndim
                    shape[axis] = -1
                    moved = self._evaluate(self.home + shift * chosen.reshape(shape))
                    now, before = (np.compress(~chosen, output, axis=out_axis) for output in (moved, self.center))
                    if not (equal(now, before) or (most > 0.0 and np.all(np.abs(now - before) <= most))):
                        return False
        return True

    def _noise(self, scale: str) -> Array:
        """How far rounding may move each output."""
        direction = 2.0**-20 * self.scales[scale] * self._rng.choice([-1.0, 1.0], self.array.shape)
        with np.errstate(all="ignore"):
            return np.nan_to_num(noise_level(lambda t: self._evaluate(self.home + t * direction)), nan=np.inf)

    def _noise_beside(self, scale: str) -> Array:
        """The same on both sides of the point, the smaller of the two: a kink is at most on one of them."""
        direction = 2.0**-20 * self.scales[scale] * self._rng.uniform(0.5, 1.0, self.array.shape)

        def noise(sign: float) -> Array:
            return noise_level(lambda t: self._evaluate(self.home + sign * (1.0 + t) * direction))

        with np.errstate(all="ignore"):
            return np.nan_to_num(np.fmin(noise(1.0), noise(-1.0)), nan=0.0, posinf=0.0)

    def _needed(self, mask: NDArray[Any]) -> list[tuple[int, ...]]:
        """The groups that hold a coordinate of ``mask``, which has its axes in the order of ``self._axes``."""
        needed = np.any(mask.reshape(*self._outer, -1), axis=-1)
        return list(map(tuple, np.argwhere(needed).tolist()))

    def _chunks(self, mask: Array, steps: Array) -> Iterator[list[tuple[int, ...]]]:
        size = max(1, CHUNK // max(1, len(steps) ** 2 * self.center.size))
        needed = self._needed(mask)
        for start in range(0, len(needed), size):
            yield needed[start : start + size]

    def _fold(self, output: Array) -> Array:
        """An output as (slices, entries of a slice)."""
        return output.transpose(self._out_axes).reshape(self._slices, -1)

    def _slopes(
        self,
        grad_output: Array,
        mask: Mask | None,
        steps: Array,
        scale: str,
        *,
        sides: bool = False,
        floor: Array | float = 0.0,
    ) -> Slopes:
        mask = np.ones(self.array.shape, np.bool_) if mask is None else mask
        chosen = np.where(mask, self.scales[scale], 0.0).transpose(self._axes)
        nan, flags = np.full(self._shape, np.nan), np.zeros(self._shape, np.bool_)
        folded = Slopes(nan, nan.copy(), flags, flags.copy(), nan.copy(), nan.copy(), nan.copy())
        noise = self._fold(np.maximum(self._noise(scale), floor))
        grad_output, center = self._fold(grad_output), self._fold(self.center)
        for groups in self._chunks(chosen, steps):
            outputs = self._moved_outputs(groups, chosen, steps, center)
            part = summarise(outputs, center, steps, grad_output, noise, sides)
            self._put(part, groups, self.scales[scale].transpose(self._axes), folded)
        back = np.argsort(self._axes)
        slopes = Slopes(*(array.transpose(back) for array in vars(folded).values()))
        for name in ("value", "bound", "low", "high", "side_bound"):
            getattr(slopes, name)[~mask] = np.nan
        return slopes

    def _moved_outputs(self, groups: Sequence[tuple[int, ...]], chosen: Array, steps: Array, center: Array) -> Array:
        """The output with each group moved by each step, up and down: (2, steps, groups, slices, entries)."""
        home, view = self.home.transpose(self._axes), self.array.transpose(self._axes)
        outputs = np.empty((2, len(steps), len(groups), *self.center.shape))
        for g, index in enumerate(groups):
            here, scale = home[index], chosen[index]
            for j, t in enumerate(steps):
                shift = t * scale
                view[index] = here + shift
                outputs[0, j, g] = self._output()
                view[index] = here - shift
                outputs[1, j, g] = self._output()
            view[index] = here
        # All at once: folding each by itself takes long beside a small layer's forward pass.
        outputs = outputs.transpose(0, 1, 2, *(3 + axis for axis in self._out_axes))
        return outputs.reshape(*outputs.shape[:3], *center.shape)

    def _put(self, part: dict[str, Array], groups: Sequence[tuple[int, ...]], h: Array, folded: Slopes) -> None:
        """Write what was found for these groups, in units of the scale ``h``, where it belongs."""
        rows = tuple(np.array(axis) for axis in zip(*groups, strict=True)) if self._outer else ()
        shape = (len(groups), *self._shape[len(self._outer) :]) if self._outer else self._shape
        for name, numbers in part.items():
            numbers = numbers.reshape(shape)
            if name not in ("flat", "kink"):
                numbers = numbers / h[rows].reshape(shape)
            getattr(folded, name)[rows] = numbers


def _contradict(one: Slopes, other: Slopes) -> NDArray[np.bool_]:
    """Where neither bound leaves room for the other slope."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(one.value - other.value) > one.bound + other.bound)
