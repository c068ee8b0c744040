"""Distortion in PyTorch, on CPU or CUDA: what numpy_nn.data.augment does, from the same numbers to rounding.

Coordinates and fields are those of numpy_nn.data.augment: in pixels, x to the right and y down, the centre of the first
pixel at (0, 0), and of shape (2, n, height, width). What is random is drawn apart from what is computed from it. All
images of a batch are distorted at once, and nothing waits for the host.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

import numpy_nn as nn
from numpy_nn._support.checks import count
from numpy_nn.data import augment

Device = str | torch.device | None
DTYPES = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}


class Distortion:
    """Random distortions of a batch of images, new ones at every call, with the settings of numpy_nn.Distortion.

    They have the distribution of numpy_nn's, not its numbers: these come from ``rng``, a torch.Generator, or the seed
    of a new one on ``device`` (the CPU by default); None takes a seed from the system. Images are distorted on the
    generator's device; "cuda" without an index is the CUDA device that is current when this is made. A setting out of
    range is refused as in numpy_nn; ValueError also for a ``device`` that is not the generator's.
    """

    def __init__(
        self,
        *,
        rotation: float = 0.0,
        scale: float = 0.0,
        shear: float = 0.0,
        shift: float = 0.0,
        alpha: float = 0.0,
        sigma: float = 4.0,
        fill: float = 0.0,
        rng: torch.Generator | int | None = None,
        device: Device = None,
    ) -> None:
        self.settings = nn.Distortion(
            rotation=rotation, scale=scale, shear=shear, shift=shift, alpha=alpha, sigma=sigma, fill=fill
        )
        self.rng = _generator(rng, device)
        spread = [rotation, scale, scale, shear, shift, shift]
        # Copied to the device here, as every copy later would be waited for.
        self._spread = torch.tensor(spread, dtype=torch.float64, device=self.rng.device)
        # Not the generator's own, which may be "cuda" without an index, while every tensor on CUDA has one.
        self.device = self._spread.device

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Distorted copies of ``images``, of shape (n, height, width), or (n, side^2) for square ones.

        TypeError or ValueError for anything but float32 or float64 in one of these shapes, with at least one image and
        one pixel, on the generator's device.
        """
        stack = _as_stack(images, self.device)
        n, height, width = stack.shape
        field = affine_coordinates(self.draw_matrices(n), height, width, images.dtype)
        if self.settings.alpha > 0.0:
            noise = self.draw_noise(n, height, width, images.dtype)
            field += smooth(noise.mul_(self.settings.alpha), self.settings.sigma)
        return resample(stack, field, fill=self.settings.fill).reshape(images.shape)

    def draw_matrices(self, n: int) -> Tensor:
        """The affine part of the next ``n`` distortions, as :func:`affine_matrices` gives it, in float64."""
        drawn = self._uniform(torch.empty(count(n, "n"), 6, dtype=torch.float64, device=self.device)) * self._spread
        return affine_matrices(drawn[:, 0], 1.0 + drawn[:, 1:3], drawn[:, 3], drawn[:, 4:6])

    def draw_noise(self, n: int, height: int, width: int, dtype: torch.dtype) -> Tensor:
        """Uniform numbers in [-1, 1), of shape (2, n, height, width), from which the next elastic part is made."""
        return self._uniform(torch.empty(2, n, height, width, dtype=dtype, device=self.device))

    def _uniform(self, out: Tensor) -> Tensor:
        return out.uniform_(-1.0, 1.0, generator=self.rng)

    def __repr__(self) -> str:
        return repr(self.settings)


def affine_matrices(angle: Tensor, scale: Tensor, shear: Tensor, shift: Tensor) -> Tensor:
    """The maps (n, 2, 3) from the coordinates of distorted images to the originals', as numpy_nn.data.augment has them.

    ``angle`` (n,) is in degrees; ``scale`` and ``shift`` are (n, 2), ``shear`` is (n,).
    """
    radians = torch.deg2rad(angle)
    cos, sin = torch.cos(radians), torch.sin(radians)
    x = torch.stack([cos, sin], -1) / scale[:, :1]
    y = torch.stack([-sin, cos], -1) / scale[:, 1:]
    inverse = torch.stack([x + shear[:, None] * y, y], -2)
    return torch.cat([inverse, -inverse @ shift[:, :, None]], dim=-1)


