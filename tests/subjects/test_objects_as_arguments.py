"""Parameters in objects that functions are given, arrays of objects, dicts of dicts, matrices; what comes in others."""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.libraries.tensors_found import is_tensor

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)


@dataclass(frozen=True)
class Frozen:
    W: Any
    b: Any


@dataclass
class Layer:
    W: Any
    b: Any
    x: Any = None
    dW: Any = None
    db: Any = None


def attributes_of(kind, wrong):
    def forward(p, x):
        return np.tanh(x @ p.W + p.b)

    def backward(grad_output, p, x):
        dz = grad_output * (1 - forward(p, x) ** 2)
        return kind(W=x.T @ dz, b=wrong * dz.sum(axis=0)), dz @ p.W.T

    return forward, backward


def items_of(kind, wrong):
    def forward(p, x):
        return np.tanh(x @ p["W"] + p["b"])

    def backward(grad_output, p, x):
        dz = grad_output * (1 - forward(p, x) ** 2)
        return kind(W=x.T @ dz, b=wrong * dz.sum(axis=0)), dz @ p["W"].T

    return forward, backward


def forward_of_layer(layer, x):
    layer.x = x
    return x @ layer.W + layer.b


def backward_of_layer(wrong):
    def backward(layer, grad_output):
        layer.dW, layer.db = layer.x.T @ grad_output, wrong * grad_output.sum(axis=0)
        return grad_output @ layer.W.T

    return backward


FORMS = {
    "a frozen dataclass": lambda wrong: (attributes_of(Frozen, wrong), Frozen(W, B)),
    "of float32": lambda wrong: (attributes_of(Frozen, wrong), Frozen(W.astype(np.float32), B.astype(np.float32))),
    "a namespace": lambda wrong: (attributes_of(SimpleNamespace, wrong), SimpleNamespace(W=W, b=B)),
    "an ordered dict": lambda wrong: (items_of(OrderedDict, wrong), OrderedDict(W=W, b=B)),
    "a dict with defaults": lambda wrong: (items_of(dict, wrong), defaultdict(lambda: np.zeros(()), W=W, b=B)),
    "an object with a cache": lambda wrong: ((forward_of_layer, backward_of_layer(wrong)), Layer(W, B)),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_parameters_of_an_object_that_functions_are_given_are_checked(form):
    functions, given = FORMS[form](1.0)
    right = check_gradients(functions, (given, X))
    assert right.verdict == "right"
    assert len(right.entries) == 3
    functions, given = FORMS[form](2.0)
    wrong = check_gradients(functions, (given, X))
    assert [entry.name for entry in wrong.entries if entry.verdict == "wrong"] == [
        name for name in (entry.name for entry in wrong.entries) if "b" in name.partition("p")[2] or name == "layer.b"
    ]


def test_an_object_that_functions_are_given_is_as_before():
    layer = Layer(W.copy(), B.copy())
    check_gradients((forward_of_layer, backward_of_layer(1.0)), (layer, X))
    assert [layer.x, layer.dW, layer.db] == [None] * 3
    np.testing.assert_array_equal(layer.W, W)


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_layers_in_a_list_that_functions_are_given_have_their_gradients(wrong, verdict):
    layers = [SimpleNamespace(W=W), SimpleNamespace(W=RNG.standard_normal((3, 2)))]

    def forward(layers, x):
        for layer in layers:
            layer.x, x = x, x @ layer.W
        return x

    def backward(layers, grad_output):
        for layer in reversed(layers):
            layer.dW, grad_output = wrong * layer.x.T @ grad_output, grad_output @ layer.W.T
        return grad_output

    report = check_gradients((forward, backward), (layers, X))
    assert report.verdict == verdict
    assert [entry.name for entry in report.entries] == ["x", "layers[0].W", "layers[1].W"]


def test_data_and_targets_beside_an_object_need_no_gradient():
    def loss(model, X, y):
        off = X @ model.W - y
        return np.mean(off**2), {"W": 2 * X.T @ off / off.size}

    report = check_gradients(loss, (SimpleNamespace(W=W), X, np.ones((5, 3))))
    assert report.verdict == "right"
    assert [entry.name for entry in report.entries] == ["model.W"]


def test_an_array_of_an_object_without_a_gradient_is_no_right_check():
    def backward(p, x, grad_output):
        return {"W": x.T @ (grad_output * (1 - np.tanh(x @ p.W + p.b) ** 2))}

    report = check_gradients((attributes_of(Frozen, 1.0)[0], backward), (Frozen(W, B), X))
    assert report.verdict == "undecided"
    assert "no gradient was found of p.b" in report.problems[0]


class Jagged:
    def __init__(self, wrong):
        self.w, self.wrong = np.empty(2, object), wrong
        self.w[:] = [W, RNG.standard_normal((3, 2))]

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.w[0])
        return self.h @ self.w[1]

    def backward(self, grad_output):
        dz = grad_output @ self.w[1].T * (1 - self.h**2)
        self.dw = np.empty(2, object)
        self.dw[:] = [self.x.T @ dz, self.wrong * self.h.T @ grad_output]
        return dz @ self.w[0].T


