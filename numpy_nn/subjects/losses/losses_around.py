"""The losses in the module of a function that trains; what is called a likelihood, which steps go up, is minus one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.calls.losses_kept import is_gain
from numpy_nn.subjects.source.loops import loop_of_training


def losses_around(function: Any) -> list[Callable[..., Any]]:
    """The functions of its module that are called as losses are; else those called as likelihoods that it names."""
    around = function.__globals__
    own = {name: one for name, one in around.items() if inspect.isfunction(one) and one is not function}
    own = {name: one for name, one in own.items() if one.__module__ == function.__module__}
    losses = [one for name, one in own.items() if names.is_loss(name) and loop_of_training(one) is None]
    gains = [one for name, one in own.items() if is_gain(name) and name in function.__code__.co_names]
    return [*losses] or [as_a_loss(one) for one in gains]


def as_a_loss(function: Any) -> Any:
    """Minus what is called as a likelihood; any other function as it is, and None for none."""
    if not inspect.isroutine(function) or not is_gain(getattr(function, "__name__", "")):
        return function

    def minus(*arguments: Any, **named: Any) -> Any:
        return -function(*arguments, **named)

    minus.__name__ = function.__name__
    return Dressed(minus, signatures.signature(function))
