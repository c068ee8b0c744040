"""The vector of all parameters: one memory for all, also for those of a network within another."""

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.parameter import Parameter, ParameterVector, _side_by_side, holders


def test_arrays_lie_side_by_side_if_each_begins_where_the_one_before_ends():
    memory = np.arange(12.0)
    first, second, third = memory[2:4].reshape(1, 2), memory[4:8].reshape(2, 2), memory[8:9].reshape(1)
    found = _side_by_side([first, second, third])
    assert found is not None
    np.testing.assert_array_equal(found, np.arange(2.0, 9.0))
    assert np.shares_memory(found, memory)
    found[0] = 7.0
    assert first[0, 0] == 7.0
    np.testing.assert_array_equal(_side_by_side([second]), np.arange(4.0, 8.0))
    for apart in ([first, third], [second, first], [first, memory[4:8].copy()], [np.ones(2)], []):
        assert _side_by_side(apart) is None
    assert _side_by_side([np.array(np.ones((3, 4)), order="F")[:, 1:]]) is None


def test_the_vectors_of_a_network_and_of_one_within_it_are_one_memory():
    inner = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2))
    outer = nn.Sequential(nn.Linear(4, 3), inner)
    whole, part = outer.parameters(), inner.parameters()
    whole.data = np.arange(whole.size, dtype=np.float32)
    np.testing.assert_array_equal(part.data, np.arange(whole.size - part.size, whole.size))
    part.data[...] = 0.0
    assert not whole.data[-part.size :].any()
    assert np.shares_memory(whole.data, part.data)
    assert np.shares_memory(whole.grad, part.grad)
    assert np.shares_memory(whole.data, outer[0].weight.data)


def test_what_is_no_parameter_is_refused_with_the_way_out():
    one, layer = Parameter(np.ones(2)), nn.Linear(2, 2)
    assert holders([one]) == [one]
    vector = layer.parameters()
    assert [p is v for p, v in zip(holders(layer.parameters()), vector, strict=False)]
    for wrong, hint in (
        (layer, r"got Linear; use its .parameters\(\)"),
        ([np.ones(2)], "got ndarray$"),
        (1, "got int$"),
    ):
        with pytest.raises(TypeError, match=hint):
            holders(wrong)


def test_a_vector_asks_for_its_parameters_again_only_where_a_layer_has_got_another_one():
    parameters, asked = [nn.Parameter(np.ones(2)), nn.Parameter(np.ones(3))], []

    def find():
        asked.append(len(parameters))
        return iter(parameters)

    vector = ParameterVector(find)
    assert (vector.size, vector.grad.size, len(vector)) == (5, 5, 2)
    assert asked == [2]
    del parameters[0]
    assert vector.size == 5
    vector.refresh(again=True)
    assert vector.size == 3
    assert asked == [2, 1]
    nn.Linear(2, 3, rng=0).weight = nn.Parameter(np.ones((2, 3)))
    assert vector.size == 3
    assert asked == [2, 1, 1]
