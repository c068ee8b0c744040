"""Runs of which nothing but the output is wanted, as those at two ends of a line.

What makes a step of training only to tell its gradient makes none in them.
"""

from __future__ import annotations

from contextvars import ContextVar

from numpy_nn.subjects.subject import Array, Subject

_ALONE = ContextVar("_ALONE", default=False)


def output_alone(subject: Subject) -> Array:
    """The subject's output; what its code keeps for backward tells nothing afterwards."""
    token = _ALONE.set(True)
    try:
        return subject.output()
    finally:
        _ALONE.reset(token)


def is_alone() -> bool:
    """Whether this is such a run."""
    return _ALONE.get()
