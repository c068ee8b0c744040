"""What a function's source calls the things that it returns, and what that tells of gradients."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from numpy_nn.subjects.arrays.gradients import SURE, Leaf
from numpy_nn.subjects.arrays.places import Path, Step
from numpy_nn.subjects.names import INPUT_GRADIENTS, OUTPUTS, is_gradient_of, is_loss, plain, tells_gradients
from numpy_nn.subjects.source.roles import is_state
from numpy_nn.subjects.source.trees import source_tree


def returned_names(function: Any) -> list[str]:
    """What a function calls the things that it returns last, as its source has it; none where that does not tell.

    Where another of its returns has one of these names at another place, the name does not tell which place it is.
    """
    returned = [[_name(part) for part in _parts(value)] for value in own_returns(source_tree(function))]
    found = returned[-1] if returned else []
    places = [[others.index(name) for others in returned if name in others] for name in found if name]
    moved = any(len(set(found_at)) > 1 for found_at in places)
    return found if len(set(found)) == len(found) and not moved else []


def number_returned(function: Any) -> int:
    """How many things a function returns last, as its source has it; 0 where that does not tell."""
    returned = list(own_returns(source_tree(function)))
    return len(_parts(returned[-1])) if returned else 0


def names_by_place(function: Any) -> dict[Path, str]:
    """The names of all that a function returns last, by its place in that; also within lists that have a name there.

    What is an entry of something goes by the name of that. A name that is at two places tells nothing.
    """
    tree = source_tree(function)
    values = list(own_returns(tree))
    listed = _lists_by_name(tree)
    found = dict(_named(values[-1], (), listed)) if values else {}
    all_names = [(path, name) for value in values for path, name in _named(value, (), listed)]
    return {path: name for path, name in found.items() if all(at == path for at, other in all_names if other == name)}


def told_by(backward: Any, forward: Any, number: int) -> dict[Path, str]:
    """What the source of backward calls what it returns, by its places in that.

    Or that of a loss with its gradients, which returns ``number`` things, by their places without that of the loss.
    """
    if backward is not None:
        return names_by_place(getattr(backward, "func", backward))
    told = names_by_place(getattr(forward, "func", forward))
    before = max((int(path[0].key) for path in told if path), default=0) + 1 - number
    if number > 2 and before > 0 and before == outputs_before_loss(getattr(forward, "func", forward)):
        told = {(Step(path[0].key - before, True), *path[1:]): name for path, name in told.items() if path}
    loss = int(number == 2 and is_loss(told.get((Step(1, True),), "")))  # (gradients, loss) is turned round
    rest = {path: name for path, name in told.items() if path and path[0].key != loss}
    if number == 2:
        return {path[1:]: name for path, name in rest.items()}
    return {(Step(path[0].key - 1, True), *path[1:]): name for path, name in rest.items()}


def outputs_before_loss(function: Any) -> int:
    """How many things a function returns before what it calls a loss and then nothing but gradients; 0 if not so.

    As ``return a, cost, dW, db`` does.
    """
    found = returned_names(getattr(function, "func", function))
    losses = [place for place, name in enumerate(found) if is_loss(name)]
    if len(losses) != 1 or not 0 < losses[0] < len(found) - 1:
        return 0
    before, after = found[: losses[0]], found[losses[0] + 1 :]
    return losses[0] if all(map(tells_gradients, after)) and not any(map(tells_gradients, before)) else 0


def place_of_loss(function: Any, result: Any) -> int:
    """Where among what a loss returned the loss is: the one number after arrays, as in (probabilities, loss).

    Of several numbers, as in (accuracy, loss), it is the one that alone goes by such a name in the source.
    """
    if not isinstance(result, tuple) or not result:
        return 0
    numbers = [i for i, part in enumerate(result) if isinstance(part, (float, np.floating))]
    if np.ndim(result[0]) == 0:
        returned = map(_parts, own_returns(source_tree(getattr(function, "func", function))))
        found = next((parts for parts in returned if len(parts) == len(result)), [])
        losses = [i for i, part in enumerate(found) if is_loss(_name(part))]
        return losses[0] if len(losses) == 1 and losses[0] in numbers else 0
    return numbers[0] if len(numbers) == 1 else 0


def as_told(
    told: Mapping[Path, str],
    of: Mapping[str, Any],
    likely: Mapping[str, Callable[[Leaf], float]],
    *,
    only: bool,
    data: str = "",
    elsewhere: bool = False,
) -> dict[str, Callable[[Leaf], float]]:
    """How likely a leaf is the gradient of each array, with what names in the source tell of what was returned.

    ``of`` has what each array is called, and ``data`` is the one that a gradient of the input is of. What is called as
    the gradient of one is none of another; with ``only``, and if one is called so, what is called otherwise, and not as
    some gradient, is none at all, such as the next state after gradients. Nor is it that of a state, if those of the
    parameters are kept ``elsewhere``.
    """
    sure = {path: [n for n, own in of.items() if is_gradient_of(word, own) >= SURE] for path, word in told.items()}
    for path, word in told.items():
        if not sure[path] and data in of and plain(word) in _OF_INPUT:
            sure[path] = [data]
    some = any(sure.values())

    def judged(name: str, leaf: Leaf) -> float:
        if not leaf.returned or leaf.path not in told:
            return likely[name](leaf)
        if sure[leaf.path]:
            return max(SURE, is_gradient_of(told[leaf.path], of[name])) if name in sure[leaf.path] else 0.0
        others = some or (elsewhere and is_state(str(of[name])))
        return 0.0 if only and others and not tells_gradients(told[leaf.path]) else likely[name](leaf)

    return {name: partial(judged, name) for name in likely}


def are_kept(likely: Sequence[Callable[[Leaf], float]], found: Sequence[Leaf]) -> bool:
    """Whether of each parameter a gradient is kept under a name that says so, rather than returned."""
    kept = [leaf for leaf in found if not leaf.returned]
    return bool(likely) and all(any(like(leaf) >= SURE for leaf in kept) for like in likely)


# What may be the gradient of nothing but the input, whatever that is called.
_OF_INPUT = [word for word in INPUT_GRADIENTS if "in" in word or "x" in word]


def _name(part: ast.expr) -> str:
    while isinstance(part, ast.Attribute) and part.attr == "T":
        part = part.value
    return part.id if isinstance(part, ast.Name) else getattr(part, "attr", "")


def _parts(value: ast.expr | None) -> list[ast.expr]:
    return value.elts if isinstance(value, ast.Tuple) else []


def _named(value: ast.expr | None, path: Path, listed: Mapping[str, ast.expr]) -> Iterator[tuple[Path, str]]:
    if isinstance(value, ast.Name) and value.id in listed:
        listed, value = {name: one for name, one in listed.items() if name != value.id}, listed[value.id]
    if isinstance(value, (ast.Tuple, ast.List)):
        for index, part in enumerate(value.elts):
            yield from _named(part, (*path, Step(index, True)), listed)
        return
    while isinstance(value, ast.Subscript):
        value = value.value
    if value is not None and (name := _name(value)):
        yield path, name


def _lists_by_name(tree: ast.Module) -> dict[str, ast.expr]:
    """What is assigned once in a function and is a tuple or list as it is written: no list that is filled later."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    once = {name: values[0] for name, values in found.items() if len(values) == 1}
    return {name: value for name, value in once.items() if isinstance(value, (ast.Tuple, ast.List)) and value.elts}


