"""Where a target keeps its parameters, and their gradients beside them: the forms that people write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

# How people name the gradient of a parameter `W` that they keep beside it.
GRADIENT_NAMES = ("d{}", "d_{}", "grad_{}", "{}_grad", "grad{}", "{}_gradient", "g{}")

Getter = Callable[[], Any]


def parameters_of(target: Any, named: Mapping[str, str] | None) -> list[tuple[str, NDArray[Any], Getter]]:
    """Name, live array and how to get the gradient of every parameter."""
    if named is not None:
        return [(name, _array(target, name), _attribute(target, gradient)) for name, gradient in named.items()]
    if callable(getattr(target, "named_parameters", None)):
        return [(name, p.data, partial(getattr, p, "grad")) for name, p in target.named_parameters()]
    if callable(getattr(target, "params_and_grads", None)):  # joelnet's networks
        arrays = [data for data, _ in target.params_and_grads()]
        return [(f"parameter {i}", data, partial(_nth_gradient, target, i)) for i, data in enumerate(arrays)]
    collected = _collected_parameters(target)
    return _attributes_with_gradients(target) if collected is None else collected


def _collected_parameters(target: Any) -> list[tuple[str, NDArray[Any], Getter]] | None:
    """Those of two collections of one kind, ``params`` and ``grads``; None if there are none."""
    params, grads = getattr(target, "params", None), getattr(target, "grads", None)
    if isinstance(params, Mapping) and isinstance(grads, Mapping):
        return [(name, array, partial(_item, target, _gradient_name(name, grads))) for name, array in params.items()]
    if isinstance(params, Sequence) and isinstance(grads, Sequence):
        return [(f"params[{i}]", array, partial(_item, target, i)) for i, array in enumerate(params)]
    return None


def _attributes_with_gradients(target: Any) -> list[tuple[str, NDArray[Any], Getter]]:
    """The attributes that are arrays and have another beside them that is named as their gradient."""
    attributes = vars(target) if hasattr(target, "__dict__") else {}
    found = []
    for name, value in attributes.items():
        gradient = _gradient_name(name, attributes)
        if gradient != name and isinstance(value, np.ndarray) and value.dtype.kind == "f":
            found.append((name, value, _attribute(target, gradient)))
    return found


def _nth_gradient(target: Any, index: int) -> Any:
    return list(target.params_and_grads())[index][1]


def _item(target: Any, key: Any) -> Any:
    """The entry of ``target.grads``, looked up anew as backward may replace it; None if there is none."""
    try:
        return target.grads[key]
    except (KeyError, IndexError):
        return None


def _gradient_name(name: str, names: Iterable[str]) -> str:
    """The name among ``names`` that a gradient of ``name`` would have, else ``name`` itself."""
    return next((form.format(name) for form in GRADIENT_NAMES if form.format(name) in names), name)


def _attribute(target: Any, path: str) -> Getter:
    def get() -> Any:
        value = target
        for part in path.split("."):
            try:
                value = value[part] if isinstance(value, Mapping) else getattr(value, part)
            except (AttributeError, KeyError):
                raise ValueError(f"parameters: {type(target).__name__} has no {path}") from None
        return value

    return get


def _array(target: Any, path: str) -> NDArray[Any]:
    array = _attribute(target, path)()
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise TypeError(f"parameters: expected {path} to be an array of floats, got {type(array).__name__}")
    return array


def lone_arrays(target: Any) -> list[str]:
    """Attributes that look like parameters."""
    if any(hasattr(target, name) for name in ("named_parameters", "params_and_grads", "params")):
        return []
    arrays = vars(target).items() if hasattr(target, "__dict__") else ()
    return [
        name
        for name, value in arrays
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not name.startswith("_")
    ]
