"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.optim.axpy import axpy, in_one_pass
from numpy_nn.optim.base import Group, Optimizer, Parameters, Setting


class SGD(Optimizer):
    """Stochastic gradient descent on parameters p with gradients g, learning rate lr, momentum mu, weight decay w.

        g <- -g                                if ``maximize``
        g <- g + w p
        v <- mu v + (1 - d) g                  if mu > 0, d the dampening; v <- g at the first step
        p <- p - lr g            if mu = 0
        p <- p - lr v            if mu > 0
        p <- p - lr (g + mu v)   with Nesterov's momentum

    as torch.optim.SGD (Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013,
    have the rate inside v). The first step is the first one that the group makes with mu > 0: the v of what learns
    only later begins at 0. ValueError for a negative or non-finite setting, though d may be negative as in torch, and
    for ``nesterov`` without momentum or with dampening.
    """

    momentum = Setting[float]()
    dampening = Setting[float]()
    nesterov = Setting[bool]()
    maximize = Setting[bool]()

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        own = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov, "maximize": maximize}
        super().__init__(parameters, lr, weight_decay, **own)
        for group in self.param_groups:
            # Whether v holds a gradient yet.
            group["momentum_begun"] = False

    def _checked(self, settings: Group) -> Group:
        momentum = number(settings["momentum"], "momentum", low=0.0)
        dampening = number(settings["dampening"], "dampening")
        if settings["nesterov"] and momentum == 0.0:
            raise ValueError("nesterov: expected momentum > 0 with it, got momentum 0")
        if settings["nesterov"] and dampening != 0.0:
            raise ValueError(f"nesterov: expected dampening 0 with it, got dampening {dampening:g}")
        return super()._checked(settings) | {"momentum": momentum, "dampening": dampening}

    def _states(self, group: Group) -> Sequence[str]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def _length(self, group: Group) -> int:
        # One pass finds nothing in a cache that an earlier one has left there.
        one = self._adds_the_gradient_alone(group) and in_one_pass()
        return sys.maxsize if one else super()._length(group)

    @staticmethod
    def _adds_the_gradient_alone(group: Group) -> bool:
        return not (group["momentum"] or group["weight_decay"])

    def _block(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> tuple[Any, ...]:
        return (*super()._block(p, g, *arrays), axpy(g, p, arrays[-1]))

    def _prepare(self, group: Group) -> None:
        if group["momentum"]:
            self._share = 1.0 - group["dampening"] if group["momentum_begun"] else 1.0
            group["momentum_begun"] = True

    def _update(self, group: Group, p: FloatArray, g: FloatArray, *arrays: Any) -> None:
        *state, scratch, other, add_gradient = arrays
        lr, momentum = group["lr"], group["momentum"]
        if self._adds_the_gradient_alone(group):
            add_gradient(lr if group["maximize"] else -lr)
            return
        # Not by axpy: its threads would fetch from each other what NumPy's one thread has just written.
        g = self._descent(group, p, g, scratch)
        if momentum:
            (v,) = state
            v *= momentum
            v += g if self._share == 1.0 else np.multiply(g, self._share, out=other)
            if group["nesterov"]:
                p -= np.multiply(g, lr, out=scratch)
                p -= np.multiply(v, lr * momentum, out=scratch)
                return
            g = v
        p -= np.multiply(g, lr, out=scratch)
