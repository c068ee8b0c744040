"""Schedules against torch.optim.lr_scheduler at every step, and against the truth where torch's own error grows."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import numpy_nn as nn

U = 2.0**-53

rates = st.floats(1e-4, 1.0)
lengths = st.integers(1, 40)
kinds = st.sampled_from(["SGD", "Adam", "AdamW"])


def optimizers(kind="SGD", lr=0.1, momentum=0.9):
    """The same optimizer in both engines, each of one number with gradient 0."""
    settings = {"lr": lr} | ({"momentum": momentum} if kind == "SGD" else {"betas": (momentum, 0.99)})
    ours = getattr(nn, kind)([nn.Parameter(np.ones(1))], **settings)
    return ours, getattr(torch.optim, kind)([torch.ones(1, requires_grad=True)], **settings)


def momentum_of(ours, theirs):
    """SGD's momentum or Adam's beta1, in both engines."""
    group = theirs.param_groups[0]
    if isinstance(ours, nn.SGD):
        return ours.momentum, group["momentum"]
    assert ours.betas[1] == group["betas"][1] == 0.99
    return ours.betas[0], group["betas"][0]


def walk(schedules, optimizers, steps):
    """Yields t and both rates, from the schedules' making to ``steps`` steps later."""
    for t in range(steps + 1):
        yield t, optimizers[0].lr, optimizers[1].param_groups[0]["lr"]
        if t < steps:
            for one in (*optimizers, *schedules):
                one.step()


@given(kind=kinds, lr=rates, step_size=st.integers(1, 7), gamma=st.floats(0.0, 2.0), steps=lengths)
def test_step_lr_is_torch_s(kind, lr, step_size, gamma, steps):
    assume(gamma == 0.0 or gamma > 1e-3)  # forty of them stay above the smallest normal number
    pair = optimizers(kind, lr)
    schedules = nn.StepLR(pair[0], step_size, gamma), torch.optim.lr_scheduler.StepLR(pair[1], step_size, gamma)
    for t, ours, theirs in walk(schedules, pair, steps):
        # torch multiplies k times, we once with a power that is good to one unit in the last place, or 2 u.
        k = t // step_size
        assert abs(ours - theirs) <= (k + 3) * U * (1 + 1e-10) * ours


@given(kind=kinds, lr=rates, T_max=lengths, eta_min=st.floats(0.0, 1.0))
def test_cosine_annealing_is_torch_s_down_to_the_minimum(kind, lr, T_max, eta_min):
    pair = optimizers(kind, lr)
    schedules = (
        nn.CosineAnnealingLR(pair[0], T_max, eta_min),
        torch.optim.lr_scheduler.CosineAnnealingLR(pair[1], T_max, eta_min),
    )
    for t, ours, theirs in walk(schedules, pair, T_max):
        # torch makes each rate from the one before, with four roundings a step of numbers no larger than the largest
        # rate. Both have errors of the cosine besides: 3 u of its argument, at most pi, and a few roundings more.
        assert abs(ours - theirs) <= (4 * t + 20) * U * max(lr, eta_min)
    assert ours == eta_min


@given(lr=rates, T_max=lengths, eta_min=st.floats(0.0, 1.0))
def test_cosine_annealing_is_its_formula_down_and_up_again(lr, T_max, eta_min):
    optimizer, _ = optimizers(lr=lr)
    schedule = nn.CosineAnnealingLR(optimizer, T_max, eta_min)
    for t in range(2 * T_max + 1):
        with mpmath.workprec(200):
            height = (1 + mpmath.cos(mpmath.pi * t / T_max)) / 2
            truth = eta_min + (mpmath.mpf(lr) - eta_min) * height
            # The argument x of the cosine is off by 3 u x; half of that goes on, and six more roundings.
            assert abs(optimizer.lr - truth) <= (1.5 * math.pi * t / T_max + 6) * U * max(lr, eta_min)
        schedule.step()