class Fields:
    def __init__(self, wrong):
        self.p, self.wrong = np.zeros(1, [("W", "f8", (4, 3)), ("b", "f8", (3,))]), wrong
        self.p["W"], self.p["b"], self.g = W, B, np.zeros_like(self.p)

    def forward(self, x):
        self.x = x
        return x @ self.p["W"][0] + self.p["b"][0]

    def backward(self, grad_output):
        self.g["W"][0], self.g["b"][0] = self.x.T @ grad_output, self.wrong * grad_output.sum(axis=0)
        return grad_output @ self.p["W"][0].T


@pytest.mark.parametrize(("kind", "last"), [(Jagged, "w[1]"), (Fields, "p['b']")])
def test_arrays_of_objects_and_fields_hold_parameters(kind, last):
    report = check_gradients(kind(1.0), X)
    assert report.verdict == "right"
    assert len(report.entries) == 3
    assert [entry.name for entry in check_gradients(kind(2.0), X).entries if entry.verdict == "wrong"] == [last]


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_gradients_of_layers_in_a_dict_are_told_by_the_names_of_the_layers(wrong, verdict):
    class Net:
        def __init__(self):
            self.params = {"one": {"W": W, "b": B}, "two": {"W": RNG.standard_normal((3, 3)), "b": np.zeros(3)}}

        def forward(self, x):
            one, two = self.params.values()
            self.x, self.h = x, np.tanh(x @ one["W"] + one["b"])
            return self.h @ two["W"] + two["b"]

        def backward(self, grad_output):
            grads = {"two": {"W": wrong * self.h.T @ grad_output, "b": grad_output.sum(axis=0)}}
            dz = grad_output @ self.params["two"]["W"].T * (1 - self.h**2)
            grads["one"] = {"W": self.x.T @ dz, "b": dz.sum(axis=0)}
            return grads

    report = check_gradients(Net(), X)
    assert report.verdict == verdict
    assert [e.name for e in report.entries if e.verdict == "wrong"] == ["params['two']['W']"] * (verdict == "wrong")


def test_a_dict_whose_keys_are_its_attributes_is_no_tensor():
    class Attributes(dict[str, Any]):
        __getattr__ = dict.__getitem__

    assert not is_tensor(Attributes(W=W))


@pytest.mark.parametrize("by", ["d, x", "x, d"])
def test_what_is_called_as_the_input_is_not_the_output(by):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    gradients = {"d, x": lambda d, x: d * x * (1 - x), "x, d": lambda x, d: d * x * (1 - x)}
    report = check_gradients((sigmoid, gradients[by]), X)
    assert report.verdict == "wrong"
    found = report["x"].diagnosis
    assert found is not None
    assert found.cause == "derivative_at_input"


def test_a_layer_may_call_its_gradient_as_its_input_beside_a_rate():
    class Scale:
        def __init__(self):
            self.W = W.copy()

        def forward(self, x):
            self.kept = x
            return x @ self.W

        def backward(self, x, lr):
            dx = x @ self.W.T
            self.W = self.W - lr * self.kept.T @ x
            return dx

    assert check_gradients(Scale(), X).verdict == "right"


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_backward_pass_that_forward_returns_is_called_with_the_gradient(wrong, verdict):
    def layer(x, w):
        out = np.tanh(x @ w)

        def backprop(grad_output):
            dz = grad_output * (1 - out**2)
            return dz @ w.T, wrong * x.T @ dz

        return out, backprop

    report = check_gradients(layer, (X, W))
    assert report.verdict == verdict
    assert [entry.name for entry in report.entries] == ["x", "w"]


