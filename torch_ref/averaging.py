"""Weight averaging in PyTorch: torch.optim.swa_utils.AveragedModel as numpy_nn.AveragedModel is, free of waiting."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor
from torch.optim import swa_utils


class AveragedModel(swa_utils.AveragedModel):
    """An exponential moving average of a model's parameters, in a copy of the model called ``module``.

    The formula and the rules for buffers are those of numpy_nn.AveragedModel. The average is that of
    ``get_ema_multi_avg_fn(decay)``, but for buffers of integers: torch would average and truncate these with
    ``use_buffers``, here they are copied. Where torch's own update copies its count to the device, and waits for that,
    this one's stays on the CPU. ValueError for a decay outside [0, 1], and for other parameters than ``module``'s.
    """

    def __init__(self, model: torch.nn.Module, decay: float = 0.999, *, use_buffers: bool = False) -> None:
        average = swa_utils.get_ema_multi_avg_fn(decay)
        super().__init__(model, multi_avg_fn=average, use_buffers=use_buffers)
        self._average = average

    @torch.no_grad()
    def update_parameters(self, model: torch.nn.Module) -> None:
        """Move the average towards ``model``."""
        ours, theirs = _tensors(self.module), _tensors(model)
        if [(t.shape, t.dtype) for t in ours] != [(t.shape, t.dtype) for t in theirs]:
            raise ValueError(f"model: expected the parameters and buffers of {self.module}, got those of {model}")
        parameters = len(list(self.module.parameters()))
        averaged: list[tuple[Tensor, Tensor]] = []
        copied: list[tuple[Tensor, Tensor]] = []
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            follows = i < parameters or (self.use_buffers and pair[0].is_floating_point())
            (averaged if follows and self.n_averaged > 0 else copied).append(pair)
        if averaged:
            self._average([a for a, _ in averaged], [p for _, p in averaged], self.n_averaged)
        if copied:
            torch._foreach_copy_([a for a, _ in copied], [p for _, p in copied])
        self.n_averaged += 1


def _tensors(model: torch.nn.Module) -> list[Tensor]:
    return list(chain(model.parameters(), model.buffers()))
