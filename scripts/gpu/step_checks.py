"""Steps of every kind, on numbers that need no rounding: all end with the parameters of numpy_nn, to the last bit.

With whole numbers for weights and data, ReLU, squared errors over a power of 2 of entries, and powers of 2 for rates,
momentum and decay, float64 holds every number of a few steps, and so does whatever a GPU computes with, in any order.
What is then not equal is wrong: a graph that replays another step, a rate that was not read, a batch that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import numpy_nn as nn
from scripts.gpu.checks import Check, Failed
from torch_ref import loss_to_torch, optimizer_to_torch, parameters_as_numpy, to_torch
from torch_ref.training import GraphedStep, make_update

OPTIMIZERS: dict[str, Callable[[Any], nn.Optimizer]] = {
    "sgd": lambda parameters: nn.SGD(parameters, 0.5),
    "momentum": lambda parameters: nn.SGD(parameters, 0.5, 0.5),
    "nesterov with decay": lambda parameters: nn.SGD(parameters, 0.5, 0.5, weight_decay=0.25, nesterov=True),
}


class ExactRun(NamedTuple):
    """Widths of a network, and the rows of its batches: each step doubles the bits of two layers, and not of one."""

    sizes: tuple[int, ...]
    batches: tuple[int, ...]


# The last batch is smaller, and the step after it as before.
EXACT_RUNS = (ExactRun((4, 2), (8, 8, 4, 8)), ExactRun((4, 4, 2), (8, 4)))
# bfloat16 has eight bits: enough for one step, on few rows.
IN_BFLOAT16 = ExactRun((4, 4, 2), (2,))


def whole_numbers(exact: ExactRun, dtype: str) -> tuple[nn.Sequential, list[tuple[NDArray[Any], NDArray[Any]]]]:
    """A network of -1, 0 and 1, and batches whose targets are at most 1 from its first outputs."""
    rng = np.random.default_rng(3)
    net = nn.MLP(exact.sizes, rng=0, dtype=dtype)
    for p in net.parameters():
        p.data[...] = rng.integers(-1, 2, p.shape)
    batches = []
    for n in exact.batches:
        x = rng.integers(-1, 2, (n, exact.sizes[0])).astype(dtype)
        batches.append((x, net.predict(x) + rng.integers(-1, 2, (n, exact.sizes[-1]))))
    return net, [(x, t.astype(dtype)) for x, t in batches]


def rates(steps: int, scheduled: bool) -> list[float]:
    """A rate for each step: powers of 2."""
    return [0.5 / 2 ** (i % 2) if scheduled else 0.5 for i in range(steps)]


def numpy_steps(
    exact: ExactRun, make: Callable[[Any], nn.Optimizer], *, dtype: str = "float64", scheduled: bool = False
) -> list[NDArray[Any]]:
    """The parameters after a step of numpy_nn's on each batch."""
    net, batches = whole_numbers(exact, dtype)
    loss, optimizer = nn.MSELoss(), make(net.parameters())
    for (x, t), optimizer.lr in zip(batches, rates(len(batches), scheduled), strict=True):
        loss(net(x), t)
        net.backward(loss.backward())
        optimizer.step()
    return [p.data for p in net.parameters()]


def torch_steps(
    exact: ExactRun,
    make: Callable[[Any], nn.Optimizer],
    device: str,
    *,
    dtype: str = "float64",
    scheduled: bool = False,
    fused: bool = False,
    graph: bool = False,
    **options: Any,
) -> list[NDArray[Any]]:
    """The same by torch, as ``options`` of :func:`torch_ref.training.make_update` say, captured or not."""
    net, batches = whole_numbers(exact, dtype)
    model = to_torch(net, device)
    optimizer = optimizer_to_torch(make(net.parameters()), model, fused=fused, tensor_lr=scheduled)
    step: Any = make_update(model, loss_to_torch(nn.MSELoss()), optimizer, **options)
    if graph:
        step = GraphedStep(step, model, optimizer)
    for (x, t), lr in zip(batches, rates(len(batches), scheduled), strict=True):
        if scheduled:
            optimizer.param_groups[0]["lr"].fill_(lr)
        step(torch.from_numpy(x).to(device), torch.from_numpy(t).to(device))
    return [array for _, array in parameters_as_numpy(model)]


