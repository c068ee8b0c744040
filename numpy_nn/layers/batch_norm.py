"""Batch normalization: the one layer in which the rows of a batch meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from numpy_nn._support.checks import count, float_dtype, number
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.float_layer import FloatLayer
from numpy_nn.parameter import Parameter


class BatchNorm1d(FloatLayer):
    """y = weight x^ + bias with x^ = (x - mean) / sqrt(var + eps), for x of shape (batch, num_features).

    In training mode mean and var (the biased one, divided by N) are those of the batch's columns, and the running
    statistics move towards them: running = (1 - momentum) running + momentum batch, with the unbiased variance,
    divided by N - 1. In evaluation mode the running statistics are used. Defaults and names are torch's; with
    ``momentum=None`` the running statistics are the plain average over all batches.

    Backward, with G = dL/dy and H = G weight (Ioffe and Szegedy, 2015, section 3; all means over the batch)::

        dL/dweight = sum_n G_n x^_n
        dL/dbias   = sum_n G_n
        dL/dx      = (H - mean(H) - x^ mean(H x^)) / sqrt(var + eps)     in training mode
        dL/dx      = H / sqrt(var + eps)                                 in evaluation mode

    The two means are what flows back through the statistics: mean and var depend on every row of the batch.
    """

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.num_features = count(num_features, "num_features")
        self.eps = number(eps, "eps", low=0.0)
        self.momentum = None if momentum is None else number(momentum, "momentum", low=0.0, high=1.0)
        self.dtype = dtype = float_dtype(dtype)
        self.weight = Parameter(np.ones(self.num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(self.num_features, dtype)) if affine else None
        self.running_mean = np.zeros(self.num_features, dtype) if track_running_stats else None
        self.running_var = np.ones(self.num_features, dtype) if track_running_stats else None
        self.num_batches_tracked = np.zeros((), np.int64) if track_running_stats else None

    def check_input(self, x: FloatArray) -> FloatArray:
        x = self.check_features(x, self.num_features, self.dtype)
        if x.shape[0] == 1 and self._by_batch():
            raise ValueError(f"{self.label}: expected more than one row to take a variance of, got shape {x.shape}")
        return x

    def _by_batch(self) -> bool:
        """Whether the statistics are those of the batch."""
        return self.training or self.running_mean is None

    def forward(self, x: FloatArray) -> FloatArray:
        """weight x^ + bias. ValueError for a batch of one row in training mode, whose variance is 0."""
        x_hat, inv_std = self._work.like("x_hat", x), self._work("inv_std", (self.num_features,), x.dtype)
        by_batch = self._by_batch()
        self.saved = x_hat, inv_std, by_batch
        if by_batch or self.running_mean is None or self.running_var is None:
            mean = x.mean(axis=0, out=self._work("mean", (self.num_features,), x.dtype))
            centered = np.subtract(x, mean, out=x_hat)
            # Far from 0, the rounding error of the mean would weigh against a small spread: take it away as well.
            rest = centered.mean(axis=0, out=self._work("rest", (self.num_features,), x.dtype))
            centered -= rest
            mean += rest
            square = np.square(centered, out=self._work.like("y", x))
            var = square.mean(axis=0, out=inv_std)
            if self.training:
                self._track(mean, var, x.shape[0])
        else:
            centered, var = np.subtract(x, self.running_mean, out=x_hat), self.running_var
        np.add(var, self.eps, out=inv_std)
        np.divide(1.0, np.sqrt(inv_std, out=inv_std), out=inv_std)
        centered *= inv_std
        if self.weight is None or self.bias is None:
            return x_hat
        y = np.multiply(x_hat, self.weight.data, out=self._work.like("y", x))
        y += self.bias.data
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """The formulas above."""
        x_hat, inv_std, by_batch = self.saved
        dx, scratch = self._work.like("dx", x_hat), self._work.like("scratch", x_hat)
        mean, mean_x = (self._work(name, inv_std.shape, x_hat.dtype) for name in ("mean", "mean_x"))

        np.multiply(grad_output, x_hat, out=scratch)
        if self.weight is None or self.bias is None:
            np.copyto(dx, grad_output)
        else:
            scratch.sum(axis=0, out=self.weight.grad)
            grad_output.sum(axis=0, out=self.bias.grad)
            np.multiply(grad_output, self.weight.data, out=dx)
            scratch *= self.weight.data
        if by_batch:
            scratch.mean(axis=0, out=mean_x)
            dx -= dx.mean(axis=0, out=mean)
            dx -= np.multiply(x_hat, mean_x, out=scratch)
        dx *= inv_std
        return dx

    def _track(self, mean: FloatArray, var: FloatArray, n: int) -> None:
        """Move the running statistics towards the batch's."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked[...] += 1  # nothing of the layer is set, which networks would take for a change
        rate = 1.0 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        step = self._work("step", (self.num_features,), mean.dtype)
        for running, batch, scale in ((self.running_mean, mean, 1.0), (self.running_var, var, n / (n - 1))):
            np.multiply(batch, rate * scale, out=step)
            running *= 1.0 - rate
            running += step

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps:g}, momentum={self.momentum}, affine={self.weight is not None}, "
            f"track_running_stats={self.running_mean is not None}"
        )
