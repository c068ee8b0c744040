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


@pytest.mark.parametrize("name", ["forward", "backward", "_read_labels"])
@pytest.mark.parametrize("where", ["loss", "class", "parent"])
def test_a_method_that_a_loss_is_given_later_is_called_at_each_batch(monkeypatch, name, where):
    net, loss, rng = planned()
    calls: list[str] = []
    place = {"loss": loss, "class": type(loss), "parent": type(loss).__mro__[1]}[where]
    method = getattr(place, name)

    def counted(*given):
        calls.append(name)
        return method(*given)

    monkeypatch.setattr(place, name, counted)
    for _ in range(UNTIL_IN_USE + 1):
        before = len(calls)
        loss_and_gradients(net, loss, *batch(rng))
        assert len(calls) > before


def test_a_method_that_one_layer_is_given_is_called_at_each_batch():
    net, loss, rng = planned()
    calls: list[int] = []
    write = net[0]._write_gradients

    def counted(*given):
        calls.append(1)
        write(*given)

    net[0]._write_gradients = counted
    for _ in range(UNTIL_IN_USE + 1):
        before = len(calls)
        loss_and_gradients(net, loss, *batch(rng))
        assert len(calls) > before


class Doubled(nn.ReLU):
    """A layer of somebody's own."""

    def forward(self, x):
        return 2.0 * super().forward(x)


def test_a_layer_that_gets_another_class_computes_as_that():
    net, loss, rng = planned()
    net[1].__class__ = Doubled
    twin, (x, y) = copy.deepcopy(net), batch(rng)
    assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)


def test_slopes_that_are_an_array_are_those_of_now():
    slopes = np.linspace(0.0, 1.0, 7, dtype=np.float32)
    net, loss, rng = planned(nn.Linear(5, 7, rng=0), nn.LeakyReLU(), nn.Linear(7, 3, rng=1))
    twin = copy.deepcopy(net)
    for one in (net, twin):
        one[1].options["negative_slope"] = slopes
    for _ in range(UNTIL_IN_USE + 2):
        slopes *= 0.5
        x, y = batch(rng)
        assert loss_and_gradients(net, loss, x, y) == _by_formulas(twin, nn.CrossEntropyLoss(), x, y)


def test_a_slope_that_is_0_with_another_sign_gives_the_zero_of_that_sign():
    net, loss, rng = planned(nn.Linear(5, 7, rng=0), nn.LeakyReLU(0.0), nn.Linear(7, 3, bias=False, rng=1))
    net[1].options["negative_slope"] = -0.0
    twin, (x, y) = copy.deepcopy(net), batch(rng)
    loss_and_gradients(net, loss, x, y)
    _by_formulas(twin, nn.CrossEntropyLoss(), x, y)
    assert net[2].saved.tobytes() == twin[2].saved.tobytes()
