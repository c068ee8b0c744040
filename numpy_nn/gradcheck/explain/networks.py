"""Mistakes between the layers of a network: what one hands to the next on the way back is that of another.

Of a single sample the gradients of a dense layer tell what it works with: that of its bias is the delta of its z, and
that of its weights is the outer product of its input and this delta. So from numerical gradients alone the deltas, the
inputs and the derivatives f'(z) of all layers are known, and with them the numbers that each mistake would give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from numpy_nn.activations import ACTIVATIONS, Activation
from numpy_nn.gradcheck.explain.elementwise import default_options, parts_of_slopes
from numpy_nn.gradcheck.explain.predictions import Found, at_another_batch
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import FIT, Evidence

# Larger networks than these would take many evaluations; so many coordinates of a gradient are looked at, and so many
# that are not 0 must fit.
WIDTHS, COORDINATES, FEWEST = 2_000, 200, 3

# Of no more hidden layers all sets are tried whose derivatives may be left out.
HIDDEN = 5


@dataclass
class Chain:
    """Dense layers one after the other, for a single sample: their arrays by name, and what they work with.

    ``handed[k]`` is the gradient with respect to the output of layer k, ``slopes[k]`` its activation's derivative.
    """

    layers: list[tuple[str, str]]
    weights: list[Array]
    deltas: list[Array]
    inputs: list[Array]
    biases: list[Array]

    def __post_init__(self) -> None:
        self.handed = [delta @ weight.T for delta, weight in zip(self.deltas[1:], self.weights[1:], strict=True)]
        with np.errstate(all="ignore"):
            found = zip(self.deltas, self.handed, strict=False)
            self.slopes = [np.where(delta == 0.0, 0.0, delta / handed) for delta, handed in found]

    def other_deltas(self, k: int) -> Iterator[tuple[str, str, Array]]:
        """What layer k may have taken for the delta of its z, but for the last layer: with the cause, and in words."""
        if k + 1 == len(self.layers):
            return
        after, weight, slope, handed = self.deltas[k + 1], self.weights[k + 1], self.slopes[k], self.handed[k]
        yield from self._without_derivatives(k)
        outputs = [one for one in self.inputs[k + 1 : k + 2] if one.shape == slope.shape]
        for formula, part in [found for output in outputs for found in parts_of_slopes(output, slope, FIT)]:
            words = f"that with {formula} for its activation's derivative, with a the output"
            yield "derivative_in_part", words, handed * part
        yield from self._other_derivatives(k)
        if weight.shape[0] == weight.shape[1]:
            yield "weights_missing", f"that without the weights {self.layers[k + 1][0]}", after * slope
            yield "transposed", f"that with {self.layers[k + 1][0]} instead of its transpose", (after @ weight) * slope
        for j, other in enumerate(self.slopes):
            if j != k and other.shape == slope.shape:
                yield "other_layer", f"that with the activation's derivative of layer {j + 1}", handed * other
        for j, other in enumerate(self.weights):
            if j != k + 1 and other.shape == weight.shape:
                yield (
                    "other_layer",
                    f"that with {self.layers[j][0]} for {self.layers[k + 1][0]}",
                    (after @ other.T) * slope,
                )
        for j, other in enumerate(self.handed):
            if j > k and other.shape == handed.shape:
                yield "layer_skipped", f"that of what layer {j + 1} is handed, not of what it hands on", other * slope

    def _without_derivatives(self, k: int) -> Iterator[tuple[str, str, Array]]:
        """The delta of layer k if the derivative of its activation, or of some that come after it, is left out."""
        hidden = range(k, len(self.layers) - 1)
        for number in range(1, len(hidden) + 1) if len(hidden) <= HIDDEN else ():
            for missing in combinations(hidden, number):
                delta = self.deltas[-1]
                for j in reversed(hidden):
                    delta = delta @ self.weights[j + 1].T * (1.0 if j in missing else self.slopes[j])
                layers = " and ".join(f"of layer {j + 1}" for j in missing)
                formula = "its activation" if missing == (k,) else f"the activation {layers}"
                yield "derivative_missing", f"that without the derivative of {formula}", delta

    def _other_derivatives(self, k: int) -> Iterator[tuple[str, str, Array]]:
        """The delta of layer k with derivatives at outputs, in it or in all hidden layers, or with another's in it."""
        hidden = range(k, len(self.inputs) - 1)  # of a layer whose input is not known nothing is told
        zs = [self.inputs[j] @ self.weights[j] + self.biases[j] for j in hidden]
        functions = [_activation(z, self.inputs[j + 1]) for j, z in zip(hidden, zs, strict=True)]
        at_outputs = {j: _slope(f, self.inputs[j + 1]) for j, f in zip(hidden, functions, strict=True) if f}
        for layers in dict.fromkeys((tuple(hidden)[:1], tuple(hidden))):
            if layers and all(j in at_outputs for j in layers):
                delta = self.deltas[-1]
                for j in reversed(hidden):
                    delta = delta @ self.weights[j + 1].T * (at_outputs[j] if j in layers else self.slopes[j])
                where = " and ".join(f"layer {j + 1}" for j in layers)
                formula = f"that with the derivative of the activation of {where} taken at its output"
                yield "derivative_at_output", formula, delta
        for name, other in ACTIVATIONS.items() if any(functions[:1]) else ():
            if other.elementwise and other is not functions[0] and name != "identity":
                formula = f"that with the derivative of {name} for that of its activation"
                slope = _slope(other, zs[0])
                if np.ptp(slope) != 0.0:  # or it is any constant factor
                    yield "other_activation", formula, self.handed[k] * slope

    def other_inputs(self, k: int) -> Iterator[tuple[str, str, Array]]:
        """What layer k may have taken for its input: with the cause, and in words."""
        for j, other in enumerate(self.inputs):
            if j != k and other.shape == self.inputs[k].shape:
                yield "other_layer", f"that with the input of layer {j + 1}", other
        if k > 0:
            weight, bias = self.layers[k - 1]
            z = self.inputs[k - 1] @ self.weights[k - 1] + self.biases[k - 1]
            yield "before_activation", f"that with what {weight} and {bias} give, before the activation", z


