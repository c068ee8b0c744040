"""How a step begins, for code that adds up gradients until it is told to begin anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from numpy_nn.layers.composition import Composition
from numpy_nn.subjects import names
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.arguments import takes
from numpy_nn.subjects.source.zeroed import set_to_zero_around
from numpy_nn.subjects.state import of_a_library, of_installed, reachable


class Slot(NamedTuple):
    """An attribute or an entry for a gradient, which is None until the first backward pass, or a dict or list of none.

    Or 0, in an object that holds a parameter and its gradient, and no more, or where other code sets it to 0.
    """

    holder: Any
    key: Any
    is_zero: bool = False

    @property
    def length(self) -> int:
        """How many gradients are there, if it is a list; else 0."""
        now = next((value for key, value in _held(self.holder) if key == self.key), None)
        return len(now) if isinstance(now, list) else 0

    def is_empty(self) -> bool:
        """Whether no gradient is there."""
        held = [value for key, value in _held(self.holder) if key == self.key]
        return any(not np.any(value) if self.is_zero else _is_nothing(value) for value in held)

    def empty(self) -> None:
        """Have None there again, or nothing in the dict or list, or zeros, as whoever trains has."""
        now = next((value for key, value in _held(self.holder) if key == self.key), None)
        if isinstance(now, (dict, list)):
            now.clear()
        elif self.is_zero:
            setattr(self.holder, self.key, np.zeros_like(now))
        elif isinstance(self.holder, (dict, list)):
            self.holder[self.key] = None
        else:
            setattr(self.holder, self.key, None)


def resets_of(owner: Any) -> list[Callable[[], Any]]:
    """The methods that begin a step: the owner's, or where it has none those of what it holds."""
    return next((found for things in ([owner], reachable(owner)) if (found := _methods(things))), [])


def empty_slots(owner: Any) -> list[Slot]:
    """Where the user's objects, and dicts and lists in them, have None, or nothing in a dict or list, for a gradient.

    And where an object that is a parameter and its gradient, as torch's are, has zeros for this, or any other that
    code in the modules of these objects sets to 0, as a loop of training does.
    """
    own = [thing for thing in reachable(owner) if isinstance(thing, dict) or not of_installed(type(thing))]
    around = set_to_zero_around(own)
    return [
        slot
        for thing in own
        for key, value in _held(thing)
        if names.tells_gradients(key)
        for slot in _empty(thing, key, value)
    ] + [Slot(thing, key, True) for thing in own for key in _zeros_before_a_step(thing, around)]


def _zeros_before_a_step(thing: Any, around: Collection[str]) -> list[str]:
    if isinstance(thing, dict):
        return []
    beside = _gradient_beside(thing)
    held = ((name, one) for name, one in attributes(thing).items() if name == beside or name in around)
    arrays = ((name, one) for name, one in held if isinstance(one, np.ndarray) and one.dtype.kind == "f")
    return [name for name, one in arrays if names.tells_gradients(name) and not np.any(one)]


def _gradient_beside(thing: Any) -> str | None:
    """Of an object that is a parameter with its gradient, as torch's are, the name of this where it is 0; else None."""
    held = {} if isinstance(thing, dict) else attributes(thing)
    arrays = {name: one for name, one in held.items() if isinstance(one, np.ndarray) and one.dtype.kind == "f"}
    gradients = [name for name in arrays if names.tells_gradients(name)]
    if len(arrays) != 2 or len(gradients) != 1 or len({one.shape for one in arrays.values()}) > 1:
        return None
    is_layer = any(one is not None for one in names.passes(thing))
    return None if is_layer or np.any(arrays[gradients[0]]) else gradients[0]


def _is_nothing(value: Any) -> bool:
    return value is None or (type(value) in (dict, list) and not value)


def _empty(holder: Any, key: Any, value: Any, around: tuple[int, ...] = ()) -> Iterator[Slot]:
    if _is_nothing(value):
        yield Slot(holder, key)
    elif type(value) in (dict, list) and id(value) not in around:  # a list may hold itself
        for inner_key, inner in _held(value):
            yield from _empty(value, inner_key, inner, (*around, id(value)))


def _held(thing: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(thing, list):
        return enumerate(thing)
    return thing.items() if isinstance(thing, dict) else attributes(thing).items()


def _methods(things: Sequence[Any]) -> list[Callable[[], Any]]:
    # What every layer of numpy_nn has is never called by training, and would hide a layer that adds up gradients.
    own = [thing for thing in things if type(thing).__module__ != "builtins" and not of_a_library(thing)]
    found = [reset for thing in own if (reset := _reset_of(thing)) is not None]
    return [reset for reset in found if getattr(reset, "__func__", None) is not Composition.zero_grad]


def _reset_of(thing: Any) -> Callable[[], Any] | None:
    called_so = sorted((name for name in dir(thing) if names.is_reset(name)), key=len)
    return next((it for name in called_so if callable(it := names.method(thing, [name])) and takes(it, 0)), None)
