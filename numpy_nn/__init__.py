"""numpy_nn: perceptrons and multilayer perceptrons in pure NumPy, every gradient derived by hand.

>>> import numpy as np, numpy_nn as nn
>>> net = nn.Sequential(nn.Linear(2, 8, rng=0), nn.Tanh(), nn.Linear(8, 1, rng=1))
>>> loss = nn.PerceptronLoss()
>>> value = loss(net(np.ones((4, 2), np.float32)), np.ones((4, 1), np.float32))
>>> net.backward(loss.backward()).shape
(4, 2)
"""

from numpy_nn import activations, datasets, initializers, trace
from numpy_nn.activation_layers import (
    ACTIVATION_LAYERS,
    ELU,
    GELU,
    SELU,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from numpy_nn.activations import ACTIVATIONS
from numpy_nn.adversarial import AdversarialTraining
from numpy_nn.augment import Distortion
from numpy_nn.averaging import AveragedModel
from numpy_nn.batch_norm import BatchNorm1d
from numpy_nn.batches import DataLoader
from numpy_nn.callbacks import ClipGradNorm, MaxNorm, UpdateAverage
from numpy_nn.clipping import clip_grad_norm_
from numpy_nn.constraints import max_norm_
from numpy_nn.divergence import Divergence
from numpy_nn.layers import Dropout, Flatten, Layer, Linear
from numpy_nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, Loss, MSELoss, PerceptronLoss
from numpy_nn.mnist import MNIST, load_mnist, read_idx
from numpy_nn.network import MLP, Sequential
from numpy_nn.optimizers import SGD, Adam, AdamW, Optimizer
from numpy_nn.parameter import Parameter, ParameterVector
from numpy_nn.perceptron import Perceptron, PerceptronHistory, novikoff_bound
from numpy_nn.resume import SaveTrainingState, TrainingState
from numpy_nn.schedules import CosineAnnealingLR, OneCycleLR, Schedule, StepLR
from numpy_nn.training import Callback, History, SaveCheckpoint, evaluate, fit, train_step

__version__ = "0.1.0"
