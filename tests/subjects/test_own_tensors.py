"""Engines of one's own: which tensors are found, what backward is handed, and what is said of what they do."""

import operator
import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from stand_ins import stand_in

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.libraries.own_tensors import TensorSubject, _Engine, _zeroed, tensor_subject
from numpy_nn.subjects.libraries.tensors_found import is_tensor, tensors_in
from scripts.proof.forms.tensors import Tensor, Value

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


class Times:
    """A tensor whose backward takes no gradient, of an engine with * alone, unless it is told of more."""

    def __init__(self, data, parents=(), requires_grad=True):
        self.data, self.parents, self.requires_grad = np.asarray(data), parents, requires_grad
        self.grad = np.zeros(self.data.shape)

    def __mul__(self, other):
        other = other if isinstance(other, Times) else type(self)(np.asarray(other), requires_grad=False)
        return type(self)(self.data * other.data, (self, other))

    def backward(self, retain_grad=False):
        assert retain_grad is False
        self.pass_on(np.ones(self.data.shape))

    def pass_on(self, grad):
        self.grad = self.grad + grad
        if self.parents:
            a, b = self.parents
            a.pass_on(grad * b.data)
            b.pass_on(grad * a.data)


class Alone:
    """An engine without a single operator."""

    def __init__(self, data, back=None):
        self.data, self.grad, self.back = np.asarray(data, np.float64), np.zeros(np.shape(data)), back

    def backward(self):
        self.back(np.ones(self.data.shape))


def doubled(x):
    def back(grad):
        x.grad = x.grad + 2 * grad

    return Alone(2 * x.data, back)


@pytest.mark.parametrize("thing", [X, 0.5, None, Value, torch.ones(2, requires_grad=True), np.float64(0.5)])
def test_arrays_and_tensors_of_others_are_none(thing):
    assert not is_tensor(thing)
    assert tensor_subject(np.tanh, thing, None) is None


@pytest.mark.parametrize("name", ["data", "_data", "value", "val", "array"])
def test_numbers_are_found_under_usual_names(name):
    thing: Any = Alone(X)
    del thing.data
    if name == "_data":
        thing.data = lambda: None  # a method that gives them
    setattr(thing, name, X.copy())
    assert is_tensor(thing)


def test_whole_numbers_are_moved_as_floats_and_put_back():
    a, b = Value(2), Value(-3)
    a.grad = 7.0
    report = check_gradients(operator.mul, (a, b))
    assert report.verdict == "right"
    assert [e.analytic for e in report.entries] == [-3.0, 2.0]
    assert (a.data, b.data, a.grad) == (2, -3, 7.0)
    assert isinstance(a.data, int)


def test_tensors_of_objects_of_lists_and_of_closures_are_checked_each_once():
    class Net:
        def __init__(self):
            self.layers = [{"w": Value(0.5)}, {"w": Value(-1)}]
            self.tied = self.layers[0]["w"]

        def forward(self, x):
            return (x * self.layers[0]["w"]).tanh() * self.layers[1]["w"] + self.tied

    net, scale = Net(), Value(1.5)
    found = [entry.name for entry in check_gradients(net, Value(0.3)).entries]
    assert found == ["x", "layers[0]['w']", "layers[1]['w']"]
    report = check_gradients(lambda x: net.forward(x) * scale, Value(0.3))
    assert {entry.name for entry in report.entries} == {
        "<x>".strip("<>"),
        "net.layers[0]['w']",
        "net.layers[1]['w']",
        "scale",
    }
    assert report.verdict == "right"
    assert "layers[1]['w']" in [entry.name for entry in check_gradients(net.forward, Value(0.3)).entries]


def test_the_output_is_multiplied_where_backward_takes_no_gradient():
    report = check_gradients(operator.mul, (Times(X), Times(X + 1)))
    assert report.verdict == "right"
    # Not that of the sum, which is b itself.
    assert abs(report.entries[0].analytic) not in np.abs(X + 1)


class Odd(Times):
    """A product with it is what ``product`` makes of both."""

    def __init__(self, product):
        super().__init__(X)
        self.product = product

    def __mul__(self, other):
        return self.product(X, other)


@pytest.mark.parametrize(
    ("product", "is_it"),
    [
        (lambda a, b: Times(a * b), True),
        (lambda a, b: Times(a * b + 1.0), False),
        (lambda a, b: Times((a * b)[0]), False),
        (lambda a, b: a * b, False),
        (lambda a, _: a + None, False),
        (lambda a, b: a * b[:, :1].T @ b, False),
        (lambda a, _: a.no_such_operation, False),
    ],
)
def test_a_product_with_weights_is_one_if_it_is_a_tensor_of_these_numbers(product, is_it):
    weights = np.cos(X)
    found: Any = _Engine.times(stand_in(_output=Odd(product)), weights)
    assert (found is not None) == is_it
    if is_it:
        np.testing.assert_array_equal(found.data, X * weights)


