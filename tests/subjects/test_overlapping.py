"""Parameters that share their memory, as views of one flat vector: copied together, and checked where a claim is."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.state import in_float64

X = np.random.default_rng(0).standard_normal((5, 4))


class Flat:
    """x W + b with W and b in one vector; ``claims`` says of what the gradients are kept."""

    def __init__(self, claims, wrong=1.0, dtype="float64", bound_anew=False):
        self.theta = np.random.default_rng(1).standard_normal(15).astype(dtype)
        self.claims, self.wrong, self.bound_anew = claims, wrong, bound_anew
        self._bind()

    def _bind(self):
        self.W, self.b = self.theta[:12].reshape(4, 3), self.theta[12:]

    def forward(self, x):
        if self.bound_anew:
            self._bind()
        self.x = x
        return x @ self.W + self.b

    def backward(self, g):
        dW, db = self.wrong * self.x.T @ g, g.sum(axis=0)
        flat = np.concatenate([dW.ravel(), db])
        if "flat" in self.claims:
            self.dtheta = flat
        if "views" in self.claims:
            self.dW, self.db = dW, db
        if "weight" in self.claims:
            self.dW = dW
        dx = g @ self.W.T
        return (dx, flat) if "returned" in self.claims else dx


CLAIMS = {"flat": ["theta"], "returned": ["theta"], "views": ["W", "b"], "flat and views": ["theta", "W", "b"]}


@pytest.mark.slow
@pytest.mark.parametrize("bound_anew", [False, True])
@pytest.mark.parametrize("claims", CLAIMS)
def test_a_flat_vector_and_its_views_are_checked_where_a_gradient_is_claimed(claims, bound_anew):
    right = check_gradients(Flat(claims, bound_anew=bound_anew), X)
    assert sorted(entry.name for entry in right.entries) == sorted(["x", *CLAIMS[claims]])
    assert right.ok, right
    wrong = check_gradients(Flat(claims, 2.0, bound_anew=bound_anew), X)
    assert [entry.verdict for entry in wrong.entries if entry.name in ("theta", "W")] == ["wrong"] * (
        len(CLAIMS[claims]) - ("views" in claims)
    )
    assert wrong["x"].verdict == "right"


def test_a_part_of_a_flat_vector_that_has_no_gradient_is_counted():
    report = check_gradients(Flat("weight"), X)
    assert not report.ok
    assert [entry.name for entry in report.entries] == ["x", "W"]
    assert "theta" in report.problems[0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_views_are_views_of_the_copy_also_where_that_is_wider(dtype):
    given = Flat("flat", dtype=dtype)
    every_other, turned = given.theta[::2], given.W.T[::-1]
    copy, copied, turned_copy = in_float64([given, every_other, turned])
    assert copy.theta.dtype == np.float64
    np.testing.assert_array_equal(turned_copy, turned)
    copy.theta[...] = np.arange(15)
    np.testing.assert_array_equal(copy.W, np.arange(12.0).reshape(4, 3))
    np.testing.assert_array_equal(copy.b, [12, 13, 14])
    np.testing.assert_array_equal(copied, np.arange(0.0, 15.0, 2.0))
    np.testing.assert_array_equal(turned_copy, np.arange(12.0).reshape(4, 3).T[::-1])
    assert given.theta.dtype == dtype
    assert not np.shares_memory(copy.theta, given.theta)


def test_a_transposed_gradient_is_not_right_because_a_transpose_is_kept():
    class Transposing:
        def __init__(self):
            self.W = np.random.default_rng(1).standard_normal((4, 3))
            self.turned = self.W.T

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, g):
            return g @ self.W.T, (self.x.T @ g).T

    assert not check_gradients(Transposing(), X).ok


@pytest.mark.parametrize("claims", ["whole", "both"])
def test_the_same_numbers_in_another_shape_are_checked_once(claims):
    class Whole:
        def __init__(self):
            self.theta = np.random.default_rng(1).standard_normal(12)
            self.W = self.theta.reshape(4, 3)

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, g):
            self.dW = 2.0 * self.x.T @ g
            if claims == "both":
                self.dtheta = self.dW.ravel()
            return g @ self.W.T

    report = check_gradients(Whole(), X)
    assert [entry.name for entry in report.entries] == ["x", "theta" if claims == "both" else "W"]
    assert [entry.verdict for entry in report.entries] == ["right", "wrong"]


class Unit:
    def __init__(self, weights):
        self.weights = weights

    def forward(self, x):
        self.x = x
        return x @ self.weights


class Rows:
    """Units that hold a row of one matrix, and bind others when they learn, with a rate that is nowhere to be seen."""

    def __init__(self):
        self.W = np.random.default_rng(3).standard_normal((1, 3))
        self.units = [Unit(self.W[0, :]) for _ in range(5)]

    def forward(self, x):
        return np.array([unit.forward(x[i : i + 3]) for i, unit in enumerate(self.units)])

    def backward(self, g):
        dx = np.zeros(7)
        for i, unit in enumerate(self.units):
            dx[i : i + 3] += g[i] * unit.weights
        self.learn(sum(unit.x * h for unit, h in zip(self.units, g, strict=True)), g)
        return dx

    def learn(self, step, g):
        del g
        for unit in self.units:
            unit.weights = unit.weights - 0.1 * step


def test_units_that_share_a_row_share_it_again_in_every_evaluation():
    report = check_gradients(Rows(), np.random.default_rng(7).standard_normal(7))
    assert report["x"].verdict == report.verdict == "right"
    assert "no learning rate was found: what steps and gradients have in common is, 0.1" in report.notes


def test_units_that_end_apart_are_not_judged_as_one_array():
    class Apart(Rows):
        lr = 0.1

        def learn(self, step, g):
            del step
            for unit, h in zip(self.units, g, strict=True):
                unit.weights = unit.weights - self.lr * h * unit.x

    report = check_gradients(Apart(), np.random.default_rng(7).standard_normal(7))
    assert report["x"].verdict == "right"
    assert all(entry.verdict == "right" for entry in report.entries)
    assert report.verdict == "undecided"


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_step_of_a_shared_row_is_read_where_it_is_bound_anew(wrong, verdict):
    class Learning(Rows):
        def __init__(self):
            super().__init__()
            self.lr = 0.25

        def learn(self, step, g):
            del g
            for unit in self.units:
                unit.weights = unit.weights - self.lr * wrong * step

    assert check_gradients(Learning(), np.random.default_rng(7).standard_normal(7)).verdict == verdict


class Layered:
    """Two layers x W + b, whose parameters also stand in one dict, found before or after the layers."""

    params: dict[str, Any]
    layers: list[SimpleNamespace]

    def __init__(self, gradients_in, dict_first, wrong=1.0):
        rng = np.random.default_rng(2)
        self.gradients_in, self.wrong = gradients_in, wrong
        layers = [SimpleNamespace(W=rng.standard_normal(s), b=rng.standard_normal(3)) for s in ((4, 3), (3, 3))]
        params = {f"{name}{i}": vars(layer)[name] for i, layer in enumerate(layers) for name in ("W", "b")}
        held = {"params": params, "layers": layers}
        for name in ("params", "layers") if dict_first else ("layers", "params"):
            setattr(self, name, held[name])
        self.grads = {}

    def forward(self, x):
        for layer in self.layers:
            layer.x = x
            x = x @ layer.W + layer.b
        return x

    def backward(self, g):
        for i, layer in reversed(list(enumerate(self.layers))):
            layer.dW, layer.db = self.wrong * layer.x.T @ g, g.sum(axis=0)
            if self.gradients_in == "dict":
                self.grads |= {f"W{i}": layer.dW, f"b{i}": layer.db}
            g = g @ layer.W.T
        return g


@pytest.mark.parametrize("gradients_in", ["layers", "dict"])
@pytest.mark.parametrize("dict_first", [True, False])
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_parameters_and_gradients_may_each_be_found_under_the_other_of_two_names(
    gradients_in, dict_first, wrong, verdict
):
    report = check_gradients(Layered(gradients_in, dict_first, wrong), X)
    names = ["params['W0']", "params['W1']"] if dict_first else ["layers[0].W", "layers[1].W"]
    assert report.verdict == verdict, report
    assert len(report.entries) == 5
    assert [report[name].verdict for name in names] == [verdict] * 2


def test_one_array_may_be_the_gradient_of_two_parameters():
    class Sum:
        def __init__(self):
            self.u, self.v = np.random.default_rng(0).standard_normal((2, 5, 4))

        def forward(self, x):
            return x + self.u + self.v

        def backward(self, g):
            self.du = self.dv = g
            return g

    report = check_gradients(Sum(), X)
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["x", "u", "v"]


class Shared:
    """A layer on an array that others may have too; its gradient is that of its own use of it."""

    def __init__(self, W, factor=1.0):
        self.params, self.grads, self.factor = [W], [np.zeros_like(W)], factor

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, g):
        self.grads[0][...] = self.factor * self.x.T @ g
        return g @ self.params[0].T


class Tied:
    """Two layers on one array, of which an optimizer would take two steps."""

    def __init__(self, factor):
        W = np.random.default_rng(1).standard_normal((3, 3))
        self.first, self.second = Shared(W, factor), Shared(W)

    def forward(self, x):
        return self.second.forward(np.tanh(self.first.forward(x)))

    def backward(self, g):
        h = self.second.x
        return self.first.backward(self.second.backward(g) * (1 - h**2))


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.5, "wrong")])
def test_of_weights_that_two_layers_share_the_sum_of_their_gradients_is_checked(factor, verdict):
    report = check_gradients(Tied(factor), np.random.default_rng(0).standard_normal((4, 3)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", "right"), ("first.params[0]", verdict)]
    note = "first.params[0] is used 2 times, and each has its gradient: checked is their sum"
    assert (note in report.notes) == (verdict == "right")


class Unrolled:
    """Steps on one array, which keep their gradients, and beside them the sum; from the state of the call before."""

    def __init__(self, factor=1.0):
        W = np.random.default_rng(1).standard_normal((3, 3)) / 2
        self.params, self.grads, self.h, self.factor = [W], [np.zeros_like(W)], None, factor

    def forward(self, x):
        h = np.zeros((1, 3)) if self.h is None else self.h
        self.steps, self.outputs = [Shared(self.params[0]) for _ in x], []
        for step, row in zip(self.steps, x, strict=True):
            h = np.tanh(step.forward(h) + row)
            self.outputs.append(h)
        self.h = h
        return h

    def backward(self, g):
        rows, total = [], 0.0
        for step, h in zip(reversed(self.steps), reversed(self.outputs), strict=True):
            g = g * (1 - h**2)
            rows.append(g[0])
            g = step.backward(g)
            total += step.grads[0]
        self.grads[0][...] = self.factor * total
        return np.array(rows[::-1])


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.5, "wrong")])
def test_what_steps_keep_is_not_added_to_their_sum(factor, verdict):
    report = check_gradients(Unrolled(factor), np.random.default_rng(0).standard_normal((3, 3)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", "right"), ("params[0]", verdict)]
    assert not any("checked is their sum" in note for note in report.notes)
