"""Arrays that code uses and keeps where no path of its object leads: around its methods, in closures, in sets.

They cannot be checked as what the object keeps is. But the output may depend on them, and then they are counted.
"""

from __future__ import annotations

import array as standard
import inspect
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names
from numpy_nn.subjects.arrays.gradients import SURE, same_but_ones
from numpy_nn.subjects.arrays.nested import arrays_of, is_differentiated
from numpy_nn.subjects.arrays.places import Place, class_values, last_name, parsed, places, written
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.parameters.likely import LikelyCode
from numpy_nn.subjects.source.bindings import UNBOUND, bindings
from numpy_nn.subjects.source.surroundings import Surroundings
from numpy_nn.subjects.state import GENERATORS, equal, is_installed, of_a_library, of_installed
from numpy_nn.subjects.subject import SubjectError


class HidingCode(LikelyCode):
    """Called code, of which the arrays are counted that it keeps where no path leads."""

    def count_hidden(self, constants: Sequence[str]) -> None:
        """Add to ``unchecked`` the arrays of floats that the output depends on and that are at no place.

        They are what the code uses, unless backward updates them, or makes what may be the gradient of one. So it is
        with arrays that were taken for what the code uses before. Arguments that are said to be no more than that are
        not checked, also where a gradient of them is returned.
        """
        for name in [name for name in constants if name in self.arrays and name not in self._places]:
            if name != self.input:
                del self.arrays[name]
                self._leaves.pop(name, None)
        hidden = {name: one for name, one in self._hidden().items() if not {name, _last(name)} & set(constants)}
        known = {name: kind for name, kind, _ in self.unchecked}
        lost = {name: np.asarray(one) for name, (_, one) in self._lost.items()}
        unsure = {name: one for name, one in (lost | hidden).items() if known.get(name) == "granted"}
        unsure |= {name: one for name, one in hidden.items() if name not in known and self._hangs_on(one)}
        self.unchecked += [
            (name, "unchecked", 1) for name in self._hidden_numbers() if name not in (*constants, *known)
        ]
        if not unsure:
            return
        before = {name: one.copy() for name, one in hidden.items()}
        written = self._written_by_backward(unsure)
        moved = {name for name, values in before.items() if not equal(values, hidden[name])} | set(self._moved)
        for name, values in before.items():
            _put(hidden[name], values)
        self.unchecked = [one for one in self.unchecked if one[0] not in unsure]
        for name, one in unsure.items():
            learned = name in moved or any(_may_be_gradient(key, shape, name, one) for key, shape in written)
            self.unchecked.append((name, "unchecked" if learned else "granted", one.size))

    def uses(self, place: int) -> bool:
        """Whether the gradients hang on the array that backward is given in this place."""
        backward, called = self._backward, []
        assert backward is not None

        def moved(*arguments: Any) -> Any:
            called.append(is_differentiated(arguments[place]))
            other = 0.5 * arguments[place] + 1.0 if called[-1] else arguments[place]
            return backward(*arguments[:place], other, *arguments[place + 1 :])

        grad_output = self.random_grad_output(np.random.default_rng(4), self.output().shape)
        first = self.gradients(grad_output)
        self._backward = moved
        try:
            second = self.gradients(grad_output)
        except SubjectError:
            return True
        finally:
            self._backward = backward
        return not all(called) or any(not equal(one, second[name]) for name, one in first.items() if one is not None)

    def _hidden_numbers(self) -> list[str]:
        """The numbers of which the object keeps what is called as a gradient: around its methods, or of any other kind.

        Any number may be around code; a gradient by name is what tells that this one is learned.
        """
        numbers = dict.fromkeys(_numbers(self._owner))
        if not numbers:
            return []
        self.gradients(self.random_grad_output(np.random.default_rng(0), self.output().shape))
        paths = [place.path for place in self._all_places() if np.ndim(place.read()) == 0]
        # One of the class that code asks the class for is not moved by one in the object, which hides it.
        held = {written(path) for path in paths} - class_values(self._owner).keys() | {*self.arrays, *self._lost}
        kept = [path[-1].key for path in paths if names.tells_gradients(path[-1].key)]
        claimed = (name for name in numbers if any(names.is_gradient_of(key, _last(name)) >= SURE for key in kept))
        return [name for name in claimed if name not in held]

    def _hidden(self) -> dict[str, NDArray[Any]]:
        """The arrays of floats, of complex ones too, that the code reaches and that are at no place and no argument."""
        held = [np.asarray(place.read()) for place in self._all_places()]
        return {name: one for name, one in self._everywhere().items() if not _shares_memory(one, held)}

    def _everywhere(self) -> dict[str, NDArray[Any]]:
        """Every array of floats that the code reaches, but for its arguments and for what is checked."""
        held = [one for value in self._given.values() for _, one in arrays_of(value)]
        held += [value for value in (self.targets, *self.arrays.values()) if isinstance(value, np.ndarray)]
        found: dict[str, NDArray[Any]] = {}
        for name, one in _everything(self._owner, self._forward, self._backward):
            if one.dtype.kind in "fc" and one.size > 0 and not _shares_memory(one, held):
                found.setdefault(name, one)
        return found

    def _all_places(self) -> Iterable[Place]:
        return () if self._owner is None else places(self._owner, repeated=True)

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

    def _written_by_backward(self, unsure: Mapping[str, Any]) -> list[tuple[Any, tuple[int, ...]]]:
        """The names and shapes of the arrays that a backward pass makes, but for those that are gradients of others.

        So is dz where forward makes z. At another input, where it has not been: what it makes there is none of what it
        has made before.
        """
        self.output()
        home = {name: one.copy() for name, one in self._everywhere().items()}
        moved = {self.input: 0.75 * self.arrays[self.input]} if self.input in self.arrays else {}
        with self.at(moved):
            try:
                grad_output = self.random_grad_output(np.random.default_rng(3), self.output().shape)
                before = {name: one.copy() for name, one in self._everywhere().items()}
                self.gradients(grad_output)
            except SubjectError:
                return []
            after = self._everywhere()
        read = (leaf.read(self.latest, self._owner) for leaf in self._leaves.values())
        taken = [np.asarray(one) for one in read if one is not None]
        kept = [name for name, values in before.items() if name not in home or not equal(home[name], values)]
        made = {name: one for name, one in after.items() if name not in before or not equal(before[name], one)}
        found = [
            (_last(name), one.shape)
            for name, one in made.items()
            if name not in unsure
            and not _shares_memory(one, taken)
            and not any(_is_named_after(name, other, one, before[other]) for other in kept)
        ]
        return found + [("", leaf.value.shape) for leaf in self._not_taken if leaf.returned]


