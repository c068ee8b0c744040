"""Networks with targets whose backward pass takes the gradient of the output; what loss and backward name."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2))


class Squares:
    def __init__(self, n):
        self.n = n

    def forward(self, output, target):
        self.output, self.target = output, target
        return np.mean((output - target) ** 2)

    def backward(self):
        return 2 * (self.output - self.target) / self.n


class Network:
    def __init__(self, loss, wrong=1.0):
        self.W, self.criterion, self.wrong = np.random.default_rng(1).standard_normal((3, 2)), loss, wrong

    def forward(self, x):
        self.x = x
        return np.tanh(x @ self.W)

    def backward(self, grad_output, learning_rate):
        d = grad_output * (1 - np.tanh(self.x @ self.W) ** 2)
        dx = d @ self.W.T
        self.W -= self.wrong * learning_rate * self.x.T @ d
        return dx


@pytest.mark.parametrize(("n", "wrong", "verdict"), [(10, 1.0, "right"), (5, 1.0, "wrong"), (10, 2.0, "wrong")])
def test_the_gradient_of_the_loss_that_a_network_holds_goes_to_a_backward_pass_that_takes_a_rate_too(n, wrong, verdict):
    report = check_gradients(Network(Squares(n), wrong), X, T)
    assert report["W"].verdict == verdict
    if verdict == "wrong":
        diagnosis = report["W"].diagnosis
        assert diagnosis is not None
        assert "= 2 at all 6" in diagnosis.evidence


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_where_the_loss_has_no_gradient_backward_is_checked_from_one_of_the_output(wrong):
    report = check_gradients(Network(lambda output, target: np.mean((output - target) ** 2), wrong), X, T)
    assert report["W"].verdict == ("right" if wrong == 1.0 else "wrong")
    assert "right" in report["x"].verdict
    assert any("nothing gives backward the gradient of the loss" in note for note in report.notes)


class OfSteps:
    """A recurrent network that returns dicts by steps, of which loss and backward name what they want."""

    def __init__(self, wrong=1.0):
        r = np.random.default_rng(2)
        self.U, self.V, self.wrong = r.standard_normal((4, 5)), r.standard_normal((5, 4)), wrong

    def forward(self, inputs, hprev):
        xs, hs, ps = {}, {-1: hprev}, {}
        for t, index in enumerate(inputs):
            xs[t] = np.eye(5)[:, [index]]
            hs[t] = np.tanh(self.U @ xs[t] + hs[t - 1])
            e = np.exp(self.V @ hs[t])
            ps[t] = e / e.sum()
        return xs, hs, ps

    def loss(self, ps, targets):
        return -sum(np.log(ps[t][index, 0]) for t, index in enumerate(targets))

    def backward(self, xs, hs, ps, targets):
        dU, dV, dnext = np.zeros_like(self.U), np.zeros_like(self.V), np.zeros((4, 1))
        for t in reversed(range(len(targets))):
            dy = ps[t] - np.eye(5)[:, [targets[t]]]
            dV += dy @ hs[t].T
            dnext = (self.V.T @ dy + dnext) * (1 - hs[t] ** 2)
            dU += self.wrong * dnext @ xs[t].T
        return dU, dV


@pytest.mark.parametrize("wrong", [1.0, 0.5])
def test_loss_and_backward_are_given_what_they_name_of_all_that_forward_returns(wrong):
    report = check_gradients(OfSteps(wrong), ([0, 3, 1], np.ones((4, 1))), [3, 1, 4])
    assert report["U"].verdict == ("right" if wrong == 1.0 else "wrong")
    assert report["V"].verdict == "right"
