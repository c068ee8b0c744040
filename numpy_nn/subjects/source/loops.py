"""The loop in which a method trains: found in its source, or in that of a method of the same object that it calls."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from numpy_nn.subjects import signatures
from numpy_nn.subjects.source.recompiled import recompiled
from numpy_nn.subjects.source.surroundings import bare
from numpy_nn.subjects.source.trees import tree_of, tree_to_change

# What is called so tells how many steps to make; a criterion or a writer does not.
OF_STEPS = re.compile(r"epoch|(?<!cr)(?<!wr)iter|(^|_)(n|num|max)_(steps|passes|updates|rounds)|^steps$")

# A loop of so many rounds by a number in the code is none over layers, or over classes.
_MANY = 20

# An argument that is called so is no more than a number, which may be one of steps.
_NUMBERS = ("n", "N", "num", "number", "times", "rounds", "repeats")

# By what goes on while it holds, such as ``error > tol`` or ``not converged``, training does; not so for each batch.
_WHILE = re.compile(
    r"epoch|iter|step|^True$|^1$|err|loss|cost|conver|done|diff|delta|tol|eps|chang|norm|improv|mis|grad|stop"
)


def steps_to_make(counts: Sequence[str]) -> dict[str, int]:
    """What a method with a loop that is cut to its first round is given for its number of steps.

    That is more than it makes, since code may divide by a tenth of it to know when to print. Of several numbers each is
    1, as one may be that of steps in a round.
    """
    return dict.fromkeys(counts, 100 if len(counts) == 1 else 1)


class Loop(NamedTuple):
    """A loop over a ``range``: the function in which it stands, and the lines on which that is called."""

    # Not its globals, by which whoever walks what can be reached would get to everything.
    within: Callable[..., Any]
    lines: range
    of_range: CodeType | None = None  # the function's code with its while loop as one over a range


def loop_of_training(function: Any) -> Loop | None:
    """The last loop of a method's outermost level that goes on for a number of steps; None if there is none.

    That is ``range(epochs)``, ``range(self.n_iter)`` or ``range(1000)``, and none over the samples or the layers; or
    one that goes on while something is too large; or one of these for each class. Where the method has none it is that
    of the first method to which its calls lead that has one.
    """
    own, thing = signatures.unwrapped(bare(function)), getattr(function, "__self__", None)
    if not inspect.isfunction(own):
        return None
    if (loop := _loop_in(own)) is not None:
        return loop
    kinds = type(thing).__mro__ if thing is not None else ()
    seen, these = {own}, [own]
    while these:
        called = (vars(kind).get(name) for one in these for name in one.__code__.co_names for kind in kinds)
        these = [one for one in dict.fromkeys(filter(inspect.isfunction, called)) if one not in seen]
        seen.update(these)
        if (loop := next((loop for one in these if (loop := _loop_in(one)) is not None), None)) is not None:
            return loop
    return None


def _loop_in(function: FunctionType) -> Loop | None:
    tree = tree_of(function)
    if tree is None:
        return None
    own = inspect.signature(function).parameters.items()
    constants = {name: one.default for name, one in own if name in _NUMBERS} | dict(_constants_in(tree.body))
    first = function.__code__.co_firstlineno - 1

    def of_steps(loops: Iterable[ast.For | ast.While]) -> Loop | None:
        found = None
        for loop in loops:
            if isinstance(loop, ast.While) and _goes_on_by_steps(loop.test, constants):
                code = recompiled(function, _Instead(loop.lineno).visit)
                found = (
                    found if code is None else Loop(function, range(first + loop.lineno, first + loop.lineno + 1), code)
                )
            elif isinstance(loop, ast.For):
                call = _range_in(loop.iter)
                if call is not None and _is_of_steps(call, loop.target, constants):
                    lines = range(first + call.lineno, first + (call.end_lineno or call.lineno) + 1)
                    found = Loop(function, lines)
        return found

    outer = list(_loops_in(tree.body))
    return of_steps(outer) or of_steps(one for loop in outer for one in _loops_in(loop.body))


def tree_with(loop: Loop) -> ast.FunctionDef:
    """The definition of the function with the loop in it, over a range."""
    tree = tree_to_change(loop.within)
    assert tree is not None  # as it was found there
    if loop.of_range is not None:
        _Instead(loop.lines[0] - loop.within.__code__.co_firstlineno + 1).visit(tree)
    return ast.fix_missing_locations(tree)


def _goes_on_by_steps(test: ast.expr, constants: dict[str, Any]) -> bool:
    """Whether a while loop's test is that of training: by its names, or because it counts to a large number."""
    nodes = list(ast.walk(test))
    numbers = [node.value for node in nodes if isinstance(node, ast.Constant)]
    numbers += [constants.get(node.id) for node in nodes if isinstance(node, ast.Name)]
    return bool(_WHILE.search(ast.unparse(test))) or any(type(n) is int and n >= _MANY for n in numbers)


class _Instead(ast.NodeTransformer):
    """The while loop on a line as one over a range: its test comes first in each round."""

    def __init__(self, line: int) -> None:
        self._line = line

    def visit_While(self, node: ast.While) -> ast.AST:
        if node.lineno != self._line:
            return self.generic_visit(node)
        ends = ast.If(ast.UnaryOp(ast.Not(), node.test), [ast.Break()], [])
        rounds = ast.Call(ast.Name("range", ast.Load()), [ast.Constant(sys.maxsize)], [])
        loop = ast.For(ast.Name("_", ast.Store()), rounds, [ends, *node.body], node.orelse)
        return ast.copy_location(loop, node)


def _loops_in(statements: Iterable[ast.stmt]) -> Iterator[ast.For | ast.While]:
    """The loops that are in no other, nor in a function."""
    for statement in statements:
        if isinstance(statement, (ast.For, ast.While)):
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
