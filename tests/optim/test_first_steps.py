"""Optimizers, schedules, averages, whole runs and the perceptron: before the first step, and at it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import strategies as our
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

import numpy_nn as nn
from torch_ref import optimizer_to_torch, to_torch

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda parameters: nn.SGD(parameters, 0.1),
    "momentum": lambda parameters: nn.SGD(parameters, 0.1, 0.9, nesterov=True),
    "Adam": nn.Adam,
    "AdamW": nn.AdamW,
    "amsgrad": lambda parameters: nn.Adam(parameters, amsgrad=True),
    "RMSprop": lambda parameters: nn.RMSprop(parameters, momentum=0.9, centered=True),
}
SCHEDULES = {
    "StepLR": (lambda o: nn.StepLR(o, 2), lambda o: torch.optim.lr_scheduler.StepLR(o, 2)),
    "CosineAnnealingLR": (
        lambda o: nn.CosineAnnealingLR(o, 5),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
    ),
    "OneCycleLR": (
        lambda o: nn.OneCycleLR(o, 0.5, 5, cycle_momentum=False),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.5, 5, cycle_momentum=False),
    ),
}


def small(dtype=np.float64, seed=0):
    return nn.MLP([3, 4, 2], "prelu", batch_norm=True, dropout=0.5, rng=seed, dtype=dtype)


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_starts_with_no_steps_and_zeros_and_moves_nothing(kind, dtype):
    net = small(dtype)
    before = net.parameters().data.copy()
    optimizer = OPTIMIZERS[kind](net.parameters())
    assert optimizer.steps == 0
    np.testing.assert_array_equal(net.parameters().data, before)
    names = {
        "SGD": [],
        "momentum": ["momentum_buffer"],
        "Adam": ["sum", "sum_sq"],
        "AdamW": ["sum", "sum_sq"],
        "amsgrad": ["sum", "sum_sq", "max_sum_sq"],
        "RMSprop": ["square_avg", "momentum_buffer", "grad_avg"],
    }[kind]
    (state,) = optimizer.state
    assert list(state) == names
    for array in state.values():
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, np.zeros_like(before))
    optimizer.step()
    assert optimizer.steps == 1


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_step_before_the_first_backward_pass_sees_gradients_of_zero(kind):
    net = small()
    twin = to_torch(net)
    optimizer, theirs = OPTIMIZERS[kind](net.parameters()), optimizer_to_torch(OPTIMIZERS[kind](net.parameters()), twin)
    for p in twin.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    theirs.step()
    for name, p in net.named_parameters():
        # Only AdamW moves: its decay is one product.
        np.testing.assert_array_equal(p.data.T, dict(twin.named_parameters())[name].detach().numpy())


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_schedule_before_its_first_step_has_set_the_first_rate(schedule, kind):
    parameter = [nn.Parameter(np.ones(2))]
    optimizer = OPTIMIZERS[kind](parameter)
    theirs = optimizer_to_torch(optimizer, torch.nn.Linear(1, 1))
    lr = optimizer.lr
    ours, other = SCHEDULES[schedule][0](optimizer), SCHEDULES[schedule][1](theirs)
    assert ours.t == other.last_epoch == 0
    assert list(ours.base_lrs) == other.base_lrs == [optimizer.param_groups[0]["initial_lr"]]
    if schedule != "OneCycleLR":
        assert ours.base_lrs == (lr,)
    assert optimizer.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=2.0**-51, abs=0)
    assert optimizer.steps == 0
    np.testing.assert_array_equal(parameter[0].data, 1.0)


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("use_buffers", [False, True])
def test_an_average_is_the_network_before_its_first_update_and_copies_it_at_the_first(decay, use_buffers):
    net = small()
    average = nn.AveragedModel(net, decay, use_buffers=use_buffers)
    theirs = torch.optim.swa_utils.AveragedModel(
        to_torch(net), multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=use_buffers
    )
    assert average.n_averaged == int(theirs.n_averaged) == 0
    for name, array in average.module.state_dict().items():
        np.testing.assert_array_equal(array, net.state_dict()[name])
    assert not np.shares_memory(average.module.parameters().data, net.parameters().data)
    net.load_state_dict(small(seed=1).state_dict())
    for _, buffer in net.named_buffers():
        buffer += 3
    average.update_parameters(net)
    theirs.update_parameters(to_torch(net))
    assert average.n_averaged == int(theirs.n_averaged) == 1
    for name, array in average.module.state_dict().items():
        np.testing.assert_array_equal(array, net.state_dict()[name])
        np.testing.assert_array_equal(array.T, theirs.module.state_dict()[name].numpy())


def run(seed):
    """Everything that has a state, before its first step."""
    net = small(seed=seed)
    optimizer = nn.Adam(net.parameters())
    x = np.random.default_rng(seed).standard_normal((6, 3))
    batches = nn.DataLoader(x, np.arange(6) % 2, 4, rng=seed)
    schedule = nn.OneCycleLR(optimizer, 0.1, 8)
    return nn.TrainingState(net, optimizer, batches, schedule=schedule, average=nn.AveragedModel(net, 0.9))


def train(state, epochs):
    history = nn.fit(
        *(state.net, nn.CrossEntropyLoss(), state.optimizer, state.batches, epochs),
        schedule=state.schedule,
        history=state.history,
        callbacks=[nn.UpdateAverage(state.average)],
    )
    return [epoch.train_loss for epoch in history.epochs]


def test_a_run_that_is_saved_before_its_first_step_goes_on_as_itself(tmp_path):
    state, other = run(0), run(1)
    state.save(tmp_path / "state.npz")
    train(other, 2)
    other.load(tmp_path / "state.npz")
    assert other.history.epochs == []
    assert (other.optimizer.steps, other.schedule.t, other.average.n_averaged) == (0, 0, 0)
    for name, array in state.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
    other.batches.x[...] = state.batches.x  # data are no part of the state
    assert train(other, 3) == train(state, 3)


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_a_perceptron_before_fit_has_a_plane_of_zeros_and_answers_minus_one(dtype):
    perceptron, x, y = nn.Perceptron(2, dtype=dtype), np.array([[1.0, 2.0], [-3.0, 0.5]], dtype), np.array([1, -1])
    np.testing.assert_array_equal(perceptron.decision_function(x), [0.0, 0.0])
    np.testing.assert_array_equal(perceptron.predict(x), [-1, -1])
    np.testing.assert_array_equal(perceptron.loss(x, y), [0.0, 0.0])
    assert perceptron.novikoff_bound(x, y) == math.inf
    with pytest.raises(ValueError, match="weight other than 0"):
        perceptron.margin(x, y)
    assert (perceptron.weight.dtype, perceptron.bias.dtype, perceptron.bias.shape) == (dtype, dtype, ())
    # Weights set by hand, as in a lesson: the labels are -1 and +1 until fit is given others.
    perceptron.weight[0] = 1.0
    np.testing.assert_array_equal(perceptron.predict(x), [1, -1])
    assert perceptron.update(x[1], 1)
    np.testing.assert_array_equal(perceptron.predict(-x), [1, -1])
    perceptron.fit(x, [1, 0])
    np.testing.assert_array_equal(perceptron.predict(x), [1, 0])


def test_a_history_before_the_first_epoch_is_empty():
    history = nn.PerceptronHistory()
    assert (history.mistakes, history.converged, history.total_mistakes) == ([], False, 0)
    assert nn.History().epochs == []
