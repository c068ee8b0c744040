"""Whether engines take the same step: every parameter after it, within what rounding can do in the case's precision.

The step is one of SGD with a rate so large that the gradient is not lost beside the parameter. A reference in float64
takes it too, ``DRAWS`` times more with a random error in the place of every rounding, and how far those move an array,
as the root of the mean square of the distances, is how far rounding moves it.

An inner product of n terms a_i whose sum is s passes through partial sums s_k, each rounded by at most u |s_k|. In an
order that has nothing to do with the terms' sizes, the s_k^2 add up to n (s^2 / 3 + A / 6), A = sum a_i^2, on average;
and the terms, each rounded by u |a_i|, add A. The square root of all that, times u, is the deviation of its error
(see Higham and Mary, "A New Approach to Probabilistic Rounding Error Analysis", 2019, for the model).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.commands.benchmark.workload import Workload

DRAWS = 16

# A distance of one normal number over its root mean square, told from DRAWS others, is Student's t. With as many
# degrees of freedom it is beyond this with a probability of 2e-10. Distances of more numbers vary less.
SAFETY = 14.0

# Roundings of an exponential or a logarithm: libraries promise a few units in the last place at most.
LIBRARY = 4.0

Arrays = list[NDArray[np.float64]]


class _Roundings:
    """The arithmetic of the reference: exact at first, when the size of every rounding is noted, then with errors."""

    def __init__(self, unit: float) -> None:
        self._unit = unit
        self._sizes: list[NDArray[np.float64]] = []
        self._next = 0
        self._rng: np.random.Generator | None = None

    def draw(self, rng: np.random.Generator) -> None:
        """Begin a run with errors from this generator."""
        self._rng, self._next = rng, 0

    def product(self, a: FloatArray, b: FloatArray) -> NDArray[np.float64]:
        """A product of matrices."""
        value: NDArray[np.float64] = a @ b
        return self._moved(value, lambda: _size_in_product(a, b, value))

    def rounded(self, value: NDArray[np.float64], units: Any = 1.0) -> NDArray[np.float64]:
        """A value that is rounded so many times."""
        return self._moved(value, lambda: units * np.abs(value))

    def _moved(self, value: NDArray[np.float64], size: Callable[[], Any]) -> NDArray[np.float64]:
        if self._rng is None:
            self._sizes.append(self._unit * size())
            return value
        error = self._rng.standard_normal(value.shape, np.float32) * self._sizes[self._next]
        self._next += 1
        return value + error


def _size_in_product(a: FloatArray, b: FloatArray, value: FloatArray) -> NDArray[np.float64]:
    """The deviation of the error in every entry of a product, in units of roundoff."""
    terms, squares = a.shape[-1], np.square(a) @ np.square(b)
    return np.asarray(np.sqrt(terms * (np.square(value) / 3.0 + squares / 6.0) + squares))


def _forward(weights: Arrays, x: FloatArray, by: _Roundings) -> tuple[Arrays, Arrays]:
    """The inputs of all layers, and what comes before their activation."""
    inputs: Arrays = [x.astype(np.float64, copy=False)]
    outputs: Arrays = []
    for index in range(0, len(weights), 2):
        outputs.append(by.rounded(by.product(inputs[-1], weights[index]) + weights[index + 1]))
        inputs.append(np.maximum(outputs[-1], 0.0))
    return inputs[:-1], outputs


Factors = list[tuple[NDArray[np.float64], NDArray[np.float64]]]


def _factors(weights: Arrays, x: FloatArray, y: NDArray[np.int64], by: _Roundings) -> Factors:
    """The two factors of which the gradient of each weight and bias is the product; the loss is the cross-entropy."""
    inputs, outputs = _forward(weights, x, by)
    z = outputs[-1] - outputs[-1].max(axis=1, keepdims=True)
    # Rounding z to within u |z| moves exp(z) by u |z| of it.
    e = by.rounded(np.exp(z), LIBRARY + np.abs(z))
    p = by.rounded(e / by.product(e, np.ones((z.shape[1], 1))), 2.0)
    p[np.arange(len(y)), y] -= 1.0
    delta = by.rounded(p / len(y), 2.0)
    found: Factors = []
    for index in range(len(inputs) - 1, -1, -1):
        found[:0] = [(inputs[index].T, delta), (np.ones((1, len(y))), delta)]
        if index:
            delta = by.product(delta, weights[2 * index].T) * (outputs[index - 1] > 0.0)
    return found


def _products(factors: Factors, weights: Arrays) -> Arrays:
    return [(a @ b).reshape(w.shape) for (a, b), w in zip(factors, weights, strict=True)]


@dataclass(frozen=True)
class Reference:
    """The step that all engines must take: what to give them, the gradients, the parameters after it.

    Both have their tolerances, each for the norm of the difference of an array.
    """

    probe: Workload
    gradients: Arrays
    of_gradients: list[float]
    after: Arrays
    of_after: list[float]


def reference(workload: Workload) -> Reference:
    """The step on the case's first batch, of rows for which rounding decides no ReLU; if there are none, of all."""
    weights = [array.astype(np.float64) for layer in workload.weights for array in layer]
    unit = float(np.finfo(workload.case.dtype).eps) / 2.0
    rng = np.random.default_rng(workload.seed)
    x, y = workload.first_batch
    clear = np.flatnonzero(_clear_rows(weights, x.astype(np.float64), unit, rng))
    rows = clear[np.arange(len(x)) % len(clear)] if len(clear) else np.arange(len(x))
    x, y = x[rows], y[rows]
    wide, by = x.astype(np.float64), _Roundings(unit)
    factors = _factors(weights, wide, y, by)
    gradients = _products(factors, weights)
    # Errors of the products themselves are independent of all others, and need no draws.
    errors = [
        unit * (_size_in_product(a, b, a @ b).reshape(g.shape) + np.abs(g))
        for (a, b), g in zip(factors, gradients, strict=True)
    ]
    squares = np.array([float(np.sum(np.square(e))) for e in errors])
    for _ in range(DRAWS):
        by.draw(rng)
        moved = _products(_factors(weights, wide, y, by), weights)
        squares += [float(np.sum(np.square(a - b))) / DRAWS for a, b in zip(moved, gradients, strict=True)]
    rate = _rate(weights, gradients)
    after = [w - rate * g for w, g in zip(weights, gradients, strict=True)]
    rounded = [float(np.sum(np.square(unit * a))) for a in after]
    # The reference rounds too, in float64.
    factor = SAFETY * (1.0 + float(np.finfo(np.float64).eps) / 2.0 / unit)
    probe = copy.copy(workload)
    probe.case, probe.x, probe.y = replace(workload.case, kind="step", optimizer="sgd", rate=rate), x, y
    of_gradients = [factor * math.sqrt(s) for s in squares]
    of_after = [factor * math.sqrt(rate**2 * s + r) for s, r in zip(squares, rounded, strict=True)]
    return Reference(probe, gradients, of_gradients, after, of_after)


