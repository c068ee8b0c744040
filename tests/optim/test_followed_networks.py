"""An optimizer, when the network that it was made for changes under it: converted, rebuilt, rebound, frozen, copied."""

import copy
import pickle

import numpy as np
import pytest

import numpy_nn as nn

X = np.random.default_rng(0).standard_normal((12, 4))
Y = np.arange(12) % 3
OPTIMIZERS = {
    "sgd": lambda p: nn.SGD(p, 0.1),
    "momentum": lambda p: nn.SGD(p, 0.1, 0.9),
    "adamw": lambda p: nn.AdamW(p, 0.1),
}
every_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)


def train(net, optimizer, steps=3):
    x = X.astype(net.parameters().dtype)
    for _ in range(steps):
        nn.train_step(net, nn.CrossEntropyLoss(), optimizer, x, Y)
    return net


def network(dtype=np.float64):
    return nn.MLP([4, 5, 3], rng=0, dtype=dtype)


def same(a, b):
    np.testing.assert_array_equal(a.parameters().data, b.parameters().data)


@every_optimizer
def test_a_network_that_is_converted_is_trained_on(make):
    net = network(np.float32)
    optimizer = make(net.parameters())
    train(net, optimizer)
    train(net.to(np.float64), optimizer)
    # As one whose parameters and states were written in float64 to begin with.
    other = network(np.float32)
    first = make(other.parameters())
    train(other, first)
    other.to(np.float64)
    second = make(other.parameters())
    second.steps = first.steps
    for ours, theirs in zip(second.state, first.state, strict=True):
        for name, array in ours.items():
            array[...] = theirs[name]
    same(net, train(other, second))


@every_optimizer
@pytest.mark.parametrize("rebind", ["data", "parameter", "layer"])
def test_what_is_put_in_the_place_of_a_parameter_is_trained(make, rebind):
    weight = np.random.default_rng(5).standard_normal((5, 3))
    net, other = network(), network()
    optimizer = make(net.parameters())
    if rebind == "data":
        net[2].weight.data = weight
    elif rebind == "parameter":
        net[2].weight = nn.Parameter(weight)
    else:
        bias = net[2].bias.data.copy()
        net[2] = nn.Linear(5, 3, dtype=np.float64)
        net[2].weight.data, net[2].bias.data = weight, bias
    other[2].weight.data[...] = weight
    same(train(net, optimizer), train(other, make(other.parameters())))


def test_gradients_and_values_that_are_assigned_are_those_that_count():
    net = network()
    optimizer = nn.SGD(net.parameters(), 0.5)
    loss = nn.CrossEntropyLoss()
    loss(net(X), Y)
    net.backward(loss.backward())
    before = net.parameters().data.copy()
    for p in net.parameters():
        p.grad = 2.0 * p.grad
    gradient = net.parameters().grad.copy()
    optimizer.step()
    np.testing.assert_array_equal(net.parameters().data, before - 0.5 * gradient)
    for p in net.parameters():
        p.data = p.data - 0.5 * p.grad
        p.data -= p.grad
    assert np.shares_memory(net[0].weight.data, net.parameters().data)
    average = nn.AveragedModel(net)
    average.update_parameters(net)
    same(average.module, net)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((2, 2)), ValueError, r"expected data of shape \(4, 5\), got \(2, 2\)"),
        (np.zeros((4, 5), np.float32), TypeError, r"expected data of float64, got float32; .*\.to\(numpy\.float32\)"),
    ],
)
def test_a_value_of_another_shape_or_dtype_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        network()[0].weight.data = value


def test_a_gradient_needs_no_reset():
    with pytest.raises(TypeError, match="grad cannot be None; a backward pass overwrites grad"):
        network()[0].weight.grad = None


@every_optimizer
def test_another_layer_begins_anew_and_the_others_go_on(make):
    net = network()
    optimizer = make(net.parameters())
    train(net, optimizer)
    kept = {name: array[:25].copy() for name, array in optimizer.state[0].items()}
    net[2] = nn.Linear(5, 7, rng=1, dtype=np.float64)
    net.parameters().grad = np.zeros(25 + 42)
    head = net[2].weight.data.copy()
    optimizer.lr = 0.0
    optimizer.step()
    np.testing.assert_array_equal(net[2].weight.data, head)
    decay = {"momentum_buffer": 0.9, "sum": 0.9, "sum_sq": 0.999}
    for name, array in optimizer.state[0].items():
        assert array.size == 25 + 42
        np.testing.assert_array_equal(array[:25], kept[name] * decay[name])
        np.testing.assert_array_equal(array[25:], 0.0)


