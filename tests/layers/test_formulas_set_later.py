"""A class of layers that is given a formula, or loses one, after it was defined; what ``to`` makes of a ``dtype``."""

import abc
import functools
from typing import Any
from unittest import mock

import numpy as np
import pytest
from own_layers import Scale, gradient_for

import numpy_nn as nn

X = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def kind():
    """A class of layers of its own for each test, and one that inherits from it."""

    class Tripled(nn.Linear):
        def forward(self, x):
            return 3.0 * super().forward(x)

        def backward(self, grad_output):
            return super().backward(3.0 * grad_output)

    return Tripled


def made(cls):
    return cls(3, 2, rng=0, dtype=np.float64)


def gradients(layer):
    """What the layer returns and writes by itself, and what it writes as the first layer of a network in training."""
    grad = gradient_for(layer(X))
    found = [layer(X), layer.backward(grad), layer.weight.grad.copy(), layer.bias.grad.copy()]
    net = nn.Sequential(layer)
    found.append(net(X))
    layer.weight.grad = np.zeros((3, 2))
    net.backward_parameters(grad)
    return [*found, layer.weight.grad.copy()]


def assert_same(found, expected):
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array, other)


def test_a_formula_that_a_class_is_given_later_is_between_the_checks_and_what_a_network_calls(kind):
    layers = made(kind), made(type("Child", (kind,), {}))
    kind.forward = lambda self, x: nn.Linear.forward(self, x) + 1.0
    for layer in layers:
        expected = made(nn.Linear)(X) + 1.0
        np.testing.assert_array_equal(layer(X), expected)
        np.testing.assert_array_equal(nn.Sequential(layer)(X), expected)
        np.testing.assert_array_equal(nn.Sequential(layer).predict(X), expected)
        with pytest.raises(TypeError, match="expected float64 input, got float32"):
            layer(X.astype(np.float32))
        with pytest.raises(ValueError, match="backward needs a forward call before it"):
            layer.backward(np.ones((2, 2)))
        layer(X)
        with pytest.raises(ValueError, match=r"expected grad_output of shape \(2, 2\), got \(2, 3\)"):
            layer.backward(np.ones((2, 3)))
        y = layer(X)
        assert y is not layer(X)


def test_a_backward_that_is_given_later_is_the_whole_of_it_for_the_parameters_too(kind):
    plain, later = made(nn.Linear), made(kind)
    expected = gradients(plain)
    kind.forward = lambda self, x: nn.Linear.forward(self, x)
    kind.backward = lambda self, grad_output: nn.Linear.backward(self, grad_output)
    assert_same(gradients(later), expected)
    kind.backward = lambda *_: None
    later(X)
    with pytest.raises(TypeError, match="backward returned None; expected dL/dx"):
        later.backward(np.ones((2, 2)))


class Inherits(nn.Linear):
    """A class without a formula of its own."""


@pytest.mark.parametrize("name", ["forward", "backward", "backward_parameters"])
@pytest.mark.parametrize("layer", [made(nn.Linear), made(Inherits), Scale(3)], ids=lambda layer: type(layer).__name__)
def test_a_patch_is_in_force_in_a_network_and_gone_afterwards(layer, name, monkeypatch):
    cls, net, calls = type(layer), nn.Sequential(layer, nn.Tanh()), []
    before, right = dict(vars(cls)), getattr(cls, name)
    grad = gradient_for(net(X))

    def patched(self, array):
        calls.append(array)
        return right(self, array)

    def gradient_of_a_step():
        net(X)
        layer.weight.grad = np.zeros_like(layer.weight.data)
        net.backward_parameters(grad)
        return layer.weight.grad.copy()

    expected = gradient_of_a_step()
    with monkeypatch.context() as patch:
        patch.setattr(cls, name, patched)
        np.testing.assert_array_equal(gradient_of_a_step(), expected)
        assert len(calls) == 1
    np.testing.assert_array_equal(gradient_of_a_step(), expected)
    assert len(calls) == 1
    assert dict(vars(cls)) == before


def called_by_networks(layer):
    """The formulas of this one layer, in what networks call of it."""
    return {name: value for name, value in vars(layer).items() if name[:4] in ("_for", "_bac")}


