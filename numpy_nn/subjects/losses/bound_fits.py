"""Methods that train, handed over by themselves, as ``check_gradients(net.fit, X, y)``: the object that trains so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.calls.rates import is_called_as_training
from numpy_nn.subjects.losses.given_networks import as_method_of_network
from numpy_nn.subjects.losses.training import step_of_training
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.running import SubjectError
from numpy_nn.subjects.source.loops import loop_of_training
from numpy_nn.subjects.source.roles import is_of_validation
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.subject import Subject


def of_a_fit_or(
    function: Any,
    given: Sequence[Any],
    others: Callable[[], Subject],
    of_object: Callable[[Any, Sequence[Any]], Subject],
) -> Subject:
    """What ``others`` gives; where they refuse a method that trains, the object, if it is judged by that method.

    That is itself, or one that it calls for each step. So it is too where what it moves in a whole training, be that in
    a loop of its own or in another's, is no gradient of the loss that it returns, or of the history. Settings beside
    the data, as in ``fit(X, y, epochs)``, are its own then, as those of a function that makes a step of a network which
    it is given.
    """
    owner, called = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if len(given) < 2 or (owner is not None and not is_called_as_training(function)):
        return others()

    def of_network(step: Any, network: Sequence[Any]) -> Subject | None:
        in_a_loop = loop_of_training(step) is not None
        trained = as_method_of_network(step, (*network, *given), in_a_loop=in_a_loop)
        return None if trained is None else of_object(trained.network, trained.data)

    if owner is None:
        before = Snapshot(function)
        try:
            return others()
        except (TypeError, ValueError):
            before.restore()
            with suppress(SubjectError, TypeError, ValueError):
                if (found := of_network(function, [])) is not None:
                    return found
            raise

    def object_judged_by_it() -> Subject | None:
        data = _without_validation(function, given)
        step = step_of_training(owner, data) if all(isinstance(one, (np.ndarray, list)) for one in data) else None
        if step is not None and step.__name__ in (called, *function.__func__.__code__.co_names):
            return of_object(owner, data)
        return of_network(function.__func__, [owner])

    is_whole = loop_of_training(function) is not None or names.plain(called) in names.FITS
    found = or_instead(function, others, object_judged_by_it, where_none_agrees=is_whole)
    if is_whole and isinstance(found, CodeSubject) and not (found.parameter_places or agreement(found).agreeing):
        raise TypeError(
            f"target: what {called} of {type(owner).__name__} returns are the gradients of none of its arguments, as a "
            "history of losses is, and of no known loss are those by which it moves: check one step, as a method "
            "train_step(x, y) of its own, or pass loss=, a function loss(output, targets) that returns a number"
        )
    return found


def _without_validation(function: Any, given: Sequence[Any]) -> list[Any]:
    """What a function is given, but for the data by which it is seen how well a network does."""
    required, optional = signatures.positional(function) or ([], [])
    called = zip_longest([*required, *optional][: len(given)], given, fillvalue="")
    return [one for name, one in called if not is_of_validation(name)]


def or_instead(
    thing: Any, others: Callable[[], Subject], instead: Callable[[], Subject | None], *, where_none_agrees: bool
) -> Subject:
    """What ``others`` gives, or where they refuse what is found ``instead``, if that is anything.

    Also ``where_none_agrees`` of its gradients. What they change in a thing is undone between them. The error of what
    was tried last where both refuse.
    """
    before = Snapshot(thing)
    other: Subject | None = None
    refused: Exception | None = None
    try:
        other = others()
        if not where_none_agrees or not isinstance(other, CodeSubject) or agreement(other).agreeing:
            return other
    except (SubjectError, TypeError, ValueError) as error:
        refused = error
    before.restore()
    try:
        found = instead()
    except (SubjectError, TypeError, ValueError) as error:
        found, refused = None, error
    if found is not None:
        return found
    if other is None:
        assert refused is not None
        raise refused
    return other
