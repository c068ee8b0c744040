"""Functions that return what they learn moved, as ``params = update(params, x, y, lr)``: judged are their steps."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from types import CodeType
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.agreement import agreement, claimed_in_shape
from numpy_nn.subjects.arrays.alike import are_alike, is_number
from numpy_nn.subjects.arrays.nested import is_container, items, mapped
from numpy_nn.subjects.calls.arguments import named_arguments, takes_targets
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.one_round import quiet
from numpy_nn.subjects.calls.rates import StepsOfArguments, StepsReturned, learned_that_return, rates_in
from numpy_nn.subjects.given_code import Hints
from numpy_nn.subjects.losses.losses_around import losses_around
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.passes import of_passes
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.source.loops import loop_of_training
from numpy_nn.subjects.source.returned import names_by_place
from numpy_nn.subjects.source.surroundings import bare
from numpy_nn.subjects.source.written import numbers_written
from numpy_nn.subjects.state import Snapshot, equal
from numpy_nn.subjects.undone import undone

_NOTE = "returned are new values: the gradient is the step to them, over the rate"
_IN_PLACE = "it moves what it is given: the gradient is the step, over the rate"


class Steps:
    """A function that moves some of its arguments by a rate, in place or by what it returns, with what it is given."""

    def __init__(
        self, function: Callable[..., Any], rate: str, given: inspect.Signature, *, is_around: bool, within: str = ""
    ) -> None:
        self._function, self._rate, self._is_around, self.given = function, rate, is_around, given
        self._within = within  # the argument that holds the rate among settings
        self.moved: list[str] = []
        self.in_place = False
        self.has_loss = False

    def look(self, arguments: Mapping[str, Any]) -> bool:
        """See which of its arguments it moves: those that it leaves, or returns, as they were by a rate of 0 alone."""
        (still, left), (moved, after) = self._run(arguments, 0.0), self._run(arguments, 1.0)
        own = [name for name, value in arguments.items() if _floats(value) and name != self._within]
        if any(not _are_same(left[name], arguments[name]) for name in own):
            return False
        self.moved = [name for name in own if not _are_same(after[name], arguments[name])]
        self.in_place = bool(self.moved)
        if not self.in_place:
            self.moved = list(self._new_values(arguments, still, moved))
        self.has_loss = self._loss_in(still, arguments) is not None
        return bool(self.moved)

    def gradients(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The steps from these values by a rate of 1, turned round, each like the argument that it moves."""
        still = None if self.in_place else self._run(arguments, 0.0)[0]
        moved, after = self._run(arguments, 1.0)
        new = after if self.in_place else self._new_values(arguments, still, moved)
        return {name: _minus(arguments[name], new[name]) for name in self.moved}

    def loss(self, arguments: Mapping[str, Any]) -> Any:
        """The loss that it returns, of the values before the step."""
        return self._loss_in(self._run(arguments, 0.0)[0], arguments)

    def _run(self, arguments: Mapping[str, Any], rate: float) -> tuple[Any, dict[str, Any]]:
        """What it returns, and what its arguments are then."""
        own = deepcopy(dict(arguments))
        if self._within:
            own[self._within] = {**own[self._within], self._rate: rate}
            return quiet(self._function)(**own), own
        if not self._is_around:
            return quiet(self._function)(**own, **{self._rate: rate}), own
        around = signatures.unwrapped(bare(self._function)).__globals__
        kept = around[self._rate]
        try:
            around[self._rate] = rate
            return quiet(self._function)(**own), own
        finally:
            around[self._rate] = kept

    def _new_values(self, arguments: Mapping[str, Any], still: Any, moved: Any) -> dict[str, Any]:
        """The new values among what is returned, by the argument which the same is by a rate of 0."""
        found: dict[str, Any] = {}
        for here, there in [(still, moved), *zip(_parts(still), _parts(moved), strict=False)]:
            for name, value in arguments.items():
                if name not in found and _floats(value) and _are_same(here, value) and not _are_same(there, value):
                    found[name] = there
                    break
            if found and here is still:
                break
        return found

    def _loss_in(self, returned: Any, arguments: Mapping[str, Any]) -> Any:
        """What is called a loss of the numbers that it returns by a rate of 0, but for new values, or the first."""
        told = {path[-1].key if path else 0: name for path, name in names_by_place(self._function).items()}
        numbers = [(i, one) for i, one in enumerate(_parts(returned)) if is_number(one) and not isinstance(one, int)]
        numbers = [(i, one) for i, one in numbers if not any(_are_same(one, arguments[name]) for name in self.moved)]
        called = [one for i, one in numbers if names.is_loss(told.get(i, ""))]
        return next(iter(called or [one for _, one in numbers]), None)


