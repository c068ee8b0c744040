"""Several processes that train one network faster than the threads of a BLAS do: each owns a part of every layer."""

from numpy_nn.owners.training import OwnedTraining, OwnerLost

__all__ = ["OwnedTraining", "OwnerLost"]
