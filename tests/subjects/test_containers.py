"""Gradients of lists and dicts of arrays are found by their structure where that fits, else by their numbers."""

import numpy as np
import pytest
from stand_ins import leaf

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.arrays.containers import (
    BY_SHAPE,
    Numbering,
    are_last_first,
    is_numbered,
    likeness_in_argument,
    prefixes,
)
from numpy_nn.subjects.arrays.gradients import IN_ORDER
from numpy_nn.subjects.arrays.places import parsed

W1, B1, W2, B2 = (np.random.default_rng(0).standard_normal(shape) for shape in ((4, 6), (6,), (6, 3), (3,)))
X = np.random.default_rng(1).standard_normal((7, 4))
NAMES = ("W1", "b1", "W2", "b2")

# How parameters are given, and how they are read.
GIVEN = {
    "list": ([W1, B1, W2, B2], lambda p: p),
    "dict": (dict(zip(NAMES, (W1, B1, W2, B2), strict=True)), lambda p: [p[name] for name in NAMES]),
    "pairs": ([(W1, B1), (W2, B2)], lambda p: [*p[0], *p[1]]),
    "lists": ([[W1, W2], [B1, B2]], lambda p: [p[0][0], p[1][0], p[0][1], p[1][1]]),
    "dicts": ({"l1": {"W": W1, "b": B1}, "l2": {"W": W2, "b": B2}}, lambda p: [*p["l1"].values(), *p["l2"].values()]),
}
# How their gradients are returned, with that of the input or without.
RETURNED = {
    "in order": lambda _, a, b, c, d: (a, b, c, d),
    "reversed": lambda _, a, b, c, d: [c, d, a, b],
    "with that of the input": lambda x, a, b, c, d: (x, a, b, c, d),
    "in pairs": lambda _, a, b, c, d: [(a, b), (c, d)],
    "by kind": lambda _, a, b, c, d: ([a, c], [b, d]),
    "by name": lambda _, a, b, c, d: dict(zip(("dW1", "db1", "dW2", "db2"), (a, b, c, d), strict=True)),
    "by layer": lambda _, a, b, c, d: {"l1": {"W": a, "b": b}, "l2": {"W": c, "b": d}},
}


def passes(given, returned, wrong, params_first):
    """tanh(x W1 + b1) W2 + b2 with parameters in a container; ``wrong`` says of which one the gradient is doubled."""
    read, give = GIVEN[given][1], RETURNED[returned]

    def forward(params, x):
        w, b, v, c = read(params)
        h = np.tanh(x @ w + b)
        return h @ v + c, (x, w, v, h)

    def backward(dout, cache):
        x, w, v, h = cache
        dh = dout @ v.T * (1.0 - h**2)
        grads = [x.T @ dh, dh.sum(axis=0), h.T @ dout, dout.sum(axis=0)]
        return give(dh @ w.T, *(2.0 * grad if name == wrong else grad for name, grad in zip(NAMES, grads, strict=True)))

    return (forward if params_first else lambda x, params: forward(params, x)), backward


def judged(given, returned, wrong, params_first):
    held = GIVEN[given][0]
    report = check_gradients(passes(given, returned, wrong, params_first), (held, X) if params_first else (X, held))
    verdicts = [entry.verdict for entry in report.entries]
    assert verdicts.count("wrong") == bool(wrong), report
    assert report.verdict == ("wrong" if wrong else "right"), report
    assert len(verdicts) == 4 + (returned == "with that of the input")


@pytest.mark.slow
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("returned", RETURNED)
@pytest.mark.parametrize("wrong", ["", "W1"])
def test_parameters_in_a_container_have_their_gradients_in_any_other(given, returned, wrong):
    judged(given, returned, wrong, params_first=True)


@pytest.mark.parametrize("returned", ["reversed", "with that of the input", "by kind"])
@pytest.mark.parametrize("wrong", ["", "b2"])
def test_the_input_may_come_before_its_parameters(returned, wrong):
    judged("list", returned, wrong, params_first=False)


@pytest.mark.parametrize("wrong", ["", "W1", "b1"])
def test_lists_of_weights_and_of_biases_are_two_arguments(wrong):
    forward, backward = passes("lists", "in order", wrong, params_first=True)
    report = check_gradients(
        (lambda x, weights, biases: forward((weights, biases), x), backward), (X, [W1, W2], [B1, B2])
    )
    assert [entry.verdict for entry in report.entries].count("wrong") == bool(wrong), report
    assert [entry.name for entry in report.entries] == ["weights[0]", "weights[1]", "biases[0]", "biases[1]"]


