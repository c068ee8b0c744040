"""Mistakes in the gradient of a loss by its first argument."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from numpy_nn.activations import ACTIVATIONS
from numpy_nn.gradcheck.explain.factors import as_fraction
from numpy_nn.gradcheck.explain.predictions import DROPPED, Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.differences import Differences
from numpy_nn.gradcheck.measure.evidence import Evidence

# What is added within a logarithm or a root so that it stays finite.
EPSILONS = tuple(10.0**-power for power in range(2, 16))


def losses(e: Evidence) -> Iterator[Found | Prediction]:
    """The target, softmax or sigmoid, and the shapes of both."""
    targets = getattr(e.subject, "targets", None)
    if not e.is_input or (targets is None and e.grad_output.size > 1):
        return
    assert e.gradient is not None
    fused = list(_fused(e)) if np.all((e.x > 0.0) & (e.x < 1.0)) else []
    if targets is None:
        yield from fused
        return
    # The gradient of the loss itself, whatever it is multiplied by.
    unit = float(e.grad_output.ravel()[0]) if e.grad_output.size == 1 else 1.0
    x, extra = e.x, (e.gradient - e.truth) / unit
    yield from _broadcast(e, np.asarray(targets))
    goal = _as_scores(np.asarray(targets), x.shape)
    if goal is None:
        yield from fused
        return
    # A gradient that is itself a multiple of the target is off by a factor, or has the other sign.
    ratio = None if e.ratio() is not None else e.common_ratio(extra, goal)
    if ratio is not None and ratio > 0 and as_fraction(ratio, e.fit):
        yield Found("target_missing", f"claimed minus numerical is {ratio:.6g} times the target")
    if goal.shape and goal.shape[-1] > 1:
        formula = "the numerical one, but for 0 in the column of the target"
        yield Prediction("target_missing", formula, np.where(goal == 1.0, 0.0, e.truth))
    yield from fused
    # Where float32 hides what softmax makes of them, that they add up to 1 tells probabilities from scores.
    add_up = bool(fused) and x.ndim > 1 and bool(np.allclose(x.sum(axis=-1), 1.0, rtol=0.0, atol=1e-5))
    of_probabilities = add_up or any(e.common_ratio(e.gradient, guess.values) is not None for guess in fused)
    p = np.exp(x - x.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    scaled = None if of_probabilities else e.common_ratio(e.gradient / unit, x - goal)
    if scaled is not None and scaled > 0 and _is_of_probabilities(e, x, goal):
        yield Found("softmax_missing", f"the claimed gradient is {scaled:.6g} (x - target)")
    yield from _of_probabilities(e, goal, p)
    slopes = {"p (1 - p) with p = softmax(x)": p * (1.0 - p)}
    slopes |= {f"the derivative of {name}": ACTIVATIONS[name].derivative(x) for name in ("sigmoid", "tanh")}
    for formula, slope in slopes.items():
        yield Prediction("derivative_twice", f"the numerical one times {formula}", e.truth * slope)
    yield from _epsilon(e, goal, p)


def _of_probabilities(e: Evidence, goal: Array, softmax: Array) -> Iterator[Prediction]:
    """For a loss of scores: its gradient by the probabilities that it makes of them, the last step left out."""
    sigmoid = ACTIVATIONS["sigmoid"].function(e.x)
    with np.errstate(all="ignore"):
        ways = (
            ("softmax", softmax, -goal / softmax),
            ("sigmoid", sigmoid, (sigmoid - goal) / (sigmoid * (1.0 - sigmoid))),
        )
    for name, p, by in ways:
        times = e.common_ratio(e.truth, p - goal)
        if times is not None:
            yield Prediction("derivative_missing", f"that by the probabilities, {name}(x)", times * by)


def _is_of_probabilities(e: Evidence, x: Array, goal: Array) -> bool:
    """Whether the numerical gradient is that of scores which softmax or sigmoid makes probabilities: p - target.

    In each row by a weight of its own, as of classes. A loss such as Huber's may be claimed as x - target as well.
    """
    made = [1.0 / (1.0 + np.exp(-x))]
    classes = [axis for axis in range(x.ndim) if x.shape[axis] > 1]
    for axis in classes:
        p = np.exp(x - x.max(axis=axis, keepdims=True))
        made.append(p / p.sum(axis=axis, keepdims=True))
    for off in (p - goal for p in made):
        if e.common_ratio(e.truth, off) is not None:
            return True
        for axis in classes if x.ndim > 1 else ():
            weights = (e.truth * off).sum(axis=axis, keepdims=True) / np.square(off).sum(axis=axis, keepdims=True)
            if np.allclose(e.truth, weights * off, rtol=1e-4, atol=1e-6 * np.abs(e.truth).max()):
                return True
    return False


def _epsilon(e: Evidence, goal: Array, softmax: Array) -> Iterator[Prediction]:
    """log(p + eps) in forward, and the gradient of log(p), or the other way round; p the probability of the target."""
    sigmoid = ACTIVATIONS["sigmoid"].function(e.x)
    probabilities = {
        "p = softmax(x) at the target": (softmax * goal).sum(axis=-1, keepdims=True),
        "p = sigmoid(x), or 1 - it, for the target": np.where(goal > 0.5, sigmoid, 1.0 - sigmoid),
        "p = x": e.x,
        "p = x, or 1 - it, for the target": np.where(goal > 0.5, e.x, 1.0 - e.x),
    }
    for what, p in probabilities.items():
        for eps in EPSILONS:
            for formula, share in (("(p + eps) / p", (p + eps) / p), ("p / (p + eps)", p / (p + eps))):
                formula = f"the numerical one times {formula} with {what}, eps = {eps:.0e}"
                yield Prediction("epsilon", formula, e.truth * share)


def _fused(e: Evidence) -> Iterator[Prediction]:
    """For a loss of probabilities: its gradient with respect to the scores that softmax or sigmoid made them of."""
    p, n = e.x, e.truth
    formula = "that by the scores z, for probabilities sigmoid(z): the numerical one times p (1 - p)"
    yield Prediction("fused_activation", formula, n * p * (1.0 - p))
    formula = "that by the scores z, for probabilities softmax(z): p (n - sum(n p)), with n the numerical one"
    yield Prediction("fused_activation", formula, p * (n - (n * p).sum(axis=-1, keepdims=True)))
    # Samples may be in columns, or classes along an axis in the middle.
    for axis in range(p.ndim - 1):
        if np.allclose(p.sum(axis=axis), 1.0, rtol=0.0, atol=1e-5):
            along = p * (n - (n * p).sum(axis=axis, keepdims=True))
            yield Prediction("fused_activation", f"{formula}, along axis {axis}", along)


def _broadcast(e: Evidence, targets: NDArray[np.generic]) -> Iterator[Found | Prediction]:
    """Targets of another shape but the same size: what comes out if they are given the output's shape."""
    x = e.x
    if targets.dtype.kind != "f" or targets.shape == x.shape or targets.size != x.size or x.size < 2:
        return
    shapes = f"the output has shape {x.shape} and the targets {targets.shape}"
    given = e.subject.targets
    try:
        e.subject.targets = targets.reshape(x.shape)
        alike = Differences(e.subject, e.name, e.rng).few(e.grad_output).value
        claimed = e.subject.gradients(e.grad_output)[e.name]
    except DROPPED:
        return
    finally:
        e.subject.targets = given
    assert e.gradient is not None
    near = max(1e-6, 0.1 * e.fit)
    if e.fits(alike):
        text = e.everywhere("the numerical one for targets of the output's shape")
        yield Found("target_broadcast", f"{shapes}; {text}: forward broadcasts them")
    elif claimed is not None and claimed.size == x.size and np.allclose(claimed.reshape(x.shape), alike, near, 1e-12):
        yield Found("target_broadcast", f"{shapes}; with targets of the output's shape the gradient is right")


def _as_scores(targets: NDArray[np.generic], shape: tuple[int, ...]) -> Array | None:
    """The targets in the shape of the scores, which may be those of sequences: labels as one-hot rows."""
    if targets.shape == shape:
        return targets.astype(np.float64)
    if len(shape) > 1 and targets.shape == shape[:-1] and targets.dtype.kind in "iu":
        return np.eye(shape[-1])[np.clip(targets.astype(np.intp), 0, shape[-1] - 1)]
    return None