@given(
    kind=kinds,
    total_steps=lengths,
    pct_start=st.floats(0.0, 0.95),
    anneal_strategy=st.sampled_from(["cos", "linear"]),
    cycle_momentum=st.booleans(),
    settings=st.fixed_dictionaries(
        {
            "max_lr": rates,
            "base_momentum": st.floats(0.1, 0.9),
            "max_momentum": st.floats(0.1, 0.99),
            "div_factor": st.floats(1.0, 100.0),
            "final_div_factor": st.floats(1.0, 1e5),
        }
    ),
)
def test_one_cycle_is_torch_s(kind, total_steps, pct_start, anneal_strategy, cycle_momentum, settings):
    assume(pct_start * total_steps != 1.0)  # torch divides by 0 there
    pair = optimizers(kind, momentum=0.8)
    options = settings | {
        "total_steps": total_steps,
        "pct_start": pct_start,
        "anneal_strategy": anneal_strategy,
        "cycle_momentum": cycle_momentum,
    }
    schedules = nn.OneCycleLR(pair[0], **options), torch.optim.lr_scheduler.OneCycleLR(pair[1], **options)
    # The last call comes after the last optimizer step, as a loop makes it; a straight line goes on beyond its end.
    for _, ours, theirs in walk(schedules, pair, total_steps):
        momentum, their_momentum = momentum_of(*pair)
        # Each engine rounds at most five times, numbers no larger than the ends of the line and what comes out.
        assert abs(ours - theirs) <= 10 * U * max(settings["max_lr"], abs(ours))
        assert abs(momentum - their_momentum) <= 10 * U * max(1.0, abs(momentum))
        if not cycle_momentum:
            assert momentum == 0.8
    before = schedules[0].t, pair[0].lr, momentum_of(*pair)
    for schedule in schedules:
        with pytest.raises(ValueError, match="total"):
            schedule.step()
    assert (schedules[0].t, pair[0].lr, momentum_of(*pair)) == before


def test_one_cycle_without_a_way_up_begins_at_the_top():
    optimizer, _ = optimizers()
    schedule = nn.OneCycleLR(optimizer, 0.5, total_steps=4, pct_start=0.25)
    assert optimizer.lr == 0.5
    assert optimizer.momentum == 0.85
    schedule.step()
    assert optimizer.lr < 0.5


def test_one_cycle_without_a_way_down_ends_at_the_top():
    optimizer, _ = optimizers()
    schedule = nn.OneCycleLR(optimizer, 0.5, total_steps=4, pct_start=1.0)
    rates = []
    for _ in range(4):
        rates.append(optimizer.lr)
        schedule.step()
    assert rates == sorted(rates)
    assert rates[-1] == 0.5
    assert optimizer.lr == schedule.min_lr  # after the last step, when the cycle is over


@pytest.mark.parametrize(
    ("make", "first"),
    [
        (lambda o: nn.StepLR(o, 3), 0.1),
        (lambda o: nn.CosineAnnealingLR(o, 3), 0.1),
        (lambda o: nn.OneCycleLR(o, 0.5, 10, div_factor=4.0), 0.125),
    ],
)
def test_a_schedule_sets_the_rate_of_the_first_step_when_it_is_made(make, first):
    optimizer, _ = optimizers()
    schedule = make(optimizer)
    assert optimizer.lr == first
    assert schedule.optimizer is optimizer
    assert schedule.t == 0


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("StepLR", {"step_size": 3}),
        ("LinearLR", {}),
        ("CosineAnnealingLR", {"T_max": 10}),
        ("CosineAnnealingWarmRestarts", {"T_0": 3}),
        ("OneCycleLR", {"max_lr": 0.5, "total_steps": 12}),
    ],
)
def test_what_is_not_set_is_set_as_in_torch(name, asked):
    pair = optimizers()
    schedules = getattr(nn, name)(pair[0], **asked), getattr(torch.optim.lr_scheduler, name)(pair[1], **asked)
    for _, ours, theirs in walk(schedules, pair, 10):
        assert ours == pytest.approx(theirs, rel=1e-12)
        momentum, their_momentum = momentum_of(*pair)
        assert momentum == pytest.approx(their_momentum, rel=1e-12)


@pytest.mark.parametrize("lr", [0.1, 1.5e-8, 1e-9])
def test_a_plateau_that_nothing_is_set_of_is_that_of_torch(lr):
    pair = optimizers(lr=lr)
    schedules = nn.ReduceLROnPlateau(pair[0]), torch.optim.lr_scheduler.ReduceLROnPlateau(pair[1])
    # Better by more than a ten thousandth, by less, and no better.
    for value in [1.0, 1.0 - 2e-4, *[1.0 - 2.5e-4] * 9, 0.5, *[0.5] * 40]:
        for schedule in schedules:
            schedule.step(value)
        assert pair[0].lr == pytest.approx(pair[1].param_groups[0]["lr"], rel=1e-12)


@pytest.mark.parametrize("bad", [None, 0.1, torch.optim.SGD([torch.ones(1)]), nn.SGD])
@pytest.mark.parametrize(
    "make",
    [
        lambda o: nn.StepLR(o, 3),
        lambda o: nn.CosineAnnealingLR(o, 3),
        lambda o: nn.OneCycleLR(o, 1.0, 3, cycle_momentum=False),
    ],
)
def test_only_our_optimizers_are_taken(make, bad):
    with pytest.raises(TypeError, match="optimizer: expected an Optimizer, got"):
        make(bad)


