"""One way to call everything whose gradient can be checked, so that other checkers than ours can be put beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn

Array = NDArray[np.float64]


class GradientCase:
    """A function of the arrays in ``arrays`` ("input" and every parameter, by name), and its claimed gradient.

    The target is a layer or network of numpy_nn, an object with ``forward``, ``backward``, ``params`` and ``grads``, a
    pair ``(f, vjp)``, or, with targets, a loss. Write into ``arrays`` to move the point. Dropout of numpy_nn draws the
    same mask at each call. Results are copies.
    """

    def __init__(self, target: Any, x: Array, targets: NDArray[Any] | None) -> None:
        self.target, self.targets, self.x = target, targets, x.copy()
        self.arrays: dict[str, Array] = {"input": self.x}
        self._generators: list[tuple[np.random.Generator, Any]] = []
        if isinstance(target, nn.Layer):
            self.arrays |= {name: np.asarray(p.data, np.float64) for name, p in target.named_parameters()}
            layers = target.modules() if isinstance(target, nn.Sequential) else [target]
            dropouts = [layer.rng for layer in layers if isinstance(layer, nn.Dropout)]
            self._generators = [(rng, rng.bit_generator.state) for rng in dropouts]
        else:
            self.arrays |= getattr(target, "params", {})

    def forward(self) -> Array:
        """The output, as an array: of shape () for a loss."""
        if isinstance(self.target, tuple):
            output = self.target[0](self.x)
        elif self.targets is not None:
            output = self.target.forward(self.x, self.targets)
        else:
            for rng, state in self._generators:
                rng.bit_generator.state = state
            output = self.target.forward(self.x)
        return np.array(output, np.float64)

    def backward(self, grad_output: Array) -> dict[str, Array]:
        """The claimed gradient of sum(grad_output * output) by each array, after a forward call at the same point.

        A step that backward takes is undone.
        """
        homes = {name: array.copy() for name, array in self.arrays.items()}
        self.forward()
        if isinstance(self.target, tuple):
            gradients = {"input": self.target[1](self.x, grad_output)}
        elif self.targets is not None:
            gradients = {"input": grad_output * self.target.backward()}
            gradients |= {name: grad_output * self.target.grads[name] for name in getattr(self.target, "params", {})}
        elif isinstance(self.target, nn.Layer):
            gradients = {"input": self.target.backward(grad_output)}
            gradients |= {name: p.grad for name, p in self.target.named_parameters()}
        else:
            gradients = {"input": self.target.backward(grad_output)}
            gradients |= {name: self.target.grads[name] for name in self.target.params}
        claimed = {name: np.array(gradient, np.float64) for name, gradient in gradients.items()}
        for name, values in homes.items():
            self.arrays[name][...] = values
        return claimed


def differences(case: GradientCase, name: str, quotient: Callable[[Callable[[float], Array]], Any]) -> NDArray[Any]:
    """``quotient(at)`` for every entry of an array, where ``at(t)`` is the output with t added to that entry."""
    flat = case.arrays[name].reshape(-1)
    results = []
    for index in range(flat.size):
        home = flat[index]

        def at(t: float, index: int = index, home: float = home) -> Array:
            flat[index] = home + t
            output = case.forward()
            flat[index] = home
            return output

        results.append(quotient(at))
    return np.array(results).reshape(*case.arrays[name].shape, *np.shape(results[0]))
