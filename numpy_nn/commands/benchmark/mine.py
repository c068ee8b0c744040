"""A class of the user's own as an engine: what it must have, how it is made, where its parameters are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.commands.benchmark import engines
from numpy_nn.commands.benchmark.cases import KINDS, Case
from numpy_nn.commands.benchmark.engine import NetworkEngine, rows_of
from numpy_nn.commands.benchmark.numpy_engines import ByHand
from numpy_nn.commands.benchmark.trained import Trained
from numpy_nn.commands.benchmark.workload import Workload
from numpy_nn.gradcheck.files import UsageError, arguments, find
from numpy_nn.subjects.arrays.places import Place, places
from numpy_nn.subjects.names import has_passes

# What each kind of case calls, with its arguments.
CALLS = {
    "step": ("step", "x, y, lr"),
    "epoch": ("step", "x, y, lr"),
    "forward": ("loss", "x, y"),
    "backward": ("backward", "x, y"),
    "inference": ("forward", "x"),
}

Array = NDArray[Any]


class Mine(NetworkEngine):
    """The user's object. What is timed is a call of its own method, as for every other engine.

    Its parameters are read from its attributes, where numbers given to ``set_weights`` are found again; without that
    method, arrays of the right shapes are filled in the order in which they were set. ValueError, in one line, for what
    cannot be done with it or raises.
    """

    def __init__(self, workload: Workload, name: str, make: Callable[[Sequence[int]], Any]) -> None:
        super().__init__(workload)
        self.name = name
        with self._running("the class"):
            self.net = make(self.case.sizes)
        notes: list[str] = []
        if not hasattr(self.net, "step") and workload.case.kind in ("step", "epoch"):
            self.net = Trained(self.net, name, self.case.sizes[0], self.case.sizes[-1])
            notes += self.net.notes
        self.x, self.y = (array.copy() for array in workload.first_batch)
        self._rng, self._rate = workload.orders(), self.case.learning_rate
        self._places: list[tuple[Place, bool]] = []
        if hasattr(self.net, "set_weights"):
            if not hasattr(self.net, "weights"):
                self._find_marks()
            self._set(workload.weights)
        else:
            self._fill(workload.weights)
        kept = {array.dtype.name for array in self._read()} - {self.case.dtype}
        self.notes = [*notes, *([f"{name} keeps its parameters in {', '.join(sorted(kept))}"] if kept else [])]
        method = CALLS.get(self.case.kind, ("", ""))[0]
        if self.case.kind in ("step", "forward", "backward"):
            rate = (self._rate,) if method == "step" else ()
            self.work = partial(getattr(self.net, method), self.x, self.y, *rate)

    def _set(self, weights: Sequence[tuple[Array, Array]]) -> None:
        with self._running("set_weights(weights)"):
            self.net.set_weights([(weight.copy(), bias.copy()) for weight, bias in weights])

    def _find_marks(self) -> None:
        """Where set_weights puts what it is given: random numbers are recognised."""
        rng = np.random.default_rng(1)
        marks: list[Any] = [
            tuple(rng.random(array.shape).astype(array.dtype) for array in layer) for layer in self.workload.weights
        ]
        self._set(marks)
        found = list(places(self.net))
        for index, mark in enumerate(array for layer in marks for array in layer):
            self._places.append(self._place_of(mark, found, "Wb"[index % 2] + str(index // 2 + 1)))

    def _place_of(self, mark: Array, found: Sequence[Place], name: str) -> tuple[Place, bool]:
        for place in found:
            value = np.asarray(place.read())
            for turned in (False, True):
                given = value.T if turned else value
                if given.size == mark.size and np.allclose(given.ravel(), mark.ravel(), rtol=1e-6, atol=0.0):
                    return place, turned
        raise ValueError(
            f"{self.name}: after set_weights(weights), {name} is in none of its arrays; "
            "a method weights() that returns the list of (W, b) would tell it"
        )

    def _fill(self, weights: Sequence[tuple[Array, Array]]) -> None:
        """Write the weights into the arrays of their shapes, each layer's in the order in which they were set.

        A square one is (out, in) if others are.
        """
        held = list(self.net.parameter_places.values() if isinstance(self.net, Trained) else [])
        found = [many[0] for many in held] if held else list(places(self.net))
        free = [place for place in found if np.asarray(place.read()).ndim]
        there = {np.asarray(place.read()).shape for place in free}
        all_turned = any(w.shape not in there for w, _ in weights)
        for index, array in enumerate(array for layer in weights for array in layer):
            shapes = (
                (array.shape, array.shape[::-1]) if array.ndim == 2 else (array.shape, (1, array.size), (array.size, 1))
            )
            fits = [(place, s) for s in shapes for place in free if np.asarray(place.read()).shape == s]
            if not fits:
                raise ValueError(
                    f"{self.name}: no array of shape {array.shape} for {'Wb'[index % 2]}{index // 2 + 1}; "
                    "give it set_weights(weights), which gets a list of (W, b)"
                )
            place, shape = fits[0]
            square = array.ndim == 2 and shape[0] == shape[1]
            turned = array.ndim == 2 and (all_turned if square else shape != array.shape)
            free = [one for one in free if one is not place]
            value = np.ascontiguousarray(array.T if turned else array.reshape(shape)).copy()
            for one in next((many for many in held if many[0] is place), [place]):
                one.put(value)
            self._places.append((place, turned))

    def _read(self) -> list[Array]:
        if not self._places:
            with self._running("weights()"):
                return [np.asarray(array) for layer in self.net.weights() for array in layer]
        return [np.asarray(value.T if turned else value) for place, turned in self._places for value in [place.read()]]

    @contextmanager
    def _running(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            text = (str(error).splitlines() or [""])[0]
            raise ValueError(
                f"{self.case.label}: {self.name}, {what}: {type(error).__name__}: {text}; nothing was timed"
            ) from error

    def prepare(self) -> None:
        """The step on the last, smaller batch of an epoch, which may be the first of its size."""
        if self.case.kind == "epoch":
            rows = self.case.batches[-1]
            with self._running(f"step(x, y, lr) on {rows} rows"):
                self.net.step(self.x[:rows], self.y[:rows], self._rate)
        elif self.case.kind == "backward":
            self.loss()

    def seconds(self, n: int) -> float:
        with self._running(self.case.kind):
            return super().seconds(n)

    def loss(self) -> float:
        """By its own method, or of its logits where those are timed; else of the loop by hand with its parameters."""
        if self.case.kind == "inference":
            with self._running("forward(x)"):
                z = np.array(self.net.forward(self.x), np.float64)
                z -= z.max(axis=1, keepdims=True)
                return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(self.y)), self.y]).mean())
        if not hasattr(self.net, "loss"):
            return self._exact(self.parameters()).loss()
        with self._running("loss(x, y)"):
            value = self.net.loss(self.x, self.y)
            return float(value[0] if isinstance(value, tuple) else value)

    def _exact(self, parameters: Sequence[Array]) -> ByHand:
        exact = ByHand(self.workload, dtype="float64")
        for array, given in zip((a for layer in exact.layers for a in layer), parameters, strict=True):
            array[...] = given
        return exact

    def parameters(self) -> list[Array]:
        shapes = [array.shape for layer in self.workload.weights for array in layer]
        values = self._read()
        same = len(values) == len(shapes) and all(v.size == np.prod(s) for v, s in zip(values, shapes, strict=True))
        return [np.array(v).reshape(s) for v, s in zip(values, shapes, strict=True)] if same else values

    def returned_gradients(self) -> list[Array] | None:
        """What ``backward`` returns for the first batch, flat: dW1, db1, ...; None if it is not timed."""
        if not hasattr(self.net, "backward") or self.case.kind != "backward":
            return None
        with self._running("backward(x, y)"):
            self.loss()
            found = self.net.backward(self.x, self.y)
            return [np.asarray(array) for layer in found for array in layer]

    def step(self) -> None:
        with self._running("step(x, y, lr)"):
            self.net.step(self.x, self.y, self._rate)

    def epoch(self) -> None:
        x, y, step, rate = self.workload.x, self.workload.y, self.net.step, self._rate
        for rows in rows_of(self._rng.permutation(len(x)), self.case.batch):
            step(x[rows], y[rows], rate)

    def forward(self) -> None:
        self.net.loss(self.x, self.y)

    def backward(self) -> None:
        self.net.backward(self.x, self.y)

    def inference(self) -> None:
        x, batch, forward = self.workload.x, self.case.batch, self.net.forward
        for start in range(0, len(x), batch):
            forward(x[start : start + batch])


def maker(text: str, init: Sequence[str]) -> tuple[str, Callable[[Sequence[int]], Any], frozenset[str], list[str]]:
    """The class that ``text`` names: its name, how to make one of some sizes, what kinds it can do, and notes.

    It is called with the words in ``init``; without any, with as many arguments as it wants: none, the list of the
    sizes, or each size. ValueError, in one line, for what is no such class.
    """
    try:
        kind, notes = find(text)
    except UsageError as error:
        raise ValueError(f"--mine: {error}") from None
    except Exception as error:
        raise ValueError(f"--mine: {text}: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}") from error
    name = text.rpartition(":")[2]
    if not isinstance(kind, type):
        raise ValueError(f"--mine: expected a class, got {name}, {type(kind).__name__}")
    if name in engines.ENGINES:
        raise ValueError(f"--mine: {name} is the name of another engine; call the class something else")
    step = getattr(kind, "step", None)
    if callable(step) and not _takes(step, 4):
        raise ValueError(f"--mine: expected {name} with a method step(x, y, lr), has step{inspect.signature(step)}")
    if not callable(step):
        if not has_passes(kind):
            raise ValueError(f"--mine: expected {name} with a method step(x, y, lr), or with a backward pass or a loss")
        return name, partial(_made, kind, list(init)), frozenset(("step", "epoch")), notes
    can = frozenset(case for case, (method, _) in CALLS.items() if callable(getattr(kind, method, None)))
    return name, partial(_made, kind, list(init)), can, notes


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def _made(kind: type, init: list[str], sizes: Sequence[int]) -> Any:
    if init:
        positional, named = arguments(init, np.random.default_rng(0))
        return kind(*positional, **named)
    wanted = [p for p in inspect.signature(kind).parameters.values() if p.default is p.empty]
    count = len([p for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)])
    if count in (0, 1):
        return kind(*[list(sizes)] * count)
    if count == len(sizes):
        return kind(*sizes)
    raise ValueError(f"{kind.__name__}{inspect.signature(kind)}: give its arguments with --init")


@contextmanager
def registered(text: str, init: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The class of the user's among the engines, inside the ``with``; its name there, and notes."""
    name, make, can, notes = maker(text, init)
    engines.ENGINES[name] = lambda workload: Mine(workload, name, make)
    engines.KIND_LIMITS[name] = can
    engines.SGD_ONLY.add(name)
    try:
        yield name, notes
    finally:
        del engines.ENGINES[name], engines.KIND_LIMITS[name]
        engines.SGD_ONLY.discard(name)


def left_out(name: str, cases: Sequence[Case]) -> list[str]:
    """A line for each reason why there are cases that the class is not in."""
    lines = {}
    for case in cases:
        if engines.does(name, case):
            continue
        if case.kind in engines.KIND_LIMITS[name]:
            lines[case.optimizer] = f"{name}.step(x, y, lr) is SGD's: left out where the optimizer is {case.optimizer}"
        elif case.kind in CALLS:
            method, given = CALLS[case.kind]
            lines[case.kind] = f"{name} has no {method}({given}): left out of {case.kind}, {KINDS[case.kind]}"
        else:
            lines[case.kind] = f"{name}: left out of {case.kind}, which is part of its step"
    return list(lines.values())
