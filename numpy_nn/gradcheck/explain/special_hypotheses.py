"""Mistakes in backward passes of functions that show what they are: losses, dropout, norms, softmax, dense layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from numpy_nn.activations import ACTIVATIONS, Activation
from numpy_nn.gradcheck.explain.causes import Found
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence, common_ratio


def special_hypotheses(e: Evidence) -> Iterator[Found]:
    """Every cause whose prediction for such a function fits."""
    for family in (_losses, _dropout, _normalisation, _softmax, _dense):
        yield from family(e)


def _losses(e: Evidence) -> Iterator[Found]:
    """Mistakes in the gradient of a loss by its first argument."""
    targets = getattr(e.subject, "targets", None)
    if targets is None or not e.is_input:
        return
    assert e.gradient is not None
    x, extra = e.x, e.gradient - e.truth
    goal = _as_scores(np.asarray(targets), x.shape)
    if goal is None:
        return
    ratio = common_ratio(extra, goal)
    if ratio is not None and ratio > 0:
        yield "target_missing", f"claimed minus numerical is {ratio:.6g} times the target"
    if e.fits(np.where(goal == 1.0, 0.0, e.truth)) and goal.shape[-1] > 1:
        yield "target_missing", e.everywhere("the numerical one, but for 0 in the column of the target")
    scaled = common_ratio(e.gradient, x - goal)
    if scaled is not None and scaled > 0 and common_ratio(e.truth, x - goal) is None:
        yield "softmax_missing", f"the claimed gradient is {scaled:.6g} (x - target)"
    p = np.exp(x - x.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    slopes = {"p (1 - p) with p = softmax(x)": p * (1.0 - p)}
    slopes |= {f"the derivative of {name}": ACTIVATIONS[name].derivative(x) for name in ("sigmoid", "tanh")}
    for formula, slope in slopes.items():
        if e.fits(e.truth * slope):
            yield "derivative_twice", e.everywhere(f"the numerical one times {formula}")


def _as_scores(targets: NDArray[np.generic], shape: tuple[int, ...]) -> Array | None:
    """The targets in the shape of the scores: labels as one-hot rows."""
    if targets.shape == shape:
        return targets.astype(np.float64)
    if len(shape) == 2 and targets.shape == shape[:1] and targets.dtype.kind in "iu":
        return np.eye(shape[1])[np.clip(targets.astype(np.intp), 0, shape[1] - 1)]
    return None


def _dropout(e: Evidence) -> Iterator[Found]:
    if not e.is_input or e.output.shape != e.x.shape:
        return
    kept = e.output != 0.0
    if not kept.any() or kept.all():
        return
    scale = common_ratio(e.output[kept], e.x[kept])
    if scale is None or scale <= 1.0 + 1e-9:
        return
    if e.fits(e.grad_output * kept):
        yield "dropout_scale", f"forward multiplies by {scale:.6g} or 0, backward by 1 or 0"
    for factor in (scale, 1.0):
        if e.fits(e.grad_output * factor * ~kept):
            yield "mask_inverted", e.everywhere(f"{factor:.6g} grad_output where forward made the output 0")
        if e.fits(e.grad_output * factor):
            yield "dropout_mask", f"forward makes {(~kept).sum()} of {kept.size} entries 0, backward none"


def _normalisation(e: Evidence) -> Iterator[Found]:
    """Batch norm (statistics over axis 0) and layer norm (axis 1): y = gamma x^ + beta."""
    x, y, g = e.x, e.output, e.grad_output
    if not e.is_input or x.ndim != 2 or y.shape != x.shape:
        return
    for axis in (0, 1):
        if x.shape[axis] < 3:
            continue
        std = x.std(axis=axis, keepdims=True)
        if not (std > 0).all():
            continue
        normal = (x - x.mean(axis=axis, keepdims=True)) / std
        fit = [np.polyfit(normal[:, j], y[:, j], 1) for j in range(x.shape[1])] if x.shape[0] > 2 else []
        if not fit:
            continue
        gamma, beta = np.array(fit).T
        # eps makes y a little smaller than gamma x^; the fit takes that into gamma.
        if np.abs(normal * gamma + beta - y).max() > 1e-3 * np.abs(y).max():
            continue
        h = g * gamma

        def centred(h: Array, normal: Array, over: tuple[int, int]) -> Array:
            mean, spread = over
            return h - h.mean(axis=mean, keepdims=True) - normal * (h * normal).mean(axis=spread, keepdims=True)

        mean = h.mean(axis=axis, keepdims=True)
        spread = normal * (h * normal).mean(axis=axis, keepdims=True)
        over, other = ("the batch", "each row") if axis == 0 else ("each row", "the batch")
        wrong = [centred(h, normal, axes) for axes in ((1 - axis, 1 - axis), (1 - axis, axis), (axis, 1 - axis))]
        for cause, formula, prediction in (
            ("batch_norm_constant_statistics", f"that for statistics over {over} held fixed", h),
            ("batch_norm_variance_constant", f"that for a variance over {over} held fixed", h - mean),
            ("batch_norm_mean_constant", f"that for a mean over {over} held fixed", h - spread),
            *(("wrong_axis_mean", f"that with means over {other} where {over} should be", array) for array in wrong),
        ):
            if _roughly(e, prediction / std):
                yield cause, e.everywhere(formula)


def _roughly(e: Evidence, prediction: Array) -> bool:
    """As ``fits``, but with room for the eps in sqrt(var + eps), which is not known."""
    assert e.gradient is not None
    off, wrong = np.abs(e.gradient - prediction), np.abs(e.gradient - e.truth)
    return bool(off[e.looked_at].max() < 0.02 * wrong[e.looked_at].max())


def _softmax(e: Evidence) -> Iterator[Found]:
    x, y, g = e.x, e.output, e.grad_output
    if not e.is_input or x.ndim != 2 or y.shape != x.shape or x.shape[1] < 2:
        return
    with np.errstate(over="ignore"):
        if np.allclose(y.sum(axis=1), 1.0) and (y >= 0).all():
            s, log = y, False
        elif np.allclose(np.exp(y).sum(axis=1), 1.0):
            s, log = np.exp(y), True
        else:
            return
    diagonal = 1.0 - s if log else s * (1.0 - s)
    if e.fits(g * diagonal):
        yield "softmax_elementwise", e.everywhere("grad_output times the diagonal of the Jacobian")
    if log:
        for formula, prediction in (
            ("grad_output", g),
            ("grad_output - softmax(x)", g - s),
            ("grad_output * softmax(x)", g * s),
        ):
            if e.fits(prediction):
                yield "log_softmax_row_sum", e.everywhere(formula)
    elif e.fits(s * (g - (g * s).sum(axis=0, keepdims=True))):
        yield "wrong_axis_mean", e.everywhere("s (g - the sum of g s over the batch), which should run over the row")
    elif e.fits(g * s):
        yield "softmax_elementwise", e.everywhere("grad_output times softmax(x), without - sum(g s)")
    elif e.fits(g):
        yield "derivative_missing", e.everywhere("grad_output itself")


@dataclass
class Dense:
    """f(z) with z = x W + b, as the only layer or the first of two: f, z, W, and what reaches f(z) from behind."""

    f: Activation
    z: Array
    weight: Array
    grad_hidden: Array


def _dense(e: Evidence) -> Iterator[Found]:
    """A dense layer with an activation from the registry: what may have been taken for the derivative of f."""
    dense = _find_dense(e)
    if dense is None:
        return
    f, z = dense.f, dense.z
    options = _default_options(f)
    h, slope = f.function(z, **options), f.derivative(z, **options)
    guesses = [
        ("derivative_missing", "the derivative of the activation left out", np.ones_like(z)),
        ("derivative_at_output", "the activation's derivative taken at its output", f.derivative(h, **options)),
        ("derivative_twice", "the activation's derivative applied twice", slope**2),
        ("mask_inverted", "the activation's mask inverted", 1.0 - slope),
        ("mask_wrong_tensor", "the mask taken from grad_output", (dense.grad_hidden > 0).astype(np.float64)),
        ("derivative_at_input", "z (1 - z) for the derivative, with z the activation's input", z * (1.0 - z)),
        ("derivative_at_input", "1 - z^2 for the derivative, with z the activation's input", 1.0 - z**2),
    ]
    guesses += [
        ("other_activation", f"the derivative of {name}", other.derivative(z, **_default_options(other)))
        for name, other in ACTIVATIONS.items()
        if other.elementwise and name not in ("identity", f.name)
    ]
    assert e.gradient is not None
    for cause, formula, guess in guesses:
        if np.allclose(guess, slope):
            continue  # as relu'(relu(z)) is: no mistake by itself
        delta = dense.grad_hidden * guess
        if e.is_input:
            made = delta @ dense.weight.T
        elif e.array is dense.weight:
            made = e.x.T @ delta
        elif e.array.size == z.shape[1]:
            made = delta.sum(axis=0).reshape(e.array.shape)
        else:
            return
        also = "" if e.fits(made) else " and divided by the batch size" if e.fits(made / e.batch) else None
        if also is not None:
            yield cause, e.everywhere(f"that with {formula} (f is {f.name}){also}")
            return


def _find_dense(e: Evidence) -> Dense | None:
    """The layer that explains the output, if there is one."""
    found = _weights_and_biases(e)
    if found is None:
        return None
    weights, biases = found
    z, grad_hidden = e.x @ weights[0] + biases[0], e.grad_output
    if len(weights) == 2:
        grad_hidden = e.grad_output @ weights[1].T
    for name, f in ACTIVATIONS.items():
        if f.elementwise and name != "identity":
            with np.errstate(all="ignore"):
                y = f.function(z, **_default_options(f))
                if len(weights) == 2:
                    y = y @ weights[1] + biases[1]
            if np.allclose(y, e.output, rtol=1e-9, atol=1e-9 * float(np.abs(e.output).max())):
                return Dense(f, z, weights[0], grad_hidden)
    return None


def _weights_and_biases(e: Evidence) -> tuple[list[Array], list[Array]] | None:
    """The weights of one or two dense layers that fit the shapes, and their biases, 0 if there are none."""
    arrays = [array for name, array in e.subject.arrays.items() if name != e.subject.input]
    weights = [array for array in arrays if array.ndim == 2 and min(array.shape) > 1]
    biases = [array.reshape(-1) for array in arrays if array.size == max(array.shape, default=0)]
    if e.x.ndim != 2 or e.output.ndim != 2 or len(weights) not in (1, 2) or len(biases) not in (0, len(weights)):
        return None
    sizes = [e.x.shape[1], *(weight.shape[1] for weight in weights)]
    biases = biases or [np.zeros(size) for size in sizes[1:]]
    if [w.shape for w in weights] != list(pairwise(sizes)) or [b.size for b in biases] != sizes[1:]:
        return None
    return weights, biases


def _default_options(activation: Activation) -> dict[str, Array]:
    return {"weight": np.array(0.25)} if activation.name == "prelu" else {}
