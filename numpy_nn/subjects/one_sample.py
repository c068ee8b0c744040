"""Code that takes one sample at a time, as a network of single numbers does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.subject import Subject, SubjectError

Recognised = Callable[[Any, Sequence[Any], Any, Hints], Subject]


def of_first_sample(
    recognised: Recognised, target: Any, inputs: Sequence[Any], targets: Any, hints: Hints
) -> Subject | None:
    """Code that fails with all samples and takes one, as a network of single numbers does, with the first; or None.

    So with a number for a target that is the only one in its array.
    """
    x = inputs[0]
    if len(inputs) == 1 and isinstance(x, np.ndarray) and x.ndim > 1 and np.shape(targets)[:1] == x.shape[:1]:
        with suppress(SubjectError, ValueError):
            subject = recognised(target, (x[0].copy(),), targets[0], hints)
            if not (subject.make_repeatable() and np.isfinite(subject.output()).all()):
                return None  # it was none for this reason
            subject.notes.append("it takes one sample at a time: judged with the first of those given")
            return subject
    if isinstance(targets, np.ndarray) and targets.shape == (1,):
        with suppress(SubjectError, ValueError):
            return recognised(target, inputs, targets[0].item(), hints)
    return None
