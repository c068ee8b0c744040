"""Functions that train by weights which are names of their own: ``train(X, y, lr, epochs)``, ``build_model(3)``.

Judged is the first round of their loop, from any weights: that of the function written anew from its source, in which
the round begins with the weights that it is given, and is the last.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.arrays.alike import (
    are_alike,
    are_equal,
    elsewhere,
    flat,
    in_floats,
    is_moved,
    is_number,
    is_of_numbers,
    off_constants,
)
from numpy_nn.subjects.arrays.nested import copied, is_container, mapped
from numpy_nn.subjects.arrays.places import last_name, places
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.one_round import quiet
from numpy_nn.subjects.calls.rates import rates_in
from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.losses.losses_around import as_a_loss, losses_around
from numpy_nn.subjects.losses.unsaid_rounds import by_a_usual_loss
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.passes import of_passes, of_steps
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source import roles
from numpy_nn.subjects.source.loops import OF_STEPS, Loop, loop_of_training
from numpy_nn.subjects.source.roles import is_of_validation
from numpy_nn.subjects.source.rounds import BEGIN, END, WITHIN, number_of_loops, written_anew
from numpy_nn.subjects.source.surroundings import bare
from numpy_nn.subjects.state import Snapshot, equal
from numpy_nn.subjects.undone import undone

# How far weights are moved to see whether a loss depends on them: those of hinges may cancel nearby.
SIZES = 0.1, 1.0, 10.0

# The rate of a function that wants one and is given none.
RATE = 0.1

_OF_LOSSES = re.compile(r"loss|cost|objective|(^|_)(j|nll)$")


class Weights(SimpleNamespace):
    """The weights that a function has, under its names, and its learning rate."""


def own_names_or(
    f: Any, vjp: Any, inputs: Sequence[Any], targets: Any, hints: Hints, others: Callable[[], CodeSubject]
) -> CodeSubject:
    """The subject of a function that trains by names of its own, alone or beside its loss; or what ``others`` gives.

    That is meant where its gradients are those of what it returns, as of a loss that goes through steps of time.
    """
    train, loss = (f, None) if vjp is None else (vjp, f)
    training = of_own_names(train, loss, inputs, targets, hints)
    if training is None:
        return others()
    before = Snapshot(f, vjp)
    with suppress(SubjectError, TypeError, ValueError):
        other = others()
        found = agreement(other)
        trains = bool(rates_in(signatures.signature(train).parameters))  # what is given a rate moves by it
        is_refused = isinstance(training, TypeError) or not (trains or agreement(training).agreeing)
        if found.agreeing > 0 or (is_refused and found.shaped > 0):
            return other
    before.restore()
    if isinstance(training, TypeError):
        raise training
    return training


def of_own_names(
    f: Any, loss: Any, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject | TypeError | None:
    """The subject of one round of a function that trains by weights of its own; None where it is none such.

    Its loss is ``loss``, of what it has under the names of that's arguments; or else the number of such a name that the
    round computes, or the one loss in its module. An error, with what would make it checkable, where there is none.
    """
    own = signatures.unwrapped(bare(f))
    loop = loop_of_training(own) if inspect.isfunction(own) and not inspect.ismethod(f) else None
    given = _given_to(own, len(inputs) + (targets is not None)) if loop is not None and loop.within is own else None
    if loop is None or given is None or hints.cost is not None:
        return None
    training = _Training(own, loop, given, loss)
    owner = Weights()
    failed = False
    try:
        with undone(drawing=own), Running(own.__name__, Patience()):
            vars(owner).update(training.weights([*inputs, *(() if targets is None else (targets,))]))
    except SubjectError:
        failed = True
    if not training.moved:
        return None
    rest = [one for one, name in zip(inputs, given.parameters, strict=False) if name not in training.moved]
    subject = None if failed else _of_a_round(training, owner, rest, targets, hints)
    if subject is None or not subject.parameter_places:
        told = ""
        if loss is None and (ends := training.ends([*inputs, *(() if targets is None else (targets,))])):

            def of_loss(usual: Any) -> CodeSubject | TypeError | None:
                return of_own_names(f, usual, inputs, targets, hints)

            data = [name for name in given.parameters if name not in training.moved]
            judged = by_a_usual_loss(ends, of_loss, (data or list(given.parameters))[-1])
            if isinstance(judged, CodeSubject):
                return judged
            told = f"; {judged}: they are wrong, or the loss is another" if judged else ""
        moved = ", ".join(training.moved)
        return TypeError(
            f"target: {own.__name__} trains {moved}, which are names of its own, and no loss is found of which its "
            f"steps would be gradients{told}: bind it to a name in the loop, before they are moved, as loss = ..., or "
            f"give a function that computes it of names that {own.__name__} has, "
            f"check_gradients((loss, {own.__name__}), ...)"
        )
    subject.take_arguments_for_data()
    loop_in_words = "the loop in its loop which moves them" if training.is_inner else "its loop"
    subject.notes.append(
        f"the weights of {own.__name__} are names of its own: judged is the first round of {loop_in_words}, from any"
    )
    return subject


def _of_a_round(
    training: _Training, owner: Weights, inputs: Sequence[Any], targets: Any, hints: Hints
) -> CodeSubject | None:
    """The subject of its steps; or, where those hang on more than gradients, of what it calls the gradients."""
    subject = of_steps(training.step_of(owner), inputs, targets, owner, hints)
    if subject is None or not training.keeps_more or not subject.make_repeatable():
        return subject
    found = agreement(subject)
    if found.agreeing == found.shaped:
        return subject
    with suppress(SubjectError, TypeError, ValueError):
        of_gradients = of_passes(training.step_of(owner, of_gradients=True), None, inputs, targets, owner, hints)
        of_gradients.notes.append("steps hang on those before: judged are the gradients that they are made of")
        return of_gradients
    subject.complain("steps hang on those before, so that they are no gradients, and none is found by its name")
    return subject


def _given_to(function: Any, number: int) -> inspect.Signature | None:
    """The signature of so many of its arguments; None if it wants more than a rate and a number of steps."""
    signature = signatures.signature(function)
    own = list(signature.parameters.values())
    missing = [one.name for one in own[number:] if one.default is one.empty]
    if len(own) < number or any(one.kind is not one.POSITIONAL_OR_KEYWORD for one in own):
        return None
    if any(name not in rates_in(missing) and not OF_STEPS.search(name.lower()) for name in missing):
        return None
    return signature.replace(parameters=own[:number])


class _Step(Dressed):
    """A round, with the names of the weights, which it may leave as they are."""

    def __init__(self, step: Callable[..., Any], given: inspect.Signature, learned: Sequence[str]) -> None:
        super().__init__(step, given)
        self.learned = learned


class _Ended(BaseException):
    """Raised where the round ends."""


class _Training:
    """A function that trains by names of its own, as one that makes a round and no more, with what it is given."""

    def __init__(self, function: Any, loop: Loop, given: inspect.Signature, loss: Any) -> None:
        self._function, self._loop, self._given, self._given_loss = function, loop, given, as_a_loss(loss)
        every = signatures.signature(function).parameters.values()
        missing = [one.name for one in every if one.name not in given.parameters and one.default is one.empty]
        self._rest: dict[str, Any] = {name: RATE if name in rates_in(missing) else 1 for name in missing}
        self._round: Callable[..., Any] | None = None
        self._loops, self._losses = number_of_loops(function, loop), losses_around(function)
        self._stored: list[str] = []  # the names that the loop binds, or appends to
        self.is_inner = False
        self.moved: list[str] = []  # the weights
        self.keeps_more = False  # whether it moves more than these, as velocities

    def weights(self, values: Sequence[Any]) -> dict[str, Any]:
        """What a round moves of what there is before it, by name, and the one number that is called a rate.

        Where the round makes several steps, as one after each sample, it is the first of that inner loop instead.
        """
        place, arguments = 0, dict(zip(self._given.parameters, values, strict=True))
        while place < self._loops:
            self._round, self._stored = written_anew(self._function, self._loop, place)
            within: dict[int, list[dict[str, Any]]] = {}
            start, end = self._run(arguments, {}, within)
            moved = [name for name, value in start.items() if name in end and self._trains(name, value, end[name])]
            several = [inner for inner, states in within.items() if _moves_often([*states, end], moved)]
            if not several:
                self.moved, self.is_inner = moved, place > 0
                counting = self._those_that_count(arguments, place, {name: in_floats(start[name]) for name in moved})
                self.moved, self.keeps_more = counting, len(counting) < len(moved)
                self._round, self._stored = written_anew(self._function, self._loop, place, counting)
                rates = [end[name] for name in rates_in(map(str, end)) if type(end[name]) is float]
                rates = rates or list(_rates_by_default(self._function))
                self._rest |= {name: value for name, value in arguments.items() if name in counting}
                own = [one for name, one in self._given.parameters.items() if name not in counting]
                self._given = self._given.replace(parameters=own)
                rng = np.random.default_rng(8)  # from zeros a loss may not depend on a bias, as that of hinges
                begun = {name: off_constants(in_floats(start[name]), rng) for name in counting}
                return begun | dict(zip(["learning_rate"], rates if len(rates) == 1 else [], strict=False))
            place = min(several)
        return {}

    def _trains(self, name: str, start: Any, end: Any) -> bool:
        """Whether a round moves this; or binds it anew, as a bias that happens to have no step at these data.

        Losses, states that are carried on, and data that are shuffled are no weights.
        """
        if _OF_LOSSES.search(names.plain(name)) or roles.is_state(name) or roles.is_buffer(name):
            return False
        if not are_alike(start, end) or (not is_moved(start, end) and name not in self._stored):
            return False
        before, after = flat(start), flat(end)
        is_shuffled = all(
            np.ndim(a) and equal(np.sort(a, None), np.sort(b, None)) for a, b in zip(before, after, strict=True)
        )
        return not (is_shuffled and is_moved(start, end))

    def ends(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        """What there is where a round ends that begins with the function's weights, and with others; or nothing."""
        arguments = dict(zip(self._given.parameters, values, strict=True))
        rng = np.random.default_rng(6)
        with suppress(SubjectError), Running(self._function.__name__, Patience()):
            self._round, self._stored = written_anew(self._function, self._loop, 0)
            start, end = self._run(arguments, {})
            held = {name: elsewhere(in_floats(start[name]), rng, SIZES[0]) for name in self.moved}
            self._round, self._stored = written_anew(self._function, self._loop, 0, self.moved)
            return [end, self._run(arguments, held)[1]]
        return []

    def _those_that_count(self, arguments: Mapping[str, Any], place: int, moved: Mapping[str, Any]) -> list[str]:
        """Those on which the loss depends; a velocity, which only later steps do, begins as the function has it."""
        self._round, self._stored = written_anew(self._function, self._loop, place, list(moved))
        rng = np.random.default_rng(7)
        here = {name: elsewhere(value, rng, SIZES[0]) for name, value in moved.items()}

        def loss(held: Mapping[str, Any]) -> Any:
            return self._loss(self._run(arguments, held)[1], held)

        def counts(name: str) -> bool:
            farther = [{**here, name: elsewhere(here[name], rng, size)} for size in SIZES]
            return any(not equal(value, loss(other)) for other in farther)

        value = loss(here)
        return [name for name in moved if counts(name)]

    def step_of(self, owner: Weights, *, of_gradients: bool = False) -> Callable[..., Any]:
        """A function that makes the round from the weights that ``owner`` has, leaves those after it, and its loss.

        Or that returns the loss and the gradients, by their names in the round. TypeError if one has none.
        """
        given = self._given

        def step(*arguments: Any, **named: Any) -> Any:
            bound = given.bind(*arguments, **named)
            held = {name: vars(owner)[name] for name in self.moved}
            _, end = self._run(bound.arguments, held)
            loss = self._loss(end, held)
            if of_gradients:
                return loss, {name: _gradient_in(end, name) for name in held}
            vars(owner).update({name: in_floats(end[name]) for name in held})
            return loss

        step.__name__ = self._function.__name__
        learned = [str(place) for place in places(owner) if last_name(place.path) != "learning_rate"]
        dressed = _Step(step, given, learned)
        dressed.steps_of = [self._round, *self._losses, self._given_loss]
        return dressed

    def _run(
        self,
        arguments: Mapping[str, Any],
        held: Mapping[str, Any],
        within: dict[int, list[dict[str, Any]]] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What it has where the round begins, if what is held is that, and where the round ends.

        And ``within`` it, where each round of a loop inside begins.
        """
        found: list[dict[str, Any]] = []
        handled = sys.exc_info()[1]  # by whoever tries this after something else has failed

        def begin(local: dict[str, Any]) -> list[Any]:
            found.append(deepcopy({name: value for name, value in local.items() if is_of_numbers(value)}))
            return [deepcopy(value) for value in held.values()]

        def inside(place: int, local: dict[str, Any]) -> None:
            if within is not None and found:
                numbers = {name: value for name, value in local.items() if is_of_numbers(value)}
                within.setdefault(place, []).append(deepcopy(numbers))

        def leave(local: dict[str, Any]) -> None:
            if sys.exc_info()[1] is handled:
                found.append(local)
                raise _Ended

        assert self._round is not None
        with suppress(_Ended):
            given = {name: copied(value) for name, value in {**arguments, **self._rest}.items()}
            quiet(self._round)(**given, **{BEGIN: begin, WITHIN: inside, END: leave})
        if len(found) != 2:
            raise ValueError(f"{self._function.__name__} makes no round")
        return found[0], found[1]

    def _loss(self, end: Mapping[str, Any], held: Mapping[str, Any]) -> Any:
        """The loss that is given, or the number that is called one by the end of a round, or the latest in a list.

        One that a function of the module gives for what there is after the step is asked for that from before it.
        """
        calls = [(one, own) for one in self._losses if (own := _arguments_in(end, one))]
        if self._given_loss is not None and not (calls := [(self._given_loss, _arguments_in(end, self._given_loss))]):
            raise TypeError("the loss wants what the step has not")
        before = [(in_floats(end[name]), value) for name, value in held.items()]
        then = [(one, own, [_as_before(value, before) for value in own]) for one, own in calls]
        called = [name for name in self._stored if name in end and not is_of_validation(name)]
        bound = [name for name in called if _OF_LOSSES.search(names.plain(name))]
        values = {name: end[name] for name in bound if is_number(end[name]) and not isinstance(end[name], int)}
        values = values or {name: end[name][-1] for name in bound if isinstance(end[name], list) and end[name]}
        told = {name: value for name, value in values.items() if names.is_loss(name)} or values
        own_value = next(iter(told.values())) if len({float(value) for value in told.values()}) == 1 else None
        if own_value is None or self._given_loss is not None:
            if len(then) != 1:
                raise TypeError("a step gives no loss")
            return then[0][0](*then[0][2])
        for loss, own, earlier in then:
            value = loss(*own)
            if is_number(value) and equal(float(own_value), float(value)):
                return loss(*earlier)
        return own_value


def _rates_by_default(function: Any) -> Iterator[float]:
    """The learning rates that functions have by default which this one calls, as ``update(parameters, grads)``."""
    for called in map(function.__globals__.get, function.__code__.co_names):
        own = signatures.signature(called).parameters if inspect.isfunction(called) else {}
        yield from (own[name].default for name in rates_in(own) if type(own[name].default) is float)


def _arguments_in(end: Mapping[str, Any], function: Any) -> list[Any]:
    """What a function wants of what there is by the end of a round, by its names; nothing if one is not there."""
    wanted = (positional(function) or ([], []))[0]
    return [end[name] for name in wanted] if all(name in end for name in wanted) else []


def _gradient_in(end: Mapping[str, Any], of: str) -> Any:
    """What a round calls the gradient of this."""
    found = [value for name, value in end.items() if names.is_gradient_of(name, of) > 0.9]
    if len(found) != 1:
        raise TypeError(f"no gradient of {of} is found")
    return found[0]


def _moves_often(states: Sequence[Mapping[str, Any]], moved: Sequence[str]) -> bool:
    """Whether any array among what is moved is other than before in more than one of these states."""
    for name in moved:
        each = [flat(state[name]) for state in states if name in state and is_of_numbers(state[name])]
        if not each or any(len(one) != len(each[0]) for one in each):
            continue
        for arrays in zip(*each, strict=True):
            if sum(not equal(one, other) for one, other in pairwise(arrays)) > 1:
                return True
    return False


def _as_before(value: Any, before: Sequence[tuple[Any, Any]]) -> Any:
    """What a round leaves with the weights that it has moved as they were before it, also within a dict of them."""
    for after, was in before:
        if are_alike(value, after) and are_equal(value, after):
            return deepcopy(was)
    if is_container(value) and is_of_numbers(value):
        return mapped(value, lambda _, part: _as_before(part, before))
    return value
