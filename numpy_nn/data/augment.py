"""Distortion: images rotated, scaled, sheared, shifted and bent by a little, so that no two epochs see the same ones.

A distorted image asks, for each of its pixels, where in the original to look, and takes the value there by bilinear
interpolation. So all that is made is a field of source coordinates: an affine map of the pixel's own coordinates, plus
elastic displacements (Simard, Steinkraus and Platt, "Best Practices for Convolutional Neural Networks Applied to
Visual Document Analysis", 2003).

Coordinates are in pixels, x to the right and y down, the centre of the first pixel being (0, 0). Fields of coordinates
have the shape (2, n, height, width), x before y.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import Seed, count, float_array, generator, number
from numpy_nn._support.workspace import FloatArray, Workspace

# Images are distorted some at a time. With this many pixels, what one pass writes is still in the level-2 cache when
# the next one reads it; with fewer, the calls would cost more than they save.
PIXELS = 32768

# A Gaussian is cut off where it has fallen to exp(-8), after as many standard deviations.
CUT_OFF = 4.0

# No setting may be larger: far beyond any image, and far from what would overflow or fill the memory.
LIMIT = 1e6


class Distortion:
    """Random distortions of a batch of images, new ones at every call, all of them from ``rng``.

    For each image independently, the first four about its centre and each uniform between its two bounds:

    - a rotation by -rotation to rotation degrees,
    - a factor of 1 - scale to 1 + scale, one for its width and one for its height,
    - a shear by -shear to shear pixels to the right for each pixel down,
    - a shift by -shift to shift pixels, one to the right and one down,
    - elastic displacements: for each pixel two uniform numbers in [-1, 1], smoothed over the image by a Gaussian of
      standard deviation ``sigma`` pixels and multiplied by ``alpha`` pixels.

    A setting of 0 leaves its part out. What lies outside an image has the value ``fill``. ValueError for a negative or
    non-finite setting, one above 1e6, ``scale`` of 1 or more, or ``sigma`` of 0.
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
        rng: Seed = None,
    ) -> None:
        self.rotation = number(rotation, "rotation", low=0.0, high=LIMIT)
        self.scale = number(scale, "scale", low=0.0, below=1.0)
        self.shear = number(shear, "shear", low=0.0, high=LIMIT)
        self.shift = number(shift, "shift", low=0.0, high=LIMIT)
        self.alpha = number(alpha, "alpha", low=0.0, high=LIMIT)
        self.sigma = number(sigma, "sigma", above=0.0, high=LIMIT)
        self.fill = number(fill, "fill")
        self.rng = generator(rng)
        self._work = Workspace()

    def __call__(self, images: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Distorted copies of ``images``, of shape (n, height, width), or (n, side^2) for square ones; finite numbers.

        They are written to ``out``, of the same shape and dtype and not overlapping ``images``, or to a new array.
        TypeError or ValueError for anything
        but float32 or float64 in one of these shapes, with at least one image and one pixel.
        """
        images = float_array(images, "images")
        stack = _as_stack(images)
        result = np.empty(images.shape, images.dtype) if out is None else _check_out(out, images)
        result_stack = _as_stack(result)
        n, height, width = stack.shape
        matrices = self.draw_matrices(n)
        step = max(1, PIXELS // (height * width))
        for start in range(0, n, step):
            rows = slice(start, start + step)
            field = self._work("field", (2, min(step, n - start), height, width), images.dtype)
            affine_coordinates(matrices[rows], field)
            if self.alpha > 0.0:
                field += self._displacements(field)
            resample(stack[rows], field, fill=self.fill, out=result_stack[rows], work=self._work)
        return result

    def draw_matrices(self, n: int) -> NDArray[np.float64]:
        """The affine part of the next ``n`` distortions, as :func:`affine_matrices` gives it."""
        spread = [self.rotation, self.scale, self.scale, self.shear, self.shift, self.shift]
        drawn = self.rng.uniform(-1.0, 1.0, (count(n, "n"), 6)) * spread
        return affine_matrices(drawn[:, 0], 1.0 + drawn[:, 1:3], drawn[:, 3], drawn[:, 4:6])

    def _displacements(self, like: FloatArray) -> FloatArray:
        """Elastic displacements for a field of coordinates of this shape."""
        # Sixteen bits a number, four from each draw: steps of 2^-15 are lost in a sum of some hundred numbers.
        draws = self.rng.integers(0, 2**64, math.ceil(like.size / 4), dtype=np.uint64)
        steps = draws.view(np.int16)[: like.size].reshape(like.shape)
        noise = self._work.like("noise", like)
        np.add(steps, 0.5, out=noise, dtype=noise.dtype, casting="unsafe")
        noise *= self.alpha * 2.0**-15
        return smooth(noise, self.sigma, noise, self._work)

    def __repr__(self) -> str:
        names = ("rotation", "scale", "shear", "shift", "alpha", "sigma", "fill")
        return f"Distortion({', '.join(f'{name}={getattr(self, name):g}' for name in names)})"


def affine_matrices(
    angle: NDArray[np.float64], scale: NDArray[np.float64], shear: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The maps from the coordinates of n distorted images to those of the originals, of shape (n, 2, 3).

    A point p of the original, seen from its centre, goes to M p + shift with M = R S H::

        R = [cos -sin]   S = [scale_x    0   ]   H = [1 -shear]      so that M^-1 = H^-1 S^-1 R^T
            [sin  cos]       [   0    scale_y]       [0    1  ]

    and what is returned is [M^-1, -M^-1 shift]. ``angle`` (n,) is in degrees, clockwise as y points down; ``scale``
    and ``shift`` are (n, 2), ``shear`` is (n,). With equal scales these are the matrices of torchvision's ``affine``,
    whose first angle of shear is arctan(shear).
    """
    radians = np.radians(angle)
    cos, sin = np.cos(radians), np.sin(radians)
    inverse = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2) / scale[:, :, None]
    inverse[:, 0] += shear[:, None] * inverse[:, 1]
    return np.concatenate([inverse, -inverse @ shift[:, :, None]], axis=-1)