@pytest.mark.parametrize("wrong", ["W1", "b2"])
def test_a_loss_that_returns_gradients_beside_the_inputs_is_not_right_by_the_input_alone(wrong):
    forward, backward = passes("list", "with that of the input", wrong, params_first=True)

    def loss(x, y, params):
        output, cache = forward(params, x)
        return 0.5 * np.sum((output - y) ** 2), backward(output - y, cache)

    report = check_gradients(loss, (X, np.ones((7, 3)), [W1, B1, W2, B2]))
    assert report.verdict == "wrong", report
    assert [entry.verdict for entry in report.entries].count("wrong") == 1


def returned(**shapes):
    """Leaves by their paths, in which a dot stands for brackets."""
    paths = ("".join(f"[{key}]" for key in name.strip("_").split("_") if key) for name in shapes)
    return [leaf(path, np.zeros(shape)) for path, shape in zip(paths, shapes.values(), strict=True)]


@pytest.mark.parametrize(
    ("arguments", "found", "told"),
    [
        # All that is returned, its own place, another one; of two that fit the own.
        ({"p": {"[0]": (2,), "[1]": (3,)}}, returned(_0=(2,), _1=(3,)), {"p": ""}),
        ({"x": {"": (5,)}, "p": {"[0]": (2,), "[1]": (3,)}}, returned(_0=5, _1_0=2, _1_1=3), {"x": "[0]", "p": "[1]"}),
        ({"x": {"": (5,)}, "p": {"[0]": (2,), "[1]": (3,)}}, returned(_0_0=2, _0_1=3, _1=5), {"x": "[1]", "p": "[0]"}),
        ({"v": {"[0]": (2,)}, "w": {"[0]": (2,)}}, returned(_0_0=2, _1_0=2), {"v": "[0]", "w": "[1]"}),
        # What is taken is not taken twice: not a part of it, nor all of which it is a part.
        ({"v": {"[0]": (2,)}, "w": {"[0]": (2,)}}, returned(_0=2), {"v": "", "w": None}),
        # Another structure; shapes of which half are those of others, or of none; more than half are right.
        ({"p": {"[0]": (2,), "[1]": (3,)}}, returned(_0=5, _1=2, _2=3), {"p": None}),
        ({"p": {"[0]": (2,), "[1]": (3,)}}, returned(_0=3, _1=2), {"p": None}),
        ({"p": {"[0]": (2,), "[1]": (3,)}}, returned(_0=2, _1=4), {"p": ""}),
        ({"p": {"[0]": (2,), "[1]": (3,), "[2]": (4,)}}, returned(_0=2, _1=5, _2=5), {"p": None}),
        ({"p": {"[0]": (2,), "[1]": (3,), "[2]": (1, 4)}}, returned(_0=2, _1=5, _2=4), {"p": ""}),
        ({"p": {"[0]": (2,)}}, [leaf("[0]", np.zeros(2), returned=False)], {"p": None}),
        # A key tells of an array by its name alone, of several by their structure.
        ({"x": {"": (5,)}}, [leaf("['dA0']", np.zeros(5))], {"x": None}),
        ({"p": {"[0]": (2,)}}, [leaf("['g'][0]", np.zeros(2))], {"p": "['g']"}),
    ],
)
def test_the_structure_tells_where_the_gradients_of_an_argument_are(arguments, found, told):
    shapes = {name: {parsed(path): shape for path, shape in parts.items()} for name, parts in arguments.items()}
    assert prefixes(shapes, found) == {name: None if path is None else parsed(path) for name, path in told.items()}


@pytest.mark.parametrize(
    ("one", "path", "prefix", "like"),
    [
        (leaf("[1][0]", np.zeros((2, 3))), "[0]", "[1]", IN_ORDER),
        (leaf("[0]", np.zeros((2, 3))), "[0]", "", IN_ORDER),
        (leaf("[1]", np.zeros((2, 3))), "[0]", "", BY_SHAPE),
        (leaf("[0]", np.zeros((2, 3))), "[0]", None, BY_SHAPE),
        (leaf("[0]", np.zeros((3, 2))), "[0]", None, 0.0),
        (leaf("['dW']", np.zeros((3, 2))), "['W']", None, 1.0),
        (leaf("['dx']", np.zeros((3, 2))), "", None, 1.0),
        (leaf("['x']", np.zeros((3, 2))), "", None, 1.0),
        (leaf("[1]", np.zeros((3, 2))), "", "[1]", IN_ORDER),
        (leaf("", np.zeros((2, 3))), "", None, BY_SHAPE),
        (leaf("dx", np.zeros((2, 3)), returned=False), "", None, 0.0),
    ],
)
def test_how_likely_a_leaf_is_the_gradient_of_an_array_in_an_argument(one, path, prefix, like):
    place = None if prefix is None else parsed(prefix)
    assert likeness_in_argument("x", parsed(path), (2, 3), place)(one) == pytest.approx(like)


