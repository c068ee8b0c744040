"""Slopes along coordinates, and how they come out of outputs at several steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from numpy_nn.gradcheck.measure.derivatives import SAFETY, Array, Table, extrapolate, rounding_of

Mask = NDArray[np.bool_]


@dataclass
class Slopes:
    """Derivatives along each coordinate, in the shape of the array, NaN where they were not asked for.

    ``low`` and ``high`` are what a choice between the one-sided derivatives of each output can give; they and ``kink``
    are only there after a close look.
    """

    value: Array
    bound: Array
    flat: Mask
    kink: Mask
    low: Array
    high: Array
    side_bound: Array

    def replace(self, where: Mask, other: Slopes) -> None:
        """Take these coordinates from ``other``."""
        for field, numbers in vars(self).items():
            numbers[where] = getattr(other, field)[where]


def summarise(
    outputs: Array, center: Array, steps: Array, grad_output: Array, noise: Array, sides: bool
) -> dict[str, Array]:
    """Slopes of sum(grad_output * output) in units of the scale, from outputs (2, steps, groups, slices, entries)."""
    plus, minus = outputs
    t = steps.reshape(-1, 1, 1, 1)
    with np.errstate(all="ignore"):
        rounding = rounding_of(noise, plus, minus)
        rounding /= t
        quotients = plus - minus
        quotients /= 2.0 * t
        value, bound = _choose(extrapolate(quotients, rounding, steps, order=2), grad_output)
        found = {"value": value.sum(axis=-1), "bound": bound, "flat": np.all(plus == minus, axis=(0, 3))}
        if not sides:
            return found
        one_sided = ((plus - center) / t, (center - minus) / t)
        chosen = [_choose(extrapolate(q, 2.0 * rounding, steps, order=1), grad_output) for q in one_sided]
        (right, right_bound), (left, left_bound) = chosen
        side_bound = right_bound + left_bound
        found |= {
            "low": np.minimum(right, left).sum(axis=-1),
            "high": np.maximum(right, left).sum(axis=-1),
            "side_bound": side_bound,
            "kink": np.abs(right - left).sum(axis=-1) > side_bound,
        }
        # At the edge of the function's domain there is one side only.
        for own, own_bound, other_bound in ((right, right_bound, left_bound), (left, left_bound, right_bound)):
            edge = np.isinf(other_bound) & np.isfinite(own_bound) & ~np.isfinite(bound)
            found["value"] = np.where(edge, own.sum(axis=-1), found["value"])
            found["bound"] = np.where(edge, own_bound, found["bound"])
    return found


def resolved(slopes: Slopes, mask: Mask, share: float) -> Mask:
    """Where the bound is no more than this share of the slope, or of the largest of those in ``mask``."""
    reference = np.nanmax(np.abs(slopes.value[mask]), initial=0.0)
    return np.asarray(slopes.bound <= share * np.maximum(np.abs(slopes.value), reference))


def _choose(table: Table, grad_output: Array) -> tuple[Array, Array]:
    """For each (group, slice), grad_output times the values in the table with the least bound, and that bound."""
    bounds = SAFETY * (table.errors * np.abs(grad_output)).sum(axis=-1)
    bounds = np.where(np.isfinite(bounds), bounds, np.inf)
    best = bounds.argmin(axis=0)[None]
    values = np.take_along_axis(table.values, best[..., None], 0)[0]
    return values * grad_output, np.take_along_axis(bounds, best, 0)[0]
