"""Forward passes that return a dict: of all that they compute, the output among it, or of several outputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.nested import copied
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.undone import undone

# An activation of a layer inside may be called a, z, h or y.
_OUTPUTS = ("output", "outputs", "out", "result", "y_pred", "y_hat", "yhat", "prediction", "predictions", "pred")


class OfDict(Dressed):
    """A forward pass that returns what is under a key of its dict first."""

    said = ""


def said_of_output(forward: Any) -> list[str]:
    """A note on what was taken for the output, if anything was."""
    while forward is not None and not isinstance(forward, OfDict):
        forward = getattr(forward, "func", None)
    return [forward.said] if forward is not None else []


def with_output_of_dict(owner: Any, forward: Any, inputs: Sequence[Any], targets: Any) -> Any:
    """A forward pass that returns its output and the dict, where it returns a dict in which the output can be told.

    Any other is given back as it is.
    """
    if forward is None or targets is None or not callable(forward):
        return forward
    try:
        with (
            undone(forward if owner is None else owner, *inputs, drawing=forward),
            Running(getattr(forward, "__name__", "forward"), Patience()),
        ):
            result = forward(*map(copied, inputs))
    except SubjectError:
        return forward
    key = key_of_output(result, targets)
    return forward if key is None else _with_output_first(forward, key)


def key_of_output(result: Any, targets: Any) -> Any:
    """Under which key a dict has the output: the last array that may be compared with the targets; None if none may.

    That is one of their shape, or for labels one with a row for each. What is called as an output comes first.
    """
    if not isinstance(result, Mapping):
        return None
    shape = np.shape(targets)
    of_labels = np.asarray(targets).dtype.kind in "iu"
    arrays = {key: one for key, one in result.items() if isinstance(one, np.ndarray) and one.dtype.kind == "f"}
    fitting = [
        key
        for key, one in arrays.items()
        if one.shape == shape or (of_labels and one.ndim == len(shape) + 1 and one.shape[: len(shape)] == shape)
    ]
    called = [key for key in fitting if isinstance(key, str) and names.plain(key) in _OUTPUTS]
    return next(reversed(called if len(called) == 1 else fitting), None)


def _with_output_first(forward: Callable[..., Any], key: Any) -> Dressed:
    def with_output(*arguments: Any, **named: Any) -> tuple[Any, Any]:
        kept = forward(*arguments, **named)
        return kept[key], kept

    with_output.__name__ = getattr(forward, "__name__", "forward")
    dressed = OfDict(with_output, signatures.signature(forward))
    dressed.func, dressed.said = forward, f"{with_output.__name__} returns a dict: its output is taken to be {key!r}"
    return dressed


def with_outputs_of_dict(owner: Any, forward: Any, backward: Any, inputs: Sequence[Any]) -> tuple[Any, Any] | None:
    """Passes of outputs one by one, of which forward returns a dict and backward takes another of their gradients.

    None of any other: a dict beside which backward takes something else as well is rather a cache.
    """
    own = ((None if backward is None else signatures.positional(backward)) or ([], []))[0]
    if forward is None or len(own) != 1 or names.role(own[0]) == names.CACHE:
        return None
    changed = (forward, backward) if owner is None else (owner,)
    try:
        with undone(*changed, *inputs, drawing=forward), Running(getattr(forward, "__name__", "forward"), Patience()):
            result = forward(*map(copied, inputs))
            if not isinstance(result, Mapping) or not all(isinstance(one, np.ndarray) for one in result.values()):
                return None
            backward({key: np.ones_like(one) for key, one in result.items()})
    except SubjectError:
        return None
    keys = list(result)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

    def outputs(*arguments: Any, **named: Any) -> Any:
        found = forward(*arguments, **named)
        return tuple(found[key] for key in keys) if len(keys) > 1 else found[keys[0]]

    def gradients(*grads: Any) -> Any:
        return backward(dict(zip(keys, grads, strict=True)))

    one_by_one = inspect.Signature([inspect.Parameter(f"grad_output_{i}", kind) for i in range(len(keys))])
    dressed = Dressed(outputs, signatures.signature(forward)), Dressed(gradients, one_by_one)
    for one, of in zip(dressed, (forward, backward), strict=True):
        one.__name__, one.func = getattr(of, "__name__", ""), of
    return dressed
