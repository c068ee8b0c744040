"""The forms in which people write forward and backward passes, each right or with a gradient that is wrong by a factor.

Every function here takes ``wrong``, a factor by which one gradient is multiplied (1 for right code), and returns the
arguments of ``check_gradients`` and the name of the gradient that is wrong then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Form = Callable[[float], tuple[tuple[Any, ...], dict[str, Any], str]]
FORMS: dict[str, Form] = {}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def array(*shape: int, seed: int = 0) -> Any:
    return rng(seed + sum(shape)).standard_normal(shape)


def form(function: Form) -> Form:
    FORMS[function.__name__] = function
    return function


# Functions


@form
def function_with_cache(wrong):
    def affine_forward(x, w, b):
        return x @ w + b, (x, w, b)

    def affine_backward(dout, cache):
        x, w, _ = cache
        return dout @ w.T, wrong * x.T @ dout, dout.sum(axis=0)

    return ((affine_forward, affine_backward), (array(5, 4), array(4, 3), array(3))), {}, "w"


@form
def function_with_one_array_as_cache(wrong):
    def relu_forward(x):
        return np.maximum(0, x), x

    def relu_backward(dout, cache):
        return wrong * dout * (cache > 0)

    return ((relu_forward, relu_backward), array(5, 4)), {}, "x"


@form
def function_with_cache_first(wrong):
    def fwd(x, w):
        return np.tanh(x @ w), (x, w, np.tanh(x @ w))

    def bwd(res, g):
        x, w, y = res
        g = g * (1 - y**2)
        return g @ w.T, wrong * x.T @ g

    return ((fwd, bwd), (array(5, 4), array(4, 3))), {}, "w"


@form
def gradient_before_the_inputs(wrong):
    def f(x, w):
        return np.sin(x @ w)

    def g(dout, x, w):
        dz = dout * np.cos(x @ w)
        return dz @ w.T, wrong * x.T @ dz

    return ((f, g), (array(5, 4), array(4, 3))), {}, "w"


@form
def gradient_after_the_inputs(wrong):
    def f(x, w):
        return np.sin(x @ w)

    def g(x, w, dout):
        dz = dout * np.cos(x @ w)
        return {"x": dz @ w.T, "w": wrong * x.T @ dz}

    return ((f, g), (array(5, 4), array(4, 3))), {}, "w"


@form
def gradients_in_a_dict_of_other_names(wrong):
    def f(x, w):
        return x @ w

    def g(dout, x, w):
        return {"dw": wrong * x.T @ dout, "dx": dout @ w.T}

    return ((f, g), (array(5, 4), array(4, 3))), {}, "w"


@form
def gradient_and_output(wrong):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def sigmoid_backward(dA, out):
        return wrong * dA * out * (1 - out)

    return ((sigmoid, sigmoid_backward), array(5, 4)), {}, "x"


@form
def derivative_of_the_output(wrong):
    return ((np.tanh, lambda s: wrong * (1 - s**2)), array(5, 4)), {}, "x"


@form
def derivative_of_the_input(wrong):
    def square(z):
        return z**2

    def square_prime(z):
        return wrong * 2 * z

    return ((square, square_prime), array(5, 4)), {}, "z"


@form
def a_jacobian(wrong):
    def softmax(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    def softmax_jacobian(z):
        s = softmax(z)
        return wrong * (np.diag(s) - np.outer(s, s))

    return ((softmax, softmax_jacobian), array(5)), {}, "z"


@form
def an_integer_input(wrong):
    def embedding_forward(ids, table):
        return table[ids], (ids, table)

    def embedding_backward(dout, cache):
        ids, table = cache
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, dout)
        return wrong * dtable

    return ((embedding_forward, embedding_backward), (np.array([0, 2, 2, 4]), array(6, 3))), {}, "table"


@form
def settings_beside_the_arrays(wrong):
    def conv_forward(x, w, conv_param):
        s = conv_param["stride"]
        out = np.stack([(x[i : i + len(w)] * w).sum() for i in range(0, len(x) - len(w) + 1, s)])
        return out, (x, w, conv_param)

    def conv_backward(dout, cache):
        x, w, conv_param = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for j, g in enumerate(dout):
            i = j * conv_param["stride"]
            dx[i : i + len(w)] += g * w
            dw += g * x[i : i + len(w)]
        return dx, wrong * dw

    return ((conv_forward, conv_backward), (array(9), array(3), {"stride": 2})), {}, "w"


@form
def several_outputs(wrong):
    def step_forward(x, h, c, w):
        z = x @ w + h
        return np.tanh(z), c * z, (x, c, w, z)

    def step_backward(dnext_h, dnext_c, cache):
        x, c, w, z = cache
        dz = dnext_h * (1 - np.tanh(z) ** 2) + dnext_c * c
        return dz @ w.T, dz, dnext_c * z, wrong * x.T @ dz

    return ((step_forward, step_backward), (array(5, 4), array(5, 3), array(5, 3, seed=1), array(4, 3))), {}, "w"


@form
def a_recurrent_network(wrong):
    def rnn_forward(x, h0, Wx, Wh, b):
        hs, h = [], h0
        for t in range(x.shape[1]):
            h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
            hs.append(h)
        return np.stack(hs, axis=1), (x, h0, Wx, Wh, hs)

    def rnn_backward(dh, cache):
        x, h0, Wx, Wh, hs = cache
        dx, dWx, dWh, db, dnext = np.zeros_like(x), 0 * Wx, 0 * Wh, 0, 0
        for t in reversed(range(x.shape[1])):
            dz = (dh[:, t] + dnext) * (1 - hs[t] ** 2)
            dx[:, t] = dz @ Wx.T
            dWx, dWh = dWx + x[:, t].T @ dz, dWh + (hs[t - 1] if t else h0).T @ dz
            db, dnext = db + dz.sum(axis=0), dz @ Wh.T
        return dx, dnext, dWx, wrong * dWh, db

    arrays = array(2, 3, 4), array(2, 5), array(4, 5), array(5, 5), array(5)
    return ((rnn_forward, rnn_backward), arrays), {}, "Wh"


@form
def attention(wrong):
    def forward(q, k, v):
        s = np.exp(q @ k.T)
        s /= s.sum(axis=1, keepdims=True)
        return s @ v, (q, k, v, s)

    def backward(dout, cache):
        q, k, v, s = cache
        ds = dout @ v.T
        dz = s * (ds - (ds * s).sum(axis=1, keepdims=True))
        return dz @ k, wrong * dz.T @ q, s.T @ dout

    return ((forward, backward), (array(4, 3), array(5, 3), array(5, 2))), {}, "k"


@form
def value_and_gradients(wrong):
    def f(x, w):
        y = x @ w
        return 0.5 * (y**2).sum(), (y @ w.T, wrong * x.T @ y)

    return (f, (array(5, 4), array(4, 3))), {}, "w"


# Losses


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@form
def a_loss_that_returns_its_gradient(wrong):
    def softmax_loss(scores, y):
        p = softmax(scores)
        rows = np.arange(len(y))
        loss = -np.log(p[rows, y]).mean()
        p[rows, y] -= 1
        return loss, wrong * p / len(y)

    return (softmax_loss, array(5, 4), np.array([0, 1, 2, 3, 0])), {}, "scores"


@form
def a_loss_with_the_target_first(wrong):
    def mse(y_true, y_pred):
        return np.mean((y_true - y_pred) ** 2)

    def mse_prime(y_true, y_pred):
        return wrong * 2 * (y_pred - y_true) / y_true.size

    return ((mse, mse_prime), array(5, 3), array(5, 3, seed=1)), {}, "y_pred"


@form
def a_loss_object_with_the_target_first(wrong):
    class MSE:
        def loss(self, y, y_pred):
            return np.mean((y - y_pred) ** 2)

        def gradient(self, y, y_pred):
            return wrong * 2 * (y_pred - y) / y.size

    return (MSE(), array(5, 3), array(5, 3, seed=1)), {}, "y_pred"


@form
def a_loss_with_state(wrong):
    class SoftmaxWithLoss:
        def forward(self, x, t):
            self.y, self.t = softmax(x), t
            return -np.log(self.y[np.arange(len(t)), t]).mean()

        def backward(self, dout=1):
            dx = self.y.copy()
            dx[np.arange(len(dx)), self.t] -= 1
            return wrong * dout * dx / len(dx)

    return (SoftmaxWithLoss(), array(5, 4), np.array([0, 1, 2, 3, 0])), {}, "x"


@form
def a_loss_whose_backward_takes_both(wrong):
    class Loss:
        def forward(self, y_pred, y_true):
            return ((y_pred - y_true) ** 2).mean()

        def backward(self, dvalues, y_true):
            self.dinputs = wrong * 2 * (dvalues - y_true) / dvalues.size

    return (Loss(), array(5, 3), array(5, 3, seed=1)), {}, "y_pred"


# Layers


@form
def results_in_attributes(wrong):
    class LayerDense:
        def __init__(self):
            self.weights, self.biases = array(4, 3), np.zeros((1, 3))

        def forward(self, inputs):
            self.inputs = inputs
            self.output = inputs @ self.weights + self.biases

        def backward(self, dvalues):
            self.dweights = wrong * self.inputs.T @ dvalues
            self.dbiases = dvalues.sum(axis=0, keepdims=True)
            self.dinputs = dvalues @ self.weights.T

    return (LayerDense(), array(5, 4)), {}, "weights"


@form
def other_names_and_a_learning_rate(wrong):
    class Dense:
        def __init__(self):
            self.W, self.b = array(4, 3), array(3)

        def forward_pass(self, X):
            self.X = X
            return X @ self.W + self.b

        def backward_pass(self, output_gradient, learning_rate):
            grad_W, grad_b = wrong * self.X.T @ output_gradient, output_gradient.sum(axis=0)
            grad_input = output_gradient @ self.W.T
            self.W -= learning_rate * grad_W
            self.b = self.b - learning_rate * grad_b
            return grad_input

    return (Dense(), array(5, 4)), {}, "W"


@form
def an_update_with_a_rate_of_its_own(wrong):
    class Dense:
        def __init__(self):
            self.W, self.lr = array(4, 3), 0.125

        def fprop(self, x):
            self.x = x
            return x @ self.W

        def bprop(self, g):
            back = g @ self.W.T
            self.W -= self.lr * wrong * self.x.T @ g
            return back

    return (Dense(), array(5, 4)), {}, "W"


@form
def backward_returns_a_list_of_parameters(wrong):
    class Affine:
        def __init__(self):
            self.W, self.b = array(4, 3), array(3)

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, g):
            return g @ self.W.T, [wrong * self.x.T @ g, g.sum(axis=0)]

    return (Affine(), array(5, 4)), {}, "W"


@form
def backward_returns_a_flat_tuple(wrong):
    class Affine:
        def __init__(self):
            self.W, self.b = array(4, 4), array(4)

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, g):
            return g @ self.W.T, wrong * self.x.T @ g, g.sum(axis=0)

    return (Affine(), array(4, 4, seed=1)), {}, "W"


@form
def forward_and_backward_with_a_cache(wrong):
    class Affine:
        def __init__(self):
            self.params = {"W": array(4, 3)}

        def forward(self, x):
            return x @ self.params["W"], x

        def backward(self, dout, cache):
            return dout @ self.params["W"].T, {"W": wrong * cache.T @ dout}

    return (Affine(), array(5, 4)), {}, "W"


@form
def samples_in_columns(wrong):
    class Dense:
        def __init__(self):
            self.W, self.b = array(3, 4), array(3, 1)

        def forward(self, A):
            self.A = A
            return self.W @ A + self.b

        def backward(self, dZ):
            self.dW, self.db = wrong * dZ @ self.A.T, dZ.sum(axis=1, keepdims=True)
            return self.W.T @ dZ

    return (Dense(), array(4, 6)), {}, "W"


@form
def parameter_objects(wrong):
    class Parameter:
        def __init__(self, value):
            self.value, self.grad = value, np.zeros_like(value)

    class Dense:
        def __init__(self):
            self.W = Parameter(array(4, 3))

        def forward(self, x):
            self.x = x
            return x @ self.W.value

        def backward(self, g):
            self.W.grad[...] = wrong * self.x.T @ g
            return g @ self.W.value.T

    return (Dense(), array(5, 4)), {}, "W"


# Networks


@form
def a_network_with_a_loss_method(wrong):
    class TwoLayerNet:
        def __init__(self):
            self.reg = 0.1
            self.params = {"W1": array(4, 6), "b1": array(6), "W2": array(6, 3), "b2": array(3)}

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

    return (TwoLayerNet(), array(5, 4), np.array([0, 1, 2, 1, 0])), {}, "W1"


@form
def a_network_with_loss_and_gradient(wrong):
    class Net:
        def __init__(self):
            self.params = {"W1": array(4, 3)}

        def predict(self, x):
            return softmax(x @ self.params["W1"])

        def loss(self, x, t):
            return -np.log(self.predict(x)[np.arange(len(t)), t]).mean()

        def gradient(self, x, t):
            p = self.predict(x)
            p[np.arange(len(t)), t] -= 1
            return {"W1": wrong * x.T @ p / len(t)}

    return (Net(), array(5, 4), np.array([0, 1, 2, 1, 0])), {}, "W1"


@form
def a_network_whose_cost_is_not_written(wrong):
    class Network:
        def __init__(self):
            self.biases = [array(5, 1), array(2, 1)]
            self.weights = [array(5, 3), array(2, 5)]

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

    return (Network(), array(3, 1), array(2, 1)), {}, "weights[0]"


@form
def a_model_whose_gradient_is_that_of_its_one_parameter(wrong):
    class Logistic:
        def __init__(self):
            self.w = array(4)

        def predict(self, x):
            return 1 / (1 + np.exp(-x @ self.w))

        def loss(self, x, y):
            p = self.predict(x)
            return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

        def gradient(self, x, y):
            return wrong * x.T @ (self.predict(x) - y) / len(y)

    return (Logistic(), array(5, 4), np.array([0.0, 1.0, 1.0, 0.0, 1.0])), {}, "w"


@form
def columns_and_caches_in_functions(wrong):
    def linear_activation_forward(A_prev, W, b):
        Z = W @ A_prev + b
        return np.tanh(Z), ((A_prev, W, b), Z)

    def linear_activation_backward(dA, cache):
        (A_prev, W, _), Z = cache
        dZ = dA * (1 - np.tanh(Z) ** 2)
        return W.T @ dZ, wrong * dZ @ A_prev.T, dZ.sum(axis=1, keepdims=True)

    return ((linear_activation_forward, linear_activation_backward), (array(4, 6), array(3, 4), array(3, 1))), {}, "W"


@form
def arrays_that_live_anywhere(wrong):
    x, W = array(5, 4), array(4, 3)
    return (lambda: np.tanh(x @ W), _live_gradients(x, W, wrong)), {"x": x, "W": W}, "W"


def _live_gradients(x, W, wrong):
    def grads(g):
        dz = g * (1 - np.tanh(x @ W) ** 2)
        return dz @ W.T, wrong * x.T @ dz

    return grads


@form
def arrays_that_are_bound_anew(wrong):
    class Net:
        W = array(4, 3)

    net, x = Net(), array(5, 4)
    run, grads = lambda: x @ net.W, lambda g: {"samples": wrong * x.T @ g}
    return (run, grads), {"arrays": {"samples": (net, "W")}}, "samples"


@form
def a_function_with_a_context(wrong):
    class Multiply:
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, grad_output):
            x, w = ctx.saved_tensors
            return grad_output * w, wrong * grad_output * x

    return (Multiply(), (array(5, 4), array(5, 4, seed=1))), {}, "w"


@form
def a_training_flag(wrong):
    class Dense:
        def __init__(self):
            self._w, self._dw = array(4, 3), None

        def forward_pass(self, a_prev, training):
            self._a_prev = a_prev.copy()
            return a_prev @ self._w if training else None

        def backward_pass(self, da_curr):
            self._dw = wrong * self._a_prev.T @ da_curr
            return da_curr @ self._w.T

    return (Dense(), array(5, 4)), {}, "_w"


@form
def gradients_added_up_until_flushed(wrong):
    class FullyConnected:
        def __init__(self):
            self.X, self.gradients, self.parameters = [], {}, {"W": array(4, 3)}
            self.flush_gradients()

        def flush_gradients(self):
            self.X, self.gradients = [], {"W": np.zeros((4, 3))}

        def forward(self, X, retain_derived=True):
            if retain_derived:
                self.X.append(X)
            return X @ self.parameters["W"]

        def backward(self, dLdy, retain_grads=True):
            if retain_grads:
                self.gradients["W"] += wrong * self.X[0].T @ dLdy
            return dLdy @ self.parameters["W"].T

    return (FullyConnected(), array(5, 4)), {}, "W"


@form
def a_batch_norm_with_running_statistics(wrong):
    class BatchNorm:
        def __init__(self):
            self.gamma, self.beta, self.momentum = 1 + 0.1 * array(4), array(4, seed=1), 0.9
            self.running_mean, self.running_var = np.zeros(4), np.ones(4)

        def forward(self, x, train_flg=True):
            mu, var = (x.mean(axis=0), x.var(axis=0)) if train_flg else (self.running_mean, self.running_var)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
            self.std = np.sqrt(var + 1e-5)
            self.xn = (x - mu) / self.std
            return self.gamma * self.xn + self.beta

        def backward(self, dout):
            self.dbeta, self.dgamma = dout.sum(axis=0), wrong * (dout * self.xn).sum(axis=0)
            dxn = dout * self.gamma
            return (dxn - dxn.mean(axis=0) - self.xn * (dxn * self.xn).mean(axis=0)) / self.std

    return (BatchNorm(), array(5, 4)), {}, "gamma"


@form
def a_list_of_layers_with_a_loss(wrong):
    class Dense:
        def __init__(self, n_in, n_out):
            self.W, self.b = array(n_in, n_out), array(n_out)

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, g):
            self.dW, self.db = self.x.T @ g, g.sum(axis=0)
            return g @ self.W.T

    class Tanh:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, g):
            return wrong * g * (1 - self.y**2)

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

    return (Model(), array(5, 4), array(5, 3, seed=1)), {}, ""


@form
def a_list_of_arrays(wrong):
    class Multiply:
        def forward(self, xs):
            self.xs = xs
            return xs[0] * xs[1]

        def backward(self, g):
            return [g * self.xs[1], wrong * g * self.xs[0]]

    return (Multiply(), [array(5, 4), array(5, 4, seed=1)]), {}, "xs[1]"


@form
def an_embedding_layer(wrong):
    class Embedding:
        def __init__(self):
            self.W = array(6, 3)

        def forward(self, ids):
            self.ids = ids
            return self.W[ids]

        def backward(self, dout):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.ids, wrong * dout)

    return (Embedding(), (np.array([0, 2, 2, 4]),)), {}, "W"


@form
def a_second_step_that_fails(wrong):
    class Once:
        def __init__(self):
            self.kept, self.W = [], array(4, 3)

        def forward(self, x):
            self.kept.append(x)
            return x @ self.W

        def backward(self, g):
            (x,) = self.kept
            self.dW = wrong * x.T @ g
            return g @ self.W.T

    return (Once(), array(5, 4)), {}, "W"


@form
def none_for_an_argument_without_gradient(wrong):
    def f(x, mask):
        return x * mask, mask

    def g(dout, cache):
        return wrong * dout * cache, None

    return ((f, g), (array(5, 4), (array(5, 4) > 0).astype(float))), {}, "x"


@form
def losses_of_samples(wrong):
    class CrossEntropy:
        def forward(self, y_pred, y_true):
            return -np.log(y_pred[range(len(y_pred)), y_true])

        def backward(self, dvalues, y_true):
            rows = range(len(dvalues))
            self.dinputs = np.zeros_like(dvalues)
            self.dinputs[rows, y_true] = -wrong / dvalues[rows, y_true] / len(dvalues)

    return (CrossEntropy(), softmax(array(5, 3)), np.array([0, 2, 1, 1, 0])), {}, "y_pred"


@form
def a_network_whose_backward_takes_its_output(wrong):
    class Model:
        def __init__(self):
            self.W1, self.W2 = array(4, 5), array(5, 3)

        def forward(self, X, training):
            self.X, self.h = X, np.tanh(X @ self.W1) * (1.0 if training else 0.5)
            return softmax(self.h @ self.W2)

        def backward(self, output, y):
            delta = output.copy()
            delta[range(len(y)), y] -= 1
            delta /= len(y)
            self.dW2 = wrong * self.h.T @ delta
            self.dW1 = self.X.T @ (delta @ self.W2.T * (1 - self.h**2))

    return (Model(), array(5, 4), np.array([0, 2, 1, 1, 0])), {}, "W2"


@form
def an_identity(wrong):
    class Linear:
        def forward(self, inputs):
            self.inputs = self.output = inputs

        def backward(self, dvalues):
            self.dinputs = wrong * dvalues

    return (Linear(), array(5, 4)), {}, "inputs"


@form
def a_state_kept_from_call_to_call(wrong):
    class Recurrent:
        def __init__(self):
            self.params, self.h = [array(4, 3), 0.5 * array(3, 3)], None
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

    return (Recurrent(), array(3, 2, 4)), {}, "params[1]"


@form
def a_gradient_that_runs_forward_again(wrong):
    class Net:
        def __init__(self):
            self.params, self.rng = {"W1": array(4, 6), "W2": array(6, 3)}, rng(7)

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

    return (Net(), array(5, 4), np.array([0, 1, 2, 1, 0])), {}, "W1"


@form
def a_loss_of_weights_and_data(wrong):
    def softmax_loss(W, X, y, reg):
        p = softmax(X @ W)
        loss = -np.log(p[np.arange(len(y)), y]).mean() + reg * (W**2).sum()
        p[np.arange(len(y)), y] -= 1
        return loss, wrong * X.T @ p / len(y) + 2 * reg * W

    return (softmax_loss, (array(4, 3), array(5, 4), np.array([0, 2, 1, 1, 0]), 0.1)), {}, "W"


@form
def outputs_and_states_in_a_list(wrong):
    class Recurrent:
        def __init__(self):
            self.U, self.V = 0.5 * array(3, 6), array(6, 3)

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
