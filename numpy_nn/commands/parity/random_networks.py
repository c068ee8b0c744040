"""Correct networks of numpy_nn by chance, with a loss and an optimizer each: what no comparison may call wrong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn

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
    evaluation mode. The dtype is float32 or float64 by chance, and that of the loss float64, unless it is given.
    """
    of_loss = dtype or np.float64
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
    output = net(x).astype(of_loss)
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
    """Any loss, with any options, with the output and random targets."""
    reduction = str(rng.choice(["mean", "sum"]))
    rows, classes = output.shape
    labels: NDArray[Any] = np.asarray(rng.integers(0, classes, rows))
    weight = np.asarray(rng.uniform(0.5, 2.0, classes), output.dtype) if rng.random() < 0.3 else None
    # Some targets are met exactly.
    values = np.where(rng.random(output.shape) < 0.2, output, rng.random(output.shape)).astype(output.dtype)
    losses: list[Callable[[], tuple[nn.Loss, NDArray[Any]]]] = [
        lambda: _cross_entropy(rng, reduction, weight, labels, classes),
        lambda: (nn.NLLLoss(weight, reduction=reduction), labels),
        lambda: (nn.MSELoss(reduction), values),
        lambda: (nn.L1Loss(reduction), values),
        lambda: (nn.HuberLoss(reduction, float(rng.choice([0.5, 1.0]))), values),
        lambda: (nn.BCEWithLogitsLoss(weight, reduction, weight), rng.choice([0.0, 0.25, 1.0], output.shape)),
        lambda: (nn.PerceptronLoss(reduction), rng.choice([-1.0, 1.0], output.shape)),
    ]
    loss, targets = losses[int(rng.integers(len(losses)))]()
    return loss, output, targets.astype(output.dtype) if targets.dtype.kind == "f" else targets


def _cross_entropy(
    rng: np.random.Generator, reduction: str, weight: Array | None, labels: NDArray[Any], classes: int
) -> tuple[nn.Loss, NDArray[Any]]:
    """Of labels, of which the first row's may count for nothing, or of probabilities."""
    smoothing = float(rng.choice([0.0, 0.1, 1.0]))
    if rng.random() < 0.25:
        return nn.CrossEntropyLoss(weight, -100, reduction, smoothing), rng.dirichlet(np.ones(classes), len(labels))
    if len(labels) > 1 and rng.random() < 0.25:
        labels[0] = -100
    return nn.CrossEntropyLoss(weight, -100, reduction, smoothing), labels


def random_optimizer(rng: np.random.Generator, parameters: Any, lr: float) -> nn.Optimizer:
    """Any optimizer, with any options."""
    decay = float(rng.choice([0.0, 0.1]))
    momentum = float(rng.choice([0.0, 0.9]))
    maximize, variant = bool(rng.random() < 0.2), bool(rng.random() < 0.5)
    makers: list[Callable[[], nn.Optimizer]] = [
        lambda: nn.SGD(parameters, lr, momentum, 0.5 * variant, decay, maximize=maximize),
        lambda: nn.SGD(parameters, lr, 0.9, 0.0, decay, nesterov=True, maximize=maximize),
        lambda: nn.RMSprop(parameters, lr, weight_decay=decay, momentum=momentum, centered=variant, maximize=maximize),
        lambda: nn.Adam(parameters, lr, weight_decay=decay, amsgrad=variant, maximize=maximize),
        lambda: nn.AdamW(parameters, lr, weight_decay=decay, amsgrad=variant, maximize=maximize),
    ]
    return makers[int(rng.integers(len(makers)))]()
