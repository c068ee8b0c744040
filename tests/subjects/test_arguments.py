"""Which of the arguments that are given together are targets, where no name tells it on the command line."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.arguments import with_targets_apart

X, Y = np.random.default_rng(0).standard_normal((4, 1)), np.random.default_rng(1).standard_normal((3, 1))


class Network:
    """A course's: feedforward is given the data alone, backprop the targets as well."""

    def __init__(self, wrong=1.0):
        self.weights, self.biases = np.random.default_rng(2).standard_normal((3, 4)), np.zeros((3, 1))
        self.wrong = wrong

    def feedforward(self, a):
        return np.tanh(self.weights @ a + self.biases)

    def backprop(self, x, y):
        a = self.feedforward(x)
        delta = (a - y) * (1.0 - a**2)
        return delta, self.wrong * delta @ x.T


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_network_is_given_its_targets_with_its_data(wrong, verdict):
    net = Network(wrong)
    assert check_gradients(net, (X, Y)).verdict == check_gradients(net, X, Y).verdict == verdict


class WithRate:
    def feedforward(self, a):
        return a

    def backprop(self, grad, rate):
        return rate * grad


class OfTwo:
    def feedforward(self, a, b):
        return a + b

    def backprop(self, a, y):
        return a - y


class OfThree:
    feedforward = OfTwo.feedforward

    def backprop(self, a, b, y):
        return a + b - y


@pytest.mark.parametrize(
    ("target", "x"),
    [
        (Network(), X),
        (Network(), (X,)),
        (WithRate(), (X, Y)),
        (OfTwo(), (X, Y)),
        ((np.sin, np.cos), (X, Y)),
        (np.sin, (X, Y)),
        (object(), (X, Y)),
    ],
)
def test_else_what_is_given_stays_together(target, x):
    inputs, targets = with_targets_apart(target, x)
    assert inputs is x
    assert targets is None


def test_of_three_the_first_two_stay_together():
    inputs, targets = with_targets_apart(OfThree(), (X, X, Y))
    assert [one is X for one in inputs] == [True, True]
    assert targets is Y
