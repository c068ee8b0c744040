"""Networks whose backward pass takes the error, and no targets to make it of, as word2vec's ``backprop(e, h, x)``."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X, T = np.eye(6)[2], np.eye(6)[4]


class Skipgram:
    def __init__(self, sign=-1.0, off=1.0):
        rng = np.random.default_rng(0)
        self.w1, self.w2 = rng.uniform(-0.8, 0.8, (6, 3)), rng.uniform(-0.8, 0.8, (3, 6))
        self.eta, self.sign, self.off = 0.01, sign, off

    def forward_pass(self, x):
        h = self.w1.T @ x
        u = self.w2.T @ h
        y_c = np.exp(u - u.max())
        y_c = y_c / y_c.sum()
        return y_c, h, u

    def backprop(self, e, h, x):
        dl_dw2 = np.outer(h, e)
        dl_dw1 = np.outer(x, self.w2 @ e.T)
        self.w1 = self.w1 + self.sign * self.eta * self.off * dl_dw1
        self.w2 = self.w2 + self.sign * self.eta * dl_dw2


@pytest.mark.parametrize(("sign", "words"), [(-1.0, "output - targets"), (1.0, "targets - output")])
@pytest.mark.parametrize(("off", "verdict"), [(1.0, "right"), (2.0, "wrong"), (-1.0, "wrong")])
def test_the_error_is_the_difference_of_output_and_targets_by_which_steps_go_down(sign, words, off, verdict):
    report = check_gradients(Skipgram(sign, off), X, T)
    if off > 0.0:
        assert [(entry.name, entry.verdict) for entry in report.entries] == [("w1", verdict), ("w2", "right")]
        assert f"backprop is given {words} for the error" in report.notes
    assert report.verdict == verdict
