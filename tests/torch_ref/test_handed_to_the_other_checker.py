"""What torch differentiates, handed to the checker for NumPy; and modules whose input wants no gradient."""

import textwrap
from typing import Any

import pytest
import torch

from numpy_nn.gradcheck import check_gradients
from torch_ref import gradcheck


def test_what_torch_differentiates_is_refused_with_lines_that_work():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad_output):
            return 3 * ctx.saved_tensors[0] ** 2 * grad_output

    x = torch.linspace(-1.0, 1.0, 4, dtype=torch.float64)
    for target in (Cube, Cube.apply):
        for given in (x, x.numpy()):
            with pytest.raises(TypeError, match=r"Cube is differentiated by torch(.|\n)*gradcheck\(Cube, \(x.requires"):
                check_gradients(target, given)
    assert gradcheck(Cube, (x.requires_grad_(),))
    with pytest.raises(TypeError, match=r"gradcheck\(Linear\(\.\.\.\), "):
        check_gradients(torch.nn.Linear(4, 3), x.detach().numpy())


def test_a_module_whose_input_wants_no_gradient_is_explained():
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            return x @ weight + bias

        @staticmethod
        def backward(ctx, grad_output):
            x, weight = ctx.saved_tensors
            return grad_output @ weight.T, x.T @ grad_output, grad_output.mean(0)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(4, 3))
            self.bias = torch.nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return Scaled.apply(x, self.weight, self.bias)

    report = gradcheck(Module(), torch.randn(5, 4))
    assert report["bias"].verdict == "wrong"
    assert report["bias"].cause == "bias_averaged"


class ByHand:
    """A layer with passes by hand on tensors."""

    def __init__(self):
        self.weight, self.bias = torch.randn(4, 3), torch.zeros(3)

    def __call__(self, x):
        self.x = x
        return x @ self.weight + self.bias

    def backward(self, grad_output):
        self.dweight, self.dbias = self.x.T @ grad_output, grad_output.sum(0)
        return grad_output @ self.weight.T


def test_passes_by_hand_of_an_object_that_holds_tensors_are_refused_with_lines_that_work():
    net, x = ByHand(), torch.randn(5, 4)
    for given in (x, x.numpy()):
        with pytest.raises(TypeError, match="ByHand holds tensors of torch, weight, bias") as refused:
            check_gradients(net, given)
    lines = textwrap.dedent(str(refused.value).split("\n", 1)[1])
    told: dict[str, Any] = {
        "net": net,
        "x": x,
        "check_gradients": lambda *asked: told.update(report=check_gradients(*asked)),
    }
    exec(lines, told)
    assert [entry.name for entry in told["report"].entries] == ["x", "weight", "bias"]
    assert told["report"].verdict == "right"
