"""Activations as layers: what a backward pass takes from the forward pass before it, and what it must not."""

import copy

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.activations import ACTIVATIONS, gelu_derivative

X = np.linspace(-6.0, 6.0, 24).reshape(4, 6)
SHORTENED = [name for name, entry in ACTIVATIONS.items() if entry.derivative_after]


def test_some_activations_have_a_shorter_way_to_their_derivative():
    assert SHORTENED == ["gelu", "mish"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_backward_after_forward_is_the_derivative_to_the_last_bit_each_time_it_is_asked_for(approximate, dtype):
    layer, x = nn.GELU(approximate), X.astype(dtype)
    for rows in (4, 2, 3):  # the arrays of a larger batch are used again
        layer(x[:rows])
        for _ in range(2):
            slope = layer.backward(np.ones((rows, 6), dtype))
            np.testing.assert_array_equal(slope, gelu_derivative(x[:rows], approximate))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mish_is_derived_alike_each_time_it_is_asked_for(dtype):
    layer, x = nn.Mish(), X.astype(dtype)
    for rows in (4, 2, 3):
        layer(x[:rows])
        first, again = (layer.backward(np.ones((rows, 6), dtype)) for _ in range(2))
        np.testing.assert_array_equal(first, again)  # and within limits, as tests/activations/test_accuracy.py has it


def test_a_subclass_that_keeps_another_input_gets_the_derivative_there():
    class Shifted(nn.GELU):
        def forward(self, x):
            y = super().forward(x)
            self.saved = x + 1.0
            return y

    layer = Shifted()
    layer(X)
    np.testing.assert_array_equal(layer.backward(np.ones_like(X)), gelu_derivative(X + 1.0))


def test_a_copy_and_a_layer_that_predicted_keep_nothing_of_the_pass_before():
    layer = nn.GELU()
    layer(X)
    for other in (copy.deepcopy(layer), copy.copy(layer)):
        with pytest.raises(ValueError, match="backward needs a forward call before it"):
            other.backward(np.ones_like(X))
        other(-X)
        np.testing.assert_array_equal(other.backward(np.ones_like(X)), gelu_derivative(-X))
    layer(X)
    layer.predict(-X)
    with pytest.raises(ValueError, match="backward needs a forward call before it"):
        layer.backward(np.ones_like(X))
    assert "_left_by" not in vars(layer)
