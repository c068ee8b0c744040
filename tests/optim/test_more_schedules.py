"""Warm-up, restarts, sequences and plateaus against torch.optim.lr_scheduler, in groups with rates of their own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn

U = 2.0**-53

rates = st.floats(1e-4, 1.0)
lengths = st.integers(1, 40)
theirs = torch.optim.lr_scheduler


def optimizers(first=0.1, second=0.1, kind="SGD"):
    """The same optimizer in both engines, with two groups of one number with gradient 0 each."""
    ours = [{"params": [nn.Parameter(np.ones(1))], "lr": first}, {"params": [nn.Parameter(np.ones(1))]}]
    other = [{"params": [torch.ones(1, requires_grad=True)], "lr": first}, {"params": [torch.ones(1)]}]
    return getattr(nn, kind)(ours, lr=second), getattr(torch.optim, kind)(other, lr=second)


def walk(schedules, pair, steps):
    """Yields t and both engines' rates, for each group, from the schedules' making to ``steps`` steps later."""
    for t in range(steps + 1):
        for ours, other in zip(pair[0].param_groups, pair[1].param_groups, strict=True):
            yield t, ours["lr"], other["lr"]
        if t < steps:
            for one in (*pair, *schedules):
                one.step()


@given(first=rates, second=rates, step_size=st.integers(1, 7), T_max=st.integers(20, 40), steps=st.integers(1, 20))
def test_every_schedule_scales_each_group_from_its_own_rate(first, second, step_size, T_max, steps):
    for make in (
        lambda m, o: m.StepLR(o, step_size, 0.5),
        lambda m, o: m.CosineAnnealingLR(o, T_max, 0.01),
        lambda m, o: m.OneCycleLR(o, 0.5, T_max, cycle_momentum=False),
    ):
        pair = optimizers(first, second)
        for t, ours, other in walk((make(nn, pair[0]), make(theirs, pair[1])), pair, steps):
            # As in test_schedules: at most four roundings a step in torch, and a few more for both.
            assert abs(ours - other) <= (4 * t + 20) * U * max(first, second, 0.5)


@given(first=rates, second=rates, start=st.floats(0.01, 1.0), end=st.floats(0.1, 1.0), total=lengths, steps=lengths)
def test_linear_lr_is_torch_s(first, second, start, end, total, steps):
    pair = optimizers(first, second)
    options = {"start_factor": start, "end_factor": end, "total_iters": total}
    for t, ours, other in walk((nn.LinearLR(pair[0], **options), theirs.LinearLR(pair[1], **options)), pair, steps):
        # torch multiplies each rate by 1 + (b - a) / (n a + (t - 1) (b - a)). The sum below the line is at least a
        # tenth of its larger term, whose two roundings, and that of b - a, count ten times; four more round after it.
        assert abs(ours - other) <= (34 * t + 10) * U * ours


@given(first=rates, second=rates, T_0=st.integers(1, 9), T_mult=st.integers(1, 3), eta_min=st.floats(0.0, 1.0))
def test_warm_restarts_are_torch_s(first, second, T_0, T_mult, eta_min):
    pair = optimizers(first, second, "RMSprop")
    options = {"T_0": T_0, "T_mult": T_mult, "eta_min": eta_min}
    schedules = (
        nn.CosineAnnealingWarmRestarts(pair[0], **options),
        theirs.CosineAnnealingWarmRestarts(pair[1], **options),
    )
    for _, ours, other in walk(schedules, pair, 50):
        # Both engines evaluate the formula at every step: the cosine's argument rounds three times, and six steps more.
        assert abs(ours - other) <= 20 * U * max(first, second, eta_min)


@given(
    first=rates,
    second=rates,
    warm=st.integers(1, 10),
    between=st.integers(1, 10),
    steps=st.integers(1, 40),
    order=st.permutations(["cosine", "step", "restarts"]),
)
def test_one_schedule_after_the_other_is_torch_s(first, second, warm, between, steps, order):
    pair = optimizers(first, second, "AdamW")

    def make(module, optimizer):
        parts = {
            "cosine": lambda: module.CosineAnnealingLR(optimizer, 60, 1e-3),
            "step": lambda: module.StepLR(optimizer, 3, 0.5),
            "restarts": lambda: module.CosineAnnealingWarmRestarts(optimizer, 4, 2),
        }
        schedules = [module.LinearLR(optimizer, 0.1, total_iters=warm), *(parts[name]() for name in order[:2])]
        return module.SequentialLR(optimizer, schedules, [warm, warm + between])

    for t, ours, other in walk((make(nn, pair[0]), make(theirs, pair[1])), pair, steps):
        # At most as many roundings a step as LinearLR has, of numbers no larger than the largest rate.
        assert abs(ours - other) <= (34 * t + 30) * U * max(first, second)


def test_a_sequence_within_a_sequence_is_its_parts_in_a_row():
    optimizer, plain = optimizers(0.5)[0], optimizers(0.5)[0]
    inner = nn.SequentialLR(optimizer, [nn.LinearLR(optimizer, 0.5, total_iters=2), nn.StepLR(optimizer, 1)], [2])
    outer = nn.SequentialLR(optimizer, [inner, nn.StepLR(optimizer, 1, 0.5)], [4])
    flat = nn.SequentialLR(
        plain, [nn.LinearLR(plain, 0.5, total_iters=2), nn.StepLR(plain, 1), nn.StepLR(plain, 1, 0.5)], [2, 4]
    )
    for _ in range(8):
        assert optimizer.lr == plain.lr
        outer.step()
        flat.step()


@given(
    metrics=st.lists(st.one_of(st.floats(-2.0, 2.0), st.sampled_from([1.0, math.nan, math.inf])), max_size=60),
    options=st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["min", "max"]),
            "factor": st.floats(0.1, 0.9),
            "patience": st.integers(0, 3),
            "threshold": st.sampled_from([0.0, 1e-4, 0.1]),
            "threshold_mode": st.sampled_from(["rel", "abs"]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.0, 0.01]),
            "eps": st.sampled_from([1e-8, 1e-2]),
        }
    ),
    first=rates,
    second=rates,
)
def test_a_plateau_is_torch_s_to_the_bit(metrics, options, first, second):
    pair = optimizers(first, second)
    ours, other = nn.ReduceLROnPlateau(pair[0], **options), theirs.ReduceLROnPlateau(pair[1], **options)
    for value in metrics:
        ours.step(value)
        other.step(value)
        for a, b in zip(pair[0].param_groups, pair[1].param_groups, strict=True):
            assert a["lr"] == b["lr"]
        assert (ours.best, ours.num_bad_epochs) == (other.best, other.num_bad_epochs)
        assert (ours.cooldown_counter, ours.t) == (other.cooldown_counter, other.last_epoch)


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "limit"),
    [("min", "rel", 3.0), ("min", "abs", 3.75), ("max", "rel", 5.0), ("max", "abs", 4.25)],
)
def test_a_metric_is_better_by_a_share_of_the_best_or_by_so_much(mode, threshold_mode, limit):
    sign = 1.0 if mode == "max" else -1.0
    for past, reduced in ((0.01, False), (0.0, True), (-0.01, True)):
        optimizer = optimizers()[0]
        schedule = nn.ReduceLROnPlateau(
            optimizer, mode, factor=0.5, patience=0, threshold=0.25, threshold_mode=threshold_mode
        )
        schedule.step(4.0)
        schedule.step(limit + sign * past)
        assert optimizer.lr == (0.05 if reduced else 0.1), past
        assert schedule.best == (4.0 if reduced else limit + sign * past)


def test_a_second_schedule_begins_with_the_rates_before_the_first_or_with_those_assigned():
    pair = optimizers(0.5, 0.25)
    for module, optimizer in ((nn, pair[0]), (theirs, pair[1])):
        module.LinearLR(optimizer, 0.5)
        assert list(module.StepLR(optimizer, 1).base_lrs) == [0.5, 0.25]
    pair[0].lr = 0.75
    assert nn.StepLR(pair[0], 1).base_lrs == (0.75, 0.75)


def test_momentum_is_cycled_in_every_group():
    optimizer = nn.RMSprop([{"params": [nn.Parameter(np.ones(1))]} for _ in range(2)], momentum=0.5)
    schedule = nn.OneCycleLR(optimizer, 0.5, 10)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.95, 0.95]
    schedule.step()
    assert [group["momentum"] for group in optimizer.param_groups] == [optimizer.momentum] * 2
    with pytest.raises(ValueError, match="cycle_momentum"):
        nn.OneCycleLR(nn.RMSprop([nn.Parameter(np.ones(1))]), 0.5, 10)


OPTIMIZER = optimizers()[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda o: nn.LinearLR(o, 0.0), ValueError, "start_factor: expected a finite number <= 1 and > 0, got 0"),
        (lambda o: nn.LinearLR(o, end_factor=1.5), ValueError, "end_factor"),
        (lambda o: nn.LinearLR(o, total_iters=0), ValueError, "total_iters"),
        (lambda o: nn.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0"),
        (lambda o: nn.CosineAnnealingWarmRestarts(o, 5, 0), ValueError, "T_mult"),
        (lambda o: nn.CosineAnnealingWarmRestarts(o, 5, 1, -1.0), ValueError, "eta_min"),
        (lambda o: nn.SequentialLR(o, [nn.StepLR(o, 1)], [3]), ValueError, "one fewer than schedulers, got 1 and 1"),
        (lambda o: nn.SequentialLR(o, [nn.StepLR(o, 1)] * 3, [3, 3]), ValueError, "each larger than the one before"),
        (lambda o: nn.SequentialLR(o, [nn.StepLR(o, 1)] * 2, [0]), ValueError, "milestones: expected an integer >= 1"),
        (lambda o: nn.SequentialLR(o, [nn.StepLR(OPTIMIZER, 1)], []), ValueError, "got a StepLR of another"),
        (lambda o: nn.SequentialLR(o, [nn.ReduceLROnPlateau(o)], []), TypeError, "schedules, got ReduceLROnPlateau"),
        (lambda o: nn.ReduceLROnPlateau(o, "least"), ValueError, "mode: .* 'min', 'max'"),
        (lambda o: nn.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor: .* < 1, got 1"),
        (lambda o: nn.ReduceLROnPlateau(o, patience=-1), ValueError, "patience"),
        (lambda o: nn.ReduceLROnPlateau(o, threshold_mode="none"), ValueError, "threshold_mode"),
        (lambda _: nn.ReduceLROnPlateau(None), TypeError, "optimizer: expected an Optimizer, got NoneType"),
        (lambda _: nn.SequentialLR(None, [], []), TypeError, "optimizer: expected an Optimizer, got NoneType"),
    ],
)
def test_bad_settings_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call(optimizers()[0])
