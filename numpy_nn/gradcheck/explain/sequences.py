"""Backpropagation through time that stops after some steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence

# Longer sequences than this are left alone: each step is a numerical gradient.
LONGEST = 40


def sequences(e: Evidence) -> Iterator[Found | Prediction]:
    """For an input with an axis of time: each output sees so many steps back and no further."""
    if e.x.ndim < 2 or e.output.ndim < 1:
        return
    if e.is_input:
        yield from _of_the_input(e)
        yield from _of_the_last_output(e)
    else:
        yield from _of_a_parameter(e)


def _of_the_input(e: Evidence) -> Iterator[Prediction]:
    for axis, out_axis in _axes_of_time(e):
        steps = e.x.shape[axis]
        apart = [e.vjp(_only(e.grad_output, out_axis, step)) for step in range(steps)]
        for back in range(1, steps):
            values = sum((_last(part, axis, step, back) for step, part in enumerate(apart)), np.zeros_like(e.x))
            formula = f"that of each output with respect to its last {back} of {steps} steps (axis {axis}), 0 before"
            yield Prediction("truncated", formula, values)


def _of_the_last_output(e: Evidence) -> Iterator[Found]:
    """One output after all steps, of a batch of sequences or of one: the first steps get nothing."""
    assert e.gradient is not None
    if not 2 <= e.x.ndim <= 3 or e.output.ndim > e.x.ndim - 1:
        return
    for axis in (0, 1):
        aligned = [own for own, _ in e.differences.aligned]
        others = tuple(other for other in range(e.x.ndim) if other != axis)
        empty = np.all(e.gradient == 0.0, axis=others)
        first = int(np.argmin(empty))
        if axis in aligned or not first > 0 or empty[first:].any():
            continue
        kept = np.arange(len(empty)).reshape([-1 if other == axis else 1 for other in range(e.x.ndim)]) >= first
        if e.fits(e.truth * kept) and (e.x.ndim == 3 or _are_steps(e, axis, first)):
            text = f"right for the last {len(empty) - first} of {len(empty)} steps (axis {axis}), 0 before"
            yield Found("truncated", text)


def _are_steps(e: Evidence, axis: int, first: int) -> bool:
    """Whether parts of a matrix are steps of one sequence, and no samples that are left out.

    Then their order matters, and what an earlier one adds to the output is another where a later one is moved. Samples
    with targets may be in any order that the targets have.
    """
    if e.subject.is_loss:
        return False
    home, scale = e.x.copy(), e.differences_by(e.subject.input).scales["wide"]
    earlier, later = (0.25 * _only(scale, axis, step) for step in (first - 1, -1))
    outputs = []
    for x in (home + earlier + later, home + later, home + earlier, home, np.flip(home, axis)):
        with e.subject.at({e.subject.input: x}):
            outputs.append(e.subject.output())
    both, late, early, here, turned = outputs
    together, order = (both - late) - (early - here), turned - here
    least = 8.0 * e.grain * max(float(np.abs(output).max()) for output in outputs)
    return min(float(np.abs(together).max()), float(np.abs(order).max())) > least


def _of_a_parameter(e: Evidence) -> Iterator[Found]:
    """The parameter's gradient is right for the first outputs and wrong for the later ones.

    How far back these go, the input's gradient shows, where there is one; else the first outputs are two at least, as
    a mistake in what is handed from step to step begins with the second.
    """
    for axis, out_axis in _axes_of_time(e):
        steps = e.x.shape[axis]
        claims = [e.subject.gradients(_only(e.grad_output, out_axis, step)) for step in range(steps)]
        inputs = [claim[e.subject.input] for claim in claims]
        claimed = [part for part in inputs if part is not None]
        if claimed and (len(claimed) < steps or any(part.shape != e.x.shape for part in claimed)):
            return
        reach = max((_reach(part, axis, step) for step, part in enumerate(claimed)), default=None)
        if reach is not None and not 1 <= reach < steps:
            continue
        right, largest = [], np.abs(e.truth[e.looked_at]).max()
        for step, claim in enumerate(claims):
            own = claim[e.name]
            if own is None or own.size != e.array.size:
                return
            truth = e.vjp(_only(e.grad_output, out_axis, step))
            off = np.abs(own.reshape(e.array.shape) - truth)[e.looked_at]
            right.append(bool(off.max() <= e.fit * largest))
        # The step before the first adds nothing to the gradient of a weight that meets a state of zeros there.
        # Where all are right, what is wrong shows in their sum alone, and nothing is cut off.
        first = right.index(False) if False in right else 0
        starts = first > 1 if reach is None else first in (reach, reach + 1)
        if starts and not any(right[first:]):
            beyond = "" if reach is None else f", whose gradients go back {reach} steps in the input too"
            text = f"right for the outputs of the first {first} of {steps} steps (axis {axis})"
            yield Found("truncated", f"{text} and wrong for the later ones{beyond}")


def _axes_of_time(e: Evidence) -> Iterator[tuple[int, int]]:
    """Axes of input and output that are as long as each other, and where each step moves itself and later ones only."""
    for axis in range(min(e.x.ndim, e.output.ndim, 2)):
        if 3 <= e.x.shape[axis] == e.output.shape[axis] <= LONGEST and _causal(e, axis):
            yield axis, axis


def _only(grad_output: Array, axis: int, step: int) -> Array:
    only = np.zeros_like(grad_output)
    index = (slice(None),) * axis + (step,)
    only[index] = grad_output[index]
    return only


def _last(part: Array, axis: int, step: int, back: int) -> Array:
    """The gradient of the output of a step, where the input is at most ``back`` steps old, this one included."""
    numbers = np.arange(part.shape[axis]).reshape([-1 if other == axis else 1 for other in range(part.ndim)])
    return np.where(numbers > step - back, part, 0.0)


def _causal(e: Evidence, axis: int) -> bool:
    """Whether outputs hang on their own step and earlier ones only, and on some earlier ones at least."""
    home, scale = e.x.copy(), e.differences_by(e.subject.input).scales["wide"]
    earlier = False
    for step in reversed(range(home.shape[axis])):
        shift = 0.25 * _only(scale, axis, step) * e.rng.choice([-1.0, 1.0], home.shape)
        with e.subject.at({e.subject.input: home + shift}):
            output = e.subject.output()
        if output.shape != e.output.shape:
            return False
        moved = np.any(np.moveaxis(output != e.output, axis, 0).reshape(output.shape[axis], -1), axis=1)
        if moved[:step].any():
            return False
        earlier |= bool(moved[step + 1 :].any())
    return earlier


def _reach(part: Array, axis: int, step: int) -> int:
    """How many steps back the gradient of the output of a step goes, this one included."""
    moved = np.flatnonzero(np.any(np.moveaxis(part, axis, 0).reshape(part.shape[axis], -1) != 0.0, axis=1))
    return step - int(moved[0]) + 1 if moved.size else 0
