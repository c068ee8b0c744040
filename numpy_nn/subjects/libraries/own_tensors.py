"""Engines of one's own that differentiate by themselves: tensors with ``data``, ``grad`` and ``backward()``."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names
from numpy_nn.subjects.libraries.live import LiveSubject
from numpy_nn.subjects.libraries.tensors_found import (
    differentiated,
    grad_of,
    held_by,
    holds_whole_numbers,
    is_no_object_of_an_engine,
    is_object_of_somebody,
    is_tensor,
    place_in,
    slot_in,
    tensors_held,
    tensors_in,
)
from numpy_nn.subjects.signatures import positional, signature
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Array, ClaimingSubject, SubjectError

# A product in float32 of numbers that were rounded to it is off by no more units in the last place.
ROUNDINGS = 4

# In so many graphs of the same nodes a set that is run through in another order is seen to be so.
GRAPHS = 8


def tensor_subject(target: Any, x: Any, targets: Any) -> TensorSubject | None:
    """The subject for a function or an object that is given tensors of somebody's own engine; None for any other x."""
    inputs = x if isinstance(x, tuple) else (x,)
    parts = [part for given in inputs for part in (given if isinstance(given, list) else [given])]
    if not any(map(is_tensor, parts)) and not _uses_held_tensors(target, (*inputs, targets)):
        other = next(filter(_differentiates, parts), None)
        if other is None:
            return None
        if not (holds_whole_numbers(other) and any(True for _ in tensors_held(target))):
            kind = type(other).__name__
            raise TypeError(f"x: expected tensors with data, grad and backward(), got {kind} without{_BY_NAME}")
    if not callable(target):
        forward = names.passes(target)[0]
        if forward is None:
            raise TypeError(f"target: expected a function of tensors, got {type(target).__name__} without forward")
    else:
        forward = target
    return TensorSubject(target, forward, inputs if targets is None else (*inputs, targets))


_BY_NAME = """
it becomes checkable with its arrays by name, here as ``data`` and ``grad``:
    def run():                          # forward, up to the output's numbers
        global out
        out = f(x, W)
        return out.data

    def grads(grad_output):             # a tensor's backward pass, and what it leaves
        out.backward(grad_output)
        return {"x": x.grad, "W": W.grad}

    check_gradients(run, grads, x=x.data, W=W.data)"""


def _uses_held_tensors(target: Any, arguments: Sequence[Any]) -> bool:
    """Whether it is a function, or an object that is called as one, of objects that hold tensors, or holds them itself.

    Numbers and arrays among the arguments are then constants. What has a backward pass of its own is no such thing.
    """
    if not callable(target) or isinstance(target, type) or names.passes(target)[1] is not None:
        return False
    objects = [one for one in arguments if is_object_of_somebody(one)]
    return any(True for one in objects for _ in tensors_in(one, "x")) or (
        not inspect.isroutine(target) and any(True for _ in tensors_in(target, ""))
    )


def _differentiates(thing: Any) -> bool:
    """Whether it has a backward pass and no forward pass, as a tensor of an engine and no layer."""
    if is_no_object_of_an_engine(thing) or callable(thing):
        return False
    return callable(getattr(thing, "backward", None)) and names.passes(thing)[0] is None


