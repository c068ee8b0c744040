"""Training in PyTorch, on CPU or CUDA: the same loop as numpy_nn.training, with data resident on the device or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numpy_nn.training import Metrics

LossFunction = Callable[[Tensor, Tensor], Tensor]


def resolve_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA where there is one. ValueError if CUDA is asked for and absent."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device: expected a machine with CUDA for {name!r}; torch finds none here, use 'cpu' or 'auto'"
        )
    return device


def device_name(device: torch.device) -> str:
    """What the device calls itself, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was told, so that a clock read next is honest."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def resident_batches(x: Tensor, y: Tensor, rows: Iterable[NDArray[np.intp] | slice]) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of tensors that already lie on the device, for the rows that ``numpy_nn.DataLoader.indices`` yields."""
    for chosen in rows:
        index: Any = chosen if isinstance(chosen, slice) else torch.from_numpy(chosen).to(x.device)
        yield x[index], y[index]


def train_epoch(
    model: torch.nn.Module,
    loss: LossFunction,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    after_batch: Callable[[], None] = lambda: None,
) -> Metrics:
    """One pass over ``batches``; running mean loss and accuracy of its rows, as numpy_nn.training.fit has them.

    ``loss`` is a mean over the batch. Batches are moved to the model's device if they are elsewhere. Sums stay on the
    device until the end, so that no step waits for the host.
    """
    device = next(model.parameters()).device
    total = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    rows = 0
    model.train()
    for x, y in batches:
        x, y = x.to(device), y.to(device)
        output = model(x)
        value = loss(output, y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        total += value.detach() * len(x)
        correct += (output.detach().argmax(dim=1) == y).sum()
        rows += len(x)
        after_batch()
    if rows == 0:
        raise ValueError("batches: expected at least one, got none")
    return Metrics(total.item() / rows, correct.item() / rows)


@torch.no_grad()
def evaluate(model: torch.nn.Module, loss: LossFunction, x: Tensor, y: Tensor, batch_size: int = 1000) -> Metrics:
    """Mean loss and accuracy in evaluation mode; every module gets its own mode back. ValueError for no rows."""
    if len(x) == 0:
        raise ValueError(f"x: expected at least one row, got shape {tuple(x.shape)}")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    total, correct = 0.0, 0
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        output = model(x[rows])
        total += loss(output, y[rows]).item() * len(output)
        correct += int((output.argmax(dim=1) == y[rows]).sum())
    for module, mode in modes:
        module.training = mode
    return Metrics(total / len(x), correct / len(x))
