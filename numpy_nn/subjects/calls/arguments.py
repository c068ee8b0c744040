"""What a function is given: its arguments by the names that it has for them, and how many it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.signatures import positional


class HeldArguments(SimpleNamespace):
    """Arguments of a function that are objects with arrays, by their names: what the parameters are looked for in."""


def named_arguments(function: Callable[..., Any], inputs: Sequence[Any], targets: Any) -> dict[str, Any]:
    """The arguments of a function by the names that it has for them, the targets last."""
    spec = positional(function)
    own = [] if spec is None else spec[0] + spec[1]
    if targets is not None and len(inputs) == 1:
        roles = names.roles_in_loss(own)
        if roles and roles[0] == names.TARGET and (len(roles) < 2 or roles[1] != names.TARGET):
            own[:2] = own[:2][::-1]
    elif targets is not None:
        own = names.with_target_at(len(inputs), own)
    values = [*inputs, *(() if targets is None else (targets,))]
    required = [] if spec is None else spec[0]
    settings = {name: names.SETTINGS[name] for name in required[len(values) :] if name in names.SETTINGS}
    if len(values) + len(settings) < len(required):
        name = getattr(function, "__name__", type(function).__name__)
        on_line = f", or each by --input, as in --input {required[len(values)]}=None"
        raise TypeError(
            f"{name}: expected {', '.join(required)}, got {len(values)} of them; give x as a tuple of all{on_line}"
        )
    if len(own) < len(values):
        own = ["input", "targets"] if targets is not None and len(values) == 2 else _before_the_rest(function)
        own += [f"input {i}" for i in range(len(own), len(values))]
    return dict(zip(own, values, strict=False)) | settings


def _before_the_rest(function: Callable[..., Any]) -> list[str]:
    """The names of what a function takes before any number of others, as ``params`` of ``cost(params, *args)``."""
    kinds = signatures.signature(function).parameters if signatures.takes_any_number(function) else {}
    own = [name for name, p in kinds.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return own or ["input"]


def takes(function: Callable[..., Any], number: int) -> bool:
    """Whether a function can be called with so many arguments, beside settings."""
    spec = positional(function)
    if spec is None:
        return True
    required, optional = ([name for name in part if name not in names.SETTINGS] for part in spec)
    return len(required) <= number <= len(required) + len(optional)


def with_settings_given(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """A function that wants settings after so many arguments, as ``forward(X, training)``, as one that has them."""
    required = (positional(function) or ([], []))[0]
    settings = {name: names.SETTINGS[name] for name in required[number:] if name in names.SETTINGS}
    return partial(function, **settings) if settings else function


# How strong a penalty is, which any number may be; and what a loss is given that wants one.
_STRENGTHS = names.words("reg reg_strength reg_lambda lam lamb lambd lambda_ lmbda lmda l1 l2 weight_decay")
_STRENGTH = 0.1


def strengths_wanted(function: Callable[..., Any] | None, number: int) -> dict[str, float]:
    """The strengths of penalties that a function wants after so many arguments, if it wants nothing else there."""
    rest = (([], []) if function is None else positional(function) or ([], []))[0][number:]
    return dict.fromkeys(rest, _STRENGTH) if all(names.plain(name) in _STRENGTHS for name in rest) else {}


def takes_targets(function: Callable[..., Any], inputs: int) -> bool:
    """Whether a function can be called with targets after so many inputs; a number by default there is a setting."""
    spec = positional(function)
    if spec is None or len(spec[0]) != inputs or not takes(function, inputs + 1):
        return takes(function, inputs + 1)
    own = next(name for name in spec[1] if name not in names.SETTINGS)
    return (
        names.role_in_loss(own) == names.TARGET
        or type(signatures.signature(function).parameters[own].default) is not float
    )


def with_targets_apart(target: Any, x: Any) -> tuple[Any, Any]:
    """The last of several arguments as targets, where the gradient's method alone takes it and calls it so.

    ``feedforward(a)`` and ``backprop(x, y)`` are given (x, y). Or where the loss alone takes all, as that of an agent
    with ``forward(states)`` and ``loss(states, actions, returns)``.
    """
    if not isinstance(x, tuple) or len(x) < 2 or isinstance(target, tuple) or inspect.isroutine(target):
        return x, None
    forward, gradient = names.passes(target)[0], names.method(target, ["backprop", *names.LOSS_GRADIENTS])
    if forward is None or gradient is None or takes(forward, len(x)):
        return x, None
    if not takes(forward, len(x) - 1):
        loss = names.method(target, names.LOSSES)
        takes_all = loss is not None and len((positional(loss) or ([], []))[0]) == len(x) and takes(forward, 1)
        return (x[:-1], x[-1]) if takes_all else (x, None)
    own = (positional(gradient) or ([], []))[0]
    if len(own) != len(x) or names.role_in_loss(own[-1]) != names.TARGET:
        return x, None
    return (x[0] if len(x) == 2 else x[:-1]), x[-1]


def with_named_in_place(target: Any, given: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """All that a function is called with, what is given by name in its place: ``fit(X, y, epochs=2)`` as (X, y, 2).

    Defaults stand for what lies between. None where no names are given, or others than those of its arguments, or where
    something that it wants is missing.
    """
    if not named or not inspect.isroutine(target):
        return None
    try:
        bound = signatures.signature(target).bind(*given, **named)
    except (TypeError, ValueError):
        return None
    last = max(list(bound.signature.parameters).index(name) for name in bound.arguments)
    bound.apply_defaults()
    in_place = bound.args[: last + 1]
    return None if bound.kwargs else in_place


def labels_come_first(loss: Callable[..., Any] | None, x: Any, targets: Any) -> str:
    """What is said of it, where a loss whose first argument is the target was given labels for x; else "".

    Zeros and ones are then in the place of a prediction, and what is neither in that of the targets.
    """
    own = ((None if loss is None else positional(loss)) or ([], []))[0][:2]
    if names.roles_in_loss(own) != [names.TARGET, names.PREDICTION]:
        return ""
    both = all(isinstance(one, np.ndarray) and one.dtype.kind in "fiub" for one in (x, targets))
    if not both or x.shape != targets.shape or np.isin(targets, (0, 1)).all() or set(np.unique(x)) != {0, 1}:
        return ""
    return f"x holds labels, and what is given for targets does not: called in the order of ({own[0]}, {own[1]})"


def are_apart(numbers: Sequence[Any], forward: Callable[..., Any] | None, others: int) -> bool:
    """Whether numbers are an argument each of a function that takes as many, with ``others`` beside them, and not one.

    As of ``forward(x, theta)`` that is given (2.0, 4.0), which is otherwise an array of two numbers.
    """
    if forward is None or len(numbers) < 2 or not all(type(number) in (int, float) for number in numbers):
        return False
    if signatures.takes_any_number(forward):
        return True
    if (spec := positional(forward)) is None:
        return False
    if others and takes(forward, len(numbers)) and not takes(forward, 1):
        # Targets are none of them where its own arguments are all others, as in predict(user, item).
        return all(names.role_in_loss(name) != names.TARGET for name in spec[0])
    return takes(forward, len(numbers) + others) and not takes(forward, 1 + others)


def several(x: Any, forward: Callable[..., Any] | None = None, *, with_targets: bool = False) -> tuple[Any, ...]:
    """The arguments of forward in what a user gives for x: a tuple of them, or one.

    A tuple is one where forward takes fewer, beside targets, as ``f(params)`` that is given ``(w, b)``.
    """
    if not isinstance(x, tuple):
        return (x,)
    if len(x) == 1 and isinstance(x[0], tuple):
        return x
    if len(x) > 1 and forward is not None and (spec := positional(forward)) is not None:
        wants_names = any(p.kind is p.KEYWORD_ONLY for p in signatures.signature(forward).parameters.values())
        called = [name for name in spec[0] + spec[1] if with_targets and names.role_in_loss(name) == names.TARGET]
        required, optional = ([name for name in part if name not in called[-1:]] for part in spec)
        if len(required) == 1 and 1 + len(optional) < len(x) and not wants_names:
            return (x,)
    # Objects of somebody's class are no numbers of one array.
    return x if any(isinstance(part, (np.ndarray, dict, list)) or part is None or _is_own(part) for part in x) else (x,)


def _is_own(part: Any) -> bool:
    return hasattr(part, "__dict__") and not callable(part)
