"""What can be checked, made alike: layers, losses, foreign objects and pairs of functions as a :class:`Subject`.

A subject has named arrays, of which the first is the input, an output that depends on them, and the gradients that
somebody claims. It works on a copy of the target in float64, so that the target itself stays as it is.
"""

from __future__ import annotations

import copy
import inspect
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.layers import Layer
from numpy_nn.layers.composition import Composition
from numpy_nn.losses import Loss
from numpy_nn.subjects.parameters import Getter, lone_arrays, parameters_of

Array = NDArray[np.float64]


class SubjectError(Exception):
    """The subject's own code has raised ``__cause__``: at a point that the user gave it is his, else no verdict."""


class Subject:
    """The base class. ``arrays`` are the live arrays that forward reads: writing into them moves the point.

    ``input`` names the one in which a batch arrives; it is the first. ``is_loss`` says that the output is a loss: a
    number whose gradient backward gives by itself.
    """

    is_loss = False

    def __init__(self, label: str, target: Any, x: Array, generators: Iterable[Any] = ()) -> None:
        self.label = label
        self.target = target
        self.input = "input"
        self.arrays: dict[str, NDArray[Any]] = {self.input: x}
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.evaluations = 0
        self._generators = [*find_generators(target), *generators]
        self._restore = [_restorer(g) for g in self._generators]
        self.targets: Any = None
        self.watch: Callable[[int], None] | None = None  # told of every evaluation

    def output(self) -> Array:
        """The output at the present values of ``arrays``, as an array of its own; with the same random draws each time.

        In-place changes of the input are noted once, and undone. SubjectError if the subject's code raises.
        """
        self.evaluations += 1
        if self.watch is not None:
            self.watch(1)
        self.restore_generators()
        given = self.arrays[self.input].copy()
        with self._running():
            output = np.array(self._forward(given))
        if not np.array_equal(given, self.arrays[self.input], equal_nan=True):
            self.complain("forward changes its input in place: the caller's array no longer holds what it held")
        if output.dtype.kind != "f":
            raise TypeError(f"{self.label}: expected an output of floats, got an array of {output.dtype}")
        return output.astype(np.float64, copy=False)

    def restore_generators(self) -> None:
        """Have every generator draw again what it drew for the first output."""
        for restore in self._restore:
            restore()

    def complex_output(self, x: NDArray[np.complexfloating[Any]]) -> NDArray[np.complexfloating[Any]] | None:
        """The output for a complex input; None if the target does not take one and answer in kind."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                output = np.asarray(self._forward(x))
            except (TypeError, ValueError, np.exceptions.ComplexWarning):
                return None
        return output if np.iscomplexobj(output) else None

    def gradients(self, grad_output: Array) -> dict[str, NDArray[Any] | None]:
        """The claimed gradients of sum(grad_output * output), as copies; None where none is given."""
        self.output()
        given = grad_output.copy()
        with self._running():
            claimed = self._backward(given)
        if not np.array_equal(given, grad_output):
            self.complain("backward changes the gradient that it is given in place")
        return {name: None if g is None else np.array(g, np.float64) for name, g in claimed.items()}

    @contextmanager
    def at(self, moved: Mapping[str, Array]) -> Iterator[None]:
        """The same subject with these arrays at other values, of the same shapes; as before afterwards."""
        homes = {name: self.arrays[name].copy() for name in moved}
        try:
            for name, values in moved.items():
                self.arrays[name][...] = values
            yield
        finally:
            for name, values in homes.items():
                self.arrays[name][...] = values

    @contextmanager
    def _running(self) -> Iterator[None]:
        """The subject's own code, without NumPy's warnings; what it raises becomes a SubjectError."""
        try:
            with np.errstate(all="ignore"):
                yield
        except Exception as error:
            raise SubjectError(f"{self.label}: {type(error).__name__}: {error}") from error

    def kept_arrays(self) -> list[tuple[str, NDArray[Any]]]:
        """Arrays among the target's attributes, in which it keeps what forward saw."""
        attributes = vars(self.target) if hasattr(self.target, "__dict__") else {}
        return [(name, value.copy()) for name, value in attributes.items() if isinstance(value, np.ndarray)]

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """A random gradient of the output; entries between 1/2 and 3/2 in size, none of them 1."""
        return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)

    def make_repeatable(self) -> bool:
        """Whether two runs agree, if need be with the same random draws in both; says so in ``notes``."""
        for restorers in ([], _global_restorers()):
            self._restore += restorers
            first = self.output()
            # More than two, as the draws of a few numbers may agree by chance.
            if all(np.array_equal(first, self.output(), equal_nan=True) for _ in range(4)):
                if self._restore:
                    self.notes.append("the target draws random numbers: every evaluation gets the same draws")
                return True
        self.complain(
            "not repeatable: two runs on the same input differ, also with the same random numbers; "
            "make it deterministic, or pass the generator that it draws from as rng="
        )
        return False

    @contextmanager
    def resized(self, rows: int) -> Iterator[bool]:
        """The same subject with another number of rows, some of them twice; says whether that can be run."""
        x, targets = self.arrays[self.input], self.targets
        chosen = np.arange(rows) % x.shape[0]
        try:
            self.arrays[self.input] = x[chosen]
            if isinstance(targets, np.ndarray) and targets.ndim and targets.shape[0] == x.shape[0]:
                self.targets = targets[chosen]
            try:
                self.output()
            except SubjectError:
                # A target made for one number of rows, which is its right.
                yield False
            else:
                yield True
        finally:
            self.arrays[self.input], self.targets = x, targets

    def _forward(self, x: NDArray[Any]) -> Any:
        """The target's output; a subclass knows how to ask for it."""
        raise NotImplementedError(f"{type(self).__name__} has no _forward")

    def _backward(self, grad_output: Array) -> dict[str, Any]:
        """The gradients that the target claims, by the names of the arrays; a subclass knows how to ask for them."""
        raise NotImplementedError(f"{type(self).__name__} has no _backward")

    def complain(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)


