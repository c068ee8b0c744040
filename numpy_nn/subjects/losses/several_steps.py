"""Objects whose one method for training makes a step after each sample: they are judged by the first one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.agreement import CLOSELY, agreement
from numpy_nn.subjects.arrays.places import places
from numpy_nn.subjects.calls.rates import rates_in, rates_of, times
from numpy_nn.subjects.losses.loss_objects import step_of_training
from numpy_nn.subjects.names import positional
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.running import Patience, Running
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError


def judged_by_one_step(
    target: Any, inputs: Sequence[Any], targets: Any, of: Callable[[Sequence[Any], Any], CodeSubject]
) -> CodeSubject:
    """The subject ``of`` these inputs and targets; or that of the first sample alone, where several are several steps.

    What these move together is the gradient of no loss: each begins where the one before has ended.
    """
    before = Snapshot(target)
    failed: Exception | None = None
    try:
        subject = of(inputs, targets)
        found = agreement(subject) if subject.moved else None
        if found is None or (found.agreeing == found.shaped and found.digits == CLOSELY):
            return subject
    except (SubjectError, TypeError, ValueError) as error:
        failed = error
    step = step_of_training(target, len(inputs) + 1)
    now = Snapshot(target)
    before.restore()
    if step is not None and moves_several_times(target, step, (*inputs, targets)):
        *first, own = (one[:1] if isinstance(one, np.ndarray) else one for one in (*inputs, targets))
        alone = of(first, own)
        alone.notes.append(
            f"{step.__name__} moves the parameters several times, as after each sample: judged with the first alone"
        )
        return alone
    if failed is not None:
        raise failed
    now.restore()
    return subject


def moves_several_times(target: Any, step: Callable[..., Any], given: Sequence[Any]) -> bool:
    """Whether what a step of several rows moves is not in proportion to its learning rate: it makes several steps."""
    rows = [len(one) for one in given if isinstance(one, np.ndarray) and one.ndim]
    required, optional = positional(step) or ([], [])
    rates, kept = rates_in([*required, *optional]), rates_of(target, step)
    if max(rows, default=1) < 2 or (len(rates) != 1 if rates else not kept):
        return False
    before = Snapshot(target)

    def moved(share: float) -> list[NDArray[Any]]:
        arrays = {str(place): np.array(place.read(), np.float64) for place in places(target)}
        try:
            with times(share, [] if rates else kept), Running(type(target).__name__, Patience()):
                step(
                    *(one.copy() if isinstance(one, np.ndarray) else one for one in given),
                    **dict.fromkeys(rates, share),
                )
            after = {str(place): np.array(place.read(), np.float64) for place in places(target)}
        finally:
            before.restore()
        same = [name for name, array in arrays.items() if name in after and after[name].shape == array.shape]
        return [after[name] - arrays[name] for name in same if arrays[name].ndim or rates]

    try:
        whole, half = moved(1.0), moved(0.5)
    except (SubjectError, TypeError, ValueError):
        return False
    return not all(np.allclose(one, 2.0 * other, rtol=1e-6, atol=1e-9) for one, other in zip(whole, half, strict=True))
