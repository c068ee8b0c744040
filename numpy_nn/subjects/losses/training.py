"""The methods by which objects train: which they are, and one step of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.arrays.places import places
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.dressing import Dressed, given_by_name
from numpy_nn.subjects.calls.one_round import OneRound, quiet
from numpy_nn.subjects.calls.rates import rates_in
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.loops import OF_STEPS, loop_of_training, steps_to_make
from numpy_nn.subjects.source.returned import names_by_place
from numpy_nn.subjects.source.roles import is_data, is_of_validation
from numpy_nn.subjects.state import Snapshot
from numpy_nn.subjects.undone import undone


def step_of_training(target: Any, given: Sequence[Any]) -> Callable[..., Any] | None:
    """The first of :func:`steps_of_training` that takes these data and targets; the first of all if none does.

    A method ``step(x, t)`` may want targets that ``fit(x, labels)`` makes of labels.
    """
    found = list(steps_of_training(target, len(given)))
    return next((step for step in found if len(found) > 1 and runs(target, step, given)), found[0] if found else None)


def own_loop(step: Any) -> OneRound | None:
    """The one with a loop of its own that a step of training is, however it is dressed; None where it has none."""
    while step is not None and not isinstance(step, OneRound):
        step = getattr(step, "func", None)
    return step


def with_gradients_beside_its_loss(step: Callable[..., Any], given: Sequence[Any]) -> Callable[..., Any] | None:
    """A step that does not tell its gradients, as one that moves nothing and returns its loss and those that it keeps.

    None for any other step.
    """
    loop = own_loop(step)
    if loop is None or not loop.adapts(given):
        return None

    def told(*arguments: Any) -> tuple[Any, dict[str, Any]]:
        before = Snapshot(loop.owner)
        loss = step(*arguments)
        gradients = {name: getattr(loop.owner, name) for name in sorted(loop.kept)}
        before.restore()
        return loss, gradients

    told.__name__ = getattr(step, "__name__", "fit")
    dressed = Dressed(told, signatures.signature(step))
    dressed.func = step
    return dressed


def without_its_loss(step: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """A step with a loop of its own, or that returns its loss, as one that returns nothing; any other as it is.

    Where there is a loss it may be taken for a gradient, as one of each sample may.
    """
    if step is None or not (own_loop(step) is not None or _returns_its_loss(step)):
        return step

    def silent(*arguments: Any, **named: Any) -> None:
        step(*arguments, **named)

    silent.__name__ = getattr(step, "__name__", "fit")
    dressed = Dressed(silent, signatures.signature(step))
    dressed.func = step
    return dressed


def _returns_its_loss(step: Callable[..., Any]) -> bool:
    """Whether the source calls the one thing that a step returns a loss."""
    returned = names_by_place(step)
    return list(returned) == [()] and names.is_loss(returned[()])


def runs(target: Any, method: Callable[..., Any], given: Sequence[Any]) -> bool:
    """Whether an object's method takes this and raises nothing; the object is then as it was."""
    try:
        with undone(target, drawing=method), Running(type(target).__name__, Patience()):
            quiet(method)(*map(copied, given))
    except SubjectError:
        return False
    return True


def forward_of_held_network(trainer: Any) -> Callable[..., Any] | None:
    """The forward pass of the one object that a trainer holds which has both passes and arrays; None without one.

    A loss may keep arrays as well; it takes targets.
    """
    found = []
    for held in attributes(trainer).values():
        forward, backward = names.passes(held) if hasattr(held, "__dict__") else (None, None)
        own = ((None if forward is None else positional(forward)) or ([], []))[0]
        if backward is not None and len(own) == 1 and any(places(held, whole=True, kinds="f")):
            found.append(forward)
    return found[0] if len(found) == 1 else None


