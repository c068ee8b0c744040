"""The loop in which a method trains: found in its source, or in that of a method of the same object that it calls."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any, NamedTuple

from numpy_nn.subjects import names
from numpy_nn.subjects.source.surroundings import bare

# What is called so tells how many steps to make.
OF_STEPS = re.compile(r"epoch|iter|(^|_)(n|num|max)_(steps|passes|updates|rounds)|^steps$")

# A loop of so many rounds by a number in the code is none over layers, or over classes.
_MANY = 20


class Loop(NamedTuple):
    """A loop over a ``range``: the function in which it stands, and the lines on which that is called."""

    # Not its globals, by which whoever walks what can be reached would get to everything.
    within: Callable[..., Any]
    lines: range


def loop_of_training(function: Any) -> Loop | None:
    """The last loop of a method's outermost level that goes on for a number of steps; None if there is none.

    That is ``range(epochs)``, ``range(self.n_iter)`` or ``range(1000)``, and none over the samples or the layers. Where
    the method has none it is that of the first method which it calls that has one.
    """
    own, thing = names.unwrapped(bare(function)), getattr(function, "__self__", None)
    if not inspect.isfunction(own):
        return None
    if (loop := _loop_in(own)) is not None:
        return loop
    kinds = type(thing).__mro__ if thing is not None else ()
    called = (vars(kind).get(name) for name in own.__code__.co_names for kind in kinds)  # that of a base class too
    inner = (_loop_in(method) for method in called if inspect.isfunction(method) and method is not own)
    return next((loop for loop in inner if loop is not None), None)


def _loop_in(function: FunctionType) -> Loop | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None  # without its source, or of a lambda within a line
    if not isinstance(tree, ast.FunctionDef):
        return None
    constants = dict(_constants_in(tree.body))
    found = None
    for loop in _loops_in(tree.body):
        call = _range_in(loop.iter)
        if call is not None and _is_of_steps(call, loop.target, constants):
            found = call
    if found is None:
        return None
    first = function.__code__.co_firstlineno - 1
    lines = range(first + found.lineno, first + (found.end_lineno or found.lineno) + 1)
    return Loop(function, lines)


def _loops_in(statements: Iterable[ast.stmt]) -> Iterator[ast.For]:
    """The loops that are in no other, nor in a function."""
    for statement in statements:
        if isinstance(statement, ast.For):
            yield statement
        elif isinstance(statement, (ast.If, ast.With, ast.Try)):
            parts = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
            yield from _loops_in(inner for part in parts for inner in part)


def _constants_in(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, Any]]:
    """The names that are bound to a whole number before the loop."""
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for name in statement.targets:
                if isinstance(name, ast.Name) and type(statement.value.value) is int:
                    yield name.id, statement.value.value


def _range_in(over: ast.expr) -> ast.Call | None:
    """The call of ``range`` in what a loop goes over, which may be handed to a progress bar."""
    calls = [node for node in ast.walk(over) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "range" and call.args]
    return named[0] if len(named) == 1 else None


def _is_of_steps(call: ast.Call, target: ast.expr, constants: dict[str, Any]) -> bool:
    """Whether the range ends at a number of steps: by its name, or that of its variable, or a large number."""
    if any(isinstance(node, ast.Call) for argument in call.args for node in ast.walk(argument)):
        return False  # range(len(x))
    of_steps = isinstance(target, ast.Name) and OF_STEPS.search(target.id.lower()) is not None
    end = call.args[0 if len(call.args) == 1 else 1]
    for node in ast.walk(end):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
        if name is not None and name != "self" and OF_STEPS.search(name.lower()):
            return True
        number = node.value if isinstance(node, ast.Constant) else constants.get(name or "")
        if type(number) is int and (number >= _MANY or (of_steps and number > 1)):
            return True
    return False
