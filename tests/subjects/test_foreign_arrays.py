"""Passes by hand on torch's tensors, in pairs and in functions that return a loss and its gradients."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)


def made(*shape, dtype="float64"):
    return torch.tensor(RNG.standard_normal(shape), dtype=getattr(torch, dtype))


def step(x, h, Wx, b):
    new = torch.tanh(x.mm(Wx) + h + b)
    return new, (x, Wx, new)


def step_backward(grad_output, cache):
    x, Wx, new = cache
    dz = grad_output * (1 - new**2)
    return dz.mm(Wx.t()), dz, x.t().mm(dz), dz.sum(dim=0)


def slipped(grad_output, cache):
    dx, dh, dW, db = step_backward(grad_output, cache)
    return dx, dh, 1.5 * dW, db


def loss(params, X, y):
    scores = X.mm(params["W"]) + params["b"]
    logs = torch.log_softmax(scores, dim=1)
    d = torch.exp(logs)
    d[torch.arange(len(y)), y] -= 1
    d /= len(y)
    return -logs[torch.arange(len(y)), y].mean(), {"W": X.t().mm(d), "b": d.sum(dim=0)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_pair_is_called_with_tensors(dtype):
    inputs = made(5, 4, dtype=dtype), made(5, 3, dtype=dtype), made(4, 3, dtype=dtype), made(3, dtype=dtype)
    kept = [one.clone() for one in inputs]
    report = check_gradients((step, step_backward), inputs)
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["x", "h", "Wx", "b"]
    assert [e.verdict for e in check_gradients((step, slipped), inputs).entries] == ["right", "right", "wrong", "right"]
    assert all(map(torch.equal, inputs, kept))


def test_a_loss_of_a_dict_of_tensors_is_too():
    params = {"W": made(4, 3), "b": made(3)}
    report = check_gradients(loss, (params, made(6, 4), torch.tensor([0, 1, 2, 2, 1, 0])))
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["params['W']", "params['b']"]


def test_functions_of_torch_that_are_given_arrays_get_tensors():
    # Once the code's own error, 'numpy.ndarray' object has no attribute 'mm', as on the command line.
    given = tuple(RNG.standard_normal(shape) for shape in ((4, 3), (4, 2), (3, 2), 2))
    assert check_gradients((step, step_backward), given)
    assert check_gradients((step, slipped), given)["Wx"].verdict == "wrong"


def test_functions_of_both_are_given_arrays_as_they_are():
    def both(x):
        return np.tanh(x) * float(torch.tensor(2.0))

    assert check_gradients((both, lambda dout, x: dout * 2.0 * (1.0 - np.tanh(x) ** 2)), RNG.standard_normal((4, 3)))
