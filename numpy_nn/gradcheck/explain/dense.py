"""Mistakes in f(x W + b), with an activation that is known, as the only layer or the first of two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from numpy_nn.activations import ACTIVATIONS, Activation
from numpy_nn.gradcheck.explain.elementwise import default_options, parts_of_slopes
from numpy_nn.gradcheck.explain.predictions import Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence


@dataclass
class Dense:
    """f(z) with z = x W + b, as the only layer or the first of two: f, z, W, and what reaches f(z) from behind."""

    f: Activation
    z: Array
    weight: Array
    grad_hidden: Array


def dense(e: Evidence) -> Iterator[Prediction]:
    """A dense layer with an activation from the registry: what may have been taken for the derivative of f."""
    layer = _find_dense(e)
    if layer is None:
        return
    f, z = layer.f, layer.z
    options = default_options(f)
    h, slope = f.function(z, **options), f.derivative(z, **options)
    guesses = [
        ("derivative_missing", "the derivative of the activation left out", np.ones_like(z)),
        ("derivative_at_output", "the activation's derivative taken at its output", f.derivative(h, **options)),
        ("derivative_twice", "the activation's derivative applied twice", slope**2),
        ("mask_wrong_tensor", "the mask taken from grad_output", (layer.grad_hidden > 0).astype(np.float64)),
        ("derivative_at_input", "z (1 - z) for the derivative, with z the activation's input", z * (1.0 - z)),
        ("derivative_at_input", "1 - z^2 for the derivative, with z the activation's input", 1.0 - z**2),
    ]
    levels = np.unique(slope)
    if len(levels) <= 2:  # a smooth function has no mask
        both = levels.sum() if len(levels) == 2 else 1.0
        guesses.append(("mask_inverted", "the activation's mask inverted", both - slope))
    guesses += [
        ("derivative_in_part", f"{formula} for the derivative, with a the output of it", part)
        for formula, part in parts_of_slopes(h, slope, e.fit)
    ]
    if f.name == "elu":
        guesses.insert(
            0, ("alpha_missing", "f(z), without + alpha, for the derivative below 0", np.where(z > 0, 1.0, h))
        )
    guesses += [
        ("other_activation", f"the derivative of {name}", other.derivative(z, **default_options(other)))
        for name, other in ACTIVATIONS.items()
        if other.elementwise and name not in ("identity", f.name)
    ]
    assert e.gradient is not None
    for cause, formula, guess in guesses:
        if np.allclose(guess, slope):
            continue  # as relu'(relu(z)) is: no mistake by itself
        if cause == "other_activation" and np.ptp(guess) == 0.0:
            continue  # hardsigmoid's 1/6 near 0 is as well a mean over 6 rows without any derivative
        delta = layer.grad_hidden * guess
        if e.is_input:
            made = delta @ layer.weight.T
        elif e.array is layer.weight:
            made = e.x.T @ delta
        elif e.array.size == z.shape[1]:
            made = delta.sum(axis=0).reshape(e.array.shape)
        else:
            return
        yield Prediction(cause, f"that with {formula} (f is {f.name})", made)
        if e.fits(made):
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
                y = f.function(z, **default_options(f))
                if e.recognises(y, z):
                    continue  # nothing here tells it from no activation at all
                if len(weights) == 2:
                    y = y @ weights[1] + biases[1]
            if y.shape == e.output.shape and e.recognises(y, e.output):
                return Dense(f, z, weights[0], grad_hidden)
    return None


def _weights_and_biases(e: Evidence) -> tuple[list[Array], list[Array]] | None:
    """The weights of one or two dense layers that fit the shapes, and their biases, 0 if there are none."""
    arrays = [array for name, array in e.subject.arrays.items() if name != e.subject.input]
    # A column is the weights of a single unit, and no bias, which may be a row.
    weights = [array for array in arrays if array.ndim == 2 and array.shape[0] > 1]
    others = [array for array in arrays if all(array is not weight for weight in weights)]
    biases = [array.reshape(-1) for array in others if array.size == max(array.shape, default=0)]
    if e.x.ndim != 2 or e.output.ndim != 2 or len(weights) not in (1, 2) or len(biases) not in (0, len(weights)):
        return None
    sizes = [e.x.shape[1], *(weight.shape[1] for weight in weights)]
    biases = biases or [np.zeros(size) for size in sizes[1:]]
    if [w.shape for w in weights] != list(pairwise(sizes)) or [b.size for b in biases] != sizes[1:]:
        return None
    return weights, biases
