"""Python's numbers among the arguments are learned where their gradients are returned, and settings elsewhere."""

import math

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X, Y = np.random.default_rng(0).standard_normal((6, 3)), np.arange(6.0)
W = np.array([0.3, -1.2, 0.7])


def verdicts(report):
    return {entry.name: entry.verdict for entry in report.entries}


def unnamed(share):
    def loss(w, b, X, y, lam=0.1):
        r = X @ w + b - y
        return np.mean(r**2) + lam * w @ w, 2 * X.T @ r / len(y) + 2 * lam * w, share * np.mean(r)

    return loss


def named(share):
    def loss(X, y, lam, w, b):
        r = X @ w + b - y
        dw, db = 2 * X.T @ r / len(y) + 2 * lam * w, share * np.mean(r)
        return {"dw": dw, "db": db}, np.mean(r**2) + lam * w @ w

    return loss


@pytest.mark.parametrize("b", [0.5, 0.0, 0, np.float64(0.5)])
def test_a_bias_that_is_a_number_is_checked_as_an_array_is(b):
    for loss, x in ((unnamed, (W, b, X, Y)), (named, (X, Y, 0.1, W, b))):
        right, wrong = check_gradients(loss(2.0), x), check_gradients(loss(1.0), x)
        assert verdicts(right) == {"w": "right", "b": "right"}
        assert right.verdict == "right"
        assert verdicts(wrong) == {"w": "right", "b": "wrong"}


def test_numbers_alone_beside_data_are_checked_and_handed_on_as_numbers():
    def line(w, b, xs, ys):
        residuals = [float(w) * x + b - y for x, y in zip(xs, ys, strict=True)]
        assert isinstance(b, float)
        dw = sum(2 * r * x for r, x in zip(residuals, xs, strict=True))
        return math.fsum(r * r for r in residuals), dw, 2 * sum(residuals)

    for xs in ([1.0, 2.0, 4.0], [1, 2, 4], np.array([1.0, 2.0, 4.0])):
        assert verdicts(check_gradients(line, (0.5, -0.2, xs, [1, 0, 2]))) == {"w": "right", "b": "right"}


@pytest.mark.parametrize("share", [1.0, 2.0])
def test_numbers_in_a_dict_of_parameters_are_checked(share):
    def loss(params, X, y):
        r = X @ params["w"] + params["b"] - y
        return 0.5 * np.mean(r**2), {"w": X.T @ r / len(y), "b": share * r.mean()}

    for b in (0.5, 0):
        expected = {"params['w']": "right", "params['b']": "right" if share == 1.0 else "wrong"}
        assert verdicts(check_gradients(loss, ({"w": W, "b": b}, X, Y))) == expected


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "right"), (2.0, "wrong"), (0.0, "wrong")])
def test_a_slope_that_both_passes_have_by_default_is_checked_and_moved_in_both(share, verdict):
    def prelu(x, a=0.25):
        return np.where(x > 0, x, a * x)

    def prelu_backward(dout, x, a=0.25):
        return dout * np.where(x > 0, 1, a), share * np.sum(dout * np.minimum(x, 0))

    for x in (X, (X, 0.3)):
        assert verdicts(check_gradients((prelu, prelu_backward), x)) == {"x": "right", "a": verdict}


def test_a_number_that_is_returned_beside_the_gradients_makes_no_setting_learned():
    def loss(w, X, y, lam):
        r = X @ w - y
        accuracy = np.mean(np.abs(r) < 1)
        return r @ r + lam * w @ w, 2 * X.T @ r + 2 * lam * w, accuracy

    assert verdicts(check_gradients(loss, (W, X, Y, 0.1))) == {"w": "right"}


