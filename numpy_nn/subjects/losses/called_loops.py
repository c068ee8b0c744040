"""What calls another to train, as ``main(X, y)`` and a trainer's ``train(X, y)`` may: judged is one step of that."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.one_round import quiet
from numpy_nn.subjects.calls.owners import made_ours
from numpy_nn.subjects.losses.bound_fits import or_instead
from numpy_nn.subjects.losses.given_networks import as_method_of_network
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.source.loops import loop_of_training
from numpy_nn.subjects.source.recompiled import recompiled, with_code
from numpy_nn.subjects.source.surroundings import bare
from numpy_nn.subjects.state import of_installed, referred_to
from numpy_nn.subjects.subject import Subject
from numpy_nn.subjects.undone import undone

# How many calls may lie between what is handed over and the loop.
_CALLS = 3

# By which name a function tells that it is called.
_TOLD = "_call_that_trains"

OfObject = Callable[[Any, Sequence[Any], Any], Subject]
OfFunction = Callable[[Any, Sequence[Any]], Subject]


class Call(NamedTuple):
    """A function, or a method of an object, and all that it is given."""

    function: Callable[..., Any]
    given: tuple[Any, ...]

    @property
    def data(self) -> list[Any]:
        """The arrays among what it is given, and the lists."""
        return [one for one in self.given if isinstance(one, (np.ndarray, list))]


class _Called(BaseException):
    """Raised where the call is made that was looked for."""


def of_a_call_or(
    function: Any, given: Sequence[Any], others: Callable[[], Subject], of_object: OfObject, of_function: OfFunction
) -> Subject:
    """The subject of the call by which a function trains, or what ``others`` gives of the function itself.

    That is meant where gradients which it returns are right, as of a loss for which something is iterated; or where
    those of the call are not, and it has gradients.
    """
    call = call_that_trains(function, given)
    if call is None:
        return others()
    by_the_call = partial(_of_call, call, function.__name__, of_object, of_function)
    return or_instead(function, others, by_the_call, where_none_agrees=True)


def of_a_trainer(target: Any, given: Sequence[Any], of_object: OfObject, of_function: OfFunction) -> Subject | None:
    """The subject of the call by which an object without a backward pass trains; None of any other object."""
    if names.passes(target)[1] is not None or names.method(target, names.LOSS_GRADIENTS) is not None:
        return None
    found = (names.method(target, [name]) for name in (*names.TRAINS, *names.FITS))
    for train in (one for one in found if inspect.ismethod(one)):
        if (call := call_that_trains(train, given)) is not None:
            return _of_call(call, f"{type(target).__name__}.{train.__name__}", of_object, of_function)
    return None


def _of_call(call: Call, by: str, of_object: OfObject, of_function: OfFunction) -> Subject:
    owner = getattr(call.function, "__self__", None)
    trained = as_method_of_network(call.function, call.given) if owner is None else None
    if trained is not None:
        subject = of_object(trained.network, trained.data[:-1], trained.data[-1])
    elif owner is not None:
        subject = of_object(made_ours(owner), call.data[:-1], call.data[-1])
    else:
        subject = of_function(call.function, call.given)
    subject.notes.append(f"{by} calls {call.function.__name__}, which trains: judged is one step of that")
    return subject


def call_that_trains(function: Any, given: Sequence[Any]) -> Call | None:
    """The first call to which a function leads of one that has a loop of training, and is given data and targets.

    None where it has such a loop itself, or a method of its object has. What it does up to the call is undone.
    """
    own, owner = signatures.unwrapped(bare(function)), getattr(function, "__self__", None)
    if not inspect.isfunction(own) or loop_of_training(function) is not None:
        return None
    looping = [one for one in _called_by(own, [owner, *given]) if _is_looping(one)]
    found: list[Call] = []

    def told(place: int, local: dict[str, Any]) -> None:
        one = looping[place]
        values = tuple(local[name] for name in inspect.signature(one).parameters)
        is_method = bool(values) and one in _own(getattr(type(values[0]), one.__name__, None))
        call = Call(getattr(values[0], one.__name__), values[1:]) if is_method else Call(one, values)
        if len(call.data) > 1 and not (is_method and values[0] is owner):
            found.append(call)
            raise _Called

    try:
        with (
            undone(function if owner is None else owner, *given, drawing=function),
            Running(own.__name__, Patience()),
            suppress(_Called),
            _telling(looping, told),
        ):
            if looping:
                quiet(function)(*map(copied, given))
    except SubjectError:
        return None
    return found[0] if found else None


def _is_looping(function: FunctionType) -> bool:
    loop = loop_of_training(function)
    return loop is not None and inspect.unwrap(loop.within) is function


def _called_by(function: FunctionType, known: Sequence[Any]) -> list[FunctionType]:
    """The user's functions to which this one may lead, by a name that they have there, the nearest first."""
    found: list[FunctionType] = [function]
    begun = 0
    for _ in range(_CALLS):
        begun, these = len(found), found[begun:]
        for one in these:
            found += [other for other in dict.fromkeys(_named_in(one, known)) if other not in found]
    return found[1:]


def _named_in(function: FunctionType, known: Sequence[Any]) -> Iterator[FunctionType]:
    """Functions of its module, of other modules of the user's, and of the classes of what it knows."""
    called, around = function.__code__.co_names, referred_to(function)
    held = [one for thing in known for one in (thing, *attributes(thing).values())]
    kinds = [one if isinstance(one, type) else type(one) for one in (*around, *held)]
    for one in around:
        yield from _own(one)
    for name in called:
        for module in (one for one in around if isinstance(one, ModuleType)):
            yield from _own(getattr(module, name, None))
        for kind in dict.fromkeys(base for one in kinds for base in one.__mro__):
            if not of_installed(kind):
                yield from _own(vars(kind).get(name))


def _own(thing: Any) -> Iterator[FunctionType]:
    one = signatures.unwrapped(thing) if inspect.isfunction(thing) else None
    if inspect.isfunction(one) and not of_installed(one):
        yield one


@contextmanager
def _telling(functions: Sequence[FunctionType], told: Callable[[int, dict[str, Any]], None]) -> Iterator[None]:
    """In the block each of these calls ``told`` first, with its place among them and what it is given, by name."""
    around = [one.__globals__ for one in functions]
    with ExitStack() as stack:
        for place, one in enumerate(functions):

            def change(tree: ast.FunctionDef, place: int = place) -> ast.AST:
                local = ast.Call(ast.Name("locals", ast.Load()), [], [])
                call = ast.Call(ast.Name(_TOLD, ast.Load()), [ast.Constant(place), local], [])
                tree.body.insert(0, ast.Expr(call))
                return tree

            if (code := recompiled(one, change)) is not None:
                stack.enter_context(with_code(one, code))
        try:
            for each in around:
                each[_TOLD] = told
            yield
        finally:
            for each in around:
                each.pop(_TOLD, None)
