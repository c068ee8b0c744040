"""Pooling with height and width exchanged in backward, and an ELU that loses its alpha: named, and not nearly."""

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


def images(*shape):
    return np.random.default_rng(0).standard_normal(shape)


class Pool:
    """Windows of 2 x 2; ``mistake`` is made of grad_output, of the result or of the windows' places."""

    def __init__(self, kind, mistake):
        self.kind, self.mistake = kind, mistake

    def forward(self, x):
        n, c, h, w = self.shape = x.shape
        self.tiles = x.reshape(n, c, h // 2, 2, w // 2, 2).swapaxes(3, 4)
        return self.tiles.max(axis=(4, 5)) if self.kind == "max" else self.tiles.mean(axis=(4, 5))

    def backward(self, g):
        n, c, h, w = self.shape
        if self.mistake == "grad_output":
            g = g.reshape(n, c, w // 2, h // 2).swapaxes(2, 3)
        share = self.tiles == self.tiles.max(axis=(4, 5), keepdims=True) if self.kind == "max" else 0.25
        tiles = np.broadcast_to(share * g[..., None, None], self.tiles.shape)
        if self.mistake == "places":
            return tiles.reshape(n, c, w // 2, h // 2, 2, 2).swapaxes(3, 4).reshape(self.shape)
        dx = tiles.swapaxes(3, 4).reshape(self.shape)
        if self.mistake == "result":
            dx = dx.reshape(n, c, w, h).swapaxes(2, 3)
        return dx + 0.1 * dx**2 if self.mistake == "other" else dx


@pytest.mark.parametrize("mistake", ["grad_output", "result", "places"])
@pytest.mark.parametrize("kind", ["max", "mean"])
def test_height_and_width_exchanged_in_pooling_is_named(kind, mistake):
    found = diagnosed(check_gradients(Pool(kind, mistake), images(2, 3, 4, 6))["x"])
    assert (found.cause, found.confident) == ("axes_exchanged", True)


def test_pooling_that_is_right_or_otherwise_wrong_has_nothing_exchanged():
    assert check_gradients(Pool("max", ""), images(2, 3, 4, 6)).ok
    assert diagnosed(check_gradients(Pool("max", "other"), images(2, 3, 4, 6))["x"]).cause == "unknown"


def elu(alpha, slope):
    def forward(x):
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

    def backward(x, g):
        y = forward(x)
        slopes = {"y": y, "y + 1": y + 1, "exp(x)": np.exp(x), "y + 0.71": y + 0.71, "0": 0 * y}
        return g * np.where(x > 0, 1.0, slopes[slope])

    return forward, backward


@pytest.mark.parametrize(
    ("alpha", "slope", "cause"),
    [
        (1.0, "y", "alpha_missing"),
        (0.7, "y", "alpha_missing"),
        (0.7, "y + 1", "alpha_missing"),
        (1.5, "exp(x)", "alpha_missing"),
        (0.7, "y + 0.71", "branch"),
        (0.7, "0", "other_activation"),
    ],
)
def test_an_alpha_that_is_left_out_of_the_derivative_is_named(alpha, slope, cause):
    assert diagnosed(check_gradients(elu(alpha, slope), images(5, 4))["x"]).cause == cause


@pytest.mark.parametrize("name", ["x", "W", "b"])
def test_it_is_named_in_a_dense_layer(name):
    class Dense:
        def __init__(self):
            self.W, self.b = images(4, 3), np.zeros(3)

        def forward(self, x):
            z = x @ self.W + self.b
            self.x, self.z, self.y = x, z, np.where(z > 0, z, np.expm1(np.minimum(z, 0)))
            return self.y

        def backward(self, g):
            delta = g * np.where(self.z > 0, 1.0, self.y)
            self.dW, self.db = self.x.T @ delta, delta.sum(axis=0)
            return delta @ self.W.T

    assert diagnosed(check_gradients(Dense(), images(5, 4))[name]).cause == "alpha_missing"
