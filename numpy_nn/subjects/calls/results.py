"""What a forward pass returned: how many of it are outputs, and what may be a cache."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.returned import returned_names

# What the gradient of one output of several is called by, but for words that begin as it does: dlogits, not distances.
_OF_ONE = re.compile(r"d[a-z]\w*|[dg]_\w+|delta_?\w*|\w+_bar")
_BEGIN_WITH_D = re.compile(r"d(at|ebug|ec|eg|en|ep|es|et|ev|ia|ic|if|il|im|ir|is|iv|oc|om|ot|rop|type|up|ur|yn)")


def readings(
    result: Any, backward: Callable[..., Any] | None, inputs: Sequence[str] = (), returned: Sequence[str] = ()
) -> list[int]:
    """How many of the things that forward returned are outputs: the likeliest number first."""
    if not isinstance(result, (tuple, list)) or (isinstance(result, list) and holds_floats(result)):
        return [1]
    floats = next((i for i, part in enumerate(result) if not holds_floats(part)), len(result))
    if backward is None or floats <= 1:
        return [1]
    spec = positional(backward)
    wanted = 0
    if spec is not None:
        alike = are_alike_gradients(spec[0])
        others = {*inputs, *returned}
        wanted = len(spec[0]) if alike else sum(is_gradient_of_one(n) for n in spec[0] if n not in others)
    return list(dict.fromkeys([min(max(wanted, 1), floats), 1, floats]))


def is_gradient_of_one(name: str) -> bool:
    """Whether an argument of a backward pass that may take several gradients is called as one of them is."""
    found = names.role(name)
    if found != names.UNKNOWN:
        return found == names.GRAD
    return bool(_OF_ONE.fullmatch(name)) and not _BEGIN_WITH_D.match(name)


def are_alike_gradients(wanted: Sequence[str]) -> bool:
    """Whether several arguments are called as the gradients of as many outputs are: ``ga, gb`` or ``d1, d2``."""
    return len(wanted) > 1 and any(all(re.fullmatch(f"{letter}_?[a-z0-9]", n) for n in wanted) for letter in "dg")


def holds_floats(part: Any) -> bool:
    """Whether it is an array of floats, or would be one."""
    if isinstance(part, (dict, str)) or part is None or callable(part):
        return False
    try:
        return np.asarray(part).dtype.kind == "f"
    except ValueError:
        return False


def names_of_results(forward: Callable[..., Any], result: Sequence[Any]) -> tuple[str, ...]:
    """What forward's source calls the things that it returned, in their order; nothing where it does not tell."""
    found = returned_names(getattr(forward, "func", forward))
    return tuple(found) if len(found) == len(result) else ("",) * len(result)


def caches_among(rest: Sequence[Any]) -> list[int | None]:
    """Which of the things after the outputs backward may be given: all, or one that is no array, the last first."""
    return [None, *(i for i in reversed(range(len(rest))) if len(rest) > 1 and not isinstance(rest[i], np.ndarray))]


def place_told_by_its_gradient(backward: Callable[..., Any], inputs: Sequence[str], returned: Sequence[str]) -> int:
    """The place of the output of two results: the second, where backward takes the first as it is, and da of the other.

    So it is with ``return z, f(z)`` and ``backward(x, z, da)``, whose gradient by its name is not that of z.
    """
    wanted = (positional(backward) or ([], []))[0]
    if len(returned) != 2 or returned[0] not in wanted or returned[0] in inputs or returned[1] in wanted:
        return 0
    gradients = [name for name in wanted if is_gradient_of_one(name) and name not in (*returned, *inputs)]
    if len(gradients) != 1 or names.is_gradient_of(gradients[0], returned[0]):
        return 0
    if returned[1]:
        return int(names.is_gradient_of(gradients[0], returned[1]) > 0.5)
    return int(re.fullmatch("d_?[a-z]", names.plain(gradients[0])) is not None)
