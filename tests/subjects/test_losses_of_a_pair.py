"""Losses that take the output and the targets in one tuple."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(6)
P, T = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))


class Kept:
    factor = 1.0

    def forward(self, inputs):
        self.x, self.y = inputs
        return 0.5 * np.sum((self.x - self.y) ** 2)

    def backward(self, grad=1.0):
        difference = self.factor * (self.x - self.y) * grad
        return difference, -difference


class Asked:
    factor = 1.0

    def forward(self, pair):
        return np.mean((pair[0] - pair[1]) ** 2)

    def backward(self, pair):
        return self.factor * 2.0 * (pair[0] - pair[1]) / pair[0].size


class OfSamples:
    factor = 1.0

    def __call__(self, batch):
        targets, predictions = batch
        self.difference = predictions - targets
        return 0.5 * np.sum(self.difference**2, axis=1)

    def backward(self, grads):
        return self.factor * self.difference * grads[:, None]


def of(factor):
    def loss(batch):
        prediction, target = batch
        difference = prediction - target
        return np.mean(difference**2), factor * 2.0 * difference / difference.size

    return loss


def kind(of_class, factor):
    return type(of_class.__name__, (of_class,), {"factor": factor})()


@pytest.mark.parametrize("make", [*(lambda factor, one=one: kind(one, factor) for one in (Kept, Asked, OfSamples)), of])
def test_the_targets_are_given_as_those_of_any_loss(make):
    assert check_gradients(make(1.0), P, T)
    report = check_gradients(make(1.5), P, T)
    assert [entry.verdict for entry in report.entries] == ["wrong"]


def test_one_tuple_has_targets_where_its_parts_are_called_so():
    assert check_gradients(of(1.0), (P, T))
    assert check_gradients(of(1.0), ((P, T),))


def test_what_is_called_y_is_one_more_input_where_its_gradient_is_returned():
    def product(pair):
        x, y = pair
        return np.sum(x * y), (y, 2.0 * x)

    report = check_gradients(product, (P, T))
    assert [entry.verdict for entry in report.entries] == ["right", "wrong"]
