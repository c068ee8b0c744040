"""Something to call with tensors: a function, a Function's apply, a module, and what their arguments are called."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from numpy_nn.subjects.calls.dressing import Dressed
from numpy_nn.subjects.names import passes
from numpy_nn.subjects.signatures import positional


@dataclass(frozen=True)
class TensorFunction:
    """Something to call with tensors, the names of its arguments, and the parameters that it reads beside them.

    With ``all_outputs`` also outputs that do not require grad are looked at, with a claimed gradient of zero.
    """

    label: str
    call: Callable[..., Any]
    names: Sequence[str]
    module: nn.Module | None = None
    parameters: Mapping[str, nn.Parameter] = field(default_factory=dict)
    all_outputs: bool = False

    @classmethod
    def of(cls, fn: Any, count: int, dtype: torch.dtype | None) -> TensorFunction:
        """``fn`` with ``count`` arguments; of a module, or a method of one, a copy of it in that dtype."""
        owner = fn if isinstance(fn, nn.Module) else getattr(fn, "__self__", None)
        if _is_function(owner) and fn == owner.apply:
            fn = owner
        if isinstance(fn, type):
            if not _is_function(fn):
                raise TypeError(f"fn: expected an object of {fn.__name__}, got the class; call it: {fn.__name__}()")
            return cls(fn.__name__, fn.apply, _names(_forward_of(fn), count))
        if not callable(fn):
            pair = isinstance(fn, tuple) and len(fn) == 2 and all(map(callable, fn))
            way = "; passes by hand are checked by numpy_nn.gradcheck.check_gradients(fn, inputs)" if pair else ""
            raise TypeError(f"fn: expected a function of tensors, got {type(fn).__name__}{way}")
        _refuse_passes_by_hand(fn, owner)
        if not isinstance(owner, nn.Module):
            return cls(getattr(fn, "__name__", type(fn).__name__), fn, _names(fn, count))
        module = copy.deepcopy(owner, _states_detached(owner))
        if dtype is not None:
            module.to(dtype)
        call = module if fn is owner else getattr(module, fn.__name__)
        names = _names(module.forward if fn is owner else call, count)
        taken = {
            f"{type(module).__name__}.{name}" if name in names else name: parameter
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }
        return cls(type(module).__name__, call, names, module, taken)

    def differentiated(self, outputs: int) -> TensorFunction:
        """The function of the inputs and the gradients of so many outputs that backward is."""

        def backward(*arguments: Any) -> list[Tensor]:
            inputs, grad_outputs = arguments[: len(self.names)], arguments[len(self.names) :]
            results = floating_outputs(self.call(*inputs), self.all_outputs)
            leaves = [a for a in (*inputs, *self.parameters.values()) if isinstance(a, Tensor) and a.requires_grad]
            found = torch.autograd.grad(results, leaves, grad_outputs, create_graph=True, allow_unused=True)
            return [gradient for gradient in found if gradient is not None]

        more = ["grad_output"] if outputs == 1 else [f"grad_output {i}" for i in range(outputs)]
        return replace(
            self, label=f"backward of {self.label}", call=backward, names=[*self.names, *more], all_outputs=True
        )


def _refuse_passes_by_hand(fn: Any, owner: Any) -> None:
    """TypeError for an object with a backward pass of its own: autograd does not call it, and would be checked."""
    if owner is not None or isinstance(fn, torch.jit.ScriptFunction) or inspect.isroutine(fn):
        return
    forward, backward = passes(fn)
    if backward is None or type(fn).__module__.partition(".")[0] == "torch":
        return
    name = type(fn).__name__
    call = f"net.{getattr(forward, '__name__', '__call__')}, net.{getattr(backward, '__name__', 'backward')}"
    raise TypeError(
        f"fn: {name} has a backward pass of its own, which autograd does not call: what it makes of forward would be "
        "checked; that pass is, where it takes the gradient of the output, by\n"
        f"    numpy_nn.gradcheck.check_gradients(({call}), x)"
    )


def _states_detached(module: nn.Module) -> dict[int, Any]:
    """For deepcopy: the tensors that a module keeps of an earlier call, such as hidden states, without their graph.

    deepcopy by itself refuses those that were computed.
    """
    memo, seen = dict[int, Any](), set[int]()
    waiting = [value for part in module.modules() for value in (*vars(part).values(), *part.buffers(recurse=False))]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor) and not value.is_leaf:
            memo[id(value)] = value.detach().clone()
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value
    return memo


def floating_outputs(result: Any, every: bool) -> list[Tensor]:
    """The tensors of floats in what a function returns that require grad, or every one. TypeError if one is complex."""
    found = [tensor for tensor in _tensors(result) if tensor.is_floating_point() or tensor.is_complex()]
    for tensor in found:
        refuse_odd_tensors(tensor, "fn's output")
    chosen = [tensor for tensor in found if every or tensor.requires_grad]
    if not chosen:
        raise ValueError(f"fn: expected an output that requires grad, got {_described(result)}")
    return chosen


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from _tensors(part)
    elif isinstance(result, Mapping):
        for part in result.values():
            yield from _tensors(part)


def _described(result: Any) -> str:
    tensors = list(_tensors(result))
    return ", ".join(f"a tensor of {t.dtype} that does not" for t in tensors) or type(result).__name__


def refuse_odd_tensors(tensor: Tensor, name: str) -> None:
    """TypeError for a tensor whose entries are no plain array of real numbers."""
    if tensor.is_complex():
        raise TypeError(
            f"{name}: expected real numbers, got {tensor.dtype}; torch.autograd.gradcheck takes complex ones"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense tensor, got one of layout {tensor.layout}")


def argument_names(target: Any) -> list[str]:
    """The names of what is to be given: a function's, those of a Function's apply, or of a module's forward."""
    if _is_function(target):
        target = _forward_of(target)
    elif isinstance(target, type) and issubclass(target, nn.Module):
        parameters = list(inspect.signature(target.forward).parameters.values())
        target = Dressed(target.forward, inspect.Signature(parameters[1:]))
    spec = positional(target.forward if isinstance(target, nn.Module) else target)
    return [] if spec is None else [*spec[0], *spec[1]]


def _names(function: Callable[..., Any], count: int) -> list[str]:
    spec = positional(function)
    names = [] if spec is None else [*spec[0], *spec[1]]
    if len(names) >= count:
        return names[:count]
    return ["input"] if count == 1 else [f"input {i}" for i in range(count)]


def _is_function(thing: Any) -> TypeGuard[type[torch.autograd.Function]]:
    return isinstance(thing, type) and issubclass(thing, torch.autograd.Function)


def _forward_of(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """The forward of an autograd.Function as apply is called: without ctx, which it takes if nothing else sets it."""
    forward: Callable[..., Any] = function.forward
    if function.setup_context is not torch.autograd.Function.setup_context:
        return forward
    parameters = list(inspect.signature(forward).parameters.values())
    return Dressed(forward, inspect.Signature(parameters[1:]))