def test_a_tuple_of_numbers_is_an_array_and_lists_of_different_lengths_are_handed_on():
    def wave(p, x):
        a, k, c = p
        return a * np.sin(k * x) + c

    def wave_grad(p, x, g):
        a, k, _ = p
        return [np.sum(g * np.sin(k * x)), np.sum(g * a * x * np.cos(k * x)), np.sum(g)]

    assert verdicts(check_gradients((wave, wave_grad), ((0.7, 1.1, 0.3), Y))) == {"p": "right"}
    groups = [[0], [1, 2]]
    report = check_gradients(
        (
            lambda w, groups: sum(np.linalg.norm(w[g]) for g in groups),
            lambda w, groups: np.concatenate([w[g] / np.linalg.norm(w[g]) for g in groups]),
        ),
        (W, groups),
    )
    assert report.verdict == "right"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_jacobian_with_a_column_for_each_number_is_checked(factor, verdict):
    def decay(t, a, k, c):
        return a * np.exp(-k * t) + c

    def columns(t, a, k, c):
        return np.stack([np.exp(-k * t), -factor * a * t * np.exp(-k * t), c * 0 + np.ones_like(t)], axis=1)

    report = check_gradients((decay, columns), (np.arange(5.0), 1.2, 0.7, 0.3))
    assert verdicts(report) == {"a": "right", "k": verdict, "c": "right"}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_number_before_data_has_the_only_gradient(factor, verdict):
    def loss(theta, x, y):
        return np.mean((theta * x - y) ** 2)

    def gradient(theta, x, y):
        return factor * 2 * np.mean((theta * x - y) * x)

    def both(theta, x, y):
        return loss(theta, x, y), gradient(theta, x, y)

    x = np.linspace(-1.0, 1.0, 6)
    for target in ((loss, gradient), both):
        report = check_gradients(target, (0.3, x, Y))
        assert report.verdict == verdict or (report.verdict, verdict) == ("undecided", "wrong")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_vector_has_the_gradients_of_the_numbers_before_data(factor, verdict):
    def fit(mu, sigma, x):
        return 0.5 * np.sum(((x - mu) / sigma) ** 2) + len(x) * np.log(sigma)

    def gradient(mu, sigma, x):
        return np.array([-np.sum(x - mu) / sigma**2, len(x) / sigma - factor * np.sum((x - mu) ** 2) / sigma**3])

    for x in (Y, Y[:2]):
        assert verdicts(check_gradients((fit, gradient), (0.3, 1.2, x))) == {"mu": "right", "sigma": verdict}


class Neuron:
    """With a bias that is one number, and of which the gradient may be left out."""

    def __init__(self, bias, *, learned=True, **settings):
        self.weights, self.bias, self.learned = W.copy(), bias, learned
        vars(self).update(settings)

    def forward(self, x):
        self.x = x
        return x @ self.weights + self.bias * getattr(self, "scale", 1.0)

    def backward(self, grad):
        self.dweights = self.x.T @ grad
        if self.learned:
            self.dbias = grad.sum() * getattr(self, "scale", 1.0)
        return np.outer(grad, self.weights)


@pytest.mark.parametrize("bias", [0.5, 0.0, 0, 2])
def test_a_bias_that_is_a_number_and_has_no_gradient_beside_weights_is_told(bias):
    assert check_gradients(Neuron(bias), X)["bias"].verdict == "right"
    report = check_gradients(Neuron(bias, learned=False), X)
    assert report.verdict == "undecided"
    assert "no gradient was found of bias" in report.problems[0]
    assert check_gradients(Neuron(bias, learned=False), X, constants=["bias"]).verdict == "right"


def test_a_number_with_another_name_is_a_setting_and_one_that_has_to_be_whole_stays_so():
    assert check_gradients(Neuron(0.5, scale=0.3), X).verdict == "right"

    class Shifted(Neuron):
        def forward(self, x):
            self.x = x
            return np.roll(x @ self.weights, range(self.bias + 1)[-1])

        def backward(self, grad):
            return Neuron.backward(self, np.roll(grad, -self.bias))

    assert check_gradients(Shifted(1, learned=False), X).verdict == "right"


class Normalised:
    """Of one scale and one shift for all, of which either may have no gradient."""

    def __init__(self, *learned):
        self.gamma, self.beta, self.eps, self.learned = 1.3, 0.2, 1e-3, learned

    def forward(self, x):
        self.xhat = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + self.eps)
        self.r = self.xhat / x
        return self.gamma * self.xhat + self.beta

    def backward(self, grad):
        if "gamma" in self.learned:
            self.dgamma = (grad * self.xhat).sum()
        if "beta" in self.learned:
            self.dbeta = grad.sum()
        g = self.gamma * grad
        return self.r * (g - self.xhat * (g * self.xhat).mean(axis=1, keepdims=True))


