"""A function of tensors as a Subject: its output and the gradients that autograd claims, by named arrays."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from numpy_nn.subjects import SubjectError
from numpy_nn.subjects.dressing import Dressed
from numpy_nn.subjects.names import passes, positional
from numpy_nn.subjects.state import Snapshot, of_a_library, reachable, restorer
from numpy_nn.subjects.subject import Array, ClaimingSubject


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


def _modules_that_may_keep(call: Callable[..., Any]) -> list[nn.Module]:
    """The modules that are called, but for torch's own, which keep nothing but buffers."""
    called = [thing for thing in reachable(call) if isinstance(thing, nn.Module)]
    parts = {id(part): part for module in called for part in module.modules()}
    return [part for part in parts.values() if not of_a_library(part)]


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


class TorchGenerator:
    """torch's global generators, on every device in use, with the methods by which state is saved and put back."""

    def getstate(self) -> list[Any]:
        """Their states."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
        mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
        return [torch.get_rng_state(), cuda, mps]

    def setstate(self, state: Sequence[Any]) -> None:
        """Have them draw again what they drew from that state on."""
        cpu, cuda, mps = state
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
        if mps is not None:
            torch.mps.set_rng_state(mps)

    def random(self) -> float:
        """A number, so that the next ones are others; drawn on every device."""
        if torch.cuda.is_initialized():
            for device in range(torch.cuda.device_count()):
                torch.rand((), device=f"cuda:{device}")
        if torch.backends.mps.is_available():
            torch.rand((), device="mps")
        return float(torch.rand(()))


class _OwnGenerator:
    """A torch.Generator that the code keeps, with the same methods."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        self.getstate, self.setstate = generator.get_state, generator.set_state

    def random(self) -> float:
        return float(torch.rand((), generator=self._generator, device=self._generator.device))


class TorchSubject(ClaimingSubject):
    """``function`` of ``inputs``, whose floating tensors are in ``dtype``, or as they are if that is None.

    Differentiated are the inputs and parameters that require grad. The first input is among ``arrays`` also if it does
    not, as the batch of which the rest of the check makes others. Values are kept in float64 and rounded on the way in.
    """

    def __init__(self, function: TensorFunction, inputs: Sequence[Any], dtype: torch.dtype | None) -> None:
        self.function, self.inputs, self.dtype = function, tuple(inputs), dtype
        self._by_name = dict(zip(function.names, inputs, strict=True))
        arrays: dict[str, Array] = {}
        for index, (name, value) in enumerate(self._by_name.items()):
            if isinstance(value, Tensor) and value.requires_grad:
                refuse_odd_tensors(value, name)
            if _is_dense(value) and (value.requires_grad or index == 0):
                arrays[name] = as_array(value)
        arrays |= {name: as_array(parameter) for name, parameter in function.parameters.items()}
        super().__init__(function.label, [function.call], arrays)
        kept = [_OwnGenerator(thing) for thing in reachable(function.call) if isinstance(thing, torch.Generator)]
        self._generators += kept
        self._restore += [restorer(generator) for generator in kept]
        self._buffers = [(b, b.clone()) for b in function.module.buffers()] if function.module is not None else []
        self._state = Snapshot(*_modules_that_may_keep(function.call))
        self.leaves: dict[str, Tensor] = {}
        self._outputs: list[Tensor] = []
        self._targets_name: str | None = None
        self.without_gradient: set[str] = set()

    @property
    def claims_something(self) -> bool:
        """Whether anything is differentiated."""
        tensors = [v for v in self._by_name.values() if isinstance(v, Tensor) and v.is_floating_point()]
        return bool(self.function.parameters) or any(tensor.requires_grad for tensor in tensors)

    @property
    def output_tensors(self) -> list[Tensor]:
        """The outputs of the latest run."""
        return self._outputs

    def complex_output(self, x: NDArray[np.complexfloating[Any]]) -> None:
        """None: tensors of floats hold no complex numbers."""

    def take_targets(self, name: str) -> None:
        """Have the argument of this name be what ``targets`` holds, an array."""
        self._targets_name, self.targets = name, np.array(self._by_name[name].detach().cpu().numpy())

    def leave_out_unused(self) -> None:
        """Take out the arrays without a gradient that the output does not depend on, and say so of the others."""
        if not self.make_repeatable():
            return
        home, unused = self.output(), []
        for name in sorted(self.without_gradient & self.arrays.keys()):
            with self.at({name: 1.125 * self.arrays[name] + 0.0625}):
                same = np.array_equal(self.output(), home, equal_nan=True)
            if same:
                unused.append(name)
            else:
                self.notes.append(f"backward returns None for {name}, which counts as zeros")
        if unused:
            self.notes.append(f"the output does not depend on {', '.join(unused)}: not checked")
            for name in unused:
                del self.arrays[name]
            self.input = self.input if self.input in self.arrays else next(iter(self.arrays), self.input)

    def _make_repeatable(self) -> bool:
        if not self._repeats():
            self._generators.append(TorchGenerator())
            self._restore.append(restorer(self._generators[-1]))
        return super()._make_repeatable()

    def put_state_back(self) -> None:
        """What modules keep from call to call, such as a hidden state, as it was before the first run."""
        self._state.restore()
        for buffer, values in self._buffers:
            buffer.copy_(values)

    def _run(self, _: Mapping[str, NDArray[Any]]) -> Sequence[Any]:
        self.put_state_back()
        self.leaves = {}
        arguments = {name: self._argument(name, value) for name, value in self._by_name.items()}
        for name, parameter in self.function.parameters.items():
            if name in self.arrays:
                fill(parameter, self.arrays[name])
                self.leaves[name] = parameter
        before = {name: as_array(argument) for name, argument in arguments.items() if _is_dense(argument)}
        with torch.enable_grad():
            result = self.function.call(*arguments.values())
        for name, kept in before.items():
            if not np.array_equal(kept, as_array(arguments[name]), equal_nan=True):
                self.warn(f"forward changes {name} in place")
        self._outputs = floating_outputs(result, self.function.all_outputs)
        return [as_array(output) for output in self._outputs]

    def _argument(self, name: str, value: Any) -> Any:
        """The argument in the run that begins: a leaf with the values of its array, or what was given."""
        if not isinstance(value, Tensor):
            return value
        if name == self._targets_name:
            value = torch.from_numpy(self.targets).to(value.device)
        dtype = self.dtype if value.is_floating_point() and self.dtype is not None else value.dtype
        if name not in self.arrays:
            return value.detach().to(dtype, copy=True).requires_grad_(value.requires_grad)
        rows = self.arrays[name]
        shaped = value.detach() if rows.shape == value.shape else value.new_empty(rows.shape)
        leaf = torch.empty_like(shaped, dtype=dtype)
        fill(leaf, rows)
        if value.requires_grad:
            self.leaves[name] = leaf.requires_grad_()
        return leaf

    def _claim(self, grad_outputs: Sequence[Array]) -> Mapping[str, Any]:
        pairs = [
            (output, torch.as_tensor(g).to(output.device, output.dtype))
            for output, g in zip(self._outputs, grad_outputs, strict=True)
            if output.requires_grad
        ]
        claimed: list[Tensor | None] = [None] * len(self.leaves)
        if pairs:
            outputs, gradients = zip(*pairs, strict=True)
            claimed = list(torch.autograd.grad(outputs, list(self.leaves.values()), gradients, allow_unused=True))
        found = dict(zip(self.leaves, claimed, strict=True))
        self.without_gradient |= {name for name, gradient in found.items() if gradient is None}
        return {n: np.zeros(self.arrays[n].shape) if g is None else as_array(g) for n, g in found.items()}


