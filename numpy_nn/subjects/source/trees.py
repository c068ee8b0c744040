"""The source of a function as a tree; read again only where its code is another."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any

_texts: dict[CodeType, str] = {}


def source_tree(function: Any) -> ast.Module:
    """What the source of a function is made of, to be read and not changed; nothing where there is no source."""
    try:
        return _parsed(_text(function))
    except (OSError, TypeError, SyntaxError):
        return ast.Module([], [])


def tree_of(function: Callable[..., Any]) -> ast.FunctionDef | None:
    """The definition of a function in its source, to be read and not changed; None where that is no ``def``."""
    return _definition(source_tree(function))


def tree_to_change(function: Callable[..., Any]) -> ast.FunctionDef | None:
    """The same as a tree of the caller's own."""
    return None if tree_of(function) is None else _definition(ast.parse(_text(function)))


def _definition(tree: ast.Module) -> ast.FunctionDef | None:
    return next((one for one in tree.body[:1] if isinstance(one, ast.FunctionDef)), None)


def _text(function: Any) -> str:
    """The source, kept by the code that it was compiled to: Python looks for its end word by word each time."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return textwrap.dedent(inspect.getsource(function))
    if code not in _texts:
        _texts[code] = textwrap.dedent(inspect.getsource(function))
    return _texts[code]


def keep_text(code: CodeType, text: str) -> None:
    """Have this for the source of what the code was compiled to, of which no file has any."""
    _texts[code] = text


@lru_cache(maxsize=512)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)
