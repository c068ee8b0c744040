"""Outputs whose steps grow along the way: right code is not called wrong, and wrong code is not spared."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.gradcheck.measure.stairs import FIRST, INNER, INTERVALS, _height, _Line, steps_may_explain
from numpy_nn.subjects import Hints, as_subject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: z > 0),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
}


class Saturating:
    """Two layers and a sigmoid in float32, with log(1 - p) in the loss; the gradient of W1 times ``wrong``."""

    def __init__(self, act, rows, sizes, size, seed, wrong=1.0):
        rng = np.random.default_rng(seed)
        (d, h, o), self.wrong = sizes, np.float32(wrong)
        self.act, self.slope = ACTIVATIONS[act]
        self.W1, self.b1 = rng.standard_normal((d, h)), 0.1 * rng.standard_normal(h)
        self.W2, self.b2 = size * rng.standard_normal((h, o)), 0.1 * rng.standard_normal(o)
        self.x = rng.standard_normal((rows, d))
        self.t = rng.integers(0, 2, (rows, o)).astype(float)

    def forward(self, x):
        W1, b1, W2, b2 = (a.astype(np.float32) for a in (self.W1, self.b1, self.W2, self.b2))
        self.z = x.astype(np.float32) @ W1 + b1
        return sigmoid(self.act(self.z) @ W2 + b2)

    def loss(self, x, y):
        p, y = self.forward(x), y.astype(np.float32)
        return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))

    def gradient(self, x, y):
        dz = self.forward(x) - y.astype(np.float32)
        d = dz @ self.W2.astype(np.float32).T * self.slope(self.z)
        h = self.act(self.z)
        return {"W1": self.wrong * x.astype(np.float32).T @ d, "b1": d.sum(0), "W2": h.T @ dz, "b2": dz.sum(0)}


# Where the numerical derivative is off by more than its bound, as the steps are higher where it is taken.
STEEP = [("relu", 4, (3, 3, 3), 15.7, 10), ("sigmoid", 2, (5, 3, 2), 27.0, 48)]


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("case", STEEP)
def test_right_code_is_not_wrong_where_its_steps_grow(case):
    model = Saturating(*case)
    assert check_gradients(model, model.x, model.t).verdict in ("right", "undecided")


@pytest.mark.slow
@pytest.mark.numerical
def test_nor_is_a_wrong_sign_right_there():
    model = Saturating(*STEEP[0], wrong=-1.0)
    assert check_gradients(model, model.x, model.t)["W1"].verdict == "wrong"


def explained(f, slope, error):
    """Whether steps may explain that the claimed slope of f at 0, the first of two coordinates, is off by an error."""
    x, no = np.zeros(2), np.zeros(2, np.bool_)
    pair = lambda x: f(x[0]) + x[1], lambda x, g: g * np.array([slope(x[0]), 1.0])
    subject = as_subject(pair, (x,), None, Hints())
    g = np.ones(subject.output().shape)
    claimed = subject.gradients(g)[subject.input]
    assert claimed is not None
    e = Evidence(subject, subject.input, claimed, g, subject.output(), {}, x, g, np.random.default_rng(0))
    slopes = Slopes(claimed - [error, 0.0], np.full(2, 1e-9), no, no, claimed, claimed, np.full(2, 1e-9))
    return steps_may_explain(e, slopes, ~no)


def in_steps(height):
    """exp(x) in steps of a height that depends on where they are."""
    return lambda x: np.floor(np.exp(x) / height(x)) * height(x)


HEIGHTS = [lambda _: 1e-3, lambda x: 1e-4 * 16.0 ** min(np.round(2.0 * x), 2.0), lambda x: 0.02 if x > 0.1 else 1e-6]


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("height", HEIGHTS)
def test_steps_explain_what_they_put_a_right_slope_off_by_and_no_wrong_slope(height):
    assert explained(in_steps(height), np.exp, 0.1)
    assert not explained(in_steps(height), lambda x: 1.2 * np.exp(x), 0.2)
    assert not explained(in_steps(height), lambda _: 0.0, 1.0)


def test_without_steps_nothing_is_explained_where_the_integral_is_off():
    assert not explained(np.exp, lambda x: 1.01 * np.exp(x), 0.01)
    # A rise that is over after a part of the way is no step.
    assert not explained(lambda x: np.tanh(30.0 * x), lambda x: 33.0 / np.cosh(30.0 * x) ** 2, 3.0)


def test_a_point_between_steps_that_are_wider_than_what_is_seen_of_it_is_not_told_by_the_finer_ones():
    def f(x):  # the steps of 0.01 x are seen everywhere, the wide ones of x only further on
        return np.floor(x + 0.5) + np.floor(1e6 * 0.01 * x) / 1e6

    assert explained(f, lambda _: 1.01, 1.0)


def test_the_integrals_of_a_cubic_are_exact_and_a_jump_is_left():
    t = np.linspace(0.0, 1.0, INTERVALS + 1)
    line = _Line(t**4 - t + 3.0 * (t > 0.6), 4.0 * t**3 - 1.0)
    left = line.left(1.0 / INTERVALS)
    where = int(np.argmax(t > 0.6)) - 1
    assert left[where] == pytest.approx(3.0)
    np.testing.assert_allclose(np.delete(left, where), 0.0, atol=1e-14)
    assert (INNER.sum(), FIRST.sum()) == (pytest.approx(1.0), pytest.approx(1.0))


@pytest.mark.parametrize(
    ("f", "low", "high"),
    [(lambda x: 3.0 * (x > 0.37), 2.9, 3.1), (lambda x: 3.0 * np.tanh(40.0 * (x - 0.37)), 0.0, 1.0)],
)
def test_the_height_is_that_of_a_jump_not_of_what_is_steep(f, low, high):
    x = np.zeros(1)
    subject = as_subject((lambda x: f(x[0]), lambda x, g: 0.0 * g * x), (x,), None, Hints())
    g = np.ones(subject.output().shape)
    e = Evidence(subject, subject.input, x, g, subject.output(), {}, x, g, np.random.default_rng(0))
    left = np.diff([f(t) for t in np.linspace(0.0, 1.0, INTERVALS + 1)])
    assert low <= _height(e, np.ones(1), left, 1.0) <= high


def softmax32(x):
    e = np.exp(x.astype(np.float32) - x.max().astype(np.float32))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("at_largest", "verdict"), [(0.0, "right"), (2.0, "wrong")])
@pytest.mark.parametrize("seed", range(3))
def test_a_claim_that_is_wrong_up_to_a_branch_nearby_is_not_spared_for_being_right_beyond(seed, at_largest, verdict):
    def backward(x, grad):
        p = softmax32(x).astype(float)
        dx = p * (grad - (grad * p).sum(axis=1, keepdims=True))
        dx.flat[x.argmax()] += at_largest  # as if the largest had a gradient for being subtracted
        return dx

    x = np.random.default_rng(seed).standard_normal((3, 4))
    assert check_gradients((softmax32, backward), x).verdict == verdict
