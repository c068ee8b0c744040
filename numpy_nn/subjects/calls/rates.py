"""The learning rates that code keeps under their usual names."""

from __future__ import annotations

import dis
import inspect
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from itertools import pairwise
from types import CodeType, FunctionType, MethodType, SimpleNamespace
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.source.bindings import bindings
from numpy_nn.subjects.source.returned import names_by_place
from numpy_nn.subjects.source.roles import is_learned
from numpy_nn.subjects.source.surroundings import bare
from numpy_nn.subjects.state import of_installed, reachable

# Where a rate is kept, under which name, and what it is.
Rate = tuple[Any, str, float]

# A name that a dropout's rate has as well.
_OF_ANYTHING = "rate"


def rates_in(arguments: Iterable[str]) -> list[str]:
    """Those that are the learning rate of what makes steps: where no other is, ``alpha`` is one."""
    arguments = list(arguments)
    told = [name for name in arguments if names.role(name) == names.RATE]
    return told or [name for name in arguments if names.plain(name) == "alpha"]


def rates_of(owner: Any, *functions: Callable[..., Any] | None) -> list[Rate]:
    """The rates that an object keeps, or an optimizer or a dict in it, of which the key is the name.

    Else those of their classes, else global ones, that the functions read, or what these call by name: of a number
    that no step uses, such as a dropout's rate, nothing else tells what it is.
    """
    things = reachable(owner)
    held = list(_rates((thing, thing if isinstance(thing, dict) else attributes(thing)) for thing in things))
    if told := [rate for rate in held if rate[1] != _OF_ANYTHING]:
        return told
    read = _functions_from(functions, things) if any(map(_own_classes, things)) else []
    used = {name for function in read for name in _names_in(function.__code__)}
    if held and (_OF_ANYTHING in used or not read):
        return held
    return list(_rates(_of_classes(things, used))) or list(_rates(_around(read)))


def rate_of(owner: Any, *functions: Callable[..., Any] | None) -> float:
    """The learning rate, if there is one and only one, kept or in a name of a function's own; else 0."""
    rates = {value for _, _, value in rates_of(owner, *functions)}
    if not rates:
        rates = {value for function in _functions_from(functions, reachable(owner)) for value in _bound_in(function)}
    return rates.pop() if len(rates) == 1 else 0.0


def _bound_in(function: FunctionType) -> Iterator[float]:
    """The numbers of the source that a function binds to names of its own which are those of rates."""
    for constant, bound in pairwise(dis.get_instructions(function)):
        is_number = (constant.opname, bound.opname) == ("LOAD_CONST", "STORE_FAST") and type(constant.argval) is float
        if is_number and names.role(bound.argval) == names.RATE and bound.argval != _OF_ANYTHING:
            yield constant.argval


@contextmanager
def times(share: float, rates: Iterable[Rate]) -> Iterator[None]:
    """The rates that :func:`rates_of` has found at a share of what they are, in the block; that of a class for one."""
    try:
        for thing, name, value in rates:
            _put(thing, name, share * value)
        yield
    finally:
        for thing, name, value in rates:
            _put(thing, name, value)


@contextmanager
def at_rest(owner: Any, function: Callable[..., Any], named: Mapping[str, Any]) -> Iterator[dict[str, Any] | None]:
    """In the block the function makes steps by a rate of 0, if it is given this; None where it has no rate."""
    given = rates_in(signatures.signature(function).parameters)
    kept = [] if given else rates_of(owner, function)
    with times(0.0, kept):
        yield {**named, **dict.fromkeys(given, 0.0)} if given or kept else None


def _put(thing: Any, name: str, value: float) -> None:
    if isinstance(thing, dict):
        thing[name] = value
    else:
        setattr(thing, name, value)


def _rates(held: Iterable[tuple[Any, dict[str, Any]]]) -> Iterator[Rate]:
    for thing, values in held:
        for name, value in values.items():
            if isinstance(name, str) and isinstance(value, (float, int)) and names.role(name) == names.RATE:
                yield thing, name, float(value)


