"""Mistakes in dropout, and in softmax and log-softmax of rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Prediction
from numpy_nn.gradcheck.measure.evidence import Evidence


def dropout(e: Evidence) -> Iterator[Prediction]:
    """Outputs that are 0 or a multiple of the input: what backward does with the mask and its scale."""
    if not e.is_input or e.output.shape != e.x.shape:
        return
    kept = e.output != 0.0
    if not kept.any() or kept.all():
        return
    scale = e.common_ratio(e.output[kept], e.x[kept])
    if scale is None or scale <= 1.0 + e.grain:
        return
    formula = f"1 or 0 times grad_output, where forward multiplies by {scale:.6g} or 0"
    yield Prediction("dropout_scale", formula, e.grad_output * kept)
    for factor in (scale, 1.0):
        formula = f"{factor:.6g} grad_output where forward made the output 0"
        yield Prediction("mask_inverted", formula, e.grad_output * factor * ~kept)
        for seen in (e.grad_output > 0, e.grad_output < 0):
            formula = f"{factor:.6g} grad_output where grad_output has one sign"
            yield Prediction("mask_wrong_tensor", formula, e.grad_output * factor * seen)
        formula = f"{factor:.6g} grad_output, where forward makes {(~kept).sum()} of {kept.size} entries 0"
        yield Prediction("dropout_mask", formula, e.grad_output * factor)


def softmax(e: Evidence) -> Iterator[Prediction]:
    """Outputs whose rows are probabilities, or logarithms of them; along the last axis."""
    x, y, g = e.x, e.output, e.grad_output
    if not e.is_input or x.ndim < 1 or y.shape != x.shape or x.shape[-1] < 2:
        return
    if np.allclose(y.sum(axis=-1), 1.0, max(1e-5, e.grain)) and (y >= 0).all():
        s, log = y, False
    elif np.allclose(np.exp(y).sum(axis=-1), 1.0, max(1e-5, e.grain)):
        s, log = np.exp(y), True
    else:
        return
    if log:
        yield Prediction("softmax_elementwise", "grad_output times the diagonal of the Jacobian", g * (1.0 - s))
        for formula, prediction in (
            ("grad_output", g),
            ("grad_output - softmax(x)", g - s),
            ("grad_output * softmax(x)", g * s),
        ):
            yield Prediction("log_softmax_row_sum", formula, prediction)
        return
    yield Prediction("softmax_elementwise", "grad_output times the diagonal of the Jacobian", g * s * (1.0 - s))
    for axis in range(x.ndim - 1):
        formula = "s (g - the sum of g s over the batch), which should run over the row"
        yield Prediction("wrong_axis_mean", formula, s * (g - (g * s).sum(axis=axis, keepdims=True)))
    formula = "s (g - the sum of g s over everything), which should run over the row"
    yield Prediction("wrong_axis_mean", formula, s * (g - (g * s).sum()))
    yield Prediction("softmax_elementwise", "grad_output times softmax(x), without - sum(g s)", g * s)
    yield Prediction("derivative_missing", "grad_output itself", g)
    formula = "grad_output times x (1 - x), with x the input in place of softmax(x)"
    yield Prediction("derivative_at_input", formula, g * x * (1.0 - x))
    at_input = x * (g - (g * x).sum(axis=-1, keepdims=True))
    yield Prediction("derivative_at_input", "x (g - sum(g x)), with x the input in place of softmax(x)", at_input)
