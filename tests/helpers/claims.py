"""What is known about a gradient that is claimed of a function, for calls of single hypotheses."""

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.subjects import Hints, as_subject


def evidence(f, claimed, x, targets=None, others=()):
    """What is known about a claimed gradient of f at x: an array, or a function of the numerical one.

    ``others`` are f's further arguments, which are parameters.
    """

    def zeros(*arguments):
        gradients = tuple(np.zeros_like(array) for array in arguments[: 1 + len(others)])
        return gradients if others else gradients[0]

    subject = as_subject((f, zeros), (x.copy(), *others), targets, Hints())
    rng = np.random.default_rng(0)
    output = subject.output()
    grad_output = subject.random_grad_output(rng, output.shape)
    e = Evidence(subject, subject.input, x, grad_output, output, {}, 0.75 * x, grad_output, rng)
    e.gradient = np.array(claimed(e.truth) if callable(claimed) else claimed)
    return e


def found(family, e):
    """What a hypothesis has found by itself: the causes with their words."""
    with np.errstate(all="ignore"):
        return [(guess.cause, guess.text) for guess in family(e) if isinstance(guess, Found)]


def predicted(family, e):
    """What it predicts, by the formulas."""
    with np.errstate(all="ignore"):
        return {guess.formula: guess for guess in family(e) if isinstance(guess, Prediction)}


def probabilities(x):
    """Softmax along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def row_by_row(f, *arrays):
    """f of each row along the last axis, in the shape of the first."""
    made = np.empty_like(arrays[0])
    for index in np.ndindex(arrays[0].shape[:-1]):
        made[index] = f(*(array[index] for array in arrays))
    return made
