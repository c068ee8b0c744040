"""Forms of scripts and notebooks: functions whose parameters and gradients are names around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.proof.forms.draws import form, sigmoid, softmax

# Bound by the forms, as a script binds them.
W: Any
b: Any
W1: Any
b1: Any
W2: Any
b2: Any
Wxh: Any
Whh: Any
Why: Any
X: Any
H: Any
A: Any
dW1: Any
db1: Any
dW2: Any
db2: Any
lr: Any
learning_rate: Any


@form
def parameters_and_gradients_are_globals(d, wrong):
    global W1, b1, W2, b2
    W1, b1, W2, b2 = d.array(4, 6), d.array(6), d.array(6, 3), d.array(3)

    def forward(x):
        global X, H
        X, H = x, np.tanh(x @ W1 + b1)
        return H @ W2 + b2

    def backward(dout):
        global dW1, db1, dW2, db2
        dW2, db2 = wrong * H.T @ dout, dout.sum(axis=0)
        dH = dout @ W2.T * (1 - H**2)
        dW1, db1 = X.T @ dH, dH.sum(axis=0)
        return dH @ W1.T

    return ((forward, backward), d.array(5, 4)), {}, "W2"


@form
def globals_with_the_gradients_returned(d, wrong):
    global W1, b1, W2, b2
    W1, b1, W2, b2 = d.fixed(4, 6), 0.1 * d.fixed(1, 6), d.fixed(6, 3), 0.1 * d.fixed(1, 3)

    def forward(X):
        Z1 = X @ W1 + b1
        A1 = np.tanh(Z1)
        Z2 = A1 @ W2 + b2
        return Z1, A1, Z2, softmax(Z2)

    def backward(X, Y, Z1, A1, Z2, A2):  # noqa: ARG001, all that forward returned is handed on
        dZ2 = (A2 - Y) / len(X)
        dW2, db2 = A1.T @ dZ2, dZ2.sum(axis=0, keepdims=True)
        dZ1 = dZ2 @ W2.T * (1 - np.tanh(Z1) ** 2)
        dW1, db1 = wrong * X.T @ dZ1, dZ1.sum(axis=0, keepdims=True)
        return dW1, db1, dW2, db2

    return ((forward, backward), d.fixed(5, 4), np.eye(3)[[0, 2, 1, 1, 0]]), {}, "W1"


@form
def a_loss_that_reads_globals(d, wrong):
    global Wxh, Whh, Why
    Wxh, Whh, Why = d.fixed(5, 7), 0.5 * d.fixed(5, 5), d.fixed(7, 5)

    def loss_fun(inputs, targets, hprev):
        xs, hs, ps, loss = {}, {-1: np.copy(hprev)}, {}, 0
        for t in range(len(inputs)):
            xs[t] = np.zeros((7, 1))
            xs[t][inputs[t]] = 1
            hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1])
            ps[t] = softmax((Why @ hs[t]).T).T
            loss += -np.log(ps[t][targets[t], 0])
        dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
        dhnext = np.zeros_like(hs[0])
        for t in reversed(range(len(inputs))):
            dy = np.copy(ps[t])
            dy[targets[t]] -= 1
            dWhy += dy @ hs[t].T
            dh = (1 - hs[t] ** 2) * (Why.T @ dy + dhnext)
            dWxh += dh @ xs[t].T
            dWhh += wrong * dh @ hs[t - 1].T
            dhnext = Whh.T @ dh
        return loss, dWxh, dWhh, dWhy, hs[len(inputs) - 1]

    return (loss_fun, ([1, 0, 6, 3], [0, 6, 3, 2], d.fixed(5, 1))), {}, "Whh"


@form
def globals_that_backward_updates(d, wrong):
    global W, b, lr
    W, b, lr = d.array(4, 3), d.array(3), 0.1

    def forward(X):
        global A
        A = sigmoid(X @ W + b)
        return A

    def backward(X, y):
        global W, b
        delta = (A - y) * A * (1 - A)
        W = W - lr * wrong * X.T @ delta
        b -= lr * delta.sum(axis=0)

    return ((forward, backward), d.array(5, 4), d.array(5, 3)), {}, "W"


@form
def a_step_of_training_that_returns_its_loss(d, wrong):
    global W, b, learning_rate
    W, b, learning_rate = d.array(4, 3), d.array(3), 0.5

    def train_step(X, y):
        global W, b
        out = np.tanh(X @ W + b)
        delta = 2 * (out - y) / y.size * (1 - out**2)
        W = W - learning_rate * wrong * X.T @ delta
        b = b - learning_rate * delta.sum(axis=0)
        return np.mean((out - y) ** 2)

    return (train_step, d.array(5, 4), d.array(5, 3)), {}, "W"


@form
def a_function_that_trains_weights_of_its_own(d, wrong):
    first = d.array(4, 3)

    def train(X, y, learning_rate=0.5, epochs=100):
        W, b = first.copy(), np.zeros(first.shape[1])
        losses = []
        for _ in range(epochs):
            out = np.tanh(X @ W + b)
            losses.append(np.mean((out - y) ** 2))
            delta = 2 * (out - y) / y.size * (1 - out**2)
            W -= learning_rate * wrong * X.T @ delta
            b = b - learning_rate * delta.sum(axis=0)
        return W, b, losses

    return (train, d.array(5, 4), d.array(5, 3)), {}, "W"


@form
def names_of_the_function_around(d, wrong):
    parameters, gradients = {"W": d.array(4, 3), "b": d.array(3)}, {}
    f, slope = d.activation("tanh")
    x: Any = None

    def forward(inputs):
        nonlocal x
        x = inputs
        return f(x @ parameters["W"] + parameters["b"])

    def backward(grad_output):
        dz = grad_output * slope(x @ parameters["W"] + parameters["b"])
        gradients["W"], gradients["b"] = wrong * x.T @ dz, dz.sum(axis=0)
        return dz @ parameters["W"].T

    return ((forward, backward), d.array(5, 4)), {}, "parameters['W']"


@form
def layers_around_functions(d, wrong):
    class Dense:
        def __init__(self, factor, *shape):
            self.W, self.factor = d.array(*shape), factor

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, grad):
            self.dW = self.factor * self.x.T @ grad
            return grad @ self.W.T

    first, last = Dense(wrong, 4, 6), Dense(1, 6, 3)
    hidden: Any = None

    def forward(x):
        nonlocal hidden
        hidden = np.tanh(first.forward(x))
        return last.forward(hidden)

    def backward(grad):
        return first.backward(last.backward(grad) * (1 - hidden**2))

    return ((forward, backward), d.array(5, 4)), {}, "first.W"


@form
def data_that_the_network_holds(d, wrong):
    class NeuralNetwork:
        def __init__(self, x, y):
            self.input, self.y = x, y
            self.weights1, self.weights2 = d.array(4, 5), d.array(5, 2)
            self.biases1 = d.array(5)
            self.output = np.zeros(y.shape)

        def feedforward(self):
            self.layer1 = sigmoid(self.input @ self.weights1 + self.biases1)
            self.output = sigmoid(self.layer1 @ self.weights2)
            return self.output

        def backprop(self):
            delta = 2 * (self.y - self.output) * self.output * (1 - self.output)
            hidden = delta @ self.weights2.T * self.layer1 * (1 - self.layer1)
            self.weights2 += 0.1 * self.layer1.T @ delta
            self.weights1 += 0.1 * wrong * self.input.T @ hidden
            self.biases1 += 0.1 * hidden.sum(axis=0)

    x, y = d.array(6, 4), d.array(6, 2)
    return (NeuralNetwork(x, y), x, y), {}, "weights1"


@form
def parameters_by_default(d, wrong):
    weights, bias = d.array(4, 3), d.array(3)

    def forward(x, W=weights, b=bias):
        return np.tanh(x @ W + b)

    def backward(x, grad_output, W=weights, b=bias):
        dz = grad_output * (1 - np.tanh(x @ W + b) ** 2)
        return dz @ W.T, wrong * x.T @ dz, dz.sum(axis=0)

    return ((forward, backward), d.array(5, 4)), {}, "W"
