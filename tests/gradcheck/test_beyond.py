"""Branches that begin far out, beyond a number that stands in the code, are looked at too."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.beyond import AT_MOST, points_beyond
from numpy_nn.gradcheck.report import RIGHT, WRONG
from numpy_nn.subjects import Hints, as_subject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

X = np.random.default_rng(5).standard_normal((3, 4))
LABELS = np.random.default_rng(6).integers(0, 2, X.shape).astype(float)


class Softplus:
    """With the threshold of frameworks; ``forgets`` it in backward."""

    def __init__(self, forgets, threshold=20.0):
        self.forgets, self.threshold = forgets, threshold

    def forward(self, x):
        self.x = x
        self.big = x > self.threshold
        return np.where(self.big, x, np.log1p(np.exp(np.where(self.big, 0.0, x))))

    def backward(self, grad):
        inner = 1.0 / (1.0 + np.exp(-np.where(self.big, 0.0, self.x)))
        return grad * (inner if self.forgets else np.where(self.big, 1.0, inner))


def bce(z, y):
    p = 1.0 / (1.0 + np.exp(-np.clip(z, -15, 15)))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def bce_grad(z, y):
    return (1.0 / (1.0 + np.exp(-z)) - y) / y.size


def bce_grad_clipped(z, y):
    return bce_grad(z, y) * (np.abs(z) <= 15)


def elu(x):
    return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1)


def elu_grad(x):
    return np.where(x > 0, 1, np.exp(np.minimum(x, 0)))


def elu_grad_with_a_tail_cut(x):
    return elu_grad(x) * (x > -8)


def dead(x):
    return np.where(x > 1e6, x - 1e6, 0.0)


@pytest.mark.parametrize(
    ("target", "arguments", "beyond"),
    [
        (Softplus(True), (X,), "beyond 20, "),
        ((bce, bce_grad), (X, LABELS), "beyond 15, "),
        ((elu, elu_grad_with_a_tail_cut), (X,), "beyond -8, "),
        ((dead, lambda x: 0.0 * x), (X,), "beyond 1e+06, "),
    ],
    ids=["softplus", "bce", "elu", "dead"],
)
def test_a_mistake_in_a_branch_that_begins_far_out_is_found(target, arguments, beyond):
    report = check_gradients(target, *arguments)
    assert report.verdict == WRONG
    assert f"right at the point given, but wrong where {report.input} is {beyond}" in report["input"].reason


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (Softplus(False), (X,)),
        ((bce, bce_grad_clipped), (X, LABELS)),
        ((elu, elu_grad), (X,)),
        ((dead, lambda x: 1.0 * (x > 1e6)), (X,)),
    ],
    ids=["softplus", "bce", "elu", "dead"],
)
def test_right_branches_far_out_are_right(target, arguments):
    assert check_gradients(target, *arguments).verdict == RIGHT


@pytest.mark.parametrize("most", [15, 30, 50, 500])
def test_a_clip_that_keeps_exp_from_overflow_is_no_mistake(most):
    def sigmoid(x):
        return 1.0 / (1.0 + np.exp(-np.clip(x, -most, most)))

    assert check_gradients((sigmoid, lambda x: sigmoid(x) * (1.0 - sigmoid(x))), X).verdict == RIGHT


@pytest.mark.parametrize("most", [30, 500])
def test_what_keeps_the_logarithms_of_a_loss_finite_is_no_mistake(most):
    def loss(z, y):
        p = np.clip(1.0 / (1.0 + np.exp(-np.clip(z, -most, most))), 1e-7, 1.0 - 1e-7)
        return -np.mean(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))

    assert check_gradients((loss, bce_grad), X, LABELS).verdict == RIGHT


SMOOTH: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sine": (np.sin, np.cos),
    "tanh": (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "sigmoid": (lambda x: 1.0 / (1.0 + np.exp(-x)), lambda x: np.exp(-x) / (1.0 + np.exp(-x)) ** 2),
    "softplus": (lambda x: np.logaddexp(x, 0.0), lambda x: 1.0 / (1.0 + np.exp(-x))),
    "cube": (lambda x: x**3, lambda x: 3.0 * x**2),
    "gauss": (lambda x: np.exp(-(x**2)), lambda x: -2.0 * x * np.exp(-(x**2))),
    "inverse": (lambda x: 1.0 / (1.0 + x**2), lambda x: -2.0 * x / (1.0 + x**2) ** 2),
    "logcosh": (lambda x: np.log(np.cosh(x)), np.tanh),
    "silu": (lambda x: x / (1.0 + np.exp(-x)), lambda x: (1.0 + np.exp(-x) * (1.0 + x)) / (1.0 + np.exp(-x)) ** 2),
}


@pytest.mark.parametrize("number", [5.0, 20.0, 100.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("name", SMOOTH)
def test_right_code_that_has_large_numbers_stays_right(name, number):
    f, slope = SMOOTH[name]

    def forward(x):
        return f(x) + 0.0 * number

    def backward(x, grad):
        return grad * slope(x)

    assert check_gradients((forward, backward), X).verdict == RIGHT


def subject_of(f, x, targets=None):
    return as_subject((f, lambda *given: given[0]), (x.copy(),), targets, Hints())


def points_of(f, x=X, targets=None):
    subject = subject_of(f, x, targets)
    return [next(iter(point.moved.values())) for point in points_beyond(subject, subject.output())]


def test_the_points_lie_on_both_sides_beyond_each_number_in_the_order_of_the_input():
    above, below = points_of(lambda x: np.minimum(x, 40.0))
    assert above.min() == 42.0
    assert above.max() == 62.0
    assert below.min() == -62.0
    assert below.max() == -42.0
    for moved in (above, below):
        assert (np.argsort(moved, axis=None) == np.argsort(X, axis=None)).all()


def test_an_input_of_one_sign_keeps_it():
    (above,) = points_of(lambda x: np.minimum(x, 40.0), np.abs(X))
    (below,) = points_of(lambda x: np.minimum(x, 40.0), -np.abs(X))
    assert above.min() > 0.0 > below.max()
    assert len(points_of(lambda x: np.minimum(x, 40.0), np.zeros((2, 2)))) == 0  # a symmetric matrix
    assert len(points_of(lambda x: np.minimum(x, 40.0), np.zeros(2))) == 2


def test_there_are_none_for_small_or_huge_numbers_and_few_for_many():
    assert points_of(lambda x: 2.0 * np.minimum(x, 1e9)) == []
    many = points_of(lambda x: x + 11 + 12.0 + 13 + 14.0 + 15 + 16.0)
    assert len(many) == 2 * AT_MOST


def test_the_cost_of_a_network_is_not_looked_at_there_nor_one_of_probabilities():
    def cost(x, w):
        return np.mean(np.minimum(x * w, 40.0))

    subject = as_subject((cost, lambda *_: (X, X)), (X.copy(), X.copy()), None, Hints())
    assert list(points_beyond(subject, subject.output())) == []
    assert points_of(lambda x: np.mean(np.minimum(x, 40.0)), np.abs(np.sin(X))) == []
