"""Forces, which are by their definition minus the gradient of an energy."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from numpy_nn.subjects.given_code import Code
from numpy_nn.subjects.source.returned import own_returns, returned_names
from numpy_nn.subjects.source.trees import source_tree

TURNED = "what is returned is called forces: minus that is judged, as the gradient of the energy"
BOTH_SIGNS = (
    "what is returned is called forces, which are minus the gradient of the energy, and it is the gradient itself: "
    "wrong if forces are meant, and right if the gradient is; a name such as gradient tells that"
)

# The word by itself or in a row of words: ``energy_and_forces``, ``getForces``; not ``reinforce``, ``teacher_forcing``.
# What is called internal forces, or the gradient of forces, is the gradient as it stands.
_FORCES = re.compile(r"(^|_|[a-z](?=F))[fF]orces?(?=_|[A-Z]|$)")

_NO_SIGN = re.compile(r"intern|(^|_)int(_|$)|grad|back|bwd|vjp|jac|deriv|prime|nabla", re.IGNORECASE)


def are_forces(code: Code) -> bool:
    """Whether what the code claims as gradients is called forces: by the function, or where it returns them."""
    source = code.backward if code.backward is not None else code.forward
    told = [getattr(source, "__name__", "")]
    if code.backward is None:
        told += _called(source)
    return any(_FORCES.search(name) for name in told) and not any(map(_NO_SIGN.search, told))


def _called(function: Any) -> list[str]:
    """What a function calls what it returns after the first, by their names or by their keys in a dict."""
    values = list(own_returns(source_tree(function)))
    parts = values[-1].elts[1:] if values and isinstance(values[-1], ast.Tuple) else []
    keys = [
        part.slice.value for part in parts if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant)
    ]
    return [*returned_names(function)[1:], *(key for key in keys if isinstance(key, str))]


def with_forces_turned(code: Code) -> Code:
    """The code with minus what it returns for gradients."""
    if code.backward is not None:
        return replace(code, backward=_turned(code.backward, 0))
    return replace(code, forward=_turned(code.forward, 1))


def _turned(function: Any, first: int) -> Any:
    """A function that returns the negative of what that returns, from its ``first`` result on."""

    @wraps(function)
    def turned(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        if first == 0:
            return _negative(result)
        return (*result[:first], *map(_negative, result[first:])) if isinstance(result, tuple) else result

    return turned


def _negative(thing: Any) -> Any:
    if isinstance(thing, Mapping):
        return {key: _negative(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_negative(part) for part in thing]
    is_of_floats = isinstance(thing, (float, np.floating)) or getattr(getattr(thing, "dtype", None), "kind", "") == "f"
    return -thing if is_of_floats else thing