def test_data_have_no_gradient_under_another_name():
    one = leaf("['dA0']", np.zeros((2, 3)))
    assert likeness_in_argument("X", (), (2, 3), None)(one) == BY_SHAPE
    assert likeness_in_argument("X", (), (2, 3), None, data=True)(one) == 0.0
    assert likeness_in_argument("X", (), (2, 3), None, data=True)(leaf("['dX']", np.zeros((2, 3)))) == 1.0
    assert likeness_in_argument("X", (), (2, 3), None, data=True)(leaf("[1]", np.zeros((2, 3)))) == BY_SHAPE


def test_what_is_returned_on_the_way_to_the_data_is_not_judged_as_their_gradient():
    # As in a well-known course: the gradients of parameters are means over the columns, that of the input is not.
    def forward(X, parameters):
        A = 1.0 / (1.0 + np.exp(-(parameters["W1"] @ X + parameters["b1"])))
        return A, (X, parameters["W1"], A)

    def backward(AL, Y, caches):
        X, W, A = caches
        dZ, m = A - Y, X.shape[1]
        assert AL.shape == A.shape
        return {"dA0": W.T @ dZ, "dW1": dZ @ X.T / m, "db1": dZ.sum(axis=1, keepdims=True) / m}

    rng = np.random.default_rng(3)
    parameters = {"W1": rng.standard_normal((1, 4)), "b1": rng.standard_normal((1, 1))}
    report = check_gradients((forward, backward), (X.T.copy(), parameters), rng.integers(0, 2, (1, 7)))
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["parameters['W1']", "parameters['b1']"]


def test_a_number_tells_of_the_same_number_elsewhere_where_both_lists_have_the_same():
    two, three = parsed("W[1]"), [parsed(f"V[{k}]") for k in range(3)]
    found = [leaf(f"dW[{k}]", np.zeros(2), returned=False) for k in range(2)]
    numbering = Numbering([parsed("W[0]"), two, *three, parsed("b")], found)

    def surely(_):
        return 1.0

    assert numbering.weighed(two, surely, (2,))(found[1]) == 1.0
    assert numbering.weighed(three[1], surely, (2,))(found[1]) == BY_SHAPE
    assert numbering.weighed(three[1], surely, (3,))(found[1]) == 0.0
    assert numbering.weighed(three[1], lambda _: 0.1, (2,))(found[1]) == 0.1
    assert numbering.weighed(parsed("b"), surely, (2,))(found[1]) == 1.0
    assert numbering.weighed(three[1], surely, (2,))(leaf("db", np.zeros(2), returned=False)) == 1.0
    # Of dicts with numbers for keys these are the numbers.
    other = Numbering([parsed("w[1]"), parsed("w[2]")], found)
    assert other.weighed(parsed("w[1]"), surely, (2,))(found[1]) == BY_SHAPE
    assert [is_numbered(parsed(path)) for path in ("W[0]", "W['0']", "W", "")] == [True, False, False, False]


@pytest.mark.parametrize(("order", "last_first"), [("0123", False), ("2301", True), ("3210", True), ("1032", False)])
def test_gradients_of_the_last_layer_first_are_told_by_their_numbers(order, last_first):
    names, leaves = list("0123"), [leaf(f"[{i}]", np.array([float(of)])) for i, of in enumerate(order)]

    def agrees(name, one):
        return float(name) == one.value[0]

    assert are_last_first(names, leaves, agrees) == last_first
    # One that is wrong hides no order, and makes none.
    assert are_last_first(names, leaves, lambda name, one: name != "2" and agrees(name, one)) == last_first
    assert not are_last_first(names, leaves, lambda *_: False)
    assert are_last_first(names[:3], leaves[2::-1], lambda name, one: one.path == parsed(f"[{name}]"))


