"""Which array is whose gradient in anybody's code, piece by piece, and what is made of those that have none."""

from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from stand_ins import Here, leaf, stand_in

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.arrays.containers import BY_SHAPE
from numpy_nn.subjects.arrays.gradients import Order
from numpy_nn.subjects.arrays.places import output_paths, parsed
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.subject import SubjectError

ONE, TWO = np.ones(3), np.ones((2, 3))


def input_likeness(
    one, *, index=0, count=1, only_one=False, parameters=(), of_parameters=None, takes_grads=True, likely=0.9, shapes=()
):
    """How likely it is the gradient of x; ``of_parameters``: one of each is returned, whose numbers agree or not."""
    subject = stand_in(_places=dict.fromkeys(map(str, range(len(parameters)))))
    subject.convention = SimpleNamespace(takes_grads=takes_grads)
    subject.arrays = {str(k): np.zeros(shape) for k, shape in enumerate(parameters)} | {"x": TWO}
    subject._returned, subject._backward = ONE if only_one else (ONE,), len
    subject._returns_one_array = only_one
    subject._returns_one_of_each_parameter = lambda: of_parameters is not None
    subject._shapes_returned = lambda: list(shapes)
    subject._shapes_in = lambda _: {"x": (2, 3)} | dict(zip("ab", ((4,), (3,)), strict=True))
    order = Order({"x": index}, likely, True)
    given = "x", order, count, lambda name, _: name == "x" and bool(of_parameters)
    return CodeSubject._input_likeness(subject, *given)(one)


@pytest.mark.parametrize(
    ("one", "given", "like"),
    [
        # All that is returned.
        (leaf(), {}, 1.0),
        (leaf(), {"index": 1}, 0.0),
        (leaf(), {"parameters": [(4,)]}, 0.0),
        (leaf(), {"parameters": [(4,)], "only_one": True}, 1.0),
        (leaf(value=np.ones(4)), {"parameters": [(4,)], "only_one": True}, 0.0),
        (leaf(value=np.ones(5)), {"parameters": [(4,)], "only_one": True}, 1.0),
        (leaf(), {"parameters": [(2, 3)], "only_one": True}, 1.0),
        # Of a model without a gradient of its output it may be that of the one parameter: the numbers tell.
        (leaf(), {"parameters": [(2, 3)], "only_one": True, "takes_grads": False}, BY_SHAPE),
        (leaf(), {"parameters": [(2, 3)], "only_one": True, "takes_grads": False, "of_parameters": True}, 1.0),
        # A vector of as many numbers as all others together is theirs.
        (leaf(value=np.ones(13)), {"parameters": [(4,)], "only_one": True}, 0.0),
        (leaf(value=np.ones(12)), {"parameters": [(4,)], "only_one": True}, 1.0),
        (leaf(), {"count": 2}, 0.7),
        (leaf(), {"count": 2, "index": 1}, 0.6),
        (leaf(), {"count": 2, "parameters": [(4,)], "only_one": True}, 1.0),
        (leaf(), {"count": 2, "index": 1, "parameters": [(4,)], "only_one": True}, 0.0),
        # One of several.
        (leaf("[0]"), {}, 0.9),
        (leaf("[1]"), {}, 0.0),
        (leaf("[1]"), {"parameters": [(4,)]}, 0.3),
        (leaf("[1]"), {"parameters": [(2, 3)]}, 0.0),
        (leaf("[1]", ONE), {"parameters": [(4,)]}, 0.0),
        (leaf("[0]"), {"count": 2}, 0.9),
        (leaf("[1]"), {"count": 2}, 0.3),
        (leaf("[1]"), {"count": 2, "index": 1}, 0.9),
        (leaf("[0]"), {"count": 2, "index": 1}, 0.3),
        # In its place is what has not its shape, and something else has it.
        (leaf("[0]", ONE), {"count": 2}, 0.9),
        (leaf("[0]", ONE), {"count": 2, "shapes": [(3,), (2, 3)]}, 0.0),
        (leaf("[0]", TWO[:, None]), {"count": 2, "shapes": [(2, 1, 3), (2, 3)]}, 0.9),
        (leaf("['dx']"), {"count": 2, "index": 1}, 1.0),
        (leaf("['dw']"), {"count": 2}, 0.0),
        (leaf("[0][0]"), {"parameters": [(2, 3)]}, 0.0),
        (leaf("[0][0]"), {"parameters": [(4,)]}, 0.9),
        (leaf("[0]"), {"parameters": [(2, 3)]}, 0.9),
        (leaf("[0]"), {"count": 2, "likely": 0.7}, 0.7),
        # One of each parameter is returned, and none of the input, unless its numbers say otherwise.
        (leaf("[0]"), {"of_parameters": False}, 0.0),
        (leaf("[0]"), {"of_parameters": True}, 0.9),
        (leaf("[0]", ONE), {"of_parameters": True}, 0.0),
        (leaf("dx", returned=False), {"of_parameters": False}, 0.7),
        # What is kept.
        (leaf("dx", returned=False), {}, 0.7),
        (leaf("dx", returned=False), {"count": 2}, 0.7),
        (leaf("mask", returned=False), {"count": 2}, 0.1),
    ],
)
def test_how_likely_an_array_is_the_gradient_of_an_argument(one, given, like):
    assert input_likeness(one, **given) == pytest.approx(like)


