"""The optimizers' steps, in torch's arithmetic and in ours: the two write the same methods differently."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn
from torch_ref.rounding import Rounded, as_rounded


class OptimizerBound:
    """An optimizer's steps on one parameter of a group: its value, and a bound on it, after each gradient."""

    def __init__(self, optimizer: nn.Optimizer, p: Rounded | NDArray[Any], group: int = 0) -> None:
        for kind, engines in ENGINES.items():
            if isinstance(optimizer, kind):
                p = as_rounded(p.copy()) if isinstance(p, np.ndarray) else p
                decoupled = isinstance(optimizer, nn.AdamW)
                self._engines = [engine(optimizer.param_groups[group], p, decoupled) for engine in engines]
                return
        raise TypeError(f"optimizer: torch_ref has no error bound for {type(optimizer).__name__}")

    @property
    def p(self) -> Rounded:
        """The parameter."""
        theirs, ours = self._engines
        return theirs.p.either(ours.p)

    def step(self, gradient: Rounded | NDArray[Any]) -> Rounded:
        """One step with the settings that the group has now; returns the parameter."""
        g = as_rounded(gradient.copy()) if isinstance(gradient, np.ndarray) else gradient
        for engine in self._engines:
            engine.step(g)
        return self.p


class _Steps(ABC):
    """One engine's steps; the states begin at 0."""

    def __init__(self, group: dict[str, Any], p: Rounded, decoupled: bool) -> None:
        self.group, self.decoupled, self.p, self.t = group, decoupled, p, 0
        self.first = self.second = self.third = p.lift(np.zeros(p.shape))

    def step(self, g: Rounded) -> None:
        self.t += 1
        self.o = SimpleNamespace(**self.group)
        if self.o.maximize:
            g = -g
        if self.decoupled:
            self.p = self.p * (1.0 - self.o.lr * self.o.weight_decay)
        elif self.o.weight_decay:
            g = g + self.o.weight_decay * self.p
        self.update(g)

    @abstractmethod
    def update(self, g: Rounded) -> None: ...


class _SGD(_Steps):
    def keep(self, g: Rounded) -> None:
        """Update the momentum buffer."""
        share = 1.0 if self.t == 1 else 1.0 - self.o.dampening
        self.first = self.o.momentum * self.first + (g if share == 1.0 else share * g)


class _TorchsSGD(_SGD):
    def update(self, g: Rounded) -> None:
        if self.o.momentum:
            self.keep(g)
            g = g + self.o.momentum * self.first if self.o.nesterov else self.first
        self.p = self.p - self.o.lr * g


class _OurSGD(_SGD):
    def update(self, g: Rounded) -> None:
        if not self.o.momentum:
            self.p = self.p - self.o.lr * g
            return
        self.keep(g)
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
        self.third = self.third.maximum(self.second)
        root = (self.third if self.o.amsgrad else self.second).sqrt() / math.sqrt(1.0 - beta2**self.t) + self.o.eps
        rate = self.o.lr / (1.0 - beta1**self.t)
        self.p = self.p - (rate * (self.first / root)).either(rate * self.first / root)


class _OurAdam(_Steps):
    """The states are sums without the factors 1 - beta, which go into the rate: see :class:`numpy_nn.Adam`."""

    def update(self, g: Rounded) -> None:
        beta1, beta2 = self.o.betas
        self.first = beta1 * self.first + g
        self.second = beta2 * self.second + g * g
        self.third = self.third.maximum(self.second)
        root = (self.third if self.o.amsgrad else self.second).sqrt()
        correction = math.sqrt((1.0 - beta2**self.t) / (1.0 - beta2))
        rate = self.o.lr * (1.0 - beta1) / (1.0 - beta1**self.t) * correction
        self.p = self.p - rate * (self.first / (root + self.o.eps * correction))


class _RMSprop(_Steps):
    """The two engines differ in the running mean of the gradient alone, where torch's lerp starts at the nearer end."""

    @abstractmethod
    def mean(self, g: Rounded) -> Rounded: ...

    def update(self, g: Rounded) -> None:
        alpha = self.o.alpha
        self.second = alpha * self.second + (1.0 - alpha) * (g * g)
        square = self.second
        if self.o.centered:
            self.third = self.mean(g)
            square = square - self.third * self.third
        step = g / (square.sqrt() + self.o.eps)
        if self.o.momentum:
            self.first = self.o.momentum * self.first + step
            step = self.first
        self.p = self.p - self.o.lr * step


class _TorchsRMSprop(_RMSprop):
    def mean(self, g: Rounded) -> Rounded:
        alpha, way = self.o.alpha, g - self.third
        return self.third + (1.0 - alpha) * way if alpha > 0.5 else g - alpha * way


class _OurRMSprop(_RMSprop):
    def mean(self, g: Rounded) -> Rounded:
        return self.o.alpha * self.third + (1.0 - self.o.alpha) * g


ENGINES: dict[type[nn.Optimizer], tuple[type[_Steps], ...]] = {
    nn.SGD: (_TorchsSGD, _OurSGD),
    nn.Adam: (_TorchsAdam, _OurAdam),
    nn.RMSprop: (_TorchsRMSprop, _OurRMSprop),
}
