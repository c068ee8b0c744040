"""Functions whose parameters are names of their module, or of a function around them, as the passes of one object."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.places import places
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.output_alone import is_alone
from numpy_nn.subjects.source.bindings import UNBOUND, Binding, Default, bindings, defaults
from numpy_nn.subjects.state import Snapshot, equal, of_a_library, reachable


class Surroundings:
    """What functions, and those that they call, read and bind outside of them, as attributes of an object.

    Setting an attribute binds the name where it is; what is bound only later is an attribute from then on. A function
    of the same module that zeroes gradients is one of them, too.
    """

    def __init__(self, *functions: Callable[..., Any] | None) -> None:
        found: dict[str, Binding | Default] = {}
        all_defaults: list[Default] = []
        seen: dict[int, Any] = {}
        waiting = [bare(function) for function in functions if function is not None]
        for function in waiting:
            if id(function) in seen or not inspect.isfunction(function) or of_a_library(function):
                continue
            seen[id(function)] = function
            for name, binding in bindings(function).items():
                if name not in found or isinstance(found[name], Default):
                    found[name] = binding
                waiting.append(bare(binding.read()))
            for name, default in defaults(function).items():
                found.setdefault(name, default)
                all_defaults.append(default)
            space = function.__globals__
            waiting += [it for name, it in space.items() if names.is_reset(name) and inspect.isfunction(it)]
        held = {function.__name__: function for function in seen.values()}
        for name, value in (("_found", found), ("_functions", held), ("_defaults", all_defaults)):
            object.__setattr__(self, name, value)

    # All that walks an object, to find, move and restore its arrays, asks vars(), which asks for this. The names lie
    # in modules and closures, so that it is made anew at each look; mypy knows it as an attribute only.
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        values = {name: binding.read() for name, binding in self._found.items()}
        values = {name: value for name, value in values.items() if value is not UNBOUND and not _is_no_value(value)}
        return {**self._functions, **values}

    def __dir__(self) -> list[str]:
        return list(self.__dict__)

    def __getattr__(self, name: str) -> Any:
        # As vars() has it, without all the other names: each evaluation asks for each array.
        held = self._found[name].read() if name in self._found else UNBOUND
        if held is not UNBOUND and not _is_no_value(held):
            return held
        try:
            return self._functions[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        # An array that is a default is one thing wherever it is one, and under the name that it has in the module.
        held = self._found[name].read()
        for default in self._defaults:
            if default.read() is held:
                default.bind(value)
        self._found[name].bind(value)


class Steps(dict[str, Any]):
    """What a step has moved, by name, over its rate: parameters, and what is kept beside them."""


def with_steps(function: Callable[..., Any], around: Surroundings, rate: float) -> Callable[..., Any]:
    """A function that gives a loss and updates names around it, as one that returns the loss and its gradients.

    These are the steps over the learning rate; the names hold afterwards what they held. The loss is what is returned,
    alone or before an accuracy, or else what is appended to a list. TypeError where there is none.
    """
    kept = {str(one) for one in places(around) if any(names.tells_gradients(step.key) for step in one.path)}
    learned = getattr(function, "learned", ())  # also where a step happens to leave it as it is

    @wraps(function)
    def stepping(*arguments: Any) -> tuple[Any, dict[str, Any]]:
        before = Snapshot(around)
        held = {} if is_alone() else {str(place): np.array(place.read()) for place in places(around)}
        lists = {name: len(values) for name, values in _lists(around)}
        loss = _loss_in(function(*arguments), dict(_lists(around)), lists)
        if is_alone():
            before.restore()
            return loss, Steps()
        after = {str(place): np.asarray(place.read()) for place in places(around)}
        moved = [name for name in held if name in after and (name in learned or _moved(held, after, name))]
        # The gradients that it is made of are moved too, and are no parameters.
        moved = [name for name in moved if name not in kept] or moved
        moved = [name for name in moved if held[name].ndim or not _OF_WHAT_IS_KEPT.search(name.lower())]
        steps = Steps({name: (held[name] - after[name]) / rate for name in moved})
        before.restore()
        return loss, steps

    return stepping


def _loss_in(result: Any, lists: Mapping[str, list[Any]], lengths: Mapping[str, int]) -> Any:
    """The loss of a step: the number that it returns, the first of several, or the one that a list has more by now."""
    if isinstance(result, tuple) and all(map(_is_number, result)):
        return result[0] if result else None
    if _is_number(result):
        return result
    longer = {name: values[-1] for name, values in lists.items() if len(values) == lengths.get(name, -1) + 1}
    added = {name: value for name, value in longer.items() if _is_number(value)}
    called = {name: value for name, value in added.items() if _OF_LOSSES.search(name.lower())}
    found = list((called or added).values())
    if len(found) != 1:
        raise TypeError("a step gives no loss")
    return found[0]


_OF_LOSSES = re.compile("loss|cost|error|objective|nll")
# A number that is called so is no parameter: it is how far the training is.
_OF_WHAT_IS_KEPT = re.compile(_OF_LOSSES.pattern + "|hist|accurac|score|epoch|iter")


def _lists(around: Any) -> Iterator[tuple[str, list[Any]]]:
    """The lists that an object keeps, or what it leads to, by their names."""
    for thing in reachable(around):
        held = thing if isinstance(thing, dict) else attributes(thing)
        yield from ((str(name), value) for name, value in held.items() if isinstance(value, list))


def _is_number(thing: Any) -> bool:
    is_array = isinstance(thing, np.ndarray) and thing.size == 1 and thing.dtype.kind == "f"
    return is_array or (isinstance(thing, (int, float, np.floating)) and not isinstance(thing, bool))


def _moved(before: dict[str, Any], after: dict[str, Any], name: str) -> bool:
    return before[name].shape == after[name].shape and not equal(before[name], after[name])


def _is_no_value(value: Any) -> bool:
    if isinstance(value, np.ndarray):  # as most are: of the rest more is asked
        return False
    return inspect.ismodule(value) or isinstance(value, type) or inspect.isroutine(value)


def bare(function: Any) -> Any:
    """The function in a partial or decorated one."""
    while isinstance(function, partial):
        function = function.func
    return signatures.unwrapped(function) if inspect.isfunction(function) else function
