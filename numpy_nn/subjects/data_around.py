"""Functions with arrays around them: parameters, and data that backward reads there and forward is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import signatures
from numpy_nn.subjects.agreement import Agreement, agreement, claimed_in_shape, is_as_large
from numpy_nn.subjects.arrays.nested import arrays_of
from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.passes import of_passes, of_steps
from numpy_nn.subjects.running import SubjectError
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.roles import is_learned
from numpy_nn.subjects.source.surroundings import Surroundings
from numpy_nn.subjects.state import Snapshot, equal, widen

Array = NDArray[Any]


def judged_with_data_around(
    f: Any,
    vjp: Any,
    around: Surroundings,
    inputs: Sequence[Any],
    targets: Any,
    of: Callable[[Any, Sequence[Any]], CodeSubject],
) -> CodeSubject:
    """The subject ``of`` a forward pass, with data that backward reads around it bound to what forward is given.

    So where backward reads the very arrays that are given, which it would have as they were wherever forward is moved
    to; and others of their shapes, or rows that are collected there, where more gradients agree with them than without.
    """
    before = Snapshot(around)
    same = _with_data_bound(f, vjp, around, inputs, of_any_value=False)
    others = None if same is not None else _with_data_bound(f, vjp, around, inputs, of_any_value=True)
    ways = [f if same is None else same, *([] if others is None else [others])]
    ways += _collected_in_rows(f, vjp, around, inputs) if targets is None else ()
    if len(ways) == 1:
        return of(ways[0], inputs)
    found: list[tuple[Agreement, CodeSubject, Snapshot]] = []
    failed: Exception | None = None
    for way in ways:
        before.restore()
        try:
            subject = of(way, inputs)
            agrees = agreement(subject) if subject.make_repeatable() else Agreement(0, 0, 0)
        except (SubjectError, TypeError, ValueError) as error:
            failed = failed or error
            continue
        subject.notes += [note for note in [getattr(way, "said", "")] if note]
        found.append((agrees, subject, Snapshot(around)))
        if agrees.agreeing == agrees.shaped > 0:
            break
    if not found:
        assert failed is not None
        raise failed
    _, subject, now = max(found, key=lambda one: one[0])
    now.restore()
    return subject


def _with_data_bound(f: Any, vjp: Any, around: Surroundings, inputs: Sequence[Any], *, of_any_value: bool) -> Any:
    """A forward pass that binds its arguments to the names under which backward alone reads the same arrays.

    Else backward would have the data as they were, wherever the input is moved to. None if it reads none of them; with
    ``of_any_value``, of an argument's shape alone.
    """
    bound: list[tuple[str, int]] = []
    forwards, backwards = ([name for part in positional(one) or () for name in part] for one in (f, vjp))
    # What backward is given too it need not read around it: what it reads there is another thing.
    given = [forwards[place : place + 1] or ["x"] for place in range(len(inputs))]
    for name, array in _read_by_backward_alone(f, vjp, around):
        for place, x in enumerate(inputs):
            alike = isinstance(x, np.ndarray) and x.shape == array.shape and x.dtype.kind == "f"
            if alike and given[place][0] not in backwards and (of_any_value or equal(array, x)):
                bound.append((name, place))
                break
    return _binding(f, around, bound) if bound else None


def _collected_in_rows(f: Any, vjp: Any, around: Surroundings, inputs: Sequence[Any]) -> Iterator[Callable[..., Any]]:
    """Forward passes of one sample as those of a batch: rows of all that they return, for a backward pass of a batch.

    So are those of an episode, of which each step is kept, and all steps are stacked under a name that backward reads.
    Where what is returned first is a probability, it is the logit too, by whose gradient such a pass begins.
    """
    x = inputs[0]
    if len(inputs) != 1 or not isinstance(x, np.ndarray) or x.ndim not in (1, 2):
        return
    for name, array in _read_by_backward_alone(f, vjp, around):
        turned = x.ndim == 2 and x.shape[1:] != array.shape[1:]
        if array.ndim == 2 and array.shape[1:] == (x.shape[:1] if turned else x.shape[-1:]):
            yield _of_rows(f, around, name, turned, lambda first: first)
            yield _of_rows(f, around, name, turned, lambda first: np.log(first / (1.0 - first)))


def _of_rows(
    f: Any, around: Surroundings, name: str, turned: bool, of_first: Callable[[Array], Array]
) -> Callable[..., Any]:
    @wraps(f)
    def in_rows(x: Any) -> tuple[Any, ...]:
        rows = np.atleast_2d(x.T if turned else x)
        setattr(around, name, np.array(rows))
        results = [f(row) for row in rows]
        if not isinstance(results[0], tuple):
            raise TypeError("it returns nothing beside its output that could be kept")
        first, *others = ([np.atleast_1d(part) for part in parts] for parts in zip(*results, strict=True))
        return of_first(np.vstack(first)), *map(np.vstack, others)

    as_logit = " as its logit" if of_first(np.array(0.25)) != 0.25 else ""
    return _saying(
        f"backward reads {name}, in which samples are collected: it is given those of forward{as_logit}", in_rows
    )


def _read_by_backward_alone(f: Any, vjp: Any, around: Surroundings) -> Iterator[tuple[str, Array]]:
    own = vars(Surroundings(f)) if vjp is not None else vars(around)
    for name, value in vars(around).items():
        if name not in own and isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu":
            yield name, value


def _binding(f: Any, around: Surroundings, bound: Sequence[tuple[str, int]]) -> Callable[..., Any]:
    signature = signatures.signature(f)

    @wraps(f)
    def with_data(*arguments: Any, **named: Any) -> Any:
        values = list(signature.bind(*arguments, **named).arguments.values())
        for name, place in bound:
            setattr(around, name, np.array(values[place]))
        return f(*arguments, **named)

    return _saying(
        f"backward reads {', '.join(name for name, _ in bound)} around it: it is given what forward is", with_data
    )


def _saying(note: str, function: Any) -> Any:
    function.said = note
    return function


def of_surroundings(
    f: Any, vjp: Any, inputs: Sequence[Any], targets: Any, around: Surroundings, hints: Hints
) -> CodeSubject:
    """Functions with the arrays around them as parameters where gradients of these are claimed; else by themselves."""
    before = Snapshot(around)
    used: list[tuple[str, str, int]] = []
    failed: Exception | None = None
    widen(around)
    subject: CodeSubject | None = None
    try:
        subject = of_passes(f, vjp, inputs, targets, around, hints)
    except (SubjectError, TypeError, ValueError) as error:
        failed = error
    else:
        used = subject.unchecked
    if subject is None or not subject.parameter_places:
        before.restore()
        widen(around)
        subject = None if vjp is not None else of_steps(f, inputs, targets, around, hints)
    if subject is None:
        before.restore()
    agrees = False
    if subject is not None:
        found = agreement(subject)
        agrees = found.agreeing == found.shaped > 0
        if subject.names_tell_parameters or (agrees and subject.input in claimed_in_shape(subject)[1]):
            lost = [name for name, kind, _ in subject.unchecked if kind in ("unchecked", "unclaimed")]
            if lost and not any(map(is_learned, lost)):
                subject.take_arguments_for_data()  # as advantages beside weights that are names of the module
            return subject
    try:
        alone = of_passes(f, vjp, inputs, targets, None, hints)
        # Of log_prob(theta), minus the gradient by theta is that by the mean around it.
        if subject is not None and agrees and not is_as_large(alone):
            return subject
    except (SubjectError, TypeError, ValueError):
        if subject is not None:
            return subject
        if failed is not None and not any(arrays_of(value) for value in inputs):
            raise failed from None  # without the arrays around there is nothing to differentiate
        raise
    # Shapes alone made arrays around parameters: they are where what is returned is not that of all the inputs.
    if subject is not None and not (alone.leaves_nothing_returned and agreement(alone).shaped == len(alone.arrays)):
        return subject
    before.restore()
    known = [name for name, _, _ in alone.unchecked]
    alone.unchecked += [one for one in used if one[0] not in known and one[0] not in alone.arrays]
    alone.take_for_granted()
    return alone
