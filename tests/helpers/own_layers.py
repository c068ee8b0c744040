"""Layers as a user writes them: one of two formulas, and one that holds others in all places where one may put them."""

from typing import Any

import numpy as np

import numpy_nn as nn


class Scale(nn.Layer):
    """The layer of the contract's text."""

    def __init__(self, features, dtype=np.float64):
        self.weight = nn.Parameter(np.ones(features, dtype))

    def forward(self, x):
        self.saved = x
        return x * self.weight.data

    def backward(self, grad_output):
        x = self.saved
        self.weight.grad = (grad_output * x).sum(axis=0)
        return grad_output * self.weight.data


class Residual(nn.Layer):
    """Layers within a layer, in all places where one may put them."""

    def __init__(self, width, dtype=np.float64):
        super().__init__()
        self.norm = nn.BatchNorm1d(width, dtype=dtype)
        self.steps = [nn.Linear(width, width, rng=0, dtype=dtype), nn.Tanh()]
        self.more: dict[str, Any] = {"drop": nn.Dropout(0.5, rng=0), "pair": (Scale(width, dtype),)}
        self.shift = nn.Parameter(np.zeros(width, dtype))

    def chain(self):
        return [self.norm, *self.steps, self.more["drop"], *self.more["pair"]]

    def forward(self, x):
        y = x
        for layer in self.chain():
            y = layer(y)
        return x + y + self.shift.data

    def backward(self, grad_output):
        self.shift.grad = grad_output.sum(axis=0)
        grad = grad_output
        for layer in reversed(self.chain()):
            grad = layer.backward(grad)
        return grad_output + grad


def network():
    return nn.Sequential(Residual(3), nn.Linear(3, 2, rng=1, dtype=np.float64))


NAMES = [
    *("0.shift", "0.norm.weight", "0.norm.bias", "0.steps.0.weight", "0.steps.0.bias", "0.more.pair.0.weight"),
    *("1.weight", "1.bias"),
]


def gradient_for(output):
    return np.random.default_rng(1).standard_normal(output.shape).astype(output.dtype)