class ObjectSubject(Subject):
    """A layer, ours or foreign: ``forward(x)`` (or a call), ``backward(grad_output)``, parameters."""

    def __init__(
        self, target: Any, x: Array, parameters: Mapping[str, str] | None = None, generators: Iterable[Any] = ()
    ) -> None:
        label = target.label if isinstance(target, Layer) else type(target).__name__
        arrays = [] if isinstance(target, Layer) else lone_arrays(target)
        super().__init__(label, target, x, generators)
        self._run = target.forward if hasattr(target, "forward") else target
        if not callable(getattr(target, "backward", None)):
            raise TypeError(f"target: expected forward and backward, got {label} without backward")
        # Gradients may only come to be, or get their names, in a first backward pass.
        first = self.output()
        self._call_backward(np.ones_like(first))
        self._gradients: dict[str, Getter] = {}
        for name, array, getter in parameters_of(target, parameters):
            self.arrays[name], self._gradients[name] = array, getter
        if lost := [name for name in arrays if name not in self.arrays]:
            self.notes.append(f"not checked, as no gradient of it was found: {', '.join(lost)}; see parameters=")

    def _forward(self, x: Array) -> Any:
        return self._run(x)

    def _call_backward(self, grad_output: Array) -> Any:
        # What every layer of numpy_nn has is never called by training, and would hide a layer that adds up gradients.
        zero_grad = getattr(self.target, "zero_grad", None)
        if callable(zero_grad) and getattr(zero_grad, "__func__", None) is not Composition.zero_grad:
            zero_grad()
        return self.target.backward(grad_output)

    def _backward(self, grad_output: Array) -> dict[str, Any]:
        return {self.input: self._call_backward(grad_output)} | {name: get() for name, get in self._gradients.items()}


class PairSubject(Subject):
    """A pair (f, vjp): f(x) and vjp(x, grad_output), or f(x, targets) and its gradient."""

    def __init__(self, f: Any, vjp: Any, x: Array, targets: Any, generators: Iterable[Any] = ()) -> None:
        super().__init__(getattr(f, "__name__", type(f).__name__), (f, vjp), x, generators)
        self._f, self._vjp, self.targets = f, vjp, targets
        self._takes_grad_output = _positional(vjp) != 1 + len(self._extra)

    @property
    def _extra(self) -> tuple[Any, ...]:
        return () if self.targets is None else (self.targets,)

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return super().random_grad_output(rng, shape) if self._takes_grad_output else np.ones(shape)

    def _forward(self, x: Array) -> Any:
        return self._f(x, *self._extra)

    def _backward(self, grad_output: Array) -> dict[str, Any]:
        x = self.arrays[self.input].copy()
        last = (grad_output if grad_output.ndim else float(grad_output),) if self._takes_grad_output else ()
        return {self.input: self._vjp(x, *self._extra, *last)}


