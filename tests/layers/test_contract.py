"""The contract of every layer, also of one's own: what is checked, what belongs to whom, what is found inside."""

import copy
import pickle
import threading
from typing import Any
from unittest import mock

import numpy as np
import pytest
from layer_cases import LAYERS, batch

import numpy_nn as nn

every_layer = pytest.mark.parametrize("name", LAYERS)


class Scale(nn.Layer):
    """The layer of the contract's text."""

    def __init__(self, features):
        self.weight = nn.Parameter(np.ones(features))

    def forward(self, x):
        self.saved = x
        return x * self.weight.data

    def backward(self, grad_output):
        x = self.saved
        self.weight.grad = (grad_output * x).sum(axis=0)
        return grad_output * self.weight.data


class Residual(nn.Layer):
    """Layers within a layer, in all places where one may put them."""

    def __init__(self, width, dtype=np.float64):
        super().__init__()
        self.norm = nn.BatchNorm1d(width, dtype=dtype)
        self.steps = [nn.Linear(width, width, rng=0, dtype=dtype), nn.Tanh()]
        self.more: dict[str, Any] = {"drop": nn.Dropout(0.5, rng=0), "pair": (Scale(width),)}
        self.shift = nn.Parameter(np.zeros(width, dtype))

    def chain(self):
        return [self.norm, *self.steps, self.more["drop"], *self.more["pair"]]

    def forward(self, x):
        y = x
        for layer in self.chain():
            y = layer(y)
        return x + y + self.shift.data

    def backward(self, grad_output):
        self.shift.grad = grad_output.sum(axis=0)
        grad = grad_output
        for layer in reversed(self.chain()):
            grad = layer.backward(grad)
        return grad_output + grad


def network():
    return nn.Sequential(Residual(3), nn.Linear(3, 2, rng=1, dtype=np.float64))


NAMES = [
    *("0.shift", "0.norm.weight", "0.norm.bias", "0.steps.0.weight", "0.steps.0.bias", "0.more.pair.0.weight"),
    *("1.weight", "1.bias"),
]


def gradient_for(output):
    return np.random.default_rng(1).standard_normal(output.shape).astype(output.dtype)


# What is checked.


@every_layer
def test_a_gradient_has_the_shape_and_the_dtype_of_the_output(name):
    layer = LAYERS[name](np.float64)
    output = layer(batch(np.float64))
    for backward in (layer.backward, layer.backward_parameters):
        with pytest.raises(ValueError, match=": expected grad_output of shape "):
            backward(output[:1])
        with pytest.raises(TypeError, match=": expected float64 grad_output, got float32"):
            backward(output.astype(np.float32))
        backward(output)


def test_a_layer_of_ones_own_is_checked_alike():
    layer = Scale(3)
    with pytest.raises(ValueError, match=r"^Scale\(\): backward needs a forward call before it$"):
        layer.backward(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^Scale\(\): expected a batch of at least one row, got shape \(0, 3\)$"):
        layer(np.ones((0, 3)))
    layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^Scale\(\): expected grad_output of shape \(2, 3\), got \(3,\)$"):
        layer.backward(np.ones(3))


def test_a_forward_call_that_fails_leaves_nothing_to_go_back_from():
    layer = Scale(3)
    layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match="broadcast"):
        layer(np.ones((2, 4)))
    with pytest.raises(ValueError, match="backward needs a forward call"):
        layer.backward(np.ones((2, 3)))


def test_a_backward_pass_that_returns_nothing_is_named():
    class Forgetful(nn.Layer):
        def forward(self, x):
            return 2.0 * x

        def backward(self, grad_output):
            grad_output * 2.0

    net = nn.Sequential(nn.ReLU(), Forgetful())
    net(np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"layer 1, Forgetful\(\): backward returned None; expected dL/dx"):
        net.backward(np.ones((2, 3)))


