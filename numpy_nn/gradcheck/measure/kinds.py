"""The words of the measurement: what is found of a coordinate, and why a coordinate may be left undecided."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

Status = NDArray[np.str_]

# What is found of a coordinate; "" stands for one that was not checked.
AGREES = "r"  # the claimed gradient is within the bound, and the bound is small
KINK = "k"  # the one-sided derivatives differ, and the claimed one lies between them
FLAT = "f"  # the output does not move beyond its rounding, and the claimed gradient would not move it either
COARSE = "c"  # within the bound, but the bound leaves only a few digits
ELSEWHERE = "e"  # within the bound, which is too large to mean much, but right at a multiple of the input
INDEPENDENT = "i"  # the output does not depend on the array, and the claimed gradient is 0 but for rounding
LOST = "l"  # outside the bound, but by no more than rounding errors of the terms that such a formula adds up
NEARLY = "n"  # outside the bound, but by less than a share of 1e-5 of the coordinate
OFF = "w"  # outside the bound
UNRESOLVED = "u"  # within a bound that is too large to mean much, or it cannot be said
DOUBTFUL = "d"  # on the way: to be looked at closely


class Reason(Enum):
    """Why coordinates are left undecided; the value is the sentence."""

    NONE = ""
    ROUNDING = "the numerical derivative cannot be resolved: rounding hides it"
    FLAT = "the output does not move at all here, so that any small gradient would pass; check at a smaller input"
    INNER_KINK = (
        "a kink, or a bend too sharp for numbers of this size; a little beside this point the gradient is right"
    )
    JUMPS = (
        "the output jumps close to this point, as what is rounded does, or log(1 - p) where 1 - p has lost its digits: "
        "across the jumps it moves as the gradient says, between them it does not; check at a smaller input, or in "
        "float64; where the jumps are meant, declare a surrogate"
    )
    STEPS = (
        "the output moves in steps, which are higher further on, and across them as the gradient says, as far as they "
        "let it be told; check at a smaller input"
    )
    ITERATION = (
        "the output jumps near by, by about as much as the gradient is off, as that of an iteration does which ends at "
        "a tolerance; make the tolerance smaller, and check again"
    )
    STAIRS = "the output moves in steps: between them its derivative is 0, across them it is not"
    VACUOUS = (
        "the gradient is 0 at every coordinate here, claimed and numerical: nothing was tested; check at another input"
    )
    UNSEEN = (
        "the output was never seen to depend on it: wherever it was moved the output stayed the same, and the gradient "
        "is 0, claimed and numerical: nothing was tested; check at an input where it matters, or, if it is not to be "
        "differentiated, list it in constants= or give it as integers"
    )

    def __str__(self) -> str:
        return self.value
