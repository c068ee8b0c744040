"""Optimizers against torch.optim, step for step, on the same gradients, within the bound of the steps' own rounding."""

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.optim import base
from torch_ref import bounds, optimizer_settings
from torch_ref.parity import compare

TORCH = {kind: getattr(torch.optim, kind.__name__) for kind in our.OPTIMIZERS}


@given(data=st.data(), dtype=our.dtypes, shapes=st.lists(our.shapes, min_size=1, max_size=3), k=st.integers(1, 20))
def test_each_optimizer_matches_torch_step_for_step(data, dtype, shapes, k):
    parameters = [nn.Parameter(data.draw(our.float_arrays(s, dtype, limit=10.0))) for s in shapes]
    theirs = [torch.tensor(p.data.copy()) for p in parameters]
    optimizer = data.draw(our.optimizers(parameters))
    their_optimizer = TORCH[type(optimizer)](theirs, **optimizer_settings(optimizer))
    held = [bounds.OptimizerBound(optimizer, p.data) for p in parameters]
    rng, scale = np.random.default_rng(data.draw(our.seeds)), 10.0 ** data.draw(st.integers(-4, 2))
    for _ in range(k):
        for p, t, h in zip(parameters, theirs, held, strict=True):
            p.grad[...] = rng.standard_normal(p.shape) * scale
            t.grad = torch.tensor(p.grad.copy())
            with np.errstate(all="ignore"):  # a bound may become infinite
                h.step(p.grad)
        optimizer.step()
        their_optimizer.step()
        for p, t, h in zip(parameters, theirs, held, strict=True):
            assert compare("parameter", p.data, t, h.p).ok


@pytest.mark.parametrize("kind", TORCH)
def test_what_is_not_set_is_set_as_in_torch(kind):
    ours, theirs = kind([nn.Parameter(np.ones(1))]), TORCH[kind]([torch.ones(1)])
    settings = optimizer_settings(ours)
    assert settings == {name: theirs.defaults[name] for name in settings}


@given(data=st.data(), block=st.integers(1, 50))
def test_the_length_of_the_blocks_changes_no_bit(data, block):
    def after_steps(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(base, "BLOCK", size)
            p = nn.Parameter(np.linspace(-1, 1, 97).astype(np.float32))
            optimizer = make([p])
        for _ in range(3):
            p.grad[...] = np.sin(p.data)
            optimizer.step()
        return p.data

    drawn = data.draw(our.optimizers([nn.Parameter(np.ones(1))]))
    settings, kind = optimizer_settings(drawn), type(drawn)

    def make(parameters):
        return kind(parameters, **settings)

    np.testing.assert_array_equal(after_steps(block), after_steps(97))


@given(data=st.data(), dtype=our.dtypes)
def test_a_network_and_the_list_of_its_parameters_are_trained_alike(data, dtype):
    seed = data.draw(our.seeds)
    drawn = data.draw(our.optimizers([nn.Parameter(np.ones(1))]))
    settings, kind = optimizer_settings(drawn), type(drawn)
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(dtype)
    results = []
    for as_list in (False, True):
        net, loss = nn.MLP([4, 6, 3], rng=seed, dtype=dtype), nn.CrossEntropyLoss()
        optimizer = kind(list(net.parameters()) if as_list else net.parameters(), **settings)
        for _ in range(3):
            nn.train_step(net, loss, optimizer, x, np.arange(8) % 3)
        results.append(net.parameters().data)
    np.testing.assert_array_equal(*results)


def test_a_parameter_with_zero_gradient_and_no_decay_stays():
    p = nn.Parameter(np.array([1.0, -2.0]))
    for kind in (nn.SGD, nn.Adam):
        kind([p], lr=0.5).step()
    np.testing.assert_array_equal(p.data, [1.0, -2.0])


def test_settings_may_change_between_steps():
    p = nn.Parameter(np.zeros(1))
    optimizer = nn.SGD([p], lr=1.0)
    p.grad[...] = 1.0
    optimizer.step()
    optimizer.lr = 0.5
    optimizer.step()
    assert p.data == -1.5


def test_a_network_that_is_put_into_another_one_goes_on_learning():
    inner = nn.MLP([3, 4], rng=0)
    optimizer = nn.SGD(inner.parameters(), lr=0.5, momentum=0.5)
    inner.parameters().grad[...] = 1.0
    optimizer.step()
    outer = nn.Sequential(inner, nn.ReLU())
    before = outer.parameters().data.copy()
    optimizer.step()
    np.testing.assert_array_equal(outer.parameters().data, before - np.float32(0.75))


PARAMETERS = [nn.Parameter(np.ones(2))]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.SGD(PARAMETERS, lr=np.nan), ValueError, "lr: expected a finite number >= 0, got nan"),
        (lambda: nn.SGD(PARAMETERS, lr=-0.1), ValueError, "lr"),
        (lambda: nn.SGD(PARAMETERS, lr=np.inf), ValueError, "lr"),
        (lambda: nn.SGD(PARAMETERS, lr="0.1"), TypeError, "lr: expected a number, got str '0.1'"),
        (lambda: nn.SGD(PARAMETERS, lr=True), TypeError, "lr"),
        (lambda: nn.SGD(PARAMETERS, momentum=-0.9), ValueError, "momentum: expected a finite number >= 0, got -0.9"),
        (lambda: nn.SGD(PARAMETERS, weight_decay=-1.0), ValueError, "weight_decay"),
        (lambda: nn.SGD(PARAMETERS, nesterov=True), ValueError, "nesterov: expected momentum > 0"),
        (lambda: nn.Adam(PARAMETERS, betas=(1.0, 0.9)), ValueError, r"betas\[0\]: .* < 1, got 1.0"),
        (lambda: nn.Adam(PARAMETERS, betas=(-0.1, 0.9)), ValueError, r"betas\[0\]: .* >= 0"),
        (lambda: nn.Adam(PARAMETERS, betas=(0.9, -0.1)), ValueError, r"betas\[1\]: .* >= 0"),
        (lambda: nn.Adam(PARAMETERS, betas=(0.9, 1.0)), ValueError, r"betas\[1\]: .* < 1, got 1.0"),
        (lambda: nn.Adam(PARAMETERS, betas=(0.9,)), ValueError, "betas: expected two numbers"),
        (lambda: nn.Adam(PARAMETERS, betas=0.9), TypeError, "betas: expected two numbers"),
        (lambda: nn.Adam(PARAMETERS, eps=-1e-8), ValueError, "eps"),
        (lambda: nn.AdamW(PARAMETERS, weight_decay=np.nan), ValueError, "weight_decay"),
        (lambda: nn.SGD([]), ValueError, "parameters: expected at least one, got none"),
        (lambda: nn.SGD(nn.Sequential(nn.ReLU()).parameters()), ValueError, "parameters: expected at least one"),
        (lambda: nn.SGD([np.ones(2)]), TypeError, "parameters: expected Parameter objects, got ndarray"),
    ],
)
def test_bad_settings_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
