"""The names outside of a function that it reads or binds: those of its module, and of the functions around it.

And its arguments that are arrays by default, ``def forward(x, W=W0)``, as long as nobody gives them.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CellType, CodeType
from typing import Any

import numpy as np

UNBOUND = object()
"""What a name holds that is not bound, or not yet."""


class Binding:
    """One such name: in a module's namespace, or in a cell of a closure."""

    __slots__ = ("_cell", "_name", "_namespace")

    def __init__(self, name: str, namespace: dict[str, Any] | None = None, cell: CellType | None = None) -> None:
        self._name, self._namespace, self._cell = name, namespace, cell

    def read(self) -> Any:
        """What it holds, or ``UNBOUND``."""
        if self._cell is None:
            assert self._namespace is not None
            return self._namespace.get(self._name, UNBOUND)
        try:
            return self._cell.cell_contents
        except ValueError:
            return UNBOUND

    def bind(self, value: Any) -> None:
        """Have it hold a value; ``UNBOUND`` takes the name away."""
        if self.read() is value:
            return
        if self._cell is not None:
            if value is UNBOUND:
                del self._cell.cell_contents
            else:
                self._cell.cell_contents = value
        elif value is UNBOUND:
            assert self._namespace is not None
            del self._namespace[self._name]
        else:
            assert self._namespace is not None
            self._namespace[self._name] = value


class Default:
    """The default of a function's argument."""

    def __init__(self, name: str, function: Any) -> None:
        self._name, self._function = name, function

    def read(self) -> Any:
        """What the function takes where nobody gives the argument."""
        return _defaults(self._function)[self._name]

    def bind(self, value: Any) -> None:
        """Have it take this."""
        function = self._function
        if self._name in (function.__kwdefaults__ or {}):
            function.__kwdefaults__[self._name] = value
        else:
            of = _defaults(function) | {self._name: value}
            function.__defaults__ = tuple(of[name] for name in _with_default(function))


def _with_default(function: Any) -> tuple[str, ...]:
    """The names of the arguments, but for those by name alone, that have one."""
    own = function.__code__.co_varnames[: function.__code__.co_argcount]
    return tuple(own[len(own) - len(function.__defaults__ or ()) :])


def _defaults(function: Any) -> dict[str, Any]:
    by_place = dict(zip(_with_default(function), function.__defaults__ or (), strict=True))
    return by_place | (function.__kwdefaults__ or {})


def defaults(function: Any) -> dict[str, Default]:
    """The arguments whose default is an array of floats."""
    found = {name: one.read() for name, one in defaults_of(function).items()}
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    return {name: Default(name, function) for name, value in arrays.items() if value.dtype.kind == "f"}


def defaults_of(function: Any) -> dict[str, Default]:
    """All arguments that have one."""
    return {name: Default(name, function) for name in _defaults(function)}


def bindings(function: Any) -> dict[str, Binding]:
    """Every such name of a function, in the order in which its code has them: also those that are not bound yet.

    Names that are Python's own are none: a module's namespace does not hold them.
    """
    code, namespace = function.__code__, function.__globals__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    found = {name: Binding(name, cell=cell) for name, cell in cells}
    for name, is_bound in global_names(code):
        if is_bound or name in namespace:
            found.setdefault(name, Binding(name, namespace))
    return found


@lru_cache(maxsize=2**14)  # of all functions that are reached: packages have thousands
def global_names(code: CodeType) -> tuple[tuple[str, bool], ...]:
    """The global names in code and in the functions within it, each with whether some of it binds them."""
    read, bound = {}, set()
    for name, binds in _instructions(code):
        read[name] = True
        if binds:
            bound.add(name)
    return tuple((name, name in bound) for name in read)


def _instructions(code: CodeType) -> Iterator[tuple[str, bool]]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
            yield str(instruction.argval), instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
