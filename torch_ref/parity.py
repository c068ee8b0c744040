"""Parity: a network and its torch twin, compared number by number, each difference held to a derived bound.

A bound is a value and an error. The two engines may be twice the error apart, and each by itself must lie within the
error of the value: an engine with more roundings than its bound counts would else hide behind the other's fewer.

Every layer is fed the same input and the same gradient in both engines, so that the bound of that one layer is enough
(:mod:`torch_ref.bounds`). The whole network is compared too, from the input to the loss and back, with the bounds of
its layers chained. The optimizers are fed the same gradients, step after step.
"""

from __future__ import annotations

import copy
import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import numpy_nn as nn
from torch_ref import bounds
from torch_ref.rounding import Rounded, as_rounded
from torch_ref.twin import (
    Device,
    groups_of,
    loss_to_torch,
    optimizer_settings,
    optimizer_to_torch,
    owner,
    to_torch,
    turned,
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Row:
    """One compared quantity: its worst element (the largest share of the bound), in both engines.

    ``ulps`` is the difference in units in the last place of the larger value, ``share`` the difference over the bound;
    ``ours_share`` and ``torch_share`` are the largest distances of each engine from the bound's value over what
    rounding allows it.
    """

    quantity: str
    shape: tuple[int, ...]
    index: tuple[int, ...]
    ours: float
    torch: float
    difference: float
    bound: float
    ulps: float
    share: float
    ours_share: float
    torch_share: float

    @property
    def worst_share(self) -> float:
        """The largest of the three shares."""
        return float(np.max([self.share, self.ours_share, self.torch_share]))

    @property
    def room(self) -> float:
        """How many times smaller the bound could be before it failed; inf where all three values are equal."""
        return 1.0 / self.worst_share if self.worst_share > 0.0 else math.inf

    @property
    def ok(self) -> bool:
        """Whether every element is within its bound, and so is each engine by itself."""
        return self.worst_share <= 1.0

    @property
    def verdict(self) -> str:
        """``ok``, or what is out of bounds."""
        names = {"difference": self.share, "numpy_nn": self.ours_share, "torch": self.torch_share}
        failed = [name for name, share in names.items() if not share <= 1.0]
        return f"FAILED: {', '.join(failed)}" if failed else "ok"


@dataclass
class ParityReport:
    """All rows of a comparison; ``str`` gives a table."""

    title: str
    rows: list[Row] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every quantity is within its bound."""
        return all(row.ok for row in self.rows)

    @property
    def worst(self) -> Row:
        """The row nearest to its bound, or farthest beyond it."""
        return max(self.rows, key=lambda row: row.worst_share)

    @property
    def median_room(self) -> float:
        """The median of the rows' room, of those whose values are not all equal; inf if there is none."""
        rooms = [row.room for row in self.rows if row.room < math.inf]
        return statistics.median(rooms) if rooms else math.inf

    def raise_if_failed(self) -> None:
        """AssertionError with the table if a quantity is out of bounds."""
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        head = ("quantity", "shape", "worst at", "numpy_nn", "torch", "ulps", "difference", "bound", "room", "")
        lines = [head]
        for r in self.rows:
            numbers = (f"{r.ours:.9g}", f"{r.torch:.9g}", f"{r.ulps:.3g}", f"{r.difference:.2e}", f"{r.bound:.2e}")
            lines.append((r.quantity, shown(r.shape), shown(r.index), *numbers, f"{r.room:.3g}", r.verdict))
        failed = sum(not row.ok for row in self.rows)
        verdict = "all within their bounds" if self.ok else f"{failed} out of bounds"
        last = f"{len(self.rows)} quantities: {verdict}, which could be {self.median_room:.2g} times smaller (median)"
        return "\n".join([self.title, *in_columns(lines), last])


def in_columns(lines: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table: three columns of words, then numbers, and the verdict last."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    aligned = [str.ljust] * 3 + [str.rjust] * (len(widths) - 4) + [str.ljust]
    table = ("  ".join(a(cell, w) for a, cell, w in zip(aligned, line, widths, strict=True)) for line in lines)
    return [line.rstrip() for line in table]


def shown(numbers: tuple[int, ...]) -> str:
    """A shape or an index, as tables have it."""
    return " x ".join(map(str, numbers)) if numbers else "-"


def compare(quantity: str, ours: Any, theirs: torch.Tensor, rounded: Rounded, transpose: bool = False) -> Row:
    """Compare an array with a tensor, transposed first if told so; ``rounded`` is what both should be.

    They may be twice its error apart, and each of them its ``reach`` from its value. Equal infinities agree, and so do
    two NaNs.
    """
    a, tensor = np.asarray(ours), theirs.detach().cpu().numpy()
    b = tensor.T if transpose else tensor
    if a.shape != b.shape:
        raise AssertionError(f"{quantity}: numpy_nn has shape {a.shape}, torch {b.shape}")
    with np.errstate(all="ignore"):
        bound = np.broadcast_to(2.0 * rounded.error, a.shape)
        difference, share = _shares(a, b, bound)
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(share)), a.shape)) if a.ndim else ()
        unit = np.spacing(np.maximum(np.abs(a), np.abs(b))[index].astype(rounded.dtype))
        ulps = difference[index] / float(unit)
        each = [float(np.max(_shares(engine, rounded.value, rounded.reach)[1])) for engine in (a, b)]
    values = (a[index], b[index], difference[index], bound[index], ulps, share[index], *each)
    return Row(quantity, a.shape, index, *(float(v) for v in values))