def test_of_a_dict_that_forward_returns_it_is_said_how_to_give_its_output():
    def forward(x, w):
        return {"x": x, "out": x @ w, "w": w}

    def backward(grad_output, cache):
        return grad_output @ cache["w"].T, cache["x"].T @ grad_output

    with pytest.raises(TypeError, match="returns a dict with x, out, w") as raised:
        check_gradients((forward, backward), (X, W))
    assert "forward(*given))['out'], kept), backward), x)" in str(raised.value)
    assert check_gradients((lambda *given: ((kept := forward(*given))["out"], kept), backward), (X, W)).ok


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_parameter_may_be_a_matrix(wrong, verdict):
    class Product:
        def __init__(self):
            self.w = np.matrix(W)

        def forward(self, x):
            self.x = np.matrix(x)
            return self.x * self.w

        def backward(self, grad_output):
            self.dw = wrong * self.x.T * grad_output
            return grad_output * self.w.T

    assert check_gradients(Product(), X).verdict == verdict


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_lists_and_dicts_of_a_class_hold_parameters_and_are_as_before(wrong, verdict):
    class Net:
        weights: list[Any] = [W.astype(np.float32), RNG.standard_normal((3, 2))]  # noqa: RUF012
        params: dict[str, Any] = {"b": np.ones(2)}  # noqa: RUF012

        def forward(self, x):
            self.x, self.h = x, np.tanh(x @ self.weights[0])
            return self.h @ self.weights[1] + self.params["b"]

        def backward(self, grad_output):
            dz = grad_output @ self.weights[1].T * (1 - self.h**2)
            self.dweights, self.db = [self.x.T @ dz, self.h.T @ grad_output], wrong * grad_output.sum(axis=0)
            return dz @ self.weights[0].T

    report = check_gradients(Net(), X)
    assert report.verdict == verdict
    assert sorted(e.name for e in report.entries) == ["params['b']", "weights[0]", "weights[1]", "x"]
    assert Net.weights[0].dtype == np.float32


class Graph:
    def __init__(self):
        self.edges = [(0, 1), (1, 2), (2, 0), (2, 3)]
        self.features = np.random.default_rng(1).standard_normal((4, 3))


class Messages:
    """A layer of a graph network, of which ``features`` and ``weights`` say how many times their gradients are off."""

    def __init__(self, features=1.0, weights=1.0):
        self.W, self.off = np.random.default_rng(2).standard_normal((3, 2)), (features, weights)

    def forward(self, graph):
        out = np.zeros((4, 2))
        for source, target in graph.edges:
            out[target] += np.tanh(graph.features[source] @ self.W)
        return out

    def backward(self, graph, grad_output):
        self.dW, dx = np.zeros_like(self.W), np.zeros_like(graph.features)
        for source, target in graph.edges:
            d = grad_output[target] * (1 - np.tanh(graph.features[source] @ self.W) ** 2)
            self.dW += self.off[1] * np.outer(graph.features[source], d)
            dx[source] += self.off[0] * self.W @ d
        return dx


@pytest.mark.parametrize("given", [lambda graph: graph, lambda graph: (graph,)])
@pytest.mark.parametrize("off", [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)])
def test_what_a_graph_holds_is_checked_where_a_layer_returns_its_gradient(off, given):
    graph = Graph()
    before = graph.features.copy()
    report = check_gradients(Messages(*off), given(graph))
    assert report["graph.features"].verdict == ("right" if off[0] == 1.0 else "wrong")
    assert report["W"].verdict == ("right" if off[1] == 1.0 else "wrong")
    np.testing.assert_array_equal(graph.features, before)


class OfWeightsAlone(Messages):
    def backward(self, graph, grad_output):
        super().backward(graph, grad_output)


def test_what_a_graph_holds_is_data_where_no_gradient_of_it_is_returned():
    report = check_gradients(OfWeightsAlone(), Graph())
    assert report.verdict == "right"
    assert [entry.name for entry in report.entries] == ["W"]
    assert any("graph.features" in note for note in report.notes)


def test_a_dict_of_parameters_may_be_given_alone():
    def loss(parameters):
        return np.sum(np.tanh(parameters["W"]) ** 2)

    def gradients(parameters):
        y = np.tanh(parameters["W"])
        return {"W": 2 * y * (1 - y**2)}

    assert check_gradients((loss, gradients), {"W": W})["W"].verdict == "right"