@pytest.mark.parametrize(
    ("returned", "of_each"),
    [
        ([TWO, ONE], True),
        ((ONE, TWO), True),
        ([ONE, ONE], False),
        ([TWO], False),
        ([TWO, ONE, ONE], False),
        ([TWO, ONE, None], False),
        ([TWO, 1.0], False),
        (TWO, False),
        ([], False),
    ],
)
def test_one_of_each_parameter_is_returned(returned, of_each):
    subject = stand_in(_places={"W": 1, "b": 1}, arrays={"x": TWO, "W": TWO, "b": ONE}, _returned=returned)
    assert CodeSubject._returns_one_of_each_parameter(subject) == of_each


@pytest.mark.parametrize(
    ("owner", "found", "taken", "left"),
    [
        (None, [leaf(value=ONE)], False, True),
        (object(), [leaf(value=ONE)], False, False),
        (None, [leaf(value=ONE)], True, False),
        (None, [leaf(value=ONE, returned=False)], False, False),
        (None, [leaf("[0]"), leaf("[1]")], False, False),
        (None, [], False, False),
    ],
)
def test_a_single_array_that_is_returned_is_the_gradient_of_the_input(owner, found, taken, left):
    subject = stand_in(_owner=owner, input="x", _leaves={"w": found[0]} if taken else {}, arrays={"x": TWO, "w": ONE})
    CodeSubject._take_whatever_is_left(subject, found, np.zeros(4))
    assert ("x" in subject._leaves) == left
    if left:
        assert subject._leaves["x"] is found[0]


@pytest.mark.parametrize(
    ("jacobian", "shapes", "name"),
    [
        ((4, 12), {"x": (3, 1), "w": (4, 3)}, "w"),
        ((4, 3), {"x": (3, 1), "w": (4, 3)}, "x"),
        ((4, 3), {"x": (5,), "w": (3,)}, "w"),
        ((4, 3), {"x": (5,), "w": (3,), "v": (3,)}, "x"),  # of either, so of neither
        ((7,), {"x": (5,), "w": (3,)}, "x"),
    ],
)
def test_a_single_jacobian_is_that_of_the_argument_that_has_its_shape(jacobian, shapes, name):
    arrays = {of: np.zeros(shape) for of, shape in shapes.items()}
    subject = stand_in(_owner=None, input="x", _leaves={}, arrays=arrays)
    CodeSubject._take_whatever_is_left(subject, [leaf(value=np.zeros(jacobian))], np.zeros((4, 1)))
    assert list(subject._leaves) == [name]


@pytest.mark.parametrize(
    ("given", "returned", "name"),
    [
        ({"x": ONE, "ws": [ONE, TWO]}, [ONE, ONE, ONE], None),
        ({"x": ONE, "ws": [ONE, TWO, ONE]}, [ONE, ONE, ONE], "ws"),
        ({"x": ONE, "ws": [ONE, TWO, ONE]}, (ONE, ONE, ONE), "ws"),
        ({"x": ONE, "ws": [ONE, TWO]}, [ONE, ONE], None),
        ({"x": ONE, "ws": (ONE, TWO, ONE)}, [ONE, ONE, ONE], None),
        ({"x": ONE, "ws": [ONE, TWO, ONE]}, {"a": ONE}, None),
        ({"x": [ONE], "y": ONE, "ws": [ONE, TWO, ONE, ONE]}, [ONE] * 4, "ws"),
    ],
)
def test_the_argument_whose_arrays_are_as_many_as_the_gradients(given, returned, name):
    assert CodeSubject._container_of_gradients(stand_in(_given=given), list(given), returned) == name


