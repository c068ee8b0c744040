"""Forms of public code that fit nowhere else: parameters in dicts, costs apart, settings, values after gradients."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from scripts.proof.forms.draws import form


@form
def arguments_of_backward_of_other_names(d, wrong):
    def product(image, filt, bias):
        return image @ filt + bias

    def product_backward(dconv_prev, conv_in, filt):
        return dconv_prev @ filt.T, wrong * conv_in.T @ dconv_prev, dconv_prev.sum(axis=0)

    return ((product, product_backward), (d.fixed(5, 4), d.fixed(4, 3), d.fixed(3))), {}, "filt"


@form
def a_setting_that_backward_has_too(d, wrong):
    def pool_forward(x, size, mode="max"):
        parts = x.reshape(len(x), -1, size)
        return (parts.max(axis=2) if mode == "max" else parts.mean(axis=2)), (parts, size)

    def pool_backward(dout, cache, mode="max"):
        parts, size = cache
        mask = parts == parts.max(axis=2, keepdims=True) if mode == "max" else np.full(parts.shape, 1 / size)
        return wrong * (mask * dout[:, :, None]).reshape(len(parts), -1)

    return ((pool_forward, pool_backward), (d.fixed(5, 4), 2, "average")), {}, "x"


@form
def parameters_in_a_dict(d, wrong):
    def cell_forward(x, parameters):
        a = np.tanh(x @ parameters["W"] + parameters["b"])
        return a, (x, a, parameters)

    def cell_backward(da, cache):
        x, a, parameters = cache
        dz = da * (1 - a**2)
        return {"dx": dz @ parameters["W"].T, "dW": wrong * x.T @ dz, "db": dz.sum(axis=0)}

    parameters = {"W": d.fixed(4, 3), "b": d.fixed(3), "keep_prob": 1.0}
    return ((cell_forward, cell_backward), (d.fixed(5, 4), parameters)), {}, "parameters['W']"


@form
def parameters_in_an_object(d, wrong):
    def forward(net, x):
        net.x, net.a = x, np.tanh(x @ net.W + net.b)
        return net.a

    def backward(net, grad_output):
        dz = grad_output * (1 - net.a**2)
        net.dW, net.db = wrong * net.x.T @ dz, dz.sum(axis=0)
        return dz @ net.W.T

    return ((forward, backward), (SimpleNamespace(W=d.fixed(4, 3), b=d.fixed(3)), d.fixed(5, 4))), {}, "net.W"


@form
def an_output_without_a_gradient_before_the_cache(d, wrong):
    def step_forward(x, w):
        h = np.tanh(x @ w)
        return h, np.exp(h), (x, w, h)

    def step_backward(dh_next, cache):
        x, w, h = cache
        dz = dh_next * (1 - h**2)
        return dz @ w.T, wrong * x.T @ dz

    return ((step_forward, step_backward), (d.fixed(5, 4), d.fixed(4, 3))), {}, "w"


@form
def gradients_before_the_value(d, wrong):
    def propagate(w, b, X, Y):
        A = 1 / (1 + np.exp(-(w.T @ X + b)))
        cost = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
        return {"dw": wrong * X @ (A - Y).T / Y.size, "db": np.mean(A - Y)}, cost

    return (
        (propagate, (d.fixed(4, 1), d.fixed(1, 1), d.fixed(4, 6), np.random.default_rng(3).uniform(0, 1, (1, 6)))),
        {},
        "w",
    )


@form
def a_list_of_gradients_before_the_value(d, wrong):
    def step(image, label, params):
        w, b = params
        p = np.exp(image @ w + b)
        p /= p.sum(axis=1, keepdims=True)
        dz = p - label
        return [wrong * image.T @ dz, dz.sum(axis=0)], -np.sum(label * np.log(p))

    return (step, (d.fixed(5, 4), np.eye(3)[[0, 1, 2, 1, 0]], [d.fixed(4, 3), d.fixed(3)])), {}, "params[0]"


@form
def a_gradient_of_one_argument_alone(d, wrong):
    def cost(x, theta):
        return float(np.sin(x @ theta))

    def gradient(x, theta):
        return wrong * x * np.cos(x @ theta)

    return ((cost, gradient), (d.fixed(4), d.fixed(4, seed=1))), {}, "theta"


@form
def functions_whose_cost_is_another(d, wrong):
    def network_forward(X, parameters):
        A1 = np.tanh(parameters["W1"] @ X + parameters["b1"])
        A2 = 1 / (1 + np.exp(-(parameters["W2"] @ A1 + parameters["b2"])))
        return A2, (A1, A2)

    def network_backward(AL, Y, cache, parameters, X):
        A1, _ = cache
        dZ2 = (AL - Y) / Y.shape[1]
        dZ1 = parameters["W2"].T @ dZ2 * (1 - A1**2)
        grads = {"dW2": dZ2 @ A1.T, "db2": np.squeeze(np.sum(dZ2))}
        return grads | {"dW1": wrong * dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True)}

    def compute_cost(AL, Y):
        return -np.mean(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))

    parameters = {"W1": d.fixed(3, 4), "b1": d.fixed(3, 1), "W2": d.fixed(1, 3), "b2": d.fixed(1, 1)}
    Y = np.random.default_rng(3).uniform(0, 1, (1, 6))
    inputs = (d.fixed(4, 6), parameters)
    return ((network_forward, network_backward), inputs, Y), {"loss": compute_cost}, "parameters['W1']"


@form
def functions_of_parameters_cache_data_and_targets(d, wrong):
    def forward_propagation(X, parameters):
        A1 = np.tanh(parameters["W1"] @ X + parameters["b1"])
        A2 = 1 / (1 + np.exp(-(parameters["W2"] @ A1 + parameters["b2"])))
        return A2, {"A1": A1, "A2": A2}

    def backward_propagation(parameters, cache, X, Y):
        dZ2 = (cache["A2"] - Y) / Y.shape[1]
        dZ1 = parameters["W2"].T @ dZ2 * (1 - cache["A1"] ** 2)
        grads = {"dW2": dZ2 @ cache["A1"].T, "db2": dZ2.sum(axis=1, keepdims=True)}
        return grads | {"dW1": wrong * dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True)}

    parameters = {"W1": d.fixed(3, 4), "b1": d.fixed(3, 1), "W2": d.fixed(1, 3), "b2": d.fixed(1, 1)}
    Y = np.random.default_rng(3).integers(0, 2, (1, 6)).astype(np.float64)
    return ((forward_propagation, backward_propagation), (d.fixed(4, 6), parameters), Y), {}, "parameters['W1']"


@form
def a_loss_with_weights_of_the_classes(d, wrong):
    class Weighted:
        def __init__(self):
            self.weights = np.array([1.0, 2.0, 0.5])

        def loss(self, logits, labels):
            return np.sum(self.weights * (logits - labels) ** 2)

        def grad(self, logits, labels):
            return wrong * 2 * self.weights * (logits - labels)

    return (Weighted(), d.fixed(5, 3), d.fixed(5, 3, seed=1)), {}, "logits"


@form
def buffers_of_float32_in_a_dict(d, wrong):
    class Layer:
        def __init__(self):
            self.params = {"w": d.fixed(4, 3).astype(np.float32), "b": d.fixed(3).astype(np.float32)}
            self.grads, self.ctx = {}, {}

        def forward(self, inputs):
            columns = np.empty(inputs.shape, np.float32)
            columns[...] = inputs
            self.ctx = {"columns": columns}
            return columns @ self.params["w"] + self.params["b"]

        def backward(self, grad):
            self.grads = {"w": wrong * self.ctx["columns"].T @ grad, "b": grad.sum(axis=0)}
            return grad @ self.params["w"].T

    return (Layer(), d.fixed(5, 4)), {}, "params['w']"


@form
def an_update_beside_a_kept_output(d, wrong):
    class Layer:
        def __init__(self):
            self.weights, self.bias = d.fixed(4, 3), d.fixed(1, 3)

        def forward_propagation(self, input_data):
            self.input = input_data
            self.output = self.input @ self.weights + self.bias
            return self.output

        def backward_propagation(self, output_error, learn_rate):
            input_error = output_error @ self.weights.T
            self.weights -= learn_rate * wrong * self.input.T @ output_error
            self.bias -= learn_rate * output_error
            return input_error

    return (Layer(), d.fixed(1, 4)), {}, "weights"


@form
def a_cost_beside_the_model(d, wrong):
    class Model:
        def __init__(self):
            self.W, self.b = d.fixed(1, 4), d.fixed(1, 1)

        def L_model_forward(self, X):
            self.X, self.AL = X, 1 / (1 + np.exp(-(self.W @ X + self.b)))
            return self.AL

        def compute_cost(self, AL, Y):
            return -np.mean(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))

        def L_model_backward(self, AL, Y):
            dZ = (AL - Y) / Y.shape[1]
            self.dW, self.db = wrong * dZ @ self.X.T, dZ.sum(axis=1, keepdims=True)

    return (Model(), d.fixed(4, 6), np.random.default_rng(3).uniform(0, 1, (1, 6))), {}, "W"
