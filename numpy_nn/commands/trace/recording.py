"""The recording of one training step that the page shows, with numerical derivatives and torch's gradients."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from numpy_nn.commands.trace.arguments import MAX_POINTS, MAX_ROWS, check_limits
from numpy_nn.commands.trace.same_mask import SameMask, with_same_masks
from numpy_nn.gradcheck import derivative, one_sided

Array = NDArray[Any]


class Numerical(NamedTuple):
    """The numerical derivative with respect to each entry of an array, and its bound.

    Where ours is another, as at a kink, ``sides`` maps row and column, as "0,3", to the derivatives on the left and on
    the right and their bound.
    """

    numerical: Array
    bound: Array
    sides: dict[str, tuple[float, float, float]]

    def to_json(self) -> dict[str, Any]:
        return {"numerical": self.numerical.tolist(), "bound": self.bound.tolist(), "sides": self.sides}


LOSSES: dict[str, Callable[[], nn.Loss]] = {
    "cross-entropy": nn.CrossEntropyLoss,
    "mse": nn.MSELoss,
    "bce": nn.BCEWithLogitsLoss,
}
OPTIMIZERS: dict[str, Callable[..., nn.Optimizer]] = {
    "sgd": nn.SGD,
    "momentum": partial(nn.SGD, momentum=0.9),
    "adam": nn.Adam,
}


def numerical_gradients(
    net: nn.Sequential, loss: nn.Loss, x: Array, y: Array, ours: dict[str, Array], parameters_only: bool = False
) -> dict[str, Numerical]:
    """The numerical derivative of the loss by every entry of every array that has a gradient, ``ours`` by "NAME.grad".

    An output is varied by itself: the layers after it are run again, those before it are not asked. With
    ``parameters_only`` neither outputs nor the input are varied.
    """
    layers = list(net)

    def by(name: str, array: Array, run: Callable[[], Array]) -> Numerical:
        """The derivative of the loss of what ``run`` returns by each entry of ``array``, which it reads."""
        values, bounds, sides = np.empty(array.shape), np.empty(array.shape), {}
        for index in np.ndindex(array.shape):
            kept = float(array[index])

            def f(value: float, index: tuple[int, ...] = index) -> float:
                array[index] = value
                return float(loss(run(), y))

            values[index], bounds[index] = derivative(f, kept)
            if abs(ours[f"{name}.grad"][index] - values[index]) > bounds[index]:
                left, right = one_sided(f, kept)
                bound = float(left.bound + right.bound)
                if abs(right.value - left.value) > bound:
                    row, column = (0, *index)[-2:]
                    sides[f"{row},{column}"] = float(left.value), float(right.value), bound
            array[index] = kept
        return Numerical(values, bounds, sides)

    def from_layer(k: int, array: Array) -> Array:
        for layer in layers[k:]:
            array = layer(array)
        return array

    entry = x.copy()
    result = {name: by(name, p.data, lambda: net(x)) for name, p in net.named_parameters()}
    if parameters_only:
        return {f"{name}.grad": numerical for name, numerical in result.items()}
    result["input"] = by("input", entry, lambda: net(entry))
    output = x
    for k, layer in enumerate(layers):
        output = layer(output).copy()
        name, run = f"{layer.name}.output", partial(from_layer, k + 1, output)
        result[name] = by(name, output, run)
    return {f"{name}.grad": numerical for name, numerical in result.items()}


def has_torch() -> bool:
    """Whether torch is installed, and its gradients stand on the page."""
    return importlib.util.find_spec("torch") is not None


def torch_gradients(net: nn.Sequential, loss: str, x: Array, y: Array) -> dict[str, Array]:
    """The same gradients by torch's autograd, on the network's twin."""
    import torch

    from torch_ref import to_torch

    value = torch.tensor(x, requires_grad=True)
    tensors = {"input": value}
    masks = {layer.name: layer.kept for layer in net if isinstance(layer, SameMask)}
    twin = to_torch(nn.Sequential(*(nn.Identity() if layer.name in masks else layer for layer in net)))
    for name, module in twin.named_children():
        value = value * torch.tensor(masks[name]) if name in masks else module(value)
        value.retain_grad()
        tensors[f"{name}.output"] = value
    functional = torch.nn.functional
    losses: dict[str, Callable[..., Any]] = {
        "cross-entropy": functional.cross_entropy,
        "mse": functional.mse_loss,
        "bce": functional.binary_cross_entropy_with_logits,
    }
    losses[loss](value, torch.tensor(y)).backward()
    tensors |= dict(twin.named_parameters())
    # A weight is the other way round in torch; a batch is not.
    return {
        f"{name}.grad": tensor.grad.numpy().T if name.endswith(".weight") else tensor.grad.numpy()
        for name, tensor in tensors.items()
        if tensor.grad is not None
    }


def settings(kind: str, optimizer: nn.Optimizer) -> dict[str, Any]:
    """What the page needs to know of an optimizer, to make the same step."""
    wanted = {"sgd": (), "momentum": ("momentum",), "adam": ("betas", "eps")}[kind]
    return {"kind": kind, **{name: getattr(optimizer, name) for name in wanted}}


def record(
    net: nn.Sequential, x: Array, y: Array, lr: float, loss: str = "cross-entropy", optimizer: str = "sgd"
) -> dict[str, Any]:
    """What the page shows of one step: the recording, and both checks of its gradients."""
    check_size(net, x)
    net = with_same_masks(net)
    net(x)  # draws the masks
    before, objective = copy.deepcopy(net), LOSSES[loss]()
    stepping = OPTIMIZERS[optimizer](net.parameters(), lr)
    trace = nn.trace.record(net, objective, stepping, x, y)
    numerical = numerical_gradients(before, objective, x, y, trace.arrays)
    checks = {name: found.to_json() for name, found in numerical.items()}
    if has_torch():
        for name, gradient in torch_gradients(before, loss, x, y).items():
            checks[name]["torch"] = gradient.tolist()
    recording = {**json.loads(trace.to_json()), "checks": checks, "update": settings(optimizer, stepping)}
    return with_options(recording, before)


def record_points(
    net: nn.Sequential, x: Array, y: Array, lr: float, loss: str = "cross-entropy", optimizer: str = "sgd"
) -> dict[str, Any]:
    """The same of a step on many points in the plane: what is given, and both checks of the parameters' gradients.

    What follows from what is given the page computes by itself: thousands of numbers would make the file large.
    """
    check_size(net, x, MAX_POINTS)
    net = with_same_masks(net)
    net(x)  # draws the masks
    before, objective = copy.deepcopy(net), LOSSES[loss]()
    stepping = OPTIMIZERS[optimizer](net.parameters(), lr)
    trace = nn.trace.record(net, objective, stepping, x, y)
    numerical = numerical_gradients(before, objective, x, y, trace.arrays, parameters_only=True)
    checks = {name: found.to_json() for name, found in numerical.items()}
    if has_torch():
        for name, gradient in torch_gradients(before, loss, x, y).items():
            if name in checks:
                checks[name]["torch"] = gradient.tolist()
    recording = json.loads(trace.to_json())
    given = {"input", "target", *(name for name, _ in net.named_parameters())}
    for name, array in recording["arrays"].items():
        if name not in given:
            del array["values"]
    recording |= {"checks": checks, "update": settings(optimizer, stepping), "points": True}
    return with_options(recording, before)


def with_options(recording: dict[str, Any], net: nn.Sequential) -> dict[str, Any]:
    """The recording, with what the page needs to know of a batch norm (eps) and of a dropout (p and the mask)."""
    for described, layer in zip(recording["layers"], net, strict=True):
        if isinstance(layer, nn.BatchNorm1d):
            described["options"] = {"eps": layer.eps}
        elif isinstance(layer, SameMask) and layer.kept is not None:
            described |= {"type": "Dropout", "options": {"p": layer.p}}
            mask = {"shape": list(layer.kept.shape), "values": layer.kept.tolist()}
            recording["arrays"][f"{described['name']}.mask"] = mask
    return recording


def check_size(net: nn.Sequential, x: Array, most_rows: int = MAX_ROWS) -> None:
    """Refuse, by ValueError or TypeError, a network that the page cannot draw number by number."""
    widths = []
    for layer in net:
        activation = getattr(layer, "activation", None)
        known = type(layer) in (nn.Linear, nn.Dropout) or (
            isinstance(layer, nn.BatchNorm1d) and layer.weight is not None
        )
        if not (known or (activation is not None and activation.elementwise)):
            wanted = "Linear, elementwise activations, Dropout or BatchNorm1d with weights"
            raise TypeError(f"expected layers that are {wanted}, got {layer!r}")
        if isinstance(layer, nn.Linear):
            widths += [layer.in_features, layer.out_features]
    check_limits(len(widths) // 2, widths, len(x), most_rows)
    if x.dtype != np.float64 or any(p.dtype != np.float64 for p in net.parameters()):
        raise TypeError("expected float64: build the network with dtype=numpy.float64")