def _shares(a: Array, b: Array, bound: Array) -> tuple[Array, Array]:
    """The distances of two arrays, and these over the bound."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    difference = np.where(same, 0.0, np.abs(a - b))
    share = np.where(same, 0.0, difference / bound)
    # What is NaN on one side only has no distance, and is out of any bound.
    return difference, np.where(np.isnan(share), np.inf, share)


def parity(
    net: nn.Sequential,
    x: Array,
    target: Array,
    loss: nn.Loss,
    optimizer: nn.Optimizer | None = None,
    *,
    steps: int = 3,
    device: Device = None,
) -> ParityReport:
    """Compare ``net`` with its torch twin on the batch ``(x, target)``.

    Rows: output, input gradient, parameter gradients and running statistics of every layer; the loss and its gradient;
    output, loss and input gradient of the whole network; every parameter after ``steps`` steps of a fresh optimizer of
    the kind, settings and groups of ``optimizer`` (SGD with lr 0.1 if none is given). ``net`` and ``optimizer`` stay as
    they are. TypeError for what has no counterpart in torch.
    """
    given, net, x, target = net, copy.deepcopy(net), np.array(x), np.array(target)
    if target.dtype.kind in "iu":
        target = target.astype(np.int64)  # the only integers that torch's losses take
    report = ParityReport(f"numpy_nn beside torch {torch.__version__} on {device or 'cpu'}, {x.dtype}")
    with np.errstate(all="ignore"):
        report.rows += _compare_passes(net, x, target, loss, device)
        if net.parameters().size:
            fresh = nn.SGD(net.parameters(), lr=0.1) if optimizer is None else _fresh(optimizer, given, net)
            report.rows += _compare_steps(net, x, target, loss, fresh, steps, device)
    return report


@dataclass
class _Pass:
    """A forward and a backward pass as far as they have gone."""

    layers: list[nn.Layer]
    modules: list[torch.nn.Module]
    device: Device
    inputs: list[Array]  # of each layer, then the output
    gradient: Array  # with respect to the last output, and once backward has gone through all layers to the input
    chained: list[Rounded]  # the same as inputs, each from the bound of the one before
    rows: list[Row] = field(default_factory=list)

    def compare(self, quantity: str, ours: Array, theirs: Tensor, bound: Rounded, transpose: bool = False) -> None:
        """Add a row."""
        self.rows.append(compare(quantity, ours, theirs, bound, transpose))


def _compare_passes(net: nn.Sequential, x: Array, target: Array, loss: nn.Loss, device: Device) -> list[Row]:
    """Forward and backward, layer by layer and as a whole."""
    layers = net.leaves()
    steps = _Pass(layers, [to_torch(layer, device) for layer in layers], device, [x], x, [as_rounded(x)])
    for i, layer in enumerate(layers):
        _compare_forward(steps, i, layer)
    value = _compare_loss(steps, target, loss)
    loss_bound, chained = bounds.reduced_loss(loss, steps.chained[-1], target)
    for i, layer in reversed(list(enumerate(layers))):
        _compare_backward(steps, i, layer)
        chained, _ = bounds.backward(layer, steps.chained[i], chained)
    whole = _tensor(x, device).requires_grad_()
    output = functools.reduce(lambda tensor, module: module(tensor), steps.modules, whole)
    their_value = loss_to_torch(loss, device)(output, _tensor(target, device))
    steps.compare("network output", steps.inputs[-1], output, steps.chained[-1])
    steps.compare("network loss", value, their_value, loss_bound)
    (gradient,) = torch.autograd.grad(their_value.sum(), whole)
    steps.compare("network input gradient", steps.gradient, gradient, chained)
    return steps.rows


def _compare_forward(steps: _Pass, i: int, layer: nn.Layer) -> None:
    """The output of a layer on the input that ours has, and the running statistics that it moves."""
    x = steps.inputs[i]
    module, before = steps.modules[i], {name: array.copy() for name, array in layer.named_buffers()}
    output = layer(x)
    for name, inner in layer.named_modules():
        if isinstance(inner, nn.Dropout):
            _drop_alike(module.get_submodule(name), inner.mask, steps.device)
    theirs = module(_tensor(x, steps.device))
    steps.compare(f"{_name(layer)} output", output, theirs, bounds.forward(layer, as_rounded(x)))
    buffers = dict(layer.named_buffers())
    for name, bound in bounds.running_statistics(layer, as_rounded(x), before).items():
        steps.compare(f"{_name(layer)} {name}", buffers[name], module.get_buffer(name), bound)
    steps.inputs.append(output)
    steps.chained.append(bounds.forward(layer, steps.chained[i]))


def _compare_loss(steps: _Pass, target: Array, loss: nn.Loss) -> Array:
    """The loss, which is returned, and its gradient, from our output."""
    output = steps.inputs[-1]
    value, steps.gradient = np.asarray(loss(output, target), output.dtype), loss.backward()
    leaf = _tensor(output, steps.device).requires_grad_()
    their_value = loss_to_torch(loss, steps.device)(leaf, _tensor(target, steps.device))
    (their_gradient,) = torch.autograd.grad(their_value.sum(), leaf)
    value_bound, gradient_bound = bounds.reduced_loss(loss, as_rounded(output), target)
    steps.compare("loss", value, their_value, value_bound)
    steps.compare("loss gradient", steps.gradient, their_gradient, gradient_bound)
    return value


def _compare_backward(steps: _Pass, i: int, layer: nn.Layer) -> None:
    """The gradients of a layer, from the input and the gradient of its output that ours has."""
    x, grad_output, module = steps.inputs[i], steps.gradient, steps.modules[i]
    steps.gradient = layer.backward(grad_output)
    leaf = _tensor(x, steps.device).requires_grad_()
    ours = dict(layer.named_parameters())
    wanted = [leaf, *(module.get_parameter(name) for name in ours)]
    theirs = torch.autograd.grad(module(leaf), wanted, _tensor(grad_output, steps.device))
    input_bound, parameter_bounds = bounds.backward(layer, as_rounded(x), as_rounded(grad_output))
    steps.compare(f"{_name(layer)} input gradient", steps.gradient, theirs[0], input_bound)
    for (name, p), gradient in zip(ours.items(), theirs[1:], strict=True):
        transpose = isinstance(owner(layer, name), nn.Linear)
        steps.compare(f"{_name(layer)} {name} gradient", p.grad, gradient, parameter_bounds[name], transpose)


def _compare_steps(
    net: nn.Sequential, x: Array, target: Array, loss: nn.Loss, optimizer: nn.Optimizer, steps: int, device: Device
) -> list[Row]:
    """The parameters after steps on the same gradients, those of ``net``."""
    twin = to_torch(net, device)
    their_optimizer = optimizer_to_torch(optimizer, twin, net=net)
    ours, theirs = dict(net.named_parameters()), dict(twin.named_parameters())
    groups = groups_of(optimizer, net)
    held = {n: bounds.OptimizerBound(optimizer, p.data, i) for (n, p), i in zip(ours.items(), groups, strict=True)}
    for _ in range(steps):
        loss(net(x), target)
        net.backward(loss.backward())
        for name, p in ours.items():
            theirs[name].grad = _tensor(turned(owner(net, name), p.grad), device)
            held[name].step(p.grad)
        optimizer.step()
        their_optimizer.step()
    after = f"after {steps} steps of {type(optimizer).__name__}"
    return [
        compare(f"{name} {after}", p.data, theirs[name], held[name].p, isinstance(owner(net, name), nn.Linear))
        for name, p in ours.items()
    ]


def _drop_alike(dropout: torch.nn.Module, mask: Array | None, device: Device) -> None:
    """Give torch's Dropout the mask that our layer drew."""
    factor = None if mask is None else _tensor(mask, device)
    dropout.forward = lambda x: x if factor is None else x * factor


def _fresh(optimizer: nn.Optimizer, given: nn.Sequential, net: nn.Sequential) -> nn.Optimizer:
    """An optimizer like the given network's, for its copy."""
    kind: Any = type(optimizer)
    parameters: Any = net.parameters()
    if len(optimizer.param_groups) > 1:
        parameters = [{"params": []} | optimizer_settings(optimizer, i) for i in range(len(optimizer.param_groups))]
        for index, p in zip(groups_of(optimizer, given), net.parameters(), strict=True):
            parameters[index]["params"].append(p)
    optimizer_: nn.Optimizer = kind(parameters, **optimizer_settings(optimizer))
    return optimizer_


def _tensor(array: Array, device: Device) -> torch.Tensor:
    return torch.tensor(np.ascontiguousarray(array), device=device)


def _name(layer: nn.Layer) -> str:
    return f"{layer.name} {type(layer).__name__}"
