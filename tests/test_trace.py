"""The recorder: what it keeps is what the training loop computes, and JSON gives every number back to the last bit."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, in_features, losses_with_targets, networks, seeds

import numpy_nn as nn


def small(dtype=np.float64):
    return nn.MLP([4, 5, 3], "tanh", rng=0, dtype=dtype)


def batch(dtype=np.float64):
    return np.random.default_rng(1).standard_normal((2, 4)).astype(dtype), np.array([2, 0])


def recorded():
    net = small()
    return nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), *batch())


@given(st.data(), dtypes, seeds)
def test_a_recorded_step_is_a_training_step(data, dtype, seed):
    n = data.draw(st.integers(1, 8))
    net = data.draw(networks(dtype, n, max_width=8))
    x = np.random.default_rng(seed).standard_normal((n, in_features(net))).astype(dtype)
    shape = (n, *net.output_shape(x.shape[1:]))
    loss, target = data.draw(losses_with_targets(shape, dtype).filter(lambda pair: pair[0].reduction != "none"))
    net_2, loss_2 = copy.deepcopy((net, loss))
    optimizer, optimizer_2 = (nn.Adam(n.parameters(), 0.01) for n in (net, net_2))
    trace = nn.trace.record(net, loss, optimizer, x, target)
    value = loss_2(net_2(x), target)
    grad_input = net_2.backward(loss_2.backward())
    gradients = {name: p.grad.copy() for name, p in net_2.named_parameters()}
    before = {name: p.data.copy() for name, p in net_2.named_parameters()}
    optimizer_2.step()
    assert trace.arrays["loss"] == value
    np.testing.assert_array_equal(trace.arrays["input.grad"], grad_input)
    for name, p in net_2.named_parameters():
        np.testing.assert_array_equal(trace.arrays[name], before[name])
        np.testing.assert_array_equal(trace.arrays[f"{name}.grad"], gradients[name])
        np.testing.assert_array_equal(trace.arrays[f"{name}.after"], p.data)
    # The loss after the step, and the network as if nobody had asked for it.
    kept = {name: array.copy() for name, array in net.state_dict().items()}
    for name, array in net_2.state_dict().items():
        np.testing.assert_array_equal(kept[name], array)
    assert trace.arrays["loss.after"] == loss_2(net_2(x), target)


def test_every_array_of_a_step_is_there_with_its_shape():
    shapes = {name: array.shape for name, array in recorded().arrays.items()}
    parameters = {"0.weight": (4, 5), "0.bias": (5,), "2.weight": (5, 3), "2.bias": (3,)}
    outputs = {"0.output": (2, 5), "1.output": (2, 5), "2.output": (2, 3)}
    expected = {
        "input": (2, 4),
        "target": (2,),
        "loss.terms": (2,),
        "loss.softmax": (2, 3),
        "loss": (),
        "loss.after": (),
    }
    expected |= parameters | outputs | {"input.grad": (2, 4)}
    expected |= {f"{name}.grad": shape for name, shape in (parameters | outputs).items()}
    expected |= {f"{name}.after": shape for name, shape in parameters.items()}
    assert shapes == expected


def test_arrays_are_the_traces_own():
    net = small()
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), *batch())
    kept = {name: array.copy() for name, array in trace.arrays.items()}
    nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), *batch())
    for name, array in trace.arrays.items():
        np.testing.assert_array_equal(array, kept[name])


def test_the_terms_mean_the_loss_and_the_softmax_is_that_of_the_output():
    arrays = recorded().arrays
    assert arrays["loss"] == arrays["loss.terms"].sum() / 2
    np.testing.assert_array_equal(arrays["loss.softmax"], nn.activations.softmax(arrays["2.output"]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_json_gives_every_number_back(dtype):
    net = small(dtype)
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), *batch(dtype))
    content = json.loads(trace.to_json())
    assert content["format"] == "numpy_nn.trace 1"
    assert content["lr"] == 0.1
    assert [layer["type"] for layer in content["layers"]] == ["Linear", "Tanh", "Linear"]
    assert content["layers"][0]["parameters"] == ["weight", "bias"]
    assert content["layers"][1]["activation"] == "tanh"
    assert set(content["arrays"]) == set(trace.arrays)
    for name, entry in content["arrays"].items():
        back = np.array(entry["values"], entry["dtype"])
        assert list(back.shape) == entry["shape"]
        np.testing.assert_array_equal(back, trace.arrays[name])


def test_options_of_activations_are_told_and_learned_slopes_are_parameters():
    net = nn.Sequential(nn.Linear(2, 3, rng=0), nn.LeakyReLU(0.2), nn.PReLU(3), nn.Linear(3, 2, rng=1))
    optimizer = nn.SGD(net.parameters(), 0.1)
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), optimizer, np.ones((1, 2), np.float32), [1])
    assert trace.layers[1].options == {"negative_slope": 0.2}
    assert trace.layers[2].options == {}
    assert trace.layers[2].parameters == ("weight",)
    assert trace.arrays["2.weight.grad"].shape == (3,)


def test_inner_networks_are_listed_layer_by_layer():
    inner = nn.Sequential(nn.Linear(2, 2, rng=0), nn.ReLU())
    net = nn.Sequential(inner, nn.Linear(2, 2, rng=1))
    optimizer = nn.SGD(net.parameters(), 0.1)
    trace = nn.trace.record(net, nn.CrossEntropyLoss(), optimizer, np.ones((1, 2), np.float32), [1])
    assert [layer.name for layer in trace.layers] == ["0.0", "0.1", "1"]


def test_other_losses_and_optimizers_are_recorded_too():
    net = nn.MLP([2, 3, 1], rng=0)
    loss, optimizer = nn.MSELoss(), nn.Adam(net.parameters(), 0.01)
    x = np.ones((4, 2), np.float32)
    trace = nn.trace.record(net, loss, optimizer, x, np.zeros((4, 1), np.float32))
    assert trace.arrays["loss.terms"].shape == (4, 1)
    assert "loss.softmax" not in trace.arrays
    assert trace.optimizer == "Adam"


def test_what_it_refuses():
    net = small()
    optimizer = nn.SGD(net.parameters(), 0.1)
    with pytest.raises(ValueError, match='reduction "mean" or "sum"'):
        nn.trace.record(net, nn.CrossEntropyLoss(reduction="none"), optimizer, *batch())
    with pytest.raises(TypeError, match="array of float32 or float64"):
        nn.trace.record(net, nn.CrossEntropyLoss(), optimizer, [[1, 2, 3, 4]], [0])


def test_it_refuses_a_subclass_whose_forward_it_does_not_know():
    class Doubled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    net = Doubled(nn.Linear(4, 3, rng=0, dtype=np.float64))
    with pytest.raises(TypeError, match="subclass Doubled"):
        nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), *batch())


def test_json_names_the_array_with_a_number_that_it_cannot_say():
    net = small()
    x, y = batch()
    x[0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        trace = nn.trace.record(net, nn.CrossEntropyLoss(), nn.SGD(net.parameters(), 0.1), x, y)
    with pytest.raises(ValueError, match="input: expected finite numbers, got inf"):
        trace.to_json()
