"""What can be checked, timed and compared: named live arrays, an output, and gradients that somebody claims."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.arrays.places import places
from numpy_nn.subjects.running import Patience, Running, SubjectError, as_floats
from numpy_nn.subjects.state import Snapshot, equal, find_generators, global_generators, methods_around, restorer

Array = NDArray[np.float64]


class Subject(ABC):
    """The base class. ``arrays`` are the live arrays that forward reads: writing into them moves the point.

    ``input`` names the one in which a batch arrives; it is the first. ``is_loss`` says that the output is a loss: a
    number whose gradient backward gives by itself. Several outputs are laid side by side, row by row of the batch where
    each has a row for it.
    """

    def __init__(
        self, label: str, roots: Sequence[Any], arrays: Mapping[str, Array], generators: Iterable[Any] = ()
    ) -> None:
        self.label = label
        self.arrays: dict[str, NDArray[Any]] = dict(arrays)
        self.input = next(iter(self.arrays), "input")
        self.is_loss = False
        self.targets: Any = None
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.changed_by_code: set[str] = set()  # arrays that a pass was seen to change, by their names
        self.rows_alike: frozenset[str] = frozenset()  # arrays that are one row as often as they have any
        self._warned: dict[tuple[str, str], list[str]] = {}
        self.notes: list[str] = []
        # Arrays that the output depends on and of which no gradient was found: name, what it is, how many numbers.
        self.unchecked: list[tuple[str, str, int]] = []
        self.evaluations = 0
        self.watch: Callable[[int], None] | None = None  # told of every evaluation
        self._roots = roots
        found = [*find_generators(*roots), *generators]
        self._generators = list({id(g): g for g in found}.values())
        self._restore = [restorer(g) for g in self._generators]
        self._repeatable: bool | None = None
        self._home: Snapshot | None = None
        self._before: Snapshot | None = None

    def restored_in_the_end(self, before: Snapshot | None) -> None:
        """Have :meth:`close` put back this state, of what of the user's the check works on."""
        self._before = before

    def close(self) -> None:
        """Put back what code of the user's keeps that is no copy."""
        if self._before is not None:
            self._before.restore()

    @abstractmethod
    def output(self) -> Array:
        """The output at the present values of ``arrays``, as an array of its own; with the same random draws each time.

        In-place changes of the arrays are noted once, and undone. SubjectError if the subject's code raises.
        """

    @abstractmethod
    def gradients(self, grad_output: Array, *, other_draws: bool = False) -> dict[str, NDArray[Any] | None]:
        """The claimed gradients of sum(grad_output * output), as copies; None where none is given.

        With ``other_draws`` a backward pass that draws random numbers by itself gets others than it did before.
        """

    def output_and_gradients(self, grad_output: Array) -> tuple[Array, dict[str, NDArray[Any] | None]]:
        """Both, from one run where gradients need one themselves."""
        claimed = self.gradients(grad_output)
        return self.output(), claimed

    def complex_output(self, _: NDArray[np.complexfloating[Any]]) -> NDArray[np.complexfloating[Any]] | None:
        """The output for a complex input; None if the target does not take one and answer in kind."""
        return None

    def prediction(self) -> Array | None:
        """Of a loss of a network what the network makes of the input; None if that is not known."""
        return None

    @property
    def draws(self) -> bool:
        """Whether random numbers are drawn, the same ones at every evaluation."""
        return bool(self._restore)

    def restore_generators(self) -> None:
        """Have every generator draw again what it drew for the first output."""
        for restore in self._restore:
            restore()

    def own_code(self) -> Sequence[Any]:
        """The functions and objects of the user's that are run; none where they are not known."""
        return ()

    def is_known_by_steps(self, _: str) -> bool:
        """Whether an array's gradient is claimed by nothing but the step that backward makes along it."""
        return False

    def gradients_by_chance(self, _: Array) -> Sequence[Mapping[str, NDArray[Any] | None]]:
        """The claimed gradients of some runs, where chance may make them others; none where it is not known to."""
        return ()

    def gradients_of_tiny_steps(self, _: Array) -> Mapping[str, NDArray[Any] | None]:
        """The same where each is a step over its rate, by all but none of that; nothing without such steps."""
        return {}

    def gradients_without_update(self, _: Array) -> Mapping[str, NDArray[Any] | None]:
        """The claimed gradients where the learning rate is 0; none for code that updates nothing."""
        return {}

    @contextmanager
    def at(self, moved: Mapping[str, Array]) -> Iterator[None]:
        """The same subject with these arrays at other values, of the same shapes; as before afterwards."""
        homes = {name: self.arrays[name].copy() for name in moved}
        try:
            for name, values in moved.items():
                self.arrays[name][...] = values[:1] if name in self.rows_alike else values
            yield
        finally:
            for name, values in homes.items():
                self.arrays[name][...] = values

    @contextmanager
    def at_point(self, moved: Mapping[str, Array]) -> Iterator[None]:
        """The same, with targets that are the input itself, as those of an autoencoder, moved with it."""
        targets = self.targets
        home = self.arrays.get(self.input)
        if self.input in moved and isinstance(targets, np.ndarray) and equal(targets, home):
            self.targets = moved[self.input].reshape(targets.shape).copy()
        try:
            with self.at(moved):
                yield
        finally:
            self.targets = targets

    @property
    def compared_with(self) -> Any:
        """The targets of a loss."""
        return self.targets

    @property
    def whole_numbers(self) -> Mapping[str, NDArray[Any]]:
        """The arguments that are whole numbers, which may be indices, by their names."""
        return {}

    @property
    def moved_elsewhere(self) -> str:
        """The name of the array that is another where gradients are looked at again."""
        return self.input

    def without_each_output(self, _: Array) -> Iterator[Array]:
        """Of several outputs, the gradient of all with 0 for one of them, each in turn."""
        return iter(())

    def kept_arrays(self) -> list[tuple[str, NDArray[Any]]]:
        """Arrays in the target, its caches and the layers inside it, in which it keeps what forward saw."""
        held = {str(place): place.read() for root in self._roots for place in places(root, kinds="fiub")}
        return [(name, value.copy()) for name, value in held.items() if isinstance(value, np.ndarray)]

    def returned_beside(self) -> list[tuple[str, NDArray[Any]]]:
        """The arrays of floats that forward returned beside its output, or in its cache, with their names."""
        return []

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """A random gradient of the output; entries between 1/2 and 3/2 in size, none of them 1."""
        return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)

    def make_repeatable(self) -> bool:
        """Whether two runs agree, if need be with the same random draws in both, or from the same state.

        Says so in ``notes``.
        """
        if self._repeatable is None:
            self._repeatable = self._make_repeatable()
        return self._repeatable

    def _make_repeatable(self) -> bool:
        beginning = self._beginning = Snapshot(*self._roots)
        for find in (list, self._generators_around):
            generators: list[Any] = find()
            self._generators += generators
            self._restore += [restorer(generator) for generator in generators]
            # A state that is kept from call to call may come to rest after some calls, and then seem to be none.
            self._return_home(beginning)
            if self._repeats():
                if self._restore:
                    self.notes.append("the target draws random numbers: every evaluation gets the same draws")
                return True
        self._home = beginning
        if self._repeats():
            self._begin_after_what_is_made_once(beginning)
            self.notes.append("the output hangs on the calls before: every evaluation starts from the same state")
            return True
        self._home = None
        self.complain(
            "not repeatable: two runs on the same input differ, also with the same random numbers; "
            "make it deterministic, or pass the generator that it draws from as rng="
        )
        return False

    def _generators_around(self) -> list[Any]:
        """Those of the modules, and those around the methods of objects, that are not among the others."""
        found = [*global_generators(), *find_generators(*methods_around(*self._roots))]
        return [one for one in found if all(one is not known for known in self._generators)]

    def _begin_after_what_is_made_once(self, beginning: Snapshot) -> None:
        """Begin after the first call where it makes arrays that stay, as parameters that wait to see an input."""
        beginning.restore()
        before = self._arrays_held()
        self.output()
        made = {place: array for place, array in self._arrays_held().items() if place not in before}
        after, self._home = self.snapshot(), None
        with suppress(SubjectError):
            self.output()
        held = self._arrays_held()
        self._home = after if any(held.get(place) is array for place, array in made.items()) else beginning

    def _arrays_held(self) -> dict[str, NDArray[Any]]:
        """The arrays that the code holds, by their places; but for those in lists, to which a state may be added."""
        found = {
            str(place): place for root in self._roots for place in places(root) if not isinstance(place.owner, list)
        }
        return {name: value for name, place in found.items() if isinstance(value := place.read(), np.ndarray)}

    def _return_home(self, home: Snapshot) -> None:
        """Put back what the code kept at the beginning, but for the arrays whose values are the point."""
        values = [(array, array.copy()) for array in self.arrays.values()]
        home.restore()
        for array, value in values:
            array[...] = value

    def snapshot(self) -> Snapshot:
        """The state of all that the code keeps, to be put back by its ``restore``."""
        return Snapshot(*self._roots)

    def start_from(self, state: Snapshot) -> None:
        """Have every evaluation start from this state of what the code keeps."""
        self._home = state

    def _repeats(self) -> bool:
        """Whether five runs agree: more than two, as the draws of a few numbers may agree by chance."""
        first = self.output()
        try:
            return all(equal(first, self.output()) for _ in range(4))
        except SubjectError:  # as of a layer that wants to be told to begin anew, and has kept an input
            if self._home is not None:
                raise
            return False

    @contextmanager
    def resized(self, rows: int) -> Iterator[bool]:
        """The same subject with another number of rows, some of them twice; says whether that can be run."""
        x, targets = self.arrays[self.input], self.targets
        if not x.ndim:
            yield False
            return
        chosen = np.arange(rows) % x.shape[0]
        try:
            self.arrays[self.input] = x[chosen]
            if isinstance(targets, np.ndarray) and targets.ndim and targets.shape[0] == x.shape[0]:
                self.targets = targets[chosen]
            try:
                self.output()
            except SubjectError:  # a target made for one number of rows, which is its right
                yield False
            else:
                yield True
        finally:
            self.arrays[self.input], self.targets = x, targets

    def complain(self, text: str) -> None:
        """Add a problem, once."""
        if text not in self.problems:
            self.problems.append(text)

    def refuse(self, why: str) -> None:
        """Have nothing of it checked, for this reason."""
        self._repeatable = False
        self.complain(why)

    def warn_of(self, before: str, what: Iterable[str], after: str) -> None:
        """The same of several things at once, which are added to those of which it was said before."""
        told = self._warned.setdefault((before, after), [])
        if new := [name for name in what if name not in told]:
            text = f"{before}{', '.join(told)}{after}"
            told += new
            place = self.warnings.index(text) if text in self.warnings else len(self.warnings)
            self.warnings[place : place + 1] = [f"{before}{', '.join(told)}{after}"]

    def warn(self, text: str) -> None:
        """Add something that the code does and should not, though its gradients can be judged; once."""
        if text not in self.warnings:
            self.warnings.append(text)


