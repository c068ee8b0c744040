"""Whose passes functions are, what is copied and what restored, and what is put in training."""

import math
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import EMPTY, NET, ONE, Net

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls import owners
from numpy_nn.subjects.calls.owners import (
    _changes,
    _held_by,
    _objects_of,
    are_of_another,
    keeps_arrays,
    put_in_training,
)
from numpy_nn.subjects.calls.rates import rate_of
from numpy_nn.subjects.state import Snapshot


def two(x, y):
    return x * y


def closure(held):
    return lambda: held


@pytest.mark.parametrize(
    ("thing", "keeps"),
    [
        (NET, True),
        (EMPTY, False),
        (SimpleNamespace(ids=np.arange(3)), False),
        (np.ones(3), False),
        (np.random.default_rng(0), False),
        (3.0, False),
    ],
)
def test_an_objectkeeps_arrays_of_floats(thing, keeps):
    assert keeps_arrays(thing) == keeps


def test_the_objects_of_a_function_are_those_that_it_is_a_method_of_or_refers_to():
    assert list(_held_by(NET.forward)) == [NET]
    assert list(_held_by(partial(two, 1.0, y=2.0))) == [1.0, 2.0]
    assert list(_held_by(len)) == []
    one, other, rate = Net(), Net(), 0.5

    def both(x):
        return rate * one.forward(x) + other.backward(x)

    assert sorted(map(id, _objects_of(both))) == sorted(map(id, (one, other)))
    method = one.forward

    def twice(x):
        return method(x) + one.backward(x)

    assert _objects_of(twice) == [one]
    assert _objects_of(EMPTY) == []


@pytest.mark.parametrize(
    ("target", "forward", "backward", "another"),
    [
        (EMPTY, NET.forward, NET.backward, True),
        (NET, NET.forward, NET.backward, False),
        (Net(), NET.forward, NET.backward, False),
        (EMPTY, len, len, False),
    ],
)
def test_passes_are_those_of_another_object_than_the_one_that_keeps_them(target, forward, backward, another):
    assert are_of_another(target, forward, backward) == another


@pytest.mark.parametrize(
    ("thing", "changes"),
    [
        (np.ones(1), True),
        ({}, True),
        ([], True),
        (NET, True),
        (NET.forward, True),
        (3.0, False),
        (object(), False),
        (np.random.default_rng(0), False),
        (np.random.RandomState(0), False),
        (math, False),
        (Net, False),
        (len, False),
        (closure(1), False),
    ],
)
def test_what_can_change(thing, changes):
    assert _changes(thing) == changes


@pytest.mark.parametrize(
    ("target", "snapshot"),
    [
        (NET, False),
        (NET.forward, True),
        (partial(NET.forward), True),
        ((NET, NET), False),
        ((NET, NET.forward), True),
        ([NET.forward], True),
        (SimpleNamespace(forward=closure(NET)), True),
        (SimpleNamespace(forward=closure(3.0)), False),
    ],
)
def test_what_is_not_copied_is_restored(target, snapshot):
    assert isinstance(owners.to_be_restored(target), Snapshot) == snapshot


def test_all_that_says_that_it_is_not_in_training_is_put_there():
    inner, plain, layer = SimpleNamespace(train=False, other=False), SimpleNamespace(training=0), nn.Dropout(0.5)
    layer.eval()
    net = SimpleNamespace(_Training_=False, inner=inner, plain=plain, layer=layer, is_train=True, W=ONE, mode=None)
    assert put_in_training(net)
    assert net._Training_ is True
    assert inner.train is True
    assert inner.other is False
    assert plain.training == 0
    assert not layer.training
    assert not put_in_training(net)
    assert not put_in_training(NET)
    for owner, forward, backward in ((None, len, None), (None, NET.forward, len)):
        assert owners.owned(forward, backward) == (forward, backward, owner, False)
    found = owners.owned(NET.forward, NET.backward)
    assert found.entirely
    assert found.owner is not NET
    assert getattr(found.forward, "__self__", None) is found.owner
    assert not owners.owned(NET.backward, NET.forward).entirely


# Rates.


@pytest.mark.parametrize(
    ("owner", "rate"),
    [
        (SimpleNamespace(lr=0.5), 0.5),
        (SimpleNamespace(lr=0.5, optimizer=SimpleNamespace(eta=0.5)), 0.5),
        (SimpleNamespace(lr=0.5, optimizer=SimpleNamespace(eta=0.25)), 0.0),
        (SimpleNamespace(), 0.0),
        (SimpleNamespace(lr="fast"), 0.0),
    ],
)
def test_the_rate_is_the_only_one_that_there_is(owner, rate):
    assert rate_of(owner) == rate


LEARNING_RATE = 0.125


class Updates:
    def __init__(self):
        self.W = np.arange(6.0).reshape(3, 2)

    def forward(self, x):
        self.x = x
        return x @ self.W

    def step_along(self, grad, rate):
        dx = grad @ self.W.T
        self.W = self.W - rate * self.x.T @ grad / self.divisor
        return dx

    divisor = 1


class WithARateInTheClass(Updates):
    lr = 0.05

    def backward(self, grad):
        return self.step_along(grad, self.lr)


class WithARateAround(Updates):
    def backward(self, grad):
        return self.step_along(grad, LEARNING_RATE)


class WithARateInTheSource(Updates):
    def backward(self, grad):
        return self.step_along(grad, 0.05)


@pytest.mark.parametrize("kind", [WithARateInTheClass, WithARateAround, WithARateInTheSource])
@pytest.mark.parametrize(("divisor", "verdict"), [(1, "right"), (5, "wrong")])
def test_a_step_of_a_layer_is_no_mean_wherever_its_rate_stands(kind, divisor, verdict, monkeypatch):
    monkeypatch.setattr(Updates, "divisor", divisor)
    report = check_gradients(kind(), np.random.default_rng(0).standard_normal((5, 3)))
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": verdict}