class TensorSubject(LiveSubject):
    """A function of tensors: with respect to those that it is given, and those that it, or its object, holds.

    Before each forward pass every gradient is 0, or None if it was None at the beginning. The gradient of the output
    is handed to ``backward`` where it takes one. Where it takes none the output is multiplied by it, as a constant;
    where that cannot be, what is judged is the gradient of the output's sum.
    """

    def __init__(self, target: Any, forward: Callable[..., Any], arguments: Sequence[Any]) -> None:
        label = getattr(target, "__name__", type(target).__name__)
        self._engine = _Engine(label, forward, arguments, differentiated(target, forward, arguments))
        live = {name: (tensor, place_in(tensor)) for name, tensor in self._engine.tensors.items()}
        super().__init__(self._engine.run, self._engine.grads, live, label=label)
        self._is_first = True

    def _make_repeatable(self) -> bool:
        if not super()._make_repeatable():
            return False
        self._leave_out_unreached()
        return True

    def _refuse_other_arrays(self) -> None:
        """The numbers of tensors are read wherever these are: those that the output does not depend on are left out."""

    def _leave_out_unreached(self) -> None:
        """Take out the tensors without a gradient that the output does not depend on, which need none, and say so."""
        home = self.output()
        claimed = self.gradients(self.random_grad_output(np.random.default_rng(0), home.shape))
        unreached = []
        for name in [name for name, gradient in claimed.items() if gradient is None and name != self.input]:
            with self.at({name: 1.125 * self.arrays[name] + 0.0625}):
                is_same = equal(home, self.output())
            if is_same:
                unreached.append(name)
        for name in unreached:
            self.arrays.pop(name)
            self._live.pop(name).write(self._first[name])
        if unreached:
            self.notes.append(f"the output does not depend on {', '.join(unreached)}: not checked")

    def _claim(self, grad_outputs: Sequence[Array]) -> Mapping[str, Any]:
        claimed = super()._claim(grad_outputs)
        if self._is_first:
            if _is_idle(claimed) and self._moves():
                claimed = self._run_by_another(grad_outputs)
            self._is_first = False
            self._look_at_a_second_use(claimed, grad_outputs[0])
        return claimed

    def gradients_by_chance(self, grad_output: Array) -> Sequence[Mapping[str, Array | None]]:
        """The gradients of some graphs, of which each is there still when the next is made: its nodes stand elsewhere.

        By where they stand a set goes through them in another order.
        """
        kept, found = [], []
        for _ in range(GRAPHS):
            found.append(self.gradients(grad_output))
            kept.append(self._engine.graph)
        return found

    def _run_by_another(self, grad_outputs: Sequence[Array]) -> Mapping[str, Any]:
        """The gradients by the function beside that runs the backward pass, of which ``backward`` is one step.

        TypeError if there is none.
        """
        for function in self._engine.runners():
            self._engine.run_by = function
            self.output()
            try:
                with self.running():
                    claimed = super()._claim(grad_outputs)
            except SubjectError:
                continue  # another function, which wants something else
            if not _is_idle(claimed):
                self.notes.append(f"the backward pass is run by {function.__name__}; backward() alone is a step of it")
                return claimed
        self._engine.run_by = None
        raise TypeError(
            f"{self.label}: backward() of its output leaves every gradient at 0; if another function runs it, "
            "check_gradients(run, grads, x=x.data) with grads(grad_output) calling that"
        )

    def _moves(self) -> bool:
        """Whether the output is another where every number is a little larger."""
        here = self.output()
        with self.at({name: array * (1.0 + 2.0**-12) + 2.0**-16 for name, array in self.arrays.items()}):
            return not equal(here, self.output())

    def _look_at_a_second_use(self, once: Mapping[str, Any], grad_output: Array) -> None:
        """Say it where one of the tensors, or the output, has the gradient of one use though it is used twice."""
        given = [name for name, gradient in once.items() if gradient is not None and np.any(gradient)]
        for same in (False, True):
            twice = self._engine.grads_of_two(grad_output, same=same)
            if twice is not None and any(equal(np.asarray(twice[name]), once[name]) for name in given):
                text = (
                    "f(x) + f(x) gets the gradient of f(x): of a tensor that is used twice the gradient is set (=) "
                    "where it has to be added up (+=)"
                )
                # Of the output alone there is another way to lose one.
                self.warn(
                    f"{text}, or what came last, or a constant, is handed on in the place of the sum" * same or text
                )
                return

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        if self._engine.takes_gradient:
            return super().random_grad_output(rng, shape)
        weights = ClaimingSubject.random_grad_output(self, rng, shape)
        return np.ones(shape) if math.prod(shape) == 1 or self._engine.times(weights) is None else weights


def _is_idle(claimed: Mapping[str, Any]) -> bool:
    """Whether every gradient is 0, or none."""
    return not any(gradient is not None and np.any(gradient) for gradient in claimed.values())


def _are(numbers: Any, expected: Any) -> bool:
    """Whether these are the numbers expected; but for the rounding of weights, in an engine that is of float32."""
    held = np.asarray(numbers)
    room = ROUNDINGS * np.finfo(held.dtype).eps if held.dtype == np.float32 else 0.0
    return held.shape == np.shape(expected) and np.allclose(held, expected, rtol=room, atol=0.0, equal_nan=False)