class RunSubject(Subject):
    """A subject whose code is run here: a subclass says how it gives its outputs, by :meth:`_run`."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._shapes: list[tuple[int, ...]] = []
        self.patience = Patience()

    def output(self) -> Array:
        self.evaluations += 1
        if self.watch is not None:
            self.watch(1)
        if self._home is not None:
            self._return_home(self._home)
        self.restore_generators()
        with self.running():
            results = self._run({})
            outputs = list(map(np.array, results))
        for i, output in enumerate(outputs):
            outputs[i] = as_floats(output, results[i], self.label, were_floats=bool(self._shapes))
        return self._joined(outputs).astype(np.float64, copy=False)

    def complex_output(self, x: NDArray[np.complexfloating[Any]]) -> NDArray[np.complexfloating[Any]] | None:
        before = Snapshot(*self._roots)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                with self.running():
                    output = self._joined([np.asarray(output) for output in self._run({self.input: x})])
            except (SubjectError, TypeError, ValueError):
                return None
            finally:
                before.restore()
        return output if np.iscomplexobj(output) else None

    @abstractmethod
    def _run(self, replaced: Mapping[str, NDArray[Any]], /) -> Sequence[Any]:
        """The outputs, with these in place of ``arrays`` of the same names."""

    def running(self) -> Running:
        """A call of the subject's own code, for a ``with`` block."""
        return Running(self.label, self.patience)

    def _joined(self, outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Several outputs as one array: side by side if all have the rows of the first, else end to end."""
        self._shapes = [output.shape for output in outputs]
        if len(outputs) == 1:
            return outputs[0]
        if self._in_rows():
            return np.concatenate([output.reshape(len(output), -1) for output in outputs], axis=1)
        return np.concatenate([output.ravel() for output in outputs])

    def _split(self, grad_output: Array) -> list[Array]:
        """The opposite of :meth:`_joined`: a gradient for each of the outputs, in their shapes."""
        if len(self._shapes) == 1:
            return [grad_output.copy()]
        axis = 1 if self._in_rows() else 0
        lengths = [math.prod(shape[axis:]) for shape in self._shapes]
        parts = np.split(grad_output, np.cumsum(lengths)[:-1], axis=axis)
        return [part.reshape(shape).copy() for part, shape in zip(parts, self._shapes, strict=True)]

    def without_each_output(self, grad_output: Array) -> Iterator[Array]:
        for number in range(len(self._shapes) if len(self._shapes) > 1 else 0):
            parts = self._split(grad_output)
            parts[number][...] = 0.0
            yield self._joined(parts)

    def _in_rows(self) -> bool:
        return all(len(shape) > 1 and shape[0] == self._shapes[0][0] for shape in self._shapes)


class ClaimingSubject(RunSubject):
    """One that claims its gradients by itself, after a run: a subclass says which, by :meth:`_claim`."""

    def output_and_gradients(self, grad_output: Array) -> tuple[Array, dict[str, NDArray[Any] | None]]:
        claimed = self.gradients(grad_output)
        return self._ran, claimed

    def gradients(self, grad_output: Array, *, other_draws: bool = False) -> dict[str, NDArray[Any] | None]:
        self._ran = self.output()  # the output of the run that the gradients are of
        if other_draws:
            for drawing in self._generators:
                drawing.random()
        given = self._split(grad_output)
        kept = [part.copy() for part in given]
        with self.running():
            claimed = self._claim(given)
        if not all(map(equal, given, kept)):
            self.warn("backward changes the gradient that it is given in place")
        return {name: None if g is None else np.array(g, np.float64) for name, g in claimed.items()}

    @abstractmethod
    def _claim(self, grad_outputs: Sequence[Array]) -> Mapping[str, Any]:
        """The gradients that the target claims, by the names of the arrays."""
