"""Gradients that are not returned as such: new values, a step away, minus them, or the parts of a vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.arrays.places import last_name, parsed
from numpy_nn.subjects.calls.dressing import with_steps_undone
from numpy_nn.subjects.forces import with_forces_turned
from numpy_nn.subjects.given_code import Code
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.source.added import adds_what_it_is_given
from numpy_nn.subjects.subject import SubjectError


class Rewritten(NamedTuple):
    """Code that returns gradients; with ``certain`` it is meant so even where they are wrong, in more shapes or not."""

    code: Code
    note: str
    certain: bool
    in_more_shapes: bool = True


def as_rewritten(code: Code, subject: CodeSubject, chosen: Callable[[Code], CodeSubject]) -> CodeSubject | None:
    """The subject of what is returned if that is meant otherwise, where no gradient agrees as it stands; else None."""
    if not subject.make_repeatable() or (here := agreement(subject)).agreeing:
        return None
    meant: CodeSubject | None = None
    for other, note, certain, in_more_shapes in _rewritten(code, subject):
        try:
            tried = chosen(other)
            found = agreement(tried)
        except (SubjectError, TypeError, ValueError):
            continue
        agrees = 0 < found.agreeing == found.shaped
        if agrees or (certain and meant is None and found.shaped >= here.shaped + in_more_shapes):
            meant = tried
            meant.notes.append(note)
        if agrees:
            break
    return meant


def _rewritten(code: Code, subject: CodeSubject) -> Iterator[Rewritten]:
    """The ways in which what is returned may be meant, where none of it has been found to be a gradient."""
    undone = with_steps_undone(code.forward, code.given) if code.backward is None else None
    if undone is not None:
        note = "returned are new values: the gradient is the step to them, over the rate"
        yield Rewritten(replace(code, forward=undone), note, certain=False)
    learned = [str(last_name(parsed(name))) for name in subject.parameter_places]
    adds = adds_what_it_is_given(code.owner, learned, names.passes(code.owner)) if learned else None
    if adds is not None and code.backward is not None:
        note = f"{adds.__name__} adds what is returned to what is learned: minus it is taken for the gradient"
        yield Rewritten(with_forces_turned(code), note, certain=True, in_more_shapes=False)
    parts = _arrays_in(subject.latest)
    shapes = {name: array.shape for name, array in subject.arrays.items()}
    vectors = [name for name, shape in shapes.items() if shape == (sum(part.size for part in parts),)]
    if len(vectors) != 1 or len(parts) < 2 or any(part.shape in shapes.values() for part in parts):
        return
    function = code.forward if code.backward is None else code.backward
    for order, how in (("C", "row by row"), ("F", "column by column")):
        joined = _joined(function, order, with_value=code.backward is None)
        changed = replace(code, forward=joined) if code.backward is None else replace(code, backward=joined)
        note = f"returned are the gradients of the parts of {vectors[0]}, each in its shape; they are joined {how}"
        yield Rewritten(changed, note, certain=True)


def _joined(function: Any, order: Any, *, with_value: bool) -> Any:
    """The function that returns the arrays of floats that another returns as one vector; after the value, if any."""

    @wraps(function)
    def joined(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        parts = _arrays_in(result[1:] if with_value else result)
        vector = np.concatenate([part.ravel(order=order) for part in parts])
        return (result[0], vector) if with_value else vector

    return joined


def _arrays_in(returned: Any) -> list[Any]:
    """The arrays of floats in tuples and lists, in their order."""
    if isinstance(returned, (tuple, list)):
        return [array for part in returned for array in _arrays_in(part)]
    return [returned] if isinstance(returned, np.ndarray) and returned.dtype.kind == "f" else []
