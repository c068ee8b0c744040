"""A function that trains, written anew: it tells of the rounds of its loop, and begins each with what it is told."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from numpy_nn.subjects.source.loops import Loop, tree_with
from numpy_nn.subjects.source.recompiled import compiled

# By which names the function that is written anew calls what is told of its rounds.
BEGIN, WITHIN, END = "_begin_of_round", "_within_round", "_end_of_round"


def written_anew(
    function: Any, loop: Loop, place: int, held: Sequence[str] = ()
) -> tuple[Callable[..., Any], list[str]]:
    """The function with a loop that binds ``held`` to what ``_begin_of_round`` gives at the beginning of each round.

    At its end ``_end_of_round`` is called, and ``_within_round`` where one of a loop inside begins, each with all names
    that the function has there. It is the loop in this ``place``, 0 that of training. And the names that it binds.
    """
    own = tree_with(loop)
    loops = _loops_in(own, function, loop)
    over = loops[place]
    nodes = list(ast.walk(over))
    taken = {one.id for inner in loops for one in ast.walk(inner.target) if isinstance(one, ast.Name)}
    bound = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    bound = [name for name in bound if name not in taken]  # what a loop takes in turn is no weight
    calls = [node.func for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    lists = [one.value.id for one in calls if one.attr == "append" and isinstance(one.value, ast.Name)]
    for inner in loops:
        if inner is not over and inner in nodes:
            inner.body.insert(0, ast.Expr(_called(WITHIN, ast.Constant(loops.index(inner)))))
    names_held = ast.List([ast.Name(name, ast.Store()) for name in held], ast.Store())
    first: ast.stmt = ast.Assign([names_held], _called(BEGIN)) if held else ast.Expr(_called(BEGIN))
    over.body = [first, ast.Try(over.body, [], [], [ast.Expr(_called(END))])]
    told = (BEGIN, WITHIN, END)
    own.args.kwonlyargs += [ast.arg(name) for name in told]
    own.args.kw_defaults += [None] * len(told)
    inner_code = compiled(own, function)
    by_name = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    closure = tuple(by_name[name] for name in inner_code.co_freevars)
    anew = FunctionType(inner_code, function.__globals__, function.__name__, function.__defaults__, closure)
    return anew, list(dict.fromkeys([*bound, *lists]))


def _called(name: str, *arguments: ast.expr) -> ast.Call:
    here = ast.Call(ast.Name("locals", ast.Load()), [], [])
    return ast.Call(ast.Name(name, ast.Load()), [*arguments, here], [])


def _loops_in(own: ast.FunctionDef, function: Any, loop: Loop) -> list[ast.For]:
    """The loop of training, and those inside it, the outer ones first."""
    first = function.__code__.co_firstlineno - 1
    found = [node for node in ast.walk(own) if isinstance(node, ast.For) and first + node.iter.lineno in loop.lines]
    return [node for node in ast.walk(found[0]) if isinstance(node, ast.For)]


def number_of_loops(function: Any, loop: Loop) -> int:
    """Of how many loops ``written_anew`` may take one: that of training, and those inside it."""
    return len(_loops_in(tree_with(loop), function, loop))
