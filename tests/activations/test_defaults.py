"""What an activation's function and its derivative take for granted: the same settings."""

import inspect

import pytest

import numpy_nn as nn


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_a_derivative_has_the_defaults_of_its_function(name):
    activation = nn.ACTIVATIONS[name]
    given = [
        {key: p.default for key, p in inspect.signature(f).parameters.items() if key not in ("x", "out", "work")}
        for f in (activation.function, activation.derivative)
    ]
    assert given[0] == given[1]
