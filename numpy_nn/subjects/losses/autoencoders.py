"""Networks that compare what they make with their own input, and are given no other targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.losses.training import step_of_training
from numpy_nn.subjects.losses.unsaid import with_unsaid_cost
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.state import Snapshot, equal
from numpy_nn.subjects.subject import SubjectError


def trained_by_its_input(
    label: str, target: Any, forward: Callable[..., Any] | None, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject | None:
    """An object that makes its input anew and has a step of that alone, ``train(x)``; None if it is none such."""
    step = step_of_training(target, inputs)
    if step is None or forward is None or len(inputs) != 1:
        return None
    if targets is not None and (step_of_training(target, (*inputs, targets)) or not equal(targets, inputs[0])):
        return None
    return _by_its_input(label, target, forward, step, inputs, hints)


def compared_with_its_input(
    label: str,
    target: Any,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[Any],
    hints: Hints,
    subject: CodeSubject,
) -> CodeSubject | None:
    """An object with passes whose gradients are none of its output, as ``subject`` has them, but of that loss; or None.

    So it may be where none is handed back that is given to backward, and the output has the shape of the input.
    """
    if len(inputs) != 1 or subject.convention.takes_grads or not (subject.has_parameters and subject.make_repeatable()):
        return None
    if subject.output().shape != np.shape(inputs[0]) or agreement(subject).agreeing:
        return None
    return _by_its_input(label, target, forward, backward, inputs, hints)


def _by_its_input(
    label: str, target: Any, forward: Callable[..., Any], step: Callable[..., Any], inputs: Sequence[Any], hints: Hints
) -> CodeSubject | None:
    before = Snapshot(target)
    with suppress(SubjectError, TypeError, ValueError):
        loss = with_unsaid_cost(label, forward, step, inputs, copied(inputs[0]), target, hints)
        name = getattr(step, "__name__", "backward")
        lacks = "no targets" if step_of_training(target, inputs) is not None else "no gradient"
        loss.notes.append(f"{name} takes {lacks}: the targets are the input itself, as those of an autoencoder")
        return loss
    before.restore()
    return None
