"""Numbers of the user's code that can be told from others by changing them, such as the strength of a weight decay.

They are floats in the source of the functions that are reached, and numbers under names: defaults of arguments, names
around functions, attributes, entries of dicts. A whole number in the source may count something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import CodeType
from typing import Any

from numpy_nn.subjects.attributes import set_attribute
from numpy_nn.subjects.source.bindings import Binding, Default, bindings, defaults_of
from numpy_nn.subjects.source.recompiled import with_code
from numpy_nn.subjects.source.written import Walk, is_number

# The kinds of them: under names, and in the source.
NAMED, CONSTANTS = "named", "constants"


def changeable_numbers(*things: Any) -> list[float]:
    """These numbers, each once."""
    walk = _reached(things)
    in_code = [one for function in walk.functions for one in _floats_in(function.__code__)]
    return sorted({*in_code, *(float(number) for number, _ in _under_names(walk))})


@contextmanager
def with_number(number: float, other: float, kind: str, *things: Any) -> Iterator[None]:
    """In the block it is another one, wherever the code of these things has it as one of a kind."""
    walk = _reached(things)
    with ExitStack() as stack:
        for function in walk.functions if kind == CONSTANTS else ():
            stack.enter_context(with_code(function, _with_constant(function.__code__, number, other)))
        named = [one for one in _under_names(walk) if one[0] == number]
        for held, put in named if kind == NAMED else ():
            stack.callback(put, held)
            put(other)
        yield


def _reached(things: Any) -> Walk:
    walk = Walk()
    walk.enter(things)
    return walk


def _under_names(walk: Walk) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """Each such number, with what puts another in its place."""
    for function in walk.functions:
        around: list[Binding | Default] = [*bindings(function).values(), *defaults_of(function).values()]
        yield from ((one.read(), one.bind) for one in around if is_number(one.read()))
    for holder, name, number in walk.named_numbers():
        put = holder.__setitem__ if isinstance(holder, dict) else partial(set_attribute, holder)
        yield number, partial(put, name)


def _floats_in(code: CodeType) -> Iterator[float]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _floats_in(constant)
        elif isinstance(constant, float):
            yield constant


def _with_constant(code: CodeType, number: float, other: float) -> CodeType:
    def changed(constant: Any) -> Any:
        if isinstance(constant, CodeType):
            return _with_constant(constant, number, other)
        return other if isinstance(constant, float) and constant == number else constant

    return code.replace(co_consts=tuple(map(changed, code.co_consts)))
