"""Right gradients at points where a function has a kink: what no checker may call wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from scripts.proof.bank import right_layers

Array = NDArray[np.float64]


def kinks(rng: np.random.Generator) -> Iterator[tuple[str, Any, Array, NDArray[Any] | None]]:
    """Right gradients at points where a function has a kink: a name, the target, its input, its targets or None."""
    x = rng.standard_normal((4, 5))
    zeros = x.copy()
    zeros[1, 2] = zeros[3, 0] = 0.0
    ends = np.where(np.abs(x) > 1.0, np.sign(x), x)
    ends[0, :2] = -1.0, 1.0
    ties = x.copy()
    ties[:, 3] = ties[:, 1] = 3.0
    layers: tuple[nn.Layer, ...] = (nn.ReLU(), nn.LeakyReLU(), nn.ELU(2.0), nn.SELU(), nn.PReLU(dtype=np.float64))
    for layer in layers:
        yield f"{type(layer).__name__} at 0", layer, zeros, None
    yield "a student's ReLU at 0", right_layers.ReLU(), zeros, None
    yield "Hardtanh at -1 and 1", nn.Hardtanh(), ends, None
    yield "PerceptronLoss at 0", nn.PerceptronLoss(), zeros, np.where(x > 0.0, 1.0, -1.0)
    yield "abs at 0", (np.abs, lambda x, g: g * np.sign(x)), zeros, None
    yield "max of a row, with ties", (row_max, row_max_vjp), ties, None
    net = nn.Sequential(
        nn.Linear(5, 6, rng=rng, dtype=np.float64), nn.ReLU(), nn.Linear(6, 3, rng=rng, dtype=np.float64)
    )
    net[0].bias.data[:] = 0.0
    yield "a network of ReLU at x = 0, b = 0", net, np.zeros((4, 5)), None


def row_max(x: Array) -> Array:
    """The largest entry of each row."""
    return x.max(axis=1)


def row_max_vjp(x: Array, g: Array) -> Array:
    """The gradient goes to the first of the largest."""
    gradient = np.zeros_like(x)
    gradient[np.arange(len(x)), x.argmax(axis=1)] = g
    return gradient
