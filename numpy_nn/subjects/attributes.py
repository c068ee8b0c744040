"""The attributes that an object has of its own.

They are asked for at each evaluation, of all that the code leads to: what a class tells is found once.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any


def attributes(thing: Any) -> dict[str, Any]:
    """The attributes that an object has of its own, in ``__dict__`` and in ``__slots__``; none of a class or module."""
    kind: Any = type(thing)  # which mypy holds to be without a hash
    if _is_of_classes_or_functions(kind):
        return {}
    own = dict(getattr(thing, "__dict__", {}))
    for name in slots(kind):
        if hasattr(thing, name):
            own[name] = getattr(thing, name)
    return own


@lru_cache(maxsize=2**10)
def slots(kind: Any) -> tuple[str, ...]:
    """The names in the ``__slots__`` of a class and its bases, those of private ones as Python mangles them."""
    found: list[str] = []
    for base in kind.__mro__:
        own = vars(base).get("__slots__", ())
        for name in (own,) if isinstance(own, str) else own:
            if not name.startswith("__"):
                found.append(name)
            elif not name.endswith("__"):
                found.append(f"_{base.__name__.lstrip('_')}{name}")
    return tuple(found)


def set_attribute(thing: Any, name: str, value: Any) -> None:
    """As by an assignment; of a frozen dataclass too, of which the check has a copy."""
    try:
        setattr(thing, name, value)
    except dataclasses.FrozenInstanceError:
        object.__setattr__(thing, name, value)


@lru_cache(maxsize=2**10)
def _is_of_classes_or_functions(kind: Any) -> bool:
    """Whether the things of a kind are classes, modules, or what inspect.isroutine() tells of."""
    if issubclass(kind, (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)):
        return True
    return hasattr(kind, "__get__") and not hasattr(kind, "__set__")
