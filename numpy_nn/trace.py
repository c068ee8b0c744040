"""A recording of one training step of a Sequential: every array and every gradient on the way, by name.

:func:`record` does what a training loop does (forward, loss, backward, step) and keeps a copy of each array that
appears; :meth:`Trace.to_json` writes them down for something that is not Python. With "0" for the name of a layer,
as the network counts them:

=====================  ====================================================================
``input``, ``target``  the batch and its labels
``0.output``           what the layer's forward call returned
``0.weight``           a parameter before the step, and ``0.weight.after`` after it
``loss.terms``         the loss before its reduction, one number for each row or entry
``loss.softmax``       the probabilities inside a cross-entropy loss
``loss``               the loss, of shape (), and ``loss.after`` with the new parameters
``NAME.grad``          dL/d(NAME), for ``input``, every ``output`` and every parameter
=====================  ====================================================================
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numpy_nn._support.checks import float_array
from numpy_nn._support.workspace import FloatArray
from numpy_nn.activations import softmax
from numpy_nn.layers import ActivationLayer, Layer
from numpy_nn.losses import CrossEntropyLoss, Loss
from numpy_nn.network import Sequential
from numpy_nn.optim import Optimizer

FORMAT = "numpy_nn.trace 1"


@dataclass(frozen=True)
class LayerRecord:
    """What a layer is: its name in the network, its class, and for an activation its registry name and options.

    ``parameters`` are the names of its own, such as ("weight", "bias").
    """

    name: str
    type: str
    text: str
    parameters: tuple[str, ...]
    activation: str | None
    options: dict[str, float | str]


@dataclass(frozen=True)
class Trace:
    """One recorded step: the layers in their order, the loss as its repr, the optimizer's class, all arrays by name."""

    layers: tuple[LayerRecord, ...]
    loss: str
    optimizer: str
    lr: float
    arrays: dict[str, NDArray[Any]]

    def to_json(self) -> str:
        """The recording as one JSON object, every number with all its digits.

        ``arrays`` maps a name to ``{"shape": [...], "dtype": "float64", "values": nested lists}``. ValueError, naming
        the array, if a number is infinite or NaN, which JSON cannot say.
        """
        import json  # here, as it is a tenth of what importing this package takes

        for name, array in self.arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name}: expected finite numbers, got {array[~np.isfinite(array)][0]}")
        arrays = {
            name: {"shape": list(array.shape), "dtype": str(array.dtype), "values": array.tolist()}
            for name, array in self.arrays.items()
        }
        content = {
            "format": FORMAT,
            "layers": [vars(layer) for layer in self.layers],
            "loss": self.loss,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "arrays": arrays,
        }
        return json.dumps(content, allow_nan=False)


def record(net: Sequential, loss: Loss, optimizer: Optimizer, x: ArrayLike, target: ArrayLike) -> Trace:
    """Make one training step with the batch ``x`` and keep everything that it computed.

    The network is stepped as by a training loop. Layers of inner networks are listed one by one, under names such as
    "2.0". TypeError for a subclass of Sequential, which may compute something else than its layers in a row;
    ValueError for a loss with reduction "none", which has no one number to take a gradient of.
    """
    if loss.reduction == "none":
        raise ValueError(f'record: expected a loss with reduction "mean" or "sum", got {loss!r}')
    layers = net.leaves()
    for layer in layers:
        if isinstance(layer, Sequential):
            raise TypeError(f"record: expected a Sequential, got its subclass {type(layer).__name__}")
    x, target = float_array(x, "record: x"), np.asarray(target)
    kept = _Kept({})
    kept.keep("input", x)
    kept.keep("target", target)
    output = _forward(layers, x, kept)
    _loss(loss, output, target, kept)
    _backward(layers, loss.backward(), kept)
    optimizer.step()
    for layer in layers:
        kept.keep_parameters(layer, "data", ".after")
    # A copy goes forward again: neither a running mean moves nor does a generator draw.
    kept.keep("loss.after", copy.deepcopy(loss)(copy.deepcopy(net)(kept.arrays["input"]), target))
    described = tuple(_describe(layer) for layer in layers)
    return Trace(described, repr(loss), type(optimizer).__name__, optimizer.lr, kept.arrays)


class _Kept(NamedTuple):
    """Copies of arrays, by their names in a :class:`Trace`."""

    arrays: dict[str, NDArray[Any]]

    def keep(self, name: str, array: ArrayLike) -> None:
        self.arrays[name] = np.array(array)

    def keep_parameters(self, layer: Layer, which: str, suffix: str) -> None:
        """The ``data`` or the ``grad`` of each of the layer's parameters."""
        for name, p in layer.named_parameters():
            self.keep(f"{layer.name}.{name}{suffix}", getattr(p, which))


def _forward(layers: Sequence[Layer], output: FloatArray, kept: _Kept) -> FloatArray:
    for layer in layers:
        kept.keep_parameters(layer, "data", "")
        output = layer.forward(output)
        kept.keep(f"{layer.name}.output", output)
    return output


def _loss(loss: Loss, output: FloatArray, target: NDArray[Any], kept: _Kept) -> None:
    terms = copy.deepcopy(loss)
    terms.reduction = "none"
    kept.keep("loss.terms", terms(output, target))
    if isinstance(loss, CrossEntropyLoss):
        kept.keep("loss.softmax", softmax(output))
    kept.keep("loss", loss(output, target))


def _backward(layers: Sequence[Layer], gradient: FloatArray, kept: _Kept) -> None:
    for layer in reversed(layers):
        kept.keep(f"{layer.name}.output.grad", gradient)
        gradient = layer.backward(gradient)
        kept.keep_parameters(layer, "grad", ".grad")
    kept.keep("input.grad", gradient)


def _describe(layer: Layer) -> LayerRecord:
    names = tuple(name for name, _ in layer.named_parameters())
    activation = layer.activation.name if isinstance(layer, ActivationLayer) else None
    options = layer.options if isinstance(layer, ActivationLayer) else {}
    options = {name: value for name, value in options.items() if name not in names}
    return LayerRecord(layer.name, type(layer).__name__, repr(layer), names, activation, options)