def affine_coordinates(matrices: Tensor, height: int, width: int, dtype: torch.dtype) -> Tensor:
    """Where the affine maps (n, 2, 3) send each pixel: a field (2, n, height, width) of this dtype."""
    pixels, centre = _pixels(height, width, dtype, matrices.device)
    coefficients = matrices.to(dtype).transpose(0, 1) + centre
    return (coefficients @ pixels).reshape(2, -1, height, width)


@functools.cache
def _pixels(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(x, y, 1) of every pixel, seen from the centre, as (3, height width); and what puts the centre back."""
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    pixels = torch.ones(3, height, width, dtype=dtype)
    pixels[0] = torch.arange(width) - centre_x
    pixels[1] = (torch.arange(height) - centre_y)[:, None]
    centre = torch.zeros(2, 1, 3, dtype=dtype)
    centre[0, 0, 2], centre[1, 0, 2] = centre_x, centre_y
    return pixels.reshape(3, -1).to(device), centre.to(device)


@functools.cache
def gaussian_matrix(size: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """numpy_nn.data.augment's ``gaussian_matrix`` on the device; not to be written to."""
    return torch.tensor(augment.gaussian_matrix(size, sigma, DTYPES[dtype]), device=device)


def smooth(field: Tensor, sigma: float) -> Tensor:
    """G_height field G_width for each (height, width) of the field: a Gaussian blur as two small products."""
    across, down = (gaussian_matrix(size, sigma, field.dtype, field.device) for size in reversed(field.shape[-2:]))
    return down @ (field @ across)


def resample(images: Tensor, field: Tensor, *, fill: float = 0.0) -> Tensor:
    """Images (n, height, width) at the coordinates of ``field``, by bilinear interpolation, ``fill`` around them.

    ``grid_sample`` with ``align_corners=False`` has the edges of the image, half a pixel from the outermost centres, at
    -1 and 1, so that the pixel x of ``width`` lies at (2 x + 1) / width - 1. It has zeros outside; another fill is
    subtracted before and added after.
    """
    height, width = images.shape[1:]
    grid = torch.stack([(2.0 * field[0] + 1.0) / width - 1.0, (2.0 * field[1] + 1.0) / height - 1.0], dim=-1)
    source = (images - fill if fill else images)[:, None]
    result = grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, 0]
    return result.add_(fill) if fill else result


def _as_stack(images: Tensor, device: torch.device) -> Tensor:
    """``images`` as (n, height, width)."""
    if not isinstance(images, Tensor) or images.dtype not in DTYPES:
        got = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"images: expected a tensor of float32 or float64, got {got}")
    if images.device != device:
        raise ValueError(f"images: expected a tensor on {device}, where the generator is, got one on {images.device}")
    side = math.isqrt(images.shape[1]) if images.ndim == 2 else 0
    if not (images.ndim == 3 or (images.ndim == 2 and side * side == images.shape[1])) or images.numel() == 0:
        raise ValueError(
            "images: expected shape (n, height, width), or (n, side^2) for square images, none of them 0, "
            f"got {tuple(images.shape)}"
        )
    return images if images.ndim == 3 else images.reshape(-1, side, side)


def _is_same(one: torch.device, other: torch.device) -> bool:
    """Whether the two may be one device, as those may of which one has no index."""
    return one.type == other.type and (None in (one.index, other.index) or one.index == other.index)


def _generator(rng: torch.Generator | int | None, device: Device) -> torch.Generator:
    """``rng`` itself, or a new generator from a seed."""
    if isinstance(rng, torch.Generator):
        if device is not None and not _is_same(torch.device(device), rng.device):
            raise ValueError(f"device: expected that of rng, {rng.device}, got {device}")
        return rng
    generator = torch.Generator(device or "cpu")
    if rng is None:
        generator.seed()
        return generator
    return generator.manual_seed(count(rng, "rng", low=0))
