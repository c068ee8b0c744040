"""RMSprop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.optim.base import Group, Optimizer, Parameters, Setting


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012; Graves, 2013, equations 38 to 45, for ``centered``), as torch.optim.RMSprop.

        g <- -g                           if ``maximize``
        g <- g + w p
        v <- alpha v + (1 - alpha) g^2
        m <- alpha m + (1 - alpha) g      if ``centered``
        s = sqrt(v) + eps, or sqrt(v - m^2) + eps if ``centered``
        p <- p - lr g / s                 if the momentum mu = 0
        b <- mu b + g / s,  p <- p - lr b if mu > 0

    With ``centered``, gradients that hardly change leave a difference v - m^2 that is mostly rounding and may be
    negative: the root is then NaN, as in torch. ValueError for a negative or non-finite setting.
    """

    alpha = Setting[float]()
    eps = Setting[float]()
    momentum = Setting[float]()
    centered = Setting[bool]()
    maximize = Setting[bool]()

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        own = {"alpha": alpha, "eps": eps, "momentum": momentum, "centered": centered, "maximize": maximize}
        super().__init__(parameters, lr, weight_decay, **own)

    def _checked(self, settings: Group) -> Group:
        own = {name: number(settings[name], name, low=0.0) for name in ("alpha", "eps", "momentum")}
        return super()._checked(settings) | own

    def _states(self, group: Group) -> Sequence[str]:
        names = ["square_avg"]
        names += ["momentum_buffer"] if group["momentum"] else []
        names += ["grad_avg"] if group["centered"] else []
        return names

    def _prepare(self, group: Group) -> None:
        self._share = 1.0 - group["alpha"]

    def _update(self, group: Group, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        v, *others, changed, scratch = arrays
        alpha = group["alpha"]
        g = self._descent(group, p, g, changed)
        np.square(g, out=scratch)
        scratch *= self._share
        v *= alpha
        v += scratch
        if group["centered"]:
            m = others[-1]
            m *= alpha
            m += np.multiply(g, self._share, out=scratch)
            np.square(m, out=scratch)
            np.subtract(v, scratch, out=scratch)
            np.sqrt(scratch, out=scratch)
        else:
            np.sqrt(v, out=scratch)
        scratch += group["eps"]
        step = np.divide(g, scratch, out=scratch)
        if group["momentum"]:
            b = others[0]
            b *= group["momentum"]
            b += step
            step = b
        p -= np.multiply(step, group["lr"], out=scratch)
