"""What to say when training in torch diverges, as numpy_nn.training.divergence does; looked at now and then.

To ask the device for a loss is to wait for it, so only the running sum is asked for: a loss that is infinite or no
number makes the sum one too.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from numpy_nn.training.divergence import Divergence

# Steps between two looks at the sum of the losses.
CHECK_EVERY = 200


def check(model: torch.nn.Module, x: Tensor, total: Tensor, epoch: int, batch: int) -> None:
    """Divergence if ``total``, the sum of an epoch's losses up to ``batch``, is infinite or NaN.

    ``x`` is the last batch, on which the layer is looked for. The step was one since the last look, and the error's
    ``batch`` is that of this one.
    """
    value = total.item()
    if not math.isfinite(value):
        layer, what = _first_to_fail(model, x)
        raise _divergence(model, layer, f"the sum of the losses is {value:g}; {what}", epoch, batch)


def check_parameters(model: torch.nn.Module, epoch: int, batch: int) -> None:
    """Divergence if a parameter is infinite or NaN, which the loss before the last update does not tell."""
    if torch.stack([p.isfinite().all() for p in model.parameters()]).all():
        return
    layer, label = next((name, label) for name, module, label in _leaves(model) if not _has_finite_parameters(module))
    what = f"{label} has a parameter that is infinite or NaN after the update"
    raise _divergence(model, layer, what, epoch, batch)


def _divergence(model: torch.nn.Module, layer: str, what: str, epoch: int, batch: int) -> Divergence:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients).item()
    first = (batch - 1) // CHECK_EVERY * CHECK_EVERY + 1
    text = f"epoch {epoch}, steps {first} to {batch}: {what}; the norm of the last gradient is {norm:.3g}"
    return Divergence(f"{text}; try a lower learning rate, or clip the gradient", epoch, batch, layer, norm)


def _leaves(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module, str]]:
    """Every module without modules of its own: its name, itself, and how messages call it."""
    for name, module in model.named_modules():
        if not any(module.children()):
            yield name, module, f"layer {name}, {module}"


def _has_finite_parameters(module: torch.nn.Module) -> bool:
    return all(bool(p.isfinite().all()) for p in module.parameters())


@torch.no_grad()
def _first_to_fail(model: torch.nn.Module, x: Tensor) -> tuple[str, str]:
    """The name of the first layer with a parameter or an output that is infinite or NaN, and which it is."""
    if not x.isfinite().all():
        return "", "the batch itself holds an infinite number or NaN"
    # A copy, as a forward call moves running statistics.
    probe, finite = copy.deepcopy(model), dict[torch.nn.Module, bool]()
    for _, module, _ in _leaves(probe):
        module.register_forward_hook(lambda own, _, output: finite.update({own: bool(output.isfinite().all())}))
    probe(x)
    for name, module, label in _leaves(probe):
        if not _has_finite_parameters(module):
            return name, f"{label} is the first with a parameter that is infinite or NaN"
        if not finite.get(module, True):
            return name, f"{label} is the first whose output holds an infinite number or NaN"
    return "", "after the update, every layer's output is finite"
