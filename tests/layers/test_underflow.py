"""Numbers near the lower end of float32: what is computed from them is what float64 makes of the same numbers.

Below the smallest normal number, 2^-126, an operation is no longer right to half a unit of its own result, and on a
machine that flushes such numbers it is 0. That is all that may be lost: no norm becomes 0, no quotient infinite, and no
gradient vanishes where the exact one is larger than that.
"""

from itertools import product

import numpy as np
import pytest
from layer_cases import LAYERS, WIDTH, batch

import numpy_nn as nn
from numpy_nn.optim.clipping import SUMMED, grad_norm

U = 2.0**-24
TINY = 2.0**-126

# Dropout draws other numbers in float64, and picks or multiplies by one number anyway.
SMALL = [name for name in LAYERS if name not in ("Dropout", "Sequential")]
SIZES = [1e-45, 1e-42, 1e-38, 1e-30, 1e-25, 1e-20]


def assert_near(single, double, roundings, magnified=1.0, where=()):
    """Off by so many roundings of the largest of these numbers, and as often by 2^-126 ``magnified`` times."""
    assert single.dtype == np.float32
    bound = roundings * (U * np.abs(double).max() + magnified * TINY)
    assert np.abs(single - double).max() <= bound, (where, single, double)


@pytest.mark.parametrize("name", SMALL)
def test_a_layer_of_small_numbers_is_right_forwards_and_backwards(name):
    for size, grad_output in product(SIZES, [1.0, 1e-25, 1e-40]):
        single, double = LAYERS[name](np.float32), LAYERS[name](np.float32).to(np.float64)
        x = batch(np.float32) * np.float32(size)
        output, exact = single(x), double(x.astype(np.float64))
        g = (np.cos(np.arange(output.size)).reshape(output.shape) * grad_output).astype(np.float32)
        gradient, exact_gradient = single.backward(g), double.backward(g.astype(np.float64))
        # Sums of at most five terms, each a product, and a mean that is taken off: some dozen roundings. The normalized
        # x is x / sqrt(eps) here, and so are its errors.
        magnified = 1.0 / np.sqrt(single.eps) if isinstance(single, (nn.BatchNorm1d, nn.LayerNorm)) else 1.0
        where = (size, grad_output)
        assert_near(output, exact, 12, magnified, where)
        assert_near(gradient, exact_gradient, 12, magnified, where)
        for p, q in zip(single.parameters(), double.parameters(), strict=True):
            assert_near(p.grad, q.grad, 12, magnified, where)


@pytest.mark.parametrize("spread", [1e-38, 1e-25, 1e-10, 1e-4])
@pytest.mark.parametrize("centre", [0.0, 1.0, -300.0])
def test_batch_norm_of_a_column_that_hardly_spreads(centre, spread):
    step = max(spread, float(np.spacing(np.float32(abs(centre)))))  # as near to the centre as float32 can
    x = (centre + batch(np.float64) * step).astype(np.float32)
    single, double = nn.BatchNorm1d(WIDTH), nn.BatchNorm1d(WIDTH, dtype=np.float64)
    output, exact = single(x), double(x.astype(np.float64))
    g = np.cos(np.arange(x.size)).reshape(x.shape).astype(np.float32)
    # As above; the mean is off by a rounding of numbers as large as the centre, and what is left of it taken away.
    assert_near(output, exact, 12, single.eps**-0.5)
    assert_near(single.backward(g), double.backward(g.astype(np.float64)), 12)
    for name in ("running_mean", "running_var"):
        assert_near(getattr(single, name), getattr(double, name), 4)


@pytest.mark.parametrize("spread", [1e-38, 1e-25, 1e-10, 1e-4])
@pytest.mark.parametrize("centre", [0.0, 1.0, -300.0])
def test_layer_norm_of_a_row_that_hardly_spreads(centre, spread):
    step = max(spread, float(np.spacing(np.float32(abs(centre)))))
    x = (centre + batch(np.float64) * step).astype(np.float32)
    single, double = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH, dtype=np.float64)
    output, exact = single(x), double(x.astype(np.float64))
    g = np.cos(np.arange(x.size)).reshape(x.shape).astype(np.float32)
    assert_near(output, exact, 12, single.eps**-0.5)
    assert_near(single.backward(g), double.backward(g.astype(np.float64)), 12, single.eps**-0.5)


