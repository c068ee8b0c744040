"""Mistakes that only show from one call to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.evidence import Evidence

# Of the size of an array, so much is one step of a central difference.
STEP = 1e-5

# What is left of a mistake that goes with the learning rate, by a rate that is all but 0.
ALL_BUT = 1e-5


def calls(e: Evidence) -> Iterator[Found | Prediction]:
    """Gradients that are added up, and inputs of a call before."""
    assert e.gradient is not None
    previous = e.previous
    if previous is not None and previous.size == e.gradient.size:
        previous = previous.reshape(e.gradient.shape)
        # Where the numerical one is 0 that may say no more than that both calls claim the same.
        is_nothing = np.abs(e.truth[e.looked_at]).max(initial=0.0) <= e.fit * np.abs(previous).max(initial=0.0)
        if not is_nothing or e.hangs_on_previous():
            text = "the numerical one plus the claimed one of the call before"
            yield Prediction("accumulated", text, e.truth + previous)
        if e.fits(previous) and e.hangs_on_previous():
            yield Found("stale_input", e.everywhere("that of the call before"))
    for name, kept in e.subject.kept_arrays():
        if _is_mask(kept) and kept.shape == e.output.shape == e.gradient.shape and e.fits(e.grad_output * kept):
            if _stays(e, name):
                yield Found("stale_input", e.everywhere(f"grad_output times the mask {name}, which no call renews"))
        elif _may_be_an_input(e, kept) and e.fits(e.vjp(e.grad_output, kept)) and not _is_of_the_present(e, name):
            text = e.everywhere(f"the one at the input that is kept in {name}, which is not the present one")
            yield Found("stale_input", text)
    if e.hangs_on_previous() and e.fits(e.vjp(e.grad_output, e.previous_x)):
        yield Found("stale_input", e.everywhere("the one at the input of the call before"))


def updates(e: Evidence) -> Iterator[Found]:
    """A backward pass that updates its parameters before it uses them: right at a learning rate of 0."""
    at_0, near_0 = e.subject.gradients_without_update, e.subject.gradients_of_tiny_steps
    for gradients, words, fit in ((at_0, "of 0", e.fit), (near_0, "near 0", max(e.fit, ALL_BUT))):
        still = gradients(e.grad_output).get(e.name)
        if still is None or still.shape != e.array.shape:
            continue
        off = np.abs(still - e.truth)[e.looked_at]
        if (off <= fit * e.size).all():
            yield Found("updated_too_early", f"with a learning rate {words} the claimed gradient is the numerical one")
            return


def of_others_returned(e: Evidence) -> Iterator[Found]:
    """Gradients of something else that forward returns or keeps in its cache, such as scores beside their softmax."""
    e.subject.output()  # what is returned beside it is that of the latest pass
    for place, (name, array) in enumerate(e.subject.returned_beside()):
        if array.ndim and array.shape == e.grad_output.shape and e.fits(_slopes_of_another(e, place)):
            cause = "fused_activation" if _is_made_probabilities(e.output, array) else "derivative_missing"
            yield Found(cause, e.everywhere(f"that of {name}, which forward returns beside its output"))


def _slopes_of_another(e: Evidence, place: int) -> NDArray[Any]:
    """Central differences of what forward returned there, weighted with grad_output, at the coordinates looked at."""
    values, wide = np.full(e.array.shape, np.nan), e.differences.scales["wide"]

    def at(index: tuple[int, ...], step: float) -> float:
        moved = e.array.copy()
        moved[index] += step
        with e.subject.at({e.name: moved}):
            e.subject.output()
            return float(np.sum(e.grad_output * e.subject.returned_beside()[place][1]))

    for index in map(tuple, np.argwhere(e.looked_at)):
        step = STEP * float(wide[index])
        values[index] = (at(index, step) - at(index, -step)) / (2.0 * step)
    return values


def _is_made_probabilities(output: NDArray[Any], scores: NDArray[Any]) -> bool:
    """Whether the output is the softmax of these along an axis, or their sigmoid."""
    with np.errstate(all="ignore"):
        made = [1.0 / (1.0 + np.exp(-scores))]
        for axis in range(scores.ndim):
            p = np.exp(scores - scores.max(axis=axis, keepdims=True))
            made.append(p / p.sum(axis=axis, keepdims=True))
    return any(np.allclose(output, p, rtol=1e-6, atol=1e-6) for p in made)


def _is_mask(kept: NDArray[Any]) -> bool:
    return kept.dtype.kind == "b" or bool(np.isin(kept, (0, 1)).all())


def _stays(e: Evidence, name: str) -> bool:
    """Whether an array that the subject keeps is the same after a call with the input's sign turned."""
    before = dict(e.subject.kept_arrays())[name]
    with e.subject.at({e.subject.input: -e.x}):
        e.subject.output()
        after = dict(e.subject.kept_arrays()).get(name)
    return after is not None and np.array_equal(before, after)


def _may_be_an_input(e: Evidence, kept: NDArray[Any]) -> bool:
    return kept.dtype.kind == "f" and kept.shape == e.x.shape


def _is_of_the_present(e: Evidence, name: str) -> bool:
    """Whether an array that the subject keeps is made of the present input, whatever was given before.

    So is the input over its length: of a loss that does not change with that, the gradient there lacks a factor.
    """

    def kept_after(x: NDArray[Any]) -> NDArray[Any] | None:
        with e.subject.at({e.subject.input: x}):
            e.subject.output()
        e.subject.output()
        kept = dict(e.subject.kept_arrays()).get(name)
        return None if kept is None else kept.copy()

    one, other = kept_after(-e.x), kept_after(0.5 * e.x)
    same = one is not None and other is not None and np.array_equal(one, other)
    return same and not _stays(e, name)