def affine_coordinates(matrices: FloatArray, out: FloatArray) -> FloatArray:
    """Where the affine maps (n, 2, 3) of :func:`affine_matrices` send each pixel: a field, written to ``out``."""
    height, width = out.shape[2:]
    pixels = np.ones((3, height, width), out.dtype)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    pixels[0] = np.arange(width) - centre_x
    pixels[1] = (np.arange(height) - centre_y)[:, None]
    for axis, centre in enumerate((centre_x, centre_y)):
        coefficients = matrices[:, axis].astype(out.dtype)
        coefficients[:, 2] += centre
        np.matmul(coefficients, pixels.reshape(3, -1), out=out[axis].reshape(len(matrices), -1))
    return out


@functools.cache
def gaussian_matrix(size: int, sigma: float, dtype: np.dtype[Any]) -> FloatArray:
    """The matrix G, (size, size) and read-only, for which G v is v smoothed by a Gaussian of standard deviation sigma.

    G_ij = w(i - j) with w(d) proportional to exp(-d^2 / (2 sigma^2)) for abs(d) up to 4 sigma, 0 beyond, summing to 1
    over all d. Beyond its ends v counts as 0.
    """
    reach = math.ceil(CUT_OFF * sigma)
    d = np.arange(-reach, reach + 1)
    w = np.exp(-0.5 * (d / sigma) ** 2)
    distance = np.arange(size) - np.arange(size)[:, None]
    matrix = np.where(abs(distance) <= reach, np.exp(-0.5 * (distance / sigma) ** 2) / w.sum(), 0.0).astype(dtype)
    matrix.setflags(write=False)
    return matrix


