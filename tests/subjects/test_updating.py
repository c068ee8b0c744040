"""The steps that code makes by itself, and what it predicts beside its loss."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import stand_in

from numpy_nn.subjects import Hints, SubjectError, as_subject
from numpy_nn.subjects.calls.calling import CACHE, OUTPUT, RATE, Convention, result_role
from numpy_nn.subjects.calls.costs import LossOfOutput
from numpy_nn.subjects.calls.updating import UpdatingCode

X, Y = np.arange(6.0).reshape(3, 2) / 5 - 0.4, np.array([[1.0], [0.0], [2.0]])


class Linear:
    """One weight, and a loss of its own."""

    def __init__(self):
        self.W, self.lr = np.array([[0.5], [-0.25]]), 0.25

    def forward(self, x):
        return x @ self.W

    def loss(self, x, y):
        d = x @ self.W - y
        return 0.5 * (d**2).sum(), {"W": x.T @ d}


class WithRate(Linear):
    def update(self, lr):
        self.W = self.W - lr * self.W


class WithGradient(Linear):
    def step(self, grads, lr=0.1):
        self.W = self.W - lr * grads["W"]


class WithItsOwnRate(Linear):
    def update(self):
        self.W = self.W - self.lr


class WithData(Linear):
    def train_step(self, x, y):
        self.W = self.W - self.lr * self.loss(x, y)[1]["W"]


class Fails(Linear):
    def update(self, lr):
        raise RuntimeError(f"no step of {lr}")


class Softmax:
    """Layers of weights and biases, with what courses have: a gradient for each argument of the step."""

    def __init__(self):
        self.W, self.b = np.array([[0.5, -0.25, 1.0], [0.125, 0.75, -1.0]]), np.zeros(3)

    def forward(self, X):
        e = np.exp(X @ self.W + self.b)
        self.p = e / e.sum(axis=1, keepdims=True)
        return self.p

    def backward(self, X, y_train):
        d = (self.p - y_train) / len(X)
        return X.T @ d, d.sum(axis=0)

    def update_parameters(self, dW, db, learning_rate):
        self.W = self.W - learning_rate * dW
        self.b = self.b - learning_rate * db


class Scores(Linear):
    """A loss that returns its scores where it gets no targets, and a prediction that is no output."""

    def predict(self, x):
        return (x @ self.W > 0).astype(int)

    def loss(self, x, y=None):
        return super().loss(x, y) if y is not None else x @ self.W


class ScoresAlone(Scores):
    """The same without a forward pass beside it."""

    forward: Any = None


class Backward(Linear):
    """A loss that is a number, and a backward pass after it."""

    def loss(self, x, y):
        self.x, self.d = x, x @ self.W - y
        return 0.5 * (self.d**2).sum()

    def backward(self):
        self.dW = self.x.T @ self.d


class Gradient(Linear):
    """The same in one function of the data."""

    def loss(self, x, y):
        return super().loss(x, y)[0]

    def gradient(self, x, y):
        return {"W": x.T @ (x @ self.W - y)}


class Classes(Linear):
    """The only prediction that it makes is of classes."""

    forward: Any = None

    def predict(self, x):
        return (x @ self.W > 0).astype(int)


def subject_of(kind):
    subject = as_subject(kind(), (X,), Y, Hints())
    gradient = subject.gradients(np.ones(()))["W"]
    return subject, gradient


@pytest.mark.parametrize(
    ("kind", "name", "rate", "expected"),
    [
        (WithRate, "update", None, lambda w, _: w - 0.5 * w),
        (WithGradient, "step", None, lambda w, g: w - 0.5 * g),
        (WithItsOwnRate, "update", 0.25, lambda w, _: w - 0.25),
        (WithData, "train_step", 0.25, lambda w, g: w - 0.25 * g),
    ],
)
def test_a_step_is_that_of_the_object(kind, name, rate, expected):
    subject, gradient = subject_of(kind)
    before = subject.arrays["W"].copy()
    assert (subject.own_update, subject.own_rate) == (name, rate)
    subject.update(0.5)
    np.testing.assert_array_equal(subject.arrays["W"], expected(before, gradient))
    subject.arrays["W"][...] = before
    np.testing.assert_array_equal(subject.gradients(np.ones(()))["W"], gradient)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Linear, lambda w, g: w - 0.5 * g),
        (Backward, lambda w, g: w - 0.5 * g),
        (Gradient, lambda w, g: w - 0.5 * g),
        (WithRate, lambda w, _: w - 0.5 * w),
        (WithGradient, lambda w, g: w - 0.5 * g),
        (WithItsOwnRate, lambda w, _: w - 0.25),
        (WithData, lambda w, g: w - 0.25 * g),
    ],
)
def test_a_step_of_training_is_a_forward_and_a_backward_pass_and_an_update(kind, expected):
    subject, _ = subject_of(kind)
    (place, *_) = subject.parameter_places["W"]
    for x in (X, 2.0 * X):
        before = place.read().copy()
        subject.train(x, Y, 0.5)
        np.testing.assert_allclose(place.read(), expected(before, x.T @ (x @ before - Y)), rtol=1e-13)


def test_a_parameter_is_in_every_place_that_holds_its_array():
    class Twice(Linear):
        def __init__(self):
            super().__init__()
            self.again, self.other = {"W": self.W}, self.W.copy()

    subject, _ = subject_of(Twice)
    assert list(subject.parameter_places) == ["W"]
    assert {str(place) for place in subject.parameter_places["W"]} == {"W", "again['W']"}
    assert {str(place) for place in subject_of(Linear)[0].parameter_places["W"]} == {"W"}


def test_without_a_step_there_is_none():
    subject, _ = subject_of(Linear)
    assert (subject.own_update, subject.own_rate, subject.updates_in_backward) == ("", None, None)
    with pytest.raises(TypeError, match=r"Linear: expected a method such as update\(lr\) or step\(\), got none"):
        subject.update(0.1)


def test_what_a_step_raises_is_the_codes_own():
    subject, _ = subject_of(Fails)
    with pytest.raises(SubjectError, match=r"RuntimeError: no step of 0\.1"):
        subject.update(0.1)


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (X, X),
        ((X, "cache"), X),
        ((), []),
        (None, None),
        (np.arange(3), None),
        (0.5, 0.5),
        ([0.5, 1.5], [0.5, 1.5]),
        ((np.arange(3), X), None),
    ],
)
@pytest.mark.parametrize("chained", [True, False])
def test_a_prediction_is_the_first_thing_that_is_returned_if_that_holds_floats(result, found, chained):
    given: list[Any] = []

    def predictor(*own):
        given.extend(own)
        return result

    chain = SimpleNamespace(run=predictor, output=result) if chained else None
    subject = stand_in(predictor=predictor, chain=chain, _inputs=["x", "n"], running=nullcontext)
    subject._argument = lambda name, _: f"of {name}"
    subject.restore_generators = subject._install = lambda: given.append("ready")
    prediction = UpdatingCode.prediction(subject)
    assert given == ["ready", "ready", "of x", "of n"]
    assert (prediction is None) == (found is None)
    if prediction is not None:
        assert prediction.dtype == np.float64
        assert prediction is not result
        np.testing.assert_array_equal(prediction, np.asarray(found))


def test_gradients_without_an_update_are_those_at_a_rate_of_0():
    owner = SimpleNamespace(lr=0.5, optimizer=SimpleNamespace(eta=0.25, momentum=0.9))
    seen: list[Any] = []

    def gradients(_):
        seen.append((subject._rate, owner.lr, owner.optimizer.eta, owner.optimizer.momentum))
        if fails and len(seen) == 2:
            raise SubjectError("no")
        return f"call {len(seen)}"

    subject = stand_in(_owner=owner, _rate=1.0, _moved={}, _stepping=[], gradients=gradients)
    fails = False
    assert UpdatingCode.gradients_without_update(subject, G) == {}
    assert len(seen) == 1
    subject._moved = {"W": G}
    for fails in (False, True):
        seen.clear()
        if fails:
            with pytest.raises(SubjectError):
                UpdatingCode.gradients_without_update(subject, G)
        else:
            found: Any = UpdatingCode.gradients_without_update(subject, G)
            assert found == "call 2"
        assert seen == [(1.0, 0.5, 0.25, 0.9), (0.0, 0.0, 0.0, 0.9)]
        assert (subject._rate, owner.lr, owner.optimizer.eta) == (1.0, 0.5, 0.25)


G, H = np.ones(2), np.ones(3)


@pytest.mark.parametrize(
    ("required", "latest", "parts"),
    [
        (["dW", "db"], (G, H), {"dW": G, "db": H}),
        (["dW", "db", "lr"], [G, H], {"dW": G, "db": H}),
        (["x", "y", "dW", "db"], (G, H), {"dW": G, "db": H}),
        (["dW", "db"], {"db": H, "dW": G}, {"dW": G, "db": H}),
        (["dW", "db"], {"db": H, "W": G}, {}),
        (["dW", "db"], (G, H, H), {}),
        (["dW", "db"], G, {}),
        (["dW", "lr"], (G,), {}),
        (["dW"], [G], {}),
    ],
)
def test_each_of_several_gradients_goes_to_the_argument_of_its_name_or_place(required, latest, parts):
    assert UpdatingCode._parts(stand_in(latest=latest, _rates_of_update=["lr"]), required) == parts


@pytest.mark.parametrize(
    ("name", "target", "meant"),
    [("lr", None, 0.5), ("y", "t", "targets"), ("y", None, "of x"), ("grads", "t", "gradients"), ("x", "t", "of x")],
)
def test_what_an_argument_of_a_step_means(name, target, meant):
    subject = stand_in(
        _targets_name=target, targets="targets", latest="gradients", _inputs=["x"], _rates_of_update=["lr"]
    )
    subject._argument = lambda name, _: f"of {name}"
    assert UpdatingCode._meant(subject, name, 0.5) == meant


def given_raw(arguments, rest, *, place=0, cache=None, backward=True):
    """What backward is given in a step of training where forward returned all this beside its output."""
    convention = Convention(("x", "t"), arguments=arguments, place=place, cache=cache)
    subject = stand_in(convention=convention, _backward=(lambda *seen: seen) if backward else None)
    return UpdatingCode._backward_raw(subject, {"x": "X", "t": "T"}, "out", rest, 0.5)


def test_in_a_step_of_training_backward_is_given_what_its_roles_say():
    assert given_raw(("x", "t", RATE, OUTPUT), []) == ("X", "T", 0.5, "out")
    assert given_raw((CACHE,), ["a"]) == ("a",)
    assert given_raw((CACHE,), ["a", "b"]) == (("a", "b"),)
    assert given_raw((CACHE,), ["a", "b"], cache=1) == ("b",)
    assert given_raw((CACHE,), [], cache=1) == ((),)
    assert given_raw((result_role(0), result_role(1)), ["a"]) == ("out", "a")
    assert given_raw((result_role(0), result_role(1), result_role(2)), ["a", "b"], place=1) == ("a", "out", "b")
    # Without a backward pass the gradients are what forward returned beside the value.
    assert given_raw(None, ["g"]) == "g"
    assert given_raw(None, ["g", "h"]) == ("g", "h")
    assert given_raw(("x",), ["g"], backward=False) == "g"


def test_a_network_and_a_loss_beside_it_are_a_chain_and_a_loss_of_its_own_is_none():
    class Beside(Linear):
        loss: Any = None

        def backward(self, x, y):
            self.dW = x.T @ (x @ self.W - y)

    subject: Any = as_subject(Beside(), (X,), Y, Hints(cost=lambda a, y: 0.5 * ((a - y) ** 2).sum()))
    assert isinstance(subject.chain, LossOfOutput)
    assert subject_of(Linear)[0].chain is None


def test_a_prediction_is_what_forward_makes_of_the_present_input():
    subject, _ = subject_of(Linear)
    np.testing.assert_array_equal(subject.prediction(), X @ subject.arrays["W"])
    with subject.at({"W": 2 * subject.arrays["W"]}):
        np.testing.assert_array_equal(subject.prediction(), X @ subject.arrays["W"])


@pytest.mark.slow
def test_several_gradients_go_to_as_many_arguments_and_biases_of_a_softmax_are_parameters():
    """Biases that are 0 are moved by unequal amounts: a softmax is blind to the same for all."""
    subject: Any = as_subject(Softmax(), (X,), np.eye(3), Hints())
    gradients: Any = subject.gradients(np.ones(()))
    before = {name: subject.arrays[name].copy() for name in ("W", "b")}
    subject.update(0.5)
    for name, values in before.items():
        np.testing.assert_array_equal(subject.arrays[name], values - 0.5 * gradients[name])


def test_a_prediction_is_what_a_loss_gives_without_targets_and_never_classes():
    subject, _ = subject_of(Scores)
    np.testing.assert_array_equal(subject.prediction(), X @ subject.arrays["W"])
    subject, _ = subject_of(ScoresAlone)
    np.testing.assert_array_equal(subject.prediction(), X @ subject.arrays["W"])
    assert subject_of(Classes)[0].prediction() is None
