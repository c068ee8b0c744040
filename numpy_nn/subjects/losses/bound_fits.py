"""Methods that train, handed over by themselves, as ``check_gradients(net.fit, X, y)``: the object that trains so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy_nn.subjects import names
from numpy_nn.subjects.losses.training import step_of_training
from numpy_nn.subjects.running import SubjectError
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import Subject


def of_a_fit_or(
    function: Any,
    given: Sequence[Any],
    others: Callable[[], Subject],
    of_object: Callable[[Any, Sequence[Any]], Subject],
) -> Subject:
    """What ``others`` gives; where they refuse a method that trains, the object, if it is judged by that method.

    That is itself, or one that it calls for each step.
    """
    owner = getattr(function, "__self__", None)
    called = getattr(function, "__name__", "")
    trains = names.plain(called) in (*names.TRAINS, *names.FITS)
    if owner is None or not trains or len(given) < 2:
        return others()
    before = Snapshot(owner)
    try:
        return others()
    except (SubjectError, TypeError, ValueError):
        before.restore()
        step = step_of_training(owner, given)
        if step is None or step.__name__ not in (called, *function.__func__.__code__.co_names):
            raise
        return of_object(owner, given)
