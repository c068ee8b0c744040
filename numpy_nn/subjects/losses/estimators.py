"""Objects as scikit-learn's estimators, with ``fit`` and ``predict``: they make their weights and go on by themselves.

Judged is the first round of the loop in which they train, by a loss of what they compute before they decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import CLOSELY, agreement
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.arrays.places import places, put_random
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.calls.decisions import before_deciding, decides, unwatched
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.one_round import GradientNotFound, OneRound
from numpy_nn.subjects.losses.training import own_loop, runs, step_of_training, steps_of_training
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.running import Patience, Running
from numpy_nn.subjects.state import Restorer, Snapshot, equal, generators_from, restorer
from numpy_nn.subjects.subject import SubjectError


def make_by_training(target: Any, inputs: Sequence[Any], targets: Any) -> None:
    """Have an object make its parameters, if it does so where it begins to train; else leave it as it is.

    TypeError, with what would make it checkable, where these are names of its method alone until that ends.
    """
    forward = names.passes(target)[0]
    given = inputs if targets is None else (*inputs, targets)
    if forward is None and targets is None:
        return
    if forward is not None and runs(target, forward, inputs):
        return
    before, held = Snapshot(target), set(map(str, places(target)))

    def trained(train: Callable[..., Any], restorers: Iterable[Restorer]) -> dict[str, NDArray[Any]]:
        for restore in restorers:
            restore()
        with Running(type(target).__name__, Patience()):
            train(*map(copied, given))
        return {str(place): np.array(place.read()) for place in places(target) if str(place) not in held}

    for train in steps_of_training(target, len(given)):
        restorers = [restorer(generator) for generator in generators_from(train)]
        try:
            first = trained(train, restorers)
            made = Snapshot(target)
            put_random(target, only=list(first))
            second = trained(train, restorers) if first else {}
            made.restore()
        except SubjectError as error:
            if isinstance(error.__cause__, GradientNotFound):
                raise error.__cause__ from None
            before.restore()
            continue
        if not first or (forward is None and own_loop(train) is None):
            before.restore()  # it has all that it needs, as a step that makes a velocity
            return
        if own_loop(train) is not None and all(equal(array, second.get(name)) for name, array in first.items()):
            raise TypeError(
                f"target: {train.__name__} of {type(target).__name__} begins anew from weights that it has in names of "
                "its own until it ends: keep them in attributes before its loop, or check one step, as a method "
                "train_step(x, y) of its own, or a function (loss, gradients) of data and weights"
            )
        return


def of_rows(target: Any, forward: Callable[..., Any] | None, inputs: Sequence[Any], targets: Any) -> Any:
    """A forward pass that takes one sample, of an object that trains with several, as one of them all; or as it is.

    It has another number of outputs than there are targets, or fails, and has one of the shape of a target for each; an
    array of one number counts for a number.
    """
    y = np.asarray(targets)
    train = step_of_training(target, (*inputs, targets))
    if forward is None or train is None or not all(np.shape(one)[:1] == y.shape[:1] != () for one in inputs):
        return forward
    before = Snapshot(target)

    def each(*arrays: Any) -> NDArray[Any]:
        made = np.array([forward(*row) for row in zip(*arrays, strict=True)])
        return made[..., 0] if made.shape == (*y.shape, 1) else made

    def shape(of: Callable[..., Any]) -> tuple[int, ...] | None:
        try:
            with Running(type(target).__name__, Patience()):
                return np.shape(of(*map(copied, inputs)))
        except (SubjectError, ValueError):
            return None
        finally:
            before.restore()

    whole = shape(forward)
    if whole is not None and (whole[:1] == y.shape[:1] or whole[-1:] == y.shape[:1]):
        return forward
    return Dressed(each, signatures.signature(forward)) if shape(each) == y.shape else forward


def prepared(target: Any, forward: Callable[..., Any] | None, inputs: Sequence[Any], targets: Any) -> Any:
    """A forward pass of an object that makes something of its data before it trains, as their mean, which makes it too.

    So a step at other data and the loss there are of the same. Any other pass is given back as it is.
    """
    loop = own_loop(step_of_training(target, (*inputs, targets)))
    if forward is None or loop is None or not takes(forward, len(inputs)) or not loop.prepares((*inputs, targets)):
        return forward
    return _Prepared(loop, forward, targets)


class _Prepared(Dressed):
    def __init__(self, loop: OneRound, forward: Callable[..., Any], targets: Any) -> None:
        super().__init__(self._with_data, signatures.signature(forward))
        self.func, self._loop, self._targets = forward, loop, targets

    def _with_data(self, *arguments: Any) -> Any:
        rows = np.arange(len(arguments[0])) % len(self._targets)
        with unwatched():
            self._loop.prepare(*map(copied, arguments), self._targets[rows])
        return self.func(*arguments)


def of_decisions(
    target: Any,
    forward: Callable[..., Any] | None,
    inputs: Sequence[Any],
    of: Callable[[Callable[..., Any] | None], CodeSubject],
) -> CodeSubject:
    """The subject ``of`` a forward pass; of one that decides, as by a threshold, that of what it computes before.

    Where the gradients are not those of a loss of the array by which it decides, but of an earlier one, nothing is
    decided.
    """
    if forward is None or not takes(forward, len(inputs)) or not decides(target, forward, inputs):
        return of(forward)
    name = getattr(forward, "__name__", "predict")
    first: tuple[str, CodeSubject, Snapshot] | None = None
    failed: Exception | None = None
    before, latest = Snapshot(target), ""
    for words, computes in before_deciding(target, forward, inputs):
        before.restore()
        latest = latest or words
        try:
            subject = of(computes)
            found = agreement(subject)
        except (SubjectError, TypeError, ValueError) as error:
            failed = failed or error
            continue
        if subject.chain is not None:
            subject.notes.append(f"{name} decides: the loss is of {words}, which it computes before that")
        if found.agreeing == found.shaped and found.digits == CLOSELY:
            if words != latest:
                subject.complain(
                    f"these are gradients of a loss of {words}, and not of {latest}, by which {name} decides: if that "
                    "is the output, they are wrong"
                )
            return subject
        first = first or (words, subject, Snapshot(target))
        if found.agreeing:
            break
    if first is not None:
        first[2].restore()
        return first[1]
    before.restore()
    if failed is not None:
        raise failed
    return of(forward)


def said_of_rounds(target: Any, subject: CodeSubject, given: Sequence[Any]) -> Iterator[str]:
    """A line on which round is judged, where gradients are the steps of a method with a loop of its own."""
    train = step_of_training(target, given)
    if train is not None and own_loop(train) is not None and subject.updates_in_backward is not None:
        yield f"{train.__name__} makes as many steps as it likes: judged is the first round of its loop"
