"""Causes one by one: what each hypothesis names, with confidence, and what it must leave to the others."""

from typing import Any

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.differences import Differences
from numpy_nn.subjects import Hints, as_subject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


def rng():
    return np.random.default_rng(0)


class Dense:
    """f(x W + b) for any f, with one formula of its backward pass to be replaced in a subclass."""

    f: Any
    df: Any
    f, df = staticmethod(np.sin), staticmethod(np.cos)

    def __init__(self, fan_in=4, fan_out=3):
        rng = np.random.default_rng(1)
        self.W, self.b = rng.standard_normal((fan_in, fan_out)), rng.standard_normal(fan_out)

    def forward(self, x):
        self.x = x
        self.z = x.reshape(len(x), -1) @ self.W + self.b
        return self.f(self.z)

    def slope(self):
        return self.df(self.z)

    def weight(self, delta):
        return self.x.reshape(len(self.x), -1).T @ delta

    def bias(self, delta):
        return delta.sum(axis=0)

    def backward(self, grad):
        delta = grad * self.slope()
        self.dW, self.db = self.weight(delta), self.bias(delta)
        return (delta @ self.W.T).reshape(self.x.shape)


class Affine(Dense):
    """x W + b."""

    f, df = staticmethod(np.asarray), staticmethod(np.ones_like)


class ReLU:
    """max(x, 0) + slope min(x, 0), with the mask and the output's gradient to be replaced."""

    slope = 0.0

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.slope * x)

    def mask(self):
        return self.x > 0

    def backward(self, grad):
        return grad * np.where(self.mask(), 1.0, self.slope)


def changed(cls, **methods):
    """An object of a subclass with these methods or attributes."""
    return type("Changed", (cls,), methods)()


def diagnosis(target, x=None, targets=None, entry="input"):
    """The diagnosis of one entry, which must be wrong."""
    x = rng().standard_normal((5, 4)) if x is None else x
    found = check_gradients(target, x, targets)[entry]
    assert found.verdict == "wrong", found
    assert found.diagnosis is not None
    return found.diagnosis


def named(*arguments, **options):
    """Its cause, and whether it is confident."""
    found = diagnosis(*arguments, **options)
    return found.cause, found.confident


# Masks.


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_an_inverted_mask_is_named(slope):
    inverted = changed(ReLU, slope=slope, mask=lambda self: self.x <= 0)
    assert named(inverted) == ("mask_inverted", True)


@pytest.mark.parametrize("mask", [lambda g: g > 0, lambda g: g < 0])
def test_a_mask_of_grad_output_is_named(mask):
    def relu(x):
        return np.maximum(x, 0.0)

    assert named((relu, lambda _, g: g * mask(g))) == ("mask_wrong_tensor", True)


def test_an_inverted_mask_is_not_named_for_a_factor_on_a_function_of_two_slopes():
    doubled = changed(ReLU, backward=lambda self, grad: 2 * ReLU.backward(self, grad))
    assert named(doubled) == ("factor", True)


def test_a_mask_with_another_threshold_is_not_called_inverted_though_it_is_where_it_is_wrong():
    # Between 0 and 1, where alone it is wrong, it gives the other slope.
    found = diagnosis(changed(ReLU, slope=0.1, mask=lambda self: self.x > 1), rng().uniform(-2, 2, (6, 5)))
    assert "mask_inverted" not in (found.cause, *found.alternatives)
    assert not found.confident


# Products with a weight.


def test_a_derivative_that_no_registry_knows_is_missed_in_every_product():
    missing = changed(Dense, df=staticmethod(np.ones_like))
    for entry in ("input", "W", "b"):
        assert named(missing, entry=entry) == ("derivative_missing", True)


@pytest.mark.parametrize("shape", [(5, 2, 2), (5, 4)])
def test_a_wrong_weight_is_diagnosed_whatever_the_shape_of_the_input(shape):
    x = rng().standard_normal(shape)
    halved = changed(Dense, weight=lambda self, delta: Dense.weight(self, delta) / 2)
    assert named(halved, x, entry="W") == ("factor", True)


def test_a_wrong_weight_of_a_layer_for_columns_is_diagnosed():
    class Columns:
        """W x + b for samples in columns."""

        def __init__(self):
            self.W, self.b = rng().standard_normal((3, 4)), rng().standard_normal((3, 1))

        def forward(self, x):
            self.x = x
            return self.W @ x + self.b

        def backward(self, grad):
            self.dW, self.db = grad @ self.x.T / grad.shape[1], grad.sum(axis=1, keepdims=True)
            return self.W.T @ grad

    report = check_gradients(Columns(), rng().standard_normal((4, 6)))
    assert [entry.verdict for entry in report.entries] == ["right", "wrong", "right"]


