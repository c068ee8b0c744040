"""Weight averaging: a second network whose parameters follow those in training, spelled as in torch.optim.swa_utils."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers import Layer
from numpy_nn.optim.base import BLOCK
from numpy_nn.parameter import holders


class AveragedModel:
    """An exponential moving average of a network's parameters, in a copy of the network called ``module``.

        a <- a + (1 - decay) (p - a)    at each update, a <- p at the first

    so that a is the mean of the parameters so far, each weighing ``decay`` times the next one: an average over the
    last 1 / (1 - decay) updates or so (Polyak and Juditsky, 1992; Tarvainen and Valpola, 2017). As
    ``torch.optim.swa_utils.AveragedModel`` with ``get_ema_multi_avg_fn(decay)``: buffers of floats are averaged too
    if ``use_buffers``, all others are those of the network. ValueError for a decay outside [0, 1].
    """

    def __init__(self, net: Layer, decay: float = 0.999, *, use_buffers: bool = False) -> None:
        if not isinstance(net, Layer):
            raise TypeError(f"net: expected a layer or a network, got {type(net).__name__}")
        self.decay = number(decay, "decay", low=0.0, high=1.0)
        self.use_buffers = use_buffers
        self.n_averaged = 0
        self.module: Any = copy.deepcopy(net)  # of the type of net

    def update_parameters(self, net: Layer) -> None:
        """Move the average towards ``net``. ValueError if its parameters are not those of ``module``."""
        ours, theirs = holders(self.module.parameters()), holders(net.parameters())
        if [(p.size, p.dtype) for p in ours] != [(p.size, p.dtype) for p in theirs]:
            raise ValueError(f"net: expected {self.module.parameters()!r}, got {net.parameters()!r}")
        for mine, other in zip(ours, theirs, strict=True):
            self._follow(mine.data.reshape(-1), other.data.reshape(-1))
        for (_, average), (_, buffer) in zip(self.module.named_buffers(), net.named_buffers(), strict=True):
            if self.use_buffers and buffer.dtype.kind == "f":
                self._follow(average.reshape(-1), buffer.reshape(-1))
            else:
                average[...] = buffer
        self.n_averaged += 1

    def _follow(self, average: FloatArray, current: FloatArray) -> None:
        if self.n_averaged == 0:
            average[...] = current
            return
        scratch = np.empty(min(BLOCK, average.size), average.dtype)
        for start in range(0, average.size, BLOCK):
            block = average[start : start + BLOCK]
            step = np.subtract(current[start : start + BLOCK], block, out=scratch[: block.size])
            step *= 1.0 - self.decay
            block += step
