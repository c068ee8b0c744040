"""Tuples that have names for their parts: arrays in them go by these."""

from typing import NamedTuple

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.arrays.places import Field, Place, in_order, parsed, places, written

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4))


class Params(NamedTuple):
    W: np.ndarray
    b: np.ndarray


class Two(NamedTuple):
    W1: np.ndarray
    W2: np.ndarray


class Layers(NamedTuple):
    first: Params
    second: Params


PARAMS = Params(RNG.standard_normal((4, 4)), RNG.standard_normal(4))
TWO = Two(RNG.standard_normal((4, 4)), RNG.standard_normal((4, 4)))

RETURNS = {
    "a tuple of the same kind": lambda dx, dW, db: (dx, Params(dW, db)),
    "a tuple": lambda dx, dW, db: (dx, (dW, db)),
    "flat": lambda dx, dW, db: (dx, dW, db),
    "a dict": lambda dx, dW, db: {"dx": dx, "db": db, "dW": dW},
}


def dense(x, params):
    out = np.tanh(x @ params.W + params.b)
    return out, (x, params, out)


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("kind", RETURNS)
def test_the_arrays_of_an_argument_go_by_the_names_of_its_parts(kind, factor):
    def backward(dout, cache):
        x, params, out = cache
        dz = dout * (1 - out**2)
        return RETURNS[kind](dz @ params.W.T, factor * x.T @ dz, dz.sum(axis=0))

    report = check_gradients((dense, backward), (X, PARAMS))
    assert [entry.name for entry in report.entries] == ["x", "params.W", "params.b"]
    assert report["params.W"].verdict == ("right" if factor == 1.0 else "wrong")
    assert report["b"].verdict == "right"


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_parts_within_parts(factor):
    def forward(x, net):
        h = np.tanh(x @ net.first.W + net.first.b)
        return h @ net.second.W + net.second.b, (x, h, net)

    def backward(dout, cache):
        x, h, net = cache
        dz = dout @ net.second.W.T * (1 - h**2)
        first = Params(x.T @ dz, factor * dz.sum(axis=0))
        return dz @ net.first.W.T, Layers(first, Params(h.T @ dout, dout.sum(axis=0)))

    report = check_gradients((forward, backward), (X, Layers(PARAMS, PARAMS)))
    verdicts = {entry.name: entry.verdict for entry in report.entries}
    assert verdicts.pop("net.first.b") == ("right" if factor == 1.0 else "wrong")
    assert verdicts == dict.fromkeys(["x", "net.first.W", "net.second.W", "net.second.b"], "right")


def two(x, params):
    return np.tanh(x @ params.W1) @ params.W2, (x, params)


def gradients_of_two(dout, cache):
    x, params = cache
    h = np.tanh(x @ params.W1)
    dz = dout @ params.W2.T * (1 - h**2)
    return dz @ params.W1.T, x.T @ dz, h.T @ dout


def test_names_in_a_dict_tell_parts_of_one_shape_apart():
    def backward(dout, cache, factor=1.0):
        dx, dW1, dW2 = gradients_of_two(dout, cache)
        return {"dx": dx, "dW2": factor * dW2, "dW1": dW1}

    assert check_gradients((two, backward), (X, TWO)).verdict == "right"
    report = check_gradients((two, lambda dout, cache: backward(dout, cache, 3.0)), (X, TWO))
    assert [entry.verdict for entry in report.entries] == ["right", "right", "wrong"]


def test_gradients_under_the_names_of_each_other_are_wrong():
    def backward(dout, cache):
        dx, dW1, dW2 = gradients_of_two(dout, cache)
        return dx, Two(W1=dW2, W2=dW1)

    assert check_gradients((two, backward), (X, TWO)).verdict == "wrong"


def test_a_part_without_a_gradient_is_told_by_its_name_and_may_be_a_constant():
    def backward(dout, cache):
        dx, _, dW2 = gradients_of_two(dout, cache)
        return dx, dW2

    report = check_gradients((two, backward), (X, TWO))
    assert report.verdict == "undecided"
    assert "no gradient was found of params.W1" in report.problems[0]
    assert check_gradients((two, backward), (X, TWO), constants=["params.W1"]).verdict == "right"


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_an_object_keeps_its_parameters_and_gradients_in_such_tuples(factor):
    class Dense:
        def __init__(self):
            self.params = PARAMS

        def forward(self, x):
            self.x = x
            return x @ self.params.W + self.params.b

        def backward(self, dout):
            self.grads = Params(factor * self.x.T @ dout, dout.sum(axis=0))
            return dout @ self.params.W.T

    report = check_gradients(Dense(), X)
    assert report["params.W"].verdict == ("right" if factor == 1.0 else "wrong")
    assert report["params.b"].verdict == "right"


def test_a_part_is_at_its_place_as_in_any_tuple():
    found = [place.path for place in places({"net": [PARAMS]})]
    assert [written(path) for path in found] == ["['net'][0].W", "['net'][0].b"]
    assert found[1][-1].key == 1
    assert isinstance(found[1][-1].key, Field)
    assert list(in_order([5, 6])) == list(in_order((5, 6))) == [(0, 5), (1, 6)]
    (part,) = (place for place in places(PARAMS) if place.path[-1].key == 0)
    assert part.read() is PARAMS.W
    assert parsed("params.W")[-1].key == "W"
    held = Params(np.zeros((2, 2)), np.zeros(2))
    Place(held, parsed("W")).put(np.ones((2, 2)))
    assert held.W.sum() == 4.0
