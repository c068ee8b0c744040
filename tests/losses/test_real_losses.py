"""The losses of real targets: kinks of L1 and Huber, weights of binary cross-entropy, and what they refuse."""

import copy

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from torch_ref import loss_to_torch

RNG = np.random.default_rng(0)
Z, T = RNG.standard_normal((4, 3)), RNG.random((4, 3))
W = RNG.uniform(0.1, 2.0, (4, 3))


def torchs_gradient(loss, output, target):
    leaf = torch.tensor(output, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss_to_torch(loss)(leaf, torch.tensor(target)).sum(), leaf)
    return gradient.numpy()


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_the_gradient_at_a_kink_is_torchs(dtype):
    delta = 0.5
    difference = np.array([0.0, -0.0, delta, -delta, 2.0, -2.0, np.inf, -np.inf], dtype)
    target = np.zeros_like(difference)
    for loss, expected in (
        (nn.L1Loss("sum"), np.sign(difference)),
        (nn.HuberLoss("sum", delta), np.clip(difference, -delta, delta)),
    ):
        loss(difference, target)
        gradient = loss.backward()
        np.testing.assert_array_equal(gradient, expected)
        np.testing.assert_array_equal(gradient, torchs_gradient(loss, difference, target))


@given(d=our.float_arrays(our.shapes, np.float64), delta=st.floats(1e-3, 1e3))
@example(d=np.array([1.42803078e-155]), delta=1.0)  # whose square is subnormal
def test_hubers_loss_is_half_the_square_and_then_straight(d, delta):
    size = np.abs(d)
    expected = np.where(size <= delta, d * d / 2, delta * (size - delta / 2))
    # Either way a difference and a product, each off by u of itself; among subnormal numbers, where the square and its
    # half are rounded, by half of the smallest one each.
    found = nn.HuberLoss("none", delta)(d, np.zeros_like(d))
    np.testing.assert_allclose(found, expected, rtol=4 * 2**-52, atol=2**-1073)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_gradient_checker_finds_them_right(reduction):
    far = T + np.where(Z > 0, 2.0, 0.1)
    assert check_gradients(nn.L1Loss(reduction), far, T).ok
    assert check_gradients(nn.HuberLoss(reduction, 0.7), far, T).ok
    for weight in (None, W, W[0], W[:, :1]):
        for pos_weight in (None, W[1]):
            assert check_gradients(nn.BCEWithLogitsLoss(weight, reduction, pos_weight), Z, T).ok


def test_binary_weights_multiply_the_terms_and_the_mean_divides_by_the_entries():
    plain = nn.BCEWithLogitsLoss(reduction="none")(Z, T)
    assert nn.BCEWithLogitsLoss(W)(Z, T) == pytest.approx((W * plain).mean(), rel=1e-14)
    weighted = nn.BCEWithLogitsLoss(W[0], "none")(Z, T)
    np.testing.assert_array_equal(weighted, plain * W[0])


def test_a_positive_answer_weighs_as_much_as_so_many():
    z, t = np.repeat(Z[:1], 3, axis=0), np.array([[1.0] * 3, [1.0] * 3, [0.0] * 3])
    one_of_each = nn.BCEWithLogitsLoss(reduction="sum", pos_weight=np.full(3, 2.0))
    three = nn.BCEWithLogitsLoss(reduction="sum")
    assert one_of_each(z[1:], t[1:]) == pytest.approx(three(z, t), rel=1e-14)
    np.testing.assert_allclose(one_of_each.backward().sum(axis=0), three.backward().sum(axis=0), rtol=1e-14)


@pytest.mark.parametrize("dtype", our.DTYPES)
def test_a_confident_right_answer_keeps_the_digits_of_its_small_loss(dtype):
    z, t = np.array([[40.0, -40.0]], dtype), np.array([[1.0, 0.0]], dtype)
    loss = nn.BCEWithLogitsLoss(reduction="none", pos_weight=np.array([3.0, 0.001], dtype))
    small = np.exp(-40.0)
    np.testing.assert_allclose(loss(z, t), [[3 * small, small]], rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(loss.backward(), [[-3 * small, small]], rtol=4 * np.finfo(dtype).eps)


def test_copies_and_weights_stand_alone():
    weight, pos_weight = W.copy(), W[0].copy()
    loss = nn.BCEWithLogitsLoss(weight, pos_weight=pos_weight)
    value = loss(Z, T)
    weight.fill(9.0)
    pos_weight.fill(9.0)
    other = copy.deepcopy(loss)
    with pytest.raises(ValueError, match="backward needs a forward call"):
        other.backward()
    assert loss(Z, T) == other(Z, T) == value


def test_a_repr_says_what_is_not_the_default():
    assert repr(nn.HuberLoss(delta=2)) == "HuberLoss(reduction='mean', delta=2)"
    assert repr(nn.BCEWithLogitsLoss(W)) == "BCEWithLogitsLoss(weight=<shape (4, 3)>, reduction='mean')"
    assert repr(nn.BCEWithLogitsLoss(pos_weight=[1.0, 2.0])) == (
        "BCEWithLogitsLoss(pos_weight=[1, 2], reduction='mean')"
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.HuberLoss(delta=0.0), ValueError, "HuberLoss: delta: expected a finite number > 0, got 0"),
        (lambda: nn.HuberLoss(delta=np.inf), ValueError, "delta: expected a finite number > 0, got inf"),
        (lambda: nn.HuberLoss()(Z, T[:2]), ValueError, r"HuberLoss: expected target of the output's shape \(4, 3\)"),
        (lambda: nn.L1Loss()(Z, T[:2]), ValueError, r"L1Loss: expected target of the output's shape \(4, 3\)"),
        (lambda: nn.L1Loss()(Z, T.astype("f")), TypeError, "L1Loss: target: expected float64, got float32; convert it"),
        (lambda: nn.BCEWithLogitsLoss("none"), TypeError, "weight: expected an array of float32 or float64, got str"),
        (lambda: nn.BCEWithLogitsLoss(-W), ValueError, "BCEWithLogitsLoss: weight: expected finite weights >= 0"),
        (lambda: nn.BCEWithLogitsLoss(pos_weight=W * np.inf), ValueError, "pos_weight: expected finite weights >= 0"),
        (lambda: nn.BCEWithLogitsLoss(W[:2])(Z, T), ValueError, r"weight: .* broadcasts to .* \(4, 3\), got \(2, 3\)"),
        (lambda: nn.BCEWithLogitsLoss(W[None])(Z, T), ValueError, r"broadcasts to .* \(4, 3\), got \(1, 4, 3\)"),
        (lambda: nn.BCEWithLogitsLoss(pos_weight=W[0, :2])(Z, T), ValueError, r"pos_weight: .* got \(2,\)"),
        (lambda: nn.BCEWithLogitsLoss(W)(Z.astype("f"), T.astype("f")), TypeError, "weight: expected float32, got"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
