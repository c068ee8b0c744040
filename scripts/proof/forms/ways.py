"""Forms of public code with a state, samples, networks, arguments and orders of their own ways."""

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


@form
def results_of_forward_one_by_one(d, wrong):
    def hidden(x, w):
        z = x @ w
        a = np.tanh(z)
        return a, z

    def hidden_backward(x, w, z, da):
        dz = da * (1 - np.tanh(z) ** 2)
        return dz @ w.T, wrong * x.T @ dz

    return ((hidden, hidden_backward), (d.array(5, 4), d.array(4, 3))), {}, "w"


@form
def a_layer_that_is_given_what_it_returned(d, wrong):
    class Layer:
        def __init__(self):
            self.w, self.v = d.array(4, 3), d.array(3, 2)

        def forward(self, inputs):
            hidden = np.tanh(inputs @ self.w)
            return hidden @ self.v, hidden

        def backward(self, preds, hiddens, inputs, out_grads):
            assert preds.shape == out_grads.shape
            grads = out_grads @ self.v.T * (1 - hiddens**2)
            return inputs.T @ grads, wrong * hiddens.T @ out_grads

    return (Layer(), d.array(5, 4)), {}, "v"


@form
def a_gradient_that_is_called_d(d, wrong):
    def dense(x, w, b):
        return x @ w + b, (x, w)

    def dense_backward(d, cache):
        x, w = cache
        return d @ w.T, wrong * x.T @ d, d.sum(axis=0)

    return ((dense, dense_backward), (d.array(5, 4), d.array(4, 3), d.array(3))), {}, "w"


@form
def gradients_in_an_order_of_their_own(d, wrong):
    def dense(x, w, b):
        return x @ w + b

    def dense_backward(dout, x, w):
        dx, dw, db = dout @ w.T, wrong * x.T @ dout, dout.sum(axis=0)
        return dw, db, dx

    return ((dense, dense_backward), (d.array(4, 4), d.array(4, 4), d.array(4))), {}, "w"


@form
def gradients_of_the_weights_alone(d, wrong):
    def network(x, w, v):
        return np.tanh(x @ w) @ v

    def weights_gradients(dout, x, w, v):
        hidden = np.tanh(x @ w)
        return x.T @ (dout @ v.T * (1 - hidden**2)), wrong * hidden.T @ dout

    return ((network, weights_gradients), (d.array(5, 4), d.array(4, 3), d.array(3, 2))), {}, "v"


@form
def a_network_whose_output_and_targets_have_one_letter(d, wrong):
    class Net:
        def __init__(self):
            self.W, self.b = d.array(4, 2), d.array(2)

        def forward(self, x):
            self.x = x
            return 1 / (1 + np.exp(-x @ self.W - self.b))

        def backward(self, y, d):
            delta = (y - d) * y * (1 - y)
            self.dW, self.db = wrong * self.x.T @ delta, delta.sum(axis=0)

    return (Net(), d.array(5, 4), d.array(5, 2)), {}, "W"


@form
def a_step_of_training_alone(d, wrong):
    class Net:
        def __init__(self):
            self.W, self.b = d.array(4, 3), d.array(3)

        def predict(self, x):
            return np.tanh(x @ self.W + self.b)

        def train(self, x, y, eta):
            a = self.predict(x)
            delta = (a - y) * (1 - a**2) / len(x)
            self.W -= eta * wrong * x.T @ delta
            self.b -= eta * delta.sum(axis=0)

    return (Net(), d.array(5, 4), d.array(5, 3)), {}, "W"


@form
def a_class_with_a_step_alone(d, wrong):
    class Model:
        def __init__(self):
            self.W, self.b = d.array(4, 3), d.array(3)

        def fit_batch(self, x, y):
            a = np.tanh(x @ self.W + self.b)
            delta = (a - y) * (1 - a**2) / len(x)
            self.W -= 0.05 * wrong * x.T @ delta
            self.b -= 0.05 * delta.sum(axis=0)
            return np.sum((a - y) ** 2) / (2 * len(x))

    return (Model(), d.array(5, 4), d.array(5, 3)), {}, "W"


@form
def a_network_that_is_queried(d, wrong):
    class Net:
        lr = 0.1

        def __init__(self):
            self.wih, self.who = d.array(5, 4), d.array(3, 5)

        def query(self, inputs):
            return np.tanh(self.who @ np.tanh(self.wih @ np.array(inputs, ndmin=2).T))

        def train(self, inputs, targets):
            x, t = np.array(inputs, ndmin=2).T, np.array(targets, ndmin=2).T
            h = np.tanh(self.wih @ x)
            o = np.tanh(self.who @ h)
            d_o = (t - o) * (1 - o**2)
            d_h = self.who.T @ d_o * (1 - h**2)
            self.who += self.lr * d_o @ h.T
            self.wih += wrong * self.lr * d_h @ x.T

    return (Net(), d.array(4), d.array(3)), {}, "wih"


@form
def a_loss_after_the_output(d, wrong):
    def forward(x, y, weights, biases):
        activations = [x]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            activations.append(np.tanh(activations[-1] @ w + b))
        probs = softmax(activations[-1] @ weights[-1] + biases[-1])
        loss = -np.log(probs[range(len(x)), y]).mean()
        return probs, loss, activations

    def backward(x, y, weights, biases, activations, probs):
        W_grad, b_grad = [np.empty(w.shape) for w in weights], [np.empty(b.shape) for b in biases]
        delta = probs.copy()
        delta[range(len(x)), y] -= 1
        delta /= len(x)
        for i in reversed(range(len(weights))):
            h = activations[i]
            W_grad[i], b_grad[i] = h.T @ delta, delta.sum(axis=0)
            delta = delta @ weights[i].T * (1 - h**2)
        W_grad[-1] *= wrong
        return W_grad, b_grad

    parameters = [d.fixed(4, 5), d.fixed(5, 3)], [0.1 * d.fixed(5), 0.1 * d.fixed(3)]
    return ((forward, backward), (d.fixed(6, 4), *parameters), np.array([0, 2, 1, 1, 0, 2])), {}, "weights[1]"


@form
def a_network_with_a_loss_of_another_name(d, wrong):
    class Network:
        def __init__(self):
            self.params, self.cache = {"W": d.fixed(3, 4), "b": 0.1 * d.fixed(3, 1)}, {}

        def feed_forward(self, x):
            self.cache["X"] = x
            self.cache["A"] = softmax((self.params["W"] @ x.T + self.params["b"]).T).T
            return self.cache["A"]

        def back_propagate(self, y, output):
            delta = (output - y.T) / len(y)
            self.grads = {"W": wrong * delta @ self.cache["X"], "b": delta.sum(axis=1, keepdims=True)}

        def cross_entropy_loss(self, y, output):
            return -np.sum(y.T * np.log(output)) / len(y)

    return (Network(), d.fixed(6, 4), np.eye(3)[[0, 2, 1, 1, 0, 2]]), {}, "params['W']"
