"""A matrix that joins the rows of the input, as that of a graph does, is given, and no weight."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, UNDECIDED

rng = np.random.default_rng(0)
H = rng.standard_normal((5, 3))
EDGES = np.array([[1, 1, 0, 0, 1], [1, 1, 1, 1, 0], [0, 1, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1]], float)
NORMALISED = EDGES / np.sqrt(np.outer(EDGES.sum(axis=0), EDGES.sum(axis=1)))


class Convolution:
    def __init__(self, matrix):
        self.A_hat, self.W = matrix, rng.standard_normal((3, 2))

    def forward(self, h):
        self.joined = self.A_hat @ h
        return np.tanh(self.joined @ self.W)

    def backward(self, grad_output):
        dz = grad_output * (1.0 - np.tanh(self.joined @ self.W) ** 2)
        self.dW = self.joined.T @ dz
        return self.A_hat.T @ dz @ self.W.T


def test_a_normalised_graph_is_data():
    report = check_gradients(Convolution(NORMALISED), H)
    assert report.verdict == RIGHT
    assert "A_hat" in " ".join(report.notes)


@pytest.mark.parametrize(
    ("matrix", "h"),
    [
        (rng.standard_normal((5, 5)), H),  # not symmetric: a weight between tokens, say
        (np.eye(5) * 0.5, H),  # a gain that begins alike
        (np.full((5, 5), 0.2), H),
    ],
)
def test_what_may_be_learned_is_not(matrix, h):
    assert check_gradients(Convolution(matrix), h).verdict == UNDECIDED
