"""Dropout, which leaves out units at random while a network trains."""

from __future__ import annotations

import numpy as np

from numpy_nn._support.checks import Seed, generator, number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.float_layer import FloatLayer


class Dropout(FloatLayer):
    """Inverted dropout: y = x m, with each m_ij 0 with probability p, else 1 / (1 - p); in eval mode y = x.

    E[y] = x in both modes, so that evaluation needs no rescaling (Srivastava et al., JMLR 15, 2014, section 10).
    Backward: dL/dx = G m with the mask of the last forward call, which stays readable as ``mask``.
    """

    def __init__(self, p: float = 0.5, *, rng: Seed = None) -> None:
        super().__init__()
        self.p = number(p, "p", low=0.0, high=1.0)
        self.rng = generator(rng)

    @property
    def mask(self) -> FloatArray | None:
        """m of the last forward call; None before any, and where that left all units in."""
        return self.saved

    def forward(self, x: FloatArray) -> FloatArray:
        """x m in training mode, x itself in evaluation mode."""
        self.saved = None
        if not self.training or self.p == 0.0:
            return x
        self.saved = mask = self._work.like("mask", x)
        self._draw(mask)
        np.greater_equal(mask, self.p, out=mask)
        if self.p < 1.0:
            mask *= 1.0 / (1.0 - self.p)
        return np.multiply(x, mask, out=self._work.like("y", x))

    def _draw(self, out: FloatArray) -> None:
        """Fill with numbers that are uniform on [0, 1)."""
        self.rng.random(out=out, dtype=out.dtype.type)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """G m."""
        mask = self.saved
        if mask is None:
            return grad_output
        return np.multiply(grad_output, mask, out=self._work.like("dx", mask))

    def extra_repr(self) -> str:
        return f"p={self.p:g}"
