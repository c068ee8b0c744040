"""Sequential, a chain of layers whose parameters are one vector, and MLP, which builds one from a list of sizes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from numpy_nn._support.checks import Seed, choice, count, generator
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.activation import ACTIVATION_LAYERS, PReLU
from numpy_nn.layers.base import Layer
from numpy_nn.layers.batch_norm import BatchNorm1d
from numpy_nn.layers.dropout import Dropout
from numpy_nn.layers.float_layer import FloatLayer
from numpy_nn.layers.linear import Linear
from numpy_nn.parameter import Parameter, ParameterVector, structure


class Sequential(FloatLayer):
    """Layers applied one after the other: forward is f_L(... f_2(f_1(x))), backward the chain rule, back to front.

    The network lays the parameters of all its layers into one vector, ``net.parameters().data``, and the gradients
    into another, ``net.parameters().grad``; each layer's own are views. ``net[i] = layer`` puts another layer in the
    place of one, and ``Sequential(*net[:-1], head)`` makes a new network of layers that are trained already: they
    then are in both networks, and so is what they learn.

    TypeError for what is no :class:`~numpy_nn.layers.Layer` or for parameters of different dtypes; ValueError for a
    layer that would stand in two places, as a backward call belongs to one forward call.
    """

    _has_lists = False  # whose elements may be replaced without any layer noticing
    _first = (-1, 0)  # the structure's version, and the first layer that learns

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self._set(layers)
        self._vector = ParameterVector(self._find_parameters)

    def _set(self, layers: Sequence[Layer]) -> None:
        """Make these the layers, named by their places."""
        _check_places(layers)
        self.layers = tuple(layers)
        for path, module in self.named_modules():
            if path:
                module.name = f"{self.name}.{path}" if self.name else path

    def _find_parameters(self) -> Iterator[Parameter]:
        _check_places(self.layers)  # which a layer inside may have changed
        self.__dict__["_has_lists"] = any(module.has_lists() for module in self.modules())
        return (p for _, p in self.named_parameters())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._vector = ParameterVector(self._find_parameters)

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """The layers, named by their places; then what a subclass has beside them."""
        yield from ((str(index), layer) for index, layer in enumerate(self.layers))
        yield from self.found_in({name: value for name, value in vars(self).items() if name != "layers"})

    def parameters(self) -> ParameterVector:
        """The list of parameters, which is also the two vectors that hold them."""
        self._vector.refresh(again=self._has_lists)
        return self._vector

    def forward(self, x: FloatArray) -> FloatArray:
        """The output of the last layer."""
        for layer in self.layers:
            x = layer._forward(x)
        return x

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """dL/dx from dL/d(output): each layer turns the gradient of its output into that of its input."""
        for layer in reversed(self.layers):
            grad_output = layer._backward(grad_output)
        return grad_output

    def backward_parameters(self, grad_output: FloatArray) -> None:
        """As :meth:`backward`, but stops at the first layer with parameters: the gradient of the data is not made."""
        first = self._first_that_learns()
        for layer in reversed(self.layers[first + 1 :]):
            grad_output = layer._backward(grad_output)
        if first < len(self.layers):
            self.layers[first]._backward_parameters(grad_output)

    def _first_that_learns(self) -> int:
        """The index of the first layer with parameters, or how many layers there are."""
        version, first = self._first
        if version != structure.version:
            learning = (index for index, layer in enumerate(self.layers) if layer.learns())
            first = next(learning, len(self.layers))
            self.__dict__["_first"] = structure.version, first
        return first

    def leaves(self) -> list[Layer]:
        """The layers, with those of inner networks in their place; of a subclass, which may do otherwise, itself."""
        if type(self) is not Sequential:
            return [self]
        return [leaf for layer in self.layers for leaf in layer.leaves()]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one output row for one input row."""
        for layer in self.layers:
            input_shape = layer.output_shape(input_shape)
        return input_shape

    def summary(self, input_shape: tuple[int, ...] | None = None) -> str:
        """A table of the layers with output shapes and numbers of parameters.

        ``input_shape`` is that of one row; by default the first layer that knows its width tells it.
        """
        if input_shape is None:
            widths = (getattr(layer, "in_features", getattr(layer, "num_features", None)) for layer in self.layers)
            width = next((w for w in widths if w is not None), None)
            if width is None:
                raise ValueError("summary: expected input_shape, since no layer of this network tells its width")
            input_shape = (width,)
        shape, rows = tuple(input_shape), [("", "layer", "output shape", "parameters")]
        rows.append(("", "input", str(("batch", *shape)).replace("'", ""), ""))
        for index, layer in enumerate(self.layers):
            shape = layer.output_shape(shape)
            size = sum(p.size for _, p in layer.named_parameters())
            shown = str(("batch", *shape)).replace("'", "")
            rows.append((f"({index})", type(layer).__name__, shown, f"{size:,}"))
        rows.append(("", "total", "", f"{self.parameters().size:,}"))
        widths_ = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{a:<{widths_[0]}}  {b:<{widths_[1]}}  {c:<{widths_[2]}}  {d:>{widths_[3]}}".rstrip()
            for a, b, c, d in rows
        ]
        return "\n".join(lines)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, index: Any) -> Any:
        # Any, so that a type checker lets net[0].weight pass, as it does for torch.
        return self.layers[index]

    def __setitem__(self, index: Any, layer: Layer) -> None:
        """Put ``layer`` in the place of the one there. IndexError for a place that there is not."""
        if isinstance(index, slice):
            raise TypeError("Sequential: one layer is replaced at a time, expected an index, got a slice")
        layers = list(self.layers)
        layers[index] = layer
        self._set(layers)

    def __repr__(self) -> str:
        if not self.layers:
            return "Sequential()"
        lines = [f"({index}): {layer!r}".replace("\n", "\n  ") for index, layer in enumerate(self.layers)]
        return "Sequential(\n  " + "\n  ".join(lines) + "\n)"

    def _short(self) -> str:
        return "Sequential"


