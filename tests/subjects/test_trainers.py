"""Trainers that hold a network, a loss and an optimizer, and return nothing."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2))


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class Linear:
    def __init__(self, rows, columns):
        self.W = Parameter(np.random.default_rng(2).standard_normal((rows, columns)))
        self.b = Parameter(np.zeros((1, columns)))

    def parameters(self):
        return [self.W, self.b]

    def forward(self, x):
        self.x = x
        return x @ self.W.data + self.b.data

    def backward(self, grad):
        self.W.grad += self.x.T @ grad
        self.b.grad += grad.sum(axis=0, keepdims=True)
        return grad @ self.W.data.T


class WithoutLastRow(Linear):
    def backward(self, grad):
        self.W.grad += self.x[:-1].T @ grad[:-1]
        self.b.grad += grad.sum(axis=0, keepdims=True)
        return grad @ self.W.data.T


class Squares:
    def forward(self, predictions, targets):
        self.difference = predictions - targets
        return np.mean(self.difference**2)

    def backward(self):
        return 2 * self.difference / self.difference.size


class SGD:
    def __init__(self, parameters, lr):
        self.parameters, self.lr = parameters, lr

    def step(self):
        for one in self.parameters:
            one.data -= self.lr * one.grad

    def zero_grad(self):
        for one in self.parameters:
            one.grad.fill(0)


class Trainer:
    longest = 0

    def __init__(self, model, epochs=3, batch_size=2):
        self.model, self.optimizer, self.loss_fn = model, SGD(model.parameters(), 0.1), Squares()
        self.epochs, self.batch_size = epochs, batch_size
        self.history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}

    def fit(self, X, Y, X_val=None, Y_val=None):
        rng = np.random.default_rng(0)
        for _ in range(self.epochs):
            order, losses = rng.permutation(len(X)), []
            for start in range(0, len(X), self.batch_size):
                batch = order[start : start + self.batch_size]
                losses.append(self.loss_fn.forward(self.model.forward(X[batch]), Y[batch]))
                self.optimizer.zero_grad()
                self.model.backward(self.loss_fn.backward())
                self.optimizer.step()
            self.history["train_loss"].append(float(np.mean(losses)))
            if X_val is not None:
                self.history["val_loss"].append(self.loss_fn.forward(self.model.forward(X_val), Y_val))
            Trainer.longest = max(Trainer.longest, len(self.history["train_loss"]))
        return self


@pytest.mark.parametrize("of", [lambda trainer: trainer, lambda trainer: trainer.fit], ids=["all", "the method"])
@pytest.mark.parametrize(("layer", "of_weights"), [(Linear, "right"), (WithoutLastRow, "wrong")])
def test_the_steps_of_a_trainer_are_judged_by_its_loss(of, layer, of_weights):
    report = check_gradients(of(Trainer(layer(3, 2))), X, Y)
    assert {entry.name: entry.verdict for entry in report.entries} == {"model.W": of_weights, "model.b": "right"}


def test_what_is_kept_of_each_round_does_not_grow_with_the_check():
    Trainer.longest = 0
    check_gradients(Trainer(Linear(3, 2)), X, Y)
    assert Trainer.longest == 1


class Dense:
    """Keeps its input only if it is told to, and insists on being told to forget it."""

    def __init__(self):
        self.weight, self.bias = np.random.default_rng(3).standard_normal((3, 2)), np.zeros((1, 2))
        self.forget()

    def forget(self):
        self.inp: Any = None

    def __call__(self, x, save_inp=False):
        if save_inp:
            assert self.inp is None, "forget the one before first"
            self.inp = x
        return x @ self.weight + self.bias

    def backward(self, grad_out):
        self.grad = (self.inp.T @ grad_out, grad_out.sum(axis=0))
        return grad_out @ self.weight.T


class Halved(Dense):
    def backward(self, grad_out):
        super().backward(grad_out)
        self.grad = (self.grad[0] / 2, self.grad[1])
        return grad_out @ self.weight.T


@pytest.mark.parametrize(("layer", "of_weights"), [(Dense, "right"), (Halved, "wrong")])
def test_a_layer_may_insist_on_being_told_to_forget_its_input(layer, of_weights):
    report = check_gradients(layer(), X)
    assert {entry.name: entry.verdict for entry in report.entries} == {
        "x": "right",
        "weight": of_weights,
        "bias": "right",
    }
