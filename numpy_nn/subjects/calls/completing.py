"""The method that computes gradients of parameters after a backward pass that is for the input alone."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.source.trees import source_tree

_USUAL = names.words(
    "compute_gradients compute_grads compute_parameter_gradients compute_param_grads calculate_gradients "
    "calculate_grads calc_gradients calc_grads update_gradients"
)


class Completing(NamedTuple):
    """The method, and what each of its arguments is: one of forward's by its name there, or a role of backward's."""

    method: Callable[..., Any]
    arguments: tuple[str, ...]


def completing(
    owner: Any, backward: Any, inputs: Sequence[str], target: str | None, grads: str | None
) -> Completing | None:
    """The one that goes by a usual name and wants nothing; or that keeps gradients which backward does not, or None.

    It may want forward's inputs, the targets, or the gradient of the output, whose role is ``grads``, None where a step
    has none.
    """
    if owner is None:
        return None
    for usual in (getattr(owner, name, None) for name in _USUAL):
        if callable(usual) and usual != backward and signatures.positional(usual) == ([], []):
            return Completing(usual, ())
    of_backward = getattr(getattr(backward, "__func__", None), "__code__", None)
    if getattr(backward, "__self__", None) is not owner or of_backward is None:
        return None
    forward = names.passes(owner)[0]
    found = [
        Completing(method, arguments)
        for name, method in names.callables(owner)
        if _completes(name, method, forward, backward)
        and name not in of_backward.co_names
        and (arguments := _arguments(method, inputs, target, grads)) is not None
    ]
    return found[0] if len(found) == 1 else None


def _completes(name: str, method: Any, forward: Any, backward: Any) -> bool:
    """Whether a method keeps gradients, such as the backward pass does not keep, and else what forward keeps too."""
    if not inspect.ismethod(method) or method == backward or names.is_reset(name) or not names.tells_gradients(name):
        return False
    kept = set(_kept_by(method)) - set(_kept_by(forward))
    return bool(kept) and all(map(names.tells_gradients, kept)) and not kept & set(_kept_by(backward))


def _kept_by(method: Any) -> Iterator[str]:
    """The attributes of its object that a method binds or changes."""
    for node in ast.walk(source_tree(method)):
        bound = [node.target] if isinstance(node, (ast.AugAssign, ast.AnnAssign)) else []
        targets = node.targets if isinstance(node, ast.Assign) else bound
        for target in targets:
            for part in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                while isinstance(part, ast.Subscript):
                    part = part.value
                if isinstance(part, ast.Attribute):
                    yield part.attr


def _arguments(method: Any, inputs: Sequence[str], target: str | None, grads: str | None) -> tuple[str, ...] | None:
    """What its arguments are; None where one of them is none of what a step has."""
    wanted, _ = signatures.positional(method) or ([""], [])
    own = [name for name in inputs if name != target]
    found: dict[str, str | None] = {}
    for name in wanted:
        if name in own:
            found[name] = name
        elif names.role_in_loss(name) == names.TARGET:
            found[name] = target
        elif names.role(name) == names.GRAD:
            found[name] = grads
    rest = [name for name in wanted if name not in found]
    if len(rest) == len(own) == 1:
        found[rest[0]] = own[0]
    return None if None in found.values() or len(found) < len(wanted) else tuple(str(found[name]) for name in wanted)
