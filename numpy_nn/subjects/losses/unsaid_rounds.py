"""Functions that train by weights of their own and compute no loss: by which of the usual ones their steps are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from inspect import Parameter, Signature
from typing import Any

import numpy as np

from numpy_nn.subjects.agreement import CLOSELY, claimed_in_shape, digits
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.usual_costs import Cost, has_kinks, usual_costs
from numpy_nn.subjects.losses.unsaid import may_be_of_a_multiple
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import SubjectError

# An array that is called so is no output of a network.
_OF_OTHERS = re.compile(r"err|delta|grad|loss|cost|diff|^d_?[a-z]?\d*$|^d[a-z]?_|resid")


def by_a_usual_loss(
    ends: Sequence[Mapping[str, Any]], of_loss: Callable[[Any], CodeSubject | TypeError | None], targets: str
) -> CodeSubject | str:
    """The subject by the usual loss of the targets and an array of the round, of which all steps are gradients.

    ``ends`` is what there is where rounds end that begin with other weights. Where the steps of some weights alone are
    gradients of one, those of the others may be wrong, or the loss another: then in words of which those are, or "".
    """
    apart: set[tuple[str, str]] = set()  # of which no multiple can be meant
    for output, loss, formula in _losses(ends, targets):
        multiples_of = output, formula.split(" / n, with n = ")[0]
        if multiples_of in apart:
            continue
        with suppress(SubjectError, TypeError, ValueError):
            subject = of_loss(loss)
            if not isinstance(subject, CodeSubject) or not subject.make_repeatable():
                continue
            agreeing = _agreeing_at_weights(subject)
            if not agreeing and not may_be_of_a_multiple(subject):
                apart.add(multiples_of)
            said = f"{formula}, where a is {output} and y {targets}"
            if len(agreeing) == len(subject.parameter_places):
                subject.notes.append(
                    f"the loss is not written in the code; the gradients are judged as those of {said}"
                )
                return subject
            if agreeing:  # no other loss has the same gradients by these
                others = ", ".join(name for name in subject.parameter_places if name not in agreeing)
                return f"the steps of {', '.join(agreeing)} are gradients of {said}, and those of {others} are not"
    return ""


def _agreeing_at_weights(subject: CodeSubject) -> list[str]:
    """The arrays whose gradients are those of the loss to all digits, at two sets of weights."""
    rng, found = np.random.default_rng(9), _agreeing(subject)
    if found:
        moved = {name: subject.arrays[name] for name in subject.parameter_places}
        with subject.at({name: array + rng.standard_normal(array.shape) for name, array in moved.items()}):
            there = _agreeing(subject)
            found = [name for name in found if name in there]
    return found


def _agreeing(subject: CodeSubject) -> list[str]:
    grad_output, claimed = claimed_in_shape(subject)
    return [name for name, one in claimed.items() if digits(subject, name, one, grad_output) == CLOSELY]


def _losses(ends: Sequence[Mapping[str, Any]], targets: str) -> Iterator[tuple[str, Dressed, str]]:
    """A loss of each array that may be an output, from the last that is bound, with its formula."""
    here, there = ends
    y = here.get(targets)
    if not isinstance(y, np.ndarray) or not y.ndim:
        return
    outputs = [
        name
        for name, one in here.items()
        if isinstance(one, np.ndarray)
        and one.dtype.kind == "f"
        and one.shape[:1] == y.shape[:1]
        and (one.size == y.size or (one.ndim == 2 and y.dtype.kind in "iu"))
        and not equal(one, there.get(name))
        and not _OF_OTHERS.search(name.lower())
    ]
    costs = [(formula, cost) for formula, cost in usual_costs([*y.shape[:2], y.size]) if not has_kinks(formula)]
    for formula, cost in costs:
        for output in reversed(outputs):
            yield output, _of_names(cost, output, targets), formula


def _of_names(cost: Cost, output: str, targets: str) -> Dressed:
    """A loss that takes an array and the targets by the names that the round has for them."""
    own = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in (output, targets)]
    loss = Dressed(lambda a, y: float(cost(a, y)), Signature(own))
    loss.__name__ = "loss"
    return loss
