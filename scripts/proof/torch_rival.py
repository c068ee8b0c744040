"""torch's own gradient checker on anything that is a ``GradientCase``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from scripts.proof.gradient_cases import GradientCase


class _Wrapped(torch.autograd.Function):
    """The case's NumPy code as a function of torch."""

    @staticmethod
    def forward(ctx: Any, case: GradientCase, *tensors: torch.Tensor) -> torch.Tensor:
        ctx.case = case
        ctx.save_for_backward(*tensors)
        _write(case, tensors)
        return torch.from_numpy(case.forward())

    @staticmethod
    def backward(ctx: Any, *grad_output: torch.Tensor) -> Any:
        _write(ctx.case, ctx.saved_tensors)
        gradients = ctx.case.backward(grad_output[0].detach().numpy().copy())
        return (None, *(torch.from_numpy(gradient) for gradient in gradients.values()))


def _write(case: GradientCase, tensors: tuple[torch.Tensor, ...]) -> None:
    for array, tensor in zip(case.arrays.values(), tensors, strict=True):
        array[...] = tensor.detach().numpy()


def torch_gradcheck(case: GradientCase, rng: np.random.Generator) -> bool:
    """``torch.autograd.gradcheck``: eps 1e-6, atol 1e-5, rtol 1e-3, the whole Jacobian."""
    torch.manual_seed(int(rng.integers(1 << 31)))
    tensors = [torch.tensor(array, requires_grad=True) for array in case.arrays.values()]
    try:
        torch.autograd.gradcheck(lambda *inputs: _Wrapped.apply(case, *inputs), tensors)
    except GradcheckError:
        return True
    except RuntimeError as error:  # what autograd says of a gradient of the wrong shape
        if "invalid gradient" not in str(error):
            raise
        return True
    return False
