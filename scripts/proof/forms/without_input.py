"""Passes that take no input: of an object that holds its data, of a graph of nodes; the check is given nothing else."""

from __future__ import annotations

import numpy as np

from scripts.proof.forms.draws import form, softmax


@form
def a_loss_that_takes_nothing(d, wrong):
    class Regression:
        def __init__(self, X, labels):
            self.X, self.labels = X, labels
            self.params = {"W": d.array(4, 3), "b": d.array(3)}

        def loss(self):
            self.p = softmax(self.X @ self.params["W"] + self.params["b"])
            return -np.mean(np.log(self.p[np.arange(len(self.X)), self.labels]))

        def backward(self):
            dz = self.p.copy()
            dz[np.arange(len(dz)), self.labels] -= 1
            self.grads = {"W": wrong * self.X.T @ dz / len(dz), "b": dz.mean(axis=0)}

    return (Regression(d.array(5, 4), d.labels(5, 3)),), {}, "params['W']"


@form
def an_output_kept_by_passes_that_take_nothing(d, wrong):
    class Network:
        def __init__(self, x, y):
            self.x, self.y = x, y
            self.W, self.b = d.array(4, 3), d.array(3)

        def forward(self):
            self.output = np.tanh(self.x @ self.W + self.b)

        def backward(self):
            dz = (self.output - self.y) * (1 - self.output**2)
            self.dW, self.db = self.x.T @ dz, wrong * dz.sum(axis=0)

    return (Network(d.array(5, 4), d.array(5, 3)),), {}, "b"


@form
def a_graph_of_nodes(d, wrong):
    class Node:
        def __init__(self, *inputs):
            self.inputs, self.outputs, self.gradients = inputs, [], {}
            for node in inputs:
                node.outputs.append(self)

        def forward(self):
            pass

        def backward(self):
            self.gradients = {self: sum(node.gradients[self] for node in self.outputs)}

    class Input(Node):
        def __init__(self, value):
            super().__init__()
            self.value = value

    class Linear(Node):
        def forward(self):
            x, w, b = (node.value for node in self.inputs)
            self.value = x @ w + b

        def backward(self):
            super().backward()
            x, w, b = self.inputs
            grad = self.gradients[self]
            self.gradients |= {x: grad @ w.value.T, w: wrong * x.value.T @ grad, b: grad.sum(axis=0)}

    class Tanh(Node):
        def forward(self):
            self.value = np.tanh(self.inputs[0].value)

        def backward(self):
            super().backward()
            self.gradients[self.inputs[0]] = self.gradients[self] * (1 - self.value**2)

    class MSE(Node):
        def forward(self):
            self.difference = self.inputs[0].value - self.inputs[1].value
            self.value = np.mean(self.difference**2)

        def backward(self):
            grad = 2 * self.difference / self.difference.size
            self.gradients = {self.inputs[0]: grad, self.inputs[1]: -grad}

    x, w, b, y = (Input(d.array(*shape)) for shape in ((5, 4), (4, 3), (3,), (5, 3)))
    linear = Linear(x, w, b)
    hidden = Tanh(linear)
    return ([x, w, b, y, linear, hidden, MSE(y, hidden)],), {}, "nodes[1]"
