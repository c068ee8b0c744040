"""A layer that is none of ours, for the tests of the gradient checker."""

from typing import Any

import numpy as np


class Foreign:
    """A linear layer as students write it; the form of its parameters varies."""

    def __init__(self, form, wrong=False, dtype=np.float64):
        rng = np.random.default_rng(0)
        self.form, self.wrong = form, wrong
        weight, bias = rng.standard_normal((4, 3)).astype(dtype), rng.standard_normal(3).astype(dtype)
        self.params: Any
        self.grads: Any
        if form == "dicts":
            self.params, self.grads = {"w": weight, "b": bias}, {}
        elif form == "lists":
            self.params, self.grads = [weight, bias], [None, None]
        elif form == "named":
            self.kernel, self.offset, self.slopes = weight, bias, {}
        else:
            self.W, self.b = weight, bias

    def weights(self):
        if self.form == "dicts":
            return self.params["w"], self.params["b"]
        if self.form == "lists":
            return self.params
        return (self.kernel, self.offset) if self.form == "named" else (self.W, self.b)

    def forward(self, x):
        weight, bias = self.weights()
        self.x = x
        return x @ weight + bias

    def backward(self, grad):
        weight, bias = self.x.T @ grad, grad.sum(axis=0)
        if self.wrong:
            weight = weight * 2
        if self.form == "dicts":
            self.grads["w"], self.grads["b"] = weight, bias
        elif self.form == "lists":
            self.grads = [weight, bias]
        elif self.form == "named":
            self.slopes = {"kernel": weight, "offset": bias}
        else:
            setattr(self, self.form.format("W"), weight)
            setattr(self, self.form.format("b"), bias)
        return grad @ self.weights()[0].T
