"""The tensors of an engine of one's own: what is one, and which a function is given and an object holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects.arrays.places import Path, Step, in_order, written
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.signatures import positional

_PLACES = ("data", "_data", "value", "_value", "val", "v", "array", "arr", "cached_data")
_GRADS = ("grad", "_grad", "g", "gradient", "derivative", "adjoint")


def is_object_of_somebody(thing: Any) -> bool:
    """Whether it has attributes, and is no array, number, container or function: a network, say."""
    known = (np.ndarray, np.generic, type, Mapping, list, tuple, str)
    return hasattr(thing, "__dict__") and not isinstance(thing, known) and not inspect.isroutine(thing)


def is_tensor(thing: Any) -> bool:
    """Whether it holds a number or an array of floats, as ``data``, and has a ``grad`` and ``backward()``.

    By these names, or the likes of them: ``value`` and ``g``.
    """
    if is_no_object_of_an_engine(thing):
        return False
    return place_in(thing) is not None and slot_in(thing) is not None and callable(getattr(thing, "backward", None))


def is_no_object_of_an_engine(thing: Any) -> bool:
    """Whether it is an array, a container, a class, or of a framework that is installed."""
    # A dict whose keys are its attributes may raise KeyError where an attribute is missing.
    if isinstance(thing, (np.ndarray, type, Mapping)):
        return True
    return type(thing).__module__.partition(".")[0] in ("torch", "jax", "jaxlib")


def place_in(tensor: Any) -> str | None:
    """The attribute in which a tensor holds its numbers."""
    own = (name for name in _PLACES if _holds_floats(getattr(tensor, name, None)))
    return next((name for name in own if not _only_shows(tensor, name)), None)


def slot_in(tensor: Any) -> str | None:
    """The attribute in which a tensor holds its gradient."""
    held = (name for name in _GRADS if hasattr(tensor, name) and not callable(getattr(tensor, name)))
    own = (name for name in held if not _only_shows(tensor, name))
    # Or one that its class declares, and a backward pass makes.
    declared = {name for kind in type(tensor).__mro__ for name in getattr(kind, "__annotations__", {})}
    return next(own, next((name for name in _GRADS if name in declared), None))


def _only_shows(tensor: Any, name: str) -> bool:
    """Whether an attribute is a property that cannot be set, which shows what is kept under another name."""
    of_class = inspect.getattr_static(type(tensor), name, None)
    return isinstance(of_class, property) and of_class.fset is None


def grad_of(tensor: Any) -> Any:
    """What a tensor has for its gradient."""
    return getattr(tensor, slot_in(tensor) or "grad", None)


def _holds_floats(data: Any) -> bool:
    is_number = isinstance(data, (float, int)) and not isinstance(data, bool)
    return is_number or (isinstance(data, (np.ndarray, np.floating)) and data.dtype.kind == "f")


def holds_whole_numbers(tensor: Any) -> bool:
    """Whether it holds indices, which are not differentiated."""
    held = (getattr(tensor, name, None) for name in _PLACES)
    return any(isinstance(one, np.ndarray) and one.dtype.kind in "iu" for one in held)


def held_by(tensor: Any) -> Any:
    """The numbers that a tensor holds."""
    return getattr(tensor, place_in(tensor) or "data")


def differentiated(target: Any, forward: Callable[..., Any], arguments: Sequence[Any]) -> dict[str, Any]:
    """The tensors by their names, each once."""
    found: dict[str, Any] = {}
    for name, tensor in (*_given(forward, arguments), *tensors_held(target)):
        if getattr(tensor, "requires_grad", True) and all(tensor is not other for other in found.values()):
            found[name] = tensor
    return found


def _given(forward: Callable[..., Any], arguments: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """The tensors among the arguments, by the names that the function has for them."""
    required, optional = positional(forward) or ([], [])
    own = [*required, *optional]
    for index, argument in enumerate(arguments):
        name = own[index] if index < len(own) else f"input {index}" if index else "input"
        if is_tensor(argument):
            yield name, argument
        elif is_object_of_somebody(argument) and not is_no_object_of_an_engine(argument):
            yield from tensors_in(argument, name)
        elif isinstance(argument, list):
            yield from ((f"{name}[{i}]", part) for i, part in enumerate(argument) if is_tensor(part))


def tensors_held(target: Any) -> Iterator[tuple[str, Any]]:
    """The tensors in an object, or in what a function refers to."""
    if not inspect.isroutine(target):
        yield from tensors_in(target, "")
        return
    if (owner := getattr(target, "__self__", None)) is not None:
        yield from tensors_in(owner, "")
    bare = getattr(target, "__func__", target)
    variables = inspect.getclosurevars(bare) if inspect.isfunction(bare) else None
    for name, value in ({**variables.globals, **variables.nonlocals} if variables else {}).items():
        if is_tensor(value):
            yield name, value
        elif not inspect.isroutine(value) and not inspect.ismodule(value) and not isinstance(value, type):
            yield from tensors_in(value, name)


def tensors_in(thing: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every tensor that an object, a list or a dict holds, but for those that it was computed from."""
    seen: set[int] = set()

    def walk(thing: Any, path: Path) -> Iterator[tuple[str, Any]]:
        if id(thing) in seen or isinstance(thing, (str, bytes, type, np.ndarray)):
            return
        seen.add(id(thing))
        if is_tensor(thing):
            yield prefix + written(path) if path[0].is_item or not prefix else f"{prefix}.{written(path)}", thing
        elif isinstance(thing, Mapping):
            for key, value in thing.items():
                yield from walk(value, (*path, Step(key, True)))
        elif isinstance(thing, (list, tuple, set, frozenset)):
            for index, value in in_order(thing):
                yield from walk(value, (*path, Step(index, True)))
        else:
            for name, value in attributes(thing).items():
                yield from walk(value, (*path, Step(name, False)))

    yield from walk(thing, ())
