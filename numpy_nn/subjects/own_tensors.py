"""Engines of one's own that differentiate by themselves: tensors with ``data``, ``grad`` and ``backward()``."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names
from numpy_nn.subjects.live import LiveSubject
from numpy_nn.subjects.names import positional, signature
from numpy_nn.subjects.places import Path, Step, in_order, written
from numpy_nn.subjects.state import attributes, equal
from numpy_nn.subjects.subject import Array, ClaimingSubject, SubjectError

# A product in float32 of numbers that were rounded to it is off by no more units in the last place.
ROUNDINGS = 4


def tensor_subject(target: Any, x: Any, targets: Any) -> TensorSubject | None:
    """The subject for a function or an object that is given tensors of somebody's own engine; None for any other x."""
    inputs = x if isinstance(x, tuple) else (x,)
    parts = [part for given in inputs for part in (given if isinstance(given, list) else [given])]
    if not any(map(is_tensor, parts)) and not _uses_held_tensors(target, (*inputs, targets)):
        if (other := next(filter(_differentiates, parts), None)) is not None:
            kind = type(other).__name__
            raise TypeError(f"x: expected tensors with data, grad and backward(), got {kind} without{_BY_NAME}")
        return None
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
    objects = [one for one in arguments if _is_object_of_somebody(one)]
    return any(True for one in objects for _ in _tensors_in(one, "x")) or (
        not inspect.isroutine(target) and any(True for _ in _tensors_in(target, ""))
    )


def _is_object_of_somebody(thing: Any) -> bool:
    """Whether it has attributes, and is no array, number, container or function: a network, say."""
    known = (np.ndarray, np.generic, type, Mapping, list, tuple, str)
    return hasattr(thing, "__dict__") and not isinstance(thing, known) and not inspect.isroutine(thing)


def _differentiates(thing: Any) -> bool:
    """Whether it has a backward pass and no forward pass, as a tensor of an engine and no layer."""
    if _is_no_object_of_an_engine(thing) or callable(thing):
        return False
    return callable(getattr(thing, "backward", None)) and names.passes(thing)[0] is None


def is_tensor(thing: Any) -> bool:
    """Whether it holds a number or an array of floats, as ``data``, and has a ``grad`` and ``backward()``.

    By these names, or the likes of them: ``value`` and ``g``.
    """
    if _is_no_object_of_an_engine(thing):
        return False
    return _place(thing) is not None and _slot(thing) is not None and callable(getattr(thing, "backward", None))


def _is_no_object_of_an_engine(thing: Any) -> bool:
    # A dict whose keys are its attributes may raise KeyError where an attribute is missing.
    if isinstance(thing, (np.ndarray, type, Mapping)):
        return True
    return type(thing).__module__.partition(".")[0] in ("torch", "jax", "jaxlib")


def _place(tensor: Any) -> str | None:
    """The attribute in which a tensor holds its numbers."""
    return next((name for name in _PLACES if _holds_floats(getattr(tensor, name, None))), None)


_PLACES = ("data", "_data", "value", "_value", "val", "v", "array", "arr")
_GRADS = ("grad", "_grad", "g", "gradient", "derivative", "adjoint")


def _slot(tensor: Any) -> str | None:
    """The attribute in which a tensor holds its gradient."""
    return next((name for name in _GRADS if hasattr(tensor, name) and not callable(getattr(tensor, name))), None)


def _grad_of(tensor: Any) -> Any:
    return getattr(tensor, _slot(tensor) or "grad")


def _holds_floats(data: Any) -> bool:
    is_number = isinstance(data, (float, int)) and not isinstance(data, bool)
    return is_number or (isinstance(data, (np.ndarray, np.floating)) and data.dtype.kind == "f")


def _held_by(tensor: Any) -> Any:
    return getattr(tensor, _place(tensor) or "data")


