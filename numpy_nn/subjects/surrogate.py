"""Gradients that are meant to be those of another function than forward, such as a straight-through estimator's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.subject import Array, RunSubject, Subject


class SurrogateSubject(RunSubject):
    """``target`` with the output of ``surrogate`` in the place of its own, and with its own claimed gradients.

    ``surrogate`` is a function. An argument that bears the name of one of the target's arrays gets that array; the
    others get the arrays that are left, in order, so that a single argument of any name is the input. One that takes no
    arguments reads live arrays. It may also be a Subject with arrays of the same names. What it returns has the shape
    of forward's output.
    """

    def __init__(self, target: Subject, surrogate: Callable[..., Any] | Subject) -> None:
        roots = [] if isinstance(surrogate, Subject) else [surrogate]
        super().__init__(target.label, roots, {})
        self._target, self._surrogate = target, surrogate
        # The very same: what is moved here, or said there, is so for both.
        self.arrays, self.unchecked = target.arrays, target.unchecked
        self.problems, self.warnings, self.notes = target.problems, target.warnings, target.notes
        self.changed_by_code = target.changed_by_code
        self.input, self.is_loss, self.targets = target.input, target.is_loss, target.targets
        name = surrogate.label if isinstance(surrogate, Subject) else getattr(surrogate, "__name__", "")
        named = f" {name}" if name not in ("", "<lambda>") else ""
        self.notes.append(f"checked as the gradient of the surrogate{named}, not of forward")

    @property
    def moved_elsewhere(self) -> str:
        return self._target.moved_elsewhere

    def close(self) -> None:
        self._target.close()

    def gradients(self, grad_output: Array, *, other_draws: bool = False) -> dict[str, NDArray[Any] | None]:
        before = self._target.evaluations
        self._target.targets = self.targets
        output = self._target.output()
        if output.shape != grad_output.shape:
            raise ValueError(
                f"surrogate: expected an output of the shape of forward's, {output.shape}, got {grad_output.shape}"
            )
        claimed = self._target.gradients(grad_output, other_draws=other_draws)
        self.evaluations += self._target.evaluations - before
        return claimed

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return self._target.random_grad_output(rng, shape)

    def own_code(self) -> Sequence[Any]:
        return [*self._roots, *self._target.own_code()]

    def complex_output(self, x: NDArray[np.complexfloating[Any]]) -> NDArray[np.complexfloating[Any]] | None:
        return None if isinstance(self._surrogate, Subject) else super().complex_output(x)

    def _make_repeatable(self) -> bool:
        return self._target.make_repeatable() and super()._make_repeatable()

    def _run(self, replaced: Mapping[str, NDArray[Any]]) -> Sequence[Any]:
        arrays = {**self.arrays, **replaced}
        if isinstance(self._surrogate, Subject):
            self._surrogate.arrays.update((name, arrays[name]) for name in self._surrogate.arrays if name in arrays)
            return [self._surrogate.output()]
        result = self._surrogate(*self._arguments(self._surrogate, arrays))
        return list(result) if isinstance(result, (tuple, list)) else [result]

    def _arguments(self, surrogate: Callable[..., Any], arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        spec = positional(surrogate)
        if spec is None:  # a ufunc, say
            return [arrays[self.input].copy()]
        names = spec[0]
        if not names:
            self._target.output()  # which writes the live arrays
        left = [name for name in arrays if name not in names]
        if sum(name not in arrays for name in names) > len(left):
            raise TypeError(f"surrogate: expected arguments among {', '.join(arrays)}, got {', '.join(names)}")
        return [arrays[name if name in arrays else left.pop(0)].copy() for name in names]
