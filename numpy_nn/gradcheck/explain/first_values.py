"""A parameter that backward takes for the value that it begins with: wrong as soon as training has moved it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numpy_nn.gradcheck.explain.causes import WORDS
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.report import Diagnosis

# What tells less, or nothing of a parameter: of a PReLU, its own derivative at the first slope.
REPLACED = ("unknown", "other_activation", "partly_filled")


def with_first_value(diagnosis: Diagnosis, there: Evidence, here: Evidence, moved: Sequence[str]) -> Diagnosis:
    """The diagnosis, or that the gradient stays what it is here where other arrays are moved, and should not."""
    if diagnosis.cause not in REPLACED:
        return diagnosis
    first, now = here.gradient, there.gradient
    if first is None or now is None or first.shape != now.shape or not here.recognises(now, first):
        return diagnosis
    statement, remedy = WORDS["first_value"]
    off = float(np.abs(now - there.truth)[there.looked_at].max())
    text = (
        f"where {' and '.join(moved)} is moved, and nothing else, the claimed gradient stays what it was at all "
        f"{now.size} coordinates, and the numerical one differs from it by up to {off:.3g}"
    )
    return Diagnosis("first_value", statement, text, remedy, True)
