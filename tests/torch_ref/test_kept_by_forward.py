"""A Function that keeps what it has computed is right once, and wrong differentiated twice: that is said."""

import pytest
import torch
from torch import Tensor
from torch.autograd import Function

from torch_ref import gradgradcheck

X = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


class Swish(Function):
    """y = x s(x), with s(x) kept."""

    @staticmethod
    def forward(ctx, x):
        s = torch.sigmoid(x)
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, grad_output):
        x, s = ctx.saved_tensors
        return grad_output * (s + x * s * (1.0 - s))


class SwishInAnAttribute(Swish):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.s = torch.sigmoid(x)
        return x * ctx.s

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (ctx.s + x * ctx.s * (1.0 - ctx.s))


class SwishAgain(Swish):
    """The same, with s(x) computed again."""

    @staticmethod
    def backward(ctx, grad_output):
        x, _ = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad_output * (s + x * s * (1.0 - s))


class Weighted(Function):
    """y = w x^2 with a wrong second derivative, as backward detaches; w, an input, is kept and is no reason."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return w * x * x

    @staticmethod
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        return 2.0 * w * x.detach() * grad_output, None


def of_swish(x: Tensor) -> Tensor:
    return torch.tanh(Swish.apply(x)) + SwishInAnAttribute.apply(x)


@pytest.mark.parametrize(
    ("fn", "inputs", "names"),
    [
        (Swish, (X,), ["Swish"]),
        (SwishInAnAttribute, (X,), ["SwishInAnAttribute"]),
        (of_swish, (X,), ["SwishInAnAttribute", "Swish"]),
        (Weighted, (X, X.detach() + 2.0), []),
    ],
)
def test_what_is_wrong_names_the_functions_that_keep_what_they_computed(fn, inputs, names):
    report = gradgradcheck(fn, inputs)
    assert report.verdict == "wrong"
    assert [
        note.split(":")[0] for note in report.notes if "which to a second derivative is a constant" in note
    ] == names


def test_what_is_right_is_told_nothing():
    report = gradgradcheck(SwishAgain, (X,))
    assert (report.verdict, report.notes) == ("right", [])