def smooth(field: FloatArray, sigma: float, out: FloatArray, work: Workspace) -> FloatArray:
    """G_height field G_width for each (height, width) of the field, written to ``out``, which may be the field itself.

    The Gaussian of two dimensions is the product of two of one, so two small products do the smoothing.
    """
    height, width = field.shape[-2:]
    scratch = work.like("scratch", field)
    across = gaussian_matrix(width, sigma, field.dtype)
    np.matmul(field.reshape(-1, width), across, out=scratch.reshape(-1, width))
    return np.matmul(gaussian_matrix(height, sigma, field.dtype), scratch, out=out)


def resample(
    images: FloatArray, field: FloatArray, *, fill: float = 0.0, out: FloatArray, work: Workspace
) -> FloatArray:
    """Images (n, height, width) at the coordinates of ``field``, by bilinear interpolation, written to ``out``.

    With (x, y) between four pixels, in the fractions f_x and f_y of the way from the upper left one::

        upper = v_00 + f_x (v_01 - v_00)
        lower = v_10 + f_x (v_11 - v_10)
        value = upper + f_y (lower - upper)

    Pixels outside the image have the value ``fill``: torch's ``grid_sample`` with its ``align_corners=False`` and, for
    a fill of 0, ``padding_mode="zeros"``. ``field`` is used up: its values are lost.
    """
    n, height, width = images.shape
    # One row and column of fill on every side. Right of the last column lies the first of the next row, below the last
    # row the first of the next image, also fill; an extra image makes that true of the last one.
    padded = work("padded", (n + 1, height + 2, width + 2), images.dtype)
    padded.fill(fill)
    padded[:n, 1:-1, 1:-1] = images
    source, stride = padded.reshape(-1), width + 2

    whole = work.like("whole", field)
    for axis, size in enumerate((width, height)):
        field[axis] += 1.0
        np.clip(field[axis], 0.0, size + 1.0, out=field[axis])
    np.floor(field, out=whole)
    field -= whole
    index = work("index", field.shape, np.intp)
    np.copyto(index, whole, casting="unsafe")
    start = index[0]
    index[1] *= stride
    start += index[1]
    start += (np.arange(n) * (height + 2) * stride)[:, None, None]

    corners = work("corners", (4, n, height, width), images.dtype)
    for corner, offset in zip(corners, (0, 1, stride, stride + 1), strict=True):
        # Every index is valid; the mode spares NumPy the copy that it makes in case one is not.
        np.take(source[offset:], start, out=corner, mode="clip")
    upper, right, lower, lower_right = corners
    for left, other in ((upper, right), (lower, lower_right)):
        other -= left
        other *= field[0]
        left += other
    lower -= upper
    lower *= field[1]
    return np.add(upper, lower, out=out)


def _as_stack(images: FloatArray) -> FloatArray:
    """``images`` as (n, height, width)."""
    side = math.isqrt(images.shape[1]) if images.ndim == 2 else 0
    if not (images.ndim == 3 or (images.ndim == 2 and side * side == images.shape[1])) or images.size == 0:
        raise ValueError(
            "images: expected shape (n, height, width), or (n, side^2) for square images, none of them 0, "
            f"got {images.shape}"
        )
    return images if images.ndim == 3 else images.reshape(-1, side, side)


def _check_out(out: FloatArray, images: FloatArray) -> FloatArray:
    """``out``, if the result can be written there."""
    if not isinstance(out, np.ndarray) or out.dtype != images.dtype:
        raise TypeError(f"out: expected an array of {images.dtype}, got {getattr(out, 'dtype', type(out).__name__)}")
    if out.shape != images.shape or not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(
            f"out: expected a writeable C-contiguous array of shape {images.shape}, got shape {out.shape}, "
            f"strides {out.strides}, writeable={out.flags.writeable}"
        )
    if np.may_share_memory(out, images):
        raise ValueError("out: expected memory apart from that of images")
    return out
