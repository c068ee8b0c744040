"""Arrays that code uses and keeps where no path of its object leads: around its methods, in closures, in sets.

They cannot be checked as what the object keeps is. But the output may depend on them, and then they are counted.
"""

from __future__ import annotations

import array as standard
import inspect
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names
from numpy_nn.subjects.bindings import UNBOUND, bindings
from numpy_nn.subjects.calling import arrays_of
from numpy_nn.subjects.gradients import SURE, same_but_ones
from numpy_nn.subjects.likely import LikelyCode
from numpy_nn.subjects.places import last_name, parsed, places
from numpy_nn.subjects.state import GENERATORS, attributes, equal, is_installed, of_a_library, of_installed
from numpy_nn.subjects.subject import SubjectError


class HidingCode(LikelyCode):
    """Called code, of which the arrays are counted that it keeps where no path leads."""

    def count_hidden(self, constants: Sequence[str]) -> None:
        """Add to ``unchecked`` the arrays of floats that the output depends on and that are at no place.

        They are what the code uses, unless backward updates them, or makes what may be the gradient of one.
        """
        hidden = {name: one for name, one in self._hidden().items() if not {name, _last(name)} & set(constants)}
        known = {name for name, _, _ in self.unchecked}
        depending = {name: one for name, one in hidden.items() if name not in known and self._hangs_on(one)}
        if not depending:
            return
        before = {name: one.copy() for name, one in hidden.items()}
        claimed = self._claimed_of_hidden(hidden)
        moved = [name for name in depending if not equal(before[name], hidden[name])]
        for name, values in before.items():
            _put(hidden[name], values)
        for name, one in depending.items():
            learned = name in moved or any(_may_be_gradient(key, shape, name, one) for key, shape in claimed)
            self.unchecked.append((name, "unchecked" if learned else "granted", one.size))

    def _hidden(self) -> dict[str, NDArray[Any]]:
        """The arrays of floats, of complex ones too, that the code reaches and that are at no place and no argument."""
        held = [one for value in self._given.values() for _, one in arrays_of(value)]
        held += [value for value in (self.targets, *self.arrays.values()) if isinstance(value, np.ndarray)]
        if self._owner is not None:
            held += [np.asarray(place.read()) for place in places(self._owner, repeated=True)]
        found: dict[str, NDArray[Any]] = {}
        for name, one in _everything(self._owner, self._forward, self._backward):
            is_one = one.dtype.kind in "fc" and one.size > 0 and name not in found
            if is_one and not any(np.may_share_memory(one, other) for other in held):
                found[name] = one
        return found

    def _hangs_on(self, one: NDArray[Any]) -> bool:
        """Whether the output hangs on an array: it is moved a little, and put back."""
        kept = one.copy()
        moved = kept * 1.125 + 0.0625 * np.linspace(1.0, 2.0, one.size).reshape(one.shape) * np.sign(kept.real + 0.5)

        def move() -> None:
            _put(one, moved)

        try:
            home = self.output()
            move()
            self._tried = move
            return not equal(self.output(), home)
        except SubjectError:
            return True
        finally:
            self._tried = None
            _put(one, kept)

    def _claimed_of_hidden(self, hidden: Mapping[str, NDArray[Any]]) -> list[tuple[Any, tuple[int, ...]]]:
        """The names and shapes of what a backward pass makes that may be a gradient, and is not that of another."""
        found = [
            (last_name(leaf.path) if leaf.path else "", leaf.value.shape)
            for leaf in self._not_taken
            if not self._is_of_another(leaf, "")
        ]
        before = {name: one.copy() for name, one in hidden.items()}
        self.gradients(self.random_grad_output(np.random.default_rng(0), self.output().shape))
        for name, one in self._hidden().items():
            is_new = one is not hidden.get(name) or not equal(before[name], one)
            if is_new and any(names.tells_gradients(step.key) for step in parsed(name)):
                found.append((_last(name), one.shape))
        kept = ((_last(name), one.shape) for name, one in self.kept_arrays())
        return found + [(key, shape) for key, shape in kept if names.tells_gradients(key) and shape == ()]


