"""Every activation of the registry as a layer, named and parametrised as in torch.nn."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from numpy_nn._support.checks import choice, count, float_dtype, number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.activations import ACTIVATIONS, Activation
from numpy_nn.layers.float_layer import FloatLayer
from numpy_nn.parameter import Parameter


class ActivationLayer(FloatLayer):
    """An activation f of the registry as a layer: y = f(x), dL/dx = G f'(x), entry by entry.

    A subclass names its registry entry and, if f has settings, fills ``options``, the keyword arguments that f and f'
    get.
    """

    activation: ClassVar[Activation]
    # The x of which the last forward call has left something in the workspace.
    _left_by: FloatArray | None = None

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, Any] = {}

    def forward(self, x: FloatArray) -> FloatArray:
        """f(x)."""
        self.__dict__["_left_by"] = x  # as is "saved": the other way of setting it looks for parameters
        return self.activation.function(x, **self.options, out=self._work.like("y", x), work=self._work)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G f'(x)."""
        x, derivative = self.saved, self.activation.derivative
        if x is self._left_by:  # not what a subclass has put in its place
            derivative = self.activation.derivative_after or derivative
        dx = derivative(x, **self.options, out=self._work.like("dx", x), work=self._work)
        dx *= grad_output
        return dx

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class Identity(ActivationLayer):
    """x."""

    activation = ACTIVATIONS["identity"]


class Sigmoid(ActivationLayer):
    """1 / (1 + exp(-x))."""

    activation = ACTIVATIONS["sigmoid"]


class Tanh(ActivationLayer):
    """tanh(x)."""

    activation = ACTIVATIONS["tanh"]


class ReLU(ActivationLayer):
    """max(x, 0)."""

    activation = ACTIVATIONS["relu"]

    def forward(self, x: FloatArray) -> FloatArray:
        """max(x, 0): the registry's function, without its checks, which take longer than a small layer."""
        return np.maximum(x, 0.0, out=self._work.like("y", x))

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G [x > 0]: a comparison, a third of the time of the registry's derivative, which passes NaN on."""
        x = self.saved
        dx = np.greater(x, 0.0, out=self._work.like("dx", x))
        dx *= grad_output
        return dx


class LeakyReLU(ActivationLayer):
    """x for x > 0, negative_slope x otherwise."""

    activation = ACTIVATIONS["leaky_relu"]

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.options = {"negative_slope": number(negative_slope, "negative_slope")}


class ELU(ActivationLayer):
    """x for x > 0, alpha (exp(x) - 1) otherwise."""

    activation = ACTIVATIONS["elu"]

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.options = {"alpha": number(alpha, "alpha")}


class SELU(ActivationLayer):
    """scale ELU(x), with the constants of self-normalising networks."""

    activation = ACTIVATIONS["selu"]


class GELU(ActivationLayer):
    """x Phi(x), or its tanh form with ``approximate="tanh"``."""

    activation = ACTIVATIONS["gelu"]

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.options = {"approximate": choice(approximate, "approximate", ("none", "tanh"))}


class SiLU(ActivationLayer):
    """x sigmoid(x)."""

    activation = ACTIVATIONS["silu"]


class Softplus(ActivationLayer):
    """log(1 + exp(beta x)) / beta. Unlike torch's it needs no threshold above which it turns linear."""

    activation = ACTIVATIONS["softplus"]

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.options = {"beta": number(beta, "beta", above=0.0)}


class Hardtanh(ActivationLayer):
    """min(max(x, min_val), max_val)."""

    activation = ACTIVATIONS["hardtanh"]

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__()
        max_val = number(max_val, "max_val")
        self.options = {"min_val": number(min_val, "min_val", below=max_val), "max_val": max_val}


class ReLU6(ActivationLayer):
    """min(max(x, 0), 6)."""

    activation = ACTIVATIONS["relu6"]


class Hardsigmoid(ActivationLayer):
    """min(max(x + 3, 0), 6) / 6, a sigmoid of three straight lines."""

    activation = ACTIVATIONS["hardsigmoid"]


class Hardswish(ActivationLayer):
    """x Hardsigmoid(x)."""

    activation = ACTIVATIONS["hardswish"]


class Mish(ActivationLayer):
    """x tanh(log(1 + exp(x)))."""

    activation = ACTIVATIONS["mish"]


class Softsign(ActivationLayer):
    """x / (1 + |x|)."""

    activation = ACTIVATIONS["softsign"]


