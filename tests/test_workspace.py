"""Arrays that outlive a call: where they begin."""

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.workspace import LINE, aligned_empty, aligned_zeros


@pytest.mark.parametrize("shape", [(), 0, 1, 7, (3, 5), (0, 4), (65, 784)])
@pytest.mark.parametrize("dtype", [np.bool_, np.float32, np.float64, np.int64])
def test_aligned_arrays_begin_a_cache_line_and_are_otherwise_ordinary(shape, dtype):
    for array in (aligned_empty(shape, dtype), aligned_zeros(shape, dtype)):
        assert array.shape == np.empty(shape).shape
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.ctypes.data % LINE == 0 or array.size == 0
    assert not array.any()


def test_what_a_training_step_walks_over_is_aligned():
    net = nn.MLP([784, 64, 10], rng=0)
    optimizer = nn.Adam(net.parameters())
    arrays = [net.parameters().data, net.parameters().grad, *optimizer.state[0].values()]
    assert [array.ctypes.data % LINE for array in arrays] == [0, 0, 0, 0]
