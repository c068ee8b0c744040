"""Layers: objects with a forward and a backward pass, and with parameters."""

from __future__ import annotations

import numpy as np

from scripts.proof.forms.draws import form


@form
def results_in_attributes(d, wrong):
    class LayerDense:
        def __init__(self):
            self.weights, self.biases = d.array(4, 3), 0.0 * d.array(1, 3)

        def forward(self, inputs):
            self.inputs = inputs
            self.output = inputs @ self.weights + self.biases

        def backward(self, dvalues):
            self.dweights = wrong * self.inputs.T @ dvalues
            self.dbiases = dvalues.sum(axis=0, keepdims=True)
            self.dinputs = dvalues @ self.weights.T

    return (LayerDense(), d.array(5, 4)), {}, "weights"


@form
def other_names_and_a_learning_rate(d, wrong):
    class Dense:
        def __init__(self):
            self.W, self.b = d.array(4, 3), d.array(3)

        def forward_pass(self, X):
            self.X = X
            return X @ self.W + self.b

        def backward_pass(self, output_gradient, learning_rate):
            grad_W, grad_b = wrong * self.X.T @ output_gradient, output_gradient.sum(axis=0)
            grad_input = output_gradient @ self.W.T
            self.W -= learning_rate * grad_W
            self.b = self.b - learning_rate * grad_b
            return grad_input

    return (Dense(), d.array(5, 4)), {}, "W"


@form
def an_update_with_a_rate_of_its_own(d, wrong):
    class Dense:
        def __init__(self):
            self.W, self.lr = d.array(4, 3), 0.125

        def fprop(self, x):
            self.x = x
            return x @ self.W

        def bprop(self, g):
            back = g @ self.W.T
            self.W -= self.lr * wrong * self.x.T @ g
            return back

    return (Dense(), d.array(5, 4)), {}, "W"


@form
def backward_returns_a_list_of_parameters(d, wrong):
    class Affine:
        def __init__(self):
            self.W, self.b = d.array(4, 3), d.array(3)

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, g):
            return g @ self.W.T, [wrong * self.x.T @ g, g.sum(axis=0)]

    return (Affine(), d.array(5, 4)), {}, "W"


@form
def backward_returns_a_flat_tuple(d, wrong):
    class Affine:
        def __init__(self):
            self.W, self.b = d.array(4, 4), d.array(4)

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, g):
            return g @ self.W.T, wrong * self.x.T @ g, g.sum(axis=0)

    return (Affine(), d.array(4, 4, seed=1)), {}, "W"


@form
def forward_and_backward_with_a_cache(d, wrong):
    class Affine:
        def __init__(self):
            self.params = {"W": d.array(4, 3)}

        def forward(self, x):
            return x @ self.params["W"], x

        def backward(self, dout, cache):
            return dout @ self.params["W"].T, {"W": wrong * cache.T @ dout}

    return (Affine(), d.array(5, 4)), {}, "W"


@form
def samples_in_columns(d, wrong):
    class Dense:
        def __init__(self):
            self.W, self.b = d.array(3, 4), d.array(3, 1)

        def forward(self, A):
            self.A = A
            return self.W @ A + self.b

        def backward(self, dZ):
            self.dW, self.db = wrong * dZ @ self.A.T, dZ.sum(axis=1, keepdims=True)
            return self.W.T @ dZ

    return (Dense(), d.array(4, 6)), {}, "W"


@form
def parameter_objects(d, wrong):
    class Parameter:
        def __init__(self, value):
            self.value, self.grad = value, np.zeros_like(value)

    class Dense:
        def __init__(self):
            self.W = Parameter(d.array(4, 3))

        def forward(self, x):
            self.x = x
            return x @ self.W.value

        def backward(self, g):
            self.W.grad[...] = wrong * self.x.T @ g
            return g @ self.W.value.T

    return (Dense(), d.array(5, 4)), {}, "W"


@form
def a_training_flag(d, wrong):
    class Dense:
        def __init__(self):
            self._w, self._dw = d.array(4, 3), None

        def forward_pass(self, a_prev, training):
            self._a_prev = a_prev.copy()
            return a_prev @ self._w if training else None

        def backward_pass(self, da_curr):
            self._dw = wrong * self._a_prev.T @ da_curr
            return da_curr @ self._w.T

    return (Dense(), d.array(5, 4)), {}, "_w"


