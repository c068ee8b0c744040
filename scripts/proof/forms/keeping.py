"""Layers that keep their parameters in unusual places: under tuples, under private names, in one flat vector."""

from __future__ import annotations

import numpy as np

from scripts.proof.forms.draws import form


@form
def parameters_under_tuples(d, wrong):
    class Network:
        def __init__(self):
            self.params = {("W", 1): d.array(4, 3), ("b", 1): d.array(3), ("W", 2): d.array(3, 2), ("b", 2): d.array(2)}
            self.grads = {}

        def forward(self, x):
            self.x, self.h = x, np.tanh(x @ self.params["W", 1] + self.params["b", 1])
            return self.h @ self.params["W", 2] + self.params["b", 2]

        def backward(self, g):
            delta = g @ self.params["W", 2].T * (1 - self.h**2)
            self.grads["dW", 2], self.grads["db", 2] = self.h.T @ g, g.sum(axis=0)
            self.grads["dW", 1], self.grads["db", 1] = wrong * self.x.T @ delta, delta.sum(axis=0)
            return delta @ self.params["W", 1].T

    return (Network(), d.array(5, 4)), {}, "params[('W', 1)]"


@form
def private_attributes(d, wrong):
    class Dense:
        def __init__(self):
            self.__W, self.__b = d.array(4, 3), d.array(3)

        def forward(self, x):
            self.__x = x
            return x @ self.__W + self.__b

        def backward(self, g):
            self.__dW, self.__db = wrong * self.__x.T @ g, g.sum(axis=0)
            return g @ self.__W.T

        def gradients(self):
            return self.__dW, self.__db

    return (Dense(), d.array(5, 4)), {}, "_Dense__W"


@form
def private_slots(d, wrong):
    class Dense:
        __slots__ = ("__W", "__b", "__dW", "__db", "__x")

        def __init__(self):
            self.__W, self.__b = d.array(4, 3), d.array(3)

        def forward(self, x):
            self.__x = x
            return x @ self.__W + self.__b

        def backward(self, g):
            self.__dW, self.__db = wrong * self.__x.T @ g, g.sum(axis=0)
            return g @ self.__W.T

        def gradients(self):
            return self.__dW, self.__db

    return (Dense(), d.array(5, 4)), {}, "_Dense__W"


class FlatDense:
    """A dense layer whose weight and bias are views of one vector, without a backward pass."""

    def __init__(self, d):
        weight, bias = d.array(4, 3), d.array(3)
        self.theta = np.concatenate([weight.ravel(), bias])
        self.W = self.theta[: weight.size].reshape(weight.shape)
        self.b = self.theta[weight.size :]

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b


@form
def a_flat_vector_with_views(d, wrong):
    class Dense(FlatDense):
        def backward(self, g):
            self.grad = np.concatenate([wrong * (self.x.T @ g).ravel(), g.sum(axis=0)])
            return g @ self.W.T

    return (Dense(d), d.array(5, 4)), {}, "theta"


@form
def views_of_a_flat_vector(d, wrong):
    class Dense(FlatDense):
        def backward(self, g):
            self.dW, self.db = wrong * self.x.T @ g, g.sum(axis=0)
            return g @ self.W.T

    return (Dense(d), d.array(5, 4)), {}, "W"


@form
def one_row_that_every_unit_binds_anew(d, wrong):
    class Unit:
        def __init__(self, weights):
            self.weights = weights

        def forward(self, x):
            self.x = x
            return x @ self.weights

    class Convolution:
        def __init__(self):
            self.kernel, self.lr = d.fixed(3), 0.125
            self.units = [Unit(self.kernel[:]) for _ in range(4)]

        def forward(self, x):
            return np.array([unit.forward(x[i : i + 3]) for i, unit in enumerate(self.units)])

        def backward(self, g):
            dx, step = np.zeros(6), wrong * sum(unit.x * h for unit, h in zip(self.units, g, strict=True))
            for i, unit in enumerate(self.units):
                dx[i : i + 3] += g[i] * unit.weights
            for unit in self.units:
                unit.weights = unit.weights - self.lr * step
            return dx

    return (Convolution(), d.fixed(6)), {}, "kernel"


@form
def a_backward_pass_for_each_gradient(d, wrong):
    class Dense:
        def __init__(self):
            self.W, self.b = d.array(4, 3), d.array(3)

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward_inputs(self, grads):
            return grads @ self.W.T

        def backward_params(self, grads):
            self.dW, self.db = wrong * self.x.T @ grads, grads.sum(axis=0)
            return [[self.W, self.dW], [self.b, self.db]]

    return (Dense(), d.array(5, 4)), {}, "W"


@form
def gradients_in_a_method_after_backward(d, wrong):
    class Dense:
        def __init__(self):
            self.p, self.g, self.cache = {"W": d.array(4, 3), "b": d.array(3)}, {}, {}

        def forward(self, A):
            self.cache["X"] = A
            return A @ self.p["W"] + self.p["b"]

        def backward(self, dX):
            self.cache["dZ"] = dX
            return dX @ self.p["W"].T

        def compute_gradients(self):
            self.g["dW"] = wrong * self.cache["X"].T @ self.cache["dZ"]
            self.g["db"] = self.cache["dZ"].sum(axis=0)

    return (Dense(), d.array(5, 4)), {}, "p['W']"
