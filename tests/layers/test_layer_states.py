"""Every layer where training never shows it: before its first call, and after it was converted to the other dtype."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
import strategies as our
import torch
from layer_cases import LAYERS, WIDTH, batch

import numpy_nn as nn
from torch_ref import to_torch
from torch_ref.parity import parity

every_layer = pytest.mark.parametrize("name", LAYERS)
BOTH_WAYS = (our.DTYPES, our.DTYPES[::-1])


def state(layer):
    """Parameters, gradients and buffers by name."""
    arrays = {name: p.data for name, p in layer.named_parameters()} | dict(layer.named_buffers())
    return arrays | {f"{name}.grad": p.grad for name, p in layer.named_parameters()}


def generators(layer):
    layers = layer.modules() if isinstance(layer, nn.Sequential) else [layer]
    return [one.rng for one in layers if isinstance(one, nn.Dropout)]


# Before the first call.


@every_layer
def test_before_the_first_call_there_is_nothing_to_go_back_from(name):
    layer = LAYERS[name](np.float32)
    for state_ in (layer, layer.eval(), layer.to(np.float64)):
        for backward in (state_.backward, state_.backward_parameters):
            with pytest.raises(ValueError, match=": backward needs a forward call before it"):
                backward(batch(np.float32))


@every_layer
def test_before_the_first_call_the_state_is_torchs_and_gradients_are_zero(name):
    for dtype in our.DTYPES:
        layer = LAYERS[name](dtype)
        twin = to_torch(layer)
        theirs = {key: tensor.numpy().T for key, tensor in twin.state_dict().items()}
        ours = state(layer)
        gradients = {key: ours.pop(key) for key in list(ours) if key.endswith(".grad")}
        assert ours.keys() == theirs.keys()
        for key, array in ours.items():
            np.testing.assert_array_equal(array, theirs[key])
            assert array.dtype == theirs[key].dtype
        for key, grad in gradients.items():
            assert grad.dtype == dtype
            np.testing.assert_array_equal(grad, np.zeros_like(ours[key.removesuffix(".grad")]))


@every_layer
def test_before_the_first_call_modes_shapes_and_words_are_those_after_it(name):
    layer = LAYERS[name](np.float32)
    shown, shape = (repr(layer), layer.label), layer.output_shape((WIDTH,))
    twin = to_torch(layer)
    assert layer.training == twin.training == torch.nn.Identity().training
    assert layer.eval() is layer
    assert not layer.training
    assert not twin.eval().training
    assert layer.train(False).training is False
    assert layer.train() is layer
    assert layer.training
    layer.forget()
    output = layer(batch(np.float32))
    assert (output.shape[0], *shape) == output.shape == tuple(twin(torch.from_numpy(batch(np.float32))).shape)
    assert (repr(layer), layer.label) == shown


@every_layer
def test_a_copy_from_before_the_first_call_does_what_the_layer_does(name):
    for dtype in our.DTYPES:
        layer = LAYERS[name](dtype)
        copies = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
        x = batch(dtype)
        output = layer(x).copy()
        gradient = layer.backward(np.cos(output)).copy()
        for other in copies:
            np.testing.assert_array_equal(other(x), output)
            np.testing.assert_array_equal(other.backward(np.cos(output)), gradient)
            for key, array in state(layer).items():
                np.testing.assert_array_equal(state(other)[key], array)


@every_layer
def test_a_network_is_used_and_kept_before_its_first_training_step(name, tmp_path):
    net, x = nn.Sequential(LAYERS[name](np.float64)), batch(np.float64)
    net.save(tmp_path / "net.npz")
    other = nn.Sequential(LAYERS[name](np.float64))
    other.parameters().data.fill(7.0)
    other.load(tmp_path / "net.npz")
    for key, array in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[key], array)
    assert net.summary((WIDTH,)).splitlines()[-1].split() == ["total", f"{net.parameters().size}"]
    if "bare" in name:
        return  # without running statistics the rows of a batch are never alone
    expected = to_torch(net).eval()(torch.from_numpy(x)).detach().numpy()
    assert net.predict(x, 2).shape == expected.shape
    report = parity(net.eval(), x, np.zeros(expected.shape), nn.MSELoss())
    assert report.ok, report


# In the other dtype.


@every_layer
def test_a_converted_layer_is_a_fresh_one_of_that_dtype(name):
    for (start, end), called in product(BOTH_WAYS, (False, True)):
        layer = LAYERS[name](start)
        if called:
            layer.backward(np.sin(layer(batch(start))))
        before = {key: array.copy() for key, array in state(layer).items()}
        assert layer.to(end) is layer
        for key, array in state(layer).items():
            assert array.dtype == (end if before[key].dtype == start else before[key].dtype)
            np.testing.assert_array_equal(array, before[key].astype(array.dtype))

        fresh = LAYERS[name](end)
        for key, array in state(fresh).items():
            array[...] = state(layer)[key]
        for ours, theirs in zip(generators(layer), generators(fresh), strict=True):
            theirs.bit_generator.state = ours.bit_generator.state
        with pytest.raises(ValueError, match="backward needs a forward call before it"):
            layer.backward(batch(end))
        x = batch(end, rows=7)  # more rows than before, then as many
        for rows in (x, x[:5]):
            output = layer(rows)
            assert output.dtype == end
            np.testing.assert_array_equal(output, fresh(rows))
            gradient = layer.backward(np.cos(output))
            assert gradient.dtype == end
            np.testing.assert_array_equal(gradient, fresh.backward(np.cos(output)))
            for key, array in state(fresh).items():
                assert state(layer)[key].dtype == array.dtype
                np.testing.assert_array_equal(state(layer)[key], array)


@every_layer
def test_a_converted_layer_is_torchs_within_the_bounds_of_its_new_dtype(name):
    for start, end in BOTH_WAYS:
        net = nn.Sequential(LAYERS[name](start))
        net.backward(net(batch(start)))
        x = batch(end)
        output = net.to(end).predict(x) if "bare" not in name else net.to(end)(x)
        report = parity(net, x, np.zeros_like(output), nn.MSELoss())
        assert report.ok, report
        vector = net.parameters()
        assert vector.data.dtype == vector.grad.dtype == (end if vector.size else np.float32)
        assert all(np.shares_memory(p.data, vector.data) and np.shares_memory(p.grad, vector.grad) for p in vector)


@pytest.mark.parametrize(
    "name", [name for name in LAYERS if list(LAYERS[name](np.float32).parameters()) or "bare" in name]
)
def test_a_converted_layer_refuses_its_old_dtype(name):
    for start, end in BOTH_WAYS:
        layer = LAYERS[name](start).to(end)
        with pytest.raises(TypeError, match=f"expected {np.dtype(end)} input, got {np.dtype(start)}"):
            layer(batch(start))


@every_layer
def test_another_dtype_is_refused_and_nothing_is_changed(name):
    layer = LAYERS[name](np.float32)
    for bad in (np.float16, int, None, "double precision"):
        with pytest.raises(TypeError, match="dtype: expected float32 or float64"):
            layer.to(bad)
    assert {array.dtype.kind for array in state(layer).values()} <= {"f", "i"}
    assert layer(batch(np.float32)).dtype == np.float32
