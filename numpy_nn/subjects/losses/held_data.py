"""Objects that hold their data, as ``NeuralNetwork(x, y)``: their passes are given nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.nested import arrays_of
from numpy_nn.subjects.arrays.places import Place, last_name, places
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.outputs_in_dicts import with_output_of_dict
from numpy_nn.subjects.choosing import chosen
from numpy_nn.subjects.given_code import Code, Hints
from numpy_nn.subjects.libraries.nodes import is_node
from numpy_nn.subjects.losses.unsaid import with_unsaid_cost
from numpy_nn.subjects.names import method
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.roles import is_data
from numpy_nn.subjects.state import Snapshot, equal


def held(target: Any) -> tuple[Any, Any]:
    """The data that such an object holds, and the targets, or None where it holds none.

    TypeError, with the lines that would check it, for one whose passes take nothing and that has no array called so.
    """
    x = _place_of(target, is_data) if holds_data(target) else None
    x = x if x is not None or not holds_data(target) else _without_gradient(target)
    if x is None:
        if holds_data(target) and (own := _passes(target)) is not None:
            raise _refused(target, own)
        raise TypeError("x: expected the argument of the forward pass, got None")
    targets = _place_of(target, _is_target)
    return np.array(x.read()), None if targets is None else np.array(targets.read())


def of_held_data(label: str, target: Any, inputs: Sequence[Any], targets: Any, hints: Hints) -> CodeSubject | None:
    """The subject of such an object with this input and these targets in their places; None of any other.

    Without targets they are those that it holds. TypeError where nothing that it holds is called as data are.
    """
    own = _passes(target) if len(inputs) == 1 and isinstance(inputs[0], np.ndarray) else None
    if own is None:
        return None
    forward, value, gradient = own
    x = _place_of(target, is_data, inputs[0])
    if x is None:
        raise _refused(target, own)
    y = _place_of(target, _is_target)
    if targets is not None and y is not None:
        y.put(np.array(targets))
    targets = y.read().copy() if targets is None and y is not None else targets
    if y is not None:
        hints = replace(hints, constants=(*hints.constants, str(y)))

    def passes() -> Any:
        result = forward() if forward is not None else None
        result = value() if value is not None else result
        return names.kept(target, names.OUTPUTS) if result is None else result

    run = with_output_of_dict(target, _given(passes, x), inputs, targets)
    if value is None and targets is not None and not _returns_a_loss(target, run, inputs[0], np.shape(targets)):
        return with_unsaid_cost(label, run, gradient, inputs, targets, target, hints)
    return chosen(Code(label, run, gradient, {"x": inputs[0]}, hints, owner=target))


def with_data_held(target: Any, forward: Any, x: Any) -> Any:
    """A forward pass without arguments, of an object that holds its data, as one that is given them; or as it is."""
    if forward is None or not isinstance(x, np.ndarray) or positional(forward) != ([], []):
        return forward
    place = _place_of(target, is_data, x)
    return forward if place is None else _given(forward, place)


def _given(function: Callable[[], Any], place: Place) -> Dressed:
    def with_data(data: Any) -> Any:
        place.put(data)
        return function()

    return Dressed(with_data, inspect.Signature([inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]))


def holds_data(target: Any) -> bool:
    """Whether it is an object whose forward pass, or its loss where it has none, takes nothing."""
    if inspect.isroutine(target) or isinstance(target, (type, tuple, list)):
        return False
    own = names.passes(target)[0] or method(target, names.LOSSES)
    return own is not None and positional(own) == ([], [])


def _passes(target: Any) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None, Callable[..., Any]] | None:
    """The forward pass, the loss and the backward pass of an object whose passes take nothing; None of any other."""
    forward, backward = names.passes(target)
    value = method(target, names.LOSSES)
    gradient = backward or method(target, names.LOSS_GRADIENTS)
    value = value if value is not None and positional(value) == ([], []) and value != gradient else None
    if not holds_data(target) or gradient is None or not takes(gradient, 0) or (forward is None and value is None):
        return None
    return forward, value, gradient


def _place_of(target: Any, is_meant: Callable[[str], bool], value: Any = None) -> Place | None:
    """Where the object holds this array, or else the first one that is called so."""
    arrays = [place for place in places(target) if isinstance(place.read(), np.ndarray) and place.read().ndim]
    same = [place for place in arrays if value is not None and equal(place.read(), value)]
    return next(iter([*same, *(place for place in arrays if is_meant(str(last_name(place.path))))]), None)


def _without_gradient(target: Any) -> Place | None:
    """The one array that an object with a loss holds of which its gradients have not the shape: its data; else None."""
    forward, value, gradient = _passes(target) or (None, None, None)
    if forward is not None or value is None or gradient is None:
        return None
    before = Snapshot(target)
    try:
        with Running(type(target).__name__, Patience()):
            value()
            shapes = [array.shape for _, array in arrays_of(gradient())]
    except SubjectError:
        return None
    finally:
        before.restore()
    arrays = [place for place in places(target) if isinstance(place.read(), np.ndarray) and place.read().ndim]
    rest = [place for place in arrays if place.read().shape not in shapes]
    return rest[0] if shapes and len(rest) == 1 else None


def _is_target(name: str) -> bool:
    return names.role_in_loss(name) == names.TARGET


def _returns_a_loss(target: Any, run: Callable[..., Any], x: Any, targets: tuple[int, ...]) -> bool:
    """Whether the forward pass returns one number, which is no output beside targets of this shape."""
    before = Snapshot(target)
    try:
        with Running(type(target).__name__, Patience()):
            result = run(x.copy())
        is_number = isinstance(result, (float, np.ndarray, np.floating)) and np.size(result) == 1
        return is_number and (np.ndim(result) == 0 or np.shape(result) != targets)
    finally:
        before.restore()


def _refused(target: Any, own: tuple[Callable[..., Any] | None, Callable[..., Any] | None, Any]) -> TypeError:
    name = type(target).__name__
    held = [one for value in attributes(target).values() if isinstance(value, (list, tuple)) for one in value]
    if any(map(is_node, held)):
        return TypeError(
            f"{name}: it is made of others whose passes take no input either: give the list of all of them, in the "
            "order of their forward passes, check_gradients(nodes)"
        )
    forward, value, gradient = own
    calls = [f"net.{one.__name__}()" for one in (forward, value) if one is not None]
    arrays = [str(place) for place in places(target) if isinstance(place.read(), np.ndarray)] or ["W"]
    before_passes = Snapshot(target)
    try:
        with Running(name, Patience()):
            for one in filter(None, own):
                one()
    except SubjectError:
        pass  # its gradients have no names then
    kept = [str(place) for place in places(target)]
    before_passes.restore()
    gradients = [next((f"net.{g}" for g in kept if names.is_gradient_of(g, name) > 0.5), "...") for name in arrays]
    before = "".join(f"        {one}\n" for one in calls[:-1])
    return TypeError(
        f"{name}: its passes take no input, and no array that it holds is called as data are, such as "
        f"x: give the arrays that have gradients by name:\n"
        f"    def run():\n{before}        return {calls[-1]}\n\n"
        f"    def grads():\n        net.{gradient.__name__}()\n"
        f"        return [{', '.join(gradients)}]\n\n"
        f"    check_gradients(run, grads, arrays={{{', '.join(f'{one!r}: (net, {one!r})' for one in arrays)}}})"
    )
