"""A bound on every parameter of a whole run, in one process or in several, from the bounds of its steps.

The same batches are taken in :class:`~torch_ref.rounding.Rounded` numbers: each step starts from parameters that carry
the error of all steps before. Of a run in p processes each share's gradient is bounded by itself, times its weight,
and their sum in any order. Worst cases multiply from step to step, so that only runs of some steps have a bound.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

import numpy_nn as nn
from numpy_nn.training import Progress
from torch_ref import bounds
from torch_ref.distributed import Group
from torch_ref.rounding import Rounded, as_rounded

Gradients = dict[str, Rounded]


class RunBound(nn.Callback):
    """Stands among the callbacks of ``fit`` while one process trains; ``parameters()`` is what any run may end with."""

    def __init__(self, net: nn.Sequential, loss: nn.Loss, loader: nn.DataLoader, size: int, epsilon: float = 0.0):
        self.layers = [layer for layer in net.modules() if not isinstance(layer, nn.Sequential)]
        self.names = dict(net.named_parameters())
        self.loss, self.size, self.epsilon = loss, size, epsilon
        self.batches = self._batches(copy.deepcopy(loader))
        self.steps: dict[str, bounds.OptimizerBound] = {}

    @staticmethod
    def _batches(loader: nn.DataLoader) -> Iterator[Any]:
        while True:
            for rows in loader.indices():
                yield loader.x[rows], loader.y[rows]

    def on_backward_end(self, progress: Progress) -> None:
        """Take the step that the optimizer is about to take."""
        if not self.steps:
            self.steps = {n: bounds.OptimizerBound(progress.optimizer, p.data) for n, p in self.names.items()}
        x, y = next(self.batches)
        shares = [Group(rank, self.size).slice_of(len(x)) for rank in range(self.size)]
        parts = [self._gradients(as_rounded(x[rows]), y[rows]) for rows in shares]
        for name, step in self.steps.items():
            weighted = [part[name] * (len(x[rows]) / len(x)) for part, rows in zip(parts, shares, strict=True)]
            step.step(weighted[0] if self.size == 1 else stack(weighted).sum(axis=0))

    def parameters(self) -> dict[str, Rounded]:
        """All parameters, by name."""
        return {name: step.p for name, step in self.steps.items()}

    def _gradients(self, x: Rounded, y: Any) -> Gradients:
        first, gradient = self._pass(x, y)
        if not self.epsilon:
            return first
        second, _ = self._pass(perturb(x, gradient, self.epsilon), y)
        return {name: (first[name] + second[name]) * 0.5 for name in first}

    def _pass(self, x: Rounded, y: Any) -> tuple[Gradients, Rounded]:
        inputs = [x]
        gradients: Gradients = {}
        own = [
            {n.split(".")[-1]: s.p for n, s in self.steps.items() if n.startswith(f"{layer.name}.")}
            for layer in self.layers
        ]
        for layer, parameters in zip(self.layers, own, strict=True):
            inputs.append(bounds.forward(layer, inputs[-1], parameters))
        _, g = bounds.reduced_loss(self.loss, inputs[-1], y)
        for layer, parameters, x in reversed(list(zip(self.layers, own, inputs[:-1], strict=True))):
            g, found = bounds.backward(layer, x, g, parameters)
            gradients |= {f"{layer.name}.{name}": gradient for name, gradient in found.items()}
        return gradients, g


def stack(arrays: list[Rounded]) -> Rounded:
    """Arrays of one shape as one."""
    values, errors = np.stack([a.value for a in arrays]), np.stack([a.error for a in arrays])
    return Rounded(values, errors, dtype=arrays[0].dtype)


def perturb(x: Rounded, gradient: Rounded, epsilon: float) -> Rounded:
    """x + epsilon g / ||g||; both engines first divide by the largest entry of the row, which changes no direction."""
    size = gradient.select(gradient, -gradient)
    direction = gradient / size.max(axis=1)
    length = (direction * direction).sum(axis=1, keepdims=True).sqrt()
    return x + direction * (epsilon / length)