def step_checks(device: str, only_on_cuda: str) -> list[Check]:
    """A row for each kind of step; ``only_on_cuda`` is empty on CUDA."""
    amp: dict[str, Any] = {"dtype": "float32", "amp": True}
    captured: dict[str, Any] = {"fused": True, "graph": True}
    kinds: list[tuple[str, str, Sequence[ExactRun], dict[str, Any]]] = [
        ("eager", "", EXACT_RUNS, {}),
        ("fused", "", EXACT_RUNS, {"fused": True}),
        ("fused, rates read from the device", "", EXACT_RUNS, {"fused": True, "scheduled": True}),
        ("compiled", "", EXACT_RUNS[1:], {"compile": True}),
        ("mixed precision", "", [IN_BFLOAT16], amp),
        ("captured", only_on_cuda, EXACT_RUNS, captured),
        ("captured, rates read from the device", only_on_cuda, EXACT_RUNS, {**captured, "scheduled": True}),
        ("captured, compiled", only_on_cuda, EXACT_RUNS[1:], {**captured, "compile": True}),
        ("captured, mixed precision", only_on_cuda, [IN_BFLOAT16], {**captured, **amp}),
    ]
    made = [Check(f"steps: {name}", _equal(device, runs, more), needs) for name, needs, runs, more in kinds]
    return [*made, Check("steps: captured as eager, with dropout", lambda: as_eager(device), only_on_cuda)]


def _equal(device: str, runs: Sequence[ExactRun], options: dict[str, Any]) -> Callable[[], str]:
    reference = {key: options[key] for key in ("dtype", "scheduled") if key in options}

    def run() -> str:
        steps = 0
        # Each of those that are compiled takes half a minute.
        makers = {"momentum": OPTIMIZERS["momentum"]} if "compile" in options else OPTIMIZERS
        for exact in runs:
            for name, make in makers.items():
                ours = numpy_steps(exact, make, **reference)
                theirs = torch_steps(exact, make, device, **options)
                distance = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
                if not distance <= 0.0:  # nor NaN
                    shape = "-".join(map(str, exact.sizes))
                    raise Failed(f"{shape}, {name}: {distance:.3g} from numpy_nn's parameters, expected 0")
                steps += len(exact.batches)
        return f"{steps} steps equal to numpy_nn's, to the last bit"

    return run


def as_eager(device: str) -> str:
    """Captured steps with all that an epoch has, beside the same kernels one by one: the same bits, dropout's too."""
    ended: list[list[Tensor]] = []
    for graph in (False, True):
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        net = nn.MLP([784, 64, 10], "tanh", batch_norm=True, dropout=0.5, rng=0)
        model = to_torch(net, device)
        optimizer = optimizer_to_torch(nn.AdamW(net.parameters(), 1e-3), model, fused=True)
        step: Any = make_update(model, torch.nn.CrossEntropyLoss(), optimizer, clip_grad_norm=1.0)
        if graph:
            step = GraphedStep(step, model, optimizer)
        for n in (64, 64, 32, 64):
            x = torch.from_numpy(rng.random((n, 784), np.float32)).to(device)
            step(x, torch.from_numpy(rng.integers(0, 10, n)).to(device))
        ended.append([tensor.detach() for tensor in (*model.parameters(), *model.buffers())])
    distance = max(float((a - b).abs().max()) for a, b in zip(*ended, strict=True))
    if not distance <= 0.0:  # nor NaN
        raise Failed(f"{distance:.3g} from the parameters of the same steps, not captured; expected 0")
    return "4 steps of AdamW equal, to the last bit"
