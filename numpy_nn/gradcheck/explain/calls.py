"""Mistakes that only show from one call to the next."""

from __future__ import annotations

from collections.abc import Iterator

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.evidence import Evidence


def calls(e: Evidence) -> Iterator[Found | Prediction]:
    """Gradients that are added up, and inputs of a call before."""
    assert e.gradient is not None
    previous = e.previous
    if previous is not None and previous.size == e.gradient.size:
        previous = previous.reshape(e.gradient.shape)
        yield Prediction("accumulated", "the numerical one plus the claimed one of the call before", e.truth + previous)
        if e.fits(previous) and e.hangs_on_previous():
            yield Found("stale_input", e.everywhere("that of the call before"))
    for name, kept in e.subject.kept_arrays():
        if kept.shape == e.x.shape and e.fits(e.vjp(e.grad_output, kept)):
            text = e.everywhere(f"the one at the input that is kept in {name}, which is not the present one")
            yield Found("stale_input", text)
    if e.fits(e.vjp(e.grad_output, e.previous_x)) and e.hangs_on_previous():
        yield Found("stale_input", e.everywhere("the one at the input of the call before"))
