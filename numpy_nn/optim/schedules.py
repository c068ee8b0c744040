"""Learning-rate schedules, spelled and defined as in torch.optim.lr_scheduler.

A schedule sets the rate of each group when it is made, for the first step, and at every ``step()``, for the next one.
Call ``step()`` after ``optimizer.step()``, once an epoch or once a batch, as the schedule's lengths are meant.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence

from numpy_nn._support.checks import choice, count, number
from numpy_nn.optim.base import Group, Optimizer


class Schedule(ABC):
    """The base class: counts the steps t = 0, 1, 2, ...; a subclass sets what holds at each, by :meth:`_set`.

    ``base_lrs`` are the rates lr_0 that the groups had before any schedule changed them, kept in each group as
    "initial_lr", as in torch: of two schedules of one optimizer, the second begins with the rates of the first.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = _checked(optimizer)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs: tuple[float, ...] = tuple(group["initial_lr"] for group in optimizer.param_groups)
        self.t = 0
        self._set(0)

    def step(self) -> None:
        """Go on to the next step."""
        self.go_to(self.t + 1)

    def go_to(self, t: int) -> None:
        """Go on, or back, to step ``t``."""
        self._set(t)
        self.t = t

    @abstractmethod
    def _set(self, t: int) -> None:
        """Have the optimizer's groups be as they are at step ``t``."""


class RateFormula(Schedule):
    """A schedule whose rate of each group is a formula of the step and of the group's first rate."""

    def _set(self, t: int) -> None:
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self._lr(t, base_lr)

    @abstractmethod
    def _lr(self, t: int, base_lr: float) -> float:
        """The rate at step ``t`` of a group that begins with ``base_lr``."""


class StepLR(RateFormula):
    """lr_t = lr_0 gamma^floor(t / step_size)."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count(step_size, "step_size")
        self.gamma = number(gamma, "gamma", low=0.0)
        super().__init__(optimizer)

    def _lr(self, t: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (t // self.step_size)


class LinearLR(RateFormula):
    """lr_t = lr_0 (a + (b - a) min(t, n) / n): a way up, or down, from a lr_0 to b lr_0 in n steps.

    a, b and n are ``start_factor``, ``end_factor`` and ``total_iters``. The rate warms up before another schedule
    takes over in :class:`SequentialLR`. ValueError for a start_factor outside (0, 1] or an end_factor outside [0, 1].
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor = number(start_factor, "start_factor", above=0.0, high=1.0)
        self.end_factor = number(end_factor, "end_factor", low=0.0, high=1.0)
        self.total_iters = count(total_iters, "total_iters")
        super().__init__(optimizer)

    def _lr(self, t: int, base_lr: float) -> float:
        share = min(t, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * share)


class CosineAnnealingLR(RateFormula):
    """lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2 (Loshchilov and Hutter, "SGDR", 2017, eq. 5)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = count(T_max, "T_max")
        self.eta_min = number(eta_min, "eta_min", low=0.0)
        super().__init__(optimizer)

    def _lr(self, t: int, base_lr: float) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1.0 + math.cos(math.pi * t / self.T_max)) / 2.0


class CosineAnnealingWarmRestarts(RateFormula):
    """The first half of :class:`CosineAnnealingLR` again and again: T_0 steps, then T_0 T_mult, T_0 T_mult^2, ...

    Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts" (2017), section 3.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        self.T_0 = count(T_0, "T_0")
        self.T_mult = count(T_mult, "T_mult")
        self.eta_min = number(eta_min, "eta_min", low=0.0)
        super().__init__(optimizer)

    def _lr(self, t: int, base_lr: float) -> float:
        length = self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t -= length
            length *= self.T_mult
        return self.eta_min + (base_lr - self.eta_min) * (1.0 + math.cos(math.pi * t / length)) / 2.0