def test_a_formula_of_the_parent_is_the_bare_one():
    class Twice(nn.Linear):
        """A subclass with an output of another shape than the parent's."""

        def forward(self, x):
            y = super().forward(x)
            return np.concatenate([y, y], axis=1)

        def backward(self, grad_output):
            half = grad_output.shape[1] // 2
            return super().backward(grad_output[:, :half] + grad_output[:, half:])

    layer, plain = Twice(3, 2, rng=0, dtype=np.float64), nn.Linear(3, 2, rng=0, dtype=np.float64)
    x = batch(np.float64)
    y = layer(x)
    np.testing.assert_array_equal(y, np.concatenate([plain(x)] * 2, axis=1))
    grad = gradient_for(y)
    np.testing.assert_array_equal(layer.backward(grad), plain.backward(grad[:, :2] + grad[:, 2:]))
    np.testing.assert_array_equal(layer.weight.grad, plain.weight.grad)
    # The first layer of a network in training is asked for its parameters' gradients alone: those of its own backward.
    net = nn.Sequential(layer)
    net(x)
    layer.weight.grad = np.zeros((3, 2))
    net.backward_parameters(grad)
    np.testing.assert_array_equal(layer.weight.grad, plain.weight.grad)


def test_a_backward_of_ones_own_may_call_the_parent_s_part_for_the_parameters():
    class Careless(nn.Linear):
        def backward(self, grad_output):
            self.backward_parameters(grad_output)
            return grad_output @ self.weight.data

    layer, plain = Careless(3, 3, rng=0, dtype=np.float64), nn.Linear(3, 3, rng=0, dtype=np.float64)
    x = batch(np.float64)
    grad = gradient_for(layer(x))
    plain(x)
    plain.backward(grad)
    np.testing.assert_array_equal(layer.backward(grad), grad @ plain.weight.data)
    np.testing.assert_array_equal(layer.weight.grad, plain.weight.grad)
    net = nn.Sequential(layer)
    net(x)
    net.parameters().grad[...] = 0.0
    net.backward_parameters(grad)
    np.testing.assert_array_equal(layer.weight.grad, plain.weight.grad)


def test_a_function_put_in_the_place_of_a_formula_is_used_in_a_network_too():
    net = nn.Sequential(nn.ReLU(), nn.Identity())
    net[0].forward = lambda x: x + 1.0
    np.testing.assert_array_equal(net(np.zeros((1, 2))), np.ones((1, 2)))


# What belongs to whom.


@every_layer
def test_what_a_call_returns_is_the_callers(name):
    layer = LAYERS[name](np.float64).eval()
    one, two = batch(np.float64), -batch(np.float64, rows=3)
    first = layer(one)
    kept = first.copy()
    layer(two)
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, one)

    layer(one)
    grad = gradient_for(kept)
    expected = layer.backward(grad)
    first = layer(one)
    first[...] = np.nan  # what backward needs is not the caller's array
    result = layer.backward(grad)
    np.testing.assert_array_equal(result, expected)
    kept = result.copy()
    layer(two)
    layer.backward(gradient_for(layer(two)))
    np.testing.assert_array_equal(result, kept)
    assert not np.shares_memory(result, grad)


@every_layer
def test_an_input_and_a_gradient_are_never_written_to(name):
    layer = LAYERS[name](np.float64)
    x = batch(np.float64)
    x.flags.writeable = False
    grad = gradient_for(layer(x))
    grad.flags.writeable = False
    layer.backward(grad)


@pytest.mark.parametrize("activation", nn.ACTIVATIONS)
def test_a_network_applied_to_its_own_output_goes_back_from_the_second_call(activation):
    net = nn.MLP([3, 4, 3], activation, rng=0, dtype=np.float64)
    x, grad = batch(np.float64), gradient_for(batch(np.float64))
    net(net(x).copy())
    expected = net.backward(grad), net.parameters().grad.copy()
    net(net(x))
    np.testing.assert_array_equal(net.backward(grad), expected[0])
    np.testing.assert_array_equal(net.parameters().grad, expected[1])
    outputs = [net(rows) for rows in (x, -x)]
    np.testing.assert_array_equal(outputs[0], net(x))