def torch_subject(
    function: Callable[[torch.dtype | None], TensorFunction], inputs: Sequence[Any], dtype: torch.dtype | None
) -> TorchSubject:
    """The subject in ``dtype``; if that is None in float64 where the code takes it, else as inputs and parameters are.

    Where these are of several dtypes that do not go together, all are in the narrowest. What the code raises then comes
    through.
    """
    narrow = narrowest(inputs, function(None))
    if dtype is None and narrow not in (None, torch.float64):
        subject = TorchSubject(function(torch.float64), inputs, torch.float64)
        name = str(narrow).removeprefix("torch.")
        try:
            _try_out(subject)
        except SubjectError as error:
            subject = TorchSubject(function(None), inputs, None)
            try:
                _try_out(subject)
            except SubjectError:
                subject = TorchSubject(function(narrow), inputs, narrow)
                _try_out(subject)
            subject.notes.append(f"computed in {name}, as {subject.label} does not take float64 ({error.reason})")
        else:
            subject.notes.append(f"computed in float64, which {subject.label} takes, and not in {name} as given")
        return subject
    subject = TorchSubject(function(dtype), inputs, dtype)
    _try_out(subject)
    return subject


def _try_out(subject: TorchSubject) -> None:
    """A pass forward and one backward. SubjectError if the code raises."""
    if not subject.claims_something:
        raise ValueError("inputs: expected at least one tensor that requires grad, or a module with parameters")
    output = subject.output()
    subject.gradients(np.ones(output.shape))


def narrowest(inputs: Sequence[Any], function: TensorFunction) -> torch.dtype | None:
    """Of the floating dtypes of the inputs and parameters the one with the fewest digits; None without any."""
    tensors = [value for value in (*inputs, *function.parameters.values()) if isinstance(value, Tensor)]
    dtypes = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps, default=None)


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


def _is_dense(value: Any) -> bool:
    """Whether it is a tensor of floats with a number for every entry."""
    return isinstance(value, Tensor) and value.is_floating_point() and value.layout == torch.strided


def as_array(tensor: Tensor) -> Array:
    """The numbers of a tensor on any device, as an array of its own."""
    return np.array(tensor.detach().to("cpu", torch.float64).numpy())


def fill(tensor: Tensor, values: Array) -> None:
    """Write the values into a tensor, rounded to its dtype."""
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values).reshape(values.shape)))


def _names(function: Callable[..., Any], count: int) -> list[str]:
    spec = positional(function)
    names = [] if spec is None else [*spec[0], *spec[1]]
    if len(names) >= count:
        return names[:count]
    return ["input"] if count == 1 else [f"input {i}" for i in range(count)]


def argument_names(target: Any) -> list[str]:
    """The names of what is to be given: a function's, those of a Function's apply, or of a module's forward."""
    if _is_function(target):
        target = _forward_of(target)
    elif isinstance(target, type) and issubclass(target, nn.Module):
        parameters = list(inspect.signature(target.forward).parameters.values())
        target = Dressed(target.forward, inspect.Signature(parameters[1:]))
    spec = positional(target.forward if isinstance(target, nn.Module) else target)
    return [] if spec is None else [*spec[0], *spec[1]]


def _is_function(thing: Any) -> TypeGuard[type[torch.autograd.Function]]:
    return isinstance(thing, type) and issubclass(thing, torch.autograd.Function)


def _forward_of(function: type[torch.autograd.Function]) -> Callable[..., Any]:
    """The forward of an autograd.Function as apply is called: without ctx, which it takes if nothing else sets it."""
    forward: Callable[..., Any] = function.forward
    if function.setup_context is not torch.autograd.Function.setup_context:
        return forward
    parameters = list(inspect.signature(forward).parameters.values())
    return Dressed(forward, inspect.Signature(parameters[1:]))
