"""A plan is left as soon as something about it is another one, and then numbers, errors and state are the formulas'."""

import copy
import sys

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.training import planned as planning
from numpy_nn.training.planned import BEFORE, _by_formulas, loss_and_gradients, plans

UNTIL_IN_USE = BEFORE + 1


@pytest.fixture(autouse=True)
def _not_debugged(monkeypatch):
    """Coverage looks as a debugger does, and formulas would be all that is tested."""
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    monkeypatch.setattr(planning, "MONITORING", None)


def batch(rng, n=8, dtype=np.float32):
    return rng.standard_normal((n, 5)).astype(dtype), rng.integers(0, 3, n)


def planned(*layers):
    """A network with a plan in use, its loss, and what draws further batches."""
    net = nn.Sequential(*layers) if layers else nn.MLP([5, 7, 3], rng=0)
    net.train()
    loss, rng = nn.CrossEntropyLoss(), np.random.default_rng(0)
    for _ in range(UNTIL_IN_USE):
        loss_and_gradients(net, loss, *batch(rng))
    assert len(plans(net)) == 1
    return net, loss, rng


def test_labels_that_have_to_be_converted_are_those_of_each_batch():
    net, loss, rng = nn.MLP([5, 3], rng=0), nn.CrossEntropyLoss(), np.random.default_rng(0)
    twin = copy.deepcopy(net)
    x, y = rng.standard_normal((4, 5)).astype(np.float32), np.array([0, 1, 2, 0])
    for step in range(UNTIL_IN_USE + 2):
        labels = ((y + step // UNTIL_IN_USE) % 3).astype(">i8")  # alike until a plan would be in use
        assert loss_and_gradients(net, loss, x, labels) == _by_formulas(twin, nn.CrossEntropyLoss(), x, labels)


class Unrelated:
    """A loss that is no Loss, with all that a step asks for."""

    __slots__ = ("difference",)

    def __call__(self, output, target):
        self.difference = output - target
        return float(np.square(self.difference).sum())

    def backward(self):
        return 2.0 * self.difference


def test_a_loss_that_is_no_loss_of_this_package_trains_as_ever():
    net, loss, rng = nn.MLP([5, 3], rng=0), Unrelated(), np.random.default_rng(0)
    optimizer = nn.SGD(net.parameters(), lr=0.0)
    x, y = (rng.standard_normal((4, k)).astype(np.float32) for k in (5, 3))
    for _ in range(UNTIL_IN_USE + 1):
        value = nn.train_step(net, loss, optimizer, x, y)
        assert value == float(np.square(net(x) - y).sum())
