"""Training in PyTorch, on CPU or CUDA: the same loop as numpy_nn.training, with data resident on the device or not.

A step comes in three kinds that compute the same: eager, with forward and loss compiled by ``torch.compile``, and, on
CUDA, captured once as a CUDA graph and replayed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import numpy_nn as nn
from numpy_nn._support.checks import number
from numpy_nn.training import Metrics
from torch_ref import divergence

LossFunction = Callable[[Tensor, Tensor], Tensor]
# A step on a batch: its loss and another result, both on the device.
StepFunction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Tensors = tuple[Tensor, ...]

# A library that sets itself up in its first calls must not do so while a graph is captured; torch's notes on CUDA
# graphs warm up with three steps.
WARM_UP_STEPS = 3


def resolve_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is CUDA where there is one. ValueError if CUDA is asked for and absent."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device: expected a machine with CUDA for {name!r}; torch {torch.__version__} finds none here, "
            "use 'cpu' or 'auto'"
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
    batches: Sequence[Any] = list(rows)
    if batches and not isinstance(batches[0], slice):
        # The whole order at once: a copy at each step would be one that the host waits for.
        order = torch.from_numpy(np.concatenate(batches)).to(x.device)
        batches = order.split([len(chosen) for chosen in batches])
    for chosen in batches:
        yield x[chosen], y[chosen]


@torch.no_grad()
def perturb(x: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
    """:func:`numpy_nn.training.adversarial.perturb`, on any device, without waiting for it."""
    rows = gradient.flatten(1)
    peak = rows.abs().amax(dim=1, keepdim=True)
    direction = rows / torch.where(peak == 0.0, 1.0, peak)
    length = direction.square().sum(dim=1, keepdim=True).sqrt()
    return x + (direction * (epsilon / torch.where(length == 0.0, 1.0, length))).reshape(x.shape)


def make_update(
    model: torch.nn.Module,
    loss: LossFunction,
    optimizer: torch.optim.Optimizer,
    *,
    compile: bool = False,
    amp: bool = False,
    adversarial: float | None = None,
    clip_grad_norm: float | None = None,
) -> StepFunction:
    """Forward, backward and the optimizer's step on a batch; returns the loss and the output.

    ``compile`` compiles forward and loss, and with them their backward, once for each shape of batch. ``amp`` is
    automatic mixed precision: the products of matrices, forward and backward, are in bfloat16, by ``torch.autocast``;
    the loss, the parameters and their updates stay in float32. ValueError for it with a model that is not in float32.
    ``adversarial`` is the epsilon of :class:`numpy_nn.AdversarialTraining`, which this then does, and refused as there.
    ``clip_grad_norm`` is the length to which the whole gradient is clipped before the step, as by numpy_nn's callback
    ClipGradNorm; ValueError if it is negative or not finite.
    """
    epsilon = None if adversarial is None else nn.AdversarialTraining(adversarial).epsilon
    max_norm = None if clip_grad_norm is None else number(clip_grad_norm, "clip_grad_norm", low=0.0)
    parameters = list(model.parameters())
    device, dtype = parameters[0].device.type, parameters[0].dtype
    if amp and dtype != torch.float32:
        raise ValueError(f"amp: expected a model in float32, got one in {dtype}")

    forward = _make_forward(model, loss, device, amp=amp, compile=compile)

    def update(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        optimizer.zero_grad()
        if epsilon is None:
            output, value = forward(x, y)
            value.backward()
        else:
            output, value = _adversarial_gradients(model, forward, x, y, epsilon)
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        optimizer.step()
        return value.detach(), output.detach()

    return update


def _make_forward(model: torch.nn.Module, loss: LossFunction, device: str, *, amp: bool, compile: bool) -> StepFunction:
    """The output and the loss of a batch, as :func:`make_update` has them computed."""

    def forward(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        # Without autocast's cache of parameters in bfloat16: within another autocast it would outlive the step that
        # changes them, and a captured graph would read it for good.
        with torch.autocast(device, torch.bfloat16, cache_enabled=False) if amp else nullcontext():
            output = model(x)
            if amp:
                # On CUDA autocast itself has losses in float32; on the CPU they would be in bfloat16.
                output = output.float()
            return output, loss(output, y)

    if compile:
        if device == "cpu":
            # The compiler asks where CUDA is also for the CPU alone, and this is where that is warned of.
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        forward = torch.compile(forward, dynamic=False)
    return forward


def _adversarial_gradients(
    model: torch.nn.Module, forward: StepFunction, x: Tensor, y: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Leave the gradients of :class:`numpy_nn.AdversarialTraining`; the output at the batch moved, and its loss."""
    original = x.detach().requires_grad_()
    # Of several processes, only the second backward pass exchanges the gradients, which are then of both.
    with model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext():
        first = 0.5 * forward(original, y)[1]
        first.backward()
    assert original.grad is not None
    output, second = forward(perturb(x, original.grad, epsilon), y)
    second = 0.5 * second
    second.backward()
    return output, first + second


