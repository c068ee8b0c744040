"""Functions of a file that build what is to be checked, ``build_model(3)``: a network, or a list of layers."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from numpy_nn.subjects import signatures
from numpy_nn.subjects.source.loops import loop_of_training
from numpy_nn.subjects.source.trees import source_tree


def builds(function: Any, made: Callable[[Any], Any], *, words: int) -> Any:
    """What a function makes, if that is an object or a list of objects; else None.

    It is ``made`` where there are words for all that it wants, or it takes nothing at all and has no loop of training.
    """
    if not inspect.isfunction(function):
        return None
    own = signatures.signature(function).parameters.values()
    if words < sum(one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD for one in own):
        return None
    if not words and (own or loop_of_training(function) is not None):
        return None
    if not any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(source_tree(function))):
        return None  # as main(), which does whatever it does
    found = made(function)
    parts = found if isinstance(found, (list, tuple)) else [found]
    return found if parts and all(map(_is_object, parts)) else None


def _is_object(thing: Any) -> bool:
    return hasattr(thing, "__dict__") and not isinstance(thing, type) and not inspect.isroutine(thing)
