"""Callbacks of fit for what recipes do at every step: clip the gradient, keep weights short, average them."""

from __future__ import annotations

from numpy_nn._support.checks import number
from numpy_nn.layers import Linear
from numpy_nn.optim.clipping import clip_grad_norm_
from numpy_nn.optim.constraints import max_norm_
from numpy_nn.training.averaging import AveragedModel
from numpy_nn.training.loop import Callback, Progress


class ClipGradNorm(Callback):
    """:func:`~numpy_nn.optim.clipping.clip_grad_norm_` on the whole gradient, before each update."""

    def __init__(self, max_norm: float) -> None:
        self.max_norm = number(max_norm, "max_norm", low=0.0)

    def on_backward_end(self, progress: Progress) -> None:
        """Clip."""
        clip_grad_norm_(progress.net.parameters(), self.max_norm)


class MaxNorm(Callback):
    """:func:`~numpy_nn.optim.constraints.max_norm_` on the weight of each Linear layer, after each update."""

    def __init__(self, max_norm: float) -> None:
        self.max_norm = number(max_norm, "max_norm", low=0.0)

    def on_batch_end(self, progress: Progress) -> None:
        """Constrain."""
        for layer in progress.net.modules():
            if isinstance(layer, Linear) and layer.weight.requires_grad:
                max_norm_(layer.weight, self.max_norm)


class UpdateAverage(Callback):
    """:meth:`AveragedModel.update_parameters` with the network, after each update; stands after MaxNorm, if both do."""

    def __init__(self, average: AveragedModel) -> None:
        self.average = average

    def on_batch_end(self, progress: Progress) -> None:
        """Follow."""
        self.average.update_parameters(progress.net)
