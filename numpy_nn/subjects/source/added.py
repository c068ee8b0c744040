"""What a method of an object adds to what it learns: what it is given goes down, and is minus a gradient."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.source.trees import source_tree


def adds_what_it_is_given(owner: Any, learned: Collection[str], others: Collection[Any]) -> Callable[..., Any] | None:
    """The method that moves attributes by what it is given, and adds it to each; None if none does, or one subtracts.

    ``learned`` are the names of the attributes, and ``others`` methods that do not count, as the passes themselves.
    """
    found: Callable[..., Any] | None = None
    for _, method in names.callables(owner):
        if not inspect.ismethod(method) or method in others:
            continue
        moves = list(_moves(method, learned))
        if moves and not all(moves):
            return None
        found = method if moves else found
    return found


def _moves(method: Any, learned: Collection[str]) -> Iterator[bool]:
    """Of each attribute that a method moves by one of its arguments, whether it is up: ``self.W = self.W + lr * d``."""
    given = set((signatures.positional(method) or ([], []))[0])
    target: ast.expr
    for node in ast.walk(source_tree(method)):
        if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
            target, by, up = node.target, node.value, isinstance(node.op, ast.Add)
        elif (
            isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.value, ast.BinOp)
            and isinstance(node.value.op, (ast.Add, ast.Sub))
            and ast.unparse(node.value.left) == ast.unparse(node.targets[0])
        ):
            target, by, up = node.targets[0], node.value.right, isinstance(node.value.op, ast.Add)
        else:
            continue
        own = [part.attr for part in ast.walk(target) if isinstance(part, ast.Attribute)]
        used = {part.id for part in ast.walk(by) if isinstance(part, ast.Name)}
        has_minus = any(isinstance(part, ast.USub) for part in ast.walk(by))
        if used & given and not has_minus and any(name in learned for name in own):
            yield up
