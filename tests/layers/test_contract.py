"""The contract of every layer, also of one's own: what is checked, and what belongs to whom."""

import copy
import pickle
import threading
from typing import Any
from unittest import mock

import numpy as np
import pytest
from layer_cases import LAYERS, batch
from own_layers import Scale, gradient_for

import numpy_nn as nn

every_layer = pytest.mark.parametrize("name", LAYERS)


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


def test_a_class_that_has_a_backward_pass_alone_has_it_checked_too():
    class Back(nn.Layer):
        def backward(self, grad_output):
            return grad_output

    with pytest.raises(ValueError, match=r"^Back\(\): backward needs a forward call before it$"):
        Back().backward(np.ones(3))


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
