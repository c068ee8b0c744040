"""What an optimizer keeps follows its parameters: into another dtype, past others, and under other settings."""

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.optim.base import _follow


class Holder:
    """Holds parameters of so many numbers each."""

    def __init__(self, members, dtype):
        self.own, self.dtype = members, np.dtype(dtype)
        self.data = np.zeros(sum(p.size for p in members), dtype)

    def members(self):
        return iter(self.own)


def parameters(*sizes):
    return [nn.Parameter(np.zeros(size)) for size in sizes]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_states_of_the_same_parameters_have_their_dtype(dtype):
    own = parameters(2, 3)
    before = {name: np.arange(5.0) + k for k, name in enumerate(("sum", "squares", "largest"))}
    state = dict(before)
    _follow(state, Holder(own, dtype), own)
    for name, array in before.items():
        assert state[name].dtype == dtype
        np.testing.assert_array_equal(state[name], array)
        assert (state[name] is array) == (dtype is np.float64)


def test_each_parameter_has_what_it_had_and_one_that_is_new_has_0():
    first, second, third = parameters(2, 3, 1)
    state = {"sum": np.arange(1.0, 6.0), "squares": np.arange(11.0, 16.0)}
    _follow(state, Holder([third, second], np.float64), [first, second])
    np.testing.assert_array_equal(state["sum"], [0.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(state["squares"], [0.0, 13.0, 14.0, 15.0])


@pytest.mark.parametrize("betas", [(0.5, 0.8), (0.95, 0.7), (0.9, 0.5), (0.2, 0.99)])
def test_adam_s_means_stay_what_they_are_when_betas_change(betas):
    p = nn.Parameter(np.zeros(2))
    adam = nn.Adam([p], lr=0.1, betas=(0.9, 0.99), eps=1e-3)
    first, second = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    p.grad = first.copy()
    adam.step()
    home = p.data.copy()
    adam.param_groups[0]["betas"] = betas
    p.grad = second.copy()
    adam.step()
    mean = betas[0] * 0.1 * first + (1.0 - betas[0]) * second
    square = betas[1] * 0.01 * first**2 + (1.0 - betas[1]) * second**2
    mean, square = mean / (1.0 - betas[0] ** 2), square / (1.0 - betas[1] ** 2)
    np.testing.assert_allclose(p.data, home - 0.1 * mean / (np.sqrt(square) + 1e-3), rtol=1e-12)


def test_groups_may_be_single_parameters_lists_or_iterators():
    for given in (lambda p: p, lambda p: [p], lambda p: iter([p])):
        p = nn.Parameter(np.ones(2))
        optimizer = nn.SGD([{"params": given(p)}], lr=0.5)
        p.grad = np.ones(2)
        optimizer.step()
        np.testing.assert_array_equal(p.data, [0.5, 0.5])
