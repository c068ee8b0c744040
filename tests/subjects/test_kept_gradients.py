"""Layers that return themselves; those that keep the gradient of the output, and add that of the input elsewhere."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((5, 4))


class Layer:
    x: Any
    output: Any
    delta: Any
    dx: Any

    def __init__(self, of_input=1.0, of_weights=1.0):
        self.W, self.off = np.random.default_rng(1).standard_normal((4, 3)), (of_input, of_weights)

    def forward(self, x: Any) -> Any:
        self.x, self.output = x, np.tanh(x @ self.W)
        return self


class Chained(Layer):
    """Both passes return the layer, which keeps what it has computed."""

    def backward(self, delta):
        d = delta * (1 - self.output**2)
        self.dW, self.dx = self.off[1] * self.x.T @ d, self.off[0] * d @ self.W.T
        return self


class Darknet(Layer):
    """The gradient of the output is in ``delta``, which forward makes, and backward adds to what it is given."""

    def forward(self, x):
        super().forward(x)
        self.delta = np.zeros(self.output.shape)
        return self

    def backward(self, inpt, delta):
        self.delta *= 1 - self.output**2
        self.dW = self.off[1] * inpt.T @ self.delta
        delta += self.off[0] * self.delta @ self.W.T
        return self


class MayBeTheFirst(Layer):
    """There is no gradient of its input to compute if it is given no array to add it to, and nothing is returned."""

    def forward(self, x):
        super().forward(x)
        self.delta = np.empty(self.output.shape)

    def backward(self, delta=None):
        self.delta = self.delta * (1 - self.output**2)
        self.dW = self.off[1] * self.x.T @ self.delta
        if delta is not None:
            delta[:] += self.off[0] * self.delta @ self.W.T


@pytest.mark.parametrize("kind", [Chained, Darknet, MayBeTheFirst])
@pytest.mark.parametrize("off", [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)])
def test_what_passes_leave_in_the_layer_that_they_return_is_checked(kind, off):
    report = check_gradients(kind(*off), X)
    assert [entry.verdict for entry in report.entries] == ["right" if one == 1.0 else "wrong" for one in off]
    for diagnosis in (entry.diagnosis for entry in report.entries if entry.verdict == "wrong"):
        assert diagnosis is not None
        assert diagnosis.evidence.startswith("claimed / numerical = 2 at all")


class Left(Chained):
    """Its gradient of the input is called ``delta`` as well, but made by backward alone."""

    def backward(self, delta):
        super().backward(delta)
        self.delta = self.dx
        del self.dx


@pytest.mark.parametrize("trained", [False, True])
def test_a_delta_that_backward_makes_is_the_gradient_of_the_input(trained):
    layer = Left()
    if trained:
        layer.forward(X)
        layer.backward(np.ones((5, 3)))
    assert [entry.verdict for entry in check_gradients(layer, X).entries] == ["right", "right"]


def test_where_forward_fails_it_tells_why():
    class Fails(Darknet):
        def forward(self, x):
            raise AttributeError(f"not built for {len(x)}")

    with pytest.raises(AttributeError, match="not built"):
        check_gradients(Fails(), X)


def test_of_a_layer_that_returns_itself_no_usual_loss_is_known():
    with pytest.raises(TypeError, match="returns a Chained first, of which no usual loss is known; pass loss="):
        check_gradients(Chained(), X, np.ones((5, 3)))
