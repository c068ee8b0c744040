"""What calls another to train: judged is one step of the function, or the method, that has the loop."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 2))


class Linear:
    factor = 1.0

    def __init__(self):
        self.W, self.b = np.random.default_rng(5).normal(size=(4, 2)), np.zeros(2)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad_output):
        self.dW, self.db = self.factor * self.x.T @ grad_output, grad_output.sum(axis=0)
        return grad_output @ self.W.T

    def fit(self, x, y, epochs=50):
        descend(self, x, y, epochs)


class Twice(Linear):
    factor = 2.0


def descend(net, x, y, epochs=40, lr=0.1):
    losses = []
    for _ in range(epochs):
        difference = net.forward(x) - y
        losses.append(np.mean(difference**2))
        net.backward(2.0 * difference / difference.size)
        net.W -= lr * net.dW
        net.b -= lr * net.db
    return losses


def descend_by_hand(model, x, y, epochs=40, lr=0.1):
    for _ in range(epochs):
        difference = model.predict(x) - y
        model.W -= lr * 2.0 * x.T @ difference / difference.size
        model.b -= lr * 2.0 * difference.mean(axis=0)


class Trainer:
    def __init__(self, net):
        self.net = net

    def train(self, x, y):
        return self.several(x, y)

    def several(self, x, y):
        return descend(self.net, x, y, epochs=30)


class Model:
    def __init__(self):
        self.W, self.b = np.random.default_rng(5).normal(size=(4, 2)), np.zeros(2)

    def predict(self, x):
        return x @ self.W + self.b

    def fit(self, x, y):
        descend_by_hand(self, x, y)


def steps(x, y, w, lr, epochs):
    for _ in range(epochs):
        difference = x @ w - y
        loss = np.sum(difference**2)
        w = w - lr * x.T @ difference
    return w, loss


def iterated(k, a, b, rounds=200):
    u = np.ones(len(a))
    for _ in range(rounds):
        u = a / (k @ (b / (k.T @ u)))
    return u, b / (k.T @ u)


def main_of(kind):
    def main(x, y):
        net = kind()
        losses = descend(net, (x - x.mean(axis=0)) / x.std(axis=0), y)
        return net, losses

    return main


def names_of_its_own(x, y):
    return steps(x, y, np.zeros((4, 2)), 0.1, 30)


def transport(cost, a, b):
    k = np.exp(-cost)
    u, v = iterated(k, a, b)
    plan = u[:, None] * k * v
    return np.sum(plan * (cost + np.log(plan) - 1.0)), plan


def verdicts(report):
    return {check.name.split(".")[-1]: check.verdict for check in report.entries}


def squared(output, targets):
    return np.mean((output - targets) ** 2)


@pytest.mark.parametrize("of", [Trainer, lambda net: Trainer(net).train, lambda net: main_of(type(net))])
def test_a_call_is_followed_to_the_loop(of):
    assert verdicts(check_gradients(of(Linear()), X, Y, loss=squared)) == {"W": "right", "b": "right"}


def test_the_trainer_is_as_it_was():
    trainer = Trainer(Twice())
    before = trainer.net.W.copy()
    report = check_gradients(trainer, X, Y, loss=squared)
    assert verdicts(report) == {"W": "wrong", "b": "right"}
    assert np.array_equal(trainer.net.W, before)
    assert "Trainer.train calls descend, which trains: judged is one step of that" in report.notes


def test_an_object_may_hand_itself_to_what_trains_it():
    report = check_gradients(Model(), X, Y)
    assert verdicts(report) == {"W": "right", "b": "wrong"}  # over the samples alone, as W is over all entries


def test_weights_may_be_made_by_one_function_and_trained_by_another():
    report = check_gradients(names_of_its_own, X, Y)
    assert report["w"].verdict == "wrong"
    assert report["w"].diagnosis is not None
    assert report["w"].diagnosis.cause == "factor"


def test_a_value_with_its_gradient_is_judged_as_that_where_it_iterates():
    cost, a, b = RNG.random((3, 2)), np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.6])
    report = check_gradients(transport, (cost, a, b))
    assert report["cost"].verdict == "right"
