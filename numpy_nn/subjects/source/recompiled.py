"""Functions whose code is changed for a while: their source is, as a tree, and compiled again."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType

from numpy_nn.subjects.source.trees import keep_text, tree_to_change


def recompiled(function: FunctionType, change: Callable[[ast.FunctionDef], ast.AST]) -> CodeType | None:
    """The code of a function whose definition is changed; None where it has no source.

    None also where what is put in may not stand there.
    """
    tree = tree_to_change(function)
    if tree is None:
        return None
    change(tree)
    try:
        return compiled(tree, function)
    except SyntaxError:
        return None


def rewritten(function: FunctionType, change: Callable[[ast.FunctionDef], ast.AST]) -> FunctionType | None:
    """Another function, with the definition changed, and that for its source; None where it has none.

    Its defaults are the function's, for as many arguments at the end.
    """
    tree = tree_to_change(function)
    if tree is None:
        return None
    change(tree)
    tree.decorator_list = []
    text = ast.unparse(ast.fix_missing_locations(tree))
    changed = ast.parse(text).body[0]
    assert isinstance(changed, ast.FunctionDef)
    try:
        code = compiled(changed, function)
    except SyntaxError:
        return None
    keep_text(code, text)
    found = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    found.__kwdefaults__, found.__qualname__ = function.__kwdefaults__, function.__qualname__
    found.__module__ = function.__module__
    return found


def compiled(tree: ast.FunctionDef, function: FunctionType) -> CodeType:
    """The code of a definition that stands where the function's stands: with its lines, its cells and its class."""
    own = function.__code__
    tree.decorator_list = []
    *_, kind, _ = ("." + function.__qualname__).rsplit(".", 2)
    # Private names begin with that of the class; names of what is around the function are such of this too.
    body: list[ast.stmt] = [ast.ClassDef(kind, [], [], [tree], [])] if kind.isidentifier() else [tree]
    cells = [ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in own.co_freevars]
    around = ast.FunctionDef("around", ast.arguments([], [], None, [], [], None, []), [*cells, *body], [])
    module = ast.increment_lineno(ast.fix_missing_locations(ast.Module([around], [])), own.co_firstlineno - 1)
    code = compile(module, own.co_filename, "exec")
    for _ in range(2 + kind.isidentifier()):
        code = next(one for one in code.co_consts if isinstance(one, CodeType))
    return code


@contextmanager
def with_code(function: FunctionType, code: CodeType) -> Iterator[None]:
    """In the block the function has another code."""
    own = function.__code__
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = own
