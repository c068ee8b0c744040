"""Functions that give their derivative if they are told to, decorated ones, and objects that are called or switched."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((5, 4))


calls: dict[object, int] = {}


def logged(function):
    def wrapper(*args, **kwargs):
        calls[wrapper] = calls.get(wrapper, 0) + 1
        return function(*args, **kwargs)

    return wrapper


def sigmoid(x, derivative=False):
    s = 1 / (1 + np.exp(-x))
    return s * (1 - s) if derivative else s


def tanh_of_either(x, deriv=False):
    return 1 - x**2 if deriv else np.tanh(x)


def of_neither(x, deriv=False):
    return 1 - x if deriv else np.tanh(x)


def mse(y_true, y_pred, prime=False):
    return 2 * (y_pred - y_true) / y_pred.size if prime else np.mean((y_pred - y_true) ** 2)


@pytest.mark.parametrize("decorated", [lambda f: f, logged])
def test_a_function_with_a_flag_for_its_derivative_is_a_pair(decorated):
    assert check_gradients(decorated(sigmoid), X).ok
    assert check_gradients(decorated(of_neither), X).verdict == "wrong"
    report = check_gradients(decorated(mse), X, np.ones((5, 4)))
    assert report["y_pred"].verdict == "right"
    assert report.target == "mse"


def tanh_with_a_scale(z, derv=False, scale=False):
    if scale:
        return np.sqrt(1 / scale)
    return 1 - z**2 if derv else np.tanh(z)


@pytest.mark.parametrize("function", [tanh_of_either, tanh_with_a_scale])
def test_a_flagged_derivative_that_is_right_of_the_output_alone_is_not_decided(function):
    report = check_gradients(function, X)  # tanh_of_either(tanh_of_either(x), True), as it is called by many
    assert report.verdict == "undecided"
    assert "right if it is then called with its output" in report.problems[0]


class Unit:
    """Its derivative comes from its own method, by a flag."""

    def forward(self, x, derivative=False):
        return np.cos(x) if derivative else np.sin(x)


def test_so_is_a_method_with_such_a_flag():
    assert check_gradients(Unit(), X).ok


class Called:
    """It keeps its input only where it is called."""

    def __init__(self, wrong=1.0):
        self.W, self.wrong = np.random.default_rng(1).standard_normal((4, 3)), wrong

    def __call__(self, x):
        self.x = x
        return self.forward(x)

    def forward(self, x):
        return x @ self.W

    def backward(self, grad_output):
        self.dW = self.wrong * self.x.T @ grad_output
        return grad_output @ self.W.T


def test_what_only_a_call_keeps_is_there_for_backward():
    assert check_gradients(Called(), X).ok
    assert check_gradients(Called(3.0), X)["W"].verdict == "wrong"


class Centred:
    """Its backward pass is that of training."""

    def __init__(self, wrong=1.0):
        self._is_training, self.mean, self.wrong = False, np.zeros(4), wrong

    def forward(self, x):
        return x - (x.mean(axis=0) if self._is_training else self.mean)

    def backward(self, grad_output):
        return self.wrong * (grad_output - grad_output.mean(axis=0))


def test_an_object_that_is_not_in_training_is_put_there_if_its_gradients_are_those_of_training():
    layer = Centred()
    report = check_gradients(layer, X)
    assert report["x"].verdict == "right"
    assert any("not in training" in note for note in report.notes)
    assert layer._is_training is False
    assert check_gradients(Centred(2.0), X)["x"].verdict == "wrong"


def test_one_whose_gradients_are_those_of_use_stays_as_it_is():
    class Scaled:
        def __init__(self):
            self.training = False

        def forward(self, x):
            return (3.0 if self.training else 2.0) * x

        def backward(self, grad_output):
            return 2.0 * grad_output

    assert check_gradients(Scaled(), X).ok


class Built:
    """It makes its weights when it is told the shape of its input."""

    def __init__(self, width, wrong=1.0):
        self.width, self.wrong, self.params = width, wrong, {}

    def setup(self, shape):
        self.params["W"] = np.full((shape[1], self.width), 0.5)

    def forward(self, x):
        self.x = x
        return x @ self.params["W"]

    def backward(self, grad_output):
        self.grads = {"W": self.wrong * self.x.T @ grad_output}
        return grad_output @ self.params["W"].T


def test_an_object_that_waits_for_a_shape_is_told_it():
    assert check_gradients(Built(3), X).ok
    assert check_gradients(Built(3, 2.0), X)["params['W']"].verdict == "wrong"


def test_a_loss_object_that_is_called_may_return_its_gradient_first():
    class Loss:
        def __call__(self, y_pred, y):
            return (y_pred - y) / len(y), 0.5 * np.sum((y_pred - y) ** 2) / len(y)

    assert check_gradients(Loss(), X, np.ones((5, 4))).ok


@pytest.mark.parametrize(("slope", "verdict"), [(2.0, "right"), (1.0, "wrong")])
def test_a_derivative_that_is_one_number_holds_for_every_entry(slope, verdict):
    assert check_gradients((lambda x: 2.0 * x, lambda _: slope), X).verdict == verdict
