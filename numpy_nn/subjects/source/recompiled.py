"""Functions whose code is changed for a while: their source is, as a tree, and compiled again."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType


def tree_of(function: FunctionType) -> ast.FunctionDef | None:
    """The definition of a function in its source; None if that cannot be had, or is no ``def``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None  # without its source, or of a lambda within a line
    return tree if isinstance(tree, ast.FunctionDef) else None


def recompiled(function: FunctionType, change: Callable[[ast.FunctionDef], ast.AST]) -> CodeType | None:
    """The code of a function whose definition is changed, on the lines of the old one; None where it has no source.

    None also where what is put in may not stand there.
    """
    tree, own = tree_of(function), function.__code__
    if tree is None:
        return None
    tree.decorator_list = []
    body: list[ast.stmt] = [tree]
    change(tree)
    *_, kind, _ = ("." + function.__qualname__).rsplit(".", 2)
    if kind.isidentifier():  # private names begin with that of their class
        body = [ast.ClassDef(kind, [], [], body, [])]
    # Names of what is around it are such of this too.
    around = [ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in own.co_freevars]
    nothing = ast.arguments([], [], None, [], [], None, [])
    body = [ast.FunctionDef("around", nothing, [*around, *body], [])]
    module = ast.increment_lineno(ast.fix_missing_locations(ast.Module(body, [])), own.co_firstlineno - 1)
    try:
        code = compile(module, own.co_filename, "exec")
    except SyntaxError:
        return None
    for _ in range(2 + kind.isidentifier()):
        code = next(one for one in code.co_consts if isinstance(one, CodeType))
    return code if code.co_freevars == own.co_freevars else None


@contextmanager
def with_code(function: FunctionType, code: CodeType | None) -> Iterator[None]:
    """In the block the function has another code; its own if that is None."""
    own = function.__code__
    function.__code__ = code or own
    try:
        yield
    finally:
        function.__code__ = own
