"""Weight decay in functions that return what they learn moved, or move it: it is told, and not counted."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.source.numbers_changed import CONSTANTS, NAMED, changeable_numbers, with_number

rng = np.random.default_rng(5)
X, Y = rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
STRENGTH = 0.02
FACTOR = {"": 1.0}


def parameters():
    return {"W": np.random.default_rng(1).standard_normal((4, 3)), "b": np.array([0.5, -0.25, 0.75])}


def loss_of(params, x, y):
    return np.sum((x @ params["W"] + params["b"] - y) ** 2)


def gradients_of(params, x, y):
    d = 2.0 * (x @ params["W"] + params["b"] - y)
    return {"W": FACTOR[""] * x.T @ d, "b": d.sum(axis=0)}


def returned(params, x, y, lr):
    grads = gradients_of(params, x, y)
    return {k: params[k] - lr * (grads[k] + STRENGTH * params[k]) for k in params}, loss_of(params, x, y)


def over_the_samples(params, x, y, lr, lam=1):
    grads, loss = gradients_of(params, x, y), loss_of(params, x, y)
    for k in params:
        params[k] -= lr * (grads[k] + (lam / len(x) * params[k] if k == "W" else 0.0))
    return loss


def by_a_rate_of_its_own(params, x, y):
    grads = gradients_of(params, x, y)
    return {k: params[k] - 0.1 * (grads[k] + STRENGTH * params[k]) for k in params}, loss_of(params, x, y)


def by_settings(params, x, y, settings):
    grads = gradients_of(params, x, y)
    rate, decay = settings["lr"], settings["weight_decay"]
    return {k: params[k] - rate * (grads[k] + decay * params[k]) for k in params}, loss_of(params, x, y)


def moved(params, x, y, lr=0.1):
    return returned(params, x, y, lr)[0]


def with_settings(step):
    return check_gradients(step, (parameters(), X, Y, {"lr": 0.1, "weight_decay": 0.03}))


def by_itself(step):
    return check_gradients(step, (parameters(), X, Y))


def beside_its_loss(step):
    return check_gradients((loss_of, step), (parameters(), X, Y))


WAYS = [
    (returned, by_itself),
    (over_the_samples, by_itself),
    (by_a_rate_of_its_own, by_itself),
    (by_settings, with_settings),
    (moved, beside_its_loss),
]


@pytest.mark.parametrize(("step", "check"), WAYS)
def test_weight_decay_in_new_values_is_told_and_not_counted(step, check):
    report = check(step)
    assert report.verdict == "right"
    assert any("weight decay is in each step" in note for note in report.notes)


def test_beside_weight_decay_a_mistake_is_found(monkeypatch):
    monkeypatch.setitem(FACTOR, "", 2.0)
    report = by_itself(returned)
    assert (report["params['W']"].verdict, report["params['b']"].verdict) == ("wrong", "right")


@pytest.mark.parametrize("kind", ["object", "own names"])
def test_a_penalty_of_the_loss_that_a_step_counts_twice_is_wrong(kind):
    def step(w, x, y, lr=0.1, reg=0.01):
        e = x @ w - y
        return w - lr * (2.0 * x.T @ e + 2 * reg * w), np.sum(e**2) + 0.5 * reg * np.sum(w**2)

    class Net:
        def __init__(self):
            self.w, self.lr, self.reg = np.ones(2), 0.1, 0.01

        def train_step(self, x, y):
            self.w, loss = step(self.w, x, y, self.lr, self.reg)
            return loss

    def train(x, y, lr=0.1, epochs=10, reg=0.01):
        w = np.zeros(x.shape[1])
        for _ in range(epochs):
            loss = np.sum((x @ w - y) ** 2) + 0.5 * reg * np.sum(w**2)
            w -= lr * (2.0 * x.T @ (x @ w - y) + 2 * reg * w)
        return w, loss

    x, y = X[:, :2], Y[:, 0]
    ways = {"object": lambda: check_gradients(Net(), x, y), "own names": lambda: check_gradients(train, x, y)}
    assert ways[kind]().verdict == "wrong"


def test_a_number_that_means_something_else_in_the_loss_is_not_that_of_the_decay():
    def step(w, x, y, lr=0.1, slope=0.01):
        z = x @ w
        e = np.where(z > 0, z, slope * z) - y
        return w - lr * (2.0 * x.T @ (e * np.where(z > 0, 1.0, slope)) + 0.01 * w), np.sum(e**2)

    assert check_gradients(step, (np.ones(4), X, Y[:, 0])).verdict == "right"


def test_a_function_that_trains_by_names_of_its_own_may_decay_them():
    def train(x, y, lr=0.1, epochs=10, lam=0.01):
        w = np.zeros(x.shape[1])
        for _ in range(epochs):
            loss = np.sum((x @ w - y) ** 2)
            w -= lr * (2.0 * x.T @ (x @ w - y) + lam * w)
        return w, loss

    report = check_gradients(train, X, Y[:, 0])
    assert report.verdict == "right"
    assert any("0.01 of w" in note for note in report.notes)


class Settings:
    def __init__(self):
        self.decay, self.sizes = 0.25, {"scale": 3}

    def value(self, x, power=2):
        return (x * self.decay + self.sizes["scale"] + STRENGTH + 0.125) ** power


def test_numbers_are_changed_wherever_they_are_and_put_back():
    one = Settings()
    assert changeable_numbers(one.value) == [0.02, 0.125, 0.25, 2.0, 3.0]
    values = [one.value(1.0)]
    for number in changeable_numbers(one.value):
        for kind in (NAMED, CONSTANTS):
            with with_number(number, 10.0, kind, one.value):
                values.append(one.value(1.0))
    assert len(set(values)) == 6
    assert (one.value(1.0), one.decay, STRENGTH) == (values[0], 0.25, 0.02)
