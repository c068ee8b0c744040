"""Passes that take all inputs in one tuple, as Chainer's functions and some losses do."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.rates import is_called_as_training
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.source.loops import loop_of_training
from numpy_nn.subjects.source.recompiled import rewritten
from numpy_nn.subjects.source.roles import is_of_validation
from numpy_nn.subjects.source.trees import source_tree
from numpy_nn.subjects.state import Snapshot

Apart = tuple[Dressed, Dressed, tuple[Any, ...]]


def taken_out_of_tuples(forward: Any, backward: Any, given: Sequence[Any]) -> Apart | None:
    """Passes of an argument for each input, and these, of ``forward(inputs)`` and ``backward(inputs, grad_outputs)``.

    They are meant so if forward turns a tuple of the inputs into a tuple of arrays, and backward that and a tuple of
    gradients into a gradient, or None, for each input. Code that takes an array makes no tuple of a tuple. Else None.
    """
    inputs = given[0] if len(given) == 1 and type(given[0]) is tuple else tuple(given)
    first, second = ((([] if f is None else signatures.positional(f)) or ([], []))[0] for f in (forward, backward))
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


def loss_of_a_pair(
    forward: Any, backward: Any, inputs: Sequence[Any], targets: Any
) -> tuple[Dressed, Any, tuple[Any, ...], Any] | None:
    """A loss of ``forward((x, target))`` as one of an argument for each, with its gradient, these, and the targets.

    It is meant so where the source takes the one argument apart, into as many as there are with the targets, and it
    then gives a number, or one for each sample. Without targets the names must tell which of the two they are.
    """
    own = ((None if forward is None else signatures.positional(forward)) or ([], []))[0]
    each = (*inputs[0],) if targets is None and len(inputs) == 1 and type(inputs[0]) in (tuple, list) else (*inputs,)
    each = each if targets is None else (*each, targets)
    if len(own) != 1 or len(each) != 2 or not all(isinstance(one, np.ndarray) for one in each):
        return None
    parts = _unpacked(forward, own[0]) or _by_number(forward, own[0])
    # What is called y may be one more input, of which a gradient is returned.
    told = [len(names.plain(name)) > 1 and names.role_in_loss(name) == names.TARGET for name in parts]
    if len(parts) != 2 or (targets is None and told.count(True) != 1):
        return None
    before = Snapshot(forward, backward)
    try:
        with Running(getattr(forward, "__name__", "forward"), Patience()):
            result = forward(_copies(each))
            result = result[0] if isinstance(result, tuple) else result
            if not (np.size(result) == 1 or np.shape(result) == np.shape(each[0])[:1]):
                return None
    except SubjectError:
        return None
    finally:
        before.restore()
    if targets is None:
        each = each if told[1] else each[::-1]
    back = None if backward is None else _given_each(backward, own[0], parts)
    return _given_each(forward, own[0], parts), back, each[:1], each[1]


def with_data_apart(function: Any, given: Sequence[Any]) -> tuple[Any, tuple[Any, ...]] | None:
    """What trains by data in a tuple, as ``train((X, y), epochs)``, as what takes each by itself, and all it is given.

    None of what does not train, or could as well be given each by itself and does not take a tuple apart.
    """
    own, owner = signatures.unwrapped(function), getattr(function, "__self__", None)
    wanted = [] if not inspect.isfunction(own) else list(signatures.signature(function).parameters)
    rows = {i: stacked for i, one in enumerate(given) if (stacked := _rows_of_pairs(one)) is not None}
    pairs = [i for i, one in enumerate(given) if type(one) is tuple and _are_arrays(one) and len(one) == 2] + [*rows]
    pairs = [i for i in pairs if i >= len(wanted) or not is_of_validation(wanted[i])]
    if len(pairs) != 1 or len(given) > len(wanted):
        return None
    name, place = wanted[pairs[0]], pairs[0] + (owner is not None)
    both = (*given[: pairs[0]], *rows.get(pairs[0], given[pairs[0]]), *given[pairs[0] + 1 :])
    parts = ["X", "y"] if rows else _unpacked(own, name) or ([] if takes(function, len(both)) else ["X", "y"])
    trains = is_called_as_training(function) or loop_of_training(function) is not None
    if not trains or len(parts) != 2 or set(parts) & set(wanted) or not isinstance(own, FunctionType):
        return None

    def change(tree: ast.FunctionDef) -> ast.AST:
        tree.args.args[place : place + 1] = map(ast.arg, parts)
        together = f"list(zip({', '.join(parts)}))" if rows else f"({', '.join(parts)})"
        tree.body = [*ast.parse(f"{name} = {together}").body, *tree.body]
        return tree

    is_optional = signatures.signature(function).parameters[name].default is not inspect.Parameter.empty
    apart = None if is_optional else rewritten(own, change)
    if apart is None:
        return None
    return (apart if owner is None else MethodType(apart, owner)), both


def _rows_of_pairs(one: Any) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """A list of samples, each with its target, as an array of each; None for anything else."""
    if not (isinstance(one, list) and one and all(type(pair) is tuple and len(pair) == 2 for pair in one)):
        return None
    xs, ys = zip(*one, strict=True)
    alike = all(len({np.shape(part) for part in parts}) == 1 for parts in (xs, ys))
    return (np.stack(xs), np.stack(ys)) if alike and isinstance(xs[0], np.ndarray) else None


def _given_each(function: Any, name: str, parts: Sequence[str]) -> Any:
    """A function of a tuple, called so or taken apart as that, among others as one of an argument for each part."""
    own = signatures.signature(function)
    wanted = [one for one in own.parameters if one == name or _unpacked(function, one)]
    if not wanted:
        return function
    rest = [one for one in own.parameters.values() if one.name != wanted[0]]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([*(inspect.Parameter(part, kind) for part in parts), *rest])

    def given_each(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named).arguments
        return function(**{wanted[0]: tuple(bound.pop(part) for part in parts)}, **bound)

    dressed = Dressed(given_each, signature)
    dressed.__name__, dressed.func = getattr(function, "__name__", "forward"), function
    return dressed


def _by_number(forward: Callable[..., Any], name: str) -> list[str]:
    """Names for the parts that the source takes from it by a number each, as ``pair[0]`` and ``pair[1]``."""
    nodes = [one for one in ast.walk(source_tree(forward)) if isinstance(one, ast.Subscript)]
    of_it = [one.slice for one in nodes if isinstance(one.value, ast.Name) and one.value.id == name]
    numbers = {one.value for one in of_it if isinstance(one, ast.Constant)}
    return [f"{name}_{i}" for i in range(len(numbers))] if numbers == {*range(len(numbers))} else []


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
            own += [part.attr for part in parts.elts if isinstance(part, ast.Attribute)]  # self.x, self.t = inputs
            if len(set(own)) == len(parts.elts):
                return own
    return []


def _dressed(function: Callable[..., Any], of: Any, own: Sequence[str]) -> Dressed:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    found = Dressed(function, inspect.Signature([inspect.Parameter(name, kind) for name in own]))
    found.__name__ = getattr(of, "__name__", "")
    return found
