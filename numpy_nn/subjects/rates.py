"""The learning rates that code keeps under their usual names."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from numpy_nn.subjects import names
from numpy_nn.subjects.bindings import bindings
from numpy_nn.subjects.state import attributes, of_installed, reachable

# Where a rate is kept, under which name, and what it is.
Rate = tuple[Any, str, float]


def rates_of(owner: Any) -> list[Rate]:
    """The rates of an object, of an optimizer or a dict in it, of which the key is the name.

    Else those of their classes; else those among the global names of these classes' methods.
    """
    things = reachable(owner)
    held = list(_rates((thing, thing if isinstance(thing, dict) else attributes(thing)) for thing in things))
    return held or list(_rates(_of_classes(things))) or list(_rates(_around_methods(things)))


def rate_of(owner: Any) -> float:
    """The learning rate, if there is one and only one; else 0."""
    rates = {value for _, _, value in rates_of(owner)}
    return rates.pop() if len(rates) == 1 else 0.0


def put_rate(thing: Any, name: str, value: float) -> None:
    """Set one of the rates that :func:`rates_of` has found; that of a class for the object alone."""
    if isinstance(thing, dict):
        thing[name] = value
    else:
        setattr(thing, name, value)


def _rates(held: Iterable[tuple[Any, dict[str, Any]]]) -> Iterator[Rate]:
    for thing, values in held:
        for name, value in values.items():
            if isinstance(name, str) and isinstance(value, (float, int)) and names.role(name) == names.RATE:
                yield thing, name, float(value)


def _of_classes(things: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for thing in things:
        for kind in _own_classes(thing):
            yield thing, dict(vars(kind))


def _around_methods(things: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for kind in dict.fromkeys(kind for thing in things for kind in _own_classes(thing)):
        for method in filter(inspect.isfunction, vars(kind).values()):
            around = method.__globals__
            yield around, {name: around[name] for name in bindings(method) if name in around}


def _own_classes(thing: Any) -> list[type]:
    """The classes of an object that are the user's."""
    return [kind for kind in type(thing).__mro__ if not of_installed(kind)]
