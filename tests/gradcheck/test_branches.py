"""A branch whose mask the gradient forgets is wrong, whatever jumps there are beside it."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((5, 4))


def hard_shrink(x):
    return np.where(np.abs(x) > 0.5, x, 0.0)


def thresholded(x):
    return x * (x > 0.5)


def leaking(x):
    return np.where(x > -0.1, x, 0.0)


def layer(x, w):
    z = x @ w
    return z * (np.abs(z) > 0.5)


def layer_vjp(x, w, grad_output):
    dz = grad_output * (np.abs(x @ w) > 0.5)
    return dz @ w.T, x.T @ dz


def layer_vjp_without_mask(x, w, grad_output):
    return grad_output @ w.T, x.T @ grad_output


@pytest.mark.parametrize(
    ("f", "right", "wrong"),
    [
        (hard_shrink, lambda x, g: g * (np.abs(x) > 0.5), lambda _, g: g),
        (thresholded, lambda x, g: g * (x > 0.5), lambda x, g: g * (x > 0.0)),
        (leaking, lambda x, g: g * (x > -0.1), lambda x, g: g * (x > 0.0)),
    ],
)
def test_a_mask_that_is_missing_beside_a_jump_is_wrong(f, right, wrong):
    assert check_gradients((f, right), X).verdict == "right"
    report = check_gradients((f, wrong), X)
    assert report.verdict == "wrong"
    assert report["x"].diagnosis is not None


@pytest.mark.slow
@pytest.mark.numerical
def test_so_it_is_behind_weights_at_most_points_and_right_at_none():
    verdicts = []
    for seed in (0, 1, 2, 3, 5, 7):
        rng = np.random.default_rng(seed)
        x, w = rng.standard_normal((5, 4)), rng.standard_normal((4, 3))
        assert check_gradients((layer, layer_vjp), (x, w)).verdict == "right"
        verdicts.append(check_gradients((layer, layer_vjp_without_mask), (x, w)).verdict)
    assert "right" not in verdicts
    assert verdicts.count("wrong") > 3
