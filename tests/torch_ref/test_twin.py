"""Twins: the same weights, names, modes and settings in both engines, copied, and what has no counterpart refused."""

import numpy as np
import pytest
import strategies as our
import torch
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import from_torch, loss_to_torch, optimizer_settings, optimizer_to_torch, parameters_as_numpy, to_torch
from torch_ref.twin import COUNTERPARTS

TORCH_DTYPES = {np.float32: torch.float32, np.float64: torch.float64}


@st.composite
def networks(draw, dtype):
    """Networks whose every layer is in a mode of its own, and whose running statistics have moved."""
    net = draw(our.networks(dtype, 4))
    x = np.random.default_rng(draw(our.seeds)).standard_normal((4, our.in_features(net))).astype(dtype)
    with np.errstate(all="ignore"):
        net(x)
    for layer in net.modules():
        layer.training = draw(st.booleans())
    return net


def modes(net):
    """The mode of the network itself and of every layer."""
    return [layer.training for layer in net.modules()]


def assert_same_state(net, twin, dtype):
    """Every parameter and buffer is in both, under one name, equal to the bit, weights transposed."""
    state, their_state = net.state_dict(), twin.state_dict()
    assert list(state) == list(their_state)
    for name, array in state.items():
        theirs = their_state[name].numpy()
        assert theirs.dtype == array.dtype
        np.testing.assert_array_equal(theirs.T, array)
    assert [name for name, _ in net.named_parameters()] == [name for name, _ in twin.named_parameters()]
    assert all(p.dtype is TORCH_DTYPES[dtype] for p in twin.parameters())


@given(data=st.data(), dtype=our.dtypes)
def test_a_twin_has_the_state_the_modes_and_the_shapes_of_the_network(data, dtype):
    net = data.draw(networks(dtype))
    twin = to_torch(net)
    assert_same_state(net, twin, dtype)
    assert modes(net) == modes(twin)
    x = np.ones((4, our.in_features(net)), dtype)
    assert net.predict(x).shape == twin.eval()(torch.from_numpy(x)).shape


@given(data=st.data(), dtype=our.dtypes)
def test_there_and_back_gives_the_same_network(data, dtype):
    net = data.draw(networks(dtype))
    twin = to_torch(net)
    back = from_torch(twin)
    assert_same_state(back, twin, dtype)
    assert repr(back) == repr(net)
    assert modes(back) == modes(twin)
    assert [layer.name for layer in back.modules()] == [layer.name for layer in net.modules()]
    assert repr(to_torch(back)) == repr(twin)


@given(data=st.data(), dtype=our.dtypes)
def test_twins_share_no_memory(data, dtype):
    net = data.draw(networks(dtype))
    twin = to_torch(net)
    back = from_torch(twin)
    before = net.state_dict()
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            tensor.fill_(7)
    for one in (net, back):
        for name, array in one.state_dict().items():
            np.testing.assert_array_equal(array, before[name])
    net.parameters().data.fill(5)
    assert all((tensor == 7).all() for tensor in twin.state_dict().values())


@pytest.mark.parametrize(("ours", "theirs"), [(a, b) for a, b, _ in COUNTERPARTS], ids=lambda kind: kind.__name__)
def test_every_layer_has_its_counterpart_also_outside_a_network(ours, theirs):
    arguments = {nn.Linear: (3, 2), nn.BatchNorm1d: (3,), nn.LayerNorm: (3,)}.get(ours, ())
    layer = ours(*arguments)
    twin = to_torch(layer)
    assert type(twin) is theirs
    back = from_torch(twin)
    assert type(back) is ours
    assert repr(back) == repr(layer)


def test_parameters_of_layer_norm_over_two_axes_lie_alike_in_both():
    layer = nn.LayerNorm((2, 3), dtype=np.float64)
    weight = np.arange(6.0).reshape(2, 3)
    layer.load_state_dict({"weight": weight, "bias": weight})
    twin = to_torch(layer)
    np.testing.assert_array_equal(twin.weight.detach().numpy(), weight)
    np.testing.assert_array_equal(dict(parameters_as_numpy(twin))["weight"], weight)
    np.testing.assert_array_equal(from_torch(twin).state_dict()["weight"], weight)


def test_softplus_keeps_its_small_end_in_float64():
    # Above its default threshold, 20, torch would return x itself.
    x = torch.tensor([[30.0]], dtype=torch.float64)
    assert to_torch(nn.Softplus())(x) > x