@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize(
    ("shape", "cause"), [((4, 3), "one_example"), ((4, 1), "one_example"), ((1, 3), "one_example")]
)
def test_one_row_alone_is_named_for_a_weight_of_any_shape(row, shape, cause):
    alone = type("Alone", (Dense,), {"weight": lambda self, delta: np.outer(self.x[row], delta[row])})(*shape)
    for rows in (2, 5):
        assert named(alone, rng().standard_normal((rows, shape[0])), entry="W") == (cause, True)


@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize("outputs", [2, 3])
def test_one_row_alone_is_named_for_a_bias(row, outputs):
    alone = type("Alone", (Affine,), {"bias": lambda _, delta: delta[row]})(4, outputs)
    for rows in (2, 5):
        assert named(alone, rng().standard_normal((rows, 4)), entry="b") == ("bias_not_summed", True)


def test_one_row_alone_is_named_for_a_weight_that_is_a_vector():
    class Plane:
        """x w, one number a row."""

        def __init__(self):
            self.w = rng().standard_normal(4)

        def forward(self, x):
            self.x = x
            return x @ self.w

        def backward(self, grad):
            self.dw = grad[-1] * self.x[-1]
            return np.outer(grad, self.w)

    assert named(Plane(), entry="w") == ("one_example", True)


def test_a_single_row_is_all_there_is():
    doubled = changed(Dense, weight=lambda self, delta: 2 * Dense.weight(self, delta))
    assert named(doubled, rng().standard_normal((1, 4)), entry="W") == ("factor", True)


# Derivatives of a dense layer's activation.


@pytest.mark.parametrize("entry", ["input", "W", "b"])
@pytest.mark.parametrize(
    ("f", "slope"),
    [(np.tanh, lambda self: 1 - self.z**2), (lambda z: 1 / (1 + np.exp(-z)), lambda self: self.z * (1 - self.z))],
)
def test_a_derivative_in_terms_of_the_output_that_is_given_the_input_is_named(f, slope, entry):
    assert named(changed(Dense, f=staticmethod(f), slope=slope), entry=entry) == ("derivative_at_input", True)


# Losses.


class Hinge:
    """Sum over the wrong classes of max(0, z_c - z_y + 1), the mean over the batch."""

    def forward(self, z, y):
        rows = np.arange(len(z))
        margins = np.maximum(0.0, z - z[rows, y][:, None] + 1.0)
        margins[rows, y] = 0.0
        self.broken, self.rows, self.y = (margins > 0) * 1.0, rows, y
        return margins.sum() / len(z)

    def backward(self):
        gradient = self.broken.copy()
        gradient[self.rows, self.y] = -gradient.sum(axis=1)
        return gradient / len(gradient)


def without_target(self):
    return self.broken / len(self.broken)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.1, 2.0], ids=["every margin is broken", "some are"])
def test_a_target_that_is_left_out_of_a_hinge_is_named(classes, spread):
    z, y = spread * rng().standard_normal((8, classes)), rng().integers(0, classes, 8)
    assert check_gradients(Hinge(), z, y).ok
    assert named(changed(Hinge, backward=without_target), z, y)[0] == "target_missing"


def test_rows_left_out_of_a_loss_of_one_column_are_no_missing_target():
    def left_out(z, t):
        return np.where(t == 1, 0.0, 1 / (1 + np.exp(-z)) - t)

    def loss(z, t):
        return (np.logaddexp(0, z) - t * z).sum()

    z, t = rng().standard_normal((6, 1)), np.array([[0.0], [1.0], [0.0], [1.0], [0.0], [0.0]])
    found = diagnosis((loss, left_out), z, t)
    assert found.cause == "partly_filled"
    assert "target_missing" not in found.alternatives


def test_a_target_is_not_said_to_be_missing_where_the_loss_is_off_by_a_factor():
    z, y = rng().standard_normal((6, 4)), rng().integers(0, 4, 6)
    tripled = changed(Hinge, backward=lambda self: 3 * Hinge.backward(self))
    assert named(tripled, z, y) == ("factor", True)


# From call to call, and from batch to batch.