def _is_named_after(name: str, other: str, one: NDArray[Any], of: NDArray[Any]) -> bool:
    """Whether an array is called as the gradient of this one, as dz beside z."""
    return one.shape == of.shape and names.is_gradient_of(_last(name), _last(other)) >= SURE


def _shares_memory(one: NDArray[Any], others: Iterable[NDArray[Any]]) -> bool:
    return any(np.may_share_memory(one, other) for other in others)


def _put(one: NDArray[Any], values: NDArray[Any]) -> None:
    if one.flags.writeable:
        one[...] = values


def _may_be_gradient(key: Any, shape: tuple[int, ...], name: str, one: NDArray[Any]) -> bool:
    """Whether what is called ``key`` may be the gradient of a hidden array: by its name, or else by its shape.

    Of a mask, which has two values, 0 and 1 or 0 and -1e9, any array of data or scores may have the shape.
    """
    of = _last(name)
    if names.is_gradient_of(key, of) >= SURE or key == of:
        return True
    return one.size > 1 and same_but_ones(shape, one.shape) and np.unique(one).size != 2


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
            waiting.extend(_parts(name, thing))


def _numbers(owner: Any) -> Iterator[str]:
    """The numbers that methods of an object's classes find around them, and those that it keeps and are no floats."""
    kept = attributes(owner).items()
    yield from (
        name for name, one in kept if isinstance(one, Number) and not isinstance(one, (int, float, np.floating))
    )
    yield from (name for name, one in class_values(owner).items() if isinstance(one, (float, np.floating)))
    for kind in type(owner).__mro__ if owner is not None and not isinstance(owner, Surroundings) else ():
        for method in () if of_installed(kind) else vars(kind).values():
            around = bindings(method).items() if inspect.isfunction(method) else ()
            yield from (name for name, one in around if isinstance(one.read(), float))


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
        yield from ((f"{thing.__name__}.{key}", value) for key, value in vars(thing).items())
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
