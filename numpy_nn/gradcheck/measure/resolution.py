"""How finely a function tells its arguments apart: the height of the steps in which its output moves.

A function that rounds inside, to float32 or to a few decimals, is a staircase: next to the point it is flat, and its
slope shows only across many steps. What the steps take from a difference is bounded by their height, wherever the two
points lie. So the height is measured, and counts as rounding of the output. Differences of order 4 and 5 over a few
equally spaced points leave of a smooth function a remainder that grows with the fourth power of the spacing, and of a
staircase its height, at every spacing beyond its width. A kink would look like a step, but only where it is: it spoils
one of several windows, and steps spoil all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import Array

# From one spacing to the next a smooth remainder grows by 16^4 and one of kinks by 16 at least; beyond a bend that is
# narrower than the spacing it falls again. A height stays within this factor over four of them.
SPACINGS = 2.0 ** np.arange(-28.0, -3.0, 4.0)
STAYS, IN_A_ROW = 12.0, 4
MIDDLE = float(SPACINGS[len(SPACINGS) - IN_A_ROW])

# So close together points lie within a step, and what is left is the rounding of float64, which is measured apart. A
# height counts only if it is so many times as large.
FINEST = 2.0**-44
EXCESS = 16.0

# At this spacing a staircase that is too coarse for the first test is flat on both sides, and at the last one it moves.
FLAT = 2.0**-20

# Windows of so many points, two on each side; of what they show the second smallest, which two kinks cannot spoil.
WINDOW, RANK = 12, 1
WINDOWS = tuple((sign, start * WINDOW) for start in range(2) for sign in (1.0, -1.0))

# Each estimate is made of 15 differences, and may be small by chance.
ROOM = 2.0

# A decimal digit has ten values. An output that takes fewer over all windows at the last spacing has no digit left: it
# is no rounding of something smooth, but a function of its own that is constant between jumps, such as round(x).
FEW_VALUES = 9

# A step of less than this share of the output is rounding in float64, which is measured apart.
OF_FLOAT64 = 2.0**-40


def heights(evaluate: Callable[[float], Array], center: Array) -> Array:
    """The standard deviation of what steps in each output of ``evaluate(t)`` put on top of a smooth function.

    0 where there are none that count, and where an output is not finite. ``t`` runs over both sides of 0, up to 1.5 in
    size.
    """
    if not _may_move_in_steps(evaluate, center):
        return np.zeros(center.shape)
    seen = {spacing: _windows(evaluate, spacing) for spacing in (*SPACINGS, FINEST)}
    levels = np.stack([_level(seen[spacing], RANK) for spacing in SPACINGS])
    in_a_row = np.stack([levels[k : len(levels) - IN_A_ROW + 1 + k] for k in range(IN_A_ROW)])
    low, high = in_a_row.min(axis=0), in_a_row.max(axis=0)
    stays = (low > EXCESS * _level(seen[FINEST], -1)) & (high <= STAYS * low)
    height = np.max(np.where(stays, high, 0.0), axis=0)
    if _is_constant_between_jumps(seen[SPACINGS[-1]]):
        return np.zeros_like(height)
    flat = np.all(seen[FLAT] == center, axis=(0, 1))
    moves = np.all(np.any(seen[SPACINGS[-1]][:2] != center, axis=1), axis=0)
    if np.any(flat & moves):
        flat &= _is_flat_further_on(evaluate)
    return np.asarray(ROOM * np.where(flat & moves, np.maximum(height, levels[-2:].max(axis=0)), height))


def _is_flat_further_on(evaluate: Callable[[float], Array]) -> Array:
    """Which outputs are flat to both sides too, where they have moved: a staircase is, and no unit that was dead."""
    # No power of two, nor a few of them: steps may begin there.
    ends = (sign * SPACINGS[-1] * (WINDOW - 1.0 / 3.0) for sign in (1.0, -1.0))
    with np.errstate(all="ignore"):
        return np.all([evaluate(end) == evaluate(end * (1.0 + FLAT)) for end in ends], axis=0)


def _is_constant_between_jumps(windows: Array) -> bool:
    """Whether most of the outputs that move at all take a few values only."""
    values = np.sort(windows.reshape(windows.shape[0] * windows.shape[1], -1), axis=0)
    with np.errstate(invalid="ignore"):  # of infinities, which are as good as any other value here
        distinct = 1 + np.count_nonzero(np.diff(values, axis=0), axis=0)
    moving = distinct[distinct > 1]
    return bool(moving.size) and float(np.median(moving)) <= FEW_VALUES


def _may_move_in_steps(evaluate: Callable[[float], Array], center: Array) -> bool:
    """Whether any height can be found that counts: for a smooth function a few evaluations deny it.

    Every row of four spacings has the one in the middle, a second smallest window is no larger than the larger of two,
    and an output that moves by the first step of a spacing is not flat there.
    """
    middle = _windows(evaluate, MIDDLE, WINDOWS[:2])
    if not np.isfinite(middle).all() or np.any(ROOM * STAYS * _level(middle, RANK) > _rounding(center)):
        return True
    flat = evaluate(FLAT) == center
    if flat.any():
        flat &= np.all(np.any(_windows(evaluate, SPACINGS[-1], WINDOWS[:2]) != center, axis=1), axis=0)
    return bool(flat.any())


def _rounding(center: Array) -> Array:
    """Of each output what counts as rounding in float64."""
    size = np.abs(center)
    scale = float(np.max(size, initial=0.0, where=np.isfinite(size)))
    return np.asarray(OF_FLOAT64 * np.maximum(size, 2.0**-20 * scale))


def _windows(
    evaluate: Callable[[float], Array], spacing: float, windows: Sequence[tuple[float, int]] = WINDOWS
) -> Array:
    """The outputs at the points of every window: (windows, points, ...)."""
    with np.errstate(all="ignore"):
        return np.stack(
            [np.stack([evaluate(sign * spacing * (start + 1.0 + i)) for i in range(WINDOW)]) for sign, start in windows]
        )


def _level(windows: Array, rank: int) -> Array:
    """What differences of order 4 and 5 leave in the window of this rank, the smallest first."""
    with np.errstate(all="ignore"):
        fourth = np.diff(windows, 4, axis=1)
        found = np.maximum(_deviation(fourth, 4), _deviation(np.diff(fourth, axis=1), 5))
    level = np.sort(np.nan_to_num(found, nan=np.inf), axis=0)[rank]
    return np.asarray(np.where(np.isfinite(level), level, 0.0))


def _deviation(differences: Array, order: int) -> Array:
    """That of the values whose differences these are, along axis 1."""
    mean = np.sqrt(np.mean(np.square(differences), axis=1))
    return np.asarray(mean * (math.factorial(order) / math.sqrt(math.factorial(2 * order))))


def steps_of(evaluate: Callable[[float], Array], center: Array) -> tuple[Array, float]:
    """For each output what steps may move it by, and the typical share of the output that this is; zeros if none.

    Where a third of the outputs that move are seen to do so in steps, all are taken to: how well steps are seen
    depends on where they happen to lie.
    """
    size = np.abs(center)
    height = heights(evaluate, center)
    height = np.where(height > _rounding(center), height, 0.0)
    found = height > 0.0
    if not found.any():
        return height, 0.0
    nonzero = found & (size > 0.0)
    share = min(1.0, float(np.median(height[nonzero] / size[nonzero]))) if nonzero.any() else 1.0
    moving = found | (evaluate(2.0**-4) != center)
    if 3 * found.sum() >= moving.sum():
        height = np.maximum(height, np.maximum(share * size, np.where(found, 0.0, np.median(height[found]))))
    return height, share