def _of_classes(things: Iterable[Any], used: Collection[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """What the things have of their classes under names that are used."""
    for thing in things:
        held = {name: value for kind in reversed(_own_classes(thing)) for name, value in vars(kind).items()}
        yield thing, {name: value for name, value in held.items() if name in used}


def _around(functions: Iterable[FunctionType]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The names around functions that these read, and what they read of settings there, as ``args.learning_rate``."""
    for function in functions:
        around = function.__globals__
        read = {name: around[name] for name in bindings(function) if name in around}
        yield around, read
        code = function.__code__
        used = _names_in(code).union(one for one in code.co_consts if isinstance(one, str))
        for value in read.values():
            if isinstance(value, (dict, SimpleNamespace, Namespace)):
                held = value if isinstance(value, dict) else vars(value)
                yield value, {name: one for name, one in held.items() if isinstance(name, str) and name in used}


def _functions_from(functions: Iterable[Any], things: Iterable[Any]) -> list[FunctionType]:
    """These functions and the user's that they call in turn: by a name around them, or by that of a class's method.

    An object is called by no such name: any that has no backward pass may be, as an optimizer; a layer is so for its
    output.
    """
    steps = dict.fromkeys(kind for thing in things if not _has_backward(thing) for kind in _own_classes(thing))
    kinds = dict.fromkeys(kind for thing in things for kind in _own_classes(thing))
    methods = [(name, value) for kind in kinds for name, value in vars(kind).items() if name != "__call__"]
    calls = [vars(kind)["__call__"] for kind in steps if "__call__" in vars(kind)]
    found: dict[int, FunctionType] = {}
    waiting = [_function_of(one) for one in functions]
    for function in waiting:
        if id(function) in found or not inspect.isfunction(function):
            continue
        found[id(function)] = function
        names_in = _names_in(function.__code__)
        called = [*calls, *(value for name, value in methods if name in names_in)]
        called += [binding.read() for binding in bindings(function).values()]
        waiting += [one for one in map(_function_of, called) if inspect.isfunction(one) and not of_installed(one)]
    return list(found.values())


def _has_backward(thing: Any) -> bool:
    return any(map(names.is_backward, dir(type(thing))))


def _function_of(thing: Any) -> Any:
    """The function in a method, a property, a partial or a decorated one; anything else as it is."""
    thing = attributes(thing).get("func", thing)  # of what dresses it
    found: Any = bare(thing.fget if isinstance(thing, property) else thing)
    is_method = isinstance(found, (MethodType, staticmethod, classmethod))
    return signatures.unwrapped(found) if is_method else found


def _names_in(code: CodeType) -> set[str]:
    """The attributes and global names in code and in the functions within it."""
    inner = [_names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _own_classes(thing: Any) -> list[type]:
    """The classes of an object that are the user's."""
    return [kind for kind in type(thing).__mro__ if not of_installed(kind)]


def is_called_as_training(function: Any) -> bool:
    """Whether a function has a name by which objects train, or is given a rate, as ``update_batch(batch, lr)``."""
    is_named = names.plain(getattr(function, "__name__", "")) in (*names.TRAINS, *names.FITS)
    return is_named or bool(rates_in(signatures.signature(function).parameters))


class StepsOfArguments(dict[str, Any]):
    """By how much a function has moved its arguments, by name, over its rate."""


class StepsReturned(dict[str, Any]):
    """The same, of arguments that it has left, and returned moved."""


def with_steps_returned(function: Any, *, in_place: bool) -> Any:
    """A function that moves its arguments by a rate that it takes, as one that returns gradients.

    Each is the step over the rate, by the name of the argument: of one that is moved ``in_place``, by a rate by
    default, or of one that its source returns under its own name, as ``w = w - lr * dw`` and ``return w`` do. Any other
    function is given back as it is, and so is what one returns that returns something else.
    """
    spec = signatures.positional(function)
    own = [] if spec is None else spec[0] + spec[1]
    rates, returned = rates_in(own), learned_that_return(function, own)
    if len(rates) != 1:
        return function
    signature = signatures.signature(function)
    rate = signature.parameters[rates[0]].default
    if not returned and not (in_place and isinstance(rate, (int, float)) and rate):
        return function

    @wraps(function)
    def returning(*arguments: Any, **named: Any) -> Any:
        given = signature.bind(*arguments, **named)
        given.apply_defaults()
        held = {name: value for name, value in given.arguments.items() if isinstance(value, np.ndarray)}
        before = {**given.arguments, **{name: value.copy() for name, value in held.items()}}
        result = function(*arguments, **named)
        by = given.arguments[rates[0]]
        if returned:
            parts = result if isinstance(result, tuple) else (result,)
            if [np.shape(before[name]) for name in returned] != list(map(np.shape, parts)):
                return result
            return StepsReturned({n: (before[n] - part) / by for n, part in zip(returned, parts, strict=True)})
        moved = [name for name, value in held.items() if not np.array_equal(before[name], value, equal_nan=True)]
        if result is not None or not moved:
            return result
        steps = StepsOfArguments({name: (before[name] - held[name]) / by for name in moved})
        for name in moved:
            held[name][...] = before[name]
        return steps

    return returning


def returned_without_rate(function: Any) -> str:
    """The arguments that a function returns under their own names where it takes no rate: moved, or gradients.

    What is called as a gradient function returns gradients, whatever it calls them.
    """
    spec, label = signatures.positional(function), getattr(function, "__name__", "")
    own = [] if spec is None else spec[0] + spec[1]
    tells = names.tells_gradients(label) or names.is_backward(label)
    return "" if tells or rates_in(own) else ", ".join(learned_that_return(function, own))


def learned_that_return(function: Any, own: Collection[str]) -> list[str]:
    """The arguments that a function returns under their own names, if all are called as what is learned."""
    told = names_by_place(function)
    found = list(told.values())
    is_flat = all(len(path) <= 1 for path in told)
    return found if is_flat and found and all(name in own and is_learned(name) for name in found) else []