class LossSubject(Subject):
    """A loss with its targets: ``loss(output, targets)`` and ``backward()``, which may take a gradient."""

    is_loss = True

    def __init__(self, loss: Any, x: Array, targets: Any, generators: Iterable[Any] = ()) -> None:
        super().__init__(type(loss).__name__, loss, x, generators)
        self._run = loss.forward if hasattr(loss, "forward") else loss
        self.targets = targets
        if isinstance(loss, Loss):
            self._takes_grad_output = loss.reduction == "none"
        else:
            self._takes_grad_output = bool(_positional(loss.backward))

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return super().random_grad_output(rng, shape) if self._takes_grad_output else np.ones(shape)

    def _forward(self, x: Array) -> Any:
        return self._run(x, self.targets)

    def _backward(self, grad_output: Array) -> dict[str, Any]:
        return {self.input: self.target.backward(grad_output) if self._takes_grad_output else self.target.backward()}


def as_subject(
    target: Any, x: Array, targets: Any, parameters: Mapping[str, str] | None, generators: Iterable[Any]
) -> Subject:
    """The subject for any target that :func:`~numpy_nn.gradcheck.check_gradients` takes."""
    if isinstance(targets, np.ndarray) and targets.dtype == np.float32:
        targets = targets.astype(np.float64)
    if isinstance(target, (tuple, list)):
        if len(target) != 2 or not all(map(callable, target)):
            raise TypeError(f"target: expected a pair of functions (f, vjp), got {target!r}")
        f, vjp = target
        return PairSubject(f, vjp, x, targets, generators)
    target = in_float64(target)
    if targets is None:
        return ObjectSubject(target, x, parameters, generators)
    if hasattr(target, "backward"):
        return LossSubject(target, x, targets, generators)
    if callable(getattr(target, "loss", None)) and callable(getattr(target, "grad", None)):  # joelnet's form
        return PairSubject(target.loss, target.grad, x, targets, generators)
    raise TypeError(f"target: expected a loss with forward and backward, or loss and grad, got {type(target).__name__}")


def in_float64(target: Any) -> Any:
    """A deep copy whose float32 arrays are float64. TypeError if the target cannot be copied."""
    try:
        target = copy.deepcopy(target)
    except Exception as error:
        raise TypeError(
            f"target: {type(target).__name__} cannot be copied ({error}), and the check works on a copy; "
            "pass a pair of functions (f, vjp)"
        ) from error
    if isinstance(target, Layer):
        return target.to(np.float64)
    _widen(target, {})
    return target


def _widen(thing: Any, done: dict[int, Any]) -> Any:
    """``thing`` with every float32 array in its attributes and containers replaced; one array stays one array."""
    if id(thing) in done:
        return done[id(thing)]
    if isinstance(thing, np.ndarray):
        wide = thing.astype(np.float64) if thing.dtype == np.float32 else thing
        done[id(thing)] = done[id(wide)] = wide
        return wide
    done[id(thing)] = thing
    if isinstance(thing, Layer):
        thing.to(np.float64)
    elif isinstance(thing, dict):
        thing.update({key: _widen(value, done) for key, value in thing.items()})
    elif isinstance(thing, list):
        thing[:] = [_widen(value, done) for value in thing]
    elif isinstance(thing, tuple) and type(thing) is tuple:
        return tuple(_widen(value, done) for value in thing)
    elif _has_attributes(thing):
        for name, value in vars(thing).items():
            setattr(thing, name, _widen(value, done))
    return thing


def find_generators(thing: Any, seen: set[int] | None = None) -> list[Any]:
    """Every random generator among the attributes of ``thing``, at any depth."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return []
    seen.add(id(thing))
    if isinstance(thing, (np.random.Generator, np.random.RandomState, random.Random)):
        return [thing]
    inner: Iterable[Any] = ()
    if isinstance(thing, Mapping):
        inner = thing.values()
    elif isinstance(thing, (list, tuple)):
        inner = thing
    elif _has_attributes(thing):
        inner = vars(thing).values()
    return [generator for part in inner for generator in find_generators(part, seen)]


def _has_attributes(thing: Any) -> bool:
    plain = not (isinstance(thing, type) or inspect.isroutine(thing) or inspect.ismodule(thing))
    return plain and hasattr(thing, "__dict__")


def _restorer(generator: Any) -> Callable[[], None]:
    if isinstance(generator, np.random.Generator):
        bits, state = generator.bit_generator, copy.deepcopy(generator.bit_generator.state)
        return lambda: setattr(bits, "state", state)
    if isinstance(generator, np.random.RandomState):
        kept = generator.get_state()
        return lambda: generator.set_state(kept)
    state = generator.getstate()
    return lambda: generator.setstate(state)


def _global_restorers() -> list[Callable[[], None]]:
    return [_restorer(np.random.mtrand._rand), _restorer(random._inst)]


def _positional(function: Any) -> int | None:
    """How many positional arguments without default it takes; None if it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)