@every_layer
@pytest.mark.parametrize("how", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copy_begins_before_any_forward_call(name, how):
    layer = LAYERS[name](np.float64)
    x = batch(np.float64)
    grad = gradient_for(layer(x))
    twin = how(layer)
    with pytest.raises(ValueError, match="backward needs a forward call before it"):
        twin.backward(grad)
    expected = layer.backward(grad)
    twin(x)
    if "Dropout" not in repr(layer):  # whose copy goes on with another mask
        np.testing.assert_array_equal(twin.backward(grad), expected)


@pytest.mark.parametrize("activation", ["silu", "softmax"])
def test_threads_that_predict_at_once_get_their_own_numbers(activation):
    net = nn.MLP([20, 30, 10], activation, dropout=0.5, rng=0)
    inputs = [np.random.default_rng(i).standard_normal((64, 20)).astype(np.float32) for i in range(4)]
    expected, wrong = [net.predict(x) for x in inputs], []

    def work(x, right):
        for _ in range(100):
            if not np.array_equal(net.predict(x, 16), right):
                wrong.append(right)

    # In batches of 16, as a product of 64 rows may be summed in another order.
    expected = [net.predict(x, 16) for x in inputs]
    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(layer.training for layer in net.modules())


# What a layer is made of.


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


def test_the_layer_of_the_documentation_is_right():
    from numpy_nn.gradcheck import check_gradients
    from numpy_nn.layers import base

    lines = base.__doc__.split("::\n\n")[1].split("\nFor every layer")[0]
    scope: dict[str, Any] = {"nn": nn, "np": np}
    exec("\n".join(line[4:] for line in lines.splitlines()), scope)
    layer = scope["Scale"](3)
    assert check_gradients(layer, batch(np.float64)).verdict == "right"
    x = batch(np.float64)
    net = nn.Sequential(nn.Linear(3, 3, rng=0, dtype=np.float64), layer)
    net.backward(nn.MSELoss().forward(net(x), x) * np.ones_like(x))
    assert net.parameters().size == 15


# What a first review of the contract found.


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


def test_a_shallow_copy_has_working_memory_of_its_own():
    first = nn.Sigmoid()
    net = nn.Sequential(nn.Linear(3, 3, rng=0, dtype=np.float64), first, copy.copy(first))
    plain = nn.Sequential(net[0], nn.Sigmoid(), nn.Sigmoid())
    x = batch(np.float64)
    np.testing.assert_array_equal(net(x), plain(x))
    grad = gradient_for(x)
    np.testing.assert_array_equal(net.backward(grad), plain.backward(grad))
    loss = nn.MSELoss()
    other = copy.copy(loss)
    loss(x, 0 * x)
    other(x, x)
    np.testing.assert_array_equal(loss.backward(), 2.0 * x / x.size)
    shallow = copy.copy(net)
    shallow[0] = nn.Linear(3, 3, rng=1, dtype=np.float64)
    np.testing.assert_array_equal(shallow.parameters()[0].data, shallow[0].weight.data)


def test_formulas_of_a_mixin_and_of_an_instance_are_used_in_a_network():
    class Plus:
        def forward(self, x):
            return super().forward(x) + 1.0  # type: ignore[misc]

    class Shifted(Plus, nn.Linear):
        pass

    x = batch(np.float64)
    layer, plain = Shifted(3, 2, rng=0, dtype=np.float64), nn.Linear(3, 2, rng=0, dtype=np.float64)
    np.testing.assert_array_equal(nn.Sequential(layer)(x), plain(x) + 1.0)
    seen: list[np.ndarray] = []
    net = nn.Sequential(plain)
    grad = gradient_for(net(x))

    def patched(grad_output):
        seen.append(grad_output)
        return np.zeros((5, 3))

    with mock.patch.object(plain, "backward", side_effect=patched):
        net.backward_parameters(grad)
        net.backward(grad)
    assert len(seen) == 2
    net.backward(grad)
    assert len(seen) == 2


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


def test_networks_that_share_layers_predict_in_threads():
    body = nn.Linear(20, 30, rng=0)
    nets = [nn.Sequential(body, nn.Tanh(), nn.Linear(30, 5, rng=i)) for i in (1, 2)]
    inputs = [np.random.default_rng(i).standard_normal((64, 20)).astype(np.float32) for i in (0, 1)]
    expected, wrong = [net.predict(x) for net, x in zip(nets, inputs, strict=True)], []

    def work(net, x, right):
        for _ in range(100):
            if not np.array_equal(net.predict(x), right):
                wrong.append(right)

    threads = [threading.Thread(target=work, args=three) for three in zip(nets, inputs, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