def steps_of_training(target: Any, number: int) -> Iterator[Callable[..., Any]]:
    """The methods that take data and targets and update, as ``train_step(x, y, lr)``, and go through all by themselves.

    One that is told how many steps to make, as by ``epochs``, makes a single one; and so does one that has a loop of so
    many in it.
    """
    for found in filter(None, (names.method(target, [name]) for name in (*names.TRAINS, *names.FITS))):
        required, optional = positional(found) or ([], [])
        counts = [name for name in (*required, *optional) if OF_STEPS.search(name)]
        loop = loop_of_training(found)
        if not counts and loop is None and names.plain(found.__name__) in names.FITS:
            continue  # it makes as many as it likes
        rates = rates_in([*required, *optional])
        train = OneRound(found, loop) if loop is not None else quiet(found) if counts else found
        required, optional = positional(train) or ([], [])
        wanted = [name for name in required if name not in (*rates, *counts)]
        if len(wanted) < number and (more := _data_by_default(train)):
            wanted += more
            train = _given_its_data(train, more)
        others = [name for name in wanted if is_of_validation(name)] if len(wanted) > number else []
        wanted = [name for name in wanted if name not in others] + others
        others = others if len(others) in (1, number) else []
        if len(wanted) - len(others) == number:
            told = steps_to_make(counts) if loop is not None else dict.fromkeys(counts, 1)
            train = given_by_name(train, told) if counts else train
            train = _called_by_roles(train, wanted[:number], names.passes(target)[0])
            yield _validated_by_the_same(train, wanted[:number], others) if others else train


def _data_by_default(step: Callable[..., Any]) -> list[str]:
    """The arguments that are data or targets, and None by default, as in ``train(self, lr=0.1, input=None)``."""
    own = signatures.signature(step).parameters.items()
    unset = [name for name, one in own if one.default is None]
    return [name for name in unset if is_data(name) or names.role_in_loss(name) == names.TARGET]


def _given_its_data(step: Callable[..., Any], data: Sequence[str]) -> Dressed:
    """A step that has its data by default as one that wants them, before what else is so."""
    own = signatures.signature(step)
    wanted = [one.replace(default=one.empty) if name in data else one for name, one in own.parameters.items()]
    own = own.replace(parameters=sorted(wanted, key=lambda one: (one.kind, one.default is not one.empty)))

    def with_data(*arguments: Any, **named: Any) -> Any:
        return step(**own.bind(*arguments, **named).arguments)

    with_data.__name__ = getattr(step, "__name__", "train")
    dressed = Dressed(with_data, own)
    dressed.func = step
    return dressed


def _called_by_roles(step: Callable[..., Any], wanted: Sequence[str], forward: Any) -> Callable[..., Any]:
    """A step of training whose arguments' names tell no target: the last are the targets, others as forward's are."""
    own = ((None if forward is None else positional(forward)) or ([], []))[0]
    if not own or len(own) != len(wanted) - 1 or any(names.role_in_loss(name) == names.TARGET for name in wanted):
        return step
    called = dict(zip(wanted, [*own, "targets"], strict=True))
    signature = signatures.signature(step)
    parameters = [one.replace(name=called.get(name, name)) for name, one in signature.parameters.items()]
    if len({one.name for one in parameters}) < len(parameters):
        return step
    back = {other: name for name, other in called.items()}

    def by_role(*arguments: Any, **named: Any) -> Any:
        return step(*arguments, **{back.get(name, name): value for name, value in named.items()})

    by_role.__name__ = getattr(step, "__name__", "train")
    dressed = Dressed(by_role, signature.replace(parameters=parameters))
    dressed.func = step  # whose source tells what it returns
    return dressed


def _validated_by_the_same(train: Callable[..., Any], given: Sequence[str], others: Sequence[str]) -> Dressed:
    """A method that wants data for validation too, each by itself or in a tuple, as one that gets the same for both."""
    own = signatures.signature(train)
    rest = own.replace(parameters=[one for name, one in own.parameters.items() if name not in others])

    def with_both(*arguments: Any, **named: Any) -> Any:
        values = rest.bind(*arguments, **named).arguments
        same = [values[name] for name in given]
        validating = same if len(others) == len(same) else [tuple(same)]
        return train(**values, **dict(zip(others, validating, strict=True)))

    with_both.__name__ = getattr(train, "__name__", "fit")
    dressed = Dressed(with_both, rest)
    dressed.func = train
    return dressed
