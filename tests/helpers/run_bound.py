"""A bound on every parameter of a whole run, in one process or in several, from the bounds of its steps.

The same batches are taken in :class:`~torch_ref.rounding.Rounded` numbers: each step starts from parameters that carry
the error of all steps before. Of a run in p processes each share's gradient is bounded by itself, times its weight,
and their sum in any order. Worst cases multiply from step to step, so that only runs of some steps have a bound. In one
process there are bounds on running statistics too, and on the average of the weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import numpy_nn as nn
from numpy_nn.training import Progress
from torch_ref import bounds
from torch_ref.distributed import Group
from torch_ref.rounding import Rounded, as_rounded

Gradients = dict[str, Rounded]


class RunBound(nn.Callback):
    """Stands among the callbacks of ``fit`` while one process trains; ``parameters()`` is what any run may end with."""

    def __init__(
        self,
        net: nn.Sequential,
        loss: nn.Loss,
        loader: nn.DataLoader,
        size: int,
        epsilon: float = 0.0,
        clip: float | None = None,
        longest: float | None = None,
        average: nn.AveragedModel | None = None,
    ) -> None:
        self.layers = net.leaves()
        self.names = dict(net.named_parameters())
        self.loss, self.size, self.epsilon, self.clip = loss, size, epsilon, clip
        self.batches = self._batches(copy.deepcopy(loader))
        self.steps: dict[str, bounds.OptimizerBound] = {}
        self.longest, self.average = longest, average
        self.buffers: dict[str, Rounded] = {}
        self.averaged: dict[str, Rounded] = {}
        self.losses: list[tuple[Rounded, int]] = []
        self.train_losses: list[Rounded] = []

    @staticmethod
    def _batches(loader: nn.DataLoader) -> Iterator[Any]:
        while True:
            for rows in loader.indices():
                yield loader.x[rows], loader.y[rows]

    def on_backward_end(self, progress: Progress) -> None:
        """Take the step that the optimizer is about to take."""
        if not self.steps:
            self.steps = {n: bounds.OptimizerBound(progress.optimizer, p.data) for n, p in self.names.items()}
        x, y = next(self.batches)
        if any(isinstance(layer, nn.BatchNorm1d) for layer in self.layers):
            self._follow_statistics(as_rounded(x))
        shares = [Group(rank, self.size).slice_of(len(x)) for rank in range(self.size)]
        losses, parts = zip(*(self._gradients(as_rounded(x[rows]), y[rows]) for rows in shares), strict=True)
        self.losses += [(loss, len(x[rows])) for loss, rows in zip(losses, shares, strict=True)]
        gradients: Gradients = {}
        for name in self.steps:
            weighted = [part[name] * (len(x[rows]) / len(x)) for part, rows in zip(parts, shares, strict=True)]
            gradients[name] = weighted[0] if self.size == 1 else stack(weighted).sum(axis=0)
        if self.clip is not None:
            gradients = clipped(gradients, self.clip)
        for name, step in self.steps.items():
            step.step(gradients[name])
        if self.longest is not None:
            for layer in self.layers:
                if isinstance(layer, nn.Linear):
                    for engine in self.steps[f"{layer.name}.weight"]._engines:
                        engine.p = shortened(engine.p, self.longest)
        if self.average is not None:
            self._follow_average(self.average)

    def _follow_statistics(self, x: Rounded) -> None:
        for layer, inputs in zip(self.layers, self._forward(x)[0], strict=True):
            if isinstance(layer, nn.BatchNorm1d):
                if f"{layer.name}.running_mean" not in self.buffers:  # what a new layer begins with
                    ones = np.ones(layer.num_features)
                    self.buffers[f"{layer.name}.running_mean"] = inputs.lift(0.0 * ones)
                    self.buffers[f"{layer.name}.running_var"] = inputs.lift(ones)
                own = {n: self.buffers[f"{layer.name}.{n}"] for n in ("running_mean", "running_var")}
                found = bounds.running_statistics(
                    layer, inputs, own | {"num_batches_tracked": layer.num_batches_tracked}
                )
                self.buffers |= {f"{layer.name}.{name}": value for name, value in found.items()}

    def _follow_average(self, average: nn.AveragedModel) -> None:
        now = self.parameters() | self.buffers
        for name, value in now.items():
            if not self.averaged.keys() >= now.keys() or (name in self.buffers and not average.use_buffers):
                continue
            before = self.averaged[name]
            now[name] = before + (1.0 - average.decay) * (value - before)
        self.averaged = now

    def on_epoch_end(self, _: Progress) -> None:
        """The epoch's mean loss of a row."""
        total = stack([loss * float(rows) for loss, rows in self.losses]).sum()
        self.train_losses.append(total / float(sum(rows for _, rows in self.losses)))
        self.losses.clear()

    def parameters(self) -> dict[str, Rounded]:
        """All parameters, by name."""
        return {name: step.p for name, step in self.steps.items()}

    def check(self, parameters: Mapping[str, Any], train_losses: Sequence[float], tightness: float) -> None:
        """Assert that a run ended within the bound, and had its losses; that no bound is as wide as ``tightness``."""
        held = self.parameters()
        assert parameters.keys() == held.keys()
        ends = [(name, parameters[name], rounded) for name, rounded in held.items()]
        ends += [("loss", *pair) for pair in zip(train_losses, self.train_losses, strict=True)]
        for name, array, rounded in ends:
            assert rounded.error.max() < tightness, (name, rounded.error.max())
            assert (np.abs(array - rounded.value) <= rounded.reach).all(), name

    def loss_of(self, x: Any, y: Any) -> Rounded:
        """The loss of some rows with the parameters that there are now."""
        _, output = self._forward(as_rounded(x))
        return bounds.reduced_loss(self.loss, output, y)[0]

    def _gradients(self, x: Rounded, y: Any) -> tuple[Rounded, Gradients]:
        loss, first, gradient = self._pass(x, y)
        if not self.epsilon:
            return loss, first
        moved, second, _ = self._pass(perturb(x, gradient, self.epsilon), y)
        return (loss + moved) * 0.5, {name: (first[name] + second[name]) * 0.5 for name in first}

    def _own(self, layer: nn.Layer) -> Gradients:
        return {n.removeprefix(f"{layer.name}."): s.p for n, s in self.steps.items() if n.startswith(f"{layer.name}.")}

    def _forward(self, x: Rounded) -> tuple[list[Rounded], Rounded]:
        inputs = []
        for layer in self.layers:
            inputs.append(x)
            x = bounds.forward(layer, x, self._own(layer))
        return inputs, x

    def _pass(self, x: Rounded, y: Any) -> tuple[Rounded, Gradients, Rounded]:
        inputs, output = self._forward(x)
        gradients: Gradients = {}
        loss, g = bounds.reduced_loss(self.loss, output, y)
        for layer, x in reversed(list(zip(self.layers, inputs, strict=True))):
            g, found = bounds.backward(layer, x, g, self._own(layer))
            gradients |= {f"{layer.name}.{name}": gradient for name, gradient in found.items()}
        return loss, gradients, g


