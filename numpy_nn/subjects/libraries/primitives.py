"""Primitives of HIPS autograd: functions with a rule for their gradient that is kept beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy_nn.subjects.arrays.nested import is_differentiated
from numpy_nn.subjects.calls.arguments import named_arguments

Pass = Callable[..., Any]


def is_primitive(target: Any) -> bool:
    """Whether it is a function that autograd's ``primitive`` has made, as all of ``autograd.numpy`` are."""
    return getattr(target, "_is_autograd_primitive", False) is True


def passes_of_primitive(target: Any, inputs: tuple[Any, ...]) -> tuple[Pass, Pass, Mapping[str, Any]]:
    """The primitive, its backward pass of these inputs and a gradient by its own rule, and the inputs by name."""
    from autograd import make_vjp  # it is there: whoever has a primitive has imported it

    given = named_arguments(target.fun, inputs, None)

    def forward(*arguments: Any) -> Any:
        return target(*arguments)

    def backward(*arguments: Any) -> tuple[Any, ...]:
        *values, grad_output = arguments
        pulled = (make_vjp(target, i)(*values)[0] if is_differentiated(v) else None for i, v in enumerate(values))
        return tuple(None if pull is None else pull(grad_output) for pull in pulled)

    return forward, backward, given
