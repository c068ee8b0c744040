"""Layers whose backward pass has an optimizer step: with a velocity, kept as v, and with none."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3))


class Momentum:
    def __init__(self, beta, v=0.0):
        self.learning_rate, self.beta, self.v, self.start = 0.01, beta, {}, v

    def update(self, name, w, grad):
        self.v[name] = self.beta * self.v.get(name, np.full_like(w, self.start)) - self.learning_rate * grad
        return w + self.v[name]


class Adam(Momentum):
    def update(self, name, w, grad):
        self.v[name] = self.v.get(name, 0.0) + 0.1 * grad**2
        return w - self.learning_rate * grad / (np.sqrt(self.v[name]) + 1e-8)


class Dense:
    def __init__(self, optimizer, wrong=1.0):
        self.W, self.b, self.optimizer, self.wrong = W.copy(), np.zeros(3), optimizer, wrong

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_output):
        dx = grad_output @ self.W.T
        self.W = self.optimizer.update("W", self.W, self.wrong * self.x.T @ grad_output)
        self.b = self.optimizer.update("b", self.b, grad_output.sum(axis=0))
        return dx


@pytest.mark.parametrize("beta", [0.0, 0.9])
@pytest.mark.parametrize("wrong", [1.0, 2.0, -1.0])
def test_a_step_with_a_velocity_of_0_is_the_rate_times_a_gradient(beta, wrong):
    report = check_gradients(Dense(Momentum(beta), wrong), X)
    assert [entry.name for entry in report.entries] == ["x", "W", "b"]
    assert [entry.name for entry in report.entries if entry.verdict != "right"] == ["W"] * (wrong != 1.0)


class Bare:
    """One array and its velocity, so that no other step tells the rate."""

    def __init__(self, wrong):
        self.W, self.v, self.lr, self.wrong = W.copy(), np.zeros_like(W), 0.1, wrong

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, grad_output):
        dx = grad_output @ self.W.T
        self.v = 0.9 * self.v - self.lr * self.wrong * self.x.T @ grad_output
        self.W += self.v
        return dx


@pytest.mark.parametrize("wrong", [1.0, 2.0, 0.5, -1.0])
def test_so_it_is_with_one_array_alone(wrong):
    report = check_gradients(Bare(wrong), X)
    assert report["W"].verdict == ("right" if wrong == 1.0 else "wrong")


@pytest.mark.parametrize("optimizer", [Momentum(0.9, 0.5), Adam(0.0)], ids=["a velocity", "Adam"])
def test_a_step_that_is_no_multiple_of_a_gradient_is_not_judged(optimizer):
    report = check_gradients(Dense(optimizer), X)
    assert report.verdict == "undecided"
    assert "backward changes it by another step each time" in report.problems[0]


def test_a_layer_and_its_optimizer_are_as_they_were():
    layer = Dense(Momentum(0.9))
    check_gradients((layer.forward, layer.backward), X)
    assert layer.optimizer.v == {}
    np.testing.assert_array_equal(layer.W, W)


class Configured:
    def __init__(self, config, velocity):
        self.config, self.velocity = config, velocity

    def update(self, name, w, grad):
        self.velocity[name] = self.config["momentum"] * self.velocity.get(name, 0.0) + self.config["lr"] * grad
        return w - self.velocity[name]


@pytest.mark.parametrize("beta", [0.0, 0.9])
@pytest.mark.parametrize("wrong", [1.0, -1.0])
def test_a_rate_may_be_kept_in_a_dict_of_settings(beta, wrong):
    config = {"lr": 0.05, "momentum": beta}
    report = check_gradients(Dense(Configured(config, {}), wrong), X)
    assert [entry.name for entry in report.entries] == ["x", "W", "b"]
    assert [entry.name for entry in report.entries if entry.verdict != "right"] == ["W"] * (wrong != 1.0)
    assert config == {"lr": 0.05, "momentum": beta}


class KeepsMoments:
    """Parameters, their gradients, and an optimizer's moments, each in a dict under the same names."""

    def __init__(self, wrong=1.0):
        self.params, self.wrong = {"W": W.copy(), "b": np.zeros(3)}, wrong
        self.velocity, self.m = ({key: np.zeros_like(p) for key, p in self.params.items()} for _ in range(2))
        self.grads = {}

    def loss(self, x, y):
        error = x @ self.params["W"] + self.params["b"] - y
        self.grads["W"], self.grads["b"] = self.wrong * x.T @ error, error.sum(axis=0)
        return 0.5 * np.sum(error**2)


@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_gradients_are_those_of_the_parameters_and_not_of_the_moments_beside_them(wrong):
    report = check_gradients(KeepsMoments(wrong), X, np.ones((5, 3)))
    assert [entry.name for entry in report.entries] == ["params['W']", "params['b']"]
    assert [entry.verdict for entry in report.entries] == ["right" if wrong == 1.0 else "wrong", "right"]


class Decays(Dense):
    """Steps with weight decay, written in one of the ways in which people write it."""

    def __init__(self, way, wrong=1.0):
        super().__init__(None, wrong)
        self.way, self.lr, self.l2 = way, 0.1, 0.01

    def backward(self, grad_output):
        dx = grad_output @ self.W.T
        step = self.wrong * self.x.T @ grad_output
        if self.way == "first":
            self.W *= 0.999
        decay = {"first": 0.0, "added": self.l2, "of a square": 2 * self.l2, "of no number": self.l2 / 7}[self.way]
        self.W -= self.lr * (step + decay * self.W)
        self.b -= self.lr * (grad_output.sum(axis=0) + decay * self.b)
        return dx


@pytest.mark.parametrize("way", ["first", "added", "of a square"])
@pytest.mark.parametrize("wrong", [1.0, 2.0])
def test_weight_decay_that_the_code_names_is_not_counted_to_the_gradient(way, wrong):
    report = check_gradients(Decays(way, wrong), X)
    assert [entry.verdict for entry in report.entries] == ["right", "right" if wrong == 1.0 else "wrong", "right"]
    assert wrong != 1.0 or "weight decay is in each step, and not counted to the gradient: " in report.notes[0]


def test_a_multiple_of_the_weights_that_no_number_of_the_code_is_stays_wrong():
    assert check_gradients(Decays("of no number"), X)["W"].verdict == "wrong"


def test_steps_that_tell_no_gradient_are_said_to_be_and_where_to_keep_it():
    class Own:
        def __init__(self):
            self.W, self.m, self.v, self.t = W.copy(), np.zeros_like(W), np.zeros_like(W), 0

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, d, lr=0.01):
            dx, dW = d @ self.W.T, self.x.T @ d
            self.t += 1
            self.m, self.v = 0.9 * self.m + 0.1 * dW, 0.999 * self.v + 0.001 * dW**2
            self.W -= lr * self.m / (1 - 0.9**self.t) / (np.sqrt(self.v / (1 - 0.999**self.t)) + 1e-8)
            return dx

    class Keeping(Own):
        def backward(self, d, lr=0.01):
            self.dW = self.x.T @ d
            return super().backward(d, lr)

    report = check_gradients(Own(), X)
    assert report.verdict == "undecided"
    assert any("W: backward changes it by another step" in text and "self.dW" in text for text in report.problems)
    report = check_gradients(Keeping(), X)
    assert report["W"].verdict == "right"
