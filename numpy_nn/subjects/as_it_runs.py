"""Objects with two passes, called as they run: by ``__call__``, in training, or built, where forward alone does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.calls.arguments import named_arguments
from numpy_nn.subjects.calls.dressing import in_training
from numpy_nn.subjects.calls.kept_gradients import with_gradient_kept
from numpy_nn.subjects.calls.owners import build_for, put_in_training
from numpy_nn.subjects.choosing import chosen
from numpy_nn.subjects.given_code import Code, Hints
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError

_PUT_IN_TRAINING = "the object is not in training, and its gradients are those of training: it is put there"


def called_as_it_runs(
    label: str, target: Any, forward: Callable[..., Any], backward: Any, inputs: Sequence[Any], hints: Hints
) -> CodeSubject:
    """By its forward pass; or, if backward cannot do without what only ``__call__`` keeps, by that.

    Where its gradients are those of training, and it is not in training, it is put there.
    """

    def called_by(function: Callable[..., Any]) -> CodeSubject:
        return chosen(Code(label, function, backward, named_arguments(function, inputs, None), hints, owner=target))

    build_for(target, forward, inputs)
    backward = with_gradient_kept(target, forward, backward, inputs)
    before = Snapshot(target)
    try:
        subject = called_by(forward)
    except (SubjectError, TypeError, ValueError) as error:
        before.restore()
        subject, forward = _called_otherwise(target, forward, called_by, error)
    return _in_training_if_meant(subject, target, lambda: called_by(forward))


def _called_otherwise(
    target: Any, forward: Callable[..., Any], called_by: Callable[[Callable[..., Any]], CodeSubject], error: Exception
) -> tuple[CodeSubject, Callable[..., Any]]:
    """Put in training, or by its ``__call__``; the error where neither helps."""
    before = Snapshot(target)
    ways = [forward] if put_in_training(target) else []
    if getattr(forward, "__name__", "") != "__call__" and "__call__" in dir(target):
        ways.append(in_training(target.__call__))
    for function in ways:
        try:
            subject = called_by(function)
        except (SubjectError, TypeError, ValueError):
            continue
        if function is forward:
            subject.notes.append(_PUT_IN_TRAINING)
        return subject, function
    before.restore()
    raise error


def _in_training_if_meant(subject: CodeSubject, target: Any, again: Callable[[], CodeSubject]) -> CodeSubject:
    """The subject, or one of the same object in training, where that agrees better."""
    if not subject.make_repeatable():
        return subject
    as_given = Snapshot(target)
    try:
        agrees = agreement(subject)
        if agrees.agreeing < agrees.shaped and put_in_training(target):
            in_training_mode = again()
            there = agreement(in_training_mode)
            if there.agreeing > agrees.agreeing:
                in_training_mode.notes.append(_PUT_IN_TRAINING)
                return in_training_mode
    except (SubjectError, TypeError, ValueError):
        pass  # it stays as it was given
    as_given.restore()
    return subject
