"""Sequential, a chain of layers whose parameters are one vector, and MLP, which builds one from a list of sizes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support import checkpoint
from numpy_nn._support.checks import Seed, choice, count, generator
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import ACTIVATION_LAYERS, BatchNorm1d, Dropout, Layer, Linear, PReLU
from numpy_nn.parameter import Parameter, ParameterVector


class Sequential(Layer):
    """Layers applied one after the other: forward is f_L(... f_2(f_1(x))), backward the chain rule, back to front.

    The network lays the parameters of all its layers into one vector, ``net.parameters().data``, and the gradients
    into another, ``net.parameters().grad``; each layer's own are views. A layer belongs to one network: ValueError if
    it stands in one already, TypeError if it is no :class:`~numpy_nn.layers.Layer` or the dtypes differ.
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential: expected layers, got {type(layer).__name__} {layer!r}")
        for index, layer in enumerate(layers):
            if layer.name or any(layer is other for other in layers[:index]):
                raise ValueError(f"Sequential: argument {index}, {layer!r}, is already part of a network")
        self.layers = layers
        self._gather()

    def _adopt(self) -> None:
        """Name the layers by their places, and tell inner networks where in the vector they live."""
        start = 0
        for index, layer in enumerate(self.layers):
            layer.name = f"{self.name}.{index}" if self.name else str(index)
            stop = start + sum(p.size for _, p in layer.named_parameters())
            if isinstance(layer, Sequential):
                layer._vector.move_to(self._vector.data[start:stop], self._vector.grad[start:stop])
                layer._adopt()
            start = stop

    def forward(self, x: FloatArray) -> FloatArray:
        """The output of the last layer."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """dL/dx from dL/d(output): each layer turns the gradient of its output into that of its input."""
        for layer in reversed(self.layers):
            grad_output = layer.backward(grad_output)
        return grad_output

    def backward_parameters(self, grad_output: FloatArray) -> None:
        """As :meth:`backward`, but stops at the first layer with parameters: the gradient of the data is not made."""
        if self._first is None:
            return
        for layer in reversed(self.layers[self._first + 1 :]):
            grad_output = layer.backward(grad_output)
        self.layers[self._first].backward_parameters(grad_output)

    def predict(self, x: FloatArray, batch_size: int = 1024) -> FloatArray:
        """The output for ``x`` in evaluation mode, ``batch_size`` rows at a time, as an array the caller owns.

        The modes are put back afterwards; a backward call then needs a new forward call.
        """
        batch_size = count(batch_size, "batch_size")
        x = self._check_batch(x)
        output: FloatArray | None = None
        with self.evaluating():
            for start in range(0, len(x), batch_size):
                part = self.forward(x[start : start + batch_size])
                if output is None:
                    output = np.empty((len(x), *part.shape[1:]), part.dtype)
                output[start : start + batch_size] = part
        assert output is not None  # a batch has at least one row
        return output

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode inside a ``with``; on leaving, every layer gets its own mode back and forgets its input."""
        modes = [(layer, layer.training) for layer in self.modules()]
        self.eval()
        try:
            yield
        finally:
            for layer, mode in modes:
                layer.training = mode
            self.forget()

    def modules(self) -> Iterator[Layer]:
        """The network itself and every layer in it, at any depth."""
        yield self
        for layer in self.layers:
            if isinstance(layer, Sequential):
                yield from layer.modules()
            else:
                yield layer

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Pairs such as ("0.weight", p), named as in torch."""
        for index, layer in enumerate(self.layers):
            for name, p in layer.named_parameters():
                yield f"{index}.{name}", p

    def named_buffers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Pairs such as ("1.running_mean", array)."""
        for index, layer in enumerate(self.layers):
            for name, buffer in layer.named_buffers():
                yield f"{index}.{name}", buffer

    def parameters(self) -> ParameterVector:
        """The list of parameters, which is also the two vectors that hold them."""
        return self._vector

    def train(self, mode: bool = True) -> Self:
        """Switch every layer to training mode; returns the network."""
        super().train(mode)
        for layer in self.layers:
            layer.train(mode)
        return self

    def to(self, dtype: DTypeLike) -> Self:
        """Convert every layer; returns the network."""
        for layer in self.layers:
            layer.to(dtype)
        self._gather()
        return self

    def _gather(self) -> None:
        """Make the parameters of all layers, wherever they live now, one vector."""
        self._vector = ParameterVector(p for _, p in self.named_parameters())
        learning = (i for i, layer in enumerate(self.layers) if any(layer.named_parameters()))
        self._first = next(learning, None)  # where the gradient of the data need not go on
        self._adopt()

    def forget(self) -> None:
        """Drop what the last forward call left for a backward call, in every layer."""
        for layer in self.layers:
            layer.forget()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """A copy of every parameter and buffer by its name, layer by layer as in torch."""
        return {name: array.copy() for name, array in self._state()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy ``state`` into the network. ValueError names every missing, unexpected or misshapen entry.

        Names, shapes and dtypes must be the network's own; nothing is changed if any is not.
        """
        own = dict(self._state())
        checkpoint.check_matches(state, own)
        for name, array in own.items():
            array[...] = state[name]

    def _state(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Sequential):
                inner = layer._state()
            else:
                inner = iter([(n, p.data) for n, p in layer.named_parameters()] + list(layer.named_buffers()))
            for name, array in inner:
                yield f"{index}.{name}", array

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write :meth:`state_dict` to an npz file, in one move: a reader finds the old file or the new one."""
        checkpoint.write(path, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read what :meth:`save` wrote, into a network of the same layers.

        ValueError if the file is damaged, was not written by :meth:`save`, or differs from the network in a name,
        shape or dtype, all of which are listed; the network is then as it was.
        """
        state = checkpoint.read(path)
        try:
            self.load_state_dict(state)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None

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
            size = sum(p.size for p in layer.parameters())
            shown = str(("batch", *shape)).replace("'", "")
            rows.append((f"({index})", type(layer).__name__, shown, f"{size:,}"))
        rows.append(("", "total", "", f"{self._vector.size:,}"))
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

    def __getitem__(self, index: int) -> Any:
        # Any, so that a type checker lets net[0].weight pass, as it does for torch.
        return self.layers[index]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copy or an unpickled network has arrays of its own for every parameter: make them one vector again.
        self.__dict__.update(state)
        self._gather()

    def __repr__(self) -> str:
        if not self.layers:
            return "Sequential()"
        lines = [f"({index}): {layer!r}".replace("\n", "\n  ") for index, layer in enumerate(self.layers)]
        return "Sequential(\n  " + "\n  ".join(lines) + "\n)"

    def _short(self) -> str:
        return "Sequential"


def MLP(
    sizes: Sequence[int],
    activation: str | Callable[[], Layer] = "relu",
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
    ``ACTIVATION_LAYERS`` or something that makes a layer when called. Each hidden layer is Linear, then BatchNorm1d
    if ``batch_norm``, the activation, then Dropout if ``dropout`` > 0; ``input_dropout`` > 0 puts one before them all.
    ``init(weight, rng=rng)`` fills every weight, for instance ``initializers.kaiming_normal_``; without it weights are
    torch's default, as biases are in any case.
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


def _make_activation(activation: str | Callable[[], Layer], dtype: DTypeLike) -> Layer:
    if callable(activation):
        return activation()
    layer = ACTIVATION_LAYERS[choice(activation, "activation", ACTIVATION_LAYERS)]
    return layer(dtype=dtype) if layer is PReLU else layer()
