"""A function of tensors as a Subject: its output and the gradients that autograd claims, by named arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from numpy_nn.subjects import SubjectError
from numpy_nn.subjects.state import Snapshot, of_a_library, reachable, restorer
from numpy_nn.subjects.subject import Array, ClaimingSubject
from torch_ref.tensor_function import TensorFunction, floating_outputs, refuse_odd_tensors


def _modules_that_may_keep(call: Callable[..., Any]) -> list[nn.Module]:
    """The modules that are called, but for torch's own, which keep nothing but buffers."""
    called = [thing for thing in reachable(call) if isinstance(thing, nn.Module)]
    parts = {id(part): part for module in called for part in module.modules()}
    return [part for part in parts.values() if not of_a_library(part)]


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
