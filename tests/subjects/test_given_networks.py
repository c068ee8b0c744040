"""Functions of a module that train the network which they are given, in a loop of their own."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3))


class Network:
    factor = 1.0

    def __init__(self):
        rng = np.random.default_rng(5)
        self.W1, self.b1, self.W2 = rng.normal(size=(4, 5)), np.zeros(5), rng.normal(size=(5, 3))

    def forward(self, x):
        self.x, self.hidden = x, np.tanh(x @ self.W1 + self.b1)
        return self.hidden @ self.W2

    def backward(self, grad_output):
        self.dW2 = self.hidden.T @ grad_output
        grad_hidden = (grad_output @ self.W2.T) * (1.0 - self.hidden**2)
        self.dW1, self.db1 = self.factor * self.x.T @ grad_hidden, grad_hidden.sum(axis=0)


class Twice(Network):
    factor = 2.0


class Slotted(Network):
    __slots__ = ("unused",)


class Adam:
    def __init__(self, net, lr=0.01):
        self.net, self.lr, self.t = net, lr, 0
        self.m = {name: np.zeros_like(getattr(net, name)) for name in ("W1", "b1", "W2")}
        self.v = {name: np.zeros_like(getattr(net, name)) for name in ("W1", "b1", "W2")}

    def step(self):
        self.t += 1
        for name in self.m:
            grad = getattr(self.net, "d" + name)
            self.m[name] = 0.9 * self.m[name] + 0.1 * grad
            self.v[name] = 0.999 * self.v[name] + 0.001 * grad**2
            weight = getattr(self.net, name)
            weight -= self.lr * self.m[name] / (1 - 0.9**self.t) / (np.sqrt(self.v[name] / (1 - 0.999**self.t)) + 1e-8)


class SquaredError:
    def forward(self, output, targets):
        self.difference = output - targets
        return np.mean(self.difference**2)

    def backward(self):
        return 2.0 * self.difference / self.difference.size


def train(net, X, y, steps=100):
    optimizer = Adam(net)
    for _ in range(steps):
        output = net.forward(X)
        loss = np.mean((output - y) ** 2)
        net.backward(2.0 * (output - y) / y.size)
        optimizer.step()
    return loss


def in_batches(net, X, y, lr=0.1, epochs=10, batch_size=2):
    losses = []
    for _ in range(epochs):
        order = np.random.permutation(len(X))  # noqa: NPY002, as most write it
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            output = net.forward(X[rows])
            losses.append(np.mean((output - y[rows]) ** 2))
            net.backward(2.0 * (output - y[rows]) / output.size)
            net.W1 -= lr * net.dW1
            net.b1 -= lr * net.db1
            net.W2 -= lr * net.dW2
    return losses


def with_all(net, criterion, optimizer, X, y, epochs):
    for epoch in range(epochs):
        loss = criterion.forward(net.forward(X), y)
        net.backward(criterion.backward())
        optimizer.step()
        print(epoch, loss)


def data_first(X, y, net, epochs=50):
    for _ in range(epochs):
        output = net.forward(X)
        net.backward(2.0 * (output - y) / y.size)
        net.W1 -= 0.1 * net.dW1
        net.b1 -= 0.1 * net.db1
        net.W2 -= 0.1 * net.dW2


def checked(function, net):
    given = {with_all: (net, SquaredError(), Adam(net), X, Y, 20), data_first: (X, Y, net)}
    return check_gradients(function, *given.get(function, (net, X, Y)))


@pytest.mark.parametrize(
    ("function", "net", "wrong"),
    [(train, Network(), []), (in_batches, Slotted(), []), (with_all, Network(), []), (data_first, Twice(), ["W1"])],
)
def test_one_step_of_it_is_judged(function, net, wrong, capsys):
    before = {name: value.copy() for name, value in vars(net).items()}
    report = checked(function, net)
    assert {entry.name: entry.verdict for entry in report.entries} == {
        name: "wrong" if name in wrong else "right" for name in ("W1", "b1", "W2")
    }, report
    assert report.target == function.__name__
    assert before.keys() == vars(net).keys()
    assert all(np.array_equal(before[name], value) for name, value in vars(net).items())
    assert not capsys.readouterr().out


class Dense:
    def __init__(self, n_in, n_out):
        self.W, self.b = np.random.default_rng(n_in).normal(size=(n_in, n_out)), np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, grad, learning_rate):
        grad_x = grad @ self.W.T
        self.W -= learning_rate * self.x.T @ grad
        self.b -= learning_rate * grad.sum(axis=0)
        return grad_x


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, grad, _):
        return grad * (1 - self.out**2)


class Mean:
    def forward(self, predictions, targets):
        return np.mean((predictions - targets) ** 2)

    def derivative(self, predictions, targets):
        return 2 * (predictions - targets) / predictions.size


def fit_layers(layers, x, y, loss, learning_rate=0.01, epochs=3):
    for _ in range(epochs):
        out = x
        for layer in layers:
            out = layer.forward(out)
        print(loss.forward(out, y))
        grad = loss.derivative(out, y)
        for layer in reversed(layers):
            grad = layer.backward(grad, learning_rate)


def fit_layers_by_another_gradient(layers, x, y, loss, learning_rate=0.01, epochs=3):
    for _ in range(epochs):
        out = x
        for layer in layers:
            out = layer.forward(out)
        print(loss.forward(out, y))
        grad = loss.derivative(out, y) * out
        for layer in reversed(layers):
            grad = layer.backward(grad, learning_rate)


@pytest.mark.parametrize(("fit", "verdict"), [(fit_layers, "right"), (fit_layers_by_another_gradient, "wrong")])
def test_the_network_may_be_a_list_of_layers_and_its_steps_are_those_of_the_loop(fit, verdict):
    report = check_gradients(fit, [Dense(4, 2), Tanh(), Dense(2, 3)], X, Y, Mean())
    assert report.verdict == verdict
    assert {entry.name for entry in report.entries} == {f"layers[{i}].{name}" for i in (0, 2) for name in "Wb"}