def test_a_parameter_is_held_at_its_place_and_where_its_memory_is_shared():
    subject = stand_in(_places={"W": Here(ONE, "W")}, _sharing=[(Here(ONE, "V"), "W")])
    held = [path for path in ("W", "V", "U") if CodeSubject._holds_parameter(subject, parsed(path))]
    assert held == ["W", "V"]


def test_what_is_claimed_of_what_the_output_does_not_depend_on_is_checked_if_its_name_is_sure():
    place, gone = Here(TWO, "W"), Here(TWO, "V", exists=False)
    sure, unsure, flat = leaf("dW", returned=False), leaf("cache", returned=False), leaf("dW", ONE, returned=False)
    subject = stand_in(_silent={"V": gone, "W": place}, _is_kept_by_a_step=lambda *_: False)
    subject._likeness = partial(CodeSubject._likeness, subject)
    subject._add = lambda name, where: subject._places.update({name: where})
    for found in ([], [unsure], [flat], [leaf("dV", returned=False)]):
        CodeSubject._add_silent(subject, found)
        assert subject._leaves == {}
        assert not any(CodeSubject._is_of_silent(subject, one, {}) for one in found)
    assert CodeSubject._is_of_silent(subject, sure, {"V": lambda _: 0.9})
    assert not CodeSubject._is_of_silent(subject, sure, {"V": lambda _: 1.0})
    CodeSubject._add_silent(subject, [unsure, sure, leaf("grad_W", returned=False)])
    assert subject._leaves == {"W": sure}
    assert subject._places == {"W": place}
    subject._leaves, subject._places = {"other": sure}, {}
    CodeSubject._add_silent(subject, [sure])
    assert subject._places == {}


def test_of_several_arrays_that_the_output_does_not_depend_on_each_is_checked_that_has_a_sure_gradient():
    subject = stand_in(_silent={name: Here(TWO, name) for name in ("V", "W")}, _is_kept_by_a_step=lambda *_: False)
    subject._likeness = partial(CodeSubject._likeness, subject)
    subject._add = lambda name, where: subject._places.update({name: where})
    of_both = [leaf("dW", returned=False), leaf("dV", returned=False)]
    CodeSubject._add_silent(subject, of_both)
    assert subject._leaves == {"V": of_both[1], "W": of_both[0]}


@pytest.mark.parametrize(
    ("name", "value", "mere", "is_data", "unchecked"),
    [
        ("W", ONE, False, False, [("W", "unchecked", 3)]),
        ("W", ONE, True, False, [("W", "buffer", 3)]),
        ("running_mean", ONE, False, True, [("running_mean", "buffer", 3)]),
        ("h0", ONE, False, False, [("h0", "buffer", 3)]),
        ("X", ONE, False, True, [("X", "data", 3)]),
        ("y", ONE, False, False, [("y", "data", 3)]),
        ("eps", 0.5, False, False, [("eps", "setting", 1)]),
    ],
)
def test_what_has_no_gradient_is_given_up_as_a_buffer_data_a_setting_or_unchecked(
    name, value, mere, is_data, unchecked
):
    place, array = Here(value, name), np.asarray(value)
    subject = stand_in(_places={name: place}, arrays={name: array}, _is_weight_of_loss=lambda _: mere, _not_asked=())
    subject._is_data, subject._keeps_data = lambda _: is_data, lambda name: name == "y"
    CodeSubject._give_up(subject, name)
    assert (subject._places, subject.arrays, subject._lost) == ({}, {}, {name: (place, array)})
    assert subject.unchecked == unchecked


@pytest.mark.parametrize("error", [None, SubjectError("no"), ValueError("no")])
def test_backward_is_called_at_another_input_first_where_it_takes_one(error):
    subject, seen = stand_in(arrays={"x": np.array([4.0])}, input="x"), []

    @contextmanager
    def at(moved):
        before = subject.arrays["x"]
        subject.arrays["x"] = moved.get("x", before)
        try:
            yield
        finally:
            subject.arrays["x"] = before

    def claimed(grad_output):
        seen.append((float(subject.arrays["x"][0]), grad_output))
        if error is not None and len(seen) == 1:
            raise error

    subject.at, subject._claimed = at, claimed
    CodeSubject._claim_elsewhere(subject, "g")
    assert seen == [(3.0, "g")] + [(4.0, "g")] * (error is not None)
    subject.input = "y"
    seen.clear()
    error = None
    CodeSubject._claim_elsewhere(subject, "g")
    assert seen == [(4.0, "g")]


