"""Backward passes for the input alone, beside a method for the gradients of parameters that is given what it needs."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(6)
X = RNG.standard_normal((5, 3))


class Module:
    """What is given to either method again, and adds up until it is zeroed."""

    def __init__(self, wrong=1.0):
        self._parameters, self._gradient = RNG.standard_normal((3, 2)), np.zeros((3, 2))
        self.wrong = wrong

    def zero_grad(self):
        self._gradient = np.zeros((3, 2))

    def forward(self, x):
        return np.tanh(x) @ self._parameters

    def backward_update_gradient(self, input, delta):
        self._gradient += self.wrong * np.tanh(input).T @ delta

    def backward_delta(self, input, delta):
        return delta @ self._parameters.T * (1 - np.tanh(input) ** 2)


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_it_is_given_the_input_and_the_gradient_of_the_output(wrong, verdict):
    report = check_gradients(Module(wrong), X)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", "right"), ("_parameters", verdict)]


class OfOneSample:
    """A network that keeps errors in backward(target), and makes gradients of them and of the sample."""

    def __init__(self, wrong=1.0):
        self.W, self.b = {1: RNG.standard_normal((4, 3)), 2: RNG.standard_normal((2, 4))}, RNG.standard_normal(4)
        self.delta_W, self.delta_b, self.e, self.a, self.wrong = {1: np.zeros(1)}, np.zeros(4), {}, {}, wrong

    def forward(self, sample):
        self.a[1] = np.tanh(self.W[1] @ sample + self.b)
        self.a[2] = self.W[2] @ self.a[1]
        return self.a[2]

    def loss(self, sample, target):
        return 0.5 * np.sum((self.forward(sample) - target) ** 2)

    def backward(self, target):
        self.e[2] = self.a[2] - target
        self.e[1] = self.wrong * self.W[2].T @ self.e[2] * (1 - self.a[1] ** 2)

    def gradient(self, sample):
        self.a[0] = np.array(sample)
        for layer in (1, 2):
            self.delta_W[layer] = np.outer(self.e[layer], self.a[layer - 1])
        self.delta_b = self.e[1]


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_it_is_given_the_sample(wrong, verdict):
    report = check_gradients(OfOneSample(wrong), X[0], np.array([0.5, -1.0]))
    found = {entry.name: entry.verdict for entry in report.entries}
    assert found == {"W[1]": verdict, "W[2]": "right", "b": verdict}
