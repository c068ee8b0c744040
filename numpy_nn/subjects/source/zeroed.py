"""Attributes that the code of a module sets to 0 between its steps, as a loop of training does with gradients."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from numpy_nn.subjects import names

# What is set to 0 where an object is made, or in its passes, is not set to 0 between two steps.
_OTHERS = {"__init__", *names.BUILDS, *names.FORWARDS, *names.BACKWARDS}


def set_to_zero_around(things: Iterable[Any]) -> frozenset[str]:
    """The attributes that functions in the modules of the classes of objects, or the modules, set to 0 or to None."""
    modules = {type(thing).__module__ for thing in things} - {"builtins"}
    return frozenset(found for name in modules & sys.modules.keys() for found in _set_to_zero_in(name))


@lru_cache(maxsize=2**7)
def _set_to_zero_in(name: str) -> frozenset[str]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError, SyntaxError):
        return frozenset()
    return frozenset(found for node in _statements(tree) for found in _set_to_zero_by(node))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all in it, but for functions that make an object or are its passes."""
    yield node
    for inner in ast.iter_child_nodes(node):
        is_function = isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef))
        if not (is_function and getattr(inner, "name", "") in _OTHERS):
            yield from _statements(inner)


def _set_to_zero_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Assign) and _is_zero(node.value):
        for target in node.targets:
            yield from _attribute(target)
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Mult) and _is_zero(node.value):
        yield from _attribute(node.target)
    elif isinstance(node, ast.Call) and (filled := _filled(node)) is not None:
        yield from _attribute(filled)


def _filled(call: ast.Call) -> ast.expr | None:
    """What is filled with zeros, as in ``layer.dW.fill(0)``; None of another call."""
    of = call.func
    is_fill = isinstance(of, ast.Attribute) and of.attr == "fill" and bool(call.args) and _is_zero(call.args[0])
    return of.value if isinstance(of, ast.Attribute) and is_fill else None


def _attribute(node: ast.expr) -> Iterator[str]:
    """The name of ``layer.dW``, also in ``layer.dW[:]``."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        yield node.attr


def _is_zero(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None or (type(node.value) in (int, float) and node.value == 0)
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", "")) in ("zeros", "zeros_like")
