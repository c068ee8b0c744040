"""Functions: a forward pass, and a backward pass beside it."""

from __future__ import annotations

from functools import partial

import numpy as np

from scripts.proof.forms.draws import BOUNDED, form


@form
def function_with_cache(d, wrong):
    def affine_forward(x, w, b):
        return x @ w + b, (x, w, b)

    def affine_backward(dout, cache):
        x, w, _ = cache
        return dout @ w.T, wrong * x.T @ dout, dout.sum(axis=0)

    return ((affine_forward, affine_backward), (d.array(5, 4), d.array(4, 3), d.array(3))), {}, "w"


@form
def function_with_one_array_as_cache(d, wrong):
    relu, slope = d.activation("relu")

    def relu_forward(x):
        return relu(x), x

    def relu_backward(dout, cache):
        return wrong * dout * slope(cache)

    return ((relu_forward, relu_backward), d.array(5, 4)), {}, "x"


@form
def function_with_cache_first(d, wrong):
    def fwd(x, w):
        return np.tanh(x @ w), (x, w, np.tanh(x @ w))

    def bwd(res, g):
        x, w, y = res
        g = g * (1 - y**2)
        return g @ w.T, wrong * x.T @ g

    return ((fwd, bwd), (d.array(5, 4), d.array(4, 3))), {}, "w"


@form
def gradient_before_the_inputs(d, wrong):
    act, slope = d.activation("sin")

    def f(x, w):
        return act(x @ w)

    def g(dout, x, w):
        dz = dout * slope(x @ w)
        return dz @ w.T, wrong * x.T @ dz

    return ((f, g), (d.array(5, 4), d.array(4, 3))), {}, "w"


@form
def gradient_after_the_inputs(d, wrong):
    act, slope = d.activation("sin")

    def f(x, w):
        return act(x @ w)

    def g(x, w, dout):
        dz = dout * slope(x @ w)
        return {"x": dz @ w.T, "w": wrong * x.T @ dz}

    return ((f, g), (d.array(5, 4), d.array(4, 3))), {}, "w"


@form
def gradients_in_a_dict_of_other_names(d, wrong):
    def f(x, w):
        return x @ w

    def g(dout, x, w):
        return {"dw": wrong * x.T @ dout, "dx": dout @ w.T}

    return ((f, g), (d.array(5, 4), d.array(4, 3))), {}, "w"


@form
def gradient_and_output(d, wrong):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def sigmoid_backward(dA, out):
        return wrong * dA * out * (1 - out)

    return ((sigmoid, sigmoid_backward), d.array(5, 4)), {}, "x"


@form
def derivative_of_the_output(d, wrong):
    return ((np.tanh, lambda s: wrong * (1 - s**2)), d.array(5, 4)), {}, "x"


@form
def derivative_of_the_input(d, wrong):
    def square(z):
        return z**2

    def square_prime(z):
        return wrong * 2 * z

    return ((square, square_prime), d.array(5, 4)), {}, "z"


@form
def a_jacobian(d, wrong):
    def softmax(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    def softmax_jacobian(z):
        s = softmax(z)
        return wrong * (np.diag(s) - np.outer(s, s))

    return ((softmax, softmax_jacobian), d.array(5)), {}, "z"


@form
def an_integer_input(d, wrong):
    def embedding_forward(ids, table):
        return table[ids], (ids, table)

    def embedding_backward(dout, cache):
        ids, table = cache
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids, dout)
        return wrong * dtable

    return ((embedding_forward, embedding_backward), (d.labels(4, 6), d.array(6, 3))), {}, "table"


@form
def a_partial_function(d, wrong):
    def elu(x, alpha, scale):
        return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

    def elu_backward(dout, x, alpha, scale):
        return wrong * scale * dout * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))

    return ((partial(elu, alpha=0.3, scale=1.5), elu_backward), d.fixed(5, 4)), {}, "x"


@form
def settings_beside_the_arrays(d, wrong):
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

    return ((conv_forward, conv_backward), (d.array(9), d.array(3), {"stride": 2})), {}, "w"


@form
def several_outputs(d, wrong):
    act, slope = d.activation("tanh")

    def step_forward(x, h, c, w):
        z = x @ w + h
        return act(z), c * z, (x, c, w, z)

    def step_backward(dnext_h, dnext_c, cache):
        x, c, w, z = cache
        dz = dnext_h * slope(z) + dnext_c * c
        return dz @ w.T, dz, dnext_c * z, wrong * x.T @ dz

    return (
        ((step_forward, step_backward), (d.array(5, 4), d.array(5, 3), d.array(5, 3, seed=1), d.array(4, 3))),
        {},
        "w",
    )


@form
def gradients_of_all_outputs_in_one_argument(d, wrong):
    act, slope = d.activation("tanh")

    def polar(x):
        return act(x), x**2

    def polar_backward(douts, x):
        return wrong * douts[0] * slope(x) + 2 * x * douts[1]

    return ((polar, polar_backward), d.array(5, 4)), {}, "x"


@form
def parameters_in_one_tuple(d, wrong):
    act, slope = d.activation("tanh")
    x = d.array(5, 4)

    def f(params):
        w, b = params
        return act(x @ w + b)

    def g(params, grad_output):
        w, b = params
        dz = grad_output * slope(x @ w + b)
        return wrong * x.T @ dz, dz.sum(axis=0)

    return ((f, g), (d.array(4, 3), d.array(3))), {}, "params[0]"


