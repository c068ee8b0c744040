"""Dropout with one mask for all its calls, so that a step can be made again and its numbers compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import numpy_nn as nn

Array = NDArray[Any]


class SameMask(nn.Dropout):
    """Dropout that keeps the mask of its first call: every later one, and every copy's, leaves out the same units.

    A plain Dropout draws another at each call, and a numerical derivative over several calls would be of no function.
    """

    kept: Array | None = None

    def forward(self, x: Array) -> Array:
        """x m with the mask m that is kept, or, in the first call, drawn."""
        if self.kept is None:
            super().forward(x)
            self.kept = np.ones_like(x) if self.mask is None else self.mask.copy()
        self.saved = self.kept
        return np.asarray(x * self.kept)


def with_same_masks(net: nn.Sequential) -> nn.Sequential:
    """The network with a SameMask in the place of each Dropout; the other layers are the same objects."""
    layers = (SameMask(layer.p, rng=layer.rng) if type(layer) is nn.Dropout else layer for layer in net)
    return nn.Sequential(*layers)
