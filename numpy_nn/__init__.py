"""numpy_nn: perceptrons and multilayer perceptrons in pure NumPy, every gradient derived by hand.

>>> import numpy as np, numpy_nn as nn
>>> net = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1))
>>> loss = nn.PerceptronLoss()
>>> value = loss(net(np.ones((4, 2), np.float32)), np.ones((4, 1), np.float32))
>>> net.backward(loss.backward()).shape
(4, 2)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy_nn.perceptron import Perceptron, PerceptronHistory, novikoff_bound
    from numpy_nn import activations
    from numpy_nn.activations import ACTIVATIONS
    from numpy_nn.layers import (
        ACTIVATION_LAYERS,
        ELU,
        GELU,
        SELU,
        BatchNorm1d,
        Dropout,
        Flatten,
        Hardsigmoid,
        Hardswish,
        Hardtanh,
        Identity,
        Layer,
        LayerNorm,
        LeakyReLU,
        Linear,
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
    from numpy_nn.losses import (
        BCEWithLogitsLoss,
        CrossEntropyLoss,
        HuberLoss,
        L1Loss,
        Loss,
        MSELoss,
        NLLLoss,
        PerceptronLoss,
    )
    from numpy_nn.parameter import Parameter, ParameterVector
    from numpy_nn import initializers
    from numpy_nn.network import MLP, Sequential
    from numpy_nn.optim import (
        SGD,
        Adam,
        AdamW,
        CosineAnnealingLR,
        CosineAnnealingWarmRestarts,
        LinearLR,
        OneCycleLR,
        Optimizer,
        ReduceLROnPlateau,
        RMSprop,
        Schedule,
        SequentialLR,
        StepLR,
        clip_grad_norm_,
        max_norm_,
    )
    from numpy_nn.training import (
        AdversarialTraining,
        AveragedModel,
        Callback,
        ClipGradNorm,
        Divergence,
        EarlyStopping,
        GradientAccumulation,
        History,
        MaxNorm,
        SaveCheckpoint,
        SaveTrainingState,
        TrainingState,
        UpdateAverage,
        evaluate,
        fit,
        train_step,
    )
    from numpy_nn.data import MNIST, DataLoader, Distortion, datasets, load_data_set, load_mnist, read_idx
    from numpy_nn import trace

__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_LAYERS",
    "ELU",
    "GELU",
    "MLP",
    "MNIST",
    "SELU",
    "SGD",
    "Adam",
    "AdamW",
    "AdversarialTraining",
    "AveragedModel",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "Callback",
    "ClipGradNorm",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CrossEntropyLoss",
    "DataLoader",
    "Distortion",
    "Divergence",
    "Dropout",
    "EarlyStopping",
    "Flatten",
    "GradientAccumulation",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "History",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LinearLR",
    "LogSigmoid",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "MaxNorm",
    "Mish",
    "NLLLoss",
    "OneCycleLR",
    "Optimizer",
    "PReLU",
    "Parameter",
    "ParameterVector",
    "Perceptron",
    "PerceptronHistory",
    "PerceptronLoss",
    "RMSprop",
    "ReLU",
    "ReLU6",
    "ReduceLROnPlateau",
    "SaveCheckpoint",
    "SaveTrainingState",
    "Schedule",
    "Sequential",
    "SequentialLR",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "StepLR",
    "Tanh",
    "TrainingState",
    "UpdateAverage",
    "activations",
    "clip_grad_norm_",
    "datasets",
    "evaluate",
    "fit",
    "initializers",
    "load_data_set",
    "load_mnist",
    "max_norm_",
    "novikoff_bound",
    "read_idx",
    "trace",
    "train_step",
]

_ROOMS = (
    "perceptron",
    "activations",
    "layers",
    "losses",
    "parameter",
    "initializers",
    "network",
    "optim",
    "training",
    "data",
    "trace",
)


if not TYPE_CHECKING:  # to a type checker, a name that is not among these is a mistake

    def __getattr__(name: str) -> Any:
        # NumPy is loaded with the first public name: a command can show its help or choose the BLAS's kernels before.
        if name in _ROOMS:
            return import_module(f"numpy_nn.{name}")
        if name in __all__:
            for room in _ROOMS:
                module = import_module(f"numpy_nn.{room}")
                if hasattr(module, name):
                    globals()[name] = getattr(module, name)
                    return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS} - {"Any", "TYPE_CHECKING", "import_module"})
