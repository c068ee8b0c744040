"""What a layer is made of: layers and parameters found inside it, and what happens when they change."""

import copy
from collections import UserDict, UserList, deque

import numpy as np
import pytest
from layer_cases import batch
from own_layers import NAMES, Residual, gradient_for, network

import numpy_nn as nn
from numpy_nn.layers.composition import structure


def test_layers_and_parameters_are_found_wherever_they_stand():
    net = network()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert net.parameters().size == sum(p.size for _, p in net.named_parameters())
    assert [name for name, _ in net.named_buffers()][:2] == ["0.norm.running_mean", "0.norm.running_var"]
    assert sorted(net.state_dict()) == sorted([*NAMES, *(name for name, _ in net.named_buffers())])
    assert [name for name, _ in net.named_modules()][:4] == ["", "0", "0.norm", "0.steps.0"]
    assert net[0].more["drop"].label == "layer 0.more.drop, Dropout(p=0.5)"


def test_modes_dtypes_and_files_reach_the_layers_inside(tmp_path):
    net = network()
    x = batch(np.float64)
    np.testing.assert_array_equal(net.predict(x), net.predict(x))
    assert not any(layer.training for layer in net.eval().modules())
    net.save(tmp_path / "net.npz")
    other = network().to(np.float32)
    assert {array.dtype for _, array in other.named_state() if array.dtype.kind == "f"} == {np.dtype(np.float32)}
    other.to(np.float64).load(tmp_path / "net.npz")
    np.testing.assert_array_equal(net.predict(x), other.predict(x))


def test_a_block_trains_goes_on_and_is_averaged_as_if_its_layers_stood_in_the_network(tmp_path):
    x, y = np.random.default_rng(0).standard_normal((32, 3)), np.arange(32) % 2

    def run(epochs, *, resume=False):
        net = network()
        loader, optimizer = nn.DataLoader(x, y, 8, rng=0), nn.Adam(net.parameters(), 0.01)
        average = nn.AveragedModel(net, 0.5)
        state = nn.TrainingState(net, optimizer, loader, average=average)
        if resume:
            state.load(tmp_path / "state.npz")
        callbacks = [nn.MaxNorm(0.4), nn.UpdateAverage(average), nn.SaveTrainingState(state, tmp_path / "state.npz")]
        nn.fit(net, nn.CrossEntropyLoss(), optimizer, loader, epochs, history=state.history, callbacks=callbacks)
        return net, average

    net, average = run(4)
    assert np.linalg.norm(net[0].steps[0].weight.data, axis=0).max() <= 0.4
    assert not np.array_equal(net[0].shift.data, network()[0].shift.data)
    run(2)
    resumed, resumed_average = run(4, resume=True)  # dropout's generator too goes on where it was
    for ours, theirs in ((net, resumed), (average.module, resumed_average.module)):
        for (_, a), (_, b) in zip(ours.named_state(), theirs.named_state(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_parameter_of_two_layers_is_refused():
    net = nn.MLP([3, 3, 3], rng=0)
    net[2].weight = net[0].weight
    with pytest.raises(ValueError, match=r"2.weight: a parameter of layer 0, Linear\(3, 3\) as well"):
        net.parameters()


def test_other_layers_in_the_place_of_some():
    x, y = batch(np.float32, rows=8), np.arange(8) % 2
    net = nn.MLP([3, 4, 2], rng=0)
    head = nn.Linear(4, 2, rng=9)
    net[-1] = head
    assert head.label == "layer 2, Linear(4, 2)"
    frozen = net[0].weight.data.copy()
    net[0].weight.requires_grad = net[0].bias.requires_grad = False
    before = head.weight.data.copy()
    nn.fit(net, nn.CrossEntropyLoss(), nn.Adam(net.parameters(), 0.1), nn.DataLoader(x, y, 4, rng=0), 2)
    np.testing.assert_array_equal(net[0].weight.data, frozen)
    assert not np.array_equal(head.weight.data, before)
    # Trained layers under a new head; the two networks share what they learn.
    other = nn.Sequential(*net[:-1], nn.Linear(4, 5, rng=1))
    assert other.parameters().size == 3 * 4 + 4 + 4 * 5 + 5
    for network_ in (net, other, net):
        network_.parameters().data[:12] += 1.0
        np.testing.assert_array_equal(net[0].weight.data, other[0].weight.data)
    np.testing.assert_array_equal(net[0].weight.data, (frozen + 1.0 + 1.0) + 1.0)
    with pytest.raises(IndexError):
        net[3] = nn.ReLU()


class Doubled(nn.Sequential):
    """A network that does something else than its layers in a row, and has a layer beside them."""

    def __init__(self, *layers):
        super().__init__(*layers)
        self.head = nn.Linear(2, 2, rng=5, dtype=np.float64)

    def forward(self, x):
        return self.head(2.0 * super().forward(x))

    def backward(self, grad_output):
        return super().backward(2.0 * self.head.backward(grad_output))


def test_a_network_of_ones_own_is_trained_by_its_own_backward_and_with_all_its_layers():
    from numpy_nn.gradcheck import check_gradients

    net = Doubled(nn.Linear(3, 2, rng=0, dtype=np.float64))
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "head.weight", "head.bias"]
    x = batch(np.float64)
    assert check_gradients(net, x).verdict == "right"
    grad = gradient_for(net(x))
    net.backward(grad)
    expected = net.parameters().grad.copy()
    net.parameters().grad = np.zeros_like(expected)
    net.backward_parameters(grad)
    np.testing.assert_array_equal(net.parameters().grad, expected)


def test_the_vector_of_a_network_is_always_that_of_now():
    net = nn.MLP([3, 4, 2], rng=0)
    vector = net.parameters()
    net.to(np.float64)
    assert vector.dtype == vector.data.dtype == np.float64
    vector.data = np.arange(vector.size, dtype=np.float64)
    assert net[0].weight.data[0, 1] == 1.0
    vector.grad = np.ones(vector.size)
    assert nn.clip_grad_norm_(vector, 1e-3) == pytest.approx(vector.size**0.5)
    assert net[2].bias.grad[0] < 1e-3
    twin = copy.deepcopy(vector)
    assert (len(twin), twin.size) == (len(vector), vector.size)
    np.testing.assert_array_equal(twin.data, vector.data)
    vector.requires_grad = False
    assert not any(p.requires_grad for p in net.parameters())
    assert all(p.requires_grad for p in net.requires_grad_().parameters())
    with pytest.raises(AttributeError, match="requires_grad_"):
        net[0].requires_grad = False


def test_what_is_put_in_the_place_of_a_parameter_is_one_or_is_refused():
    net = nn.MLP([3, 4, 2], rng=0)
    net.parameters()
    with pytest.raises(TypeError, match=r"weight: expected a Parameter .* assign to weight.data"):
        net[0].weight = np.zeros((3, 4), np.float32)
    net[0].bias = None
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "2.weight", "2.bias"]
    assert len(net.parameters()) == 3
    block = nn.Sequential(Residual(3))
    block.parameters()
    ready = nn.Linear(3, 3, rng=7, dtype=np.float64)
    block[0].steps[0] = ready
    assert any(p is ready.weight for p in block.parameters())


