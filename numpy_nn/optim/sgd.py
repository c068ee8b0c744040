"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.optim.base import Optimizer
from numpy_nn.parameter import Parameter, ParameterVector


class SGD(Optimizer):
    """Stochastic gradient descent on parameters p with gradients g, learning rate lr, momentum mu, weight decay w.

        g <- g + w p
        v <- mu v + g                          if mu > 0
        p <- p - lr g            if mu = 0
        p <- p - lr v            if mu > 0
        p <- p - lr (g + mu v)   with Nesterov's momentum

    as torch.optim.SGD with its dampening 0 (Sutskever et al., "On the importance of initialization and momentum in
    deep learning", 2013, have the rate inside v). ValueError for a negative or non-finite setting, and for
    ``nesterov`` without momentum.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.momentum = number(momentum, "momentum", low=0.0)
        self.nesterov = nesterov
        if nesterov and momentum == 0.0:
            raise ValueError("nesterov: expected momentum > 0 with it, got momentum 0")
        super().__init__(parameters, lr, weight_decay)

    def _states(self) -> Sequence[str]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        *state, scratch, _ = arrays
        if self.weight_decay:
            np.multiply(p, self.weight_decay, out=scratch)
            scratch += g
            g = scratch
        if self.momentum:
            (v,) = state
            v *= self.momentum
            v += g
            if self.nesterov:
                p -= np.multiply(g, self.lr, out=scratch)
                p -= np.multiply(v, self.lr * self.momentum, out=scratch)
                return
            g = v
        p -= np.multiply(g, self.lr, out=scratch)
