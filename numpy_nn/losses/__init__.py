"""The losses, each a number that says how far off the outputs are, and its gradient with respect to them."""

from numpy_nn.losses.base import Loss, Score
from numpy_nn.losses.mse import MSELoss
from numpy_nn.losses.l1 import L1Loss
from numpy_nn.losses.huber import HuberLoss
from numpy_nn.losses.cross_entropy import CrossEntropyLoss
from numpy_nn.losses.nll import NLLLoss
from numpy_nn.losses.bce import BCEWithLogitsLoss
from numpy_nn.losses.perceptron import PerceptronLoss
