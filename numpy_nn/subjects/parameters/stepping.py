"""Code whose backward pass updates its parameters and keeps no gradient: what its steps tell of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import CLOSELY, ROUGHLY, digits, factor_of, factor_to_more_digits, is_a_multiple
from numpy_nn.subjects.arrays.gradients import SURE, Leaf, same_but_ones
from numpy_nn.subjects.arrays.places import Place, last_name
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.calling import RATE
from numpy_nn.subjects.calls.costs import number_of_samples
from numpy_nn.subjects.calls.rates import rate_of, rates_in
from numpy_nn.subjects.names import tells_gradients
from numpy_nn.subjects.parameters.decaying import DecayingCode, lengths_of_input
from numpy_nn.subjects.source.roles import is_learned
from numpy_nn.subjects.source.surroundings import Steps
from numpy_nn.subjects.state import reachable
from numpy_nn.subjects.subject import Array, Subject, SubjectError


class SteppingCode(DecayingCode):
    """Called code whose steps, over their rate, are its gradients where it tells no others."""

    is_by_another_rate = False  # than the one that is kept
    doubt_of_rate = ""  # that the rate by which steps are may be off, unless they grow by a velocity

    def _find_updates(self, grad_output: Array) -> None:
        """Where no gradient is kept, but backward updates the parameter: the gradient is the step over the rate."""
        moved = [name for name in self._moved if name in self._places and name not in self._leaves]
        if not moved:
            return
        if RATE in (self.convention.arguments or ()):
            rate = 1.0
        else:
            steps = self._steps_made(moved)
            common = rate_in_common(self, steps, grad_output, self._numbers_written())
            rate = self._rate_meant(self._kept_rate(), common, steps, grad_output)
            if self.doubt_of_rate and not self._is_by_that_elsewhere(common, moved, grad_output):
                self.doubt_of_rate = ""
                self.refuse(
                    "steps are by another multiple of the gradient at another input, as if it were normalised: "
                    "they do not tell it; keep the gradient in an attribute as well"
                )
        if rate:
            self._updates |= dict.fromkeys([*moved, *self._moved_beside_zeros(grad_output)], rate)
            self.find_decays(moved, rate, grad_output, self._numbers_written())

    def _moved_beside_zeros(self, grad_output: Array) -> list[str]:
        """What else backward updates where the input has no zeros: at those the steps of the weights there are 0."""
        here = self._moved, self._moved_to
        if not (beside := self.without_zeros()):
            return []
        try:
            with self.at(beside):
                self._claimed(grad_output)
            return [name for name in self._moved if name in self._places and name not in self._leaves]
        except (SubjectError, ValueError):
            return []
        finally:
            self._moved, self._moved_to = here

    def _mind_directions(self, grad_output: Array) -> None:
        """Where the array that goes by the name of a gradient is added to its parameter, it is a direction of descent.

        Minus it is the gradient; if the step itself is kept, no gradient is.
        """
        self._leave_to_steps(grad_output)
        before, after = dict(self._moved), dict(self._moved_to)
        for name in [name for name in before if name in after and isinstance(self._leaves.get(name), Leaf)]:
            leaf = self._leaves[name]
            assert isinstance(leaf, Leaf)
            if leaf.value.size != self.arrays[name].size:
                continue
            kept = leaf.value.reshape(self.arrays[name].shape).astype(np.float64)
            if digits(self, name, kept, grad_output) >= ROUGHLY:
                continue
            step = after[name] - before[name]
            lengths = float(np.linalg.norm(step) * np.linalg.norm(kept))
            if any(np.allclose(step, sign * kept, rtol=1e-9, atol=0.0) for sign in (1.0, -1.0)) and np.any(step):
                del self._leaves[name]
                self.notes.append(f"{leaf} is the step that {name} makes, and no gradient")
            elif float(np.sum(step * kept)) > 0.5 * lengths and self._goes_down(name, kept, grad_output):
                self._turned.add(name)
                self.notes.append(f"{leaf} is added to {name}: minus it is taken for the gradient")

        self._moved, self._moved_to = before, after

    def _leave_to_steps(self, grad_output: Array) -> None:
        """Give up what agrees to a few digits with the gradient of a parameter that moves, and is not called so.

        It does so by chance, as what the next layer keeps of its input; the step tells the gradient. So it does where
        what is kept has not the shape, as the gradient of W^T, or is 0 again when the step is done.
        """
        zeroed = [name for name in self._moved if name in self._places and self._is_zeroed(name)]
        for name in [name for name in self._moved if name in self._places]:
            leaf = self._leaves.get(name)
            if isinstance(leaf, Leaf) and not same_but_ones(leaf.value.shape, self.arrays[name].shape):
                del self._leaves[name]
        if zeroed:
            self._leaves = {name: leaf for name, leaf in self._leaves.items() if name not in zeroed}
            self._claimed(grad_output)  # the latest step may have begun with what stood there while it was looked for
        for name in [name for name in self._moved if name in self._places and name not in self._sure]:
            leaf = self._leaves.get(name)
            if not isinstance(leaf, Leaf) or leaf.returned or tells_gradients(str(last_name(leaf.path))):
                continue
            if leaf.value.size == self.arrays[name].size:
                kept = leaf.value.reshape(self.arrays[name].shape).astype(np.float64)
                if digits(self, name, kept, grad_output) < CLOSELY:
                    del self._leaves[name]

    def _is_zeroed(self, name: str) -> bool:
        """Whether what is kept for a gradient is 0 when its parameter has made a step, which no such gradient makes."""
        leaf, step = self._leaves.get(name), self._moved_to.get(name, self._moved[name]) - self._moved[name]
        return isinstance(leaf, Leaf) and not leaf.returned and not np.any(leaf.value) and bool(np.any(step))

    def _goes_down(self, name: str, direction: Array, grad_output: Array) -> bool:
        """Whether the output, times its gradient, falls along a direction."""
        home = self.arrays[name].copy()
        size = float(np.abs(direction).max(initial=0.0)) or 1.0
        ends = []
        for sign in (1.0, -1.0):
            with self.at({name: home + sign * 2.0**-13 * direction / size}):
                try:
                    ends.append(float(np.sum(grad_output * self.output())))
                except SubjectError:
                    return False
        return ends[0] < ends[1]

    def rate_of_given_steps(self, steps: Mapping[str, Array], grad_output: Array) -> float:
        """The rate of steps that are claimed as gradients: the one kept, or what they have in common; else 0."""
        kept = self._kept_rate()
        common = rate_in_common(self, steps, grad_output, self._numbers_written())
        if kept or not common:
            rate = self._rate_meant(kept, common, steps, grad_output)
            if self.doubt_of_rate:
                self.complain(self.doubt_of_rate)
            return rate
        note_rate_in_common(self, abs(common), self._numbers_written())
        return abs(common)

    def keeps_or_names(self, rate: float) -> bool:
        """Whether the code keeps this rate, or has it as a number: no factor hides in it then."""
        return any(abs(rate - one) <= 1e-9 * abs(one) for one in (self._kept_rate(), *self._numbers_written()) if one)

    def _kept_rate(self) -> float:
        """The rate that is an argument, or the default of one, or that the code keeps; 0 without one."""
        return self._rate_by_default() or rate_of(self._owner, *self._stepping)

    def _rate_meant(self, kept: float, common: float, steps: Mapping[str, Array], grad_output: Array) -> float:
        """The rate that is kept, or what steps and gradients have in common; 0 where there is neither.

        A rate by which the steps are off as by a mistake, such as a factor of 2 or that of a mean, is kept. By another
        factor it is one that changes, as a rate that decays does, where the code has what changes it; else nothing
        tells. Near to the one that is kept, what is no multiple of a gradient may have a small weight decay in it.
        """
        if not common:
            return kept
        if not kept:
            rate = self._times_the_batch(abs(common))
            note_rate_in_common(self, rate, self._numbers_written())
            return rate
        apart = common / kept
        if abs(abs(apart) - 1.0) <= 1e-3:
            return kept
        if abs(apart - 1.0) <= 1e-2 and not all(is_a_multiple(self, n, one, grad_output) for n, one in steps.items()):
            return kept
        is_a_part = 0.0 < apart < 1.0 and self._is_written_fraction(apart, kept)
        is_usual = any(abs(apart - one) <= 1e-3 * abs(one) for one in self._usual_mistakes())
        if is_usual and not is_a_part:
            return kept
        self.is_by_another_rate = True
        said = f"steps are by {common:.6g} times the gradient, and not by {kept:.6g}"
        if self._stands_there(common):
            self.notes.append(f"{said}, which is another rate than that of learning")
        elif not is_usual and (is_a_part or (0.0 < apart < 1.0 and self._changes_its_rate)):
            self.notes.append(f"{said}: the rate changes, and is taken to be that")
        else:
            self.doubt_of_rate = _off_or_right(common, kept, "the learning rate that was found")
        return abs(common)

    def _is_by_that_elsewhere(self, common: float, moved: Sequence[str], grad_output: Array) -> bool:
        """Whether steps are by the same multiple at another input, if there is one to be had."""
        if self.input not in self.arrays:
            return True
        here = self._moved, self._moved_to
        try:
            with self.at({self.input: 0.75 * self.arrays[self.input]}):
                self._claimed(grad_output)
                there = rate_in_common(self, self._steps_made(moved), grad_output, self._numbers_written())
        except SubjectError:
            return True
        finally:
            self._moved, self._moved_to = here
        return not there or abs(there - common) <= 1e-3 * abs(common)

    def _usual_mistakes(self) -> Iterator[float]:
        """The factors by which steps are off where a 2 is left out, or a mean is meant that is not one, or is."""
        lengths = {length for array in self.arrays.values() for length in array.shape} | set(self.output().shape)
        samples = number_of_samples(self.arrays.get(self.input), self.output())
        means = {1.0, *lengths, *(samples * length for length in lengths)}
        for sign, two, mean in product((1.0, -1.0), (0.5, 1.0, 2.0), means):
            yield from (sign * two * mean, sign * two / mean)

    @property
    def _changes_its_rate(self) -> bool:
        """Whether the code keeps a number that a schedule has, such as the steps so far."""
        held = [attributes(thing) for thing in reachable(self._owner)]
        return any(
            isinstance(value, (int, float)) and not isinstance(value, bool) and _OF_A_SCHEDULE.search(str(name))
            for values in held
            for name, value in values.items()
        )

    def _is_written_fraction(self, part: float, rate: float) -> bool:
        """Whether it is a number in the code, or what one leaves of 1: by a velocity, a step is a part of the rate."""
        written = [
            number for number in self._numbers_written() if number not in (rate, 0.5)
        ]  # which is that of squares
        return any(abs(part - one) <= 1e-3 for number in written for one in (number, 1.0 - number))

    def _add_silent(self, found: Sequence[Leaf]) -> None:
        """Check also what the output does not depend on, if a gradient of it is claimed under a sure name."""
        for name, place in [(name, place) for name, place in self._silent.items() if place.exists()]:
            if self._is_kept_by_a_step(name, place):
                self.unchecked.append((name, "buffer", int(np.size(place.read()))))
                continue
            for leaf in found:
                free = leaf not in self._leaves.values() and leaf.path != place.path
                if free and self._likeness(place, leaf) >= SURE:
                    self._add(name, place)
                    self._leaves[name] = leaf
                    break

    def _is_kept_by_a_step(self, name: str, place: Place) -> bool:
        """Whether a step around a function moves what is no weight by its name: a kept gradient, or a velocity."""
        is_moved = isinstance(self._returned, Steps) and name in self._returned
        return is_moved and not is_learned(str(last_name(place.path)))

    def _rate_by_default(self) -> float:
        """The learning rate that what steps is given as an argument, or has as the default of one; 0 without one.

        Or the one that the backward passes of an object's layers have, each by default.
        """
        if own := _rate_by_default_of(self._backward or self._forward, self._given):
            return own
        inside = [names.passes(thing)[1] for thing in reachable(self._owner) if thing is not self._owner]
        found = {_rate_by_default_of(function, self._given) for function in inside if function is not None} - {0.0}
        return found.pop() if len(found) == 1 else 0.0

    def _steps_made(self, moved: Sequence[str]) -> dict[str, Array]:
        return {name: self._moved[name] - self._moved_to[name] for name in moved if name in self._moved_to}

    def _stands_there(self, rate: float) -> bool:
        return _stands_among(self._numbers_written(), rate, lengths_of_input(self))

    def _times_the_batch(self, rate: float) -> float:
        """The rate; of a layer whose source has not it, but that many times the number of rows, that one.

        A layer sums over the batch: its steps over the rate are then means.
        """
        written = self._numbers_written()
        rows = self.arrays[self.input].shape[:1] if self.input in self.arrays and self._targets_name is None else ()

        def has(number: float) -> bool:
            return any(abs(one - number) <= 1e-6 * number for one in written)

        return rate * rows[0] if rows and not has(rate) and has(rate * rows[0]) else rate


def _rate_by_default_of(function: Callable[..., Any], given: Mapping[str, Any]) -> float:
    spec = signatures.positional(function)
    rates = [name for name in rates_in(spec[0] + spec[1]) if name in spec[1] or name in given] if spec else []
    if len(rates) != 1:
        return 0.0
    rate = given.get(rates[0], signatures.signature(function).parameters[rates[0]].default)
    return float(rate) if isinstance(rate, (int, float)) else 0.0


def rate_in_common(subject: Subject, steps: Mapping[str, Array], grad_output: Array, written: Sequence[float]) -> float:
    """By how much the steps of more than half of the parameters are larger than their gradients; 0 if by no one.

    Or those of some, where the others are not by any; or of a single one, by one of the numbers ``written`` in the
    code, or as long as the gradient. It is negative where they go up.
    """
    found = {name: factor_of(subject, name, step, grad_output) for name, step in steps.items()}
    lengths = lengths_of_input(subject)
    for factor in filter(None, found.values()):
        alike = {name: other for name, other in found.items() if abs(other - factor) <= 1e-3 * abs(factor)}
        # What differs a little from a gradient blurs the factor; by one that the code has, no such thing is.
        near = [one for one in (_as_written(other, lengths) for other in alike.values()) if one]
        rate = next((one for one in near if _stands_among(written, abs(one), lengths)), 0.0)
        rate = rate or _as_written(float(np.mean(list(alike.values()))), lengths)
        if not rate:
            finer = [factor_to_more_digits(subject, n, steps[n], grad_output, one) for n, one in alike.items()]
            rate = float(np.median(finer))
        alone = len(alike) > 1 and not any(one for name, one in found.items() if name not in alike)
        if alone or 2 * len(alike) > len(found) or _stands_among([*written, 1.0], abs(rate), lengths):
            return rate
    return 0.0


def note_rate_in_common(subject: Subject, rate: float, written: Sequence[float]) -> None:
    """Say that this is the rate; where half of it or twice as much stands in the code, that it may not be."""
    half = next((one for one in written if _is_half_or_twice(one, rate)), None)
    if half is None or _stands_among(written, rate, lengths_of_input(subject)):
        subject.notes.append(f"no learning rate was found: what steps and gradients have in common is, {rate:.6g}")
    else:
        subject.complain(_off_or_right(rate, half, "a number in the code"))


def _stands_among(written: Sequence[float], rate: float, lengths: Sequence[int]) -> bool:
    """Whether a number is in the code, or one over which it is the number of samples, as in a mean."""
    return any(abs(rate * n - one) <= 1e-9 * one for n in (1, *lengths) for one in written)


def _is_half_or_twice(one: float, other: float) -> bool:
    return any(abs(one - factor * other) <= 1e-9 * abs(one) for factor in (0.5, 2.0))


def _off_or_right(common: float, other: float, what: str) -> str:
    return (
        f"steps are by {common:.6g} times the gradient, and not by {other:.6g}, {what}: if that is the rate, they are "
        f"off by a factor of {common / other:.6g}; if it is not, they are right"
    )


# How many steps there are in all changes nothing.
_OF_A_SCHEDULE = re.compile(
    r"^(?!_*(n|num|max|total)_|_*epochs_*$).*(decay|gamma|epoch|iter|^t$|step|sched|warm|anneal)"
)


def _as_written(rate: float, lengths: Sequence[int]) -> float:
    """The rate of two digits that is near this one, or such a rate over a number of samples; 0 if none is."""
    for number in (1, *lengths):
        near = float(f"{rate * number:.1e}") / number
        if abs(near - rate) <= 1e-4 * abs(rate):
            return near
    return 0.0
