"""Functions of which some arguments are bound, as by ``functools.partial`` or by a flag that asks for gradients."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.calls.dressing import Dressed, given_by_name, with_keywords
from numpy_nn.subjects.signatures import positional


def with_bound(forward: Any, backward: Any) -> tuple[Any, Any]:
    """The passes, where ``backward`` is given what is bound in ``forward`` and not in itself, under the same names.

    So ``partial(elu, alpha=0.3)`` goes with ``elu_backward(dout, x, alpha)``, whose alpha is no rate then.
    """
    bound = arguments_bound(forward)
    if not bound:
        return forward, backward
    own = signatures.signature(forward).parameters.values()
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in own):
        # partial(elu, alpha=0.3) of elu(alpha, x) wants x by its name, which nobody gives.
        forward = given_by_name(with_keywords(forward.func), bound)
    shared = {} if backward is None else _shared(backward, bound)
    return forward, given_by_name(backward, shared) if shared else backward


def with_arrays_unbound(forward: Any, backward: Any, inputs: Sequence[Any]) -> tuple[Any, Any, list[Any]] | None:
    """The passes and the inputs, where the arrays bound in ``forward`` are arguments as any other; None without any.

    So ``partial(norm, gamma=gamma)`` goes with a backward pass that returns ``dx, dgamma``.
    """
    bound = arguments_bound(forward)
    arrays = {n: v for n, v in bound.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    if not arrays or backward is None:
        return None
    rest = {name: value for name, value in bound.items() if name not in arrays}
    whole = with_keywords(forward.func)
    whole = given_by_name(whole, rest) if rest else whole
    shared, given = _shared(backward, rest), iter(inputs)
    every = [arrays[name] if name in arrays else next(given, None) for name in signatures.signature(whole).parameters]
    while every and every[-1] is None:
        every.pop()  # what has a default
    return whole, given_by_name(backward, shared) if shared else backward, every


def arguments_bound(function: Any) -> Mapping[str, Any]:
    """What is bound in a partial function, by the names of the arguments; nothing where these are not to be known."""
    if not isinstance(function, partial):
        return {}
    try:
        own = signatures.signature(function.func)
        bound = own.bind_partial(*function.args, **function.keywords).arguments
    except (TypeError, ValueError):
        return {}
    stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    return {} if any(own.parameters[name].kind in stars for name in bound) else bound


def _shared(backward: Any, bound: Mapping[str, Any]) -> dict[str, Any]:
    """Those that backward has too and that are free there.

    What it calls its only gradient is that, unless it comes last: the ``g`` that forward has may be one of gravity. So
    is what stands alone before the cache.
    """
    try:
        own = signatures.signature(backward).parameters
    except (TypeError, ValueError):
        return {}
    free = [n for n, p in own.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    free = [name for name in free if name not in getattr(backward, "keywords", {})]
    gradients = [name for name in free if names.role(name) == names.GRAD]
    if not gradients and [names.role(name) for name in free[1:]] == [names.CACHE]:
        gradients = free[:1]
    return {n: v for n, v in bound.items() if n in free and (gradients != [n] or n == free[-1] != free[0])}


def with_gradients_asked_for(function: Any) -> Any:
    """A function that gives its gradients beside its value if told to, as ``f(x, eval_gradient=True)``: told to."""
    spec = positional(function)
    flags = [] if spec is None else [name for name in spec[1] if _ASKS.fullmatch(names.plain(name))]
    own = signatures.signature(function) if len(flags) == 1 else inspect.Signature()
    if len(flags) != 1 or own.parameters[flags[0]].default is not False:
        return function
    rest = own.replace(parameters=[p for p in own.parameters.values() if p.name != flags[0]])
    told = Dressed(partial(function, **{flags[0]: True}), rest)
    told.func = function
    return told


_ASKS = re.compile(
    r"(is|eval|return|returns|compute|calc|with|need|needs|want|get|also|do)_?(the_)?(grad\w*|jac\w*|deriv\w*)"
)
