"""Inputs that people write down, zeros, ones, a ramp, hide mistakes; and probabilities are not looked at below 0."""

import numpy as np
import pytest

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(1)


def ridge(w, X, y, alpha):
    return np.sum((X @ w - y) ** 2) + 0.5 * alpha * w @ w


def ridge_grad(w, X, y, alpha):
    return 2 * X.T @ (X @ w - y) + alpha * w


def without_penalty(w, X, y, alpha):
    return 2 * X.T @ (X @ w - y) + 0 * alpha * w


def test_a_penalty_shows_beside_zeros():
    given = np.zeros(3), RNG.standard_normal((6, 3)), RNG.standard_normal(6), 1.0
    assert check_gradients((ridge, ridge_grad), given).verdict == "right"
    report = check_gradients((ridge, without_penalty), given)
    assert report.verdict == "wrong"
    assert report["w"].reason.startswith("right at the point given, but wrong where w is not 0 throughout")


def squares_of_windows(x):
    return np.array([[np.sum(x[i : i + 2, j : j + 2]) ** 2 for j in range(2)] for i in range(2)])


def of_windows(x, dout, *, exchanged):
    dx = np.zeros_like(x)
    for i in range(2):
        for j in range(2):
            at = (j, i) if exchanged else (i, j)
            dx[i : i + 2, j : j + 2] += 2 * np.sum(x[at[0] : at[0] + 2, at[1] : at[1] + 2]) * dout[i, j]
    return dx


@pytest.mark.parametrize(("exchanged", "verdict"), [(False, "right"), (True, "wrong")])
def test_exchanged_axes_show_beside_ones(exchanged, verdict):
    report = check_gradients(
        (squares_of_windows, lambda x, dout: of_windows(x, dout, exchanged=exchanged)), np.ones((3, 3))
    )
    assert report.verdict == verdict


def pool(x):
    return np.array([[x[i : i + 2, j : j + 2].max() for j in range(3)] for i in range(3)])


def pool_backward(dout, x, add=True):
    dx = np.zeros_like(x)
    for i in range(3):
        for j in range(3):
            window, into = x[i : i + 2, j : j + 2], dx[i : i + 2, j : j + 2]
            into[window == window.max()] = dout[i, j] + (into[window == window.max()] if add else 0.0)
    return dx


def overwriting(dout, x):
    return pool_backward(dout, x, False)


def test_windows_that_overlap_show_in_no_ramp():
    ramp = np.linspace(-0.3, 0.4, 16).reshape(4, 4)
    assert check_gradients((pool, pool_backward), ramp).verdict == "right"
    report = check_gradients((pool, overwriting), ramp)
    assert report.verdict == "wrong"
    assert "at the entries of this input in another order" in report["x"].reason


def lasso(w, X, y, strength):
    return np.mean((X @ w - y) ** 2) / 2 + strength * np.abs(w).sum()


def lasso_grad(w, X, y, strength, sign=np.sign):
    return X.T @ (X @ w - y) / len(y) + strength * sign(w)


def without_signs(w, X, y, strength):
    return lasso_grad(w, X, y, strength, np.ones_like)


@pytest.mark.parametrize("w", [[0.4, 0.8, 0.3], [1.4, 2.8, 0.3], [-1.0, -2.0, -0.5]])
def test_weights_of_one_sign_are_looked_at_on_the_other_side_of_0(w):
    given = np.array(w), RNG.standard_normal((8, 3)), RNG.standard_normal(8), 0.1
    assert check_gradients((lasso, lasso_grad), given).verdict == "right"
    report = check_gradients((lasso, without_signs), given)
    assert report.verdict == "wrong"
    if w[0] > 0:
        assert "on the other side of 0 than the others" in report["w"].reason


def divergence(mu, logvar):
    return -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar))


def divergence_grad(mu, logvar):
    return mu, 0.5 * (np.exp(logvar) - 1)


def off_by_more_than_a_factor(mu, logvar):
    return mu, 0.5 * (np.exp(logvar) + 1)


def off_elsewhere(mu, logvar):
    return mu, 0.7 * (np.exp(logvar) - 1)


def test_what_is_0_at_zeros_is_judged_beside_them():
    zeros = np.zeros((4, 3)), np.zeros((4, 3))
    # Here 1 + x - exp(x) is a step or two of rounding at 1: whether that hides a slope of 0, and so all that is small,
    # hangs on how exp rounds.
    assert check_gradients((divergence, divergence_grad), zeros).verdict in ("right", "undecided")
    report = check_gradients((divergence, off_by_more_than_a_factor), zeros)
    assert (report["logvar"].verdict, report["logvar"].cause) == ("wrong", "unknown")
    assert check_gradients((divergence, off_elsewhere), zeros)["logvar"].verdict in ("wrong", "undecided")


class CrossEntropy:
    def __init__(self, off=1.0):
        self.off = off

    def loss(self, y, p):
        p = np.clip(p, 1e-15, 1 - 1e-15)
        return -y * np.log(p) - (1 - y) * np.log(1 - p)

    def gradient(self, y, p):
        p = np.clip(p, 1e-15, 1 - 1e-15)
        return -(y / p) + self.off * (1 - y) / (1 - p)


@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_no_probability_is_below_0(off, verdict):
    loss = CrossEntropy(off)
    assert check_gradients(loss, RNG.uniform(0.1, 0.9, (5, 3)), np.eye(3)[[0, 1, 2, 1, 0]]).verdict == verdict


FILE = """
import numpy as np


class Regression:
    def __init__(self, X, y):
        self.X, self.y = X, y

    def cost(self, theta):
        return np.sum((self.X @ theta - self.y) ** 2)

    def cost_grad(self, theta):
        return 2 * self.X.T @ (self.X @ theta - self.y)


class Sign(Regression):
    def __init__(self, labels, X=None):
        assert set(labels) == {0.0, 1.0}
        super().__init__(np.ones((len(labels), 2)), labels)


def scaled(x, settings):
    return settings["rate"] * x


def scaled_backward(dout, x, settings):
    return settings["rate"] * dout
"""


@pytest.mark.parametrize(
    "words",
    [
        "Regression.cost,Regression.cost_grad --init X=8x2 y=8 --input 2",
        "Sign.cost,Sign.cost_grad --init 8:binary --input 2",
        "scaled --input 3 --input settings=dict(rate=0.5)",
    ],
)
def test_words_on_the_command_line(tmp_path, capsys, words):
    path = tmp_path / "of_one_row_each.py"
    path.write_text(FILE, encoding="utf-8")
    target, *others = words.split()
    assert main([f"{path}:{target}", *others]) == 0, capsys.readouterr()
