"""Every activation, as ``NAME(x)`` and ``NAME_derivative(x)``, and the registry that lists them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy_nn._support.workspace import FloatArray
from numpy_nn.activations.elementwise import (
    elu,
    elu_derivative,
    hardtanh,
    hardtanh_derivative,
    identity,
    identity_derivative,
    leaky_relu,
    leaky_relu_derivative,
    prelu,
    prelu_derivative,
    relu,
    relu_derivative,
    selu,
    selu_derivative,
    sigmoid,
    sigmoid_derivative,
    silu,
    silu_derivative,
    softplus,
    softplus_derivative,
    tanh,
    tanh_derivative,
)
from numpy_nn.activations.gelu import gelu, gelu_derivative
from numpy_nn.activations.softmax import log_softmax, log_softmax_derivative, softmax, softmax_derivative


@dataclass(frozen=True)
class Activation:
    """A registry entry: the function, its derivative, and what a generic test or plot must know of it.

    ``options`` are the names of its keyword arguments; ``kinks`` the points without a derivative, at default options.
    """

    name: str
    function: Callable[..., FloatArray]
    derivative: Callable[..., FloatArray]
    options: tuple[str, ...] = ()
    kinks: tuple[float, ...] = ()
    elementwise: bool = True


# Layers, twins and tests walk the registry: a new activation is one entry.
ACTIVATIONS: dict[str, Activation] = {
    entry.name: entry
    for entry in (
        Activation("identity", identity, identity_derivative),
        Activation("sigmoid", sigmoid, sigmoid_derivative),
        Activation("tanh", tanh, tanh_derivative),
        Activation("relu", relu, relu_derivative, kinks=(0.0,)),
        Activation("leaky_relu", leaky_relu, leaky_relu_derivative, ("negative_slope",), (0.0,)),
        Activation("prelu", prelu, prelu_derivative, ("weight",), (0.0,)),
        Activation("elu", elu, elu_derivative, ("alpha",)),
        Activation("selu", selu, selu_derivative, kinks=(0.0,)),
        Activation("gelu", gelu, gelu_derivative, ("approximate",)),
        Activation("silu", silu, silu_derivative),
        Activation("softplus", softplus, softplus_derivative, ("beta",)),
        Activation("hardtanh", hardtanh, hardtanh_derivative, ("min_val", "max_val"), (-1.0, 1.0)),
        Activation("softmax", softmax, softmax_derivative, elementwise=False),
        Activation("log_softmax", log_softmax, log_softmax_derivative, elementwise=False),
    )
}
