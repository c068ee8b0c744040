"""Modules that keep something from call to call, as a hidden state: checked from where they are, and left there."""

import pytest
import torch
from torch import Tensor, nn

from torch_ref import gradcheck, gradgradcheck

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


class Recurrent(nn.Module):
    """Keeps its hidden state, with its graph, in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.states = [torch.zeros(3)]

    def forward(self, x: Tensor) -> Tensor:
        self.states = [torch.tanh(self.linear(x) + self.states[0])]
        return self.states[0]


class Leaky(nn.Module):
    """Binds its buffer anew at each call."""

    mem: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mem", torch.zeros(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.mem = 0.5 * self.mem + torch.sin(x)
        return self.mem


def drawn() -> Tensor:
    return torch.randn((2, 3), generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("kind", [Recurrent, Leaky])
def test_a_state_is_that_before_the_check_at_every_run(kind):
    torch.manual_seed(0)
    module = kind()
    module(drawn())
    report = gradcheck(module, drawn())
    assert report, report
    assert gradgradcheck(module, drawn())


def test_of_a_function_around_it_too_and_it_is_left_as_it_was():
    module = Recurrent()
    before = module.states
    report = gradcheck(lambda x: module(x), drawn())
    assert report, report
    assert module.states is before


class Swish(torch.autograd.Function):
    """Multiplies the gradient that it has kept in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.kept = torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad_output):
        ctx.kept *= grad_output
        return ctx.kept


class Fresh(Swish):
    @staticmethod
    def backward(ctx, grad_output):
        return ctx.kept * grad_output


def test_a_backward_pass_that_uses_up_what_it_has_kept_is_right_once_and_told():
    report = gradcheck(Swish, drawn())
    assert report, report
    assert any("the second time through one graph" in text for text in report.warnings)
    assert not gradcheck(Fresh, drawn()).warnings
