"""Passes that take all inputs in one tuple, and all gradients in another, as Chainer's functions do."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.source.trees import source_tree
from numpy_nn.subjects.state import Snapshot

Apart = tuple[Dressed, Dressed, tuple[Any, ...]]


def taken_out_of_tuples(forward: Any, backward: Any, given: Sequence[Any]) -> Apart | None:
    """Passes of an argument for each input, and these, of ``forward(inputs)`` and ``backward(inputs, grad_outputs)``.

    They are meant so if forward turns a tuple of the inputs into a tuple of arrays, and backward that and a tuple of
    gradients into a gradient, or None, for each input. Code that takes an array makes no tuple of a tuple. Else None.
    """
    inputs = given[0] if len(given) == 1 and type(given[0]) is tuple else tuple(given)
    first, second = ((([] if f is None else names.positional(f)) or ([], []))[0] for f in (forward, backward))
    if len(first) != 1 or len(second) != 2 or second[0] != first[0] or not _may_be(forward, first[0], len(inputs)):
        return None
    before = Snapshot(forward, backward)
    try:
        with Running(getattr(forward, "__name__", "forward"), Patience()):
            outputs = forward(_copies(inputs))
            gradients = backward(_copies(inputs), tuple(map(np.ones_like, outputs))) if _are_arrays(outputs) else ()
    except SubjectError:
        return None
    finally:
        before.restore()
    if not (isinstance(gradients, tuple) and len(gradients) == len(inputs) and _are_arrays(outputs)):
        return None

    def taking_each(*each: Any) -> Any:
        returned = forward(each)
        return returned[0] if len(returned) == 1 else returned

    def giving_each(*each: Any) -> Any:
        return backward(each[: len(inputs)], tuple(map(np.asarray, each[len(inputs) :])))

    own = _names_of_parts(forward, first[0], len(inputs))
    grads = [f"grad_output_{i}" for i in range(len(outputs))]
    return _dressed(taking_each, forward, own), _dressed(giving_each, backward, [*own, *grads]), inputs


def _may_be(forward: Callable[..., Any], name: str, number: int) -> bool:
    """Whether the argument may be a tuple of so many: it is unpacked so, or called as several things are."""
    return name.endswith("s") or len(_unpacked(forward, name)) == number


def _copies(inputs: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(one.copy() if isinstance(one, np.ndarray) else one for one in inputs)


def _are_arrays(outputs: Any) -> bool:
    kinds = (np.ndarray, np.floating)
    return isinstance(outputs, tuple) and bool(outputs) and all(isinstance(one, kinds) for one in outputs)


def _names_of_parts(forward: Callable[..., Any], name: str, number: int) -> list[str]:
    """What the source calls the parts, if it takes the tuple apart: ``x, t = inputs``."""
    found = _unpacked(forward, name)
    return found if len(found) == number else [f"{name}_{i}" for i in range(number)]


def _unpacked(forward: Callable[..., Any], name: str) -> list[str]:
    for node in ast.walk(source_tree(forward)):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == name):
            continue
        if isinstance(parts := node.targets[0], (ast.Tuple, ast.List)):
            own = [part.id for part in parts.elts if isinstance(part, ast.Name)]
            if len(set(own)) == len(parts.elts):
                return own
    return []


def _dressed(function: Callable[..., Any], of: Any, own: Sequence[str]) -> Dressed:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    found = Dressed(function, inspect.Signature([inspect.Parameter(name, kind) for name in own]))
    found.__name__ = getattr(of, "__name__", "")
    return found
