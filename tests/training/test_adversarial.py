"""Adversarial training: how far rows are moved and where to, whose gradients are left, and the same in torch."""

import copy

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st
from run_bound import RunBound

import numpy_nn as nn
from numpy_nn.training.adversarial import perturb
from torch_ref import bounds, optimizer_to_torch, parameters_as_numpy, to_torch
from torch_ref import training as their_training
from torch_ref.parity import compare
from torch_ref.rounding import Rounded, as_rounded

CROSS_ENTROPY = torch.nn.CrossEntropyLoss()
TWO_DIMENSIONS = st.tuples(st.integers(1, 6), st.integers(1, 20))


@given(data=st.data(), dtype=our.dtypes, shape=TWO_DIMENSIONS, epsilon=st.floats(1e-3, 1e3))
def test_moved_rows_match_torch(data, dtype, shape, epsilon):
    x, gradient = (data.draw(our.float_arrays(shape, dtype)) for _ in range(2))
    assert_moved_as_by_torch(x, gradient, epsilon)


def test_a_row_whose_gradient_a_machine_may_flush_is_moved_as_by_torch_where_it_does_not():
    x = np.linspace(-1.0, 1.0, 8, dtype=np.float32).reshape(2, 4)
    gradient = np.zeros_like(x)
    gradient[1, 3] = 1e-45
    assert_moved_as_by_torch(x, gradient, 1.0)


def assert_moved_as_by_torch(x, gradient, epsilon):
    dtype = x.dtype.type
    ours = perturb(x, gradient, epsilon)
    theirs = their_training.perturb(torch.tensor(x.copy()), torch.tensor(gradient.copy()), epsilon)
    assert ours.dtype == dtype
    peak = np.abs(gradient).max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):  # next to a peak that may be flushed there is no bound
        unit = Rounded(gradient, dtype=dtype) / np.where(peak == 0, 1, peak).astype(dtype)
        length = (unit * unit).sum(axis=1, keepdims=True).sqrt()
        length = Rounded(np.where(peak == 0, 1.0, length.value), np.where(peak == 0, 0.0, length.error), dtype=dtype)
        moved = Rounded(x, dtype=dtype) + unit * (epsilon / length)
    assert compare("moved rows", ours, theirs, moved).ok


@pytest.mark.parametrize("perturb_by", ["numpy", "torch"])
@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1.0, 1e30])
def test_rows_are_moved_by_epsilon_however_small_their_gradients(scale, perturb_by):
    gradient = (np.random.default_rng(0).standard_normal((5, 30)) * scale).astype(np.float32)
    gradient[2] = 0.0
    x = np.zeros_like(gradient)
    if perturb_by == "numpy":
        moved = perturb(x, gradient, 2.5)
    else:
        moved = their_training.perturb(torch.from_numpy(x), torch.from_numpy(gradient), 2.5).numpy()
    lengths = np.linalg.norm(moved.astype(np.float64), axis=1)
    # Of a sum of 30 squares half the relative error, and three more roundings.
    np.testing.assert_allclose(lengths[[0, 1, 3, 4]], 2.5, rtol=20 * 2.0**-24)
    np.testing.assert_array_equal(moved[2], x[2])


def test_rows_may_have_any_shape():
    x, gradient = np.random.default_rng(0).standard_normal((2, 4, 3, 5))
    flat = perturb(x.reshape(4, 15), gradient.reshape(4, 15), 0.3)
    np.testing.assert_array_equal(perturb(x, gradient, 0.3).reshape(4, 15), flat)


@given(seed=our.seeds, epsilon=st.floats(0.01, 10.0), smoothing=st.floats(0.0, 0.5))
def test_a_convex_loss_grows_at_least_by_its_slope(seed, epsilon, smoothing):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    net = nn.Sequential(nn.Linear(4, 3, rng=rng, dtype=np.float64))
    loss = nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)
    before = loss(net(x), y).copy()
    gradient = net.backward(loss.backward(np.ones(6)))
    slope = np.linalg.norm(gradient, axis=1)
    x_moved = perturb(x, gradient, epsilon)
    moved = loss(net(x_moved), y)
    errors = [bounds.reduced_loss(loss, bounds.forward(net[0], as_rounded(at)), y)[0].reach for at in (x, x_moved)]
    # Rounding in the gradient turns the direction; along it the slope is less by the square of the angle.
    assert (moved >= before + epsilon * slope * (1.0 - 2.0**-40) - sum(errors)).all()


