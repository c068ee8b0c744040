"""Constraints that are put back in force after each step, in PyTorch: numpy_nn.optim.constraints on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from numpy_nn._support.checks import number


@torch.no_grad()
def max_norm_(weight: Tensor, max_norm: float) -> None:
    """Scale every row of ``weight`` that is longer than ``max_norm`` to that length, in place.

    A row of torch's weight (out_features, in_features) is a column of numpy_nn's: what one unit multiplies its inputs
    with. The formula is that of :func:`numpy_nn.optim.constraints.max_norm_`, and so are the errors.
    """
    max_norm = number(max_norm, "max_norm", low=0.0)
    if weight.ndim != 2:
        raise ValueError(f"weight: expected shape (out_features, in_features), got {tuple(weight.shape)}")
    weight.copy_(torch.renorm(weight, 2, 0, max_norm))
