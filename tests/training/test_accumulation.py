"""Gradients that are added up over the parts of a batch are those of the whole batch."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_bound import RunBound

import numpy_nn as nn
from torch_ref import loss_to_torch, to_torch


@given(
    rows=st.sampled_from([1, 2, 4, 8, 16]),
    parts=st.sampled_from([1, 2, 4, 8, 16, 32]),
    reduction=st.sampled_from(["mean", "sum"]),
    dtype=our.dtypes,
    seed=our.seeds,
    as_layer=st.booleans(),
)
def test_where_nothing_rounds_they_are_equal(rows, parts, reduction, dtype, seed, as_layer):
    # Small integers, and means over powers of two: every product and every sum is exact, in any order.
    rng = np.random.default_rng(seed)
    layer = nn.Linear(3, 1, rng=0, dtype=dtype)
    net = layer if as_layer else nn.Sequential(layer)
    for p in net.parameters():
        p.data[...] = rng.integers(-3, 4, p.shape)
    x, y = rng.integers(-8, 9, (rows, 3)).astype(dtype), (2 * rng.integers(0, 2, (rows, 1)) - 1).astype(dtype)
    loss = nn.PerceptronLoss(reduction)
    score = nn.training.compute_gradients(net, loss, x, y)
    whole = [p.grad.copy() for p in net.parameters()]
    assert nn.GradientAccumulation(parts)(net, loss, x, y) == score
    for p, gradient in zip(net.parameters(), whole, strict=True):
        np.testing.assert_array_equal(p.grad, gradient)


@given(rows=st.integers(1, 20), parts=st.integers(1, 25), reduction=st.sampled_from(["mean", "sum"]), seed=our.seeds)
def test_they_are_those_that_torch_adds_up_and_those_of_the_batch(rows, parts, reduction, seed):
    rng = np.random.default_rng(seed)
    net, loss = nn.MLP([4, 6, 3], "tanh", rng=seed, dtype=np.float64), nn.CrossEntropyLoss(reduction=reduction)
    x, y = rng.standard_normal((rows, 4)), rng.integers(0, 3, rows)
    twin, criterion = to_torch(net), loss_to_torch(loss)
    score = nn.GradientAccumulation(parts)(net, loss, x, y)
    count = min(parts, rows)
    bounds = [i * rows // count for i in range(count + 1)]
    for start, end in pairwise(bounds):
        share = (end - start) / rows if reduction == "mean" else 1.0
        part = criterion(twin(torch.from_numpy(x[start:end])), torch.from_numpy(y[start:end]))
        (share * part).backward()
    theirs = [p.grad.numpy().T for p in twin.parameters()]
    ours = [p.grad.copy() for p in net.parameters()]
    whole = nn.training.compute_gradients(net, loss, x, y)
    # A gradient is a sum over rows of numbers that round some 60 times each, none of which is larger than 4 sum |x|.
    size = 4.0 * np.abs(x).sum() + rows
    for one, other, p in zip(ours, theirs, net.parameters(), strict=True):
        assert np.abs(one - other).max() <= (rows + 60) * 2.0**-53 * size
        assert np.abs(one - p.grad).max() <= (rows + 60) * 2.0**-53 * size
    assert score.correct == whole.correct
    assert score.loss == pytest.approx(whole.loss, rel=(rows + 60) * 2.0**-53)


def test_fit_takes_the_steps_of_the_large_batches():
    x, y = nn.datasets.spirals(32, rng=0, dtype=np.float64)
    net = nn.MLP([2, 8, 3], "tanh", rng=1, dtype=np.float64)
    other = copy.deepcopy(net)
    for one, parts in ((net, 1), (other, 4)):
        optimizer, loss, loader = nn.SGD(one.parameters(), 0.1), nn.CrossEntropyLoss(), nn.DataLoader(x, y, 8, rng=0)
        options = {} if parts == 1 else {"gradients": nn.GradientAccumulation(parts)}
        # Parts of a batch add up as the shares of as many processes do.
        held = RunBound(one, loss, loader, parts)
        with np.errstate(all="ignore"):
            history = nn.fit(one, loss, optimizer, loader, 2, callbacks=[held], **options)
        assert optimizer.steps == 2 * 4
        assert history.epochs[-1].train_accuracy is not None
        held.check({n: p.data for n, p in one.named_parameters()}, [epoch.train_loss for epoch in history.epochs], 1e-9)


def test_another_function_may_compute_the_parts():
    x, y = nn.datasets.spirals(8, rng=0, dtype=np.float64)
    net, loss = nn.MLP([2, 4, 3], "tanh", rng=0, dtype=np.float64), nn.CrossEntropyLoss(reduction="sum")
    adversarial = nn.AdversarialTraining(0.1)
    adversarial(net, loss, x, y)
    whole = net.parameters().grad.copy()
    accumulated = nn.GradientAccumulation(3, adversarial)
    accumulated(net, loss, x, y)
    np.testing.assert_allclose(net.parameters().grad, whole, rtol=0, atol=1e-13)
    assert repr(accumulated) == "GradientAccumulation(batches=3)"


def test_a_loss_that_does_not_classify_has_no_right_answers():
    net, x = nn.MLP([2, 2], rng=0), np.ones((4, 2), np.float32)
    assert nn.GradientAccumulation(2)(net, nn.MSELoss(), x, x).correct is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda *_: nn.GradientAccumulation(0), "batches: expected an integer >= 1"),
        (
            lambda net, x: nn.GradientAccumulation(2)(net, nn.MSELoss("none"), x, x),
            'expected reduction "mean" or "sum"',
        ),
        (lambda net, x: nn.GradientAccumulation(2)(net, nn.MSELoss(), x, x[1:]), "equally many rows"),
        (lambda net, x: nn.GradientAccumulation(2)(net, nn.MSELoss(), x[:0], x[:0]), "at least one"),
    ],
)
def test_what_cannot_be_cut_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(nn.MLP([2, 2], rng=0), np.ones((4, 2), np.float32))


def test_a_batch_of_which_no_row_counts_has_no_loss_and_gradients_of_0():
    net, loss = nn.Sequential(nn.Linear(3, 2, rng=0)), nn.CrossEntropyLoss(ignore_index=0)
    net.parameters().grad[...] = 7.0
    score = nn.GradientAccumulation(2)(net, loss, np.ones((4, 3), np.float32), np.zeros(4, np.int64))
    assert np.isnan(score.loss)
    assert (score.weight, score.answers) == (0.0, 0)
    assert not net.parameters().grad.any()
