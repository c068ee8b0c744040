"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.optim.base import Optimizer
from numpy_nn.parameter import Parameter, ParameterVector


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1), with weight decay added to the gradient as torch.optim.Adam does.

        g <- g + w p
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr m^ / (sqrt(v^) + eps),    m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t)

    To save passes over memory, what is kept is M = m / (1 - beta1) and V = v / (1 - beta2), and the corrections
    c1 = 1 - beta1^t and c2 = sqrt(1 - beta2^t) go into lr and eps (the note after algorithm 1)::

        M <- beta1 M + g
        V <- beta2 V + g^2
        p <- p - lr' M / (sqrt(V) + eps')
        eps' = eps r,  lr' = lr r (1 - beta1) / c1,  r = c2 / sqrt(1 - beta2)

    Where ``betas`` change between two steps, M and V are scaled, so that m and v are what they were.
    ValueError for a negative or non-finite setting or a beta outside [0, 1).
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not isinstance(betas, Sequence):
            raise TypeError(f"betas: expected two numbers, got {betas!r}")
        if len(betas) != 2:
            raise ValueError(f"betas: expected two numbers, got {betas!r}")
        beta1, beta2 = betas
        self.betas = (number(beta1, "betas[0]", low=0.0, below=1.0), number(beta2, "betas[1]", low=0.0, below=1.0))
        self.eps = number(eps, "eps", low=0.0)
        # The betas that the sums were made with.
        self.summed_betas = self.betas
        super().__init__(parameters, lr, weight_decay)

    def _states(self) -> Sequence[str]:
        return ("sum", "sum_sq")

    def _prepare(self) -> None:
        if self.betas != self.summed_betas:
            self._rescale()
        beta1, beta2 = self.betas
        correction = math.sqrt((1.0 - beta2**self.steps) / (1.0 - beta2))
        self._corrected_lr = self.lr * (1.0 - beta1) / (1.0 - beta1**self.steps) * correction
        self._corrected_eps = self.eps * correction

    def _rescale(self) -> None:
        """Leave m and v what they were under other betas, as a schedule that cycles the momentum sets them."""
        for name, old, new in zip(self._states(), self.summed_betas, self.betas, strict=True):
            for state in self.state:
                state[name] *= (1.0 - old) / (1.0 - new)
        self.summed_betas = self.betas

    def _update(self, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        m_sum, v_sum, decayed, scratch = arrays
        beta1, beta2 = self.betas
        g = self._decay(p, g, decayed)
        m_sum *= beta1
        m_sum += g
        v_sum *= beta2
        v_sum += np.square(g, out=scratch)
        np.sqrt(v_sum, out=scratch)
        scratch += self._corrected_eps
        np.divide(m_sum, scratch, out=scratch)
        scratch *= self._corrected_lr
        p -= scratch

    def _decay(self, p: FloatArray, g: FloatArray, out: FloatArray) -> FloatArray:
        """Apply the weight decay to p, or return the gradient with it."""
        if self.weight_decay == 0.0:
            return g
        np.multiply(p, self.weight_decay, out=out)
        out += g
        return out


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: p <- p (1 - lr w) before Adam's step with w = 0.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, as torch.optim.AdamW has it.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def _decay(self, p: FloatArray, g: FloatArray, _: FloatArray) -> FloatArray:
        p *= 1.0 - self.lr * self.weight_decay
        return g