def test_the_input_of_the_call_before_is_named_by_means_of_finite_numbers():
    class Late(Affine):
        def forward(self, x):
            assert np.isfinite(x).all()
            self.previous = getattr(self, "x", x)
            return super().forward(x.copy())

        def weight(self, delta):
            return self.previous.T @ delta

    assert named(Late(), entry="W") == ("stale_input", True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_input_of_the_first_call_is_found_in_a_cache(dtype):
    class Kept(Affine):
        def __init__(self):
            super().__init__()
            self.cache = {}

        def forward(self, x):
            x = x.astype(dtype)
            self.cache.setdefault("x", x.copy())
            return super().forward(x).astype(dtype)

        def weight(self, delta):
            return self.cache["x"].T @ delta

    layer = Kept()
    layer.forward(rng().standard_normal((5, 4)) + 1.0)
    assert named(layer, entry="W") == ("stale_input", True)


def test_gradients_that_are_exchanged_are_named_in_float32_too():
    class Exchanged(Affine):
        def forward(self, x):
            return super().forward(x).astype(np.float32)

        def weight(self, delta):
            return delta @ self.W.T

    layer, x = Exchanged(4, 4), rng().standard_normal((4, 4))
    assert named(layer, x, entry="W")[0] == "argument_order"


def test_a_constant_factor_that_is_the_batch_size_by_chance_is_told_from_the_batch_size():
    fifth = changed(Dense, weight=lambda self, delta: Dense.weight(self, delta) / 5)
    averaged = changed(Dense, weight=lambda self, delta: Dense.weight(self, delta) / len(delta))
    assert named(fifth, entry="W") == ("factor", True)
    assert named(averaged, entry="W") == ("batch_mean_twice", True)
    assert "0.25 with 4 rows instead of 5" in str(check_gradients(averaged, rng().standard_normal((5, 4))))


@pytest.mark.parametrize(("rows", "diagnosis"), [(5, ("factor", True)), (2, ("batch_mean_missing", False))])
def test_a_layer_that_keeps_to_its_first_number_of_rows_is_diagnosed(rows, diagnosis):
    # Two rows, and a factor of two: another number of rows would tell, and cannot be had.
    class Fixed(Dense):
        buffer = None

        def backward(self, grad):
            gradient = 2 * super().backward(grad)
            if self.buffer is None:
                self.buffer = gradient.copy()
            if len(gradient) == len(self.buffer):
                self.buffer[...] = gradient
            return self.buffer

    assert named(Fixed(), rng().standard_normal((rows, 4))) == diagnosis


def test_a_gradient_that_is_there_for_one_number_of_rows_only_is_diagnosed():
    class Sometimes(Dense):
        def backward(self, grad):
            gradient = 2 * super().backward(grad)
            return gradient if len(grad) == 5 else None

    assert named(Sometimes()) == ("factor", True)


# What hypotheses stand on.


@pytest.mark.parametrize(
    ("function", "shape", "elementwise"),
    [
        (np.sin, (3, 4), True),
        (np.sin, (3,), True),
        (lambda x: x.cumsum(axis=1), (3, 4), False),
        (lambda x: x.sum(axis=1, keepdims=True), (3, 4), False),
        (lambda x: x * np.ones(4), (3, 1), False),
        (lambda x: x.sum(), (3,), False),
    ],
)
def test_what_works_entry_by_entry_is_known(function, shape, elementwise):
    subject = as_subject((function, lambda _, g: g), (rng().standard_normal(shape),), None, Hints())
    assert Differences(subject, subject.input, rng()).elementwise == elementwise


@pytest.mark.parametrize("x", [-800.0, -60.0, 60.0, 800.0])
def test_a_sigmoid_that_is_saturated_everywhere_is_right_as_it_is_elsewhere(x):
    report = check_gradients(nn.Sigmoid(), np.full((2, 3), x))
    assert report.ok, report


@pytest.mark.parametrize("x", [-60.0, 60.0])
def test_a_saturated_sigmoid_is_wrong_if_it_is_so_where_it_moves(x):
    def twice(self, grad):
        return nn.Sigmoid.backward(self, nn.Sigmoid.backward(self, grad).copy())

    report = check_gradients(changed(nn.Sigmoid, backward=twice), np.full((2, 3), x))
    assert report["input"].reason.startswith("undecided at the point given, but wrong at ")
    assert check_gradients(nn.Sigmoid(), np.full((2, 3), x)).ok
