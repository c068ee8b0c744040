"""Layers whose parameters are lists of numbers, as who writes without arrays has them."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(6)
X = RNG.standard_normal((5, 2))


class Lists:
    """A dense layer of lists; of ``left_out`` no gradient is kept."""

    def __init__(self, left_out=""):
        self.w, self.c, self.left_out = RNG.standard_normal((2, 3)).tolist(), [0.5, -0.25, 1.5], left_out

    def forward(self, x):
        self.x = x
        return x @ np.array(self.w) + np.array(self.c)

    def backward(self, grad):
        gradients = {"w": (self.x.T @ grad).tolist(), "c": grad.sum(axis=0).tolist()}
        self.dw, self.dc = (None if name == self.left_out else gradients[name] for name in ("w", "c"))
        return grad @ np.array(self.w).T


@pytest.mark.parametrize(("left_out", "lost"), [("", []), ("c", ["c[0]", "c[1]", "c[2]"])])
def test_numbers_in_a_list_count_where_all_that_is_learned_are_such(left_out, lost):
    report = check_gradients(Lists(left_out), X)
    # Once "numbers without a gradient, taken for settings".
    assert report.verdict == ("undecided" if lost else "right")
    assert all(f"{name}" in " ".join(report.problems) for name in lost)


class Betas(Lists):
    """A dense layer of arrays, with a list of numbers that are settings."""

    def __init__(self):
        self.W, self.betas = RNG.standard_normal((2, 3)), [0.5, 0.25]

    def forward(self, x):
        self.x = x
        return sum(self.betas) * x @ self.W

    def backward(self, grad):
        self.dW = sum(self.betas) * self.x.T @ grad
        return sum(self.betas) * grad @ self.W.T


def test_beside_arrays_numbers_in_a_list_are_settings():
    assert check_gradients(Betas(), X).ok