def _rate(weights: Arrays, gradients: Arrays) -> float:
    """The power of two, by which nothing is rounded, that makes no gradient smaller than its parameter; at least 1."""
    norms = [(float(np.linalg.norm(w)), float(np.linalg.norm(g))) for w, g in zip(weights, gradients, strict=True)]
    largest = max((w / g for w, g in norms if g > 0.0), default=1.0)
    return float(2.0 ** min(max(0, math.ceil(math.log2(largest or 1.0))), 30))


def _clear_rows(weights: Arrays, x: FloatArray, unit: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The rows whose hidden units are all further from the kink of ReLU than rounding reaches."""
    by = _Roundings(unit)
    exact = _forward(weights, x, by)[1][:-1]
    squares = [np.zeros_like(z) for z in exact]
    for _ in range(DRAWS):
        by.draw(rng)
        for total, z, moved in zip(squares, exact, _forward(weights, x, by)[1][:-1], strict=True):
            total += np.square(moved - z)
    far = [np.abs(z) > SAFETY * np.sqrt(s / DRAWS) for z, s in zip(exact, squares, strict=True)]
    return np.logical_and.reduce([one.all(axis=1) for one in far], initial=True) if far else np.ones(len(x), np.bool_)


def names_of(workload: Workload) -> list[str]:
    """What the arrays are called: W1, b1, W2, ..."""
    return [f"{kind}{layer + 1}" for layer in range(len(workload.weights)) for kind in "Wb"]


def check_arrays(
    name: str, what: str, workload: Workload, expected: Iterable[Any], tolerances: Iterable[float], got: Any
) -> None:
    """ValueError, naming the engine and the array, for the first that is further from the expected than rounding."""
    given = list(got)
    if len(given) != 2 * len(workload.weights):
        raise ValueError(
            f"{workload.case.label}: {name}, {what}: expected {2 * len(workload.weights)} arrays, got {len(given)}; "
            "nothing was timed"
        )
    for array, right, tolerance, value in zip(names_of(workload), expected, tolerances, given, strict=True):
        if np.shape(value) != right.shape:
            raise ValueError(
                f"{workload.case.label}: {name}, {what}: expected {array} of shape {right.shape}, "
                f"got {np.shape(value)}; nothing was timed"
            )
        apart = float(np.linalg.norm(np.asarray(value, np.float64) - right))
        if not apart <= tolerance:
            raise ValueError(
                f"{workload.case.label}: {name}, {what}: {array} is {apart:.2e} from where it should be, "
                f"where rounding can put it {tolerance:.1e} away; nothing was timed"
            )


def check_steps(engines: Mapping[str, Callable[[Workload], Any]], workload: Workload) -> None:
    """ValueError for an engine that takes another step than the reference; each is made anew for it."""
    right = reference(workload)
    for name, make in engines.items():
        engine = make(right.probe)
        # At once, and not when the collector finds it: torch.compile does not bear that the threads change meanwhile.
        with closing(engine):
            engine.step()
            check_arrays(name, "after a step", workload, right.after, right.of_after, engine.parameters())
    if workload.case.kind == "backward":
        _check_gradients(engines, workload, right)


def _check_gradients(engines: Mapping[str, Callable[[Workload], Any]], workload: Workload, right: Reference) -> None:
    """The same of what a backward pass returns, which need not be what a step uses."""
    probe = copy.copy(right.probe)
    probe.case = replace(probe.case, kind="backward")
    for name, make in engines.items():
        with closing(make(probe)) as engine:
            found = engine.returned_gradients()
        if found is not None:
            check_arrays(name, "backward", workload, right.gradients, right.of_gradients, found)