def _put(one: NDArray[Any], values: NDArray[Any]) -> None:
    if one.flags.writeable:
        one[...] = values


def _may_be_gradient(key: Any, shape: tuple[int, ...], name: str, one: NDArray[Any]) -> bool:
    """Whether what is called ``key`` may be the gradient of a hidden array: by its name, or else by its shape.

    Of a mask every array of data has the shape.
    """
    of = _last(name)
    if names.is_gradient_of(key, of) >= SURE or key == of:
        return True
    return one.size > 1 and same_but_ones(shape, one.shape) and not np.all((one == 0.0) | (one == 1.0))


def _last(name: str) -> Any:
    """The last part of a path that is a name."""
    keys = parsed(name)
    return last_name(keys) if keys else name


def _everything(owner: Any, *functions: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays that can be reached from an object and from functions, each once, with the words that lead to it."""
    waiting = deque([("", owner), *(("", function) for function in functions)])
    seen: dict[int, Any] = {}
    while waiting:
        name, thing = waiting.popleft()
        if id(thing) in seen or thing is None or isinstance(thing, (str, bytes, int, float, complex, *GENERATORS)):
            continue
        seen[id(thing)] = thing
        buffer = _as_array(thing)
        if buffer is not None:
            yield name, buffer
        elif isinstance(thing, partial) or not (of_a_library(thing) or inspect.ismodule(thing)):
            waiting += _parts(name, thing)


def _as_array(thing: Any) -> NDArray[Any] | None:
    """An array, or the numbers of a buffer of floats as one; None for anything else."""
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        return thing
    if isinstance(thing, standard.array) and thing.typecode in "fd":
        return np.frombuffer(thing, thing.typecode)
    return np.asarray(thing) if isinstance(thing, memoryview) and thing.format in ("f", "d") else None


def _parts(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, Mapping):
        yield from ((f"{name}[{key!r}]", value) for key, value in list(thing.items()))
    elif isinstance(thing, (list, tuple, deque)):
        yield from ((f"{name}[{index}]", value) for index, value in enumerate(list(thing)))
    elif isinstance(thing, np.ndarray):
        yield from ((f"{name}[{index}]", value) for index, value in enumerate(thing.flat))
    elif isinstance(thing, (set, frozenset)):
        yield from ((name, value) for value in list(thing))
    elif isinstance(thing, weakref.ref):
        yield name, thing()
    elif isinstance(thing, partial):
        yield name, thing.func
        yield from ((f"{name}.args[{index}]", value) for index, value in enumerate(thing.args))
        yield from thing.keywords.items()
    elif inspect.ismethod(thing) or isinstance(thing, (staticmethod, classmethod)):
        yield name, getattr(thing, "__self__", None)
        yield name, thing.__func__
    elif isinstance(thing, property):
        yield from ((name, function) for function in (thing.fget, thing.fset))
    elif inspect.isfunction(thing):
        yield from _around(thing)
    elif isinstance(thing, type):
        yield from vars(thing).items()
    else:
        own = attributes(thing)
        yield from ((f"{name}.{key}".removeprefix("."), value) for key, value in own.items())
        yield from (("", kind) for kind in type(thing).__mro__ if not of_installed(kind))


def _around(function: Any) -> Iterator[tuple[str, Any]]:
    """What the code of a function reaches by name; in modules of the user's, what it may ask them for."""
    yield "", getattr(function, "__wrapped__", None)
    for name, binding in bindings(function).items():
        value = binding.read()
        if inspect.ismodule(value) and not is_installed(value):
            yield from ((key, vars(value)[key]) for key in function.__code__.co_names if key in vars(value))
        is_theirs = of_installed(function) and name not in function.__code__.co_freevars
        if value is not UNBOUND and not is_theirs:
            yield name, value
    own = inspect.signature(function, follow_wrapped=False).parameters.values()
    yield from ((one.name, one.default) for one in own if one.default is not one.empty)