STEP_SIZE = 0.25


class WithOtherRates(Updates):
    step_size = 2

    def windows(self):
        return self.step_size, STEP_SIZE

    def backward(self, grad):
        return self.step_along(grad, 0.1)


class WithARateThatDecays(Updates):
    lr, epoch = 0.5, 4

    def backward(self, grad):
        return self.step_along(grad, self.lr * 0.9**self.epoch)


class WithAGlobalRateThatDecays(Updates):
    def backward(self, grad):
        return self.step_along(grad, LEARNING_RATE * 0.9**4)


@pytest.mark.parametrize("kind", [WithOtherRates, WithARateThatDecays, WithAGlobalRateThatDecays])
def test_a_number_called_a_rate_that_is_not_the_step_s_own_makes_no_gradient_wrong(kind):
    report = check_gradients(kind(), np.random.default_rng(0).standard_normal((5, 3)))
    assert {entry.name: entry.verdict == "wrong" for entry in report.entries} == {"x": False, "W": False}


def stepped(grad):
    return LEARNING_RATE * grad


class WithARateInWhatItCalls(Updates):
    eta = 0.05

    @property
    def doubled(self):
        return 2 * self.eta

    def by_property(self):
        return self.doubled

    def by_function(self):
        return [stepped(grad) for grad in (1.0, 2.0)]

    @staticmethod
    def by_global():
        return LEARNING_RATE

    def by_call(self):
        return self.by_global()


def test_a_rate_of_a_class_or_a_global_one_counts_where_what_is_called_reads_it():
    thing = WithARateInWhatItCalls()
    assert rate_of(thing, thing.by_property) == 0.05
    assert rate_of(thing, partial(thing.by_property)) == 0.05
    assert rate_of(thing, None, thing.by_function) == LEARNING_RATE
    assert rate_of(thing, thing.by_call) == LEARNING_RATE
    assert rate_of(thing, thing.forward) == rate_of(thing) == 0.0
    assert rate_of(None, stepped) == 0.0


class Steps:
    def __call__(self, grad):
        return self.learning_rate * grad

    learning_rate = 0.25


class CalledForItsOutput(Updates):
    optimizer: Any = None
    rate = 0.5

    def __call__(self, x):
        return self.rate * x

    def backward(self, grad):
        return self.step_along(self.optimizer(grad), 1.0)


def test_an_optimizer_may_be_called_as_a_function_and_a_layer_for_its_output():
    thing = CalledForItsOutput()
    assert rate_of(thing, thing.backward) == 0.0
    thing.optimizer = Steps()
    assert rate_of(thing, thing.backward) == 0.25


def test_the_rate_of_a_class_is_not_that_of_the_one_that_it_extends():
    class Faster(WithARateInTheClass):
        lr = 0.25

    thing = Faster()
    assert rate_of(thing, thing.backward) == 0.25


def test_a_rate_of_the_object_comes_before_that_of_its_class():
    thing = WithARateInTheClass()
    assert rate_of(thing, thing.backward) == 0.05
    thing.lr = 0.5
    assert rate_of(thing, thing.backward) == 0.5
    assert WithARateInTheClass.lr == 0.05


class Kernel:
    """Two methods, and what they learn is numbers."""

    power = 3

    def __init__(self):
        self.width, self.variance = 1.3, 0.8

    def likelihood(self, x, y):
        k = self.variance * np.exp(-0.5 * np.square((x[:, None] - x) / self.width)) + np.eye(len(x))
        return -0.5 * y @ np.linalg.solve(k, y) - 0.5 * np.linalg.slogdet(k)[1]

    def likelihood_grad(self, x, y):
        squares = np.square(x[:, None] - x)
        r = np.exp(-0.5 * squares / self.width**2)
        inverse = np.linalg.inv(self.variance * r + np.eye(len(x)))
        half = 0.5 * (np.outer(inverse @ y, inverse @ y) - inverse)
        by_width = np.sum(half * self.variance * r * squares) / self.width**self.power
        return {"width": by_width, "variance": np.sum(half * r)}


class WrongPower(Kernel):
    power = 2


@pytest.mark.parametrize(("kind", "verdict"), [(Kernel, "right"), (WrongPower, "wrong")])
def test_numbers_of_an_object_are_found_from_its_methods(kind, verdict):
    rng = np.random.default_rng(0)
    kernel, x, y = kind(), rng.standard_normal(6), rng.standard_normal(6)
    report = check_gradients((kernel.likelihood, kernel.likelihood_grad), x, y)
    assert (report["width"].verdict, report["variance"].verdict) == (verdict, "right")
    assert (kernel.width, kernel.variance) == (1.3, 0.8)


class Penalized:
    def __init__(self):
        self.C = 0.7

    def _loss(self, w, X, y, sample_weight):
        return np.sum(sample_weight * np.logaddexp(0.0, -y * (X @ w))) + self.C * w @ w

    def _grad(self, w, X, y, sample_weight):
        return X.T @ (-y * sample_weight / (1.0 + np.exp(y * (X @ w)))) + 2.0 * self.C * w


def test_weights_of_samples_beside_a_setting_of_the_object_are_data():
    rng = np.random.default_rng(1)
    given = rng.standard_normal(3), rng.standard_normal((5, 3)), np.array([1.0, -1, 1, -1, 1]), rng.uniform(0.5, 1.5, 5)
    loss = Penalized()
    assert check_gradients((loss._loss, loss._grad), given).verdict == "right"