def _activation(z: Array, a: Array) -> Activation | None:
    """The function from the registry that makes a of z; None where that is none of them, or the identity."""
    for name, f in ACTIVATIONS.items():
        if f.elementwise and name != "identity" and z.shape == a.shape and not np.allclose(z, a):
            with np.errstate(all="ignore"):
                if np.allclose(f.function(z, **default_options(f)), a, FIT, FIT):
                    return f
    return None


def _slope(f: Activation, z: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(f.derivative(z, **default_options(f)), np.float64)


def networks(e: Evidence) -> Iterator[Found]:
    """A gradient of a network of dense layers that is made with the numbers of another layer."""
    for turned in (False, True):
        yield from _of_layers(e, dense_layers(e, turned=turned), turned)


def _of_layers(e: Evidence, layers: list[tuple[str, str]], turned: bool) -> Iterator[Found]:
    place = next((k for k, names in enumerate(layers) if e.name in names), None)
    if place is None or len(layers) < 2:
        return
    with at_another_batch(e, 1) as one:
        if one is None or one.gradient is None:
            return
        if share := e.differences.seen_coarseness:
            for name in one.subject.arrays:
                one.differences_by(name).assume(share, unmeasured=True)
        chain = _chain(one, layers, turned)
        guesses, right = list(chain.other_deltas(place)), chain.deltas[place]
        if e.name == layers[place][0]:
            own = chain.inputs[place]
            right = np.outer(own, right)
            guesses = [(cause, formula, np.outer(own, delta)) for cause, formula, delta in guesses]
            delta = chain.deltas[place]
            guesses += [(cause, formula, np.outer(x, delta)) for cause, formula, x in chain.other_inputs(place)]
        _look_at_some(one)
        # What is right of a single sample, as where a mean over the batch is taken off it and leaves 0, tells nothing.
        if one.fits((right.T if turned else right).reshape(one.gradient.shape)):
            return
        for cause, formula, guess in guesses:
            guess = (guess.T if turned else guess).reshape(one.gradient.shape)
            if one.fits(guess):
                told = bool(np.count_nonzero(guess[one.looked_at]) >= FEWEST)
                yield Found(cause, f"the claimed gradient of layer {place + 1} is {formula}, for a single sample", told)


def dense_layers(e: Evidence, *, turned: bool = False) -> list[tuple[str, str]]:
    """The names of weights and bias of each layer, in the order of forward; none if the shapes are not of that kind.

    Weights have the shape (inputs, outputs), or with ``turned`` (outputs, inputs).
    """
    arrays = {name: array for name, array in e.subject.arrays.items() if name != e.subject.input}
    weights = [name for name, array in arrays.items() if array.ndim == 2 and min(array.shape) > 1]
    if 2 * len(weights) < len(arrays):  # the weights of a single unit are one row or column
        inputs = 1 if turned else 0
        weights = [name for name, array in arrays.items() if array.ndim == 2 and array.shape[inputs] > 1]
    biases = [
        name for name in arrays if name not in weights and arrays[name].size == max(arrays[name].shape, default=0)
    ]
    if e.x.ndim != 2 or len(weights) != len(biases) or len(weights) + len(biases) != len(arrays):
        return []
    widths = [arrays[name].shape[:: -1 if turned else 1] for name in weights]
    linked = all(first[1] == second[0] for first, second in pairwise(widths))
    fitting = all(arrays[bias].size == width[1] for bias, width in zip(biases, widths, strict=True))
    if not (linked and fitting and weights) or e.x.shape[1] != widths[0][0] or sum(map(sum, widths)) > WIDTHS:
        return []
    return list(zip(weights, biases, strict=True))


def _chain(one: Evidence, layers: list[tuple[str, str]], turned: bool) -> Chain:
    weights, deltas, inputs, biases = [], [], [], []
    for weight, bias in layers:
        delta = one.differences_by(bias).few(one.grad_output).value.reshape(-1)
        array = one.subject.arrays[weight]
        # The inputs into one unit, of the outer product, tell the input.
        unit = int(np.abs(delta).argmax())
        inputs_of_unit = (unit, slice(None)) if turned else (slice(None), unit)
        mask = np.zeros(array.shape, np.bool_)
        mask[inputs_of_unit] = True
        slopes = one.differences_by(weight).few(one.grad_output, mask).value[inputs_of_unit]
        weights.append(array.T.copy() if turned else array.copy())
        deltas.append(delta)
        inputs.append(slopes / delta[unit])
        biases.append(one.subject.arrays[bias].reshape(-1))
    return Chain(layers, weights, deltas, inputs, biases)


def _look_at_some(one: Evidence) -> None:
    mask = np.zeros(one.array.size, np.bool_)
    mask[one.rng.permutation(mask.size)[:COORDINATES]] = True
    one.looked_at = mask.reshape(one.array.shape)
