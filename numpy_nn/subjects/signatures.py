"""What the signatures of people's functions tell: the names of their arguments, and which may be left out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def positional(function: Callable[..., Any]) -> tuple[list[str], list[str]] | None:
    """The names of the positional arguments without and with a default; None if it does not tell, or takes any."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    own = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [p.name for p in own if p.default is p.empty], [p.name for p in own if p.default is not p.empty]


def takes_any_number(function: Callable[..., Any]) -> bool:
    """Whether a function takes as many arguments as it is given, ``f(*xs)``, and is no wrapper that hands them on."""
    try:
        kinds = {p.kind for p in signature(function).parameters.values()}
    except (TypeError, ValueError):
        return False
    return inspect.Parameter.VAR_POSITIONAL in kinds and inspect.Parameter.VAR_KEYWORD not in kinds


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of a decorator's ``wrapper(*args, **kwargs)`` the one function that it holds; any other as it is."""
    bare = getattr(function, "__func__", function)
    if not inspect.isfunction(bare) or hasattr(bare, "__wrapped__"):
        return bare
    code = bare.__code__
    takes_any = code.co_flags & inspect.CO_VARARGS and code.co_flags & inspect.CO_VARKEYWORDS
    if code.co_argcount + code.co_kwonlyargcount > 0 or not takes_any:
        return bare
    held = inspect.getclosurevars(bare).nonlocals.values()
    wrapped = [value for value in held if inspect.isfunction(value) and value is not bare]
    return wrapped[0] if len(wrapped) == 1 else bare


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Its signature, of what a decorator has wrapped that of the function. TypeError or ValueError if there is none."""
    bare = getattr(function, "__func__", function)
    if (inner := unwrapped(function)) is bare:
        return inspect.signature(function)
    own = inspect.signature(inner)
    return own.replace(parameters=list(own.parameters.values())[1:]) if bare is not function else own
