"""What forward keeps for backward: contexts in which it saves it, and caches that are handed on by their keys."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.signatures import positional


class Context:
    """What a forward pass written as torch's Functions are is given to keep things in."""

    saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *things: Any) -> None:
        """Keep them as ``saved_tensors``; toy frameworks have them as ``saved_values`` and the like."""
        self.saved_tensors = things

    def __getattr__(self, name: str) -> Any:
        if name.startswith("saved"):
            return self.saved_tensors
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def with_context(forward: Any) -> Any:
    """A forward pass whose first argument is a context, as one that returns it as its cache; any other as it is."""
    spec = None if forward is None else positional(forward)
    if spec is None or spec[0][:1] not in (["ctx"], ["context"]):
        return forward

    signature = inspect.signature(forward)

    def with_cache(*arguments: Any) -> tuple[Any, ...]:
        context = Context()
        bound = signature.bind(context, *arguments)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            if not isinstance(value, (np.ndarray, Context)):
                setattr(context, name, value)  # as frameworks do that hand settings on
        output = forward(context, *arguments)
        return (*(output if isinstance(output, tuple) else (output,)), context)

    with_cache.__name__ = getattr(forward, "__name__", with_cache.__name__)
    return Dressed(with_cache, signature.replace(parameters=list(signature.parameters.values())[1:]))


def with_cache_by_name(backward: Any, result: Any) -> Any:
    """A backward pass that is given what a cache holds one by one, ``backward(dout, **cache)``, as one of the cache.

    Where forward returns such a dict last, and it has all that backward wants but one. Any other as it is.
    """
    spec = None if backward is None else positional(backward)
    if spec is None or not isinstance(result, tuple) or len(result) < 2 or not isinstance(result[-1], dict):
        return backward
    known = [name for name in spec[0] if name in result[-1]]
    others = [name for name in spec[0] if name not in known]
    if len(known) < 2 or len(others) != 1 or names.role(others[0]) == names.CACHE:
        return backward

    def of_cache(grad_output: Any, cache: Any) -> Any:
        return backward(**{others[0]: grad_output}, **{name: cache[name] for name in known})

    of_cache.__name__ = getattr(backward, "__name__", "backward")
    dressed = Dressed(of_cache, inspect.signature(of_cache))
    dressed.func = backward
    return dressed
