"""What is known about one gradient, and what more can be asked of its subject."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.gradcheck.measure.derivatives import TINY, Array, noise_of_rounding, own_scale_of, scale_of
from numpy_nn.gradcheck.measure.differences import Differences
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, LOST, NEARLY, OFF, UNRESOLVED, Reason, Status
from numpy_nn.gradcheck.measure.points import SMALL, are_probabilities
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.subjects.subject import Subject, SubjectError

# A prediction fits if no coordinate is off by more than this share of the gradient's size. Predictions are made from
# numerical derivatives good to 1e-7; a chance agreement of several coordinates to 1e-5 does not happen.
FIT = 1e-5

# Where the output moves in steps no prediction is that good; one that may be off by more than this is none.
COARSEST_FIT = 1e-2

# The share of a number that rounding to float32, once or some hundred times, is seen to leave as noise.
NOISE_OF_FLOAT32 = (2.0**-29, 2.0**-18)

# So many operations of a formula may each round.
OPERATIONS = 32

# Hypotheses are tried on so many coordinates at most, and a factor shows at so many.
LOOKED_AT, FOR_A_FACTOR = 2_000, 200

# Multiples of the input at which a gradient is looked at that the input itself does not show.
PARTS = (0.25, 0.0625, 1 / 64, 1 / 256)

# Where the output is so many times as large as here, and as 1, the function has a pole near by; where a gradient is so
# many times as steep as its output is large, it is chaotic. Neither tells what a formula adds up here.
BLOWN_UP, STEEP = 100.0, 1000.0

# Sizes of the input at which tiny weights show beside their bias.
LARGE = (2.0**10, 2.0**20)


class Evidence:
    """What is known about one gradient, and what can be found out by further evaluations.

    ``gradient`` is the claimed one for grad_output ``grad_output``, ``output`` the output; ``previous`` holds the
    claimed gradients of the call before, on the input ``previous_x`` with ``previous_grad_output``.
    """

    def __init__(
        self,
        subject: Subject,
        name: str,
        gradient: Array | None,
        grad_output: Array,
        output: Array,
        previous: dict[str, NDArray[np.float64] | None],
        previous_x: Array,
        previous_grad_output: Array,
        rng: np.random.Generator,
    ) -> None:
        self.subject, self.name, self.gradient, self.rng = subject, name, gradient, rng
        self.grad_output, self.output = grad_output, output
        self.previous, self.previous_x, self.previous_grad_output = previous.get(name), previous_x, previous_grad_output
        self.slopes: Slopes | None = None
        self.status: Status | None = None
        self.reason = Reason.NONE
        self.at_point_given = True
        self.independent = False  # the output does not depend on the array
        # Hypotheses look at the wrong coordinates alone; what was found explains them, not why others are right.
        self.narrowed = self.partial = False
        self._differences: dict[str, Differences] = {}

    def anew(self) -> Evidence:
        """The same claim, of which nothing is found out yet."""
        before = {self.name: self.previous}
        given = self.subject, self.name, self.gradient, self.grad_output, self.output
        return Evidence(*given, before, self.previous_x, self.previous_grad_output, self.rng)

    @property
    def differences(self) -> Differences:
        """The difference quotients at the point itself."""
        return self.differences_by(self.name)

    def differences_by(self, name: str) -> Differences:
        """Those by any array of the subject, made once: what has been found of its structure is found once."""
        if name not in self._differences:
            made = self._differences[name] = Differences(self.subject, name, self.rng)
            if name != self.name and (share := self.differences.seen_coarseness):
                made.assume(share, unmeasured=True)
        return self._differences[name]

    @property
    def x(self) -> Array:
        """The input."""
        return self.subject.arrays[self.subject.input]

    @property
    def is_input(self) -> bool:
        """Whether the gradient is that with respect to the input."""
        return self.name == self.subject.input

    @property
    def array(self) -> Array:
        """What the gradient belongs to."""
        return self.subject.arrays[self.name]

    @property
    def natural_slope(self) -> float:
        """What a slope of this function might be: its size over that of its argument, or over 1 if that is smaller."""
        return self.slope_of(self.output)

    def slope_of(self, output: Array) -> float:
        """The same for another output of about the same argument."""
        argument = float(np.abs(self.array).max(initial=1.0))
        return float(np.sqrt(np.mean(np.square(self.grad_output * output)))) / argument

    def multiples(self) -> list[Array]:
        """Other inputs: this one scaled to size 1 and to parts of itself, and a random one; probabilities stay such."""
        if are_probabilities(self.subject):
            return [*(part * self.x for part in PARTS), self.rng.uniform(0.05, 0.95, self.x.shape)]
        size = float(np.abs(self.x).max())
        parts = (1.0 / size if size > TINY else 1.0, *PARTS)
        return [*(part * self.x for part in parts), self.rng.standard_normal(self.x.shape)]

    def extremes(self) -> list[Array]:
        """The input made tiny, and random ones that are huge, for a gradient that none of the multiples shows."""
        if are_probabilities(self.subject):
            return []
        size = max(float(np.abs(self.x).max()), TINY)
        shape = self.x.shape
        return [small / size * self.x for small in SMALL] + [large * self.rng.standard_normal(shape) for large in LARGE]

    @cached_property
    def working_size(self) -> float:
        """The largest slope, claimed or natural, at other inputs: of this size are the numbers that formulas add up.

        Those at which the function is of quite another size, as beside a pole, are left out, and of a gradient that is
        much steeper than its output is large no more counts than a function of that size may have.
        """
        sizes = [self.natural_slope]
        least = float(np.sqrt(np.mean(np.square(self.grad_output)))) / float(np.abs(self.array).max(initial=1.0))
        largest = BLOWN_UP * max(1.0, float(np.abs(self.output).max(initial=0.0)))
        for moved in self.multiples():
            with self.subject.at({self.subject.input: moved}):
                try:
                    output, claimed = self.subject.output_and_gradients(self.grad_output)
                except SubjectError:
                    continue  # an input that the target does not take
                if not np.all(np.abs(output) <= largest):
                    continue
                gradient = claimed[self.name]
                natural = self.slope_of(output) if output.shape == self.grad_output.shape else 0.0
                slope = 0.0 if gradient is None else float(np.abs(gradient).max(initial=0.0))
                sizes += [natural, min(slope, STEEP * max(natural, least))]
        return max(size for size in sizes if np.isfinite(size))

    @cached_property
    def gradient_noise(self) -> Array:
        """The rounding error in the claimed gradient: what is not smooth in it, along a line through the input."""
        assert self.gradient is not None
        home = self.x.copy()
        # No powers of two: moved by these, a number keeps the digits that rounding to float32 takes from it. And by its
        # own size at most: beside 1e-9, 1 / x is not smooth over other distances.
        direction = (
            2.0**-20
            * np.minimum(own_scale_of(home), scale_of(home))
            * self.rng.choice([-1.0, 1.0], home.shape)
            * self.rng.uniform(0.5, 1.0, home.shape)
        )

        def claimed(t: float) -> Array:
            self.x[...] = home + (1.0 + t) * direction  # not the point itself, which may lie on a kink
            try:
                gradient = self.subject.gradients(self.grad_output)[self.name]
            except SubjectError:
                gradient = None
            if gradient is None or gradient.size != self.array.size:
                return np.full(self.array.shape, np.nan)
            return gradient.reshape(self.array.shape)

        try:
            with np.errstate(all="ignore"):
                return np.nan_to_num(noise_of_rounding(claimed), nan=0.0)
        finally:
            self.x[...] = home

    @cached_property
    def in_float32(self) -> bool:
        """Whether the claimed gradient was computed in float32: such are its numbers, or so large is its noise."""
        assert self.gradient is not None
        with np.errstate(over="ignore"):
            if np.array_equal(self.gradient.astype(np.float32), self.gradient):
                return True
        large = np.abs(self.gradient) > 1e-3 * np.abs(self.gradient).max(initial=0.0)
        if not large.any():
            return False
        share = np.median(self.gradient_noise[large] / np.abs(self.gradient[large]))
        return bool(NOISE_OF_FLOAT32[0] < share < NOISE_OF_FLOAT32[1])

    @property
    def batch(self) -> int:
        """The number of rows of the input."""
        return self.x.shape[0] if self.x.ndim else 1

    @cached_property
    def looked_at(self) -> NDArray[np.bool_]:
        """The coordinates on which hypotheses are tried: those checked, a part of very many, none on a kink."""
        if self.status is None:
            return np.ones(self.array.shape, np.bool_)
        chosen = np.flatnonzero(np.isin(self.status, (AGREES, COARSE, NEARLY, OFF)))
        if chosen.size > LOOKED_AT:
            chosen = self.rng.choice(chosen, LOOKED_AT, replace=False)
        mask = np.zeros(self.array.size, np.bool_)
        mask[chosen] = True
        return mask.reshape(self.array.shape)

    @property
    def most_is_known(self) -> bool:
        """Whether at least as many coordinates are looked at as could not be told from what they should be."""
        unknown = 0 if self.status is None else int(np.isin(self.status, (LOST, UNRESOLVED)).sum())
        return int(self.looked_at.sum()) >= min(unknown, LOOKED_AT)

    @cached_property
    def numerical(self) -> Slopes:
        """The numerical gradient for ``grad_output``, with its bounds."""
        if self.slopes is not None:
            return self.slopes
        differences = self.differences
        return (differences.rough if differences.coarseness else differences.quick)(self.grad_output, self.looked_at)

    @cached_property
    def truth(self) -> Array:
        """The numerical gradient for ``grad_output``."""
        return self.numerical.value

    @cached_property
    def fit(self) -> float:
        """The share of the gradient's size that a prediction may be off by: FIT, more where the output is coarse."""
        bounds = self.numerical.bound[self.looked_at]
        if not self.differences.seen_coarseness or not self.size or not np.isfinite(bounds).any():
            return FIT
        return min(COARSEST_FIT, max(FIT, float(np.nanmedian(bounds)) / self.size))

    @property
    def decimals(self) -> int:
        """To how many decimals two slopes of size 1 are told apart."""
        return 6 if self.fit == FIT else int(-np.log10(self.fit))

    @property
    def grain(self) -> float:
        """The share of the output's size up to which a formula for it may be off by rounding."""
        return max(1e-9, OPERATIONS * self.differences.coarseness)

    def recognises(self, guess: NDArray[Any], numbers: NDArray[Any]) -> bool:
        """Whether the guess is these numbers, outputs or gradients, but for rounding."""
        return bool(np.allclose(guess, numbers, self.grain, self.grain * float(np.abs(numbers).max(initial=0.0))))

    def common_ratio(self, a: Array, n: Array) -> float | None:
        """The r for which a = r n as far as can be told; None if there is none."""
        return common_ratio(a, n, self.fit)

    @cached_property
    def size(self) -> float:
        """The root mean square of the numerical gradient."""
        values = self.truth[self.looked_at]
        return float(np.sqrt(np.nanmean(np.square(values)))) if values.size else 0.0

    def vjp(self, grad_output: Array, x: Array | None = None) -> Array:
        """The numerical gradient for another grad_output, or at another input."""
        if x is None:
            return self.differences.few(grad_output, self.looked_at).value
        with self.subject.at({self.subject.input: x}):
            try:
                differences = Differences(self.subject, self.name, self.rng)
            except SubjectError:
                differences = None  # an input that the target does not take
            if differences is None or differences.center.shape != self.output.shape:
                return np.full(self.array.shape, np.nan)
            if share := self.differences.seen_coarseness:
                differences.assume(share, unmeasured=True)
            return differences.few(grad_output, self.looked_at).value

    def narrow(self, *, undo: bool = False) -> bool:
        """Look at the wrong coordinates alone, where others are right; returns whether there are enough of them."""
        self.narrowed = not undo
        if undo:
            del self.looked_at
            return True
        assert self.status is not None
        wrong = self.status == OFF
        if wrong.sum() < 4 or wrong.sum() == self.looked_at.sum():
            self.narrowed = False
            return False
        self.looked_at = wrong
        return True

    def everywhere(self, formula: str) -> str:
        """The sentence that a prediction fits."""
        return f"the claimed gradient is {formula} at all {int(self.looked_at.sum())} coordinates looked at"

    def fits(self, prediction: Array) -> bool:
        """Whether the claimed gradient is ``prediction``, and that is not the truth."""
        assert self.gradient is not None
        if prediction.shape != self.gradient.shape:
            return False
        a, p, n = (array[self.looked_at] for array in (self.gradient, prediction, self.truth))
        known = np.isfinite(p) & np.isfinite(n)
        if known.sum() < 1 or not np.isfinite(a).all():
            return False
        # Of coordinates that are all right, any prediction tells nothing, were it that of the wrong ones alone.
        if self.status is not None and not np.any(self.status[self.looked_at][known] == OFF):
            return False
        a, p, n = a[known], p[known], n[known]
        size = max(float(np.abs(p).max()), float(np.abs(a).max()))
        off = np.abs(a - p)
        # What is named must explain most of what is wrong, also where a gradient is wrong by little.
        return bool((off <= self.fit * size).all() and off.max() <= 0.05 * np.abs(a - n).max())

    def hangs_on_previous(self) -> bool:
        """Whether the claimed gradient is another one after a call on another input."""
        with self.subject.at({self.subject.input: self.rng.standard_normal(self.x.shape)}):
            try:
                self.subject.gradients(self.previous_grad_output)
            except SubjectError:
                return False
        again, claimed = self.subject.gradients(self.grad_output)[self.name], self.gradient
        return again is not None and claimed is not None and not np.array_equal(again, claimed)

    def is_zero_elsewhere(self) -> bool:
        """Whether the claimed gradient is 0 after calls on other inputs too: what lies below a threshold is not."""
        a, x = self.array, self.x
        further: list[dict[str, Array]] = [{self.name: a + 0.25 * (1.0 + np.abs(a))}, {self.name: 64.0 * a}]
        for moved in [*further, {self.name: 64.0 * np.abs(a)}, {self.subject.input: 64.0 * x}]:
            with self.subject.at(moved), suppress(SubjectError):
                there = self.subject.gradients(self.grad_output)[self.name]
                if there is not None and np.any(np.nan_to_num(there)):
                    return False
        return True

    def ratio(self) -> float | None:
        """The factor between the claimed and the numerical gradient, if there is one for all coordinates."""
        assert self.gradient is not None
        a, n = self.gradient[self.looked_at], self.truth[self.looked_at]
        ratio = self.common_ratio(a, n)
        # It must explain most of what is wrong, also where that is little.
        if ratio is None or np.nanmax(np.abs(a - ratio * n)) > 0.05 * np.nanmax(np.abs(a - n)):
            return None
        return ratio

    def _some(self, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Of an array that is as large with another number of rows, some of the coordinates looked at: for a factor."""
        if shape != self.looked_at.shape:
            return None
        mask = np.zeros(self.looked_at.size, np.bool_)
        mask[self.rng.permutation(np.flatnonzero(self.looked_at))[:FOR_A_FACTOR]] = True
        return mask.reshape(shape)

    def ratio_at_another_batch(self) -> tuple[int, float] | None:
        """The same factor for a batch of another number of rows, with that number; None if it cannot be had."""
        rows = self.batch - 1 if self.batch > 2 else 2 * self.batch
        subject, fit = self.subject, self.fit
        with subject.resized(rows) as possible:
            if not possible:
                return None
            grad_output = subject.random_grad_output(self.rng, subject.output().shape)
            try:
                gradient = subject.gradients(grad_output)[self.name]
            except SubjectError:
                return None
            if gradient is None or gradient.shape != subject.arrays[self.name].shape:
                return None
            differences = Differences(subject, self.name, self.rng)
            if share := self.differences.seen_coarseness:
                differences.assume(share, unmeasured=True)
            truth = differences.few(grad_output, self._some(gradient.shape)).value
        ratio = common_ratio(gradient, truth, fit)
        return None if ratio is None else (rows, ratio)


def common_ratio(a: Array, n: Array, fit: float = FIT) -> float | None:
    """The r for which a = r n to rounding, or but for this share of the size of n; None if there is none."""
    size = float(np.nanmax(np.abs(n), initial=0.0))
    # What is off by a share of the largest is off by more of a smaller one.
    large = np.abs(n) > (1e-2 if fit == FIT else 0.5) * size
    if not large.any() or not np.isfinite(a).all():
        return None
    with np.errstate(over="ignore"):
        ratios = a[large] / n[large]
    middle = float(np.median(ratios))
    if not np.isfinite(middle):
        return None
    spread = float(np.abs(ratios - middle).max())
    rest = np.abs(a - middle * n)[~large & np.isfinite(n)]
    if spread > (1.0 if fit == FIT else 2.0) * fit * abs(middle) or np.any(rest > fit * size * abs(middle)):
        return None
    return middle
