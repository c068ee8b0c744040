"""Settings of a distortion, and how far apart two right ones may be."""

import numpy as np

from numpy_nn._support.workspace import Workspace
from numpy_nn.data.augment import resample

SETTINGS = {"rotation": 12.0, "scale": 0.12, "shear": 0.15, "shift": 1.5, "alpha": 26.0, "sigma": 4.0}


def roundoff(dtype):
    """The unit roundoff u."""
    return float(np.finfo(dtype).eps) / 2


def sampled(images, field):
    """What resample makes of a copy of the field."""
    return resample(images, field.copy(), out=np.empty(field.shape[1:], images.dtype), work=Workspace())


def distance(images, field, ours, theirs):
    """How far apart two right answers may be, for fields that are ``ours`` and ``theirs`` units of u off in pixels.

    Bilinear interpolation with zeros around is continuous, and its slope along an axis is a difference of two
    neighbours, so an error d of the coordinates (x + y) becomes one of 2 M d at most, M the largest pixel. Then our
    three interpolations round nine numbers below 4 M; torch's four weights are products of two rounded differences,
    its sum has four terms.
    """
    u, largest = roundoff(images.dtype), np.abs(images).max(initial=0.0)
    tiny = 64 * float(np.finfo(images.dtype).tiny)
    moved = 2 * 2 * u * (ours + theirs) * (np.abs(field).max() + 2)
    return 1.01 * largest * (moved + 36 * u + 10 * u) + tiny
