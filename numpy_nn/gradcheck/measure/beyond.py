"""Points beyond the numbers that stand in the code, where its branches begin, far from where a random input lies.

Inside a function a clip that keeps ``exp`` from overflow, ``1 / (1 + exp(-clip(x, -500, 500)))``, makes the derivative
0 where the formula says 1e-218. That is no mistake, so what is off there must be a share of what the gradient is here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.kinds import OFF
from numpy_nn.gradcheck.measure.points import Point, in_unit, is_symmetric
from numpy_nn.subjects.source.written import numbers_written
from numpy_nn.subjects.subject import Subject

# Numbers of this size are looked beyond, so many at most: smaller ones are where other inputs of the check lie.
FROM, UP_TO, AT_MOST = 3.0, 1e8, 4

# Entries lie between so many times the number, in the order in which they are here.
BEHIND = (1.05, 1.55)

# A loss of probabilities takes logarithms of what is rounded to 0 or 1 beyond this, or beyond what a guard in the code
# lets through: 1e-7 in np.clip(p, 1e-7, 1 - 1e-7). A guard is no larger than this.
LOGARITHMS, GUARD = 36.0, 1e-3

# What is off by less than this share of the largest entry of the gradient here is what a clip against overflow leaves.
WORTH = 1e-4


def points_beyond(subject: Subject, output: Array) -> Iterator[Point]:
    """The input with all entries above each number in the code, and below its opposite; of one sign if it has one."""
    name = subject.moved_elsewhere
    x = subject.arrays[name].copy()
    is_loss = subject.is_loss or subject.targets is not None or output.size == 1
    if is_symmetric(x) or (is_loss and (len(subject.arrays) > 1 or in_unit(x))):
        return  # a definite matrix, the cost of a network, which saturates, or one of probabilities
    written = numbers_written(*subject.own_code())
    limit = _of_logarithms(written) if is_loss and _may_be_of_probabilities(subject) else np.inf
    numbers = reached(written)
    lowest, width = float(x.min()), float(np.ptp(x))
    share = (x - lowest) / width if width > 0.0 else np.full(x.shape, 0.5)
    near, far = BEHIND
    for number in [number for number in numbers if far * number <= limit][:AT_MOST]:
        if np.any(x > 0.0) or not np.any(x):
            above = number * (near + (far - near) * share)
            yield Point(
                f"where {name} is beyond {number:g}, as in the code: {_range(above)}", {name: above}, beyond=True
            )
        if np.any(x < 0.0) or not np.any(x):
            below = -number * (far - (far - near) * share)
            yield Point(
                f"where {name} is beyond -{number:g}, as in the code: {_range(below)}", {name: below}, beyond=True
            )


def reached(written: list[float]) -> list[float]:
    """The sizes of these numbers beyond which it may be looked, in their order."""
    return list(dict.fromkeys(abs(number) for number in written if FROM <= abs(number) <= UP_TO))


def _range(array: Array) -> str:
    return f"{array.min():.4g} to {array.max():.4g}"


def counts_here(here: Evidence, there: Evidence) -> bool:
    """Whether what is off beyond a number in the code is no less than a share of the gradient at the point given."""
    assert here.gradient is not None
    if there.slopes is None or there.gradient is None:
        return True
    error = np.abs(there.gradient - there.slopes.value)[there.status == OFF]
    return bool(np.any(error > WORTH * float(np.abs(here.gradient).max(initial=0.0))))


def _of_logarithms(written: list[float]) -> float:
    guards = [number for number in written if 0.0 < number <= GUARD]
    return min(LOGARITHMS, *(-np.log(guard) for guard in guards)) if guards else LOGARITHMS


def _may_be_of_probabilities(subject: Subject) -> bool:
    """Whether the targets of a loss are labels, or lie between 0 and 1; where there are none, it may be."""
    targets = subject.compared_with
    if targets is None:
        return True
    array = np.asarray(targets)
    return array.dtype.kind in "iub" or (array.dtype.kind == "f" and in_unit(array))