@form
def a_recurrent_network(d, wrong):
    act, slope = d.activation("tanh", BOUNDED)

    def rnn_forward(x, h0, Wx, Wh, b):
        zs, hs, h = [], [], h0
        for t in range(x.shape[1]):
            zs.append(x[:, t] @ Wx + h @ Wh + b)
            h = act(zs[-1])
            hs.append(h)
        return np.stack(hs, axis=1), (x, h0, Wx, Wh, zs, hs)

    def rnn_backward(dh, cache):
        x, h0, Wx, Wh, zs, hs = cache
        dx, dWx, dWh, db, dnext = np.zeros_like(x), 0 * Wx, 0 * Wh, 0, 0
        for t in reversed(range(x.shape[1])):
            dz = (dh[:, t] + dnext) * slope(zs[t])
            dx[:, t] = dz @ Wx.T
            dWx, dWh = dWx + x[:, t].T @ dz, dWh + (hs[t - 1] if t else h0).T @ dz
            db, dnext = db + dz.sum(axis=0), dz @ Wh.T
        return dx, dnext, dWx, wrong * dWh, db

    arrays = d.array(2, 3, 4), d.array(2, 5), d.array(4, 5), d.array(5, 5), d.array(5)
    return ((rnn_forward, rnn_backward), arrays), {}, "Wh"


@form
def attention(d, wrong):
    def forward(q, k, v):
        s = np.exp(q @ k.T)
        s /= s.sum(axis=1, keepdims=True)
        return s @ v, (q, k, v, s)

    def backward(dout, cache):
        q, k, v, s = cache
        ds = dout @ v.T
        dz = s * (ds - (ds * s).sum(axis=1, keepdims=True))
        return dz @ k, wrong * dz.T @ q, s.T @ dout

    return ((forward, backward), (d.array(4, 3), d.array(5, 3), d.array(5, 2))), {}, "k"


@form
def value_and_gradients(d, wrong):
    def f(x, w):
        y = x @ w
        return 0.5 * (y**2).sum(), (y @ w.T, wrong * x.T @ y)

    return (f, (d.array(5, 4), d.array(4, 3))), {}, "w"


@form
def residuals_and_their_jacobian(d, wrong):
    def residuals_and_jacobian(params, t, y):
        amplitude, rate, offset = params
        r = amplitude * np.exp(-rate * t) + offset - y
        J = np.stack([np.exp(-rate * t), -amplitude * t * np.exp(-rate * t), np.ones_like(t)], axis=1)
        return r, wrong * J

    t = np.linspace(0.1, 2.0, 7)
    return (residuals_and_jacobian, (d.fixed(3), t, d.fixed(7))), {}, "params"


@form
def an_energy_and_its_forces(d, wrong):
    def energy_and_forces(positions, k=2.0):
        bonds = np.diff(positions, axis=0)
        length = np.sqrt((bonds**2).sum(axis=1, keepdims=True))
        pull = k * (length - 1.0) * bonds / length
        forces = np.zeros_like(positions)
        forces[:-1] += wrong * pull
        forces[1:] -= wrong * pull
        return 0.5 * k * ((length - 1.0) ** 2).sum(), forces

    return (energy_and_forces, d.array(4, 3)), {}, "positions"


@form
def columns_and_caches_in_functions(d, wrong):
    act, slope = d.activation("tanh")

    def linear_activation_forward(A_prev, W, b):
        Z = W @ A_prev + b
        return act(Z), ((A_prev, W, b), Z)

    def linear_activation_backward(dA, cache):
        (A_prev, W, _), Z = cache
        dZ = dA * slope(Z)
        return W.T @ dZ, wrong * dZ @ A_prev.T, dZ.sum(axis=1, keepdims=True)

    return (
        ((linear_activation_forward, linear_activation_backward), (d.array(4, 6), d.array(3, 4), d.array(3, 1))),
        {},
        "W",
    )


@form
def a_function_with_a_context(d, wrong):
    class Multiply:
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, grad_output):
            x, w = ctx.saved_tensors
            return grad_output * w, wrong * grad_output * x

    return (Multiply(), (d.array(5, 4), d.array(5, 4, seed=1))), {}, "w"


@form
def a_dict_that_backward_fills(d, wrong):
    class Dense:
        def __init__(self):
            self.name, self.held = "dense", {"dense/W": d.array(4, 3), "dense/b": d.array(3)}

        def forward(self, x):
            return x @ self.held["dense/W"] + self.held["dense/b"], {}

        def backward(self, x, cache, output_gradient, gradients):
            del cache
            gradients[f"{self.name}/W"] = wrong * x.T @ output_gradient
            gradients[f"{self.name}/b"] = output_gradient.sum(axis=0)
            return output_gradient @ self.held["dense/W"].T

    return (Dense(), d.array(5, 4)), {}, "held['dense/W']"


@form
def none_for_an_argument_without_gradient(d, wrong):
    def f(x, mask):
        return x * mask, mask

    def g(dout, cache):
        return wrong * dout * cache, None

    return ((f, g), (d.array(5, 4), (d.array(5, 4) > 0).astype(float))), {}, "x"
