"""The optimizers' steps, in torch's arithmetic and in ours: the two write the same methods differently."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from torch_ref.rounding import Rounded, as_rounded


class OptimizerBound:
    """An optimizer's steps on one parameter: its value, and a bound on it, after each gradient."""

    def __init__(self, optimizer: nn.Optimizer, p: Rounded | NDArray[Any]) -> None:
        for kind, engines in ((nn.SGD, (_TorchsSGD, _OurSGD)), (nn.Adam, (_TorchsAdam, _OurAdam))):
            if isinstance(optimizer, kind):
                p = as_rounded(p.copy()) if isinstance(p, np.ndarray) else p
                self._engines = [engine(optimizer, p) for engine in engines]
                return
        raise TypeError(f"optimizer: torch_ref has no error bound for {type(optimizer).__name__}")

    @property
    def p(self) -> Rounded:
        """The parameter."""
        theirs, ours = self._engines
        return theirs.p.either(ours.p)

    def step(self, gradient: Rounded | NDArray[Any]) -> Rounded:
        """One step with the settings that the optimizer has now; returns the parameter."""
        g = as_rounded(gradient.copy()) if isinstance(gradient, np.ndarray) else gradient
        for engine in self._engines:
            engine.step(g)
        return self.p


class _Steps:
    """One engine's steps; the states begin at 0."""

    def __init__(self, optimizer: Any, p: Rounded) -> None:
        self.o, self.p, self.t = optimizer, p, 0
        self.first = self.second = p.lift(np.zeros(p.shape))

    def step(self, g: Rounded) -> None:
        self.t += 1
        if isinstance(self.o, nn.AdamW):
            self.p = self.p * (1.0 - self.o.lr * self.o.weight_decay)
        elif self.o.weight_decay:
            g = g + self.o.weight_decay * self.p
        self.update(g)

    def update(self, g: Rounded) -> None:
        raise NotImplementedError


class _TorchsSGD(_Steps):
    def update(self, g: Rounded) -> None:
        if self.o.momentum:
            self.first = self.o.momentum * self.first + g
            g = g + self.o.momentum * self.first if self.o.nesterov else self.first
        self.p = self.p - self.o.lr * g


class _OurSGD(_Steps):
    def update(self, g: Rounded) -> None:
        if not self.o.momentum:
            self.p = self.p - self.o.lr * g
            return
        self.first = self.o.momentum * self.first + g
        if self.o.nesterov:
            self.p = self.p - self.o.lr * g - (self.o.lr * self.o.momentum) * self.first
        else:
            self.p = self.p - self.o.lr * self.first


class _TorchsAdam(_Steps):
    def update(self, g: Rounded) -> None:
        beta1, beta2 = self.o.betas
        # lerp starts at the nearer end.
        weight, way = self.p.lift(1.0 - beta1), g - self.first
        self.first = self.first + weight * way if beta1 > 0.5 else g - (1.0 - weight) * way
        self.second = beta2 * self.second + (1.0 - beta2) * g * g
        root = self.second.sqrt() / math.sqrt(1.0 - beta2**self.t) + self.o.eps
        rate = self.o.lr / (1.0 - beta1**self.t)
        self.p = self.p - (rate * (self.first / root)).either(rate * self.first / root)


class _OurAdam(_Steps):
    """The states are sums without the factors 1 - beta, which go into the rate: see :class:`numpy_nn.Adam`."""

    def update(self, g: Rounded) -> None:
        beta1, beta2 = self.o.betas
        self.first = beta1 * self.first + g
        self.second = beta2 * self.second + g * g
        correction = math.sqrt((1.0 - beta2**self.t) / (1.0 - beta2))
        rate = self.o.lr * (1.0 - beta1) / (1.0 - beta1**self.t) * correction
        self.p = self.p - rate * (self.first / (self.second.sqrt() + self.o.eps * correction))
