"""What is returned is no gradient for each argument: one for several, the parts of one, a step, a derivative alone."""

from __future__ import annotations

import numpy as np

from scripts.proof.forms.draws import form, sigmoid, softmax


@form
def one_array_as_several_arguments(d, wrong):
    def attention(q, k, v):
        return softmax(q @ k.T) @ v

    def attention_backward(grad_output, q, k, v):
        p = softmax(q @ k.T)
        dp = grad_output @ v.T
        ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
        return ds @ k + ds.T @ q + wrong * p.T @ grad_output

    x = d.array(5, 4)
    return ((attention, attention_backward), (x, x, x)), {}, "q"


@form
def gradients_of_the_parts_of_a_vector(d, wrong):
    def cost(theta, X, Y):
        first, second = theta[:12].reshape(4, 3), theta[12:].reshape(3, 2)
        hidden = np.tanh(X @ first)
        off = hidden @ second - Y
        return 0.5 * np.sum(off**2), X.T @ (off @ second.T * (1 - hidden**2)), wrong * hidden.T @ off

    return (cost, (d.fixed(18), d.fixed(5, 4), d.fixed(5, 2))), {}, "theta"


@form
def all_that_forward_computes_in_a_dict(d, wrong):
    class Model:
        def __init__(self):
            self.W, self.V = d.array(4, 3), d.array(3, 2)

        def forward(self, x):
            hidden = np.tanh(x @ self.W)
            return {"A": hidden, "scores": hidden @ self.V}

        def compute_cost(self, scores, y):
            return 0.5 * np.sum((scores - y) ** 2)

        def backward(self, x, y, cache):
            delta = cache["scores"] - y
            dZ = (delta @ self.V.T) * (1 - cache["A"] ** 2)
            return {"dW": wrong * x.T @ dZ, "dV": cache["A"].T @ delta}

    return (Model(), d.array(5, 4), d.array(5, 2, seed=1)), {}, "W"


@form
def outputs_in_a_dict(d, wrong):
    class TwoHeads:
        def __init__(self):
            self.W, self.V = d.array(4, 3), d.array(4, 2)

        def forward(self, x):
            self.x = x
            return {"policy": x @ self.W, "value": np.tanh(x @ self.V)}

        def backward(self, grads):
            dZ = grads["value"] * (1 - np.tanh(self.x @ self.V) ** 2)
            self.dW, self.dV = wrong * self.x.T @ grads["policy"], self.x.T @ dZ
            return grads["policy"] @ self.W.T + dZ @ self.V.T

    return (TwoHeads(), d.array(5, 4)), {}, "W"


@form
def parameters_moved_and_the_loss(d, wrong):
    def predict(params, x):
        return np.tanh(x @ params["W"] + params["b"])

    def train_step(params, x, y, lr=0.1):
        out = predict(params, x)
        delta = (out - y) * (1 - out**2)
        grads = {"W": wrong * x.T @ delta, "b": delta.sum(axis=0)}
        return {name: params[name] - lr * grads[name] for name in params}, 0.5 * np.sum((out - y) ** 2)

    params = {"W": d.fixed(4, 3), "b": d.fixed(3)}
    return (train_step, (params, d.fixed(5, 4), d.fixed(5, 3))), {}, "params['W']"


@form
def a_step_that_moves_its_argument(d, wrong):
    def loss(X, y, theta):
        z = X @ theta
        return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y])

    def step(X, y, theta, lr=0.1):
        z = softmax(X @ theta)
        z[np.arange(len(y)), y] -= 1.0
        theta -= lr * wrong * X.T @ z / len(y)

    return ((loss, step), (d.fixed(6, 4), np.array([0, 2, 1, 1, 0, 2]), d.fixed(4, 3))), {}, "theta"


@form
def a_derivative_by_a_flag_of_the_output(d, wrong):
    def logistic(z, a=None, derivative=False):
        if derivative:
            return wrong * a * (1.0 - a)
        return sigmoid(z)

    return (logistic, d.array(5, 4)), {}, "z"
