"""Passes by hand on tensors of torch, as courses have them: called with arrays of NumPy all the same."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np

from numpy_nn.subjects import names


def is_torch(thing: Any) -> bool:
    """Whether it is a tensor of torch's, which is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.Tensor)


def refuse_what_torch_differentiates(target: Any) -> None:
    """TypeError for a Function, a class of such, its ``apply``, or a module, with the lines that check it."""
    torch = sys.modules.get("torch")
    routine = inspect.unwrap(target) if inspect.isroutine(target) else None
    owner = target if routine is None else getattr(routine, "__self__", target)
    kind = owner if isinstance(owner, type) else type(owner)
    if torch is None or not issubclass(kind, (torch.autograd.Function, torch.nn.Module)):
        return
    call = f"{kind.__name__}(...)" if issubclass(kind, torch.nn.Module) else kind.__name__
    raise TypeError(
        f"{kind.__name__} is differentiated by torch, and checked as torch's own gradcheck does it; x, w stand for its "
        "arguments, as tensors:\n"
        "    from torch_ref import gradcheck\n"
        f"    print(gradcheck({call}, (x.requires_grad_(), w.requires_grad_())))\n"
        "or on the command line with --torch"
    )


def refuse_what_holds_tensors(target: Any) -> None:
    """TypeError for an object with passes by hand that holds tensors of torch, with two functions of these."""
    held = [name for name, value in getattr(target, "__dict__", {}).items() if is_torch(value)]
    passes = names.passes(target) if held and not inspect.isroutine(target) else (None, None)
    both = [f.__name__ for f in passes if f is not None]
    if len(both) < 2:
        return
    given = ", ".join(["x", *held])
    forward, backward = ("net" if name == "__call__" else f"net.{name}" for name in both)
    puts = "".join(f"        net.{name} = {name}\n" for name in held)
    gradients = ", ".join([f"{backward}(grad_output)", *(f"net.d{name}" for name in held)])
    raise TypeError(
        f"{type(target).__name__} holds tensors of torch, {', '.join(held)}: it is checked as two functions of these, "
        "with your names for their gradients:\n"
        f"    def f({given}):\n{puts}        return {forward}(x)\n"
        f"    def f_backward(grad_output, {given}):\n        f({given})\n        return {gradients}\n"
        f"    check_gradients((f, f_backward), (x, {', '.join(f'net.{name}' for name in held)}))"
    )


def wants_tensors(target: Any, x: Any) -> bool:
    """Whether a function, or the first of two, is of torch and fails with arrays where it does not with tensors."""
    forward = target[0] if isinstance(target, tuple) and target else target
    torch = sys.modules.get("torch")
    if torch is None or not inspect.isfunction(forward):
        return False
    called = (forward.__globals__.get(name) for name in forward.__code__.co_names)
    if not any(inspect.ismodule(one) and one.__name__.partition(".")[0] == "torch" for one in called):
        return False
    given = x if isinstance(x, tuple) else (x,)

    def fails(make: Callable[[Any], Any]) -> bool:
        try:
            with torch.no_grad():
                forward(*(make(one.copy() if isinstance(one, np.ndarray) else one) for one in given))
        except (AttributeError, TypeError):
            return True
        except Exception:  # what has another reason comes again where it is checked
            return make is as_tensors
        return False

    return fails(lambda one: one) and not fails(as_tensors)


def as_arrays(thing: Any) -> Any:
    """The same with an array in the place of each tensor, also in tuples, lists and dicts."""
    if is_torch(thing):
        return thing.detach().cpu().numpy()
    return _mapped(as_arrays, thing)


def as_tensors(thing: Any) -> Any:
    """The same with a tensor in the place of each array."""
    if isinstance(thing, np.ndarray):
        return sys.modules["torch"].from_numpy(np.ascontiguousarray(thing).reshape(thing.shape))
    return _mapped(as_tensors, thing)


def _mapped(function: Callable[[Any], Any], thing: Any) -> Any:
    if isinstance(thing, Mapping) and type(thing) is dict:
        return {key: function(part) for key, part in thing.items()}
    if type(thing) in (tuple, list):
        return type(thing)(map(function, thing))
    return thing


def of_arrays(function: Any) -> Any:
    """A function of tensors as one of arrays; None as it is."""
    if function is None:
        return None

    @wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        return as_arrays(function(*map(as_tensors, arguments), **{key: as_tensors(v) for key, v in named.items()}))

    return called
