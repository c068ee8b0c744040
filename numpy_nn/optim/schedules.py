"""Learning-rate schedules, spelled and defined as in torch.optim.lr_scheduler.

A schedule sets ``optimizer.lr`` when it is made, for the first step, and at every ``step()``, for the next one. Call
``step()`` after ``optimizer.step()``, once an epoch or once a batch, as the schedule's lengths are meant.
"""

from __future__ import annotations

import math

from numpy_nn._support.checks import choice, count, number
from numpy_nn.optim.adam import Adam
from numpy_nn.optim.base import Optimizer
from numpy_nn.optim.sgd import SGD


class Schedule:
    """The base class: counts the steps t = 0, 1, 2, ... and sets ``optimizer.lr`` to what :meth:`_lr` says."""

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer: expected an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.t = 0
        self._set(0)

    def step(self) -> None:
        """Go on to the next step."""
        self._set(self.t + 1)
        self.t += 1

    def _set(self, t: int) -> None:
        self.optimizer.lr = self._lr(t)

    def _lr(self, t: int) -> float:
        raise NotImplementedError


class StepLR(Schedule):
    """lr_t = lr_0 gamma^floor(t / step_size)."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count(step_size, "step_size")
        self.gamma = number(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def _lr(self, t: int) -> float:
        return self.base_lr * self.gamma ** (t // self.step_size)


class CosineAnnealingLR(Schedule):
    """lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2 (Loshchilov and Hutter, "SGDR", 2017, eq. 5)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = count(T_max, "T_max")
        self.eta_min = number(eta_min, "eta_min", low=0.0)
        super().__init__(optimizer)

    def _lr(self, t: int) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1.0 + math.cos(math.pi * t / self.T_max)) / 2.0


class OneCycleLR(Schedule):
    """Up from max_lr / div_factor to max_lr, then down to that initial rate / final_div_factor, in total_steps steps.

    The way up takes the fraction ``pct_start`` of the steps; both ways follow a half cosine or a straight line
    (``anneal_strategy``). With ``cycle_momentum`` the momentum of SGD, or beta1 of Adam, goes the other way, from
    max_momentum down to base_momentum and back; ValueError for SGD without momentum. ``step()`` beyond
    ``total_steps`` is a ValueError. After Smith and Topin, "Super-Convergence" (2018); two phases, as torch's default.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_lr = number(max_lr, "max_lr", low=0.0)
        self.total_steps = count(total_steps, "total_steps")
        self.pct_start = number(pct_start, "pct_start", low=0.0, high=1.0)
        self.anneal_strategy = choice(anneal_strategy, "anneal_strategy", ("cos", "linear"))
        self.cycle_momentum = cycle_momentum
        self.base_momentum = number(base_momentum, "base_momentum", low=0.0)
        # beta1 = 1 would make Adam divide by 0.
        below = 1.0 if isinstance(optimizer, Adam) else math.inf
        self.max_momentum = number(max_momentum, "max_momentum", low=0.0, below=below)
        self.initial_lr = self.max_lr / number(div_factor, "div_factor", above=0.0)
        self.min_lr = self.initial_lr / number(final_div_factor, "final_div_factor", above=0.0)
        if cycle_momentum and not isinstance(optimizer, Adam) and not getattr(optimizer, "momentum", 0.0):
            raise ValueError("cycle_momentum: expected an optimizer with momentum > 0 or betas; pass False without")
        super().__init__(optimizer)

    def _set(self, t: int) -> None:
        # The last allowed call comes after the last optimizer step and sets a rate that nobody uses, as in torch.
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: expected at most total_steps = {self.total_steps} steps, got step {t}")
        super()._set(t)
        if not self.cycle_momentum:
            return
        momentum = self._cycle(t, self.max_momentum, self.base_momentum, self.max_momentum)
        if isinstance(self.optimizer, Adam):
            self.optimizer.betas = momentum, self.optimizer.betas[1]
        elif isinstance(self.optimizer, SGD):
            self.optimizer.momentum = momentum

    def _lr(self, t: int) -> float:
        return self._cycle(t, self.initial_lr, self.max_lr, self.min_lr)

    def _cycle(self, t: int, start: float, middle: float, end: float) -> float:
        peak, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if t <= peak:
            return self._anneal(start, middle, t / peak if peak else 1.0)
        return self._anneal(middle, end, (t - peak) / (last - peak) if last > peak else 1.0)

    def _anneal(self, start: float, end: float, fraction: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * fraction
        return end + (start - end) * (1.0 + math.cos(math.pi * fraction)) / 2.0