@given(seed=our.seeds, dtype=our.dtypes, epsilon=st.floats(0.01, 3.0))
def test_the_gradients_are_the_mean_of_those_at_both_places(seed, dtype, epsilon):
    x, y = nn.datasets.spirals(20, rng=seed, dtype=dtype)
    net = nn.MLP([2, 8, 3], "tanh", batch_norm=True, rng=seed, dtype=dtype)
    by_hand, loss = copy.deepcopy(net), nn.CrossEntropyLoss()
    value, right, *_ = nn.AdversarialTraining(epsilon)(net, loss, x, y)

    first = loss(by_hand(x), y)
    slope = by_hand.backward(loss.backward()).copy()
    at_x = by_hand.parameters().grad.copy()
    second, correct, *_ = loss.score(by_hand(perturb(x, slope, epsilon)), y)
    by_hand.backward(loss.backward())
    assert value == (first + second) / 2
    assert right == correct
    np.testing.assert_array_equal(net.parameters().grad, (at_x + by_hand.parameters().grad) / 2)
    for name, buffer in net.named_buffers():
        np.testing.assert_array_equal(buffer, dict(by_hand.named_buffers())[name])


@pytest.mark.parametrize("clip", [None, 0.5])
def test_both_engines_train_alike(clip):
    x, y = nn.datasets.spirals(48, rng=0, dtype=np.float64)
    net, loss = nn.MLP([2, 8, 3], "tanh", rng=1, dtype=np.float64), nn.CrossEntropyLoss()
    model = to_torch(net)
    ours, theirs = (nn.DataLoader(x, y, 16, rng=2) for _ in range(2))
    optimizer = nn.SGD(net.parameters(), lr=0.2, momentum=0.9)
    their_optimizer = optimizer_to_torch(optimizer, model)
    held = RunBound(net, loss, ours, 1, epsilon=0.2, clip=clip)
    callbacks = [held] if clip is None else [held, nn.ClipGradNorm(clip)]
    with np.errstate(all="ignore"):
        fitted = nn.fit(net, loss, optimizer, ours, 2, callbacks=callbacks, gradients=nn.AdversarialTraining(0.2))
    step = their_training.make_step(model, CROSS_ENTROPY, their_optimizer, adversarial=0.2, clip_grad_norm=clip)
    metrics = []
    for _ in fitted.epochs:
        batches = their_training.resident_batches(torch.from_numpy(x), torch.from_numpy(y), theirs.indices())
        metrics.append(their_training.train_epoch(model, CROSS_ENTROPY, their_optimizer, batches, step=step))
    held.check({n: p.data for n, p in net.named_parameters()}, [epoch.train_loss for epoch in fitted.epochs], 1e-8)
    held.check(dict(parameters_as_numpy(model)), [epoch.loss for epoch in metrics], 1e-8)
    assert [epoch.accuracy for epoch in metrics] == [epoch.train_accuracy for epoch in fitted.epochs]


@pytest.mark.filterwarnings("ignore:overflow|invalid")
def test_training_that_diverges_says_so():
    x, y = nn.datasets.spirals(20, rng=0)
    net = nn.MLP([2, 8, 3], rng=0)
    optimizer = nn.SGD(net.parameters(), lr=1e30)
    with pytest.raises(nn.Divergence, match="the loss is"):
        nn.fit(
            net,
            nn.CrossEntropyLoss(),
            optimizer,
            nn.DataLoader(x, y, 5, rng=0),
            5,
            gradients=nn.AdversarialTraining(0.1),
        )


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.nan, np.inf, 1e6 + 1e-6])
def test_lengths_that_move_nothing_or_too_far_are_refused(epsilon):
    with pytest.raises(ValueError, match=r"epsilon: expected a finite number <= 1e\+06 and > 0"):
        nn.AdversarialTraining(epsilon)
    model = to_torch(nn.MLP([2, 3], rng=0))
    with pytest.raises(ValueError, match=r"epsilon: expected a finite number <= 1e\+06 and > 0"):
        their_training.make_step(model, CROSS_ENTROPY, torch.optim.SGD(model.parameters()), adversarial=epsilon)


def test_it_tells_its_length():
    assert repr(nn.AdversarialTraining(0.25)) == "AdversarialTraining(epsilon=0.25)"
    assert nn.AdversarialTraining(1e6).epsilon == 1e6
    with pytest.raises(TypeError, match="epsilon: expected a number, got str"):
        nn.AdversarialTraining("far")
