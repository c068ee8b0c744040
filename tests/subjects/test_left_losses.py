"""Losses that hand on what they are given, and leave the loss; and those that are given their own probabilities."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

SCORES = np.random.default_rng(0).standard_normal((5, 3))
ONE_HOT = np.eye(3)[[1, 0, 2, 2, 1]]


class AtTheEnd:
    def __init__(self, sign=1.0):
        self.loss, self.count, self.sign = np.zeros(3), 0, sign

    def forward(self, x, t):
        self.count += 1
        self.x, self.t = x, t
        self.loss += 0.5 * (x - t) ** 2
        return x

    def backward(self):
        return self.sign * (self.x - self.t)


@pytest.mark.parametrize(("sign", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_the_loss_is_what_is_left_and_not_what_is_handed_on(sign, verdict):
    layer = AtTheEnd(sign)
    report = check_gradients(layer, SCORES[0], ONE_HOT[0])
    assert report["x"].verdict == verdict
    found = report["x"].diagnosis
    assert found is None or found.cause == "target_minus_prediction"
    assert not layer.loss.any()
    assert layer.count == 0


class OfProbabilities:
    def __init__(self, times=1.0):
        self.times = times

    def forward(self, inputs, y_true):
        p = np.exp(inputs) / np.exp(inputs).sum(axis=1, keepdims=True)
        return p, -np.mean(np.sum(np.log(p) * y_true, axis=1))

    def backward(self, dout, y_true):
        dout -= y_true  # the probabilities, which a caller hands back
        return dout * self.times / len(dout)


@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize(("times", "cause"), [(1.0, None), (-1.0, "target_minus_prediction"), (5.0, "factor")])
def test_what_forward_returned_before_the_loss_is_given_back_under_the_name_of_a_gradient(functions, times, cause):
    loss = OfProbabilities(times)
    target = (lambda x, y: loss.forward(x, y), lambda dout, y: loss.backward(dout, y)) if functions else loss
    (entry,) = check_gradients(target, SCORES, ONE_HOT).entries
    assert entry.verdict == ("wrong" if cause else "right")
    assert entry.diagnosis is None or entry.diagnosis.cause == cause