class TensorSubject(LiveSubject):
    """A function of tensors: with respect to those that it is given, and those that it, or its object, holds.

    Before each forward pass every gradient is 0, or None if it was None at the beginning. The gradient of the output
    is handed to ``backward`` where it takes one. Where it takes none the output is multiplied by it, as a constant;
    where that cannot be, what is judged is the gradient of the output's sum.
    """

    def __init__(self, target: Any, forward: Callable[..., Any], arguments: Sequence[Any]) -> None:
        label = getattr(target, "__name__", type(target).__name__)
        self._engine = _Engine(label, forward, arguments, _differentiated(target, forward, arguments))
        live = {name: (tensor, _place(tensor)) for name, tensor in self._engine.tensors.items()}
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
                self.warn(
                    "f(x) + f(x) gets the gradient of f(x): of a tensor that is used twice the gradient is set (=) "
                    "where it has to be added up (+=)"
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


class _Engine:
    """One forward and backward pass after the other, each from gradients as they were at first."""

    def __init__(
        self, label: str, forward: Callable[..., Any], arguments: Sequence[Any], tensors: Mapping[str, Any]
    ) -> None:
        self.label, self.tensors = label, tensors
        self._forward, self._arguments = forward, arguments
        self._grads = {name: _zeroed(_grad_of(tensor)) for name, tensor in tensors.items()}
        self._output: Any = None
        # The function that runs the backward pass, where the method is one step of it.
        self.run_by: Callable[[Any], Any] | None = None

    def runners(self) -> list[Callable[[Any], Any]]:
        """The functions beside the tensors' class that are called as a backward pass, of one argument."""
        module = sys.modules.get(type(self._output).__module__)
        own = [f for n, f in vars(module).items() if names.is_backward(n) and inspect.isfunction(f)] if module else []
        return [function for function in own if len((positional(function) or ([], []))[0]) == 1]

    def run(self) -> Any:
        self._forget()
        self._output = self._apply()
        return np.asarray(_held_by(self._output), np.float64)

    def grads(self, grad_output: Any) -> dict[str, Any]:
        if self.run_by is None and self.takes_gradient:
            self._output.backward(grad_output)
        else:
            output = self._output if np.all(grad_output == 1.0) else self.times(grad_output)
            output.backward() if self.run_by is None else self.run_by(output)
        return {name: _numbers(_grad_of(tensor)) for name, tensor in self.tensors.items()}

    def grads_of_two(self, grad_output: Any, *, same: bool) -> dict[str, Any] | None:
        """The gradients of f(x) + f(x), of one f(x) or of two; None where tensors of this engine cannot be added."""
        self._forget()
        try:
            output = self._apply()
            self._output = output + (output if same else self._apply())
        except (TypeError, AttributeError):
            return None
        return self.grads(grad_output) if is_tensor(self._output) else None

    def times(self, weights: Any) -> Any:
        """The output times constant weights, which has the gradient of sum(weights * output); None if that fails."""
        try:
            product = self._output * weights
        except (TypeError, AttributeError, ValueError):
            return None
        if not is_tensor(product):
            return None
        held, expected = np.asarray(_held_by(product)), _held_by(self._output) * weights
        # An engine that computes in float32 rounds the weights as well.
        room = ROUNDINGS * np.finfo(held.dtype).eps if held.dtype == np.float32 else 0.0
        is_it = held.shape == np.shape(expected) and np.allclose(held, expected, rtol=room, atol=0.0, equal_nan=False)
        return product if is_it else None

    def _forget(self) -> None:
        for name, tensor in self.tensors.items():
            setattr(tensor, _slot(tensor) or "grad", deepcopy(self._grads[name]))

    def _apply(self) -> Any:
        output = self._forward(*self._arguments)
        if isinstance(output, (list, tuple)) and len(found := list(filter(is_tensor, output))) == 1:
            output = found[0]  # as of (largest, where)
        if not is_tensor(output):
            raise TypeError(f"{self.label}: expected one tensor as its output, got {type(output).__name__}")
        return output

    @property
    def takes_gradient(self) -> bool:
        """Whether ``backward`` of the output takes its gradient."""
        required, optional = positional(self._output.backward) or ([], [])
        # retain_grad=False is a setting.
        defaults = signature(self._output.backward).parameters if optional else {}
        optional = [name for name in optional if not isinstance(defaults[name].default, bool)]
        return bool(required) or any(names.role(name) == names.GRAD for name in optional)


def _differentiated(target: Any, forward: Callable[..., Any], arguments: Sequence[Any]) -> dict[str, Any]:
    """The tensors by their names, each once."""
    found: dict[str, Any] = {}
    for name, tensor in (*_given(forward, arguments), *_held(target)):
        if getattr(tensor, "requires_grad", True) and all(tensor is not other for other in found.values()):
            found[name] = tensor
    return found


def _given(forward: Callable[..., Any], arguments: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """The tensors among the arguments, by the names that the function has for them."""
    required, optional = positional(forward) or ([], [])
    own = [*required, *optional]
    for index, argument in enumerate(arguments):
        name = own[index] if index < len(own) else f"input {index}" if index else "input"
        if is_tensor(argument):
            yield name, argument
        elif _is_object_of_somebody(argument) and not _is_no_object_of_an_engine(argument):
            yield from _tensors_in(argument, name)
        elif isinstance(argument, list):
            yield from ((f"{name}[{i}]", part) for i, part in enumerate(argument) if is_tensor(part))


def _held(target: Any) -> Iterator[tuple[str, Any]]:
    """The tensors in an object, or in what a function refers to."""
    if not inspect.isroutine(target):
        yield from _tensors_in(target, "")
        return
    if (owner := getattr(target, "__self__", None)) is not None:
        yield from _tensors_in(owner, "")
    bare = getattr(target, "__func__", target)
    variables = inspect.getclosurevars(bare) if inspect.isfunction(bare) else None
    for name, value in ({**variables.globals, **variables.nonlocals} if variables else {}).items():
        if is_tensor(value):
            yield name, value
        elif not inspect.isroutine(value) and not inspect.ismodule(value) and not isinstance(value, type):
            yield from _tensors_in(value, name)


def _tensors_in(thing: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every tensor that an object, a list or a dict holds, but for those that it was computed from."""
    seen: set[int] = set()

    def walk(thing: Any, path: Path) -> Iterator[tuple[str, Any]]:
        if id(thing) in seen or isinstance(thing, (str, bytes, type, np.ndarray)):
            return
        seen.add(id(thing))
        if is_tensor(thing):
            yield prefix + written(path) if path[0].is_item or not prefix else f"{prefix}.{written(path)}", thing
        elif isinstance(thing, Mapping):
            for key, value in thing.items():
                yield from walk(value, (*path, Step(key, True)))
        elif isinstance(thing, (list, tuple, set, frozenset)):
            for index, value in in_order(thing):
                yield from walk(value, (*path, Step(index, True)))
        else:
            for name, value in attributes(thing).items():
                yield from walk(value, (*path, Step(name, False)))

    yield from walk(thing, ())


def _zeroed(grad: Any) -> Any:
    """A gradient of the same kind, before any backward pass."""
    if isinstance(grad, (float, int, np.ndarray, np.number)):
        return grad * 0
    before = deepcopy(grad)
    if grad is not None and (place := _place(grad)):
        setattr(before, place, getattr(grad, place) * 0)
    return before


def _numbers(grad: Any) -> NDArray[Any] | None:
    """What a gradient holds: an array, a number, or a tensor with one of them as its ``data``."""
    if grad is None:
        return None
    return np.asarray(_held_by(grad) if _place(grad) and not isinstance(grad, np.ndarray) else grad)
