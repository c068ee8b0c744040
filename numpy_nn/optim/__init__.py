"""The optimizers, and what is done to rates, gradients and weights around their steps."""

from numpy_nn.optim.base import Optimizer
from numpy_nn.optim.sgd import SGD
from numpy_nn.optim.adam import Adam, AdamW
from numpy_nn.optim.rmsprop import RMSprop
from numpy_nn.optim.schedules import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    SequentialLR,
    StepLR,
)
from numpy_nn.optim.clipping import clip_grad_norm_
from numpy_nn.optim.constraints import max_norm_
