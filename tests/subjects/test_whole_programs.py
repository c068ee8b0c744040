"""Programs as people write them whole: a trainer with parameters that keep gradients, a sequence, factors."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import Hints, as_subject
from numpy_nn.subjects.parameters.code import CodeSubject

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2))
off = 1.0  # by how much one gradient is wrong


@pytest.fixture(params=[1.0, 2.0], ids=["right", "wrong"])
def of_one(request, monkeypatch):
    """The verdict on the gradient that is off, or is not."""
    monkeypatch.setitem(globals(), "off", request.param)
    return "right" if request.param == 1.0 else "wrong"


def verdicts(report):
    return {entry.name: entry.verdict for entry in report.entries}


@dataclass
class Parameter:
    data: Any
    grad: Any = field(init=False)

    def __post_init__(self):
        self.grad = np.zeros_like(self.data)

    def zero_grad(self):
        self.grad.fill(0.0)


class Linear:
    def __init__(self):
        self.weight, self.bias = Parameter(RNG.standard_normal((3, 2))), Parameter(np.zeros(2))

    def forward(self, x):
        self.x = x
        return x @ self.weight.data + self.bias.data

    def backward(self, grad):
        self.weight.grad += self.x.T @ grad
        self.bias.grad += off * grad.sum(axis=0)


class MSELoss:
    def __call__(self, prediction, target):
        self.difference = prediction - target
        return np.mean(self.difference**2)

    def backward(self):
        return 2 * self.difference / self.difference.size


class Trainer:
    def __init__(self):
        self.model, self.loss, self.lr = Linear(), MSELoss(), 0.1

    def train_step(self, x, y):
        parameters = [self.model.weight, self.model.bias]
        for one in parameters:
            one.zero_grad()
        value = self.loss(self.model.forward(x), y)
        self.model.backward(self.loss.backward())
        for one in parameters:
            one.data -= self.lr * one.grad
        return value


@pytest.mark.parametrize("of", [lambda trainer: trainer, lambda trainer: trainer.train_step], ids=["all", "the step"])
def test_a_step_is_not_judged_by_gradients_that_it_has_put_back(of, of_one):
    report = check_gradients(of(Trainer()), X, Y)
    assert verdicts(report) == {"model.weight": "right", "model.bias": of_one}


class Recurrent:
    """Whose loss is returned with the state at the end, and whose gradients are kept."""

    def __init__(self):
        self.params = {"W": RNG.standard_normal((4, 4)), "U": RNG.standard_normal((4, 3)), "V": RNG.standard_normal(4)}
        self.grads = {name: np.zeros_like(value) for name, value in self.params.items()}

    def forward_backward(self, inputs, targets, h_prev):
        h, loss = {-1: h_prev}, 0.0
        for t, x in enumerate(inputs):
            h[t] = np.tanh(self.params["W"] @ h[t - 1] + self.params["U"] @ x)
            loss += 0.5 * (self.params["V"] @ h[t] - targets[t]) ** 2
        for grad in self.grads.values():
            grad.fill(0.0)
        dh = np.zeros(4)
        for t in reversed(range(len(inputs))):
            error = self.params["V"] @ h[t] - targets[t]
            self.grads["V"] += off * error * h[t]
            da = (dh + error * self.params["V"]) * (1 - h[t] ** 2)
            self.grads["W"] += np.outer(da, h[t - 1])
            self.grads["U"] += np.outer(da, inputs[t])
            dh = self.params["W"].T @ da
        return loss, h[len(inputs) - 1]


@pytest.mark.parametrize("h", [np.zeros(4), RNG.standard_normal(4)], ids=["zeros", "any"])
def test_the_state_that_a_loss_is_returned_with_is_no_gradient_of_the_one_before(h, of_one):
    report = check_gradients(Recurrent().forward_backward, (X, Y[:, 0], h))
    assert verdicts(report) == {"params['W']": "right", "params['U']": "right", "params['V']": of_one}


class QNetwork:
    def __init__(self):
        self.w, self.b, self.lr = RNG.standard_normal((3, 2)), np.zeros(2), 0.1

    def predict(self, states):
        return states @ self.w + self.b

    def update(self, states, actions, targets):
        rows = np.arange(len(actions))
        error = self.predict(states)[rows, actions] - targets
        delta = np.zeros((len(actions), 2))
        delta[rows, actions] = error / len(actions)
        self.w -= self.lr * states.T @ delta
        self.b -= self.lr * off * delta.sum(axis=0)
        return 0.5 * np.mean(error**2)


def test_a_step_may_take_more_than_the_forward_pass(of_one):
    report = check_gradients(QNetwork(), (X, np.array([0, 1, 1, 0, 1])), Y[:, 0])
    assert verdicts(report) == {"w": "right", "b": of_one}


class Factors:
    def __init__(self, ratings):
        self.R, self.P, self.Q = ratings, RNG.standard_normal((5, 2)), RNG.standard_normal((4, 2))

    def loss(self):
        return 0.5 * np.sum(((self.R - self.P @ self.Q.T) * (self.R > 0)) ** 2)

    def gradients(self):
        error = (self.R - self.P @ self.Q.T) * (self.R > 0)
        return -error @ self.Q, -off * error.T @ self.P


def test_ratings_that_are_whole_numbers_are_data(of_one):
    report = check_gradients(Factors(RNG.integers(0, 6, (5, 4))))
    assert verdicts(report) == {"P": "right", "Q": of_one}


class Critic:
    def __init__(self):
        self.w, self.dw = RNG.standard_normal(3), np.zeros(3)

    def forward(self, x):
        return x @ self.w


def critic_loss_and_grads(critic, real, fake):
    loss = np.mean(critic.forward(fake)) - np.mean(np.tanh(critic.forward(real)))
    of_real = ((1 - np.tanh(critic.forward(real)) ** 2) @ real) / len(real)
    return loss, {"w": fake.mean(axis=0) - off * of_real}


def test_what_is_given_beside_an_object_with_all_gradients_is_data(of_one):
    report = check_gradients(critic_loss_and_grads, (Critic(), X, X + 1.0))
    assert verdicts(report) == {"critic.w": of_one}
    assert not report.problems


class Built:
    """A layer that makes its weights in the first forward pass."""

    def __init__(self, slope):
        self.built, self.slope = False, slope

    def forward(self, x):
        if not self.built:
            self.kernel, self.built = RNG.standard_normal((x.shape[1], 2)), True
        self.x, self.out = x, np.tanh(x @ self.kernel)
        return self.out

    def backward(self, grad):
        grad = grad * (1 - self.out**self.slope)
        self.grads = [self.x.T @ grad]
        return grad @ self.kernel.T


class Model:
    def __init__(self, slope):
        self.layers, self.lr = [Built(slope), Built(2)], 0.1

    def __call__(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def train_on_batch(self, x, y):
        difference = self(x) - y
        grad = 2 * difference / difference.size
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        for layer in self.layers:
            layer.kernel -= self.lr * layer.grads[0]
        return np.mean(difference**2)


@pytest.mark.parametrize(("slope", "verdict"), [(2, "right"), (1, "wrong")])
def test_weights_that_a_first_pass_makes_are_made_where_they_are_asked_for(slope, verdict):
    expected = {"layers[0].kernel": verdict, "layers[1].kernel": "right"}
    assert verdicts(check_gradients(Model(slope), X, Y)) == expected


class Unused:
    """With a gradient of what its output does not depend on."""

    def __init__(self):
        self.W = RNG.standard_normal((3, 2))

    def forward(self, x):
        return 2 * x

    def backward(self, grad):
        self.dW = np.ones((3, 2))
        return 2 * grad


def test_what_the_output_does_not_depend_on_is_no_parameter_by_which_a_way_is_preferred():
    subject = as_subject(Unused(), (X,), None, Hints())
    assert isinstance(subject, CodeSubject)
    assert "W" in subject.arrays
    assert not subject.has_parameters


class Regularised:
    """Whose loss has a penalty, and a name that tells nothing, or that it is a loss."""

    def __init__(self):
        self.w, self.b, self.l2 = 0.1 * RNG.standard_normal(3), np.zeros(1), 0.01

    def predict_proba(self, X):
        return 1 / (1 + np.exp(-(X @ self.w + self.b)))

    def monitored(self, X, y):
        p = self.predict_proba(X)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)) + 0.5 * self.l2 * self.w @ self.w

    def grad(self, X, y):
        error = self.predict_proba(X) - y
        return X.T @ error / len(y) + self.l2 * self.w, error.mean(keepdims=True)


class Named(Regularised):
    def logloss(self, X, y):
        return self.monitored(X, y)


@pytest.mark.parametrize(("kind", "verdict"), [(Regularised, "undecided"), (Named, "right")])
def test_gradients_that_are_a_usual_loss_in_part_are_not_wrong_where_another_may_be_meant(kind, verdict):
    assert check_gradients(kind(), X, np.array([0.0, 1.0, 1.0, 0.0, 1.0])).verdict == verdict
