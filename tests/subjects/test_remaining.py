"""A gradient that neither its name nor its numbers tell is what is left where gradients are, for what is left."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import stand_in

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.arrays.gradients import Leaf
from numpy_nn.subjects.arrays.places import parsed
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.parameters.remaining import not_taken, the_only_ones_left

NAMES = ("W1", "b1", "W2", "b2")


class Formulas:
    """tanh(x W1 + b1) W2 + b2, of which a subclass says where parameters and gradients are."""

    grads: Any

    def __init__(self, wrong=(), rows_as_features=False):
        rng = np.random.default_rng(0)
        shapes = ((4, 6), (6,), (6, 3), (3,))
        self.wrong, self.x = wrong, rng.standard_normal((4 if rows_as_features else 7, 4))
        self.put(*(rng.standard_normal(shape) for shape in shapes))

    def put(self, *values):
        self.W_hidden, self.b_hidden, self.W_output, self.b_output = values

    def read(self):
        return self.W_hidden, self.b_hidden, self.W_output, self.b_output

    def output(self, x):
        W1, b1, W2, b2 = self.read()
        self.inputs, self.h = x, np.tanh(x @ W1 + b1)
        return self.h @ W2 + b2

    def differentiated(self, g):
        W1, _, W2, _ = self.read()
        dh = g @ W2.T * (1.0 - self.h**2)
        grads = [self.inputs.T @ dh, dh.sum(axis=0), self.h.T @ g, g.sum(axis=0)]
        factors = [-2.0 if name in self.wrong else 1.0 for name in NAMES]
        return [factor * grad for factor, grad in zip(factors, grads, strict=True)], dh @ W1.T

    def kept(self, g):
        grads, dx = self.differentiated(g)
        self.keep(*grads)
        return dx

    def keep(self, *grads):
        self.grads = dict(zip(NAMES, grads, strict=True))


class Net(Formulas):
    def forward(self, x):
        return self.output(x)

    def backward(self, g):
        return self.kept(g)


class KeptByOtherNames(Net):
    def keep(self, *grads):
        self.dW1, self.db1, self.dW2, self.db2 = grads


class KeptInOneList(Net):
    def keep(self, *grads):
        self.grads = list(grads)


class KeptInPairs(Net):
    def keep(self, *grads):
        self.grads = [grads[:2], grads[2:]]


class KeptByKind(Net):
    def put(self, *values):
        self.weights, self.biases = list(values[::2]), list(values[1::2])

    def read(self):
        return self.weights[0], self.biases[0], self.weights[1], self.biases[1]

    def keep(self, *grads):
        self.weight_gradients, self.bias_gradients = list(grads[::2]), list(grads[1::2])


class ListBesideLists(KeptByKind):
    def keep(self, *grads):
        self.grads = list(grads)


class Returned(Net):
    def backward(self, g):
        return dict(zip(NAMES, self.differentiated(g)[0], strict=True))


FORMS = [Net, KeptByOtherNames, KeptInOneList, KeptInPairs, KeptByKind, ListBesideLists, Returned]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrong", [(), ("W1",), ("b1",), ("W2",), ("b2",), ("W1", "b2")])
def test_a_wrong_gradient_is_found_whatever_it_is_called(form, wrong):
    net = form(wrong)
    report = check_gradients(net, net.x)
    parameters = [entry for entry in report.entries if entry.name != "x"]
    order = (0, 2, 1, 3) if isinstance(net, KeptByKind) else (0, 1, 2, 3)
    expected = ["wrong" if NAMES[place] in wrong else "right" for place in order]
    assert [entry.verdict for entry in parameters] == expected, report
    assert not report.problems


class Loss(Formulas):
    """Half the sum of squared differences."""

    def loss(self, x, y):
        self.difference = self.output(x) - y
        return 0.5 * np.sum(self.difference**2)


class LossOfTwoMethods(Loss):
    def gradient(self, x, y):
        self.loss(x, y)
        return self.kept(self.difference)


class LossThatLeavesGradients(Loss):
    def loss(self, x, y):
        value = super().loss(x, y)
        self.kept(self.difference)
        return value


@pytest.mark.parametrize("wrong", [(), ("W1",), ("b1",), ("W2",), ("b2",)])
@pytest.mark.parametrize(("form", "entries"), [(LossOfTwoMethods, 5), (LossThatLeavesGradients, 4)])
def test_a_loss_with_parameters_is_not_right_by_its_input_alone(form, entries, wrong):
    net = form(wrong)
    report = check_gradients(net, net.x, np.ones((7, 3)))
    assert report.verdict == ("wrong" if wrong else "right"), report
    assert [entry.verdict for entry in report.entries].count("wrong") == len(wrong)
    assert len(report.entries) == entries


def test_a_loss_that_returns_its_value_and_leaves_nothing_is_refused():
    net = Loss()
    with pytest.raises(TypeError, match="expected a backward pass, or"):
        check_gradients(net, net.x, np.ones((7, 3)))


def test_what_has_a_row_for_each_of_the_inputs_is_not_taken_for_a_gradient():
    class Kept(Net):
        """Its gradient of W1 is missing, and on the way to the others lies an array of that shape."""

        def keep(self, *grads):
            self.grads = dict(zip(NAMES[1:], grads[1:], strict=True))
            self.grads["dh"] = np.ones((len(self.inputs), 6))

    net = Kept(rows_as_features=True)
    report = check_gradients(net, net.x)
    assert report.verdict == "undecided", report
    assert "no gradient was found of W_hidden" in report.problems[0]


def leaf(path, value, returned=False, is_new=True):
    return Leaf(returned, parsed(path), value, is_new)


def test_what_may_be_a_gradient_is_new_and_lies_where_gradients_are():
    shared, other = np.ones((2, 3)), np.ones((2, 3))
    taken = [leaf("grads['W']", shared), leaf("out[0]", np.ones(2), returned=True)]
    free = {"cache['x']": other, "dW1": np.ones(2), "W_grad": np.ones(2), "model.nabla[1]": np.ones(3)}
    for path, value in free.items():
        found = [*taken, leaf(path, value)]
        assert [str(one) for one in not_taken(found, taken)] == ([path] if path != "cache['x']" else [])
        assert not_taken([leaf(path, value, is_new=False)], taken) == []
    # Another name of what is taken, and a number, are none; what lies beside one that is taken may be one.
    assert not_taken([leaf("dW1", shared)], taken) == []
    assert not_taken([leaf("dW1", np.array(1.0))], taken) == []
    assert len(not_taken([leaf("grads['k']", other), leaf("out[1]", np.ones(4), returned=True)], taken)) == 2
    assert not_taken([leaf("k", other), leaf("other['k']", np.ones(2))], [leaf("W", shared)]) == []


def test_one_array_and_one_leaf_of_a_shape_belong_together():
    one, another, vector = (
        leaf(path, np.ones(shape)) for path, shape in (("d_a", (2, 3)), ("d_b", (2, 3)), ("d_c", 4))
    )
    assert the_only_ones_left({"W": (2, 3), "b": (1, 4)}, [one, vector], []) == {"W": one, "b": vector}
    assert the_only_ones_left({"W": (2, 3)}, [one, another, vector], []) == {}
    assert the_only_ones_left({"W": (2, 3), "V": (2, 3)}, [one], []) == {}
    assert the_only_ones_left({"W": (2, 3), "V": (2, 3)}, [one, another], [another]) == {}


@pytest.mark.parametrize(
    ("is_loss", "owner", "found", "free", "is_weight"),
    [
        (True, SimpleNamespace(loss=len), "x", [], True),
        (True, SimpleNamespace(loss=len), "x", [Leaf(True, (), np.zeros(3), True)], True),
        (True, SimpleNamespace(forward=len), "x", [], False),
        (False, SimpleNamespace(loss=len), "x", [], False),
        (True, SimpleNamespace(loss=len), "", [], False),
        # There are gradients of what it holds, or one that may be this array's: it is a network.
        (True, SimpleNamespace(loss=len), "xW", [], False),
        (True, SimpleNamespace(loss=len), "x", [Leaf(True, (), np.zeros(2), True)], False),
    ],
)
def test_a_loss_without_a_forward_pass_that_gives_its_inputs_gradient_alone_has_weights(
    is_loss, owner, found, free, is_weight
):
    subject = stand_in(
        is_loss=is_loss, _owner=owner, input="x", _leaves=dict.fromkeys(found, 1), _places={"W": 1}, _not_taken=free
    )
    assert CodeSubject._is_weight_of_loss(subject, (2,)) == is_weight


class OneClass:
    """A softmax of one class: whatever its bias is, the loss of the data is 0, and the penalty alone has a gradient."""

    def __init__(self):
        self.reg, self.params = 0.1, {"W": np.ones((3, 1)), "b": np.ones(1)}

    def loss(self, X, y):
        scores = X @ self.params["W"] + self.params["b"]
        p = np.exp(scores - scores)
        value = -np.log(p[np.arange(len(y)), y]).mean() + self.reg * np.sum(self.params["W"] ** 2)
        return value, {"W": 2 * self.reg * self.params["W"], "b": np.zeros(1)}


def test_the_gradient_of_an_array_that_nothing_depends_on_is_not_taken_for_that_of_a_setting():
    report = check_gradients(OneClass(), np.random.default_rng(0).normal(size=(4, 3)), np.zeros(4, int))
    # Nor does the check see it matter, whatever it is.
    assert {entry.name: entry.verdict for entry in report.entries} == {
        "params['W']": "right",
        "params['b']": "undecided",
    }


class KeepsZeros:
    """Its base class made dW for it, which it does not use."""

    def __init__(self, off=1.0):
        self.W, self.off = np.random.default_rng(4).standard_normal((4, 3)), off
        self.dW, self.grads = np.zeros((4, 3)), {}

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, d):
        self.grads = {"W": self.off * self.x.T @ d}
        return d @ self.W.T


def test_zeros_that_are_kept_are_no_gradient_where_another_array_is():
    x = np.random.default_rng(5).standard_normal((5, 4))
    report = check_gradients(KeepsZeros(), x)
    assert report.verdict == "right"
    assert "dW is 0: grads['W'] is taken for the gradient of W" in report.notes
    assert check_gradients(KeepsZeros(2.0), x)["W"].verdict == "wrong"
