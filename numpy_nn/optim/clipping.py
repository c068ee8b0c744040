"""Gradient clipping by the global norm, spelled and defined as in torch.nn.utils."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.parameter import Parameter, ParameterVector, holders

# torch's guard against a division by 0.
EPSILON = 1e-6

# So many squares are added up in float32 before their sum goes on in float64: a longer sum would round more.
SUMMED = 32768


def grad_norm(parameters: Iterable[Parameter] | ParameterVector) -> float:
    """The Euclidean norm of all gradients together, ||g|| = sqrt(sum_i g_i^2)."""
    return math.sqrt(sum(map(_sum_of_squares, _gradients(parameters))))


def clip_grad_norm_(parameters: Iterable[Parameter] | ParameterVector, max_norm: float) -> float:
    """Scale all gradients in place by min(1, max_norm / (||g|| + 1e-6)); returns ||g|| as it was.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), section 3.2. If
    ||g|| is infinite or NaN, the gradients become 0 or NaN, as in torch: look at what is returned.
    ValueError for a negative or non-finite ``max_norm``.
    """
    gradients = _gradients(parameters)
    max_norm = number(max_norm, "max_norm", low=0.0)
    norm = math.sqrt(sum(map(_sum_of_squares, gradients)))
    factor = max_norm / (norm + EPSILON)
    if not factor >= 1.0:
        for grad in gradients:
            grad *= factor
    return norm


def _gradients(parameters: Iterable[Parameter] | ParameterVector) -> list[FloatArray]:
    """The gradients of what learns, each as one row of numbers."""
    given = holders(parameters)
    if any(not p.requires_grad for holder in given for p in holder.members()):
        given = [p for holder in given for p in holder.members() if p.requires_grad]
    return [holder.grad.reshape(-1) for holder in given]


def _sum_of_squares(flat: FloatArray) -> float:
    # Sums of blocks, added in float64, round far less than one long sum in float32.
    blocks = [flat[start : start + SUMMED] for start in range(0, flat.size, SUMMED)]
    with np.errstate(over="ignore"):
        total = sum(float(np.dot(block, block)) for block in blocks)
    # Squares of float32 overflow and underflow where the norm does neither. One that underflows is off by up to half of
    # 2^-149: no more than a rounding error, where the sum is larger than as many of the smallest normal number.
    if flat.dtype == np.float32 and not flat.size * float(np.finfo(np.float32).tiny) < total < math.inf:
        total = sum(float(np.dot(block, block)) for block in (block.astype(np.float64) for block in blocks))
    return total
