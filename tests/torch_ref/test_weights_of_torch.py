"""Weights of torch's, which lie the other way round: in a square layer only their type tells."""

import numpy as np
import pytest
import torch

import numpy_nn as nn

SQUARE = torch.nn.Sequential(torch.nn.Linear(3, 3))
TURNED = "weights lie the other way round"


@pytest.mark.parametrize("given", [lambda v: v, lambda v: v.numpy()], ids=["tensor", "numpy"])
def test_a_state_dict_that_is_not_transposed_is_refused(given):
    net = nn.Sequential(nn.Linear(3, 3, rng=0))
    before = net.state_dict()
    state = {name: given(v) for name, v in SQUARE.state_dict().items()}
    with pytest.raises(TypeError, match=f"0.weight: expected an array, got .*{TURNED}"):
        net.load_state_dict(state)
    np.testing.assert_array_equal(net[0].weight.data, before["0.weight"])


@pytest.mark.parametrize("given", [lambda v: v.detach(), lambda v: v.detach().numpy()], ids=["tensor", "numpy"])
def test_a_parameter_takes_no_weight_that_is_not_transposed(given):
    p = nn.Linear(3, 3, rng=0).weight
    with pytest.raises(TypeError, match=f"Parameter: data: expected an array, got .*{TURNED}"):
        p.data = given(SQUARE[0].weight)
    with pytest.raises(TypeError, match=f"Parameter: data: expected an array, got .*{TURNED}"):
        nn.Parameter(given(SQUARE[0].weight))


@pytest.mark.parametrize("turned", [lambda v: v.T, lambda v: v.T.copy()], ids=["view", "copy"])
def test_transposed_weights_are_loaded(turned):
    net = nn.Sequential(nn.Linear(3, 3, rng=0)).to(np.float64)
    linear = torch.nn.Linear(3, 3).double()
    arrays = {f"0.{name}": v.numpy() for name, v in linear.state_dict().items()}
    net.load_state_dict({name: turned(v) if v.ndim == 2 else v for name, v in arrays.items()})
    np.testing.assert_array_equal(net[0].weight.data, linear.weight.detach().numpy().T)
    np.testing.assert_array_equal(net[0].bias.data, linear.bias.detach().numpy())
