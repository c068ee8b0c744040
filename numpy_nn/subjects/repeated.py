"""Arguments of forward that are one and the same array, as of self-attention: ``forward(x, x, x)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.signatures import positional, signature
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import SubjectError

# Which of the arguments each of them is: the number of the first that is the same array.
Which = Sequence[int]

# Of a forward pass and its arguments, the subject.
Maker = Callable[[Any, Sequence[Any]], CodeSubject]


def which_are_one(arguments: Sequence[Any]) -> Which:
    """Of each argument the number of the first that is the same array of floats; none where all are different."""
    floats = [one if isinstance(one, np.ndarray) and one.dtype.kind == "f" else object() for one in arguments]
    first = [next(i for i, other in enumerate(floats) if other is one) for one in floats]
    return first if first != list(range(len(first))) else ()


def with_one_for_each(
    forward: Any, inputs: Sequence[Any], which: Which, make: Maker, before: Snapshot | None
) -> CodeSubject:
    """The subject of arguments that are different arrays; or of one that is several of them, where that is meant.

    It is where backward has a gradient for each array, not for each argument: the sum of those of the arguments.
    ``before`` is restored between the two.
    """
    if len(which) != len(inputs) or (tied := _tied(forward, which)) is None:
        return make(forward, inputs)
    apart: CodeSubject | None = None
    lacks, failed = False, None
    try:
        apart = make(forward, inputs)
        agrees = agreement(apart)
        own = [str(name) for name in apart.convention.inputs]
        lacks = any(own[i] not in apart.arrays for i in range(len(which)) if i < len(own) and which.count(which[i]) > 1)
        if agrees.agreeing == agrees.shaped and not lacks:
            return apart
    except (SubjectError, TypeError, ValueError) as error:
        failed = error
    now = Snapshot(forward)
    if before is not None:
        before.restore()
    with suppress(SubjectError, TypeError, ValueError):
        together = make(tied, [inputs[i] for i in dict.fromkeys(which)])
        found = agreement(together)
        if lacks or apart is None or found.agreeing == found.shaped > 0:
            names = _names(forward)
            for i in dict.fromkeys(which):
                same = [names[j] for j, first in enumerate(which) if first == i]
                if len(same) > 1:
                    text = f"{', '.join(same[:-1])} and {same[-1]} are one array: {same[0]} stands for all of them"
                    together.notes.append(text)
            return together
    now.restore()
    if apart is None:
        assert failed is not None
        raise failed
    return apart


def with_each_once(backward: Any, forward: Any, which: Which) -> Any:
    """A backward pass that is given forward's arguments as well, as one of each array once; any other as it is."""
    own = _names(forward)[: len(which)]
    if backward is None or not {*own} <= {*_names(backward)}:
        return backward
    again = {own[i]: own[first] for i, first in enumerate(which) if first != i}
    parameters = [p for p in signature(backward).parameters.values() if p.name not in again]
    shorter = signature(backward).replace(parameters=parameters)

    def of_each_once(*given: Any, **named: Any) -> Any:
        bound = shorter.bind(*given, **named).arguments
        return backward(**bound, **{name: bound[first] for name, first in again.items()})

    return Dressed(of_each_once, shorter)


def _names(forward: Any) -> list[str]:
    required, optional = positional(forward) or ([], [])
    return [*required, *optional]


def _tied(forward: Any, which: Which) -> Dressed | None:
    """The forward pass as one of each array once; None where it does not tell its arguments."""
    if forward is None or len(_names(forward)) < len(which):
        return None
    parameters = list(signature(forward).parameters.values())
    kept = [one for i, one in enumerate(parameters) if i >= len(which) or which[i] == i]
    places = list(dict.fromkeys(which))

    def of_each_once(*given: Any, **named: Any) -> Any:
        head, tail = given[: len(places)], given[len(places) :]
        return forward(*(head[places.index(i)] for i in which), *tail, **named)

    return Dressed(of_each_once, signature(forward).replace(parameters=kept))
