"""Arrays that outlive a call: where they begin, and when they are the same again."""

import copy
import pickle

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn._support.workspace import Workspace, aligned_empty, aligned_zeros

LINE = 64  # bytes of a cache line


@pytest.mark.parametrize("shape", [(), 0, 1, 7, (3, 5), (0, 4), (65, 784)])
@pytest.mark.parametrize("dtype", [np.bool_, np.float32, np.float64, np.int64])
def test_aligned_arrays_begin_a_cache_line_and_are_otherwise_ordinary(shape, dtype):
    for array in (aligned_empty(shape, dtype), aligned_zeros(shape, dtype)):
        assert array.shape == np.empty(shape).shape
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.ctypes.data % LINE == 0 or array.size == 0
    assert not array.any()


def test_what_a_training_step_walks_over_is_aligned():
    net = nn.MLP([784, 64, 10], rng=0)
    optimizer = nn.Adam(net.parameters())
    arrays = [net.parameters().data, net.parameters().grad, *optimizer.state[0].values()]
    assert [array.ctypes.data % LINE for array in arrays] == [0, 0, 0, 0]


def place(array):
    """Where an array begins."""
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize(("whole", "part"), [((8,), (3,)), ((8, 3), (5, 3)), ((4, 2, 9), (1, 2, 9)), ((3, 8), (0, 8))])
def test_a_smaller_batch_gets_the_leading_rows_of_the_same_memory_and_the_next_all_of_it(whole, part):
    work = Workspace()
    first = work("x", whole, np.float32)
    rows = work("x", part, np.float32)
    assert rows.shape == part
    assert place(rows) == place(first)
    assert work("x", whole, np.float32) is first


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((9, 3), np.float32), ((8, 2), np.float32), ((8, 4), np.float32), ((7, 4), np.float32), ((8, 3), np.float64)],
)
def test_what_does_not_fit_is_made_anew_and_kept(shape, dtype):
    work = Workspace()
    first = work("x", (8, 3), np.float32)
    other = work("x", shape, dtype)
    assert (other.shape, other.dtype) == (shape, dtype)
    assert not np.shares_memory(first, other)
    assert work("x", shape, dtype) is other


def test_each_name_has_its_own_memory_and_like_takes_shape_and_dtype():
    work, x = Workspace(), np.ones((2, 5), np.float32)
    one, other = work.like("one", x), work.like("other", x)
    assert (one.shape, one.dtype) == (x.shape, x.dtype)
    assert not np.shares_memory(one, other)
    assert work("scalar", (), np.float64) is work("scalar", (), np.float64)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda work: pickle.loads(pickle.dumps(work))])
def test_copies_begin_empty(copied):
    work = Workspace()
    first = work("x", (4,), np.float32)
    assert not np.shares_memory(copied(work)("x", (4,), np.float32), first)
