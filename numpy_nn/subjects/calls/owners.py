"""Whose passes functions are, and what cannot be copied apart from its functions and so is checked as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from numpy_nn.layers import Layer
from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import arrays_of
from numpy_nn.subjects.arrays.places import places
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.arguments import HeldArguments
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.state import (
    GENERATORS,
    Snapshot,
    in_float64,
    methods_around,
    of_a_library,
    reachable,
    referred_to,
    widen,
)


class Owned(NamedTuple):
    """Two passes and the object whose passes they are; ``entirely`` says that they would be if it were given alone."""

    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    owner: Any = None
    entirely: bool = False


def owned(forward: Callable[..., Any], backward: Callable[..., Any] | None, *, is_all: bool = False) -> Owned:
    """The passes with the object that both are methods of, or else with the only one that both refer to.

    Methods are those of a copy of their object, where that can be copied. An object counts if it keeps arrays,
    or is that of both methods and keeps numbers, which may be learned; or with ``is_all``, where nothing else does, as
    it may keep what it computes.
    """
    first, second = ([] if f is None else _objects_of(f) for f in (forward, backward))
    common = [one for one in first if backward is None or any(one is other for other in second)]
    if not common and inspect.ismethod(forward) and inspect.ismethod(backward):
        mine = forward.__self__
        counts = _has_numbers(mine) or (is_all and hasattr(mine, "__dict__") and not isinstance(mine, type))
        common = [mine] if mine is backward.__self__ and counts else []
    if len(common) != 1:
        return Owned(forward, backward)
    owner, methods = common[0], [f for f in (forward, backward) if f is not None]
    if not all(inspect.ismethod(f) for f in methods):
        if backward is None:
            return Owned(forward, backward)  # what a function with gradients of its own refers to is rather its data
        widen(owner)
        return Owned(forward, backward, owner)
    # What is given to methods of an object that keeps no arrays is all that is asked about.
    entirely = names.passes(owner) == (forward, backward) or (names.is_loss(forward.__name__) and keeps_arrays(owner))
    mine = made_ours(owner)
    bound = [getattr(mine, f.__name__) if hasattr(mine, f.__name__) else f for f in methods]
    return Owned(bound[0], bound[1] if backward is not None else None, mine, entirely)


def as_methods(forward: Any, backward: Any) -> tuple[Any, Any]:
    """Two passes, of which one may be an object and the other a method of it, as ``(net, net.grad)``: two methods."""
    called = names.method(forward, ["__call__"])
    if inspect.ismethod(backward) and backward.__self__ is forward and inspect.ismethod(called):
        return called, backward
    return forward, backward


def are_of_another(target: Any, forward: Any, backward: Any) -> bool:
    """Whether the passes that an object keeps are those of another object, and it keeps nothing else that counts."""
    others = [one for f in (forward, backward) for one in _objects_of(f)]
    return bool(others) and not keeps_arrays(target) and not any(one is target for one in others)


def made_ours(target: Any) -> Any:
    """A copy in float64; or the target itself, in float64, where it has functions that would go on using the original.

    What was done to that is undone by the snapshot of :func:`to_be_restored`.
    """
    if not _stays(target):
        return in_float64(target)
    widen(target)
    for part in reachable(target):
        for held in referred_to(part) if inspect.isfunction(part) else ():
            widen(held)
    return target


def to_be_restored(target: Any) -> Snapshot | None:
    """The state of what is not copied for the check: of functions, of what they refer to, of what has such functions.

    And of what lies around the methods of an object. None where all is copied.
    """
    parts = target if isinstance(target, (tuple, list)) else (target,)
    if any(inspect.isroutine(part) or isinstance(part, partial) for part in parts) or any(map(_stays, parts)):
        return Snapshot(target)
    methods = methods_around(target)
    around = [held for method in reachable(*methods) if inspect.isfunction(method) for held in referred_to(method)]
    return (
        Snapshot(*methods)
        if any(_changes(held) or isinstance(held, GENERATORS) for held in (*methods, *around))
        else None
    )


def put_in_training(target: Any) -> bool:
    """Set whatever says that an object, or one in it, is not in training; says whether there was anything."""
    found = False
    for thing in reachable(target):
        for name in dir(thing) if attributes(thing) and not isinstance(thing, Layer) else ():
            if names.plain(name) in names.TRAINING_FLAGS and getattr(thing, name) is False:
                setattr(thing, name, True)
                found = True
    return found


def _stays(target: Any) -> bool:
    """Whether among what an object keeps is a function that refers to arrays, objects or containers: its own, say."""
    functions = [part for part in reachable(target) if inspect.isfunction(part)]
    return any(_changes(held) for function in functions for held in referred_to(function))


def _changes(thing: Any) -> bool:
    if isinstance(thing, GENERATORS) or inspect.ismodule(thing) or isinstance(thing, type) or inspect.isroutine(thing):
        return inspect.ismethod(thing)
    return isinstance(thing, (np.ndarray, dict, list)) or bool(attributes(thing))


def _objects_of(function: Any) -> list[Any]:
    """The objects with arrays that a function is a method of, or refers to."""
    found = list(_held_by(function))
    return [one for i, one in enumerate(found) if not any(one is other for other in found[:i]) and keeps_arrays(one)]


def _held_by(function: Any) -> Iterator[Any]:
    if inspect.ismethod(function):
        yield function.__self__
    elif isinstance(function, partial):
        yield from (*_held_by(function.func), *function.args, *function.keywords.values())
    elif inspect.isfunction(function):
        for held in referred_to(function):
            yield held.__self__ if inspect.ismethod(held) else held


def keeps_arrays(thing: Any) -> bool:
    """Whether an object keeps an array of floats, in whatever it is."""
    return not isinstance(thing, (np.ndarray, *GENERATORS)) and bool(attributes(thing)) and _has_floats(thing)


def _has_floats(thing: Any) -> bool:
    values = (place.read() for place in places(thing))
    return any(isinstance(value, np.ndarray) and value.dtype.kind == "f" for value in values)


def _has_numbers(thing: Any) -> bool:
    return any(type(place.read()) is float for place in places(thing))


def is_object_with_arrays(argument: Any) -> bool:
    """Whether an argument keeps arrays of floats as no container of arguments does: an object, or a list of some."""
    if isinstance(argument, GENERATORS) or inspect.isroutine(argument):
        return False
    if of_a_library(argument) and not isinstance(argument, np.ndarray):
        return False
    return not arrays_of(argument) and _has_floats(argument)


def with_objects_held(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[tuple[Any, ...], Any]:
    """The arguments, with copies of the objects that keep arrays, and what holds these, by the function's names.

    Of ``forward(net, x)`` the parameters are those of ``net``, as if it were a method. None without any such object.
    """
    objects = {i: one for i, one in enumerate(inputs) if is_object_with_arrays(one)}
    if not objects:
        return tuple(inputs), None
    own = [name for part in signatures.positional(function) or ([], []) for name in part]
    labels = own if len(own) >= len(inputs) else [f"input_{i}" for i in range(len(inputs))]
    holder = in_float64(HeldArguments(**{labels[i]: one for i, one in objects.items()}))
    return tuple(getattr(holder, labels[i]) if i in objects else one for i, one in enumerate(inputs)), holder


def with_objects_kept(target: Any, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of an object's forward pass, with copies of those that are objects with arrays, such as a graph.

    These are kept in the object under the names that the pass has for them: what they hold is looked for there.
    """
    forward = names.passes(target)[0]
    own = ((None if forward is None else signatures.positional(forward)) or ([], []))[0]
    given = list(inputs)
    for place, name in enumerate(own[: len(given)]):
        if is_object_with_arrays(given[place]) and attributes(given[place]) and not hasattr(target, name):
            with suppress(AttributeError, TypeError):  # it may have slots alone
                setattr(target, name, in_float64(given[place]))
                given[place] = getattr(target, name)
    return tuple(given)


def build_for(target: Any, forward: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """Have an object whose forward pass fails before it has seen a shape make its parameters, if it has a method to.

    For the shape of the data, for that of a sample, or for the number of features: by the first with which it runs.
    """
    build = names.method(target, names.BUILDS)
    if build is None or len(inputs) != 1 or len((signatures.positional(build) or ([], []))[0]) != 1:
        return
    required = (signatures.positional(forward) or ([], []))[0][1:]
    settings = [names.SETTINGS[name] for name in required if name in names.SETTINGS]
    before, shape = Snapshot(target), np.shape(inputs[0])

    def runs() -> bool:
        now = Snapshot(target)
        try:
            with Running(type(target).__name__, Patience()):
                forward(inputs[0].copy(), *settings)
        except SubjectError:
            return False  # without its parameters; an error that has another reason comes again at the first pass
        finally:
            now.restore()
        return True

    if runs():
        return
    for given in (shape, shape[1:], *shape[-1:]):
        before.restore()
        with suppress(SubjectError):
            with Running(type(target).__name__, Patience()):
                build(given)
            if runs():
                return
    before.restore()