def test_gradients_that_come_in_another_order_are_told_by_their_shapes():
    def product(x, w):
        return np.tanh(x) @ w

    def vjp(g, x, w):
        return np.tanh(x).T @ g, g @ w.T / np.cosh(x) ** 2

    rng = np.random.default_rng(0)
    report = check_gradients((product, vjp), (rng.standard_normal((4, 3)), rng.standard_normal((3, 2))))
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "w": "right"}
    assert "backward returns the gradients of w, x, in this order" in report.notes


def test_what_backward_writes_in_place_is_seen_to_be_new_also_if_it_hangs_on_grad_output_alone():
    class Shift:
        def __init__(self):
            self.b, self.collected, self.scale = np.zeros(3), np.zeros(3), 3.0

        def forward(self, x):
            return np.tanh(x) + self.b

        def backward(self, x, grad):
            self.collected[...] = grad.sum(axis=0)
            return grad / np.cosh(x) ** 2

    report = check_gradients(Shift(), np.random.default_rng(0).standard_normal((4, 3)))
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "b": "right"}


def test_as_many_gradients_as_a_list_has_arrays_are_those_of_the_list():
    def layers(x, ws):
        return np.tanh(x * ws[0] + ws[1]) * ws[2]

    def vjp(g, x, ws):
        t = np.tanh(x * ws[0] + ws[1])
        d = g * ws[2] * (1 - t**2)
        return [d * x, d, g * t]

    rng = np.random.default_rng(0)
    x, *ws = rng.standard_normal((4, 2, 3))
    report = check_gradients((layers, vjp), (x, ws))
    assert {entry.name: entry.verdict for entry in report.entries} == dict.fromkeys(
        ["ws[0]", "ws[1]", "ws[2]"], "right"
    )


def test_an_object_may_have_left_its_output_under_its_usual_names():
    owner = SimpleNamespace(output=ONE, A_=1.5, out="text", W=ONE)
    found = [path[0].key for path in output_paths(owner)]
    assert found[0] == "output"
    assert "out" not in found
    assert "W" not in found
    assert all(len(path) == 1 for path in output_paths(owner))
    assert output_paths(SimpleNamespace()) == []


class HingeLoss:
    """A support vector machine with a setting of one number, as its bias is."""

    def __init__(self, bias=0.0):
        self.C, self.w, self.b = 2.0, np.array([0.3, -0.2, 0.1]), bias

    def margins(self, x, y):
        return y * (x @ self.w + self.b)

    def loss(self, x, y):
        return 0.5 * self.w @ self.w + self.C * np.maximum(0, 1 - self.margins(x, y)).sum()

    def gradient(self, x, y):
        inside = self.margins(x, y) < 1
        return self.w - self.C * x[inside].T @ y[inside], self.of_bias(y[inside])

    def of_bias(self, y):
        return -self.C * y.sum()


class Named(HingeLoss):
    def gradient(self, x, y):
        dw, db = super().gradient(x, y)
        return dw, db


class WithAnotherSign(HingeLoss):
    def of_bias(self, y):
        return self.C * y.sum()


@pytest.mark.parametrize("bias", [0.0, np.zeros(1)])
@pytest.mark.parametrize("labels", [4, 3])
@pytest.mark.parametrize("code", [HingeLoss, Named])
def test_zeros_are_the_gradient_of_a_bias_that_does_nothing_here_and_not_of_a_setting(code, labels, bias):
    # As many labels of each kind, and all rows within the margin: the bias moves the loss nowhere.
    y = np.where(np.arange(8) < labels, 1.0, -1.0)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 3))
    report = check_gradients(code(bias), x, y)
    assert report.verdict == "right"
    assert [entry.name for entry in report.entries] == ["w", "b"]


def test_a_bias_that_does_nothing_here_is_judged_elsewhere():
    y = np.where(np.arange(8) < 4, 1.0, -1.0)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 3))
    report = check_gradients(WithAnotherSign(), x, y)
    assert (report.verdict, report["w"].verdict, report["b"].verdict) == ("wrong", "right", "wrong")
