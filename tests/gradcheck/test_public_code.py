"""What public code has shown: right gradients that were called wrong, each as the smallest code that shows it."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import CLOSE, RIGHT, WRONG

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

X = np.random.default_rng(0).standard_normal((4, 3))


@pytest.mark.parametrize("wrong", [1.0, 1.5])
def test_the_gradient_of_a_loss_may_have_one_axis_more(wrong):
    def loss(x, gamma):
        return np.sum(np.sin(x * gamma)), (np.cos(x * gamma) * gamma, wrong * np.sum(np.cos(x * gamma) * x, 0)[None])

    report = check_gradients(loss, (X, np.ones(3)))
    assert report.verdict == (RIGHT if wrong == 1.0 else WRONG), report


@pytest.mark.parametrize(("last", "verdict"), [(1e-7, CLOSE), (1e-5, WRONG)])
def test_what_is_as_little_off_elsewhere_is_close_where_terms_cancel(last, verdict):
    # All are off by 1e-7, which is 1e-4 of the last coordinate.
    slope = np.array([1.0, -2.0, 1e-3])
    off = np.array([1e-7, -1e-7, last])
    report = check_gradients((lambda w: slope * w, lambda _, g: g * (slope + off)), np.array([0.4, 0.2, 0.1]))
    assert report.verdict == verdict, report


def test_a_loss_of_probabilities_is_not_looked_at_beyond_1():
    def loss(p, t):
        clipped = np.clip(p, 1e-7, 1 - 1e-7)
        return -np.sum(t * np.log(clipped))

    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    assert check_gradients((loss, lambda p, t: -t / p), p, np.eye(3)[[0, 2]]).verdict == RIGHT


def test_what_a_norm_takes_away_has_the_gradient_0_also_where_rounding_leaves_some():
    def loss(b):
        z = X + b
        return np.sum(np.sin((z - z.mean(axis=0)) / z.std(axis=0)))

    report = check_gradients((loss, lambda _, g: g * np.array([6e-17, 0.0, -3e-17])), np.array([0.5, -0.25, 1.0]))
    assert report.verdict == RIGHT, report


@pytest.mark.parametrize(("share", "verdict"), [(1e-7, CLOSE), (1e-4, WRONG)])
def test_what_is_little_off_is_close_at_a_kink_too(share, verdict):
    x = np.array([0.7, 0.0, -1.3, 0.4])

    def f(x):
        return np.where(x > 0.0, 2.0 * x, x)

    def vjp(x, g):
        return g * np.where(x >= 0.0, 2.0, 1.0) * (1.0 + share)

    assert check_gradients((f, vjp), x).verdict == verdict


def test_numbers_that_are_all_the_same_tell_no_two_mistakes():
    w = np.array([[0.3], [-1.2], [0.8]])
    report = check_gradients(
        (lambda x, w: np.tanh(x @ w), lambda x, w, g: (g * (1 - np.tanh(x @ w) ** 2) @ w.T, np.full_like(w, 0.7))),
        (X, w),
    )
    assert (report["w"].verdict, report["w"].cause) == (WRONG, "unknown"), report


def test_a_layer_of_small_numbers_is_not_taken_for_an_activation_that_they_do_not_reach():
    # hardtanh is x between -1 and 1, and 1 / 6 is the slope of hardsigmoid.
    x, w = 0.1 * np.random.default_rng(0).standard_normal((6, 4)), 0.1 * np.ones((4, 3))
    report = check_gradients((lambda x, w: x @ w, lambda x, w, g: (g @ w.T, x.T @ g / 6)), (x, w))
    assert report["w"].cause in ("factor", "batch_mean_twice"), report


@pytest.mark.parametrize("rate", ["leaning_rate", "learing_rate", "LearnRate"])
def test_a_learning_rate_may_be_misspelt(rate):
    layer: dict[str, object] = {}
    exec(
        f"def __init__(self): self.W = np.full((3, 3), 0.5)\n"
        f"def forward(self, x):\n    self.x = x\n    return x @ self.W\n"
        f"def backward(self, g, {rate}):\n    dx = g @ self.W.T\n    self.W -= {rate} * self.x.T @ g\n    return dx\n",
        {"np": np},
        layer,
    )
    report = check_gradients(type("Layer", (), layer)(), X)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", RIGHT), ("W", RIGHT)], report


def softmax_of_a_column(x, w=None):
    e = np.exp(x if w is None else w @ x)
    return e / e.sum()


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_a_jacobian_may_leave_axes_of_length_1_out_or_have_each_shape_as_one_axis(wrong, verdict):
    def by_x(x):
        s = softmax_of_a_column(x)
        return wrong * (np.diag(s[:, 0]) - s @ s.T)

    def by_w(x, w):
        s = softmax_of_a_column(x, w)
        return wrong * (np.diag(s[:, 0]) - s @ s.T) @ np.kron(np.eye(len(w)), x.T)

    x, w = X[:1].T, X[:, :3]
    assert check_gradients((softmax_of_a_column, by_x), x)["x"].verdict == verdict
    report = check_gradients((softmax_of_a_column, by_w), (x, w))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", verdict)], report


class Logistic:
    """A network whose loss keeps its probabilities away from 0 and 1, and whose gradient is a - y all the same."""

    def __init__(self, factor=1.0):
        self.W, self.factor = np.array([[3.0, -2.0], [1.5, 2.5], [-2.0, 1.0]]), factor

    def forward(self, x):
        return 1 / (1 + np.exp(-x @ self.W))

    def loss(self, x, y):
        a = np.clip(self.forward(x), 1e-7, 1 - 1e-7)
        return -np.mean(np.sum(y * np.log(a) + (1 - y) * np.log(1 - a), axis=1))

    def backward(self, x, y):
        # Where the loss is small the factor is, and shows at a tenth of the input alone.
        factor = self.factor if np.abs(x).max() < 1.0 else 1.0
        self.dW = factor * x.T @ (self.forward(x) - y) / len(x)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, RIGHT), (1.5, WRONG)])
def test_a_network_is_not_wrong_where_its_loss_clips_at_a_point_that_the_check_makes_up(factor, verdict):
    y = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    report = check_gradients(Logistic(factor), 2.0 * X, y)
    assert report.verdict == verdict, report


class Regression:
    """A network as those that an optimizer of vectors trains: all gradients in a row beside those that have shapes."""

    def __init__(self, factor):
        self.W1, self.W2, self.factor = 0.5 * X[:3], X[:3, :1] + 1, factor

    def forward(self, x):
        self.h = np.tanh(x @ self.W1)
        return self.h @ self.W2

    def costFunction(self, x, y):
        return 0.5 * np.sum((y - self.forward(x)) ** 2)

    def costFunctionPrime(self, x, y):
        d = self.forward(x) - y
        return self.factor * x.T @ (d @ self.W2.T * (1 - self.h**2)), self.h.T @ d

    def computeGradients(self, x, y):
        return np.concatenate([d.ravel() for d in self.costFunctionPrime(x, y)])


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_the_gradient_called_as_the_derivative_of_the_loss_is_taken_before_one_that_fits_nothing(factor, verdict):
    report = check_gradients(Regression(factor), X, np.ones((4, 1)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("W1", verdict), ("W2", RIGHT)], report


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_numbers_are_an_argument_each_where_a_function_takes_as_many(wrong, verdict):
    def forward_propagation(x, theta):
        return x * theta

    def backward_propagation(x, theta, dout):
        return dout * theta, wrong * dout * x

    report = check_gradients((forward_propagation, backward_propagation), (2.0, 4))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", RIGHT), ("theta", verdict)], report
    report = check_gradients((np.sin, lambda x, g: wrong * g * np.cos(x)), (2.0, 4))
    assert [(entry.shape, entry.verdict) for entry in report.entries] == [((2,), verdict)], report


def test_what_a_backward_pass_raises_whatever_the_loss_is_told_as_it_is():
    class Net:
        def __init__(self):
            self.W = X[:3]

        def forward(self, x):
            return x @ self.W

        def backward(self, x, y):
            assert x.shape == y.shape == (), "a column, not a number"

    with pytest.raises(AssertionError, match="a column, not a number"):
        check_gradients(Net(), X, np.ones((4, 3)))


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_eta_alone_is_the_gradient_that_a_backward_pass_takes(wrong, verdict):
    class Doubled:
        def forward(self, x):
            return 2.0 * x

        def backward(self, eta):
            return (2.0 * wrong * eta).repeat(1, axis=0)

    assert check_gradients(Doubled(), X).verdict == verdict


@pytest.mark.parametrize("begin", [(1.5, 0.0), (1, 0)])
@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_numbers_that_a_step_makes_arrays_of_are_checked_as_those(wrong, verdict, begin):
    class Scale:
        def __init__(self):
            self.gamma, self.beta = begin

        def forward(self, x):
            self.x = x
            return self.gamma * x + self.beta

        def backward(self, dy, lr=0.1):
            dx = self.gamma * dy
            self.gamma = self.gamma - lr * wrong * (dy * self.x).sum(axis=0)
            self.beta = self.beta - lr * dy.sum(axis=0)
            return dx

    report = check_gradients(Scale(), X)
    found = [(entry.name, entry.verdict) for entry in report.entries]
    assert found == [("x", RIGHT), ("gamma", verdict), ("beta", RIGHT)], report


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_a_parameter_that_begins_as_a_whole_number_is_one(wrong, verdict):
    class Scale:
        def __init__(self):
            self.gamma, self.repeats, self.calls = 1, 2, 0

        def forward(self, x):
            self.x = x
            self.calls += 1
            return np.repeat(self.gamma * x, self.repeats, axis=1)

        def backward(self, dy):
            dy = dy.reshape(len(dy), -1, self.repeats).sum(axis=2)
            self.dgamma = wrong * (dy * self.x).sum(axis=0)
            return self.gamma * dy

    layer = Scale()
    report = check_gradients(layer, X)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", RIGHT), ("gamma", verdict)], report
    assert (layer.gamma, layer.repeats, layer.calls) == (1, 2, 0)
    assert type(layer.gamma) is int


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_a_derivative_may_be_asked_for_by_dx(wrong, verdict):
    def sigmoid(x, dx=False):
        y = 1 / (1 + np.exp(-x))
        return wrong * y * (1 - y) if dx else y

    assert check_gradients(sigmoid, X).verdict == verdict


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_a_function_of_definite_matrices_is_not_looked_at_where_they_are_none(wrong, verdict):
    def root(a):
        values, vectors = np.linalg.eigh((a + a.T) / 2)
        return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T

    def root_vjp(a, g):
        values, vectors = np.linalg.eigh((a + a.T) / 2)
        roots = np.sqrt(np.maximum(values, 0.0))
        inner = vectors.T @ (g + g.T) @ vectors / 2 / (roots[:, None] + roots + 1e-15)
        return wrong * vectors @ inner @ vectors.T

    definite = np.array([[2.0, 0.5, 0.1, 0.0], [0.5, 3.0, 0.2, 0.4], [0.1, 0.2, 2.5, 0.3], [0.0, 0.4, 0.3, 4.0]])
    assert check_gradients((root, root_vjp), definite).verdict == verdict


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_a_pair_that_is_given_its_targets_among_its_arguments_begins_with_its_loss(wrong, verdict):
    def forward(x, y, w):
        p = np.exp(x @ w) / np.exp(x @ w).sum(axis=1, keepdims=True)
        loss, activations = -np.mean(np.log(p[np.arange(len(y)), y])), [x, p]
        return p, loss, activations

    def backward(x, y, w, activations):
        return wrong * x.T @ (activations[1] - np.eye(3)[y]) / len(x) + 0.0 * w

    report = check_gradients((forward, backward), (X, np.array([0, 2, 1, 1]), np.eye(3)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", verdict)], report


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_parameters_that_a_first_forward_pass_puts_in_a_dict_are_there_for_the_check(wrong, verdict):
    class Lazy:
        def __init__(self):
            self.params, self.grads = {}, {}

        def forward(self, x):
            if "W" not in self.params:
                self.params["W"] = np.random.default_rng(0).standard_normal((x.shape[1], 2))
            self.x = x
            return x @ self.params["W"]

        def backward(self, g):
            self.grads["dW"] = wrong * self.x.T @ g
            return g @ self.params["W"].T

    report = check_gradients(Lazy(), X)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", RIGHT), ("params['W']", verdict)], report
