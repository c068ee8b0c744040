"""The layers, each two formulas: the output, and the gradients by its input and its parameters."""

from numpy_nn.layers.base import Layer
from numpy_nn.layers.linear import Linear
from numpy_nn.layers.activation import (
    ACTIVATION_LAYERS,
    ELU,
    GELU,
    SELU,
    ActivationLayer,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from numpy_nn.layers.flatten import Flatten
from numpy_nn.layers.dropout import Dropout
from numpy_nn.layers.batch_norm import BatchNorm1d
from numpy_nn.layers.layer_norm import LayerNorm
