"""Constraints that are put back in force after each step: the max-norm constraint on a layer's units."""

from __future__ import annotations

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.parameter import Parameter

# torch's guard against a division by 0.
EPSILON = 1e-7


def max_norm_(weight: Parameter | FloatArray, max_norm: float) -> None:
    """Scale every column of ``weight`` that is longer than ``max_norm`` to that length, in place.

    A column of a weight (in_features, out_features) holds what one unit multiplies its inputs with:
    W_:j <- W_:j max_norm / (||W_:j|| + 1e-7) where ||W_:j|| > max_norm (Srivastava et al., "Dropout", JMLR 15, 2014,
    section 5.1). ``torch.renorm(W, 2, 1, max_norm)``. ValueError for a negative or non-finite ``max_norm``, or a
    weight that is not two-dimensional.
    """
    max_norm = number(max_norm, "max_norm", low=0.0)
    data = weight.data if isinstance(weight, Parameter) else weight
    if data.ndim != 2:
        raise ValueError(f"weight: expected shape (in_features, out_features), got {data.shape}")
    # One pass without a copy of the weight.
    norms = np.sqrt(np.einsum("ij,ij->j", data, data))
    long = norms > max_norm
    if long.any():
        data *= np.where(long, max_norm / (norms + EPSILON), 1.0).astype(data.dtype)
