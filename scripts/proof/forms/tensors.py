"""Engines of one's own: tensors, and numbers, that know what they were computed from."""

from __future__ import annotations

import math

import numpy as np

from scripts.proof.forms.draws import form


class Value:
    """A number that keeps its gradient, and how it passes it on."""

    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents, self.pass_on = data, 0.0, parents, lambda: None

    def __add__(self, other):
        out = Value(self.data + other.data, (self, other))

        def pass_on():
            self.grad += out.grad
            other.grad += out.grad

        out.pass_on = pass_on
        return out

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))

        def pass_on():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.pass_on = pass_on
        return out

    def tanh(self, wrong=1.0):
        out = Value(math.tanh(self.data), (self,))

        def pass_on():
            self.grad += wrong * (1 - out.data**2) * out.grad

        out.pass_on = pass_on
        return out

    def backward(self):
        ordered, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for parent in value.parents:
                    visit(parent)
                ordered.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(ordered):
            value.pass_on()


class Tensor:
    """An array that does, and is told the gradient of what was computed from it."""

    def __init__(self, data, back=None):
        self.data, self.grad, self.back = data, np.zeros(np.shape(data)), back

    def backward(self, grad):
        self.grad = self.grad + grad
        if self.back is not None:
            self.back(grad)


@form
def numbers_of_an_engine(d, wrong):
    w, x = (d.array(3, seed=seed) for seed in (0, 1))

    def unit(a, b, c, w, bias):
        weighted = a * w[0] + b * w[1] + c * w[2] + bias
        return weighted.tanh() * a + bias.tanh(wrong)

    numbers = [Value(float(value)) for value in np.resize(x, 3)]
    return (unit, (*numbers, [Value(float(value)) for value in np.resize(w, 3)], Value(0.25))), {}, "bias"


@form
def tensors_of_an_engine(d, wrong):
    class Dense:
        def __init__(self):
            self.W, self.b = Tensor(d.array(4, 3)), Tensor(d.array(3))

        def __call__(self, x):
            def back(grad):
                x.backward(grad @ self.W.data.T)
                self.W.backward(wrong * x.data.T @ grad)
                self.b.backward(grad.sum(axis=0))

            return Tensor(x.data @ self.W.data + self.b.data, back)

    return (Dense(), Tensor(d.array(5, 4))), {}, "W"