def make_step(
    model: torch.nn.Module,
    loss: LossFunction,
    optimizer: torch.optim.Optimizer,
    *,
    compile: bool = False,
    amp: bool = False,
    adversarial: float | None = None,
    clip_grad_norm: float | None = None,
    graph: bool = False,
) -> StepFunction:
    """As :func:`make_update`, but returns the loss and the number of rows that were classified rightly.

    ``graph`` replays the whole step as a CUDA graph (:class:`GraphedStep`); ValueError if the model is not on CUDA.
    What a step returns is then valid until the next one.
    """
    options: dict[str, Any] = {"adversarial": adversarial, "clip_grad_norm": clip_grad_norm}
    update = make_update(model, loss, optimizer, compile=compile, amp=amp, **options)

    def step(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        value, output = update(x, y)
        return value, (output.argmax(dim=1) == y).sum()

    if not graph:
        return step
    device = next(model.parameters()).device
    if device.type != "cuda":
        raise ValueError(f"graph: expected a model on CUDA, got one on {device}")
    return GraphedStep(step, model, optimizer)


class GraphedStep:
    """A step captured as a CUDA graph, one for each shape of batch, at its first batch; later calls replay it.

    ``step`` takes tensors, the batch or what it is made from, and returns tensors. A graph reads and writes the same
    memory at every replay, and so the arguments are copied into tensors that stay. What was a number when the step was
    captured stays what it was; what was a tensor is read anew. Capturing leaves parameters, buffers, the optimizer's
    state and the generators of dropout as they were.

    The optimizer must keep its step count on the device: SGD has none; Adam and AdamW take ``capturable=True``, as
    :func:`torch_ref.optimizer_to_torch` with ``fused=True`` does. A learning rate that a schedule changes must lie on
    the device too: its ``tensor_lr=True``. See "CUDA Graphs" in torch's notes on CUDA semantics.
    """

    def __init__(self, step: Callable[..., Tensors], model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._step, self._model, self._optimizer = step, model, optimizer
        self._captured: dict[tuple[torch.Size, ...], tuple[Any, Tensors, Tensors]] = {}

    def __call__(self, *arguments: Tensor) -> Any:
        shapes = tuple(tensor.shape for tensor in arguments)
        if shapes not in self._captured:
            self._captured[shapes] = self._capture(*arguments)
        graph, static, results = self._captured[shapes]
        for tensor, value in zip(static, arguments, strict=True):
            tensor.copy_(value)
        graph.replay()
        return results

    def _capture(self, *arguments: Tensor) -> tuple[Any, Tensors, Tensors]:
        device = next(self._model.parameters()).device
        static = tuple(tensor.clone() for tensor in arguments)
        # Detached: a copy with a history keeps alive where the default stream accumulates a parameter's gradient, and
        # backward would go on there, outside the capture.
        held = chain(self._model.parameters(), self._model.buffers(), self._state())
        before = [(tensor, tensor.detach().clone()) for tensor in held]
        # Not the default stream, which cannot be captured: autograd would go on accumulating where the warm-up did. And
        # one of the model's device, which need not be the current one: the graph of another device's would be empty.
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream), torch.random.fork_rng([device] if device.type == "cuda" else []):
            for _ in range(WARM_UP_STEPS):
                self._step(*static)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._restore(before)
        # Gradients that are None are made inside the graph, in memory that is the graph's own.
        self._optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            results = self._step(*static)
        return graph, static, results

    def _state(self) -> list[Tensor]:
        states = self._optimizer.state.values()
        return [value for state in states for value in state.values() if isinstance(value, Tensor)]

    @torch.no_grad()
    def _restore(self, before: list[tuple[Tensor, Tensor]]) -> None:
        """Put the saved values back; state that was not there before begins at 0, as every optimizer of ours does."""
        for tensor in self._state():
            tensor.zero_()
        for tensor, value in before:
            tensor.copy_(value)


def train_epoch(
    model: torch.nn.Module,
    loss: LossFunction,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    after_batch: Callable[[], None] = lambda: None,
    *,
    step: StepFunction | None = None,
    epoch: int = 1,
) -> Metrics:
    """One pass over ``batches``; running mean loss and accuracy of its rows, as numpy_nn.training.fit has them.

    ``loss`` is a mean over the batch. ``step``, made by :func:`make_step` of the same three, is the eager one by
    default. Batches are moved to the model's device if they are elsewhere. Sums stay on the device, so that steps do
    not wait for the host, but for a look at the loss now and then: :class:`numpy_nn.Divergence`, naming this ``epoch``,
    for a loss or a parameter that is infinite or NaN.
    """
    step = make_step(model, loss, optimizer) if step is None else step
    device = next(model.parameters()).device
    total = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    rows = 0
    model.train()
    for batch, (x, y) in enumerate(batches, start=1):
        x, y = x.to(device), y.to(device)
        value, right = step(x, y)
        total += value * len(x)
        correct += right
        rows += len(x)
        after_batch()
        if batch % divergence.CHECK_EVERY == 0:
            divergence.check(model, x, total, epoch, batch)
    if rows == 0:
        raise ValueError("batches: expected at least one, got none")
    divergence.check(model, x, total, epoch, batch)
    divergence.check_parameters(model, epoch, batch)
    return Metrics(total.item() / rows, correct.item() / rows)


@torch.no_grad()
def evaluate(model: torch.nn.Module, loss: LossFunction, x: Tensor, y: Tensor, batch_size: int = 1000) -> Metrics:
    """Mean loss and accuracy in evaluation mode; every module gets its own mode back. ValueError for no rows."""
    if len(x) == 0:
        raise ValueError(f"x: expected at least one row, got shape {tuple(x.shape)}")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    # On the device, so that no batch waits for the host to have read the one before.
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    correct = torch.zeros((), dtype=torch.int64, device=x.device)
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        output = model(x[rows])
        total += loss(output, y[rows]).double() * len(output)
        correct += (output.argmax(dim=1) == y[rows]).sum()
    for module, mode in modes:
        module.training = mode
    return Metrics(total.item() / len(x), correct.item() / len(x))