@pytest.mark.parametrize("far", [-60.0, -88.0, -100.0, -104.0, -200.0, -1e38])
@pytest.mark.parametrize("kind", [nn.Softmax, nn.LogSoftmax])
def test_softmax_at_its_far_tail(kind, far):
    x = np.array([[0.0, far, 1.0], [far, far, 0.0]], np.float32)
    g = np.array([[1.0, -1.0, 0.5], [0.25, 1.0, -2.0]], np.float32)
    single, double = kind(), kind()
    output, exact = single(x), double(x.astype(np.float64))
    gradient, exact_gradient = single.backward(g), double.backward(g.astype(np.float64))
    # Each entry by itself, also the small ones.
    for ours, truth in ((output, exact), (gradient, exact_gradient)):
        for entry, true in zip(ours.ravel(), truth.ravel(), strict=True):
            assert_near(np.float32(entry), true, 12)


@pytest.mark.parametrize("size", SIZES)
def test_cross_entropy_of_logits_that_hardly_differ_and_of_certain_ones(size):
    labels = np.array([0, 1, 2, 0, 1])
    for logits in (batch(np.float32) * np.float32(size), np.eye(WIDTH, dtype=np.float32)[labels] * np.float32(200)):
        single, double = nn.CrossEntropyLoss(), nn.CrossEntropyLoss()
        assert single(logits, labels) == pytest.approx(double(logits.astype(np.float64), labels), rel=8 * U, abs=0)
        assert_near(single.backward(), double.backward(), 8)


# How each is made, how often a step rounds, and by what it multiplies a gradient.
OPTIMIZERS = {
    "SGD": (lambda p: nn.SGD(p, 1e3), 3, 1e3),
    "momentum": (lambda p: nn.SGD(p, 1e3, 0.9), 6, 1e3),
    "Nesterov": (lambda p: nn.SGD(p, 1e3, 0.9, nesterov=True), 7, 1e3),
    "Adam": (lambda p: nn.Adam(p, 1e17), 16, 1e25),
    "AdamW": (lambda p: nn.AdamW(p, 1e17, weight_decay=0.0), 16, 1e25),
}


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1e-25, 1e-21])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_an_optimizer_moves_by_small_gradients_as_far_as_it_should(kind, size):
    # From 0, where even such steps show. Adam's squares underflow: their root is nothing next to its eps in any case.
    make, roundings, factor = OPTIMIZERS[kind]
    single, double = nn.Parameter(np.zeros(9, np.float32)), nn.Parameter(np.zeros(9))
    optimizers = make([single]), make([double])
    for step in range(1, 4):
        single.grad[...] = np.cos(np.arange(9.0) + step) * size
        double.grad[...] = single.grad
        for optimizer in optimizers:
            optimizer.step()
        assert_near(single.data, double.data, roundings * step, factor)


@pytest.mark.parametrize("count", [1, 1000, 100_000])
@pytest.mark.parametrize("size", [1e-37, 1e-25, 1.03e-21, 1e-21, 1e-19, 1e-17, 1e25])
def test_the_norm_of_a_gradient_is_right_where_its_squares_are_no_normal_numbers(size, count):
    p = nn.Parameter(np.zeros(count, np.float32))
    p.grad[...] = size
    exact = float(p.grad[0]) * np.sqrt(count)
    # Half the error of a sum of n squares: each is rounded, and in whatever order a BLAS adds them, at most n - 1 times
    # with the others (Higham, "Accuracy and Stability of Numerical Algorithms", section 4.2); one u is for underflow.
    n = min(count, SUMMED) + 1
    bound = n * U / (1.0 - n * U) / 2.0
    assert grad_norm([p]) == pytest.approx(exact, rel=bound, abs=0)
    before = p.grad.copy()
    assert nn.clip_grad_norm_([p], 1.0) == pytest.approx(exact, rel=bound, abs=0)
    if exact < 1:
        np.testing.assert_array_equal(p.grad, before)
