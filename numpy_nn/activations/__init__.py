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
from numpy_nn.activations.gelu import gelu, gelu_derivative, gelu_derivative_after
from numpy_nn.activations.piecewise import (
    hardsigmoid,
    hardsigmoid_derivative,
    hardswish,
    hardswish_derivative,
    relu6,
    relu6_derivative,
)
from numpy_nn.activations.smooth import (
    logsigmoid,
    logsigmoid_derivative,
    mish,
    mish_derivative,
    mish_derivative_after,
    softsign,
    softsign_derivative,
)
from numpy_nn.activations.softmax import log_softmax, log_softmax_derivative, softmax, softmax_derivative


@dataclass(frozen=True)
class Activation:
    """A registry entry: the function, its derivative, and what a generic test or plot must know of it.

    ``options`` are the names of its keyword arguments; ``kinks`` the points without a derivative, at default options.
    ``derivative_after`` is a shorter way to the same derivative, from what ``function``, called just before with the
    same arguments, has left in ``work``.
    """

    name: str
    function: Callable[..., FloatArray]
    derivative: Callable[..., FloatArray]
    options: tuple[str, ...] = ()
    kinks: tuple[float, ...] = ()
    elementwise: bool = True
    derivative_after: Callable[..., FloatArray] | None = None


# An entry is all that the checker's diagnosis, the lessons' figures, the command lines and most tests need. A new
# activation further needs its layer (numpy_nn/layers/activation.py, which MLP walks), and where it is compared its
# counterpart (torch_ref/twin.py), its bound (torch_ref/bounds/activations.py), its exact value and case
# (scripts/accuracy/exact_activations.py) and its limits (tests/activations/test_activations.py); if it works entry by
# entry also its formulas on the page of the traced step (numpy_nn/commands/trace/page/arithmetic.js and formulas.js).
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
        Activation("gelu", gelu, gelu_derivative, ("approximate",), derivative_after=gelu_derivative_after),
        Activation("silu", silu, silu_derivative),
        Activation("softplus", softplus, softplus_derivative, ("beta",)),
        Activation("hardtanh", hardtanh, hardtanh_derivative, ("min_val", "max_val"), (-1.0, 1.0)),
        Activation("relu6", relu6, relu6_derivative, kinks=(0.0, 6.0)),
        Activation("hardsigmoid", hardsigmoid, hardsigmoid_derivative, kinks=(-3.0, 3.0)),
        Activation("hardswish", hardswish, hardswish_derivative, kinks=(-3.0, 3.0)),
        Activation("mish", mish, mish_derivative, derivative_after=mish_derivative_after),
        Activation("softsign", softsign, softsign_derivative),
        Activation("logsigmoid", logsigmoid, logsigmoid_derivative),
        Activation("softmax", softmax, softmax_derivative, elementwise=False),
        Activation("log_softmax", log_softmax, log_softmax_derivative, elementwise=False),
    )
}
