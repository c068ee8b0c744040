"""What is made of the arrays and gradients of some code, step by step: what is checked, left out and given up."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import Here, leaf, stand_in

from numpy_nn.parameter import Parameter
from numpy_nn.subjects import Hints, as_subject
from numpy_nn.subjects.arrays.gradients import ParameterGradient
from numpy_nn.subjects.parameters.code import CodeSubject

X, W = np.random.default_rng(0).standard_normal((2, 3, 3))


def steps(*, owner=None, named=None, repeats=True, places=(), leaves=(), updates=(), arrays=("x",), data=False):
    """Which steps are taken, in their order, and what is the input then."""
    taken: list[Any] = []
    subject = stand_in(
        _owner=owner,
        input="x",
        arrays=dict.fromkeys(arrays),
        _places=dict.fromkeys(places),
        _leaves=dict.fromkeys(leaves),
        _updates=dict.fromkeys(updates),
    )
    subject.make_repeatable, subject._is_data = (lambda: repeats), lambda _: data
    subject._begin_before_lists_grow = lambda: taken.append("lists")
    subject._add = lambda name, place: taken.append(("add", name, str(place)))
    subject._make_learned_numbers_floats = lambda: taken.append("floats")
    subject._find_dependent = lambda constants: taken.append(("find", *constants))
    subject._undo_forward_updates = lambda start: taken.append(("undo", *start))
    subject._note_sharing = lambda: taken.append("note")
    subject._match = lambda given: taken.append(("match", given))

    def give_up(name):
        taken.append(("give up", name))
        del subject._places[name], subject.arrays[name]

    def leave_out(name, constants):
        taken.append(("leave out", name, *constants))
        del subject.arrays[name]

    subject._give_up, subject._leave_out = give_up, leave_out
    CodeSubject.find_parameters(subject, named, ["c"])
    return taken, subject.input


MATCHED = ["note", ("match", None)]
NOTED = ["lists", *MATCHED]
FOUND = ["lists", "floats", ("find", "c"), ("undo", "W"), *MATCHED]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"repeats": False}, []),
        ({}, NOTED),
        ({"owner": SimpleNamespace(W=X)}, FOUND),
        (
            {"named": {"W": "g"}, "owner": SimpleNamespace(W=X)},
            ["lists", ("add", "W", "W"), "note", ("match", {"W": "g"})],
        ),
        ({"named": {"a.W": "g"}}, ["lists", ("add", "a.W", "a.W"), "note", ("match", {"a.W": "g"})]),
        # What has neither a gradient nor an update is given up.
        ({"places": "abc", "arrays": "xabc", "leaves": "a", "updates": "b"}, [*NOTED, ("give up", "c")]),
        # Other arguments without a gradient are left out, the input only if it is the data of what has gradients.
        ({"arrays": "xyz", "leaves": "y"}, [*NOTED, ("leave out", "z", "c")]),
        ({"arrays": "xyz", "leaves": "y", "data": True}, [*NOTED, ("leave out", "x", "c"), ("leave out", "z", "c")]),
        ({"arrays": "xy", "data": True}, [*NOTED, ("leave out", "y", "c")]),
        ({"arrays": "x", "leaves": "x", "data": True}, NOTED),
    ],
)
def test_parameters_are_found_matched_and_what_has_no_gradient_is_let_go(given, taken):
    assert steps(**given)[0] == taken


def test_the_input_is_the_first_array_that_is_left():
    assert steps(arrays="xyz", leaves="yz", data=True)[1] == "y"
    assert steps(arrays="xyz", leaves="yz")[1] == "x"
    assert steps(arrays="yz", leaves="yz")[1] == "y"
    assert steps(arrays="", repeats=True)[1] == "x"


def matched(forward, backward, x=(X, W), targets=None):
    subject: Any = as_subject((forward, backward), x, targets, Hints())
    return {name: getattr(leaf, "path", ()) for name, leaf in subject._leaves.items()}, subject


def test_a_single_gradient_is_that_of_what_is_learned_and_not_of_the_data():
    def loss(x, w):
        return np.sum(np.sin(x @ w))

    def gradient(x, w):
        return x.T @ np.cos(x @ w)

    found, subject = matched(loss, gradient)
    assert list(found) == list(subject.arrays) == ["w"]
    assert subject.input == "w"
    # Wrong by a factor it is that, too: its place tells, where no numbers do.
    assert list(matched(loss, lambda x, w: 3.0 * gradient(x, w))[0]) == ["w"]


@pytest.mark.parametrize("off", [1.0, 1.01, 1.5])
@pytest.mark.parametrize("takes_grads", [True, False])
def test_where_fewer_gradients_are_returned_the_numbers_tell_whose_they_are_to_two_digits(off, takes_grads):
    def product(a, b, c):
        return a * np.sin(b) * c if takes_grads else np.sum(a * np.sin(b) * c)

    def vjp(a, b, c, g):
        return off * g * a * np.cos(b) * c, off * g * a * np.sin(b)

    backward = vjp if takes_grads else lambda a, b, c: vjp(a, b, c, 1.0)
    found, _ = matched(product, backward, (X, W, X + W))
    # By their order they would be those of the first two.
    assert list(found) == (["b", "c"] if off < 1.1 else ["a", "b"])


def test_zeros_are_nobodys_gradient_by_their_numbers():
    # Both are flat in what they are given, where only the order tells which zeros are whose.
    found, _ = matched(lambda x, w: 0.0 * x * w, lambda x, w, g: (0.0 * g * w, 0.0 * g * x))
    assert {name: path[0].key for name, path in found.items()} == {"x": 0, "w": 1}


def test_gradients_in_their_own_order_are_not_noted_and_those_in_another_are():
    x, w = X[:2], W
    right = matched(lambda x, w: x @ w, lambda x, w, g: (g @ w.T, x.T @ g), (x, w))[1]
    turned = matched(lambda x, w: x @ w, lambda x, w, g: (x.T @ g, g @ w.T), (x, w))[1]
    assert right.notes == []
    assert turned.notes == ["backward returns the gradients of w, x, in this order"]


@pytest.mark.parametrize(
    ("forward", "backward", "is_one"),
    [
        (lambda x: W @ x, lambda x: W + 0.0 * x[0], True),
        (lambda x: W @ x, lambda x, g: W.T @ g + 0.0 * x, False),
        (lambda x: W @ x, lambda x, g: np.outer(g, x), False),
        (np.sin, np.cos, False),
        (lambda x: np.sum(x**2), lambda x: 2.0 * x, False),
    ],
)
def test_a_jacobian_has_the_axes_of_the_output_and_then_those_of_the_array(forward, backward, is_one):
    assert matched(forward, backward, (X[0],))[1]._is_jacobian is is_one


class Kept:
    """Keeps its parameter, its gradient, and a copy of the parameter under the name of another gradient."""

    def __init__(self):
        self.W, self.V = W.copy(), W[0].copy()

    def forward(self, x):
        return np.tanh(x @ self.W) + self.V

    def backward(self, x, g):
        self.gW, self.gV = x.T @ (g / np.cosh(x @ self.W) ** 2), g.sum(axis=0)
        return (g / np.cosh(x @ self.W) ** 2) @ self.W.T


def test_gradients_that_are_named_are_taken_by_their_names_and_have_to_be_there():
    subject: Any = as_subject(Kept(), (X,), None, Hints(parameters={"W": "gW", "V": "gV"}))
    assert {name: str(leaf) for name, leaf in subject._leaves.items() if name != "x"} == {"W": "gW", "V": "gV"}
    assert list(as_subject(Kept(), (X,), None, Hints(parameters={"W": "gW"})).arrays) == ["x", "W"]
    with pytest.raises(ValueError, match="parameters: Kept has no nothing"):
        as_subject(Kept(), (X,), None, Hints(parameters={"W": "nothing"}))
    with pytest.raises(ValueError, match="parameters: Kept has no U"):
        as_subject(Kept(), (X,), None, Hints(parameters={"U": "gW"}))


def broadcast(output, *, gives=True, of_rate=(3,), is_moved=False):
    """Which numbers become arrays of which shape, the last of them with a gradient, or a step, of this shape."""
    numbers = {name: np.array(0.5) for name in ("unsure", "alone", "for samples", "one", "rate")}
    shapes = {"array": (3,), "unsure": (3,), "for samples": (4,), "one": (1,), "rate": of_rate}
    subject: Any = stand_in(arrays={"array": np.ones(3), **numbers}, input="x", notes=[], _gives=lambda _: gives)
    subject._places = {name: Here(0.5, "rate") for name in subject.arrays}
    subject._leaves = {name: leaf(value=np.zeros(shape)) for name, shape in shapes.items()}
    subject._sure = {name for name in subject.arrays if name != "unsure"}
    subject._moved, subject._moved_to = ["array", "unsure", "alone"], {"array": np.ones(3), "unsure": np.ones(3)}
    if is_moved:
        del subject._leaves["rate"]
        subject._moved, subject._moved_to = [*subject._moved, "rate"], {"rate": np.ones(of_rate)}
    CodeSubject._broadcast_numbers(subject, np.zeros(output))
    return subject, {name: array.shape for name, array in subject.arrays.items() if array.shape}


@pytest.mark.parametrize(
    ("output", "of_rate", "made"),
    [
        ((4, 3), (3,), {"rate": (3,)}),
        ((4, 3), (1, 3), {"rate": (1, 3)}),
        ((2, 3, 2), (6,), {"rate": (6,)}),
        ((2, 3, 2), (3,), {"rate": (3,)}),
        ((2, 3, 2), (2,), {"rate": (2,)}),
        ((2, 3, 5), (2,), {}),
        ((4, 2), (2,), {"rate": (2,)}),
        ((4, 1), (1,), {}),
        ((3,), (3,), {}),
        ((), (3,), {}),
    ],
)
@pytest.mark.parametrize("is_moved", [False, True])
def test_a_number_with_a_sure_gradient_for_each_feature_is_an_array_of_it(output, of_rate, made, is_moved):
    subject, found = broadcast(output, of_rate=of_rate, is_moved=is_moved)
    assert found == {"array": (3,)} | made
    assert len(subject.notes) == len(made)
    if made:
        np.testing.assert_array_equal(subject.arrays["rate"], np.full(of_rate, 0.5))
        assert "rate is one number" in subject.notes[0]


def test_a_number_that_the_code_does_not_take_as_an_array_stays_one():
    subject, found = broadcast((4, 3), gives=False)
    assert found == {"array": (3,)}
    assert subject.arrays["rate"] == 0.5
    assert subject._places["rate"].seen == [0.5]
    assert subject.notes == []


@pytest.mark.parametrize(
    ("returned", "is_left"), [((X,), False), ((X, W), True), (X, False), (None, True), ((X, {"W": W}), True)]
)
def test_what_is_returned_is_all_taken_or_some_is_left(returned, is_left):
    leaves = {"x": leaf("[0]"), "W": leaf("dW", returned=False), "p": ParameterGradient(Parameter(X))}
    subject: Any = stand_in(_returned=returned, _leaves=leaves)
    assert vars(CodeSubject)["leaves_nothing_returned"].fget(subject) is not is_left