def test_one_of_two_numbers_that_are_learned_together_is_told_and_a_setting_is_not():
    assert check_gradients(Normalised("gamma", "beta"), X).verdict == "right"
    for learned, lacking in (("gamma", "beta"), ("beta", "gamma")):
        report = check_gradients(Normalised(learned), X)
        assert report.verdict == "undecided"
        assert f"no gradient was found of {lacking};" in report.problems[0]


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_gradients_of_a_vector_and_of_a_number_may_come_together_from_a_function(factor, verdict):
    def loss(w, b, x, y):
        return np.mean((x @ w + b - y) ** 2)

    def gradients(w, b, x, y):
        error = 2 * (x @ w + b - y) / len(y)
        return x.T @ error, factor * error.sum()

    assert check_gradients((loss, gradients), (W, 0.2, X, Y))["b"].verdict == verdict


class Steps:
    """A step of training that updates a bias that is a number, and tells its loss."""

    def __init__(self, told, factor=1.0):
        self.weights, self.bias, self.lr, self.factor, self.told = W.copy(), 0.1, 0.05, factor, told

    def predict(self, x):
        return x @ self.weights + self.bias

    def train_step(self, x, y):
        error = self.predict(x) - y
        self.weights = self.weights - self.lr * 2 * x.T @ error / len(y)
        self.bias = self.bias - self.lr * self.factor * 2 * error.mean()
        return self.told(np.mean(error**2))


@pytest.mark.parametrize("told", [float, lambda loss: (loss, 0.5), lambda loss: {"loss": loss}])
def test_the_loss_that_a_step_returns_is_no_gradient_of_the_bias_that_it_moves(told):
    assert check_gradients(Steps(told), X, Y).verdict == "right"
    assert check_gradients(Steps(told, 0.3), X, Y).verdict == "wrong"


class ScaleNorm:
    """x g / |x|, of which g may have a gradient."""

    def __init__(self, told=False):
        self.g, self.told = 1.3, told

    def forward(self, x):
        self.x, self.norm = x, np.sqrt((x**2).sum(axis=1, keepdims=True))
        return self.g * x / self.norm

    def backward(self, d):
        unit = self.x / self.norm
        if self.told:
            self.dg = float(np.sum(d * unit))
        return self.g * (d - unit * (d * unit).sum(axis=1, keepdims=True)) / self.norm


def test_a_number_that_is_taken_for_a_setting_is_named():
    assert "numbers without a gradient, taken for settings: g" in check_gradients(ScaleNorm(), X).notes
    report = check_gradients(ScaleNorm(told=True), X)
    assert report["g"].verdict == "right"
    assert not any("settings" in note for note in report.notes)


class Affine:
    """An activation with two numbers, as a layer keeps it."""

    def __init__(self):
        self.slope, self.intercept = 1.5, 0.25


class WithAffine:
    def __init__(self):
        self.W, self.b, self.activation = np.ones((3, 2)), np.zeros(2), Affine()

    def forward(self, x):
        self.x = x
        return self.activation.slope * (x @ self.W + self.b) + self.activation.intercept

    def backward(self, d):
        d = self.activation.slope * d
        self.dW, self.db = self.x.T @ d, d.sum(axis=0)
        return d @ self.W.T


def test_numbers_of_an_object_inside_go_with_what_that_has_alone():
    report = check_gradients(WithAffine(), X)
    assert report.verdict == "right"
    assert any("activation.intercept" in note and "settings" in note for note in report.notes)


class ReturnsWhatItSteps:
    def __init__(self, divisor):
        self.w, self.b, self.lr, self.divisor = np.array([0.5, -1.0, 2.0]), 0.0, 0.1, divisor

    def forward(self, x):
        self.x, self.o = x, np.tanh(x @ self.w + self.b)
        return self.o

    def backward(self, grad):
        d = grad * (1.0 - self.o**2)
        dw, db = self.x.T @ d, d.sum()
        self.w, self.b = self.w - self.lr * dw, self.b - self.lr * db
        return dw, db / self.divisor


@pytest.mark.parametrize(("divisor", "verdict"), [(1, "right"), (5, "wrong")])
def test_a_number_that_is_returned_beside_a_gradient_is_one_too(divisor, verdict):
    x = np.random.default_rng(0).standard_normal((5, 3))
    assert check_gradients(ReturnsWhatItSteps(divisor), x).verdict == verdict