def test_momentum_is_asked_for_before_it_is_cycled():
    message = "cycle_momentum: expected an optimizer with momentum > 0 or betas"
    optimizer = nn.SGD([nn.Parameter(np.ones(1))], lr=0.1)
    with pytest.raises(ValueError, match=message):
        nn.OneCycleLR(optimizer, 0.5, 10)
    assert optimizer.lr == 0.1
    nn.OneCycleLR(optimizer, 0.5, 10, cycle_momentum=False, div_factor=4.0)
    assert optimizer.lr == 0.125
    assert optimizer.momentum == 0.0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: nn.StepLR(o, 0), ValueError, "step_size: expected an integer >= 1, got 0"),
        (lambda o: nn.StepLR(o, 2.0), TypeError, "step_size: expected an integer, got float 2.0"),
        (lambda o: nn.StepLR(o, 2, math.nan), ValueError, "gamma: expected a finite number >= 0, got nan"),
        (lambda o: nn.StepLR(o, 2, -0.1), ValueError, "gamma"),
        (lambda o: nn.StepLR(o, 2, "0.1"), TypeError, "gamma: expected a number, got str '0.1'"),
        (lambda o: nn.CosineAnnealingLR(o, 0), ValueError, "T_max"),
        (lambda o: nn.CosineAnnealingLR(o, 5, math.inf), ValueError, "eta_min"),
        (lambda o: nn.CosineAnnealingLR(o, 5, -1e-9), ValueError, "eta_min"),
        (lambda o: nn.OneCycleLR(o, math.nan, 5), ValueError, "max_lr"),
        (lambda o: nn.OneCycleLR(o, 1.0, 0), ValueError, "total_steps"),
        (
            lambda o: nn.OneCycleLR(o, 1.0, 5, 1.1),
            ValueError,
            "pct_start: expected a finite number >= 0 and <= 1, got 1.1",
        ),
        (lambda o: nn.OneCycleLR(o, 1.0, 5, -0.1), ValueError, "pct_start"),
        (lambda o: nn.OneCycleLR(o, 1.0, 5, math.nan), ValueError, "pct_start"),
        (lambda o: nn.OneCycleLR(o, 1.0, 5, anneal_strategy="sine"), ValueError, "anneal_strategy: .* 'cos', 'linear'"),
        (lambda o: nn.OneCycleLR(o, 1.0, 5, base_momentum=-0.1), ValueError, "base_momentum"),
        (lambda o: nn.OneCycleLR(o, 1.0, 5, max_momentum=math.inf), ValueError, "max_momentum"),
        (lambda o: nn.OneCycleLR(o, 1.0, 5, div_factor=0.0), ValueError, "div_factor: expected a finite number > 0"),
        (lambda o: nn.OneCycleLR(o, 1.0, 5, final_div_factor=-1.0), ValueError, "final_div_factor"),
    ],
)
def test_bad_settings_are_named_and_leave_the_optimizer_alone(make, error, message):
    optimizer, _ = optimizers()
    with pytest.raises(error, match=message):
        make(optimizer)
    assert optimizer.lr == 0.1
    assert optimizer.momentum == 0.9


def test_factors_below_1_and_a_momentum_above_1_are_taken_as_torch_takes_them():
    optimizer, _ = optimizers()
    schedule = nn.OneCycleLR(optimizer, 0.5, 4, max_momentum=1.5, div_factor=0.5, final_div_factor=0.25)
    assert (schedule.initial_lr, schedule.min_lr) == (1.0, 4.0)
    assert optimizer.lr == 1.0
    assert optimizer.momentum == 1.5


def test_an_optimizer_that_knows_no_momentum_cannot_have_it_cycled():
    class Plain(nn.Optimizer):
        def _states(self, _):
            return ()

        def _prepare(self, _):
            """Nothing is the same for a whole step."""

        def _update(self, group, p, g, *_):
            p -= group["lr"] * g

    with pytest.raises(ValueError, match="cycle_momentum: expected an optimizer with momentum > 0 or betas"):
        nn.OneCycleLR(Plain([nn.Parameter(np.ones(1))], 0.1, 0.0), 0.5, 10)


def test_adam_s_beta1_cannot_be_cycled_to_where_adam_divides_by_0():
    optimizer, _ = optimizers("Adam")
    with pytest.raises(ValueError, match="max_momentum"):
        nn.OneCycleLR(optimizer, 1.0, 5, max_momentum=1.0)


def test_the_base_class_leaves_the_formula_to_its_subclasses():
    base: Any = nn.Schedule
    with pytest.raises(TypeError, match="abstract class Schedule"):
        base(optimizers()[0])