def test_a_layer_that_is_put_twice_into_a_network_from_inside_is_refused():
    inner = nn.Sequential(nn.ReLU(), nn.Linear(3, 2, rng=0))
    net = nn.Sequential(nn.Linear(3, 3, rng=1), inner)
    inner[0] = net[0]
    with pytest.raises(ValueError, match=r"layer 1.0, Linear.*, is layer 0 already"):
        net.parameters()


def test_max_norm_leaves_frozen_weights_alone():
    x, y = batch(np.float32, rows=4), np.arange(4) % 2
    net = nn.MLP([3, 4, 2], rng=0)
    net[0].requires_grad_(False)
    kept = net[0].weight.data.copy()
    nn.fit(
        net,
        nn.CrossEntropyLoss(),
        nn.SGD(net.parameters(), 0.1),
        nn.DataLoader(x, y, 4),
        1,
        callbacks=[nn.MaxNorm(1e-3)],
    )
    np.testing.assert_array_equal(net[0].weight.data, kept)


def object_array(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


class Holding(nn.Layer):
    """A layer that keeps what it is given, as it is."""

    def __init__(self, kept):
        self.kept = kept


@pytest.mark.parametrize(
    "kind", [set, frozenset, deque, UserList, lambda items: UserDict(enumerate(items)), object_array]
)
@pytest.mark.parametrize("item", [nn.Parameter(np.ones(2)), nn.ReLU()], ids=["parameter", "layer"])
def test_parameters_and_layers_where_they_would_not_be_found_are_refused(kind, item):
    layer = Holding(kind([item]))
    with pytest.raises(TypeError, match="kept: expected a list, tuple or dict of parameters and layers, got a "):
        list(layer.named_modules() if isinstance(item, nn.Layer) else layer.named_parameters())
    assert list(Holding(kind([1.0])).named_parameters()) == []


def test_slots_are_refused_as_nothing_would_be_found_in_them():
    with pytest.raises(TypeError, match="Slotted: expected no __slots__, in which no parameter or layer"):

        class Slotted(nn.Layer):
            __slots__ = ("inner",)


def test_an_optimizer_follows_a_parameter_that_is_replaced_in_a_list():
    class Gain(nn.Layer):
        def __init__(self):
            self.gains = [nn.Parameter(np.ones(3))]

        def forward(self, x):
            return x * self.gains[0].data

        def backward(self, grad_output):
            self.gains[0].grad = (grad_output * self.saved).sum(axis=0)
            return grad_output * self.gains[0].data

    net = nn.Sequential(Gain())
    optimizer = nn.SGD(net.parameters(), 1.0)
    net[0].gains[0] = nn.Parameter(np.full(3, 5.0))
    net(np.ones((2, 3)))
    net.backward(np.ones((2, 3)))
    optimizer.step()
    np.testing.assert_array_equal(net[0].gains[0].data, 3.0)


def test_no_structure_is_taken_for_one_before_it():
    class Net(nn.Layer):
        pass

    net, seen = Net(), [structure.version]
    for change in (
        lambda: setattr(net, "fc", nn.Linear(2, 2)),
        lambda: delattr(net, "fc"),
        lambda: setattr(net, "fc", [nn.Linear(2, 2)]),
        lambda: setattr(net, "fc", None),
    ):
        change()
        seen.append(structure.version)
    assert seen == sorted(set(seen))