@pytest.mark.parametrize(("wrong", "verdict"), [((), "right"), ((0,), "wrong")])
def test_the_last_layer_first_is_an_order_where_all_layers_are_as_wide(wrong, verdict):
    rng = np.random.default_rng(2)
    params = [rng.standard_normal(shape) / 2 for shape in ((4, 4), (4,), (4, 4), (4,))]

    def forward(x, params):
        W, b, V, c = params
        return np.tanh(x @ W + b) @ V + c

    def backward(g, x, params):
        W, b, V, _ = params
        h = np.tanh(x @ W + b)
        dh = g @ V.T * (1.0 - h**2)
        first = [x.T @ dh, dh.sum(axis=0)]
        return [h.T @ g, g.sum(axis=0), *(1.5 * grad if i in wrong else grad for i, grad in enumerate(first))]

    report = check_gradients((forward, backward), (X, params))
    assert report.verdict == verdict, report
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == [f"params[{i}]" for i in wrong]
    assert any("last layer first" in note for note in report.notes)


def test_pairs_are_no_gradients_of_two_lists_where_half_of_the_shapes_fit():
    shapes = {
        "weights": {parsed("[0]"): (3, 4), parsed("[1]"): (4, 2)},
        "biases": {parsed("[0]"): (4,), parsed("[1]"): (2,)},
    }
    found = returned(_0_0=(3, 4), _0_1=(4,), _1_0=(4, 2), _1_1=(2,))
    assert prefixes(shapes, found) == {"weights": None, "biases": None}


class Pairs:
    """Two weights of one shape; backward returns or keeps pairs of one and a gradient, the right one or the other's."""

    def __init__(self, swapped, turned=False, kept=False):
        self.W, self.V = np.random.default_rng(0).standard_normal((2, 3, 3))
        self.swapped, self.turned, self.kept = swapped, turned, kept

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W)
        return self.h @ self.V

    def backward(self, grad):
        dV, dh = self.h.T @ grad, grad @ self.V.T * (1 - self.h**2)
        dW = self.x.T @ dh
        pairs = [(self.W, dV), (self.V, dW)] if self.swapped else [(self.W, dW), (self.V, dV)]
        pairs = [pair[::-1] if self.turned else pair for pair in pairs]
        if self.kept:
            self.pairs = pairs
        return dh @ self.W.T if self.kept else (dh @ self.W.T, pairs)


@pytest.mark.parametrize("turned", [False, True])
def test_a_gradient_in_a_pair_with_a_parameter_is_that_of_it(turned):
    x = np.random.default_rng(1).standard_normal((4, 3))
    assert check_gradients(Pairs(False, turned), x).verdict == "right"
    report = check_gradients(Pairs(True, turned), x)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": "wrong", "V": "wrong"}
    assert check_gradients(Pairs(False, turned, kept=True), x).verdict == "right"
    assert check_gradients(Pairs(True, turned, kept=True), x).verdict in ("wrong", "undecided")


class TwoLayers:
    """Lists or dicts under names of which one may be a container of all gradients."""

    def __init__(self, names, kind, times):
        rng = np.random.default_rng(0)
        self.names, self.kind, self.times = names, kind, times
        self.keys = [0, 1] if kind is list else ["first", "last"]
        self.weights = self.box(rng.standard_normal((2, 4, 4)))
        self.biases = self.box(np.zeros((2, 4)))

    def box(self, pair):
        return list(pair) if self.kind is list else dict(zip(self.keys, pair, strict=True))

    def forward(self, x):
        first, last = self.keys
        self.x, self.h = x, np.tanh(x @ self.weights[first] + self.biases[first])
        return self.h @ self.weights[last] + self.biases[last]

    def backward(self, grad):
        first, last = self.keys
        d = grad @ self.weights[last].T * (1.0 - self.h**2)
        of_weights, of_biases = self.names
        setattr(self, of_weights, self.box([self.x.T @ d, self.h.T @ grad]))
        setattr(self, of_biases, self.box([d.sum(axis=0), self.times * grad.sum(axis=0)]))
        return d @ self.weights[first].T


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize(
    "names", [("weight_grads", "bias_grads"), ("dweights", "dbiases"), ("grad_weights", "grad_biases"), ("dW", "db")]
)
@pytest.mark.parametrize(("times", "wrong"), [(1.0, []), (2.0, ["biases"])])
def test_gradients_called_as_those_of_weights_are_not_those_of_biases(names, kind, times, wrong):
    report = check_gradients(TwoLayers(names, kind, times), np.random.default_rng(1).standard_normal((5, 4)))
    assert len(report.entries) == 5
    assert [entry.name.partition("[")[0] for entry in report.entries if entry.verdict == "wrong"] == wrong
    assert report.verdict == ("wrong" if wrong else "right")