@every_optimizer
def test_what_is_frozen_stays_and_the_rest_moves_as_ever(make):
    net, other = network(), network()
    optimizer, theirs = make(net.parameters()), make(other.parameters())
    train(net, optimizer, 2)
    train(other, theirs, 2)
    net[0].bias.requires_grad = net[2].weight.requires_grad = False
    kept = {name: p.data.copy() for name, p in net.named_parameters() if not p.requires_grad}
    for _ in range(3):
        train(net, optimizer, 1)
        train(other, theirs, 1)
        for name, p in other.named_parameters():
            if name in kept:
                p.data = kept[name]
    same(net, other)
    net[0].bias.requires_grad = True
    before = net[0].bias.data.copy()
    train(net, optimizer, 1)
    assert not np.array_equal(net[0].bias.data, before)


def test_clipping_counts_only_what_learns():
    net = network()
    net.parameters().grad[...] = 1.0
    net[0].weight.requires_grad = False
    assert nn.clip_grad_norm_(net.parameters(), 1.0) == np.sqrt(43 - 20)
    np.testing.assert_array_equal(net[0].weight.grad, 1.0)
    assert net[0].bias.grad[0] < 1.0


@every_optimizer
@pytest.mark.parametrize("how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_network_and_its_optimizer_are_copied_together(make, how):
    net = network()
    optimizer = make(net.parameters())
    train(net, optimizer, 2)
    other, theirs = how((net, optimizer))
    same(train(net, optimizer), train(other, theirs))


def test_a_setting_counts_from_when_it_is_set():
    p, q = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    later, at_once = nn.SGD([p], 0.1), nn.SGD([q], 0.1, 0.9)
    later.momentum = 0.9
    for _ in range(3):
        p.grad = q.grad = np.ones(1)
        later.step()
        at_once.step()
    np.testing.assert_array_equal(p.data, q.data)
    for optimizer in (later, at_once):
        optimizer.momentum = 0.0
        optimizer.step()
    np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize("given", [lambda net: [net[0].bias] * 2, lambda net: [net.parameters(), net[0].weight]])
def test_a_parameter_that_is_given_twice_is_refused(given):
    with pytest.raises(ValueError, match="one of them is given twice"):
        nn.SGD(given(network()), 0.1)


def test_two_networks_of_the_same_layers_train_in_turn():
    body = nn.Linear(4, 5, rng=0, dtype=np.float64)
    nets = [nn.Sequential(body, nn.ReLU(), nn.Linear(5, 3, rng=i, dtype=np.float64)) for i in (1, 2)]
    optimizers = [nn.SGD(net.parameters(), 0.1, 0.9) for net in nets]
    plain = [copy.deepcopy(net) for net in nets]
    others = [nn.SGD(net.parameters(), 0.1, 0.9) for net in plain]
    for i in (0, 1, 1, 0, 0):
        train(nets[i], optimizers[i], 1)
        train(plain[i], others[i], 1)
        plain[1 - i][0].load_state_dict(plain[i][0].state_dict())
    for ours, theirs in zip(nets, plain, strict=True):
        same(ours, theirs)


class Listed(nn.Layer):
    """A layer with a list of parameters, of which a user may take some out."""

    def __init__(self):
        self.own = [nn.Parameter(np.ones(3, np.float32)) for _ in range(2)]

    def forward(self, x):
        return x * self.own[0].data

    def backward(self, grad_output):
        for p in self.own:
            p.grad = np.ones(3, np.float32)
        return grad_output


def test_a_parameter_that_is_taken_out_of_a_list_is_not_updated_any_more():
    net = nn.Sequential(Listed())
    optimizer = nn.SGD(net.parameters(), lr=0.1)
    net.backward(net(np.ones((1, 3), np.float32)))
    optimizer.step()
    taken = net[0].own.pop()
    before = taken.data.copy()
    assert len(net.parameters()) == 1
    optimizer.step()
    np.testing.assert_array_equal(taken.data, before)


@pytest.mark.parametrize("mix", ["converted", "replaced"])
def test_parameters_of_two_dtypes_are_refused_at_each_step(mix):
    net = nn.MLP([2, 3, 1], rng=0)
    optimizer = nn.SGD(net.parameters(), lr=0.1)
    optimizer.step()
    if mix == "converted":
        net[0].to(np.float64)
    else:
        net[0] = nn.Linear(2, 3, rng=0, dtype=np.float64)
    for _ in range(3):
        with pytest.raises(TypeError, match="expected one dtype, got float32, float64"):
            optimizer.step()


@every_optimizer
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
@pytest.mark.parametrize("first", ["change", "copy"])
def test_a_copy_knows_whose_states_it_has_where_the_network_changes_before_its_next_step(make, copied, first):
    net = network()
    optimizer = make(net.parameters())
    train(net, optimizer)
    other = copied((net, optimizer)) if first == "copy" else None
    for one in (net, other[0]) if other else (net,):
        one[0].bias = None
    other = other or copied((net, optimizer))
    for one in ((net, optimizer), other):
        train(*one)
    np.testing.assert_array_equal(other[0].parameters().data, net.parameters().data)
