"""Networks whose parts begin a step, and those with several outputs."""

from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.results import are_alike_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 4))


class Adding:
    """A layer that adds up its gradients."""

    def __init__(self, fan_in, fan_out, wrong=1.0):
        self.W, self.wrong = SimpleNamespace(value=RNG.standard_normal((fan_in, fan_out))), wrong
        self.W.grad = np.zeros((fan_in, fan_out))

    def forward(self, x):
        self.x = x
        return x @ self.W.value

    def backward(self, grad_output):
        self.W.grad += self.wrong * self.x.T @ grad_output
        return grad_output @ self.W.value.T


class Zeroing(Adding):
    def zero_grad(self):
        self.W.grad[...] = 0


class Optimizer:
    def __init__(self, parameters):
        self.parameters = parameters

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad[...] = 0


class Network:
    def __init__(self, *layers, optimizer=None):
        self.layers, self.optimizer = layers, optimizer

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad_output):
        for layer in self.layers[::-1]:
            grad_output = layer.backward(grad_output)
        return grad_output


def with_optimizer(*layers):
    return Network(*layers, optimizer=Optimizer([layer.W for layer in layers]))


@pytest.mark.parametrize(
    ("network", "kind"),
    [(Network, Zeroing), (lambda *layers: list(layers), Zeroing), (with_optimizer, Adding)],
    ids=["layers", "a list", "an optimizer"],
)
@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_what_a_network_holds_is_zeroed_before_each_step_where_it_zeroes_nothing_itself(network, kind, wrong):
    report = check_gradients(network(kind(4, 3), kind(3, 2, wrong)), X)
    assert [entry.name for entry in report.entries] == ["x", "layers[0].W", "layers[1].W"]
    assert [entry.name for entry in report.entries if entry.verdict != "right"] == ["layers[1].W"] * (wrong != 1.0)


def test_what_nothing_zeroes_is_still_added_up():
    report = check_gradients(Network(Adding(4, 3)), X)
    assert "added to that of the call before" in str(report)


class TwoHeads:
    def __init__(self, second):
        self.W, self.A, self.B = (RNG.standard_normal(shape) for shape in ((4, 3), (3, 2), (3, 1)))
        self.second = second

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W)
        return self.h @ self.A, self.h @ self.B

    def backward(self, ga, gb):
        self.dA, self.dB = self.h.T @ ga, self.h.T @ gb
        dz = (ga @ self.A.T + self.second * gb @ self.B.T) * (1 - self.h**2)
        self.dW = self.x.T @ dz
        return dz @ self.W.T


@pytest.mark.parametrize("second", [1.0, 0.0])
def test_what_is_called_ga_and_gb_are_the_gradients_of_both_outputs(second):
    report = check_gradients(TwoHeads(second), X)
    assert [entry.name for entry in report.entries] == ["x", "W", "A", "B"]
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ["x", "W"] * (second == 0.0)


def test_names_that_differ_in_one_letter_are_those_of_several_gradients():
    assert are_alike_gradients(["ga", "gb"])
    assert are_alike_gradients(["d_1", "d_2", "d_3"])
    assert not any(map(are_alike_gradients, (["g"], ["ga", "db"], ["dy", "x"], ["grad", "gx"])))


class Squares:
    def __init__(self, factor):
        self.factor = factor

    def loss(self, predicted, actual):
        return np.sum((predicted - actual) ** 2)

    def grad(self, predicted, actual):
        return self.factor * (predicted - actual)


def squares(actual, predicted):
    return np.sum((predicted - actual) ** 2)


def squares_prime(actual, predicted):
    return 2.0 * (predicted - actual)


class Held:
    """A network whose backward pass wants the gradient of the loss that it holds."""

    def __init__(self, loss_fn, factor=1.0):
        self.W, self.loss_fn, self.factor = RNG.standard_normal((4, 3)), loss_fn, factor

    def forward(self, x):
        self.x, self.h = x, np.tanh(x @ self.W)
        return self.h

    def backward(self, grad):
        dz = grad * (1 - self.h**2)
        self.dW = self.factor * self.x.T @ dz
        return dz @ self.W.T


def test_backward_gets_the_gradient_that_the_object_of_the_loss_or_the_function_beside_it_gives():
    targets = RNG.standard_normal((5, 3))
    assert check_gradients(Held(Squares(2.0)), X, targets).verdict == "right"
    assert check_gradients(Held(squares), X, targets).verdict == "right"
    assert [entry.verdict for entry in check_gradients(Held(squares, 2.0), X, targets).entries] == ["right", "wrong"]
    report = check_gradients(Held(Squares(1.0)), X, targets)
    assert [entry.verdict for entry in report.entries] == ["wrong", "wrong"]


class Weight:
    def __init__(self, v):
        self.v, self.g = v, np.zeros_like(v)

    def zero(self):
        self.g[:] = 0.0


class OfWeights:
    def __init__(self):
        self.w = Weight(RNG.standard_normal((4, 3)))

    def forward(self, x):
        self.x = x
        return x @ self.w.v

    def backward(self, grad):
        self.w.g += self.x.T @ grad
        return grad @ self.w.v.T


def test_a_parameter_may_say_zero_for_its_gradient_to_begin_anew():
    assert check_gradients(OfWeights(), X).verdict == "right"


class Quadratic:
    @staticmethod
    def fn(a, y):
        return 0.5 * np.sum((a - y) ** 2)

    @staticmethod
    def delta(a, y):
        return (a - y) * a * (1 - a)


class OfACost:
    """A network that keeps the class of its cost, and may leave out the derivative of its activation."""

    def __init__(self, *, activated=True, cost=Quadratic):
        self.W, self.cost, self.activated = RNG.standard_normal((4, 3)), cost, activated

    def feedforward(self, x):
        return 1 / (1 + np.exp(-x @ self.W))

    def backprop(self, x, y):
        a = self.feedforward(x)
        return x.T @ (self.cost.delta(a, y) if self.activated else a - y)


def test_the_cost_that_a_network_keeps_as_a_class_is_the_one_by_which_it_is_judged():
    targets = (RNG.random((5, 3)) > 0.5) * 1.0
    assert check_gradients(OfACost(), X, targets).verdict == "right"
    assert check_gradients(OfACost(activated=False), X, targets).verdict == "wrong"
