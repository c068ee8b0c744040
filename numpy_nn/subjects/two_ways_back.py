"""Layers with a method for the gradient of the input and others for those of the parameters: both as one pass back."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

_PASS = "backward|bprop|backprop|backpropagate|backpropagation|bwd|grad|grads|gradient|gradients"
_INPUTS = "input|inputs|x"
_PARAMETERS = "param|params|parameter|parameters|weight|weights|w|bias|biases|b|kernel|theta|gamma|beta|wrtw|wrtb"


def _called(of: str) -> re.Pattern[str]:
    verbs = "(get|compute|calc|calculate|update|acc|accumulate|do)?"
    return re.compile(f"{verbs}(({_PASS})(wrt|for|of|to)?({of})|({of})({_PASS}))")


_OF_INPUT, _OF_PARAMETERS = _called(_INPUTS), _called(_PARAMETERS)
_OF_A_PASS = re.compile("back|bprop|bwd|updategradinput")  # which one alone tells, as grad_input of a loss does not


class TwoWaysBack:
    """The methods of an object for the gradient of its input, and of its parameters, as one pass that returns both.

    Those of the parameters come last, as they may move them. What they return beside the parameters themselves counts.
    """

    def __init__(self, of_input: tuple[Callable[..., Any], ...], of_parameters: tuple[Callable[..., Any], ...]) -> None:
        self._methods, self._has_input = (*of_input, *of_parameters), bool(of_input)
        self.__self__ = getattr(self._methods[0], "__self__", None)
        self.__name__ = self._methods[0].__name__
        every = [one for method in self._methods for one in inspect.signature(method).parameters.values()]
        own = {one.name: one for one in reversed(every)}
        wanted = [one for one in own.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
        wanted.sort(key=lambda one: (one.default is not one.empty, [other.name for other in every].index(one.name)))
        self.__signature__ = inspect.Signature(wanted)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TwoWaysBack) and self._methods == other._methods

    def __hash__(self) -> int:
        return hash(self._methods)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        given = self.__signature__.bind(*arguments, **named).arguments
        before = {id(one) for one in vars(self.__self__).values()} if hasattr(self.__self__, "__dict__") else set()
        results = [
            method(**{name: given[name] for name in inspect.signature(method).parameters if name in given})
            for method in self._methods
        ]
        gradients = [array for one in results[self._has_input :] for array in _gradients_in(one, before)]
        if not self._has_input:
            return gradients or None
        return (results[0], *gradients) if gradients else results[0]


def two_ways_back(thing: Any) -> Callable[..., Any] | None:
    """The one pass back of an object that has a method for each of its gradients; None of any other.

    A layer without parameters may have that of its input alone, a network those of its parameters.
    """
    if isinstance(thing, type) or inspect.isroutine(thing):
        return None
    kind: Any = type(thing)
    of_input, of_parameters = _names_in(kind)
    found = [*of_input, *of_parameters]
    are_both = bool(of_input and of_parameters)
    if len(of_input) > 1 or not (are_both or any(map(_OF_A_PASS.search, map(_squeezed, found)))):
        return None
    methods = [tuple(getattr(thing, name) for name in one) for one in (of_input, of_parameters)]
    return TwoWaysBack(*methods) if of_parameters else methods[0][0]


@lru_cache(maxsize=512)
def _names_in(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    public = [name for name in dir(kind) if not name.startswith("__") and inspect.isroutine(getattr(kind, name))]
    of_input = tuple(name for name in public if _OF_INPUT.fullmatch(_squeezed(name)))
    return of_input, tuple(name for name in public if _OF_PARAMETERS.fullmatch(_squeezed(name)))


def _squeezed(name: str) -> str:
    return name.lower().replace("_", "")


def _gradients_in(result: Any, held: set[int]) -> Iterator[Any]:
    """The arrays in what is returned, of a pair of a parameter and its gradient the second alone."""
    parts = list(result.values()) if isinstance(result, dict) else result
    if not isinstance(parts, (list, tuple)):
        yield from () if parts is None else (parts,)
        return
    are_arrays = [isinstance(one, np.ndarray) for one in parts]
    if len(parts) == 2 and all(are_arrays) and id(parts[0]) in held and parts[0].shape == parts[1].shape:
        yield parts[1]
        return
    for part in parts:
        yield from _gradients_in(part, held)