class StepsWithoutRate(Steps):
    """The same by a number in the function: the steps are over the ``rate`` that they turn out to have in common."""

    def __init__(self, function: Callable[..., Any], given: inspect.Signature) -> None:
        super().__init__(function, "", given, is_around=False)
        self.rate = 1.0

    def look(self, arguments: Mapping[str, Any]) -> bool:
        """See which containers of its arguments it moves, or returns others like."""
        returned, after = self._run(arguments, 0.0)
        own = [name for name, value in arguments.items() if is_container(value) and _floats(value)]
        self.moved = [name for name in own if not _are_same(after[name], arguments[name])]
        self.in_place = bool(self.moved)
        self.moved = self.moved or list(self._new_values({name: arguments[name] for name in own}, returned, returned))
        self.has_loss = self._loss_in(returned, arguments) is not None
        return bool(self.moved)

    def gradients(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The steps over the rate, turned round."""
        moved, after = self._run(arguments, 0.0)
        new = after if self.in_place else self._new_values(arguments, moved, moved)
        return {name: _minus(arguments[name], new[name], self.rate) for name in self.moved}

    def _run(self, arguments: Mapping[str, Any], rate: float) -> tuple[Any, dict[str, Any]]:
        del rate
        own = deepcopy(dict(arguments))
        return quiet(self._function)(**own), own

    def _new_values(self, arguments: Mapping[str, Any], still: Any, moved: Any) -> dict[str, Any]:
        """The first that is returned of the same keys and shapes as each argument has."""
        del still
        found: dict[str, Any] = {}
        for name, value in arguments.items():
            for one in (moved, *_parts(moved)) if is_container(value) else ():
                if are_alike(value, one) and not _are_same(value, one):
                    found.setdefault(name, one)
        return found


def steps_of(function: Any, handed: Sequence[Any]) -> Steps | None:
    """What a function does that takes a rate and moves what it is given with the data; None of any other.

    ``handed`` is what is given, with the rate in its place or without.
    """
    own = signatures.unwrapped(bare(function))
    spec = signatures.positional(function)
    if not inspect.isfunction(own) or spec is None or loop_of_training(function) is not None:
        return None
    wanted = [*spec[0], *spec[1]]
    rates = rates_in(wanted)
    settings = {} if rates else _rates_among_settings(wanted, handed)
    around = [] if rates or settings else _rates_around(own)
    if len(rates or settings or around) != 1 or wanted[:1] == rates:
        return None
    values = list(handed)
    if rates and len(values) > (place := wanted.index(rates[0])) and type(values[place]) is float:
        del values[place]
    rest = [name for name in wanted if name not in rates]
    if len(values) > len(rest) or any(name in spec[0] for name in rest[len(values) :]):
        return None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    given = inspect.Signature([inspect.Parameter(name, kind) for name in rest[: len(values)]])
    within = next(iter(settings), "")
    rate = next(iter([*rates, *settings.values(), *around]))
    steps = Steps(function, rate, given, is_around=not (rates or settings), within=within)
    try:
        with undone(function, drawing=function), Running(own.__name__, Patience()):
            return steps if steps.look(dict(zip(given.parameters, values, strict=True))) else None
    except SubjectError:
        return None


def _rates_among_settings(wanted: Sequence[str], handed: Sequence[Any]) -> dict[str, str]:
    """The arguments that are dicts with one learning rate in them, each with its key."""
    dicts = {name: one for name, one in zip(wanted, handed, strict=False) if isinstance(one, dict)}
    numbers = {name: [key for key, one in held.items() if type(one) is float] for name, held in dicts.items()}
    found = {name: rates_in([key for key in keys if isinstance(key, str)]) for name, keys in numbers.items()}
    return {name: keys[0] for name, keys in found.items() if len(keys) == 1}


def _rates_around(function: Any) -> list[str]:
    """The names of its module that are learning rates, which it or a function that it calls reads."""
    around = function.__globals__
    called = [around.get(name) for name in function.__code__.co_names]
    functions = [one for one in (function, *called) if inspect.isfunction(one) and one.__globals__ is around]
    codes = [one.__code__ for one in functions]
    codes += [one for code in codes for one in code.co_consts if isinstance(one, CodeType)]  # of comprehensions
    found = dict.fromkeys(name for code in codes for name in code.co_names if type(around.get(name)) is float)
    return rates_in(found)


def of_new_values(f: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> CodeSubject | None:
    """The subject of a function that moves what it is given, by the loss that it returns, or by one in its module.

    Or by that of a function there which predicts. TypeError, with what would make it checkable, where there is none.
    """
    handed = [*inputs, *(() if targets is None else (targets,))]
    steps = steps_of(f, handed) if hints.cost is None else None
    if steps is None:
        return None if hints.cost is not None else _by_a_rate_in_common(f, handed, hints)
    own = signatures.unwrapped(bare(f))
    wanted = list(steps.given.parameters)
    values = dict(zip(wanted, _without_rate(handed, len(wanted)), strict=True))
    if steps.has_loss:
        subject = _by_loss(steps, own, steps.loss, values, hints)
    else:
        subject = _by_a_loss_around(steps, own, values, hints) or _by_prediction(steps, own, values, hints)
    subject.take_arguments_for_data()
    subject.notes.append(_IN_PLACE if steps.in_place else _NOTE)
    return subject


def _by_a_rate_in_common(function: Any, handed: Sequence[Any], hints: Hints) -> CodeSubject | None:
    """A function with its loss that moves a dict or a list of arrays by a number in it: over what steps have in common.

    None where what it returns are gradients, as they stand, or steps have nothing in common with these. TypeError where
    the name of what is returned tells that it is moved.
    """
    own, spec = signatures.unwrapped(bare(function)), signatures.positional(function)
    if not inspect.isfunction(own) or spec is None or len(spec[0]) != len(handed) or not any(map(is_container, handed)):
        return None
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    steps = StepsWithoutRate(function, inspect.Signature([inspect.Parameter(name, kind) for name in spec[0]]))
    values = dict(zip(spec[0], handed, strict=True))
    before = Snapshot(function)
    with suppress(SubjectError), Running(own.__name__, Patience()):
        steps.look(values)
    before.restore()
    if not (steps.moved and steps.has_loss) or loop_of_training(function) is not None:
        return None
    with suppress(SubjectError, TypeError, ValueError):
        if not steps.in_place and agreement(of_passes(function, None, list(handed), None, None, hints)).agreeing:
            return None
    with suppress(SubjectError, TypeError, ValueError):
        subject = _by_loss(steps, own, steps.loss, values, hints)
        grad_output, claimed = claimed_in_shape(subject)
        # Where they have nothing in common, one may be wrong: by a number that the code has, another is right.
        written = [one for one in numbers_written(own) if type(one) is float and 0.0 < one < 1.0]
        common = subject.rate_of_given_steps(claimed, grad_output)
        near = [one for one in written if abs(one - common) <= 0.01 * common]  # but for a weight decay
        for rate in dict.fromkeys([*near, common, *written]):
            steps.rate = rate
            if rate and agreement(found := _by_loss(steps, own, steps.loss, values, hints)).agreeing:
                found.notes += [note for note in subject.notes if note not in found.notes]
                found.take_arguments_for_data()
                found.notes.append(_IN_PLACE if steps.in_place else _NOTE)
                return found
    if steps.in_place or any(_is_moved_name(name, steps.moved) for name in names_by_place(own).values()):
        raise TypeError(
            f"target: {own.__name__} moves {', '.join(steps.moved)} by a rate that is not found: give it that as an "
            f"argument, {own.__name__}({', '.join(values)}, lr)"
        )
    return None


def _is_moved_name(name: str, moved: Sequence[str]) -> bool:
    return any(re.fullmatch(rf"((new|updated|next)_?)?{re.escape(one)}(_?(new|updated|next))?", name) for one in moved)


def with_gradients_of_steps(function: Any, forward: Any, inputs: Sequence[Any], targets: Any) -> Any:
    """A function that moves containers of arrays among what forward takes as one that returns their gradients.

    Any other is given back as it is.
    """
    spec = signatures.positional(function) or ([], [])
    own = [*spec[0], *spec[1]]
    if not inspect.isfunction(bare(function)) or not (
        rates_in(own) or _rates_around(signatures.unwrapped(bare(function)))
    ):
        return function
    takes_them = targets is None or takes_targets(forward, len(inputs))
    given = named_arguments(forward, inputs, targets if takes_them else None)
    others = [name for name in spec[0] if name not in given and name not in rates_in(own)]
    if not takes_them and len(others) == 1:
        given[others[0]] = targets
    wanted = [name for name in own if name in given]
    steps = steps_of(function, [given[name] for name in wanted]) if wanted else None
    if steps is None or [*steps.given.parameters] != wanted:
        return function
    in_containers = any(is_container(given[name]) for name in steps.moved)
    if not in_containers and (steps.in_place or learned_that_return(function, own)):
        return function
    kind = StepsOfArguments if steps.in_place else StepsReturned
    return _dressed(function, steps, lambda arguments: kind(steps.gradients(arguments)))


def _without_rate(handed: Sequence[Any], number: int) -> list[Any]:
    return list(handed) if len(handed) == number else [one for one in handed if type(one) is not float]


def _by_loss(
    steps: Steps, function: Any, loss: Callable[[Mapping[str, Any]], Any], values: Mapping[str, Any], hints: Hints
) -> CodeSubject:
    both = _dressed(function, steps, lambda arguments: (loss(arguments), _by_name(steps, arguments)))
    subject = of_passes(both, None, list(values.values()), None, None, hints)
    subject.leave_out_decays(function)
    return subject


def _by_a_loss_around(steps: Steps, function: Any, values: Mapping[str, Any], hints: Hints) -> CodeSubject | None:
    """By the one loss of its module that takes what it is given, by these names, and of which a step is a gradient.

    None without one: what stands there may be another model's, or only be printed.
    """
    found: list[CodeSubject] = []
    for one in losses_around(function):
        own = (signatures.positional(one) or ([], []))[0]
        if not {*steps.moved} <= {*own} <= {*values}:
            continue

        def loss(given: Mapping[str, Any], one: Any = one, own: Sequence[str] = own) -> Any:
            return one(*(given[name] for name in own))

        with suppress(SubjectError, TypeError, ValueError):
            subject = _by_loss(steps, function, loss, values, hints)
            subject.notes.append(f"the loss is that of {one.__name__}")
            found += [subject] if agreement(subject).agreeing else []
    return found[0] if len(found) == 1 else None


def _by_prediction(steps: Steps, function: Any, values: Mapping[str, Any], hints: Hints) -> CodeSubject:
    """By the function of its module that predicts, of which the loss is a usual one, or one in the module."""
    data = [name for name in values if name not in steps.moved]
    called = [name for name in data if names.role_in_loss(name) == names.TARGET] or data[-1:]
    around = {name: one for name, one in function.__globals__.items() if inspect.isfunction(one)}
    predicting = [one for name, one in around.items() if names.plain(name) in names.FORWARDS]
    rest = {name for name in values if name not in called}
    fitting = [one for one in predicting if {*(signatures.positional(one) or ([], []))[0]} == rest]
    back = _dressed(function, steps, lambda arguments: _by_name(steps, arguments))
    for one in fitting if len(called) == len(fitting) == 1 else ():
        own = (signatures.positional(one) or ([], []))[0]
        with suppress(SubjectError, TypeError, ValueError):
            return of_passes(one, back, [values[name] for name in own], values[called[0]], None, hints)
    raise TypeError(
        f"target: {function.__name__} returns {', '.join(steps.moved)} moved, and no loss of which the steps would "
        f"be gradients: have it return its loss too, or give a function that computes it of the same arguments, "
        f"check_gradients((loss, {function.__name__}), ({', '.join(values)}))"
    )


def _by_name(steps: Steps, arguments: Mapping[str, Any]) -> Any:
    """The gradients: of one argument as that is, of several by their names."""
    found = steps.gradients(arguments)
    return next(iter(found.values())) if len(found) == 1 else {f"d{name}": one for name, one in found.items()}


def _dressed(function: Any, steps: Steps, of: Callable[[Mapping[str, Any]], Any]) -> Dressed:
    given = steps.given

    def stepping(*arguments: Any, **named: Any) -> Any:
        return of(given.bind(*arguments, **named).arguments)

    stepping.__name__ = getattr(function, "__name__", "update")
    dressed = Dressed(stepping, given)
    dressed.steps_of = function
    return dressed


def _parts(returned: Any) -> list[Any]:
    return list(returned) if isinstance(returned, (tuple, list)) else [returned]


def _floats(value: Any) -> list[tuple[list[Any], Any]]:
    """The arrays of floats, and the numbers, in an argument, each with its keys."""
    if is_container(value):
        return [([key, *keys], one) for key, part in items(value) for keys, one in _floats(part)]
    is_float = isinstance(value, (float, np.floating)) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")
    return [([], value)] if is_float else []


def _are_same(first: Any, second: Any) -> bool:
    """Whether arrays are equal, or all of those in two containers by the same keys."""
    one, other = _floats(first), _floats(second)
    same = [keys for keys, _ in one] == [keys for keys, _ in other]
    return same and all(equal(value, its) for (_, value), (_, its) in zip(one, other, strict=True))


def _minus(old: Any, new: Any, over: float = 1.0) -> Any:
    """What is between them over a number, in containers like the old ones."""
    if is_container(old):
        parts = dict(items(new))
        return mapped(old, lambda key, part: _minus(part, parts[key], over))
    return (old - new) / over if isinstance(old, (np.ndarray, np.floating, float)) else old