class LogSigmoid(ActivationLayer):
    """-log(1 + exp(-x)), the logarithm of the sigmoid."""

    activation = ACTIVATIONS["logsigmoid"]


class PReLU(ActivationLayer):
    """x for x > 0, weight x otherwise, with one learned slope or one for each column; they begin at ``init``.

    dL/dx = G f'(x) as above, and dL/dweight = sum of G min(x, 0) over all entries that share the slope.
    """

    activation = ACTIVATIONS["prelu"]

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.num_parameters = count(num_parameters, "num_parameters")
        self.weight = Parameter(np.full(self.num_parameters, number(init, "init"), float_dtype(dtype)))

    def check_input(self, x: FloatArray) -> FloatArray:
        if self.num_parameters == 1 and np.ndim(x) > 1:
            return self.check_dtype(super().check_input(x), self.weight.dtype)
        return self.check_features(x, self.num_parameters, self.weight.dtype)

    def forward(self, x: FloatArray) -> FloatArray:
        """f(x) with the slopes of now."""
        return self.activation.function(x, self.weight.data, out=self._work.like("y", x), work=self._work)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G f'(x), after the sum of G min(x, 0), which is dL/dweight."""
        x = self.saved
        self._write_gradient(x, grad_output)
        weight = self.weight.data
        dx = self.activation.derivative(x, weight, out=self._work.like("dx", x), work=self._work)
        dx *= grad_output
        return dx

    def backward_parameters(self, grad_output: FloatArray) -> None:
        """The sum of G min(x, 0)."""
        self._write_gradient(self.saved, grad_output)

    def _write_gradient(self, x: FloatArray, grad_output: FloatArray) -> None:
        product = np.minimum(x, 0.0, out=self._work.like("dx", x))
        product *= grad_output
        axes = 0 if self.num_parameters > 1 else None
        product.sum(axis=axes, out=self.weight.grad if axes == 0 else self.weight.grad.reshape(()))

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class Softmax(ActivationLayer):
    """s_i = exp(x_i) / sum_j exp(x_j) along the last axis; ``dim`` is there for torch's spelling.

    Each output depends on every input of its row, so backward is a product with the Jacobian, J_ij = s_i ([i = j] -
    s_j): dL/dx = s (G - sum_j G_j s_j).
    """

    activation = ACTIVATIONS["softmax"]

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        if dim not in (-1, 1):
            raise ValueError(f"dim: expected -1 or 1, the last axis of a (batch, classes) array, got {dim!r}")
        self.dim = dim

    def check_input(self, x: FloatArray) -> FloatArray:
        x = super().check_input(x)
        if x.ndim != 2 or x.shape[1] == 0:
            raise ValueError(f"{self.label}: expected input of shape (batch, classes), got {x.shape}")
        return x

    def forward(self, x: FloatArray) -> FloatArray:
        """s."""
        self.saved = self.activation.function(x, out=self._work.like("y", x), work=self._work)
        return self.saved

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """s (G - sum_j G_j s_j)."""
        s = self.saved
        dx = np.multiply(grad_output, s, out=self._work.like("dx", s))
        dot = dx.sum(axis=1, keepdims=True, out=self._work("dot", (len(s), 1), s.dtype))
        np.subtract(grad_output, dot, out=dx)
        dx *= s
        return dx

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """l_i = x_i - log sum_j exp(x_j) along the last axis.

    With J_ij = [i = j] - s_j and s = exp(l), backward is dL/dx = G - s sum_j G_j.
    """

    activation = ACTIVATIONS["log_softmax"]

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G - s sum_j G_j."""
        log_s = self.saved
        dx = np.exp(log_s, out=self._work.like("dx", log_s))
        dx *= grad_output.sum(axis=1, keepdims=True, out=self._work("dot", (len(dx), 1), dx.dtype))
        return np.subtract(grad_output, dx, out=dx)


ACTIVATION_LAYERS: dict[str, type[ActivationLayer]] = {
    layer.activation.name: layer
    for layer in (
        *(Identity, Sigmoid, Tanh, ReLU, LeakyReLU, PReLU, ELU, SELU),
        *(GELU, SiLU, Softplus, Hardtanh, ReLU6, Hardsigmoid, Hardswish, Mish, Softsign, LogSigmoid),
        *(Softmax, LogSoftmax),
    )
}
