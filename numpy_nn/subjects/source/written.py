"""The numbers that stand in code: where branches begin, as ``threshold=20`` of a softplus or ``np.clip(z, -15, 15)``.

They are constants of the functions that are called and of those that these call by name, defaults of arguments, and
what the names in them lead to: attributes of objects, entries of dicts, names of the module.
"""

from __future__ import annotations

import ast
import inspect
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.source.bindings import bindings
from numpy_nn.subjects.source.trees import source_tree
from numpy_nn.subjects.state import is_installed, of_a_library, of_installed, referred_to


def numbers_written(*things: Any) -> list[float]:
    """The finite numbers in the code of functions and methods, each once: floats first, then integers.

    An object's methods are those that code of these calls by name; nothing of a library is entered.
    """
    walk = Walk()
    walk.enter(things)
    return walk.numbers()


def names_written(*things: Any) -> set[str]:
    """The names and texts in the same code, such as those of functions of a library that it calls."""
    walk = Walk()
    walk.enter(things)
    return walk.named


def constants_of(function: Any) -> list[Any]:
    """The constants in the source of a function; where there is none, those of its code: of 0.1 * 2 that has 0.2."""
    found = [node.value for node in ast.walk(source_tree(function)) if isinstance(node, ast.Constant)]
    code = getattr(function, "__code__", None)
    return found or list(code.co_consts if code is not None else ())


# What is larger, as the state of a generator is, is no place where a branch begins.
LARGEST = 1e100

# What leads to no code.
_ENDS = (str, bytes, bool, np.ndarray, type(None))


class Walk:
    """What has been reached, and the names and texts in the code of it, by which more is reached."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}
        self._holders: list[Any] = []
        self.named = {"__call__"}
        self._floats: set[float] = set()
        self._integers: set[float] = set()

    @property
    def functions(self) -> list[FunctionType]:
        """The user's functions that have been reached."""
        found = [thing for thing in self._seen.values() if inspect.isfunction(thing)]
        return [one for one in found if not (of_a_library(one) or of_installed(one))]

    def named_numbers(self) -> Iterator[tuple[Any, Any, Any]]:
        """The numbers that objects and dicts hold under names in the code: the holder, the name, the number."""
        for holder in self._holders:
            own = _held(holder)
            yield from ((holder, name, own[name]) for name in self.named & own.keys() if is_number(own[name]))

    def numbers(self) -> list[float]:
        return sorted(self._floats) + sorted(self._integers - self._floats)

    def enter(self, things: Any) -> None:
        waiting = deque(things)
        while waiting:
            while waiting:
                waiting += self._parts(waiting.popleft())
            # A name that is met late may be one of a thing that was reached early.
            waiting += [one for holder in self._holders for one in self._of_names(holder) if self._is_new(one)]

    def _is_new(self, thing: Any) -> bool:
        return id(thing) not in self._seen and not is_number(thing)

    def _parts(self, thing: Any) -> Iterator[Any]:
        """What a thing leads to, of which numbers are noted on the way."""
        if is_number(thing):
            self._note(thing)
        elif self._is_new(thing):
            self._seen[id(thing)] = thing
            if isinstance(thing, _ENDS):
                return
            if inspect.isfunction(thing):
                yield from self._of_function(thing)
            elif inspect.ismethod(thing):
                yield from (thing.__self__, thing.__func__)
            elif isinstance(thing, partial):
                yield from (thing.func, *thing.args, *thing.keywords.values())
            elif isinstance(thing, (staticmethod, classmethod)):
                yield thing.__func__
            elif isinstance(thing, property):
                yield thing.fget
            elif isinstance(thing, (list, tuple, deque)):
                yield from (one for one in list(thing) if not is_number(one))
            elif _is_of_the_user(thing):
                self._holders.append(thing)
                if inspect.isroutine(inner := attributes(thing).get("func")):
                    yield inner  # which a wrapper of this package's calls
                if not (inspect.ismodule(thing) or isinstance(thing, type)):
                    yield from (one for one in _held(thing).values() if _leads_on(one))

    def _of_function(self, function: Any) -> Iterator[Any]:
        if of_a_library(function):
            return
        if of_installed(function):
            # A wrapper of this package's around the user's function, whose own numbers say nothing.
            around = bindings(function)
            held = (around[name].read() for name in function.__code__.co_freevars)
            yield from (one for one in held if inspect.isroutine(one) or isinstance(one, partial))
            return
        self._read(function.__code__)
        yield getattr(function, "__wrapped__", None)
        yield from referred_to(function)

    def _read(self, code: CodeType) -> None:
        self.named.update(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._read(constant)
            elif isinstance(constant, str):
                self.named.add(constant)
            for one in constant if isinstance(constant, tuple) else (constant,):
                if is_number(one):
                    self._note(one)

    def _of_names(self, holder: Any) -> Iterator[Any]:
        """What an object, a dict, a class or a module has under names that the code has."""
        own = [_held(holder)]
        kinds = holder.__mro__ if isinstance(holder, type) else type(holder).__mro__
        own += [dict(vars(kind)) for kind in kinds if not of_installed(kind)]
        for held in own:
            for name in self.named & held.keys():
                if is_number(held[name]):
                    self._note(held[name])
                else:
                    yield held[name]

    def _note(self, number: Any) -> None:
        number = number.item() if isinstance(number, np.generic) else number  # float32 does not reach so far
        if abs(number) <= LARGEST:  # False of nan
            (self._floats if isinstance(number, (float, np.floating)) else self._integers).add(float(number))


def is_number(thing: Any) -> bool:
    """Whether it is one, of Python or of NumPy."""
    return isinstance(thing, (int, float, np.integer, np.floating)) and not isinstance(thing, bool)


def _is_of_the_user(thing: Any) -> bool:
    if inspect.ismodule(thing):
        return not is_installed(thing)
    if isinstance(thing, type):
        return not of_installed(thing)
    return isinstance(thing, Mapping) or not (inspect.isroutine(thing) or of_a_library(thing))


def _held(holder: Any) -> dict[Any, Any]:
    """What it has of its own, by name."""
    if isinstance(holder, Mapping):
        return dict(holder)
    return dict(vars(holder)) if inspect.ismodule(holder) or isinstance(holder, type) else attributes(holder)


def _leads_on(thing: Any) -> bool:
    """Whether it may hold code; functions, classes and modules are met by their names alone."""
    return not (is_number(thing) or inspect.isroutine(thing) or inspect.ismodule(thing) or isinstance(thing, type))
