"""numpy_nn: perceptrons and multilayer perceptrons in pure NumPy, every gradient derived by hand.

>>> import numpy as np, numpy_nn as nn
>>> net = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1))
>>> loss = nn.PerceptronLoss()
>>> value = loss(net(np.ones((4, 2), np.float32)), np.ones((4, 1), np.float32))
>>> net.backward(loss.backward()).shape
(4, 2)
"""

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