@form
def gradients_added_up_until_flushed(d, wrong):
    class FullyConnected:
        def __init__(self):
            self.X, self.gradients, self.parameters = [], {}, {"W": d.array(4, 3)}
            self.flush_gradients()

        def flush_gradients(self):
            self.X, self.gradients = [], {"W": 0.0 * d.array(4, 3)}

        def forward(self, X, retain_derived=True):
            if retain_derived:
                self.X.append(X)
            return X @ self.parameters["W"]

        def backward(self, dLdy, retain_grads=True):
            if retain_grads:
                self.gradients["W"] += wrong * self.X[0].T @ dLdy
            return dLdy @ self.parameters["W"].T

    return (FullyConnected(), d.array(5, 4)), {}, "W"


@form
def a_batch_norm_with_running_statistics(d, wrong):
    class BatchNorm:
        def __init__(self):
            self.gamma, self.beta, self.momentum = 1 + 0.1 * d.array(4), d.array(4, seed=1), 0.9
            self.running_mean, self.running_var = 0.0 * d.array(4), 1.0 + 0.0 * d.array(4)

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

    return (BatchNorm(), d.array(5, 4)), {}, "gamma"


@form
def a_list_of_arrays(d, wrong):
    class Multiply:
        def forward(self, xs):
            self.xs = xs
            return xs[0] * xs[1]

        def backward(self, g):
            return [g * self.xs[1], wrong * g * self.xs[0]]

    return (Multiply(), [d.array(5, 4), d.array(5, 4, seed=1)]), {}, "xs[1]"


@form
def an_embedding_layer(d, wrong):
    class Embedding:
        def __init__(self):
            self.W = d.array(6, 3)

        def forward(self, ids):
            self.ids = ids
            return self.W[ids]

        def backward(self, dout):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.ids, wrong * dout)

    return (Embedding(), d.labels(4, 6)), {}, "W"


@form
def a_second_step_that_fails(d, wrong):
    class Once:
        def __init__(self):
            self.kept, self.W = [], d.array(4, 3)

        def forward(self, x):
            self.kept.append(x)
            return x @ self.W

        def backward(self, g):
            (x,) = self.kept
            self.dW = wrong * x.T @ g
            return g @ self.W.T

    return (Once(), d.array(5, 4)), {}, "W"


@form
def passes_that_differ_in_one_word(d, wrong):
    class Dense:
        def __init__(self):
            self.W = d.fixed(4, 3)

        def forwardPropagateLayer(self, x):
            self.x = x
            return x @ self.W

        def backwardPropagateLayer(self, d):
            self.dW = wrong * self.x.T @ d
            return d @ self.W.T

    return (Dense(), d.fixed(5, 4)), {}, "W"


@form
def an_output_and_its_gradients(d, wrong):
    class Dense:
        def __init__(self):
            self.W = d.fixed(4, 3)

        def get_output(self, x):
            self.x = x
            return x @ self.W

        def compute_gradients(self, grad_output):
            self.dW = wrong * self.x.T @ grad_output
            return grad_output @ self.W.T

    return (Dense(), d.fixed(5, 4)), {}, "W"


@form
def a_function_of_a_class_and_its_derivative(d, wrong):
    class Sine:
        def activation(self, x):
            return np.sin(x)

        def activation_prime(self, x):
            return wrong * np.cos(x)

    return (Sine(), d.array(5, 4)), {}, "x"


@form
def methods_of_one_object(d, wrong):
    class Dense:
        def __init__(self):
            self.W = d.fixed(4, 3)

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, grad_output):
            self.dW = wrong * self.x.T @ grad_output
            return grad_output @ self.W.T

    dense = Dense()
    return ((dense.forward, lambda grad_output: dense.backward(grad_output)), d.fixed(5, 4)), {}, "W"


@form
def layers_in_a_list(d, wrong):
    class Dense:
        def __init__(self, n_in, n_out, factor):
            self.W, self.factor = d.fixed(n_in, n_out), factor

        def forward(self, inputs):
            self.inputs = inputs
            self.output = inputs @ self.W

        def backward(self, dvalues):
            self.dW = self.factor * self.inputs.T @ dvalues
            self.dinputs = dvalues @ self.W.T

    class Tanh:
        def forward_pass(self, x):
            self.y = np.tanh(x)
            return self.y

        def back_propagate(self, error):
            return error * (1 - self.y**2)

    return ([(Dense(4, 5, wrong), Tanh()), (Dense(5, 3, 1.0), Tanh())], d.fixed(6, 4)), {}, "layers[0][0].W"
