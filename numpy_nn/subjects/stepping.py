"""Code whose backward pass updates its parameters and keeps no gradient: what its steps tell of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.agreement import decay_in, factor_of
from numpy_nn.subjects.calling import RATE
from numpy_nn.subjects.costs import number_of_samples
from numpy_nn.subjects.hidden import HidingCode
from numpy_nn.subjects.rates import rate_of
from numpy_nn.subjects.subject import Array


class SteppingCode(HidingCode):
    """Called code whose steps, over their rate, are its gradients where it tells no others."""

    def _find_updates(self, grad_output: Array) -> None:
        """Where no gradient is kept, but backward updates the parameter: the gradient is the step over the rate."""
        moved = [name for name in self._moved if name in self._places and name not in self._leaves]
        if not moved:
            return
        rate = 1.0 if RATE in (self.convention.arguments or ()) else rate_of(self._owner) or self._rate_by_default()
        rate = rate or self._rate_around(moved, grad_output)
        if not rate and (rate := self._times_the_batch(self._rate_of_steps(moved, grad_output))):
            self.notes.append(f"no learning rate was found: what steps and gradients have in common is, {rate:.6g}")
        if rate:
            self._updates |= dict.fromkeys(moved, rate)
            self._find_decays(moved, rate, grad_output)

    def _rate_around(self, moved: Sequence[str], grad_output: Array) -> float:
        """The rate of a class, or a global one, that the steps are told to be by; 0 if there is none.

        Nor is it one if the steps are by another factor in common, which may be made of it, as one that decays is. But
        steps by as much too short, or too long, as there are samples are means, or sums, where these are not meant.
        """
        rate = rate_of(self._owner, *self._stepping)
        common = self._rate_of_steps(moved, grad_output) / rate if rate else 0.0
        samples = number_of_samples(self.arrays.get(self.input), self.output()) if common else 1
        is_meant = any(abs(common - one) <= 1e-3 * one for one in (1.0, samples, 1.0 / samples))
        return rate if is_meant or not common else 0.0

    def _find_decays(self, moved: Sequence[str], rate: float, grad_output: Array) -> None:
        """Where a step has a multiple of the array itself in it which the code names, that is weight decay."""
        rng = np.random.default_rng(6)
        written = self._numbers_written()
        for name in moved:
            with self.at({name: rng.standard_normal(self.arrays[name].shape)}):
                step = self.gradients(grad_output)[name]
                decay = 0.0 if step is None else decay_in(self, name, step, grad_output)
            meant = [one for number in written for one in (number, 2 * number, number / rate, (1 - number) / rate)]
            if decay and any(abs(one - decay) <= 1e-3 * decay for one in meant):
                self._decays[name] = min(meant, key=lambda one: abs(one - decay))
        if self._decays:
            texts = [f"{self._decays[name]:.6g} of {name}" for name in self._decays]
            self.notes.append(f"weight decay is in each step, and not counted to the gradient: {', '.join(texts)}")

    def _rate_by_default(self) -> float:
        """The learning rate that backward has as the default of an argument, which it is not given; 0 without one."""
        backward = self._backward
        spec = None if backward is None else names.positional(backward)
        rates = [name for name in ([] if spec is None else spec[1]) if names.role(name) == names.RATE]
        if backward is None or len(rates) != 1:
            return 0.0
        default = names.signature(backward).parameters[rates[0]].default
        return float(default) if isinstance(default, (int, float)) else 0.0

    def _rate_of_steps(self, moved: Sequence[str], grad_output: Array) -> float:
        """By how much the steps of more than half of the parameters are larger than their gradients; 0 if by no one."""
        steps = {name: self._moved[name] - self._moved_to[name] for name in moved if name in self._moved_to}
        found = [factor_of(self, name, step, grad_output) for name, step in steps.items()]
        for factor in found:
            alike = [other for other in found if abs(other - factor) <= 1e-3 * factor]
            if factor > 0 and 2 * len(alike) > len(found):
                lengths = self.arrays[self.input].shape if self.input in self.arrays else ()
                return _as_written(float(np.mean(alike)), lengths)
        return 0.0

    def _times_the_batch(self, rate: float) -> float:
        """The rate; of a layer whose source has not it, but that many times the number of rows, that one.

        A layer sums over the batch: its steps over the rate are then means.
        """
        written = self._numbers_written()
        rows = self.arrays[self.input].shape[:1] if self.input in self.arrays and self._targets_name is None else ()

        def has(number: float) -> bool:
            return any(abs(one - number) <= 1e-6 * number for one in written)

        return rate * rows[0] if rows and not has(rate) and has(rate * rows[0]) else rate


def _as_written(rate: float, lengths: Sequence[int]) -> float:
    """The rate of two digits that is near this one, or such a rate over a number of samples; itself if none is."""
    for number in (1, *lengths):
        near = float(f"{rate * number:.1e}") / number
        if abs(near - rate) <= 1e-4 * rate:
            return near
    return rate
