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
