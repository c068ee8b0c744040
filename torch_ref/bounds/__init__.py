"""How far the two engines may be apart: every formula once more, in :class:`~torch_ref.rounding.Rounded` arrays.

The formulas are those that torch evaluates, which for the tails of some activations are the less accurate ones. Where
numpy_nn computes the same quantity another way, that way stands beside torch's, and the bound is the larger of the two
(:meth:`~torch_ref.rounding.Rounded.either`). So each engine by itself lies within the bound of the exact value, and two
engines are at most twice the bound apart.
"""

from torch_ref.bounds.activations import ACTIVATIONS, log_softmax, softmax
from torch_ref.bounds.losses import loss_terms, reduced_loss
from torch_ref.bounds.optimizers import OptimizerBound
from torch_ref.bounds.own_layers import backward, forward, running_statistics
