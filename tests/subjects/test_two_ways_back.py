"""Layers with a method for the gradient of the input, and others for those of the parameters."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(2)
X = RNG.normal(size=(5, 4))


class Dense:
    factor = 1.0

    def __init__(self, n_in=4, n_out=3):
        self.W, self.b = RNG.normal(size=(n_in, n_out)), RNG.normal(size=n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward_inputs(self, grads):
        return grads @ self.W.T

    def backward_params(self, grads):
        self.dW, self.db = self.factor * self.x.T @ grads, grads.sum(axis=0)
        return [[self.W, self.dW], [self.b, self.db]]


class Twice(Dense):
    factor = 2.0


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward_inputs(self, grads):
        return grads * (1.0 - self.out**2)

    def backward_params(self, _):
        return []


class OfTheOutput(Tanh):
    def backward_inputs(self, grads):
        return grads * (1.0 - self.out)


class Apart:
    """A method for each of its parameters."""

    factor = 1.0

    def __init__(self, n_in=4, n_out=3):
        self.W, self.b = RNG.normal(size=(n_in, n_out)), RNG.normal(size=n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def grad_x(self, grad_output):
        return grad_output @ self.W.T

    def grad_w(self, grad_output):
        return self.factor * self.x.T @ grad_output

    def grad_b(self, grad_output):
        return grad_output.sum(axis=0)


class ApartTwice(Apart):
    factor = 2.0


class Accumulating:
    factor = 1.0

    def __init__(self):
        self.weight, self.gradWeight = RNG.normal(size=(4, 3)), np.zeros((4, 3))

    def updateOutput(self, input):
        self.output = input @ self.weight
        return self.output

    def updateGradInput(self, input, gradOutput):
        return (gradOutput @ self.weight.T).reshape(input.shape)

    def accGradParameters(self, input, gradOutput, scale=1):
        self.gradWeight += self.factor * scale * input.T @ gradOutput

    def zeroGradParameters(self):
        self.gradWeight[...] = 0.0


class AccumulatingTwice(Accumulating):
    factor = 2.0


class Updating(Dense):
    """What moves the weights comes last, so that the gradient of the input is that by the weights before."""

    lr = 0.1

    def backward_params(self, grads):
        self.W -= self.factor * self.lr * self.x.T @ grads
        self.b -= self.lr * grads.sum(axis=0)


class UpdatingTwice(Updating):
    factor = 2.0


class Network:
    """Gradients of its parameters alone, that of its input is not asked for."""

    def __init__(self, first=Dense):
        self.layers = [first(), Tanh(), Dense(3, 2)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward_params(self, grads):
        found = []
        for layer in reversed(self.layers):
            found += layer.backward_params(grads)
            grads = layer.backward_inputs(grads)
        return found


def wrong_in(report):
    return [entry.name for entry in report.entries if entry.verdict == "wrong"]


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        (Dense, Twice, "W"),
        (Tanh, OfTheOutput, "x"),
        (Apart, ApartTwice, "W"),
        (Accumulating, AccumulatingTwice, "weight"),
        (Updating, UpdatingTwice, "W"),
        (Network, lambda: Network(Twice), "layers[0].W"),
    ],
)
def test_all_of_them_are_the_backward_pass(right, wrong, name):
    assert check_gradients(right(), X)
    assert wrong_in(check_gradients(wrong(), X)) == [name]


def test_layers_in_a_list_may_return_the_gradients_of_their_parameters():
    report = check_gradients([Apart(), Apart(3, 2)], X)
    assert report.verdict == "right"
    assert [entry.name for entry in report.entries] == ["x", "layers[0].W", "layers[0].b", "layers[1].W", "layers[1].b"]