def test_of_one_layer_the_formulas_that_it_was_given_are_called_and_no_others():
    layer: Any = made(nn.Linear)
    first, second, third, fourth = (lambda *_: None for _ in range(4))
    layer.forward = first
    assert called_by_networks(layer) == {"_forward": first}
    layer.backward = second
    assert called_by_networks(layer) == {"_forward": first, "_backward": second, "_backward_parameters": second}
    del layer.forward
    assert called_by_networks(layer) == {"_backward": second, "_backward_parameters": second}
    del layer.backward
    assert called_by_networks(layer) == {}
    layer.backward_parameters = third
    layer.backward = fourth
    assert called_by_networks(layer) == {"_backward": fourth, "_backward_parameters": third}
    del layer.backward
    assert called_by_networks(layer) == {"_backward_parameters": third}
    del layer.backward_parameters
    assert called_by_networks(layer) == {}
    layer(X)


def test_a_class_that_loses_its_formulas_has_its_parents(kind):
    layer = made(kind)
    expected = gradients(made(nn.Linear))
    del kind.forward
    del kind.backward
    assert_same(gradients(layer), expected)
    assert not {"_forward", "_backward", "_backward_parameters"} & vars(kind).keys()


def test_a_part_for_the_parameters_may_call_its_parent_s():
    class Halved(nn.Linear):
        def backward_parameters(self, grad_output):
            super().backward_parameters(0.5 * grad_output)

    layer, plain = made(Halved), made(nn.Linear)
    grad = gradient_for(layer(X))
    plain(X)
    plain.backward(grad)
    for net in (layer, nn.Sequential(layer)):
        net(X)
        layer.weight.grad = np.zeros((3, 2))
        net.backward_parameters(grad)
        np.testing.assert_array_equal(layer.weight.grad, 0.5 * plain.weight.grad)


def test_a_formula_that_says_it_is_another_s_is_the_class_s_own():
    @functools.wraps(nn.Linear.forward)
    def forward(self, x):
        return -nn.Linear.forward(self, x)

    negative = type("Negative", (nn.Linear,), {"forward": forward})
    np.testing.assert_array_equal(nn.Sequential(made(negative))(X), -made(nn.Linear)(X))


def test_a_mock_of_a_formula_is_called_in_a_network():
    net = nn.Sequential(made(nn.Linear))
    with mock.patch.object(nn.Linear, "forward", autospec=True, return_value=np.ones((2, 2))) as forward:
        np.testing.assert_array_equal(net(X), np.ones((2, 2)))
    forward.assert_called_once()
    np.testing.assert_array_equal(net(X), made(nn.Linear)(X))


@pytest.mark.parametrize("name", ["forward", "backward", "backward_parameters"])
def test_the_base_class_of_all_layers_keeps_what_it_has(name):
    with pytest.raises(TypeError, match=rf"^Layer\.{name}: it is every layer's; set it in a class of your own$"):
        setattr(nn.Layer, name, lambda *_: None)
    with pytest.raises(TypeError, match=rf"^Layer\.{name}: "):
        delattr(nn.Layer, name)


def test_a_class_of_layers_may_be_abstract():
    class Shape(nn.Layer, abc.ABC):
        @abc.abstractmethod
        def forward(self, x):
            """Left to others."""

    class Doubled(Shape):
        def forward(self, x):
            return 2.0 * x

    abstract: Any = Shape
    with pytest.raises(TypeError, match="abstract"):
        abstract()
    np.testing.assert_array_equal(nn.Sequential(Doubled())(X), 2.0 * X)


def test_a_dtype_that_follows_from_the_parameters_is_left_to_them():
    class Follows(Scale):
        @property
        def dtype(self):
            return self.weight.data.dtype

    net = nn.Sequential(nn.Linear(3, 3, rng=0, dtype=np.float64), Follows(3), nn.BatchNorm1d(3, dtype=np.float64))
    assert net.to(np.float32)[1].dtype == np.float32
    assert {p.data.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    assert net(X.astype(np.float32)).dtype == np.float32
    assert net.to(np.float64)[1].dtype == np.float64
    assert net[2].dtype == np.float64


def test_a_dtype_that_can_be_set_is_set():
    class Kept(Scale):
        _dtype = np.dtype(np.float64)

        @property
        def dtype(self):
            return self._dtype

        @dtype.setter
        def dtype(self, value):
            self._dtype = value

    assert Kept(3).to(np.float32).dtype == np.float32
