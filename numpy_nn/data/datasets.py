"""The toy sets of the lessons: the four labelled points, XOR, moons, spirals.

Each returns ``(x, y)``: x of shape (points, 2) and the given dtype, y of shape (points,) and int64, class indices
from 0 on unless said otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support.checks import Seed, count, float_dtype, generator, number
from numpy_nn._support.workspace import FloatArray

Dataset = tuple[FloatArray, NDArray[np.int64]]


def four_points(*, dtype: DTypeLike = np.float32) -> Dataset:
    """Two points of class 1 and two of class 0, on either side of the line from (0, 1) to (1, 0)."""
    x = [[0.5, 0.25], [0.2, 0.5], [0.3, 1.1], [0.4, 1.1]]
    return np.array(x, float_dtype(dtype)), np.array([1, 1, 0, 0], np.int64)


def xor(*, signed: bool = True, dtype: DTypeLike = np.float32) -> Dataset:
    """The four points of exclusive or, which no line separates.

    ``signed``: corners of [-1, 1]^2 and labels -1 and +1, +1 where the coordinates' signs are equal. Otherwise
    corners of [0, 1]^2 and labels 0 and 1, 1 where the coordinates differ.
    """
    if signed:
        x, y = [[1, 1], [-1, 1], [-1, -1], [1, -1]], [1, -1, 1, -1]
    else:
        x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    return np.array(x, float_dtype(dtype)), np.array(y, np.int64)


def moons(n: int = 200, noise: float = 0.1, *, rng: Seed = None, dtype: DTypeLike = np.float32) -> Dataset:
    """Two interleaved half circles with Gaussian noise of the given standard deviation; class 0 gets the odd point.

    Class 0 is the upper half of the unit circle about (0, 0), class 1 the lower half of that about (1, 0.5).
    """
    n, noise, rng = count(n, "n", low=2), number(noise, "noise", low=0.0), generator(rng)
    upper, lower = np.linspace(0, np.pi, n - n // 2), np.linspace(0, np.pi, n // 2)
    x = np.concatenate(
        [np.stack([np.cos(upper), np.sin(upper)], axis=1), np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1)]
    )
    x += rng.normal(0.0, noise, x.shape)
    return x.astype(float_dtype(dtype)), np.repeat(np.arange(2), [n - n // 2, n // 2])


def spirals(
    n: int = 300, classes: int = 3, noise: float = 0.2, *, rng: Seed = None, dtype: DTypeLike = np.float32
) -> Dataset:
    """``classes`` arms that wind out from the origin to radius 1, with Gaussian noise on the angle (in radians).

    Arm c runs over the angles 4 c to 4 c + 4. The first ``n % classes`` arms get one point more than the others.
    """
    n, classes, noise, rng = count(n, "n"), count(classes, "classes"), number(noise, "noise", low=0.0), generator(rng)
    sizes = [n // classes + (c < n % classes) for c in range(classes)]
    y = np.repeat(np.arange(classes), sizes)
    radius = np.concatenate([np.linspace(0, 1, size) for size in sizes])
    angle = 4.0 * (y + radius) + rng.normal(0.0, noise, n)
    x = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return x.astype(float_dtype(dtype)), y
