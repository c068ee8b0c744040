# ruff: noqa: D101 - the name of a class is its mistake
"""Convolution, pooling, upsampling and norms of images, each with one mistake in its backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from scripts.proof.bank.planting import planted
from scripts.proof.bank.right_images import (
    AveragePool,
    BatchNorm2d,
    Conv2d,
    LayerNormOfImages,
    MaxPool,
    UpSample,
    Windowed,
    apart,
)
from scripts.proof.bank.right_layers import Array, Case


@planted("stride_missing", "input")
class MaxPoolStrideMissing(MaxPool):
    def corner(self, row: int, column: int) -> tuple[int, int]:
        return row, column


@planted("stride_missing", "input")
class AveragePoolStrideMissing(AveragePool):
    def corner(self, row: int, column: int) -> tuple[int, int]:
        return row, column


class Overlapping(Windowed):
    """Windows of 3 with a stride of 2."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        shape = (int(rng.integers(2, 4)), int(rng.integers(1, 3)), *(int(n) for n in rng.permutation([5, 7])))
        return cls(3, 2), apart(rng, shape), None


@planted("overwritten_windows", "input")
class AveragePoolOverwrites(Overlapping, AveragePool):
    def write(self, dx: Array, place: tuple[Any, ...], part: Array) -> None:
        dx[place] = part


@planted("overwritten_windows", "input")
class MaxPoolOverwrites(Overlapping, MaxPool):
    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        layer, x, _ = super().draw(rng)
        x[..., 2, 2] += 20.0  # the largest of more than one window, so that something is lost
        return layer, x, None

    def write(self, dx: Array, place: tuple[Any, ...], part: Array) -> None:
        dx[place] = part


@planted("factor", "input")
class AveragePoolNotDivided(AveragePool):
    def share(self, window: Array) -> Array:
        return np.ones_like(window)


class Strided(Conv2d):
    """A stride of 2."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Case:
        while True:
            layer, x, _ = super().draw(rng)
            if layer.stride == 2:
                return layer, x, None


@planted("stride_missing", "W")
class ConvWeightStrideMissing(Strided):
    def dW(self, g: Array) -> Array:
        places = self.places(g, 1)
        return np.sum([np.einsum("no,ncij->ocij", g[:, :, r, c], self.x[place]) for r, c, place in places], axis=0)


@planted("stride_missing", "input")
class ConvInputStrideMissing(Strided):
    def dx(self, g: Array) -> Array:
        dx = np.zeros_like(self.x)
        for row, column, place in self.places(g, 1):
            dx[place] += np.einsum("no,ocij->ncij", g[:, :, row, column], self.params["W"])
        return dx


@planted("kernel_flipped", "input")
class ConvKernelFlipped(Conv2d):
    def dx(self, g: Array) -> Array:
        dx = np.zeros_like(self.x)
        for row, column, place in self.places(g, self.stride):
            dx[place] += np.einsum("no,ocij->ncij", g[:, :, row, column], self.params["W"][:, :, ::-1, ::-1])
        return dx


@planted("factor", "b")  # the bias of a notebook is off by 1 / (3 * 3 * 3)
class ConvBiasAveraged(Conv2d):
    def db(self, g: Array) -> Array:
        return g.mean(axis=(0, 2, 3))


@planted("bias_averaged", "b")
class ConvBiasAveragedOverBatch(Conv2d):
    def db(self, g: Array) -> Array:
        return g.sum(axis=(2, 3)).mean(axis=0)


@planted("picked", "input")
class UpSamplePicksFirst(UpSample):
    def backward(self, g: Array) -> Array:
        return g[:, :, ::2, ::2]


@planted("factor", "input")
class UpSampleAverages(UpSample):
    def backward(self, g: Array) -> Array:
        return super().backward(g) / 4.0


@planted("axes_exchanged", "input")
class UpSampleHeightAndWidth(UpSample):
    """Height and width are exchanged, and the shape is mended by a reshape."""

    def backward(self, g: Array) -> Array:
        right = super().backward(g)
        return right.swapaxes(2, 3).reshape(right.shape)


@planted("batch_norm_mean_constant", "input")
class BatchNorm2dMeanConstant(BatchNorm2d):
    def dx(self, h: Array) -> Array:
        return (h - self.x_hat * self.mean(h * self.x_hat)) / self.std


@planted("batch_norm_variance_constant", "input")
class LayerNormOfImagesVarianceConstant(LayerNormOfImages):
    def dx(self, h: Array) -> Array:
        return (h - self.mean(h)) / self.std


@planted("batch_norm_constant_statistics", "input")
class BatchNorm2dConstantStatistics(BatchNorm2d):
    def dx(self, h: Array) -> Array:
        return h / self.std


@planted("wrong_axis_mean", "input")
class BatchNorm2dMeanOverPixels(BatchNorm2d):
    def dx(self, h: Array) -> Array:
        def mean(a: Array) -> Array:
            return np.asarray(a.mean(axis=(2, 3), keepdims=True))

        return (h - mean(h) - self.x_hat * mean(h * self.x_hat)) / self.std


@planted("epsilon", "input")
class LayerNormOfImagesEpsilonOutside(LayerNormOfImages):
    """sqrt(var) + eps in forward, and the formula for sqrt(var + eps)."""

    def root(self, variance: Array) -> Array:
        return np.sqrt(variance) + self.eps


@planted("epsilon", "input")
class BatchNorm2dEpsilonForgotten(BatchNorm2d):
    """No eps in backward."""

    def dx(self, h: Array) -> Array:
        std = np.sqrt(self.variance)
        x_hat = self.x_hat * self.std / std
        return (h - self.mean(h) - x_hat * self.mean(h * x_hat)) / std
