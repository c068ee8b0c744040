"""What the gradient checker takes: layers in every form that people give them, and losses."""

import numpy as np
import pytest
import strategies as our
from foreign import Foreign

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients

FORMS = {
    "dicts": ["params['w']", "params['b']"],
    "lists": ["params[0]", "params[1]"],
    "named": ["kernel", "offset"],
    "d{}": ["W", "b"],
    "grad_{}": ["W", "b"],
    "{}_grad": ["W", "b"],
}


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("dtype", our.DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_parameters_are_found_in_every_form(form, dtype):
    parameters = {"kernel": "slopes.kernel", "offset": "slopes.offset"} if form == "named" else None
    x = np.random.default_rng(1).standard_normal((5, 4)).astype(dtype)
    report = check_gradients(Foreign(form, dtype=dtype), x, parameters=parameters)
    assert report.ok, report
    assert [entry.name for entry in report.entries] == ["x", *FORMS[form]]
    report = check_gradients(Foreign(form, wrong=True, dtype=dtype), x, parameters=parameters)
    assert [entry.verdict for entry in report.entries] == ["right", "wrong", "right"]


def test_parameters_without_a_gradient_are_pointed_out():
    class Silent(Foreign):
        def backward(self, grad):
            return grad @ self.kernel.T

    layer = Silent("named")
    report = check_gradients(layer, np.random.default_rng(1).standard_normal((2, 4)))
    assert report.verdict == "undecided"
    assert any("1 of 3 arrays" in text and "kernel, offset" in text for text in report.problems)
    assert check_gradients(layer, np.ones((2, 4)), constants=["kernel", "offset"]).ok


def test_a_network_of_joelnet_s_form():
    class Net:
        def __init__(self):
            self.layers = [Foreign("dicts"), Foreign("dicts")]
            self.layers[1].params["w"] = np.random.default_rng(2).standard_normal((3, 2))
            self.layers[1].params["b"] = np.zeros(2)

        def forward(self, x):
            for layer in self.layers:
                x = layer.forward(x)
            return x

        def backward(self, grad):
            for layer in reversed(self.layers):
                grad = layer.backward(grad)
            return grad

        def params_and_grads(self):
            for layer in self.layers:
                for name, param in layer.params.items():
                    yield param, layer.grads[name]

    report = check_gradients(Net(), np.random.default_rng(3).standard_normal((5, 4)))
    assert report.ok, report
    assert len(report.entries) == 5


class JoelnetMSE:
    """joelnet's loss: two functions of prediction and target."""

    def loss(self, predicted, actual):
        return np.sum((predicted - actual) ** 2)

    def grad(self, predicted, actual):
        return 2 * (predicted - actual)


def test_losses_in_every_form():
    rng = np.random.default_rng(0)
    z, t, y = rng.standard_normal((5, 3)), rng.random((5, 3)), rng.integers(0, 3, 5)
    for reduction in ("mean", "sum", "none"):
        assert check_gradients(nn.CrossEntropyLoss(reduction=reduction, label_smoothing=0.1), z, y).ok
        assert check_gradients(nn.BCEWithLogitsLoss(reduction=reduction), z, t).ok
    assert check_gradients(JoelnetMSE(), z, t).ok
    assert check_gradients(JoelnetMSE(), z, t.astype(np.float32)).ok
    assert check_gradients((lambda z, t: ((z - t) ** 2).mean(), lambda z, t: 2 * (z - t) / z.size), z, t).ok
    assert check_gradients((lambda z, t: (z - t) ** 2, lambda z, t, g: 2 * (z - t) * g), z, t).ok


def test_a_layer_of_ours_that_adds_up_gradients_is_not_saved_by_every_layer_s_zero_grad():
    class Adds(nn.Layer):
        def __init__(self):
            self.weight = nn.Parameter(np.ones(3))

        def forward(self, x):
            self.saved = x
            return x * self.weight.data

        def backward(self, grad_output):
            self.weight.grad += (grad_output * self.saved).sum(axis=0)
            return grad_output * self.weight.data

    class Resets(Adds):
        def zero_grad(self):
            super().zero_grad()

    x = np.random.default_rng(0).standard_normal((4, 3))
    assert "added to that of the call before" in str(check_gradients(Adds(), x))
    assert check_gradients(Resets(), x).ok
