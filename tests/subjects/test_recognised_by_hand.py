"""In which orders backward may want its arguments, and what objects are recognised by."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import NET, ONE, Net, stand_in

import numpy_nn as nn
from numpy_nn.subjects import as_it_runs, names, recognise, signatures
from numpy_nn.subjects.agreement import Agreement
from numpy_nn.subjects.calls import costs, owners
from numpy_nn.subjects.calls.calling import FILLED, GRADS, OUTPUT, Convention
from numpy_nn.subjects.calls.conventions import Arguments, is_certain, may_be_gradient, orders_of_inputs
from numpy_nn.subjects.calls.costs import LossOfOutput
from numpy_nn.subjects.calls.results import readings
from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.losses import loss_objects, training
from numpy_nn.subjects.subject import SubjectError

# Conventions.


@pytest.mark.parametrize(
    ("function", "arguments", "inputs", "may"),
    [
        (NET.backward, ("x",), ("x",), True),
        (NET.forward, ("x",), ("x",), False),
        (NET.backward, ("x", "w"), ("x", "w"), False),
        (NET.backward, (GRADS,), ("x",), False),
        (NET.backward, (), ("x",), False),
        (Net.backward, ("x",), ("x",), False),
    ],
)
def test_the_only_argument_of_a_method_may_be_the_gradient(function, arguments, inputs, may):
    assert may_be_gradient(function, arguments, inputs) == may
    convention = Convention(inputs, arguments=arguments)
    assert is_certain(convention, None, function) == (not may)


@pytest.mark.parametrize(
    ("arguments", "target", "certain"),
    [
        ((GRADS,), None, True),
        ((GRADS, OUTPUT), None, False),
        ((GRADS, "t"), "t", False),
        (("x", "t"), "t", True),
        (None, None, True),
    ],
)
def test_names_are_certain_that_can_hardly_mean_anything_else(arguments, target, certain):
    assert is_certain(Convention(("x",), arguments=arguments), target) == certain


def test_a_dict_that_backward_fills_stands_beside_one_gradient():
    def role(backward, name, grads=1):
        return Arguments(backward, ("x",), None, grads, False, False)._role(name)

    assert role(lambda dout, grads: (dout, grads), "grads") == FILLED
    assert role(lambda grads: grads, "grads") == GRADS
    assert role(lambda dout, grads: (dout, grads), "dout") == GRADS
    assert role(lambda dout, dh, grads: (dout, dh, grads), "grads") == GRADS
    assert role(lambda dout, grads: (dout, grads), "grads", 2) == GRADS


@pytest.mark.parametrize(
    ("name", "inputs", "of_network", "role"),
    [
        ("y_pred", ("x", "t"), True, OUTPUT),
        ("y_pred", ("p", "t"), False, "p"),
        ("x", ("a", "t"), True, "a"),
        ("x", ("a", "b", "t"), True, OUTPUT),
        ("x", ("a", "t"), False, "a"),
        ("t", ("a", "t"), True, "t"),
        ("y_true", ("a", "t"), True, "t"),
    ],
)
def test_what_is_called_a_prediction_is_the_output_of_a_network_or_the_argument_of_a_loss(
    name, inputs, of_network, role
):
    assert Arguments(lambda: 0, inputs, "t", 1, False, of_network)._role(name) == role


def test_what_is_left_over_is_tried_where_one_or_two_names_do_not_tell():
    def orders(backward, inputs=("x", "w"), grads=1):
        return list(Arguments(backward, inputs, None, grads, False, False).by_elimination())

    assert orders(lambda dout, thing: (dout, thing)) == [(GRADS, "x"), (GRADS, "w")]
    assert orders(lambda thing: thing) == [(GRADS,)]
    assert orders(lambda thing, w: (thing, w)) == [(GRADS, "w")]
    assert orders(lambda one, two: (one, two)) == [(GRADS, "x"), (GRADS, "w"), ("x", GRADS), ("w", GRADS)]
    assert orders(lambda one, two, three: (one, two, three)) == []
    assert orders(lambda dout: dout) == []
    assert orders(lambda *any_number: any_number) == []
    assert orders(lambda thing: thing, tuple("abcdefg")) == [(GRADS,)]
    assert orders(lambda thing: thing, tuple("abcdefgh")) == []
    assert orders(lambda thing: thing, grads=2) == []


def test_a_function_without_a_signature_takes_its_arguments_as_they_are_given():
    assert orders_of_inputs(max, ["b", "a"], None) == ("b", "a")
    assert orders_of_inputs(max, ["b", "t"], "t") == ("b", "t")
    assert readings((ONE, ONE), max) == [1, 2]
    assert readings((ONE, 3), lambda dh, dc: (dh, dc)) == [1]
    assert readings((ONE,), lambda dh: dh) == [1]


# Recognising.


@pytest.mark.parametrize(
    ("target", "has"), [(NET, True), (SimpleNamespace(loss=len), True), (SimpleNamespace(forward=len), False)]
)
def test_a_backward_pass_or_a_loss_makes_an_object_of_passes(target, has):
    assert names.has_passes(target) == has


def test_what_is_missing_is_named():
    for target, missing in ((SimpleNamespace(forward=len), "backward"), (SimpleNamespace(backward=len), "forward")):
        with pytest.raises(TypeError, match=f"got SimpleNamespace without {missing}"):
            recognise.as_subject(target, (ONE,), None, Hints())
    with pytest.raises(TypeError, match=r"SimpleNamespace has loss: pass the targets too|has len"):
        recognise.as_subject(SimpleNamespace(loss=len), (ONE,), None, Hints())
    assert recognise.as_subject(nn.Tanh(), (ONE,), None, Hints()).label == nn.Tanh().label


@pytest.mark.parametrize("mode", ["training", "call", "neither"])
def test_an_object_is_put_in_training_or_called_where_its_forward_pass_alone_does_not_do(mode):
    class Target:
        training = False

        def __init__(self):
            self.training = False

        def forward(self, x):
            return x

        def __call__(self, x):
            return x

    target, error, tried = Target(), ValueError("first"), []

    def called_by(function):
        in_forward = getattr(function, "__name__", "") == "forward"
        tried.append((in_forward, target.training))
        if mode == "neither" or (mode == "call") == in_forward:
            raise ValueError("no")
        return stand_in(notes=[])

    if mode == "neither":
        with pytest.raises(ValueError, match="first"):
            as_it_runs._called_otherwise(target, target.forward, called_by, error)
        assert target.training is False
        return
    subject, function = as_it_runs._called_otherwise(target, target.forward, called_by, error)
    assert tried == [(True, True)] + [(False, True)] * (mode == "call")
    assert subject.notes == ([as_it_runs._PUT_IN_TRAINING] if mode == "training" else [])
    assert (function == target.forward) == (mode == "training")


def test_an_object_that_is_in_training_is_called_otherwise_alone():
    class Target:
        def forward(self, x):
            return x

        def __call__(self, x):
            return x

    tried = []

    def called_by(function):
        tried.append(function.__name__)
        return stand_in(notes=[])

    target = Target()
    subject, function = as_it_runs._called_otherwise(target, target.forward, called_by, ValueError("first"))
    assert tried == ["__call__"]
    assert function == target.__call__
    assert subject.notes == []


def test_the_losses_of_samples_take_a_gradient_and_one_loss_takes_none():
    for reduction, takes in (("none", True), ("mean", False)):
        subject: Any = recognise.as_subject(nn.MSELoss(reduction=reduction), (ONE,), 0.0 * ONE, Hints())
        assert subject.convention.takes_grads == takes


def test_parameters_that_wait_for_a_shape_are_made_by_a_method_that_does_so():
    class Lazy:
        def __init__(self):
            self.W, self.built = None, []

        def build(self, shape):
            self.W = np.ones(shape[-1])
            self.built.append(shape)

        def forward(self, x):
            return x * self.W

    target = Lazy()
    owners.build_for(target, target.forward, (ONE, ONE))
    assert target.built == []
    owners.build_for(target, target.forward, (ONE,))
    assert target.built == [(2, 3)]
    owners.build_for(target, target.forward, (ONE,))
    assert target.built == [(2, 3)]
    owners.build_for(NET, NET.forward, (ONE,))


# Names of functions within others.


def test_a_function_is_looked_at_within_its_wrappers():
    def inner(x, w):
        return x * w

    def wrapped(*args, **kwargs):
        return inner(*args, **kwargs)

    def named(x, **kwargs):
        return inner(x, **kwargs)

    assert signatures.positional(inner) == (["x", "w"], [])
    assert signatures.positional(named) == (["x"], [])
    assert signatures.unwrapped(inner) is inner
    assert signatures.unwrapped(named) is named
    assert signatures.unwrapped(wrapped) is inner
    assert signatures.positional(wrapped) == (["x", "w"], [])


def two(a, y):
    return a - y


@pytest.mark.parametrize(
    ("held", "found"),
    [
        ({"loss_fn": two}, True),
        ({"loss_fn": SimpleNamespace(loss=two)}, True),
        ({"criterion": SimpleNamespace(forward=two)}, True),
        ({"loss_fn": None, "criterion": two}, True),
        ({"loss_fn": lambda a: a}, False),
        ({"anything": two}, False),
        ({"loss_fn": SimpleNamespace(n=3)}, False),
    ],
)
def test_a_loss_that_an_object_holds(held, found):
    assert costs.held_loss(SimpleNamespace(**held)) is (two if found else None)


def test_two_names_alone_that_are_a_function_and_its_derivative_are_passes():
    pair = SimpleNamespace(activation=two, activation_prime=len)
    assert names.passes(pair) == (two, len)
    pair.activation_prime = 3
    assert names.passes(pair) == (None, None)
    several = SimpleNamespace(activation=two, activation_prime=len, cost=two, cost_prime=len)
    assert names.passes(several) == (None, None)


# Objects that are asked for a loss, or put in training.


@pytest.mark.parametrize(
    ("given", "there", "taken"),
    [
        (Agreement(2, 3, 1), Agreement(3, 3, 4), True),
        (Agreement(2, 3, 1), Agreement(2, 3, 4), False),
        (Agreement(2, 3, 1), Agreement(1, 3, 4), False),
        (Agreement(2, 3, 1), SubjectError("no"), False),
        (Agreement(2, 3, 1), TypeError("no"), False),
        (Agreement(2, 3, 1), ValueError("no"), False),
        (Agreement(3, 3, 4), None, False),
        (Agreement(0, 0, 0), None, False),
    ],
)
def test_an_object_is_put_in_training_if_its_gradients_are_then_more_often_right(monkeypatch, given, there, taken):
    def agreement(subject):
        if isinstance(subject.agrees, Exception):
            raise subject.agrees
        return subject.agrees

    def again():
        assert there is not None
        assert target.training is True
        return other

    monkeypatch.setattr(as_it_runs, "agreement", agreement)
    target = SimpleNamespace(training=False)
    subject, other = (stand_in(agrees=one, notes=[], make_repeatable=lambda: True) for one in (given, there))
    found = as_it_runs._in_training_if_meant(subject, target, again)
    assert found is (other if taken else subject)
    assert target.training is taken
    assert other.notes == ([as_it_runs._PUT_IN_TRAINING] if taken else [])
    assert subject.notes == []


def test_what_cannot_be_put_in_training_or_repeats_nothing_stays_as_it_is(monkeypatch):
    def never():
        raise AssertionError

    monkeypatch.setattr(as_it_runs, "agreement", lambda _: Agreement(0, 1, 0))
    for target, repeats in ((SimpleNamespace(), True), (SimpleNamespace(training=False), False)):
        subject = stand_in(notes=[], make_repeatable=lambda repeats=repeats: repeats)
        assert as_it_runs._in_training_if_meant(subject, target, never) is subject
        assert vars(target).get("training", False) is False


@pytest.mark.parametrize(
    ("method", "number", "is_one"),
    [
        (lambda x, y: x * y, 2, True),
        (lambda x, y, lr: x * y * lr, 2, True),
        (lambda x, y, lr, mode="a": x * y * lr * mode, 2, True),
        (lambda x, y, lr: x * y * lr, 3, False),
        (lambda x: x, 2, False),
        (lambda x, y, z: x * y * z, 2, False),
    ],
)
def test_a_step_of_training_takes_data_and_targets_beside_the_rate(method, number, is_one):
    owner = SimpleNamespace(train_step=method)
    assert (training.step_of_training(owner, [1.0] * number) is method) == is_one
    assert training.step_of_training(SimpleNamespace(other=method), [1.0] * number) is None


def asked_for_a_loss(monkeypatch, *ways, forward=None, gradient=None, cost=None):
    """What becomes of an object whose ways to a loss end so: an error, or a subject by its agreement."""
    made = [way if isinstance(way, Exception) else stand_in(**way) for way in ways]
    left = iter(made)

    def chosen(code):
        # The target is the last of its arguments.
        assert (code.target, code.owner) == ("t", owner)
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    owner = SimpleNamespace() if gradient is None else SimpleNamespace(backprop=gradient)
    backward = [LossOfOutput(len, len).handed_on(len) if getattr(one, "handed", False) else len for one in made]
    monkeypatch.setattr(loss_objects, "ways_to_a_loss", lambda *_: [(len, one) for one in backward])
    monkeypatch.setattr(loss_objects, "named_arguments", lambda *_: {"x": 1, "t": 2})
    monkeypatch.setattr(loss_objects, "chosen", chosen)
    monkeypatch.setattr(loss_objects, "agreement", lambda one: one.agrees)
    monkeypatch.setattr(loss_objects, "with_unsaid_cost", lambda *_: "unsaid")
    hints = Hints() if cost is None else Hints(cost=cost)
    found = loss_objects.of_loss_object("net", owner, forward, (ONE,), ONE, hints)
    return found if isinstance(found, str) else made.index(found)


def way(agreeing, *, shaped=2, digits=4, parameters=False, handed=False, repeats=True):
    return {
        "agrees": Agreement(agreeing, shaped, digits),
        "has_parameters": parameters,
        "handed": handed,
        "make_repeatable": lambda: repeats,
    }


@pytest.mark.parametrize(
    ("ways", "found"),
    [
        ([way(2), way(2, parameters=True)], 0),
        ([way(2, digits=3), way(2)], 1),
        ([way(2, digits=3), way(2, digits=2)], 0),
        ([way(1), way(2)], 1),
        ([way(1), way(1, repeats=False), way(2)], 1),
        ([way(0, shaped=0), way(2)], 1),
        ([ValueError("no"), way(2)], 1),
        ([SubjectError("no"), TypeError("no"), way(1)], 2),
        # None is right: what reaches the object's own arrays, then what is right more often, then what is handed on.
        ([way(0, parameters=True), way(1)], 0),
        ([way(0), way(1), way(1)], 1),
        ([way(1), way(1, handed=True)], 1),
        ([way(1), way(0, handed=True)], 0),
        ([way(0, shaped=0)], 0),
    ],
)
def test_of_the_ways_to_a_loss_the_first_that_is_right_is_meant_or_the_best(monkeypatch, ways, found):
    assert asked_for_a_loss(monkeypatch, *ways) == found


@pytest.mark.parametrize("forward", [None, lambda x, y: x * y])
def test_where_no_way_leads_to_a_loss_the_first_error_is_told(monkeypatch, forward):
    with pytest.raises(ValueError, match="first"):
        asked_for_a_loss(monkeypatch, ValueError("first"), TypeError("second"), forward=forward)


def test_or_the_loss_may_be_one_that_is_not_written(monkeypatch):
    forward = Net().forward
    with pytest.raises(ValueError, match="first"):
        asked_for_a_loss(monkeypatch, ValueError("first"), TypeError("second"), forward=forward)
    with pytest.raises(TypeError, match="expected a loss with forward and backward, or loss and grad, got net"):
        asked_for_a_loss(monkeypatch, forward=forward)
    for ways in ([], [ValueError("first")]):
        assert asked_for_a_loss(monkeypatch, *ways, forward=forward, gradient=lambda x, y: x * y) == "unsaid"
    assert asked_for_a_loss(monkeypatch, way(2), forward=forward, gradient=lambda x, y: x * y, cost=len) == "unsaid"