@pytest.mark.parametrize(("factor", "is_it"), [(1.0, True), (1.000001, False)])
def test_so_is_one_in_float32_that_rounds_the_weights_as_well(factor, is_it):
    def product(a, b):
        return Times(factor * a.astype(np.float32) * b.astype(np.float32))

    assert (_Engine.times(stand_in(_output=Odd(product)), np.cos(X)) is not None) == is_it


def test_a_backward_pass_may_be_run_by_a_function_of_one_argument_beside_the_tensors_class(monkeypatch):
    module: Any = ModuleType("an_engine")
    module.backprop, module.helper, module.backward_with = lambda t: t, lambda t: t, lambda t, g: (t, g)
    module.Backward, module.back_step = Alone, len
    monkeypatch.setitem(sys.modules, "an_engine", module)
    for home, found in (("an_engine", [module.backprop]), ("nowhere", [])):
        tensor = type("Tensor", (), {"__module__": home})()
        assert _Engine.runners(stand_in(_output=tensor)) == found


@pytest.mark.parametrize(("total", "found"), [(Alone(X), "gradients"), (3.0, None), (None, None)])
def test_a_second_use_is_looked_at_where_the_sum_of_two_outputs_is_a_tensor(total, found):
    class Adds:
        def __add__(self, other):
            return total

    engine = stand_in(_forget=lambda: None, _apply=Adds, grads=lambda _: "gradients")
    assert [_Engine.grads_of_two(engine, X, same=same) for same in (True, False)] == [found, found]
    engine._apply = object  # which cannot be added
    assert _Engine.grads_of_two(engine, X, same=False) is None


def test_or_its_sum_is_judged_where_it_cannot_be():
    report = check_gradients(doubled, Alone(X))
    assert report.verdict == "right"
    assert report.entries[0].analytic == 2.0


@pytest.mark.parametrize("grad", [3.0, 3, X, np.float64(3.0)])
def test_a_gradient_before_any_backward_pass_is_0_of_the_same_kind(grad):
    before = _zeroed(grad)
    assert type(before) is type(grad)
    np.testing.assert_array_equal(before, 0.0 * np.asarray(grad))


def test_so_is_one_that_is_a_tensor_and_none_stays_none():
    grad: Any = Alone(X)
    before = _zeroed(grad)
    np.testing.assert_array_equal(before.data, 0.0 * X)
    np.testing.assert_array_equal(grad.data, X)
    assert before.grad is not grad.grad
    assert _zeroed(None) is None
    other = [1.0]
    assert _zeroed(other) == other


def test_tensors_are_found_in_every_kind_of_container():
    class Net:
        def __init__(self):
            self.layers = ({"w": Value(0.5)}, {Value(1.0)}, [Value(2.0)])

    found = [name for name, _ in tensors_in(Net(), "")]
    assert found == ["layers[0]['w']", "layers[1][0]", "layers[2][0]"]
    assert [name for name, _ in tensors_in(Net(), "net")] == [f"net.{name}" for name in found]
    assert [name for name, _ in tensors_in(Net().layers, "net")] == ["net[0]['w']", "net[1][0]", "net[2][0]"]
    shared = Value(0.5)
    assert [name for name, _ in tensors_in([shared, "text", b"bytes", Value, X, shared], "all")] == ["all[0]"]


def test_what_needs_no_gradient_is_left_out():
    report = check_gradients(operator.mul, (Times(X), Times(X + 1, requires_grad=False)))
    assert [entry.name for entry in report.entries] == ["a"]


def test_tensors_have_the_names_of_the_arguments_or_are_numbered():
    def product(*factors):
        return factors[0] * factors[1]

    report = check_gradients(product, (Times(X), Times(X + 1)))
    assert [entry.name for entry in report.entries] == ["input", "input 1"]
    assert [entry.name for entry in check_gradients(operator.mul, (Times(X), Times(X + 1))).entries] == ["a", "b"]


def test_targets_and_arrays_are_handed_on():
    report = check_gradients(lambda x, t: x * t, Times(X), X - 2)
    assert report.verdict == "right"
    assert [entry.name for entry in report.entries] == ["x"]


class SetsIt(Value):
    def __mul__(self, other):
        out = SetsIt(self.data * other.data, (self, other))

        def pass_on():
            self.grad = other.data * out.grad
            other.grad = self.data * out.grad

        out.pass_on = pass_on
        return out

    def __add__(self, other):
        out = SetsIt(self.data + other.data, (self, other))

        def pass_on():
            self.grad, other.grad = out.grad, out.grad

        out.pass_on = pass_on
        return out


def test_a_gradient_that_is_set_and_not_added_up_is_told_also_where_it_is_right_here():
    report = check_gradients(operator.mul, (SetsIt(0.5), SetsIt(2.0)))
    assert report.verdict == "right"
    assert any("(=) where it has to be added up (+=)" in warning for warning in report.warnings)
    assert check_gradients(lambda a: a * a + a, SetsIt(0.5)).verdict == "wrong"
    assert not check_gradients(operator.mul, (Value(0.5), Value(2.0))).warnings