class OneCycleLR(RateFormula):
    """Up from max_lr / div_factor to max_lr, then down to that initial rate / final_div_factor, in total_steps steps.

    The way up takes the fraction ``pct_start`` of the steps; both ways follow a half cosine or a straight line
    (``anneal_strategy``). With ``cycle_momentum`` the momentum of SGD, or beta1 of Adam, goes the other way, from
    max_momentum down to base_momentum and back; ValueError for SGD without momentum. ``step()`` beyond
    ``total_steps`` is a ValueError. All groups have the same rate. After Smith and Topin, "Super-Convergence" (2018);
    two phases, as torch's default.
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
        groups = _checked(optimizer).param_groups
        below = 1.0 if "betas" in groups[0] else math.inf
        self.max_momentum = number(max_momentum, "max_momentum", low=0.0, below=below)
        self.initial_lr = self.max_lr / number(div_factor, "div_factor", above=0.0)
        self.min_lr = self.initial_lr / number(final_div_factor, "final_div_factor", above=0.0)
        if cycle_momentum and not all("betas" in group or group.get("momentum") for group in groups):
            raise ValueError("cycle_momentum: expected an optimizer with momentum > 0 or betas; pass False without")
        for group in groups:
            group["initial_lr"] = self.initial_lr
        super().__init__(optimizer)

    def _set(self, t: int) -> None:
        # The last allowed call comes after the last optimizer step and sets a rate that nobody uses, as in torch.
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: expected at most total_steps = {self.total_steps} steps, got step {t}")
        super()._set(t)
        if not self.cycle_momentum:
            return
        momentum = self._cycle(t, self.max_momentum, self.base_momentum, self.max_momentum)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = momentum, group["betas"][1]
            else:
                group["momentum"] = momentum

    def _lr(self, t: int, _: float) -> float:
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


class SequentialLR(Schedule):
    """One schedule after the other: the next one begins, at its own step 0, at each of the ``milestones``.

    All begin with the rates that the groups had before the first one was made. ValueError unless there is one
    milestone fewer than schedules, each larger than the one before, and all are of ``optimizer``.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        _checked(optimizer)
        self.schedulers = list(schedulers)
        self.milestones = tuple(count(milestone, "milestones") for milestone in milestones)
        for schedule in self.schedulers:
            if not isinstance(schedule, Schedule):
                raise TypeError(f"schedulers: expected schedules, got {type(schedule).__name__}")
            if schedule.optimizer is not optimizer:
                raise ValueError(
                    f"schedulers: expected those of the optimizer, got a {type(schedule).__name__} of another"
                )
        if len(self.schedulers) != len(self.milestones) + 1:
            raise ValueError(
                f"milestones: expected one fewer than schedulers, got {len(self.milestones)} and {len(self.schedulers)}"
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones: expected each larger than the one before, got {self.milestones}")
        super().__init__(optimizer)

    def _set(self, t: int) -> None:
        index = bisect_right(self.milestones, t)
        self.schedulers[index].go_to(t - (0, *self.milestones)[index])


class ReduceLROnPlateau:
    """Multiplies the rates by ``factor`` when a metric has not got better for more than ``patience`` steps.

    ``step(metric)`` counts one; :func:`~numpy_nn.fit` calls it after each epoch, with the loss on the test set, or with
    the running training loss where there is none. Better is, with ``mode`` "min", a metric below best (1 - threshold)
    or, with ``threshold_mode`` "abs", below best - threshold; with "max", one above best (1 + threshold) or above
    best + threshold. After a cut, ``cooldown`` steps do not count. No rate gets below ``min_lr``, and a change of no
    more than ``eps`` is not made. ValueError for a factor outside [0, 1).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = _checked(optimizer)
        self.mode = choice(mode, "mode", ("min", "max"))
        self.factor = number(factor, "factor", low=0.0, below=1.0)
        self.patience = count(patience, "patience", low=0)
        self.threshold = number(threshold, "threshold", low=0.0)
        self.threshold_mode = choice(threshold_mode, "threshold_mode", ("rel", "abs"))
        self.cooldown = count(cooldown, "cooldown", low=0)
        self.min_lr = number(min_lr, "min_lr", low=0.0)
        self.eps = number(eps, "eps", low=0.0)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.t = 0

    def step(self, metrics: float) -> None:
        """Take the metric of one more epoch, which may be NaN: that is no better."""
        value = float(metrics)
        self.t += 1
        if self._is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group in self.optimizer.param_groups:
                self._reduce(group)
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def _reduce(self, group: Group) -> None:
        lr = max(group["lr"] * self.factor, self.min_lr)
        if group["lr"] - lr > self.eps:
            group["lr"] = lr

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        limit = self.best + sign * self.threshold
        if self.threshold_mode == "rel":
            limit = self.best * (1.0 + sign * self.threshold)
        return value > limit if self.mode == "max" else value < limit


def _checked(optimizer: Optimizer) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected an Optimizer, got {type(optimizer).__name__}")
    return optimizer
