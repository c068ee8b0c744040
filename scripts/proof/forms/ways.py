"""Forms of public code with a state, samples and networks of their own ways."""

from __future__ import annotations

import numpy as np

from scripts.proof.forms.draws import form, softmax


@form
def losses_of_samples(d, wrong):
    class CrossEntropy:
        def forward(self, y_pred, y_true):
            return -np.log(y_pred[range(len(y_pred)), y_true])

        def backward(self, dvalues, y_true):
            rows = range(len(dvalues))
            self.dinputs = np.zeros_like(dvalues)
            self.dinputs[rows, y_true] = -wrong / dvalues[rows, y_true] / len(dvalues)

    return (CrossEntropy(), softmax(d.fixed(5, 3)), np.array([0, 2, 1, 1, 0])), {}, "y_pred"


@form
def a_network_whose_backward_takes_its_output(d, wrong):
    class Model:
        def __init__(self):
            self.W1, self.W2 = d.fixed(4, 5), d.fixed(5, 3)

        def forward(self, X, training):
            self.X, self.h = X, np.tanh(X @ self.W1) * (1.0 if training else 0.5)
            return softmax(self.h @ self.W2)

        def backward(self, output, y):
            delta = output.copy()
            delta[range(len(y)), y] -= 1
            delta /= len(y)
            self.dW2 = wrong * self.h.T @ delta
            self.dW1 = self.X.T @ (delta @ self.W2.T * (1 - self.h**2))

    return (Model(), d.fixed(5, 4), np.array([0, 2, 1, 1, 0])), {}, "W2"


@form
def an_identity(d, wrong):
    class Linear:
        def forward(self, inputs):
            self.inputs = self.output = inputs

        def backward(self, dvalues):
            self.dinputs = wrong * dvalues

    return (Linear(), d.fixed(5, 4)), {}, "inputs"


@form
def a_state_kept_from_call_to_call(d, wrong):
    class Recurrent:
        def __init__(self):
            self.params, self.h = [d.fixed(4, 3), 0.5 * d.fixed(3, 3)], None
            self.grads = [np.zeros_like(p) for p in self.params]

        def forward(self, xs):
            Wx, Wh = self.params
            h = np.zeros((xs.shape[1], 3)) if self.h is None else self.h
            self.xs, self.hs = xs, [h]
            for x in xs:
                self.hs.append(np.tanh(x @ Wx + self.hs[-1] @ Wh))
            self.h = self.hs[-1]
            return np.stack(self.hs[1:])

        def backward(self, dhs):
            (Wx, Wh), dh, dxs = self.params, 0.0, np.zeros_like(self.xs)
            for grad in self.grads:
                grad[...] = 0.0
            for t in reversed(range(len(self.xs))):
                dz = (dhs[t] + dh) * (1 - self.hs[t + 1] ** 2)
                self.grads[0] += self.xs[t].T @ dz
                self.grads[1] += wrong * self.hs[t].T @ dz
                dxs[t], dh = dz @ Wx.T, dz @ Wh.T
            return dxs

    return (Recurrent(), d.fixed(3, 2, 4)), {}, "params[1]"


@form
def a_gradient_that_runs_forward_again(d, wrong):
    class Net:
        def __init__(self):
            self.params, self.rng = {"W1": d.fixed(4, 6), "W2": d.fixed(6, 3)}, np.random.default_rng(7)

        def loss(self, x, t, train_flg=False):
            self.x, self.h = x, np.tanh(x @ self.params["W1"])
            self.mask = self.rng.random(self.h.shape) > 0.5 if train_flg else np.full(self.h.shape, 0.5)
            self.y = softmax(self.h * self.mask @ self.params["W2"])
            return -np.log(self.y[np.arange(len(t)), t]).mean()

        def gradient(self, x, t):
            self.loss(x, t, train_flg=True)
            dy = self.y.copy()
            dy[np.arange(len(t)), t] -= 1
            dy /= len(t)
            dh = dy @ self.params["W2"].T * self.mask * (1 - self.h**2)
            return {"W1": wrong * x.T @ dh, "W2": (self.h * self.mask).T @ dy}

    return (Net(), d.fixed(5, 4), np.array([0, 1, 2, 1, 0])), {}, "W1"


@form
def a_loss_of_weights_and_data(d, wrong):
    def softmax_loss(W, X, y, reg):
        p = softmax(X @ W)
        loss = -np.log(p[np.arange(len(y)), y]).mean() + reg * (W**2).sum()
        p[np.arange(len(y)), y] -= 1
        return loss, wrong * X.T @ p / len(y) + 2 * reg * W

    return (softmax_loss, (d.fixed(4, 3), d.fixed(5, 4), np.array([0, 2, 1, 1, 0]), 0.1)), {}, "W"


@form
def outputs_and_states_in_a_list(d, wrong):
    class Recurrent:
        def __init__(self):
            self.U, self.V = 0.5 * d.fixed(3, 6), d.fixed(6, 3)

        def forward_propagation(self, x):
            states = np.tanh(np.cumsum(self.U[:, x].T, axis=0))
            return [softmax(states @ self.V.T), np.concatenate([states, np.zeros((1, 3))])]

        def bptt(self, x, y):
            o, s = self.forward_propagation(x)
            o[np.arange(len(y)), y] -= 1
            ds = o @ self.V * (1 - s[:-1] ** 2)
            dU = np.zeros_like(self.U)
            np.add.at(dU.T, x, np.cumsum(ds[::-1], axis=0)[::-1])
            return [dU, wrong * o.T @ s[:-1]]

    return (Recurrent(), (np.array([0, 2, 2, 4]),), np.array([2, 2, 4, 5])), {}, "V"