def test_a_wrong_number_is_wrong():
    assert check_gradients(lambda a: a.tanh(1.5), Value(0.5))["a"].verdict == "wrong"


def test_an_engine_that_another_function_runs_is_not_judged():
    with pytest.raises(TypeError, match="leaves every gradient at 0; if another function runs it"):
        check_gradients(lambda x: Alone(x.data * 2, np.negative), Alone(X))


class Node:
    """A tensor whose backward() is that of the operation that made it alone."""

    def __init__(self, data, parents=(), pull=None):
        self.data, self.parents, self.pull = data, parents, pull
        self.grad = np.zeros_like(data)

    def backward(self):
        self.pull(self.grad)


def backprop_forward(node, times):
    """No backward pass: it wants two things."""
    node.grad += times


def backprop_nothing(node):
    """One that leaves every gradient at 0."""


def backprop_all(node):
    node.grad = np.ones_like(node.data)
    while node.parents:
        node.backward()
        (node,) = node.parents


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_a_function_beside_the_engine_runs_its_backward_pass(wrong, verdict):
    def cubed(x):
        def pull(grad):
            x.grad += wrong * 3 * x.data**2 * grad

        return Node(2 * x.data**3, (x,), lambda grad: pull(2 * grad))

    report = check_gradients(cubed, Node(X))
    assert report["x"].verdict == verdict, report
    assert not report.warnings
    assert "the backward pass is run by backprop_all; backward() alone is a step of it" in report.notes


@pytest.mark.parametrize("moves", [True, False])
def test_whether_an_output_moves_is_seen_a_little_to_the_side_of_every_number(moves):
    arrays, seen = {"x": X.copy(), "w": np.zeros(2)}, []

    @contextmanager
    def at(moved):
        seen.append(moved)
        yield
        seen.append("back")

    subject = stand_in(arrays=arrays, at=at, output=lambda: np.ones(3) + (moves and len(seen) == 1))
    assert TensorSubject._moves(subject) == moves
    moved, back = seen
    assert back == "back"
    np.testing.assert_array_equal(moved["x"], X + X * 2.0**-12 + 2.0**-16)
    np.testing.assert_array_equal(moved["w"], np.full(2, 2.0**-16))


def test_gradients_that_are_0_because_nothing_moves_are_judged():
    def dead(x):
        return Alone(np.maximum(x.data, 0), lambda grad: setattr(x, "grad", x.grad + grad * (x.data > 0)))

    report = check_gradients(dead, Alone(-np.abs(X)))
    assert report["x"].verdict in ("right", "undecided")


def test_an_output_that_is_no_tensor_and_a_target_that_is_no_function_are_refused():
    with pytest.raises(TypeError, match="expected one tensor as its output, got float"):
        check_gradients(lambda x: x.data, Value(0.5))
    with pytest.raises(TypeError, match="expected a function of tensors, got object without forward"):
        check_gradients(object(), Value(0.5))


def test_a_list_of_one_output_is_that_output_and_a_gradient_may_be_a_tensor():
    class Nested(Alone):
        def backward(self):
            self.back(Alone(np.ones(self.data.shape)))

    def tripled(x):
        def back(grad):
            x.grad = Alone(x.grad.data + 3 * grad.data if isinstance(x.grad, Alone) else 3 * grad.data)

        return [Nested(3 * x.data, back)]

    assert check_gradients(tripled, Nested(X)).verdict == "right"


def test_tensors_that_take_their_gradient_get_a_random_one():
    report = check_gradients(lambda x: Tensor(x.data * 4, lambda grad: x.backward(4 * grad)), Tensor(X))
    assert report.verdict == "right"
    assert abs(report.entries[0].analytic) != 4.0


def test_a_backward_pass_of_unknown_arguments_takes_no_gradient():
    # Of max nobody knows the arguments.
    takes_gradient: Any = vars(_Engine)["takes_gradient"]
    assert not takes_gradient.fget(stand_in(_output=SimpleNamespace(backward=max)))


class Written:
    """A tensor whose gradient is None until it is written, which is left out where ``forgets`` is set."""

    def __init__(self, data, back=None):
        self.data, self.grad, self.backward = np.asarray(data), None, back or (lambda _: None)


@pytest.mark.parametrize(("forgets", "verdicts"), [(False, ["right", "right"]), (True, ["right", "wrong"])])
def test_a_tensor_that_the_output_does_not_depend_on_needs_no_gradient(forgets, verdicts):
    class Net:
        def __init__(self):
            self.w, self.unused = Written(X + 1), Written(X)

        def forward(self, x):
            def back(grad):
                x.grad, self.w.grad = grad * self.w.data, None if forgets else grad * x.data

            return Written(x.data * self.w.data, back)

    net = Net()
    report = check_gradients(net, Written(X))
    assert [entry.verdict for entry in report.entries] == verdicts
    assert "the output does not depend on unused: not checked" in report.notes
    assert np.array_equal(net.unused.data, X)
