"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from numpy_nn._support.checks import number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.optim.base import Group, Optimizer, Parameters, Setting
from numpy_nn.parameter import holders


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1), with weight decay added to the gradient as torch.optim.Adam does.

        g <- -g                 if ``maximize``
        g <- g + w p
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr m^ / (sqrt(v^) + eps),    m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t)

    With ``amsgrad``, v^ is made of the largest v so far (Reddi, Kale and Kumar, "On the convergence of Adam and
    beyond", 2018, algorithm 2, but with the correction 1 / (1 - beta2^t) after the maximum, as in torch).

    To save passes over memory, what is kept is M = m / (1 - beta1) and V = v / (1 - beta2), and the corrections
    c1 = 1 - beta1^t and c2 = sqrt(1 - beta2^t) go into lr and eps (the note after algorithm 1)::

        M <- beta1 M + g
        V <- beta2 V + g^2
        p <- p - lr' M / (sqrt(V) + eps')
        eps' = eps r,  lr' = lr r (1 - beta1) / c1,  r = c2 / sqrt(1 - beta2)

    Where ``betas`` change between two steps, M and V are scaled, so that m and v are what they were, and so is the
    largest v. t counts the steps of the optimizer: a parameter that begins to learn later has the corrections of the
    others. ValueError for a negative or non-finite setting or a beta outside [0, 1).
    """

    betas = Setting[tuple[float, float]]()
    eps = Setting[float]()
    amsgrad = Setting[bool]()
    maximize = Setting[bool]()

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, weight_decay, betas=betas, eps=eps, amsgrad=amsgrad, maximize=maximize)
        for group in self.param_groups:
            # The betas that the sums were made with.
            group["summed_betas"] = group["betas"]

    def _checked(self, settings: Group) -> Group:
        betas = settings["betas"]
        if not isinstance(betas, Sequence):
            raise TypeError(f"betas: expected two numbers, got {betas!r}")
        if len(betas) != 2:
            raise ValueError(f"betas: expected two numbers, got {betas!r}")
        beta1, beta2 = betas
        betas = (number(beta1, "betas[0]", low=0.0, below=1.0), number(beta2, "betas[1]", low=0.0, below=1.0))
        return super()._checked(settings) | {"betas": betas, "eps": number(settings["eps"], "eps", low=0.0)}

    def _states(self, group: Group) -> Sequence[str]:
        return ("sum", "sum_sq", "max_sum_sq") if group["amsgrad"] else ("sum", "sum_sq")

    def _prepare(self, group: Group) -> None:
        if group["betas"] != group["summed_betas"]:
            self._rescale(group)
        beta1, beta2 = group["betas"]
        correction = math.sqrt((1.0 - beta2**self.steps) / (1.0 - beta2))
        self._corrected_lr = group["lr"] * (1.0 - beta1) / (1.0 - beta1**self.steps) * correction
        self._corrected_eps = group["eps"] * correction

    def _rescale(self, group: Group) -> None:
        """Leave m and v what they were under other betas, as a schedule that cycles the momentum sets them."""
        factors = [(1.0 - old) / (1.0 - new) for old, new in zip(group["summed_betas"], group["betas"], strict=True)]
        states = {id(holder): state for holder, state in zip(self._holders, self.state, strict=True)}
        for holder in holders(group["params"]):
            for name, array in states[id(holder)].items():
                array *= factors[0 if name == "sum" else 1]
        group["summed_betas"] = group["betas"]

    def _update(self, group: Group, p: FloatArray, g: FloatArray, *arrays: FloatArray) -> None:
        m_sum, v_sum, *largest, changed, scratch = arrays
        beta1, beta2 = group["betas"]
        if group["weight_decay"] or group["maximize"]:
            g = self._descent(group, p, g, changed)
        m_sum *= beta1
        m_sum += g
        v_sum *= beta2
        v_sum += np.square(g, out=scratch)
        if largest:
            v_sum = np.maximum(largest[0], v_sum, out=largest[0])
        np.sqrt(v_sum, out=scratch)
        scratch += self._corrected_eps
        np.divide(m_sum, scratch, out=scratch)
        scratch *= self._corrected_lr
        p -= scratch


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: p <- p (1 - lr w) before Adam's step with w = 0.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, as torch.optim.AdamW has it.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    @staticmethod
    def _descent(group: Group, p: FloatArray, g: FloatArray, out: FloatArray) -> FloatArray:
        """The gradient to go down, once p has decayed."""
        p *= 1.0 - group["lr"] * group["weight_decay"]
        return np.negative(g, out=out) if group["maximize"] else g
