"""The average of the weights in torch: numpy_nn's, in every buffer too, and without a wait for the device."""

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import to_torch
from torch_ref.averaging import AveragedModel


def small(dtype=np.float64):
    return nn.MLP([3, 7, 2], batch_norm=True, dropout=0.5, rng=0, dtype=dtype)


def moved(net, rng):
    """The same network somewhere else."""
    net.parameters().data[...] = rng.uniform(-9, 9, net.parameters().size)
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
def test_the_average_is_numpy_nns(decay, steps, seed, dtype, use_buffers):
    net, rng = small(dtype), np.random.default_rng(seed)
    ours = nn.AveragedModel(net, decay, use_buffers=use_buffers)
    theirs = AveragedModel(to_torch(net), decay, use_buffers=use_buffers)
    for _ in range(steps):
        moved(net, rng)
        ours.update_parameters(net)
        theirs.update_parameters(to_torch(net))
    assert ours.n_averaged == int(theirs.n_averaged) == steps
    their_state = theirs.module.state_dict()
    assert their_state.keys() == ours.module.state_dict().keys()
    # All numbers are at most 9, and so are averages. A step rounds a difference below 18, 1 - decay, their product and
    # a sum below 9, in either engine; what was before is carried on by a factor of at most 1.
    bound = 1.01 * 2 * steps * (18 + 18 + 18 + 9) * float(np.finfo(dtype).eps) / 2
    for name, array in ours.module.state_dict().items():
        error = np.abs(array.T - their_state[name].numpy())
        assert error.max() <= (bound if array.dtype == dtype else 0.0), name


def test_the_state_goes_on_and_the_model_in_training_is_not_touched():
    model = to_torch(small())
    average, other = AveragedModel(model, 0.9), AveragedModel(model, 0.9)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    average.update_parameters(model)
    average.update_parameters(model)
    for tensor in average.module.state_dict().values():
        tensor.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    other.load_state_dict(average.state_dict())
    for one in (average, other):
        one.update_parameters(model)
    for name, tensor in average.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    # From zeros: a tenth of the way, as after a first update it would not be.
    assert torch.equal(
        other.module.state_dict()["0.weight"], torch.zeros_like(model[0].weight).lerp(model[0].weight, 1 - 0.9)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AveragedModel(to_torch(small()), 1.5), r"decay value 1.5 .* \[0,1\]"),
        (
            lambda: AveragedModel(to_torch(small())).update_parameters(torch.nn.Linear(2, 2)),
            "model: expected the param",
        ),
        (lambda: AveragedModel(to_torch(small())).update_parameters(to_torch(small(np.float32))), "model: expected"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
