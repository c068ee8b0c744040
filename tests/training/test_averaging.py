"""The average of the parameters against torch.optim.swa_utils, and what it leaves alone."""

from typing import Any

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.swa_utils import get_ema_multi_avg_fn

import numpy_nn as nn
from numpy_nn.training import averaging
from torch_ref import to_torch
from torch_ref.parity import compare
from torch_ref.rounding import as_rounded


def small(dtype=np.float64, seed=0):
    return nn.MLP([3, 7, 2], batch_norm=True, dropout=0.5, rng=seed, dtype=dtype)


def batch_norm(tracked):
    return nn.Sequential(nn.BatchNorm1d(2, track_running_stats=tracked))


def moved(net, rng):
    """The same network somewhere else."""
    net.parameters().data[...] = rng.standard_normal(net.parameters().size)
    for _, buffer in net.named_buffers():
        buffer[...] = rng.integers(0, 9, buffer.shape)
    return net


@given(
    decay=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 0.999, 1.0])),
    steps=st.integers(1, 6),
    seed=our.seeds,
    dtype=our.dtypes,
    use_buffers=st.booleans(),
)
def test_the_average_is_torchs(decay, steps, seed, dtype, use_buffers):
    net, rng = small(dtype), np.random.default_rng(seed)
    ours = nn.AveragedModel(net, decay, use_buffers=use_buffers)
    theirs = torch.optim.swa_utils.AveragedModel(
        to_torch(net), multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=use_buffers
    )
    held: dict[str, Any] = {}
    for step in range(steps):
        moved(net, rng)
        ours.update_parameters(net)
        theirs.update_parameters(to_torch(net))
        for name, array in net.state_dict().items():
            averaged = array.dtype == dtype and (use_buffers or "running" not in name) and step > 0
            new = as_rounded(array.copy()) if array.dtype == dtype else array
            # torch goes back from the end if the decay is below 1/2, which rounds a step of the same size.
            held[name] = held[name] + (1.0 - decay) * (new - held[name]) if averaged else new
    their_state = theirs.module.state_dict()
    assert ours.n_averaged == int(theirs.n_averaged) == steps
    for name, array in ours.module.state_dict().items():
        if array.dtype == dtype:
            bound = held[name]
            bound.error = bound.error + 4 * bound.u * 10 * steps  # torch's other formula, on numbers below 10
            assert compare(name, array, their_state[name], bound, array.ndim == 2).ok
        elif not use_buffers:  # torch averages counts of batches as well, and truncates
            assert array == their_state[name].numpy()


@given(block=st.integers(1, 60), seed=our.seeds)
def test_the_length_of_the_blocks_changes_no_bit(block, seed):
    results = []
    for size in (block, 10**6):
        net, rng = small(), np.random.default_rng(seed)
        average = nn.AveragedModel(net, 0.9)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(averaging, "BLOCK", size)
            for _ in range(3):
                average.update_parameters(moved(net, rng))
        results.append(average.module.parameters().data)
    np.testing.assert_array_equal(*results)


def test_the_network_in_training_is_not_touched():
    net, rng = small(), np.random.default_rng(0)
    average = nn.AveragedModel(net)
    average.update_parameters(net)
    before = moved(net, rng).state_dict()
    average.update_parameters(net)
    average.module.parameters().data.fill(0)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.AveragedModel(small(), 1.5), ValueError, "decay: expected a finite number .* <= 1, got 1.5"),
        (lambda: nn.AveragedModel(small(), -0.1), ValueError, "decay"),
        (lambda: nn.AveragedModel([nn.Linear(2, 2)]), TypeError, "net: expected a layer or a network, got list"),
        (
            lambda: nn.AveragedModel(small()).update_parameters(nn.MLP([3, 2])),
            ValueError,
            "net: expected Param.* 58 scalars",
        ),
        (lambda: nn.AveragedModel(small()).update_parameters(small(np.float32)), ValueError, "float64.* got .*float32"),
        (lambda: nn.AveragedModel(batch_norm(True)).update_parameters(batch_norm(False)), ValueError, "shorter"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