def own_returns(tree: ast.Module) -> Iterator[ast.expr | None]:
    """What a function returns, in the order of its source, without what functions inside it return."""
    pending: list[ast.AST] = list(getattr(tree.body[0], "body", [])) if len(tree.body) == 1 else []
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.Return):
            yield node.value
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            pending[:0] = ast.iter_child_nodes(node)


def lines_for_dict(called: str, result: Mapping[Any, Any]) -> str:
    """How what returns a dict becomes checkable."""
    floats = [key for key, value in result.items() if np.asarray(value).dtype.kind == "f"]
    outputs = [key for key in floats if plain(key) in OUTPUTS]
    key = (outputs or floats[::-1] or ["output"])[0]
    return (
        f"{called}: forward returns a dict with {', '.join(map(str, result))}; have it return its output, and the dict "
        "as its cache:\n"
        f"    check_gradients((lambda *given: ((kept := {called}(*given))[{key!r}], kept), backward), x)"
    )


def lines_for_dict_alone(called: str, result: Mapping[Any, Any]) -> str:
    """The same for one function that returns its value and its gradients in a dict."""
    numbers = [key for key, value in result.items() if np.size(value) == 1]
    values = [key for key in numbers if isinstance(key, str) and (is_loss(key) or plain(key) == "value")]
    key = (values or numbers or ["loss"])[0]
    gradients = "".join(f"kept[{other!r}], " for other in result if other != key)
    return (
        f"{called}: forward returns a dict with {', '.join(map(str, result))}; have it return its value, and then the "
        "gradients in the order of the arguments:\n"
        f"    check_gradients(lambda *given: ((kept := {called}(*given))[{key!r}], {gradients.rstrip(', ')}), x)"
    )
