"""Losses: functions of an output and of targets."""

from __future__ import annotations

import numpy as np

from scripts.proof.forms.draws import form, softmax


@form
def a_loss_that_returns_its_gradient(d, wrong):
    def softmax_loss(scores, y):
        p = softmax(scores)
        rows = np.arange(len(y))
        loss = -np.log(p[rows, y]).mean()
        p[rows, y] -= 1
        return loss, wrong * p / len(y)

    return (softmax_loss, d.array(5, 4), d.labels(5, 4)), {}, "scores"


@form
def losses_of_samples_with_their_gradient(d, wrong):
    def softmax_loss(scores, y):
        p = softmax(scores)
        rows = np.arange(len(y))
        losses = -np.log(p[rows, y])
        p[rows, y] -= 1
        return losses, wrong * p

    return (softmax_loss, d.array(5, 4), d.labels(5, 4)), {}, "scores"


@form
def a_loss_with_the_target_first(d, wrong):
    def mse(y_true, y_pred):
        return np.mean((y_true - y_pred) ** 2)

    def mse_prime(y_true, y_pred):
        return wrong * 2 * (y_pred - y_true) / y_true.size

    return ((mse, mse_prime), d.array(5, 3), d.array(5, 3, seed=1)), {}, "y_pred"


@form
def a_loss_object_with_the_target_first(d, wrong):
    class MSE:
        def loss(self, y, y_pred):
            return np.mean((y - y_pred) ** 2)

        def gradient(self, y, y_pred):
            return wrong * 2 * (y_pred - y) / y.size

    return (MSE(), d.array(5, 3), d.array(5, 3, seed=1)), {}, "y_pred"


@form
def a_loss_object_with_input_grad(d, wrong):
    class MSE:
        def loss(self, Y, Y_pred):
            return np.mean((Y - Y_pred) ** 2)

        def input_grad(self, Y, Y_pred):
            return wrong * 2 * (Y_pred - Y) / Y.size

    return (MSE(), d.array(5, 3), d.array(5, 3, seed=1)), {}, "Y_pred"


@form
def a_loss_with_state(d, wrong):
    class SoftmaxWithLoss:
        def forward(self, x, t):
            self.y, self.t = softmax(x), t
            return -np.log(self.y[np.arange(len(t)), t]).mean()

        def backward(self, dout=1):
            dx = self.y.copy()
            dx[np.arange(len(dx)), self.t] -= 1
            return wrong * dout * dx / len(dx)

    return (SoftmaxWithLoss(), d.array(5, 4), d.labels(5, 4)), {}, "x"


@form
def a_loss_of_a_pair(d, wrong):
    class MSE:
        def forward(self, inputs):
            prediction, target = inputs
            self.difference = prediction - target
            return np.mean(self.difference**2)

        def backward(self):
            return wrong * 2 * self.difference / self.difference.size

    return (MSE(), d.array(5, 4), d.array(5, 4, seed=1)), {}, "prediction"


@form
def a_loss_whose_backward_takes_both(d, wrong):
    class Loss:
        def forward(self, y_pred, y_true):
            return ((y_pred - y_true) ** 2).mean()

        def backward(self, dvalues, y_true):
            self.dinputs = wrong * 2 * (dvalues - y_true) / dvalues.size

    return (Loss(), d.array(5, 3), d.array(5, 3, seed=1)), {}, "y_pred"


@form
def a_loss_whose_names_do_not_tell_the_target(d, wrong):
    def divergence(p, q):
        return np.sum(p * np.log(p / q))

    def divergence_grad(p, q):
        return -wrong * p / q

    return ((divergence, divergence_grad), softmax(d.array(5, 3)), softmax(d.array(5, 3, seed=1))), {}, "p"


@form
def a_log_likelihood_and_its_score(d, wrong):
    class Poisson:
        def log_likelihood(self, w, X, y):
            return np.sum(y * (X @ w) - np.exp(X @ w))

        def score(self, w, X, y):
            return wrong * X.T @ (y - np.exp(X @ w))

    return (Poisson(), (d.fixed(4), d.fixed(6, 4), np.array([0.0, 2.0, 1.0, 0.0, 3.0, 1.0]))), {}, "w"
