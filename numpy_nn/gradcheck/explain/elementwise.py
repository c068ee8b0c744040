"""Mistakes in y = f(x), entry by entry, and in functions that are staircases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.activations import ACTIVATIONS, Activation
from numpy_nn.gradcheck.explain.losses import EPSILONS
from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.kinds import COARSE

# What an eps beside x changes is at most this share of the gradient.
NEAR = 0.5

# At so many random inputs a staircase is flat; and so little moves none across a step, but for bad luck.
ELSEWHERE, WITHIN_A_STEP = 4, 2.0**-20


def elementwise(e: Evidence) -> Iterator[Prediction]:
    """What may have been taken for f'(x)."""
    g, x, y = e.grad_output, e.x, e.output
    yield Prediction("grad_output_ignored", "the one for grad_output = 1", e.vjp(np.ones_like(g)))
    if not e.is_input or x.shape != y.shape:
        return
    yield Prediction("derivative_missing", "grad_output itself", g)
    if e.fits(g) or not e.differences.elementwise:
        return
    slope = e.truth / g
    yield Prediction("derivative_twice", "grad_output f'(x)^2", g * slope**2)
    for formula, part in parts_of_slopes(y, slope, e.fit):
        yield Prediction("derivative_in_part", f"grad_output {formula}, with a the output", g * part)
    levels = np.unique(np.round(slope[np.isfinite(slope)], e.decimals))
    # Among wrong coordinates alone, any other mask looks inverted.
    if len(levels) == 2 and not e.narrowed:
        exchanged = g * (levels.sum() - slope)
        formula = f"that with the slopes {levels[0]:g} and {levels[1]:g} exchanged"
        yield Prediction("mask_inverted", formula, exchanged)
    for mask in (g > 0, g < 0):
        for values in (g * mask, g * mask * slope):
            yield Prediction("mask_wrong_tensor", "grad_output where grad_output has one sign", values)
    straight = np.isclose(slope, 1.0, e.fit)
    if straight.any() and not straight.all() and not e.narrowed:
        yield Prediction("mask_inverted", "grad_output f'(-x)", e.vjp(g, -x))
    guesses = {
        "x (1 - x)": x * (1.0 - x),
        "1 - x^2": 1.0 - x**2,
        "1, or x + 1 where x < 0": np.where(x > 0, 1.0, x + 1.0),
    }
    for formula, guess in guesses.items():
        yield Prediction("derivative_at_input", f"grad_output times {formula}, with x the input", g * guess)
    yield from _exponential(e)
    at_output = e.vjp(g, y)
    if not np.allclose(at_output / g, at_output.flat[0] / g.flat[0], e.fit):  # or any constant would be that
        yield Prediction("derivative_at_output", "grad_output f'(f(x))", at_output)
    for name, activation in ACTIVATIONS.items():
        if activation.elementwise and name != "identity":
            other = activation.derivative(x, **default_options(activation))
            if np.ptp(other) != 0.0:  # or it is any constant factor
                yield Prediction("other_activation", f"grad_output times the derivative of {name}", g * other)
    values = g * ACTIVATIONS["gelu"].derivative(x, approximate="tanh")
    yield Prediction("other_activation", "grad_output times the derivative of gelu's approximation by tanh", values)


def parts_of_slopes(a: NDArray[Any], slope: NDArray[Any], fit: float) -> Iterator[tuple[str, NDArray[Any]]]:
    """What may be left of the slopes of a sigmoid or of tanh, written by the output a, with the formula."""
    known = np.isfinite(slope)
    if not known.any() or np.ptp(a[known]) == 0.0:
        return
    for whole, parts in (
        (a * (1.0 - a), {"(1 - a)": 1.0 - a, "a": a}),
        (1.0 - a**2, {"(1 - a)": 1.0 - a, "(1 + a)": 1.0 + a}),
    ):
        if np.allclose(whole[known], slope[known], fit, fit):
            yield from parts.items()


def added(e: Evidence) -> Iterator[Prediction]:
    """An eps that is added to x in one of the passes alone, as in log(x + eps)."""
    assert e.gradient is not None
    if not e.is_input or e.x.shape != e.output.shape or not e.differences.elementwise:
        return
    near = np.abs(e.gradient - e.truth) <= NEAR * np.abs(e.truth)
    if not near[e.looked_at].all():
        return
    for eps in EPSILONS:
        yield Prediction("epsilon", f"that without eps = {eps:.0e} beside x", e.vjp(e.grad_output, e.x - eps))
        yield Prediction("epsilon", f"that with eps = {eps:.0e} beside x", e.vjp(e.grad_output, e.x + eps))


