"""Networks with the gradient of their loss, and arrays that live anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.proof.forms.draws import form, softmax


@form
def a_network_with_a_loss_method(d, wrong):
    class TwoLayerNet:
        def __init__(self):
            self.reg = 0.1
            self.params = {"W1": d.array(4, 6), "b1": d.array(6), "W2": d.array(6, 3), "b2": d.array(3)}

        def loss(self, X, y=None):
            W1, b1, W2, b2 = self.params.values()
            h = np.maximum(0, X @ W1 + b1)
            scores = h @ W2 + b2
            if y is None:
                return scores
            p = softmax(scores)
            loss = -np.log(p[np.arange(len(y)), y]).mean() + self.reg * ((W1**2).sum() + (W2**2).sum())
            p[np.arange(len(y)), y] -= 1
            p /= len(y)
            dh = p @ W2.T * (h > 0)
            grads = {"W2": h.T @ p + 2 * self.reg * W2, "b2": p.sum(axis=0)}
            grads |= {"W1": wrong * (X.T @ dh + 2 * self.reg * W1), "b1": dh.sum(axis=0)}
            return loss, grads

    return (TwoLayerNet(), d.array(5, 4), d.labels(5, 3)), {}, "W1"


@form
def a_network_with_loss_and_gradient(d, wrong):
    class Net:
        def __init__(self):
            self.params = {"W1": d.array(4, 3)}

        def predict(self, x):
            return softmax(x @ self.params["W1"])

        def loss(self, x, t):
            return -np.log(self.predict(x)[np.arange(len(t)), t]).mean()

        def gradient(self, x, t):
            p = self.predict(x)
            p[np.arange(len(t)), t] -= 1
            return {"W1": wrong * x.T @ p / len(t)}

    return (Net(), d.array(5, 4), d.labels(5, 3)), {}, "W1"


class SquaredError:
    def forward(self, y_pred, y_true):
        self.difference = y_pred - y_true
        return (self.difference**2).mean()

    def backward(self):
        self.dinputs = 2 * self.difference / self.difference.size


@form
def a_network_that_holds_its_loss(d, wrong):
    class Model:
        def __init__(self):
            self.W, self.b, self.loss = d.array(4, 3), d.array(3), SquaredError()

        def forward(self, X):
            self.X = X
            return X @ self.W + self.b

        def backward(self):
            self.loss.backward()
            g = self.loss.dinputs
            self.dW, self.db = wrong * self.X.T @ g, g.sum(axis=0)

    return (Model(), d.array(5, 4), d.array(5, 3)), {}, "W"


@form
def a_network_with_a_penalty_apart(d, wrong):
    class Model:
        def __init__(self):
            self.W, self.b, self.loss = d.array(4, 3), d.array(3), SquaredError()

        def regularization_loss(self):
            return 0.05 * np.sum(self.W**2)

        def forward(self, X):
            self.X = X
            return X @ self.W + self.b

        def backward(self):
            self.loss.backward()
            g = self.loss.dinputs
            self.dW, self.db = self.X.T @ g + wrong * 0.1 * self.W, g.sum(axis=0)

    return (Model(), d.array(5, 4), d.array(5, 3)), {}, "W"


@form
def a_network_whose_cost_is_not_written(d, wrong):
    class Network:
        def __init__(self):
            self.biases = [d.array(5, 1), d.array(2, 1)]
            self.weights = [d.array(5, 3), d.array(2, 5)]

        def feedforward(self, a):
            for b, w in zip(self.biases, self.weights, strict=True):
                a = 1 / (1 + np.exp(-(w @ a + b)))
            return a

        def backprop(self, x, y):
            activations = [x]
            for b, w in zip(self.biases, self.weights, strict=True):
                activations.append(1 / (1 + np.exp(-(w @ activations[-1] + b))))
            last, hidden = activations[2], activations[1]
            delta = (last - y) * last * (1 - last)
            before = self.weights[1].T @ delta * hidden * (1 - hidden)
            return [before, delta], [wrong * before @ x.T, delta @ hidden.T]

    return (Network(), d.array(3, 1), d.array(2, 1)), {}, "weights[0]"


@form
def a_model_whose_gradient_is_that_of_its_one_parameter(d, wrong):
    class Logistic:
        def __init__(self):
            self.w = d.array(4)

        def predict(self, x):
            return 1 / (1 + np.exp(-x @ self.w))

        def loss(self, x, y):
            p = self.predict(x)
            return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

        def gradient(self, x, y):
            return wrong * x.T @ (self.predict(x) - y) / len(y)

    return (Logistic(), d.array(5, 4), d.binary(5)), {}, "w"


@form
def a_list_of_layers_with_a_loss(d, wrong):
    act, slope = d.activation("tanh")

    class Dense:
        def __init__(self, n_in, n_out):
            self.W, self.b = d.array(n_in, n_out), d.array(n_out)

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, g):
            self.dW, self.db = self.x.T @ g, g.sum(axis=0)
            return g @ self.W.T

    class Tanh:
        def forward(self, x):
            self.x = x
            return act(x)

        def backward(self, g):
            return wrong * g * slope(self.x)

    class Model:
        def __init__(self):
            self.layers: list[Any] = [Dense(4, 5), Dense(5, 3), Tanh()]

        def forward(self, x):
            for layer in self.layers:
                x = layer.forward(x)
            return x

        def compute_loss(self, y_pred, y):
            return ((y_pred - y) ** 2).mean(), 2 * (y_pred - y) / y.size

        def backward(self, grad):
            for layer in self.layers[::-1]:
                grad = layer.backward(grad)

    return (Model(), d.array(5, 4), d.array(5, 3, seed=1)), {}, ""


@form
def arrays_that_live_anywhere(d, wrong):
    act, slope = d.activation("tanh")
    x, W = d.array(5, 4), d.array(4, 3)

    def run():
        return act(x @ W)

    def grads(g):
        dz = g * slope(x @ W)
        return dz @ W.T, wrong * x.T @ dz

    return (run, grads), {"x": x, "W": W}, "W"


@form
def arrays_that_are_bound_anew(d, wrong):
    class Net:
        W = d.array(4, 3)

    net, x = Net(), d.array(5, 4)
    run, grads = lambda: x @ net.W, lambda g: {"samples": wrong * x.T @ g}
    return (run, grads), {"arrays": {"samples": (net, "W")}}, "samples"


@form
def labels_of_samples_in_columns(d, wrong):
    def forward_prop(W1, b1, W2, b2, X):
        Z1 = W1 @ X + b1
        A1 = np.tanh(Z1)
        Z2 = W2 @ A1 + b2
        return Z1, A1, Z2, softmax(Z2.T).T

    def backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y):  # noqa: ARG001 - as such functions take all of it
        m = Y.size
        dZ2 = A2.copy()
        dZ2[Y, np.arange(m)] -= 1
        dZ1 = W2.T @ dZ2 * (1 - A1**2)
        return (
            dZ1 @ X.T / m,
            dZ1.sum(axis=1, keepdims=True) / m,
            wrong * dZ2 @ A1.T / m,
            dZ2.mean(axis=1, keepdims=True),
        )

    parameters = (d.fixed(3, 4), d.fixed(3, 1), d.fixed(2, 3), d.fixed(2, 1))
    labels = np.random.default_rng(0).integers(0, 2, 5)
    return ((forward_prop, backward_prop), (*parameters, d.fixed(4, 5)), labels), {}, "W2"


@form
def steps_after_each_sample(d, wrong):
    class Network:
        def __init__(self):
            self.layers: list[Any] = [Stepping(d, 4, 5), Squashing(), Stepping(d, 5, 2, wrong)]
            self.loss, self.loss_prime = mse, mse_prime

        def predict(self, data):
            return np.array([self.through(row[None])[0] for row in data])

        def through(self, row):
            for layer in self.layers:
                row = layer.forward_propagation(row)
            return row

        def fit(self, x_train, y_train, epochs, learning_rate):
            for _ in range(epochs):
                for row, target in zip(x_train, y_train, strict=True):
                    error = self.loss_prime(target[None], self.through(row[None]))
                    for layer in reversed(self.layers):
                        error = layer.backward_propagation(error, learning_rate)

    return (Network(), d.array(6, 4), d.array(6, 2)), {}, "layers[2].weights"


@form
def layers_in_a_list_with_a_learning_rate(d, wrong):
    layers = [Stepping(d, 4, 5), Squashing(), Stepping(d, 5, 2, wrong)]
    return (layers, d.array(1, 4)), {}, "layers[2].weights"


class Stepping:
    """A layer that moves its parameters in its backward pass."""

    def __init__(self, d, inputs, outputs, wrong=1.0):
        self.weights, self.bias, self.wrong = d.array(inputs, outputs), d.array(1, outputs), wrong

    def forward_propagation(self, input_data):
        self.input = input_data
        return self.input @ self.weights + self.bias

    def backward_propagation(self, output_error, learning_rate):
        input_error = output_error @ self.weights.T
        self.weights -= learning_rate * self.wrong * self.input.T @ output_error
        self.bias -= learning_rate * output_error.sum(axis=0, keepdims=True)
        return input_error


class Squashing:
    """An activation that takes the learning rate as all layers do."""

    def forward_propagation(self, input_data):
        self.input = input_data
        return np.tanh(self.input)

    def backward_propagation(self, output_error, learning_rate):  # noqa: ARG002 - every layer of such a list is given it
        return output_error * (1 - np.tanh(self.input) ** 2)


def mse(y_true, y_pred):
    """The mean squared error."""
    return np.mean((y_true - y_pred) ** 2)


def mse_prime(y_true, y_pred):
    """Its derivative with respect to the prediction."""
    return 2 * (y_pred - y_true) / y_true.size
