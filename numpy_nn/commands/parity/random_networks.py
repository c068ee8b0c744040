"""Correct networks of numpy_nn by chance, with a loss each, and points on kinks: what no checker may call wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from scripts.proof.bank import right_layers

Array = NDArray[np.float64]


class RandomNetwork(NamedTuple):
    """A network with a batch, and a loss with the network's output there and targets."""

    net: nn.Sequential
    x: NDArray[Any]
    loss: nn.Loss
    output: Array
    targets: NDArray[Any]


def random_network(rng: np.random.Generator, dtype: Any = None) -> RandomNetwork:
    """One to six Linear layers of 1 to 8 columns, with any activation, a norm and dropout between them.

    One in four has its numbers rounded to multiples of 1/2, so that sums lie exactly on 0 and on +-1 and entries are
    equal; in one in four each layer's parameters are multiplied by a number from 1e-6 to 1e6. One in five is in
    evaluation mode. The dtype is float32 or float64 by chance, unless it is given.
    """
    dtype = dtype or str(rng.choice(["float32", "float64"]))
    batch, depth = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    widths = [int(width) for width in rng.integers(1, 9, depth + 1)]
    training = rng.random() < 0.8
    shape: tuple[int, ...] = (batch, widths[0])
    layers: list[nn.Layer] = []
    if rng.random() < 0.1:
        layers.append(nn.Flatten())
        shape = (batch, 2, widths[0])
        widths[0] *= 2
    layers += _random_layers(rng, widths, dtype, norms=batch > 1 or not training)
    split = int(rng.integers(len(layers)))
    if rng.random() < 0.1:
        layers[split:] = [nn.Sequential(*layers[split:])]
    net = nn.Sequential(*layers).train(training)
    x = _random_numbers(rng, net, shape).astype(dtype)
    states = [(layer.rng, layer.rng.bit_generator.state) for layer in net.modules() if isinstance(layer, nn.Dropout)]
    output = net(x).astype(np.float64)
    for generator, state in states:
        generator.bit_generator.state = state
    return RandomNetwork(net, x, *loss_at(rng, output))


def _random_layers(rng: np.random.Generator, widths: list[int], dtype: Any, *, norms: bool) -> list[nn.Layer]:
    """The Linear layers with what stands between them; BatchNorm1d only with ``norms``, as it needs two rows."""
    layers: list[nn.Layer] = []
    for fan_in, fan_out in pairwise(widths):
        layers.append(nn.Linear(fan_in, fan_out, bool(rng.random() < 0.8), rng=rng, dtype=dtype))
        norm = rng.random()
        if norm < 0.2 and norms:
            layers.append(nn.BatchNorm1d(fan_out, dtype=dtype))
        elif norm > 0.9:
            layers.append(nn.LayerNorm(fan_out, dtype=dtype))
        if rng.random() < 0.85:
            layers.append(activation(rng, fan_out, dtype))
        if rng.random() < 0.2:
            layers.append(nn.Dropout(float(rng.choice([0.0, 0.2, 0.5, 1.0])), rng=rng))
    return layers


def _random_numbers(rng: np.random.Generator, net: nn.Sequential, shape: tuple[int, ...]) -> Array:
    """A batch of that shape; the network's parameters are moved as well."""
    x = rng.standard_normal(shape)
    parameters = net.parameters()
    parameters.data[:] += 0.3 * rng.standard_normal(parameters.size)
    kind = rng.random()
    if kind < 0.25:
        x = np.round(2.0 * x) / 2.0
        parameters.data[:] = np.round(4.0 * parameters.data) / 2.0
        if rng.random() < 0.2:
            x[:] = 0.0
    elif kind < 0.5:
        for p in parameters:
            p.data *= 10.0 ** rng.uniform(-6.0, 6.0)
    return x


def activation(rng: np.random.Generator, width: int, dtype: Any) -> nn.Layer:
    """Any activation, with any options."""
    number = float(rng.choice([0.01, 0.25, 0.5, 1.0, 2.0]))
    makers: dict[str, Callable[[], nn.Layer]] = {
        "leaky_relu": lambda: nn.LeakyReLU(number),
        "elu": lambda: nn.ELU(number),
        "softplus": lambda: nn.Softplus(number),
        "gelu": lambda: nn.GELU(str(rng.choice(["none", "tanh"]))),
        "hardtanh": lambda: nn.Hardtanh(*((-1.0, 1.0) if number < 1.0 else (-number, 0.5))),
        "prelu": lambda: nn.PReLU(int(rng.choice([1, width])), number, dtype=dtype),
    }
    name = str(rng.choice(sorted(nn.ACTIVATION_LAYERS)))
    return makers.get(name, nn.ACTIVATION_LAYERS[name])()


def loss_at(rng: np.random.Generator, output: Array) -> tuple[nn.Loss, Array, NDArray[Any]]:
    """Any loss with the output and random targets."""
    reduction = str(rng.choice(["mean", "sum"]))
    kind = int(rng.integers(4))
    if kind == 0:
        smoothing = float(rng.choice([0.0, 0.1, 1.0]))
        labels = rng.integers(0, output.shape[1], len(output))
        return nn.CrossEntropyLoss(reduction=reduction, label_smoothing=smoothing), output, labels
    if kind == 1:
        # Some targets are met exactly.
        return nn.MSELoss(reduction), output, np.where(rng.random(output.shape) < 0.2, output, rng.random(output.shape))
    if kind == 2:
        targets = rng.choice([0.0, 0.25, 1.0], output.shape)
        return nn.BCEWithLogitsLoss(reduction=reduction), output, targets
    return nn.PerceptronLoss(reduction), output, rng.choice([-1.0, 1.0], output.shape)


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