def skip(e: Evidence) -> Iterator[Prediction]:
    """Of y = x + f(x), that of f alone."""
    if e.is_input and e.x.shape == e.output.shape:
        yield Prediction(
            "skip_missing", "that without grad_output itself, which x + f(x) hands on", e.truth - e.grad_output
        )


def _exponential(e: Evidence) -> Iterator[Prediction]:
    """An ELU, x or alpha (exp(x) - 1), and a derivative in which its alpha is left out, in one of two ways."""
    x, y, g = e.x, e.output, e.grad_output
    below = x < 0.0
    if not below.any() or not e.recognises(y[~below], x[~below]):
        return
    alpha = e.common_ratio(y[below], np.expm1(x[below]))
    if alpha is None or alpha <= 0.0:
        return
    slopes = {"f(x), without + alpha,": y}
    if abs(alpha - 1.0) > e.fit:
        slopes |= {"exp(x), without alpha,": np.exp(x), "f(x) + 1, not + alpha,": y + 1.0}
    for formula, slope in slopes.items():
        words = f"grad_output times {formula} where x < 0 (f is an ELU with alpha = {alpha:.6g})"
        yield Prediction("alpha_missing", words, g * np.where(below, slope, 1.0))


def staircase(e: Evidence) -> Iterator[Found]:
    """A function whose gradient is 0 wherever it has one, and a backward pass that gives another, as of a surrogate."""
    assert e.gradient is not None
    known = e.looked_at if e.status is None else e.looked_at | (e.status == COARSE)
    if np.any(e.truth[known] != 0.0):
        return
    passed_on = list(_passed_on(e)) if e.is_input and e.x.shape == e.output.shape else []
    elsewhere = _flat_elsewhere(e)
    if passed_on and elsewhere:
        yield from passed_on
    elif any(not np.array_equal(output, e.output) for output in elsewhere):
        seen = int(e.looked_at.sum())
        text = f"the numerical gradient is 0 at all {seen} coordinates looked at, and where the output is another"
        yield Found("surrogate", text, sure=False)


def _passed_on(e: Evidence) -> Iterator[Found]:
    assert e.gradient is not None
    a, g, x = e.gradient[e.looked_at], e.grad_output[e.looked_at], e.x[e.looked_at]
    # Or, where backward computes in float32, as near as that is to it.
    passed = np.abs(a - g) <= 2.0**-23 * np.abs(g)
    if passed.all():
        yield Found("straight_through", e.everywhere("grad_output itself, and the numerical one 0"))
    elif passed.any() and np.all(passed | (a == 0.0)) and _is_interval(x, passed):
        low, high = x[passed].min(), x[passed].max()
        text = e.everywhere(f"grad_output where the input is between {low:.3g} and {high:.3g}, else 0; the numerical 0")
        yield Found("straight_through", text)


def _flat_elsewhere(e: Evidence) -> list[Array]:
    """The output at other values of the array, if it is flat at all of these as well; else none.

    So a ReLU that is off here, or any other function that is flat in places, is no staircase.
    """
    rng, outputs = np.random.default_rng(7), []
    size = max(float(np.abs(e.array).max(initial=0.0)), 1e-3)
    for _ in range(ELSEWHERE):
        values = size * rng.uniform(-1.0, 1.0, e.array.shape)
        near = values * (1.0 + WITHIN_A_STEP * rng.uniform(-1.0, 1.0, values.shape))
        for one in (values, near):
            with e.subject.at({e.name: one}):
                outputs.append(e.subject.output())
        if not np.array_equal(outputs[-2], outputs[-1]):
            return []
    return outputs


def _is_interval(x: Array, passed: NDArray[np.bool_]) -> bool:
    """Whether the numbers that are let through are all those of an interval."""
    inside = (x >= x[passed].min()) & (x <= x[passed].max())
    return bool(np.array_equal(inside, passed))


def default_options(activation: Activation) -> dict[str, Array]:
    """What the function needs beside x, at its default."""
    return {"weight": np.array(0.25)} if activation.name == "prelu" else {}
