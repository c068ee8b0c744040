"""Layer normalization: each row by its own statistics, alike in training and in evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from numpy_nn._support.checks import count, float_dtype, number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.float_layer import FloatLayer
from numpy_nn.parameter import Parameter


class LayerNorm(FloatLayer):
    """y = weight x^ + bias with x^ = (x - mean) / sqrt(var + eps), for x of shape (batch, ..., *normalized_shape).

    mean and var (the biased one, divided by the number of entries) are those of the trailing axes, an own pair for
    each index of the leading ones, so that no row sees another. ``weight`` and ``bias`` have the shape
    ``normalized_shape``; an integer stands for one axis. Defaults and names are torch's. Without parameters
    (``elementwise_affine=False``) either dtype is taken.

    Backward, with G = dL/dy and H = G weight (Ba, Kiros and Hinton, "Layer Normalization", 2016). Sums go over the
    leading axes, means over the trailing ones. From x^ = (x - mean) r with r = 1 / sqrt(var + eps), and c = x - mean::

        d mean / dx_j  = 1 / D                    with D the number of entries
        d var / dx_j   = 2 c_j / D                as the entries of c sum to 0
        d x^_i / dx_j  = r ([i = j] - 1 / D) - c_i r^3 c_j / D = r ([i = j] - 1 / D - x^_i x^_j / D)

        dL/dweight = sum G x^
        dL/dbias   = sum G
        dL/dx      = r (H - mean(H) - x^ mean(H x^))
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        axes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        if not axes:
            raise ValueError("normalized_shape: expected at least one axis, got ()")
        self.normalized_shape = tuple(count(size, "normalized_shape") for size in axes)
        self.eps = number(eps, "eps", low=0.0)
        self.elementwise_affine = bool(elementwise_affine)
        dtype = float_dtype(dtype)
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, dtype)) if elementwise_affine and bias else None

    def check_input(self, x: FloatArray) -> FloatArray:
        x = super().check_input(x)
        if self.weight is not None:
            x = self.check_dtype(x, self.weight.dtype)
        own = self.normalized_shape
        if x.ndim <= len(own) or x.shape[-len(own) :] != own:
            hint = "; a single row is x[None, :]" if x.shape == own else ""
            expected = ", ".join(["batch", "...", *map(str, own)])
            raise ValueError(f"{self.label}: expected input of shape ({expected}), got {x.shape}{hint}")
        return x

    def forward(self, x: FloatArray) -> FloatArray:
        """weight x^ + bias."""
        rows = x.reshape(-1, math.prod(self.normalized_shape))
        x_hat, y = self._work.like("x_hat", rows), self._work.like("y", rows)
        mean, inv_std = (self._work(name, (len(rows), 1), rows.dtype) for name in ("mean", "inv_std"))
        self.saved = x_hat, inv_std
        np.subtract(rows, rows.mean(axis=1, keepdims=True, out=mean), out=x_hat)
        # Far from 0, the rounding error of the mean would weigh against a small spread: take it away as well.
        x_hat -= x_hat.mean(axis=1, keepdims=True, out=mean)
        np.square(x_hat, out=y).mean(axis=1, keepdims=True, out=inv_std)
        inv_std += self.eps
        np.divide(1.0, np.sqrt(inv_std, out=inv_std), out=inv_std)
        x_hat *= inv_std
        if self.weight is None:
            return x_hat.reshape(x.shape)
        np.multiply(x_hat, self.weight.data.reshape(-1), out=y)
        if self.bias is not None:
            y += self.bias.data.reshape(-1)
        return y.reshape(x.shape)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """The formulas above."""
        x_hat, inv_std = self.saved
        rows = grad_output.reshape(x_hat.shape)
        dx, scratch = self._work.like("dx", x_hat), self._work.like("scratch", x_hat)
        mean = self._work.like("mean", inv_std)
        np.multiply(rows, x_hat, out=scratch)
        if self.weight is None:
            np.copyto(dx, rows)
        else:
            scratch.sum(axis=0, out=self.weight.grad.reshape(-1))
            if self.bias is not None:
                rows.sum(axis=0, out=self.bias.grad.reshape(-1))
            np.multiply(rows, self.weight.data.reshape(-1), out=dx)
            scratch *= self.weight.data.reshape(-1)
        # H x^ in one array, H in the other.
        slope = scratch.mean(axis=1, keepdims=True, out=mean)
        np.multiply(x_hat, slope, out=scratch)
        dx -= dx.mean(axis=1, keepdims=True, out=mean)
        dx -= scratch
        dx *= inv_std
        return dx.reshape(grad_output.shape)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )
