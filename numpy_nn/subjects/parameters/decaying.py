"""Weight decay in the steps of code: it is told, and not counted to the gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects.agreement import claimed_in_shape, decays_in
from numpy_nn.subjects.calls.decays import Decay, Strengths, decays_of
from numpy_nn.subjects.parameters.hidden import HidingCode
from numpy_nn.subjects.source.numbers_changed import CONSTANTS, NAMED, changeable_numbers, with_number
from numpy_nn.subjects.source.roles import is_data
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Array, Subject, SubjectError


class DecayingCode(HidingCode):
    """Called code, whose steps may have weight decay in them."""

    def penalty_of_decays(self) -> float:
        """What the loss would have beside for the weight decay in steps: k / 2 times squares, k times sizes."""
        added = 0.0
        for name, decays in self._decays.items():
            for decay in decays:
                powers = np.square(self.arrays[name]) / 2 if decay.of is np.positive else np.abs(self.arrays[name])
                added += decay.by * float(powers.sum())
        return added

    def leave_out_decays(self, function: Any, rate: float = 1.0) -> None:
        """Count no weight decay to gradients that are the steps of a function over a rate."""
        grad_output, steps = claimed_in_shape(self)
        function = getattr(function, "steps_of", function)
        written = changeable_numbers(function, *self._given.values())
        numbers = [float(one) for one in self._given.values() if type(one) in (int, float)]
        self.find_decays(list(steps), rate, grad_output, [*written, *numbers], function)

    def _lengths_of_data(self) -> list[int]:
        """The lengths of the axes of the input and of other data, over which a mean may be."""
        data = [np.shape(value) for name, value in self._given.items() if is_data(name)]
        return [*lengths_of_input(self), *(length for shape in data for length in shape)]

    def find_decays(
        self, moved: Sequence[str], rate: float, grad_output: Array, written: Sequence[float], *code: Any
    ) -> None:
        """Where a step has a multiple of the array itself in it, or of its sign, which the code names: weight decay.

        Of a function's ``code`` that returns its loss, what goes by a name which the loss has as well is a penalty.
        """
        rng = np.random.default_rng(6)
        strengths = Strengths(written, rate, self._lengths_of_data())
        for name in moved:
            with self.at({name: rng.standard_normal(self.arrays[name].shape)}):
                step = self.gradients(grad_output)[name]
                found = () if step is None else decays_of(self, name, step, grad_output, strengths)
                shared = {one: self._kinds_in_the_loss(name, one, grad_output, code) for one in found}
            self._decays[name] = tuple(one for one in found if not (code and NAMED in shared[one]))
            for decay in [one for one in self._decays[name] if shared[one]]:
                self.complain(
                    f"each step has {decay.said_of(name)} more than the gradient of the loss, by "
                    f"{decay.numbers[0]:g}, which the loss has too: if that is its penalty, it is counted twice; if "
                    "not, it is weight decay"
                )
        if texts := [decay.said_of(name) for name, decays in self._decays.items() for decay in decays]:
            self.notes.append(f"weight decay is in each step, and not counted to the gradient: {', '.join(texts)}")

    def _kinds_in_the_loss(self, name: str, decay: Decay, grad_output: Array, code: Sequence[Any]) -> set[str]:
        """Which kinds of numbers, one of those by which a decay may be, make another loss and another decay."""
        return {
            kind
            for number in decay.numbers
            for kind in (NAMED, CONSTANTS)
            if self._makes_both_others(name, decay, grad_output, number, kind, code)
        }

    def _makes_both_others(
        self, name: str, decay: Decay, grad_output: Array, number: float, kind: str, code: Sequence[Any]
    ) -> bool:
        """Whether by another number the loss is another, or cannot be had, and so is the decay."""
        loss, given, other = self.output(), self._given, 1.25 * number
        is_named = kind == NAMED
        held = [*self.arrays.values(), *(one for _, one in self._lost.values())]
        kept = [one for one in held if is_named and np.ndim(one) == 0 and one == number]
        try:
            for one in kept:
                one[...] = other
            if is_named:
                self._given = {n: other if type(v) in (int, float) and v == number else v for n, v in given.items()}
            with with_number(number, other, kind, *code, *self.own_code(), *given.values()):
                if equal(loss, self.output()):
                    return False
                step = self.gradients(grad_output)[name]
                by = [] if step is None else decays_in(self, name, step, grad_output, (decay.of,))
                return not any(abs(multiples[0] - decay.by) <= 1e-3 * decay.by for _, multiples in by)
        except SubjectError:
            return True
        finally:
            self._given = given
            for one in kept:
                one[...] = number


def lengths_of_input(subject: Subject) -> Sequence[int]:
    """The lengths of the axes of the input; none where that is not checked."""
    return subject.arrays[subject.input].shape if subject.input in subject.arrays else ()