def _check_places(layers: Sequence[Layer]) -> None:
    """TypeError for what is no layer, ValueError for a layer in two places."""
    places: dict[int, str] = {}
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential: expected layers, got {type(layer).__name__} {layer!r}")
        for path, module in layer.named_modules():
            place = f"{index}.{path}" if path else str(index)
            if id(module) in places:
                raise ValueError(f"Sequential: layer {place}, {module!r}, is layer {places[id(module)]} already")
            places[id(module)] = place


def MLP(
    sizes: Sequence[int],
    activation: str | Layer | Callable[[], Layer] = "relu",
    *,
    batch_norm: bool = False,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    bias: bool = True,
    init: Callable[..., None] | None = None,
    rng: Seed = None,
    dtype: DTypeLike = np.float32,
) -> Sequential:
    """A multilayer perceptron: Linear layers of the given sizes with an activation after each but the last.

    ``MLP([784, 64, 10])`` is Linear(784, 64), ReLU, Linear(64, 10). ``activation`` is a name in
    ``ACTIVATION_LAYERS``, something that makes a layer when called, or a layer, of which each place gets a copy. Each
    hidden layer is Linear, then BatchNorm1d if ``batch_norm``, the activation, then Dropout if ``dropout`` > 0;
    ``input_dropout`` > 0 puts one before them all. ``init(weight, rng=rng)`` fills every weight, for instance
    ``initializers.kaiming_normal_``; without it weights are torch's default, as biases are in any case.
    ValueError for fewer than two sizes or an unknown name.
    """
    sizes = [count(size, f"sizes[{index}]") for index, size in enumerate(sizes)]
    if len(sizes) < 2:
        raise ValueError(f"sizes: expected at least two, an input and an output, got {sizes}")
    rng = generator(rng)
    layers: list[Layer] = [Dropout(input_dropout, rng=rng)] if input_dropout else []
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes), start=2):
        linear = Linear(fan_in, fan_out, bias, rng=rng, dtype=dtype)
        if init is not None:
            init(linear.weight, rng=rng)
        layers.append(linear)
        if index == len(sizes):
            break
        if batch_norm:
            layers.append(BatchNorm1d(fan_out, dtype=dtype))
        layers.append(_make_activation(activation, dtype))
        if dropout:
            layers.append(Dropout(dropout, rng=rng))
    return Sequential(*layers)


def _make_activation(activation: str | Layer | Callable[[], Layer], dtype: DTypeLike) -> Layer:
    if isinstance(activation, Layer):
        return copy.deepcopy(activation).to(dtype)
    if callable(activation):
        try:
            made = activation()
        except TypeError as error:
            expected = "expected a name, a layer or what makes a layer when it is called without arguments"
            raise TypeError(f"activation: {expected}, got {activation!r}: {error}") from error
        return made.to(dtype) if isinstance(made, Layer) else made
    layer = ACTIVATION_LAYERS[choice(activation, "activation", ACTIVATION_LAYERS)]
    return layer(dtype=dtype) if layer is PReLU else layer()