def test_every_activation_of_the_registry_has_a_counterpart():
    assert {ours for ours, _, _ in COUNTERPARTS} >= set(nn.ACTIVATION_LAYERS.values())


class Strange(nn.ReLU):
    """A layer of one's own."""


class StrangeLinear(torch.nn.Linear):
    """A subclass may compute anything."""


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (Strange(), r"^Strange\(\): Strange has no counterpart"),
        (nn.Sequential(nn.Linear(2, 2), Strange()), r"layer 1, Strange\(\): Strange has no counterpart"),
        (nn.Sequential(nn.Sequential(Strange())), r"layer 0\.0, Strange"),
    ],
)
def test_our_layers_without_a_counterpart_are_refused_by_name(net, name):
    with pytest.raises(TypeError, match=name):
        to_torch(net)


def tied():
    """Two layers with one weight."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    net[1].weight = net[0].weight
    return net


def repeated():
    """One layer in two places."""
    layer = torch.nn.Linear(2, 2)
    return torch.nn.Sequential(layer, torch.nn.ReLU(), layer)


def half_affine():
    """A weight without a bias, which torch allows."""
    layer = torch.nn.BatchNorm1d(3)
    layer.register_parameter("bias", None)
    return layer


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (torch.nn.Conv2d(1, 1, 1), TypeError, r"module\[1\]: Conv2d has no counterpart"),
        (StrangeLinear(2, 2), TypeError, r"module\[1\]: StrangeLinear has no counterpart"),
        (torch.nn.Sequential(torch.nn.Tanhshrink()), TypeError, r"module\[1\]\[0\]: Tanhshrink has no counterpart"),
        (torch.nn.Linear(2, 2).half(), TypeError, r"module\[1\]: expected weights of float32 or float64, .*float16"),
        (torch.nn.PReLU(dtype=torch.bfloat16), TypeError, r"module\[1\]: .*bfloat16"),
        (torch.nn.Flatten(start_dim=0), ValueError, r"module\[1\]: expected Flatten\(start_dim=1, end_dim=-1\)"),
        (torch.nn.Flatten(end_dim=1), ValueError, r"module\[1\]: expected Flatten"),
        (torch.nn.Softplus(threshold=1), ValueError, r"module\[1\]: .* threshold; expected at least 20, got 1"),
        (torch.nn.Softplus(beta=-1.0), ValueError, r"module\[1\].*beta"),
        (torch.nn.Softmax(dim=0), ValueError, r"module\[1\].*dim"),
        (torch.nn.LogSoftmax(dim=None), ValueError, r"module\[1\].*dim"),
        (half_affine(), ValueError, r"module\[1\]: expected both weight and bias"),
        (repeated(), ValueError, r"module 1\.0 occurs again as 1\.2"),
        (tied(), ValueError, r"parameter 1\.0\.weight occurs again as 1\.1\.weight"),
    ],
)
def test_torch_s_modules_that_we_lack_are_refused_by_name(module, error, message):
    with pytest.raises(error, match=message):
        from_torch(torch.nn.Sequential(torch.nn.ReLU(), module))


def test_two_dtypes_in_one_network_are_refused():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, dtype=torch.float64))
    with pytest.raises(TypeError, match="expected one dtype, got float32, float64"):
        from_torch(net)


@given(data=st.data(), dtype=our.dtypes)
def test_parameters_as_numpy_are_copies_in_our_layout(data, dtype):
    net = data.draw(our.networks(dtype, 4))
    twin = to_torch(net)
    copies = dict(parameters_as_numpy(twin))
    assert list(copies) == [name for name, _ in net.named_parameters()]
    for name, p in net.named_parameters():
        assert copies[name].dtype == dtype
        assert copies[name].flags.c_contiguous
        np.testing.assert_array_equal(copies[name], p.data)
        copies[name].fill(np.nan)
    assert_same_state(net, twin, dtype)


# Numbers with which neither engine rounds: loss, output, target, terms, and the gradient of their sum.
SURE = [[1000.0, -1000.0], [-1000.0, 1000.0]]
EXACT = {
    "cross-entropy": (nn.CrossEntropyLoss(), SURE, [0, 0], [0, 2000], [[0, 0], [-1, 1]]),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.5), SURE, [0, 0], [500, 1500], [[0.25, -0.25], [-0.75, 0.75]]),
    "nll": (nn.NLLLoss(), [[-1, -2], [-3, -4]], [0, 1], [1, 4], [[-1, 0], [0, -1]]),
    "l1": (nn.L1Loss(), [[1, 2], [3, 4]], [[1, 0], [4, 8]], [[0, 2], [1, 4]], [[0, 1], [-1, -1]]),
    "huber": (nn.HuberLoss(delta=2), [[1, 2], [3, 4]], [[1, 0], [4, 8]], [[0, 2], [0.5, 6]], [[0, 2], [-1, -2]]),
    "mse": (nn.MSELoss(), [[1, 2], [3, 4]], [[1, 0], [4, 8]], [[0, 4], [1, 16]], [[0, 4], [-2, -8]]),
    "bce": (nn.BCEWithLogitsLoss(), SURE, [[0.5, 0], [0, 0]], [[500, 0], [0, 1000]], [[0.5, 0], [0, 1]]),
    # At f = 0 the derivative is -y, not 0.
    "perceptron": (nn.PerceptronLoss(), [[2, -3], [0, 4]], [[1, 1], [1, -1]], [[0, 3], [0, 4]], [[0, -1], [-1, 1]]),
}


@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", EXACT)
def test_a_loss_and_its_twin_give_the_same_value_and_gradient(case, reduction, dtype):
    loss, output, target, terms, gradient = EXACT[case]
    loss.reduction = reduction
    z = torch.tensor(output, dtype=TORCH_DTYPES[dtype], requires_grad=True)
    y = np.array(target) if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) else np.array(target, dtype)
    expected = np.array(terms) if reduction == "none" else getattr(np, reduction)(terms)
    theirs = loss_to_torch(loss)(z, torch.from_numpy(y))
    (their_gradient,) = torch.autograd.grad(theirs.sum(), z)
    np.testing.assert_array_equal(loss(np.array(output, dtype), y), expected)
    np.testing.assert_array_equal(theirs.detach().numpy(), expected)
    scaled = np.array(gradient) / (np.size(terms) if reduction == "mean" else 1)
    np.testing.assert_array_equal(loss.backward(), scaled)
    np.testing.assert_array_equal(their_gradient.numpy(), scaled)


@pytest.mark.parametrize("case", EXACT)
def test_a_loss_that_is_no_number_is_none_in_either_engine(case):
    loss, output, target, *_ = EXACT[case]
    loss.reduction = "mean"
    z = np.array(output, np.float64)
    z[1] = np.nan
    y = np.array(target, np.int64 if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) else np.float64)
    assert np.isnan(loss(z, y))
    assert loss_to_torch(loss)(torch.from_numpy(z), torch.from_numpy(y)).isnan()


def test_an_unknown_loss_is_refused_by_name():
    class StrangeLoss(nn.MSELoss):
        pass

    with pytest.raises(TypeError, match="loss: StrangeLoss has no counterpart"):
        loss_to_torch(StrangeLoss())


@given(data=st.data())
def test_an_optimizer_and_its_twin_have_the_same_settings(data):
    net = nn.MLP([2, 3], rng=0)
    optimizer = data.draw(our.optimizers(net.parameters()))
    optimizer.lr = data.draw(st.floats(0.0, 1.0))  # as a schedule would: the present rate counts
    module = to_torch(net)
    twin = optimizer_to_torch(optimizer, module)
    settings = optimizer_settings(optimizer)
    assert type(twin).__name__ == type(optimizer).__name__
    assert settings.items() <= twin.defaults.items()
    assert twin.param_groups[0]["params"] == list(module.parameters())
    assert not twin.state
    again = type(optimizer)(net.parameters(), **settings)
    assert optimizer_settings(again) == settings


@pytest.mark.parametrize("base", [nn.Optimizer, nn.SGD, nn.Adam])
def test_an_unknown_optimizer_is_refused_by_name(base):
    formulas = dict.fromkeys(getattr(base, "__abstractmethods__", ()), lambda *_: ())
    strange = type("StrangeOptimizer", (base,), formulas)
    net = nn.MLP([2, 3], rng=0)
    arguments = (0.1, 0.0) if base is nn.Optimizer else ()
    with pytest.raises(TypeError, match="optimizer: StrangeOptimizer has no counterpart"):
        optimizer_to_torch(strange(net.parameters(), *arguments), to_torch(net))