class _Engine:
    """One forward and backward pass after the other, each from gradients as they were at first."""

    def __init__(
        self, label: str, forward: Callable[..., Any], arguments: Sequence[Any], tensors: Mapping[str, Any]
    ) -> None:
        self.label, self.tensors = label, tensors
        self._forward, self._arguments = forward, arguments
        self._grads = {name: _zeroed(grad_of(tensor)) for name, tensor in tensors.items()}
        self._output: Any = None
        # The function that runs the backward pass, where the method is one step of it.
        self.run_by: Callable[[Any], Any] | None = None
        self._wraps = False  # whether backward takes a tensor
        self._sums = False  # whether it goes out from a single number alone

    @property
    def graph(self) -> Any:
        """The output of the latest forward pass, which holds what it was made of."""
        return self._output

    def runners(self) -> list[Callable[[Any], Any]]:
        """The functions beside the tensors' class that are called as a backward pass, of one argument."""
        module = sys.modules.get(type(self._output).__module__)
        own = [f for n, f in vars(module).items() if names.is_backward(n) and inspect.isfunction(f)] if module else []
        return [function for function in own if len((positional(function) or ([], []))[0]) == 1]

    def run(self) -> Any:
        self._forget()
        self._output = self._apply()
        return np.asarray(held_by(self._output), np.float64)

    def grads(self, grad_output: Any) -> dict[str, Any]:
        if self.run_by is None and self.takes_gradient:
            self._backward(grad_output)
        else:
            self._run_backward(grad_output)
        return {name: _numbers(grad_of(tensor)) for name, tensor in self.tensors.items()}

    def _run_backward(self, grad_output: Any) -> None:
        """The backward pass of the output times its gradient, a constant; of its sum, where numbers alone have one."""
        output = self._output if np.all(grad_output == 1.0) else self.times(grad_output)
        if self._sums:
            output = self._summed(output)
        try:
            output.backward() if self.run_by is None else self.run_by(output)
        except Exception:  # by whatever class an engine has for it: that it begins at a number alone, say
            if self._sums or np.size(held_by(output)) == 1 or self._summed(output) is None:
                raise
            self._sums = True
        else:
            return
        self.run()
        self._run_backward(grad_output)

    def _summed(self, tensor: Any) -> Any:
        """The sum of a tensor, as a tensor; None where this engine has none that is asked like this."""
        try:
            total = tensor.sum()
        except Exception:  # the check asks for it, not the user, to whom the first error is told
            return None
        is_it = is_tensor(total) and np.size(held_by(total)) == 1
        return total if is_it and np.allclose(np.sum(held_by(total)), np.sum(held_by(tensor)), rtol=1e-5) else None

    def _backward(self, grad_output: Any) -> None:
        """The output's backward pass: of an array, or where it takes none of a tensor of its own kind that holds it."""
        kind = type(self._output)
        if not self._wraps:
            try:
                self._output.backward(grad_output)
            except Exception as error:  # by whatever class: that it multiplies by a tensor, say
                self.run()  # what it has done by then may be a half
                try:
                    self._output.backward(kind(grad_output))
                except Exception:  # so that was not the reason, and the user is told of the first
                    raise error from None
                self._wraps = True
            return
        self._output.backward(kind(grad_output))

    def grads_of_two(self, grad_output: Any, *, same: bool) -> dict[str, Any] | None:
        """The gradients of f(x) + f(x), of one f(x) or of two; None where tensors of this engine cannot be added."""
        self._forget()
        try:
            output = self._apply()
            self._output = output + (output if same else self._apply())
        except (TypeError, AttributeError):
            return None
        try:
            return self.grads(grad_output) if is_tensor(self._output) else None
        except Exception:  # of what is not asked for by the user
            return None

    def times(self, weights: Any) -> Any:
        """The output times constant weights, which has the gradient of sum(weights * output); None if that fails."""
        output: Any = self._output
        kind: Any = type(output)
        for made in (np.asarray, kind):
            with suppress(TypeError, AttributeError, ValueError, AssertionError):
                if is_tensor(product := output * made(weights)) and _are(held_by(product), held_by(output) * weights):
                    return product
        return None

    def _forget(self) -> None:
        for name, tensor in self.tensors.items():
            setattr(tensor, slot_in(tensor) or "grad", deepcopy(self._grads[name]))

    def _apply(self) -> Any:
        output = self._forward(*self._arguments)
        if isinstance(output, (list, tuple)) and len(found := list(filter(is_tensor, output))) == 1:
            output = found[0]  # as of (largest, where)
        if not is_tensor(output):
            several = isinstance(output, (list, tuple)) and any(map(is_tensor, output))
            owner = getattr(self._forward, "__self__", None)
            call = self.label if owner is None else f"net.{self._forward.__name__}"
            way = f"; check each by itself:\n    check_gradients(lambda *x: {call}(*x)[0], x)" if several else ""
            raise TypeError(f"{self.label}: expected one tensor as its output, got {type(output).__name__}{way}")
        return output

    @property
    def takes_gradient(self) -> bool:
        """Whether ``backward`` of the output takes its gradient."""
        required, optional = positional(self._output.backward) or ([], [])
        # retain_grad=False is a setting.
        defaults = signature(self._output.backward).parameters if optional else {}
        optional = [name for name in optional if not isinstance(defaults[name].default, bool)]
        return bool(required) or any(names.role(name) == names.GRAD for name in optional)


def _zeroed(grad: Any) -> Any:
    """A gradient of the same kind, before any backward pass."""
    if isinstance(grad, (float, int, np.ndarray, np.number)):
        return grad * 0
    before = deepcopy(grad)
    if grad is not None and (place := place_in(grad)):
        setattr(before, place, getattr(grad, place) * 0)
    return before


def _numbers(grad: Any) -> NDArray[Any] | None:
    """What a gradient holds: an array, a number, or a tensor with one of them as its ``data``."""
    if grad is None:
        return None
    return np.asarray(held_by(grad) if place_in(grad) and not isinstance(grad, np.ndarray) else grad)