def stack(arrays: list[Rounded]) -> Rounded:
    """Arrays of one shape as one."""
    values, errors = np.stack([a.value for a in arrays]), np.stack([a.error for a in arrays])
    return Rounded(values, errors, dtype=arrays[0].dtype)


def clipped(gradients: Gradients, max_norm: float) -> Gradients:
    """min(1, max_norm / (||g|| + 1e-6)) g."""
    squares = [(g * g).sum() for g in gradients.values()]
    factor = (max_norm / (stack(squares).sum().sqrt() + 1e-6)).minimum(1.0)
    return {name: g * factor for name, g in gradients.items()}


def shortened(weight: Rounded, longest: float) -> Rounded:
    """Each column that is longer than that, times longest / (||w|| + 1e-7). It must be plain which columns are."""
    norms = (weight * weight).sum(axis=0).sqrt()
    long = norms.value > longest
    assert (np.abs(norms.value - longest) > norms.reach).all()
    scaled = weight * (longest / (norms + 1e-7))
    return Rounded(
        np.where(long, scaled.value, weight.value), np.where(long, scaled.error, weight.error), dtype=weight.dtype
    )


def perturb(x: Rounded, gradient: Rounded, epsilon: float) -> Rounded:
    """x + epsilon g / ||g||; both engines first divide by the largest entry of the row, which changes no direction."""
    size = gradient.select(gradient, -gradient)
    direction = gradient / size.max(axis=1)
    length = (direction * direction).sum(axis=1, keepdims=True).sqrt()
    return x + direction * (epsilon / length)
