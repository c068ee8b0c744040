"""The backward pass of a loss within a function: what it returns is the gradient of its own input."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients


class Affine:
    def __init__(self, factor):
        self.w, self.factor = np.random.default_rng(2).standard_normal((3, 3)), factor

    def forward(self, x):
        self.x = x
        return x @ self.w

    def backward(self, grad):
        self.grad_w = self.factor * self.x.T @ grad
        return grad @ self.w.T


class LossOfNet:
    """Goes on through its network, and returns the gradient of what it was itself given."""

    def __init__(self, net):
        self.net = net

    def __call__(self, scores, y):
        return self.forward(scores, y)

    def forward(self, scores, y):
        self.difference = scores - y
        return (self.difference**2).sum() / 2

    def backward(self):
        self.net.backward(self.difference)
        return self.difference


@pytest.mark.parametrize("columns", [3, 2])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_what_a_loss_within_the_function_returns_is_the_gradient_of_its_own_input(columns, factor, verdict):
    rng = np.random.default_rng(3)
    net = Affine(factor)
    net.w, loss = net.w[:columns], LossOfNet(net)
    x, y = rng.standard_normal((4, columns)), rng.standard_normal((4, 3))
    report = check_gradients((lambda x, y: loss(net.forward(x), y), loss.backward), x, y)
    assert [entry.verdict for entry in report.entries] == [verdict]
    # What is given to it as it stands, in whatever shape, has its gradient there.
    report = check_gradients((lambda scores, y: loss(1.0 * scores, y), loss.backward), net.forward(x), y)
    assert report["scores"].verdict == "right"
    assert "forward" not in vars(loss)
