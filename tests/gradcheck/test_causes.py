"""Causes of the checker beyond dense layers: each is named where it is the mistake, and not where it nearly is."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


def rng():
    return np.random.default_rng(0)


def named(target, x, targets=None, entry="input"):
    """The cause of one entry, which must be wrong, and whether it is confident."""
    found = check_gradients(target, x, targets)[entry]
    assert found.verdict == "wrong", found
    assert found.diagnosis is not None
    return found.diagnosis.cause, found.diagnosis.confident


def numbers(*shape):
    return rng().standard_normal(shape)


# Losses of probabilities.


def binary(a, y):
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum()


@pytest.mark.parametrize(
    ("vjp", "expected"),
    [
        (lambda a, y: a - y, ("fused_activation", True)),
        (lambda a, y: 2 * (a - y), ("fused_activation+factor", True)),
        (lambda a, y: y - a, ("fused_activation+target_minus_prediction", True)),
        (lambda a, y: a - 0.9 * y, ("unknown", False)),
    ],
)
def test_the_gradient_by_the_scores_is_told_from_that_by_the_probabilities(vjp, expected):
    assert named((binary, vjp), rng().uniform(0.1, 0.9, (4, 3)), rng().integers(0, 2, (4, 3)) * 1.0) == expected


def test_scores_without_softmax_are_still_named():
    def loss(z, y):
        return (np.logaddexp(0, z) - y * z).sum()

    z, y = numbers(4, 3), rng().integers(0, 2, (4, 3)) * 1.0
    assert named((loss, lambda z, y: z - y), z, y) == ("softmax_missing", True)


@pytest.mark.parametrize("eps", [1e-5, 1e-4])
def test_an_epsilon_in_the_logarithm_is_named(eps):
    def softmax(x):
        e = np.exp(x)
        return e / e.sum(1, keepdims=True)

    def loss(x, y):
        return -np.log(softmax(x)[np.arange(5), y] + eps).sum()

    x, y = numbers(5, 4), rng().integers(0, 4, 5)
    assert named((loss, lambda x, y: softmax(x) - np.eye(4)[y]), x, y) == ("epsilon", True)
    # The same size, in a place where no epsilon is.
    assert named((loss, lambda x, y: softmax(x) - (1 + eps) * np.eye(4)[y]), x, y)[0] != "epsilon"


@pytest.mark.parametrize("flat", [False, True], ids=["(batch, 1) and (batch,)", "(batch,) and (batch, 1)"])
def test_targets_that_broadcast_are_named(flat):
    z, t = (numbers(6), 1 - numbers(6, 1) ** 2) if flat else (numbers(6, 1), 1 - numbers(6) ** 2)

    def gradient(z, t):
        return 2 * (z - t.reshape(z.shape)) / len(z)

    assert named((lambda z, t: ((z - t) ** 2).mean(), gradient), z, t) == ("target_broadcast", True)
    right = (lambda z, t: ((z - t.reshape(z.shape)) ** 2).mean(), gradient)
    assert check_gradients(right, z, t).ok
    assert named((right[0], lambda z, t: 3 * gradient(z, t)), z, t) == ("factor", True)


# Entries that are used more than once.


def upsample(x):
    return x.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize(
    ("vjp", "expected"),
    [
        (lambda _, g: g[::2, ::2], ("picked", True)),
        (lambda _, g: g[::2, 1::2], ("picked", True)),
        (lambda _, g: g[::2, ::2] + g[1::2, 1::2], ("unknown", False)),
        (lambda _, g: (g[::2, ::2] + g[1::2, ::2] + g[::2, 1::2] + g[1::2, 1::2]) / 4, ("factor", True)),
    ],
)
def test_one_of_four_that_is_picked_is_named(vjp, expected):
    assert named((upsample, vjp), numbers(4, 3)) == expected


def test_an_index_that_comes_up_twice_and_counts_once_is_named():
    index = np.array([0, 2, 2, 4, 4, 4])

    def last(x, g):
        dx = np.zeros_like(x)
        dx[index] = g
        return dx

    assert named((lambda x: x[index], last), numbers(6, 3)) == ("repeated_index", True)
    assert named((lambda x: x[index], lambda x, g: 2 * last(x, g)), numbers(6, 3)) == ("repeated_index+factor", True)


# Clipping, staircases, sums.


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda n: np.clip(n, -0.7, 0.7), ("clipped", True)),
        (lambda n: np.clip(n, -0.7, 0.71), ("unknown", False)),
        (lambda n: n / np.linalg.norm(n), ("norm_clipped", True)),
        (lambda n: 5.0 * n / np.linalg.norm(n) * 0.1, ("norm_clipped", True)),
        (lambda n: 0.1 * n, ("learning_rate", True)),
        (lambda n: -0.01 * n, ("sign+learning_rate", True)),
        (lambda n: 0.37 * n, ("factor", True)),
    ],
)
def test_clipping_and_learning_rates_are_named(change, expected):
    assert named((np.sin, lambda x, g: change(g * np.cos(x))), numbers(6, 5)) == expected


@pytest.mark.parametrize("stairs", [np.sign, np.round, np.floor])
def test_a_straight_through_estimator_is_named_as_what_it_is(stairs):
    x = np.round(numbers(4, 3)) + 0.3
    assert named((stairs, lambda _, g: g), x) == ("straight_through", True)
    assert named((stairs, lambda x, g: g * (np.abs(x) < 1)), x) == ("straight_through", True)
    assert named((stairs, lambda _, g: g * np.linspace(1, 2, g.size).reshape(g.shape)), x)[0] != "straight_through"


def test_the_gradient_of_a_surrogate_is_named_and_a_unit_that_is_off_is_none():
    x, slope = numbers(6, 5), 25.0
    spike = ((lambda x: (x > 0).astype(float)), lambda x, g: g / (slope * np.abs(x) + 1.0) ** 2)
    assert named(spike, x) == ("surrogate", False)
    W = numbers(5, 3)

    def signs(x, W):
        return np.sign(x) @ np.sign(W)

    assert named((signs, lambda x, W, g: (g @ np.sign(W).T, np.sign(x).T @ g)), (x, W), entry="W")[0] == "surrogate"
    off = ((lambda x: np.maximum(x, 0.0)), lambda x, g: g * np.cos(x))
    assert named(off, -np.abs(x))[0] != "surrogate"


def test_where_the_numerical_gradient_is_0_the_evidence_says_so():
    entry = check_gradients(((lambda x: np.maximum(x, 0.0)), lambda x, g: g * np.cos(x)), -np.abs(numbers(4, 3)))["x"]
    assert entry.diagnosis is not None
    assert entry.diagnosis.evidence


class Affine:
    """x W + b, with one formula to be replaced."""

    def __init__(self, inputs=4, outputs=3):
        self.W, self.b = rng().standard_normal((inputs, outputs)), rng().standard_normal(outputs)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def weight(self, grad):
        return self.x.T @ grad

    def bias(self, grad):
        return grad.sum(axis=0)

    def inward(self, grad):
        return grad @ self.W.T

    def backward(self, grad):
        self.dW, self.db = self.weight(grad), self.bias(grad)
        return self.inward(grad)


def affine(width=None, **methods):
    sizes = (width, width) if width else ()
    return type("Changed", (Affine,), methods)(*sizes)


@pytest.mark.parametrize(
    ("method", "entry", "formula", "cause"),
    [
        ("bias", "b", lambda _, g: g.sum(axis=1), "wrong_axis_sum"),
        ("bias", "b", lambda _, g: np.full(len(g), g.sum()), "wrong_axis_sum"),
        ("weight", "W", lambda self, g: self.x.T * g, "product_exchanged"),
        ("weight", "W", lambda self, g: -(self.x.T * g), "product_exchanged+sign"),
        ("weight", "W", lambda self, g: -(self.x.T @ g).T, "transposed+sign"),
        ("weight", "W", lambda self, g: g @ self.W.T, "argument_order"),
        ("inward", "input", lambda self, g: g @ self.W, "transposed"),
        ("inward", "input", lambda self, g: -0.5 * g @ self.W, "transposed+sign+factor"),
        ("inward", "input", lambda self, g: g * self.W.T, "product_exchanged"),
        ("weight", "W", lambda self, g: self.x.T @ g * (1 + np.eye(len(g))), "factor"),
    ],
)
def test_what_only_square_matrices_let_through_is_named(method, entry, formula, cause):
    # A factor of the diagonal alone is not the whole story.
    layer = affine(4, **{method: formula})
    assert named(layer, numbers(4, 4), entry=entry) == (cause, cause != "factor")


def test_two_mistakes_are_told_by_the_number_of_rows():
    averaged = affine(weight=lambda self, g: -self.x.T @ g / len(g))
    fifth = affine(weight=lambda self, g: -self.x.T @ g / 5)
    assert named(averaged, numbers(5, 4), entry="W") == ("sign+batch_mean_twice", True)
    assert named(fifth, numbers(5, 4), entry="W") == ("sign+factor", True)


def test_of_one_number_a_factor_must_be_the_same_elsewhere():
    def bias(self, grad):
        return (grad * self.x[:, :1]).sum(axis=0)

    changed = type("Changed", (Affine,), {"bias": bias})(4, 1)
    assert named(changed, numbers(5, 4), entry="b")[0] == "unknown"
    doubled = type("Changed", (Affine,), {"bias": lambda _, grad: 2 * grad.sum(axis=0)})(4, 1)
    assert named(doubled, numbers(5, 4), entry="b") == ("factor", True)


@pytest.mark.parametrize(
    ("weights", "extra", "cause"),
    [
        ([1.0, -2.0, 3.0], lambda w: 0.1 * w, "weight_decay"),
        ([1.0, -2.0, 3.0], lambda w: 0.1 * np.sign(w), "weight_decay"),
        ([1.0, -2.0, 3.0], lambda w: 0.1 * w + 1e-3 * w**2, "unknown"),
        ([1.0, 2.0, 3.0], lambda w: 0.1 + 0.0 * w, "constant_added"),
        ([2.0, 2.0, 2.0], lambda w: 0.1 * w, "constant_added"),  # or a multiple of w, which is constant itself
    ],
)
def test_weight_decay_is_told_from_a_constant(weights, extra, cause):
    layer = type("Decays", (Affine,), {"bias": lambda self, grad: grad.sum(axis=0) + extra(self.b)})()
    layer.b = np.array(weights)
    assert named(layer, numbers(5, 4), entry="b") == (cause, cause != "unknown" and len({*weights}) > 1)


# Norms.


class LayerNorm:
    """(x - mean) / root over the last axis."""

    eps = 1e-5

    def root(self, var):
        return np.sqrt(var + self.eps)

    def forward(self, x):
        centred = x - x.mean(-1, keepdims=True)
        self.s = self.root((centred**2).mean(-1, keepdims=True))
        self.n = centred / self.s
        return self.n

    def terms(self, g):
        return g.mean(-1, keepdims=True) + self.n * (g * self.n).mean(-1, keepdims=True)

    def backward(self, g):
        return (g - self.terms(g)) / self.s


@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 4), (2, 3, 2, 4)])
@pytest.mark.parametrize(
    ("methods", "cause"),
    [
        ({"terms": lambda self, g: self.n * (g * self.n).mean(-1, keepdims=True)}, "batch_norm_mean_constant"),
        ({"terms": lambda _, g: g.mean(-1, keepdims=True)}, "batch_norm_variance_constant"),
        ({"terms": lambda _, g: 0.0 * g}, "batch_norm_constant_statistics"),
        ({"root": lambda self, var: np.sqrt(var) + self.eps}, "epsilon"),
        ({"terms": lambda self, g: 1.1 * LayerNorm.terms(self, g)}, "unknown"),
    ],
)
def test_a_norm_s_mistakes_are_named_in_any_number_of_dimensions(shape, methods, cause):
    assert check_gradients(LayerNorm(), numbers(*shape)).ok
    layer = type("Changed", (LayerNorm,), methods)()
    assert named(layer, numbers(*shape)) == (cause, cause != "unknown")


# Samples in columns.


class InColumns:
    """W x + b for x (features, batch)."""

    def __init__(self):
        self.W, self.b = rng().standard_normal((3, 4)), rng().standard_normal((3, 1))

    def forward(self, x):
        self.x = x
        return np.tanh(self.W @ x + self.b)

    def slope(self):
        return 1 - np.tanh(self.W @ self.x + self.b) ** 2

    def weight(self, delta):
        return delta @ self.x.T

    def added_up(self, delta):
        return getattr(self, "dW", 0.0) + delta @ self.x.T

    def bias(self, delta):
        return delta.sum(axis=1, keepdims=True)

    def backward(self, grad):
        delta = grad * self.slope()
        self.dW, self.db = self.weight(delta), self.bias(delta)
        return self.W.T @ delta


@pytest.mark.parametrize(
    ("methods", "entry", "cause"),
    [
        ({"weight": lambda self, d: d @ self.x.T / d.shape[1]}, "W", "batch_mean_twice"),
        ({"bias": lambda _, d: d.mean(axis=1, keepdims=True)}, "b", "bias_averaged"),
        ({"weight": lambda self, d: self.x @ d.T}, "W", "transposed"),
        ({"slope": lambda _: 1.0}, "W", "derivative_missing"),
        ({"slope": lambda _: 1.0}, "input", "derivative_missing"),
        ({"weight": lambda self, d: np.outer(d[:, 0], self.x[:, 0])}, "W", "one_example"),
        ({"weight": lambda self, d: -d @ self.x.T / d.shape[1]}, "W", "sign+batch_mean_twice"),
        ({"weight": lambda self, d: d @ self.x.T / 6}, "W", "factor"),
        ({"weight": InColumns.added_up}, "W", "accumulated"),
    ],
)
def test_samples_in_columns_are_diagnosed_like_rows(methods, entry, cause):
    layer = type("Changed", (InColumns,), methods)()
    assert named(layer, numbers(4, 6), entry=entry) == (cause, True)


def test_columns_that_are_refused_at_any_other_input_are_diagnosed():
    x = numbers(4, 6)

    class OfOneBatch(InColumns):
        def weight(self, delta):
            if not np.array_equal(self.x, x):
                raise ValueError("no labels for this batch")
            return self.x @ delta.T

    assert named(OfOneBatch(), x.copy(), entry="W") == ("transposed", True)


def test_a_loss_of_columns_is_divided_by_their_number():
    def softmax(z):
        e = np.exp(z)
        return e / e.sum(axis=0)

    def loss(z, y):
        return -(y * np.log(softmax(z))).sum() / z.shape[1]

    z, y = numbers(3, 5), np.eye(3)[:, rng().integers(0, 3, 5)]
    assert check_gradients((loss, lambda z, y: (softmax(z) - y) / 5), z, y).ok
    assert named((loss, lambda z, y: softmax(z) - y), z, y) == ("batch_mean_missing", True)
    one = (lambda a, y: ((a - y) ** 2).sum() / a.shape[1], lambda a, y: 2 * (a - y))
    assert named(one, numbers(1, 5), 1 + numbers(1, 5) ** 2) == ("batch_mean_missing", True)


@pytest.mark.parametrize("rebinds", [False, True])
def test_parameters_that_are_updated_before_they_are_used_are_named(rebinds):
    class Dense:
        def __init__(self):
            self.W, self.lr = np.random.default_rng(0).standard_normal((4, 3)), 0.1

        def forward(self, x):
            self.x = x
            return np.tanh(x @ self.W)

        def backward(self, g):
            g = g * (1 - np.tanh(self.x @ self.W) ** 2)
            if rebinds:
                self.W = self.W - self.lr * self.x.T @ g
            else:
                self.W -= self.lr * self.x.T @ g
            return g @ self.W.T

    report = check_gradients(Dense(), np.random.default_rng(1).standard_normal((5, 4)))
    assert report["W"].verdict == "right"
    assert report["x"].verdict == "wrong"
    assert report["x"].cause == "updated_too_early"
