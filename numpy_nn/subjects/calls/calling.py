"""Code that is called by a convention: its arguments put in order, its results read, its arrays kept ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.arrays.gradients import Leaf, ParameterGradient, SumOfUses, listed, times_jacobian, without_mask
from numpy_nn.subjects.arrays.nested import arrays_of, as_given, is_container, with_arrays, written_in
from numpy_nn.subjects.arrays.places import Path, Place, follow, output_paths
from numpy_nn.subjects.arrays.unrolled import Part
from numpy_nn.subjects.calls.completing import Completing, completing
from numpy_nn.subjects.calls.costs import LossOfOutput
from numpy_nn.subjects.calls.decays import Decay, decayed
from numpy_nn.subjects.calls.resets import Slot, empty_slots, resets_of
from numpy_nn.subjects.calls.triangles import folded
from numpy_nn.subjects.source.roles import is_data
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Array, ClaimingSubject

# Roles of backward's arguments, beside the names of forward's: the gradients of the outputs, what forward returned
# beside them, the outputs themselves, the learning rate, a dict that it fills with gradients, the output that a loss
# has kept of what it was given, as one of scores keeps probabilities.
GRADS, CACHE, OUTPUT, RATE, FILLED, KEPT = "<grads>", "<cache>", "<output>", "<rate>", "<filled>", "<kept>"


def result_role(place: int) -> str:
    """The role of an argument of backward that is what forward returned at this place."""
    return f"<result {place}>"


IT_UPDATES = "it updates its parameters; judged are the gradients at the values before"


@dataclass(frozen=True)
class Convention:
    """How code is called and read.

    ``inputs`` are forward's arguments by name, in its order. Of what it returns the first ``outputs`` are outputs and
    the rest its cache, or one thing of the rest, ``cache``; ``output_path`` leads to the output where it returns
    nothing. ``arguments`` are the roles of backward's, or None if forward returns a value and its gradients.
    ``averaged`` says that the outputs are losses of samples, of whose mean backward gives the gradient. ``place`` is
    that of a loss that is not the first of what forward returns. ``numbers`` are arguments of backward of which nothing
    tells what they are, which are given 1.
    """

    inputs: tuple[str, ...]
    outputs: int = 1
    output_path: Path | None = None
    arguments: tuple[str, ...] | None = (GRADS,)
    cache: int | None = None
    averaged: bool = False
    place: int = 0
    numbers: tuple[str, ...] = ()

    @property
    def takes_grads(self) -> bool:
        """Whether backward is given the gradients of the outputs."""
        return self.arguments is not None and GRADS in self.arguments


class CalledCode(ClaimingSubject):
    """``forward`` and ``backward`` of any form, with the ``given`` arguments by name, of which floats are arrays.

    ``owner`` is the object whose methods they are, if any; ``target`` names the argument that is the target of a loss.
    """

    def __init__(
        self,
        label: str,
        forward: Callable[..., Any],
        backward: Callable[..., Any] | None,
        given: Mapping[str, Any],
        convention: Convention,
        *,
        owner: Any = None,
        target: str | None = None,
        generators: Iterable[Any] = (),
    ) -> None:
        self._given = {name: as_given(value) for name, value in given.items()}
        self._numbers: set[str] = set()  # arrays here that the code is given as numbers of NumPy
        arrays: dict[str, Array] = {}
        for name, value in self._given.items():
            if name != target:
                found = {written_in(name, path): array for path, array in arrays_of(value)}
                self._numbers |= found.keys() - {written_in(name, path) for path, _ in arrays_of(given[name])}
                arrays |= found
        roots = [owner] if owner is not None else [forward, *([] if backward is None else [backward])]
        super().__init__(label, roots, arrays, generators)
        # forward(params, x): the rows are those of the data.
        self.input = next((name for name in arrays if is_data(name)), self.input)
        self.convention = convention
        self._forward, self._backward, self._owner = forward, backward, owner
        self._places: dict[str, Place] = {}
        self._leaves: dict[str, Leaf | ParameterGradient | SumOfUses | Part] = {}
        self._updates: dict[str, float] = {}
        # Of these, how much of the array itself is in a step, or of its sign.
        self._decays: dict[str, Sequence[Decay]] = {}
        self._targets_name = target
        self.targets = None if target is None else self._given[target]
        self.is_loss = target is not None
        self._result: tuple[Sequence[Any], tuple[Any, ...]] = ((), ())
        self._emptied: list[Slot] = []  # for gradients that are None before each step
        self._is_jacobian = False
        self.triangles: dict[str, str] = {}  # of symmetric matrices of which one triangle is read: which
        # Forward changes parameters: they are put back after each call, and backward gets those that it left.
        self._forward_updates = False
        self._transposed: set[str] = set()  # those whose gradient is kept as that of W^T, and is turned in the step
        self._turned: set[str] = set()  # those whose step, which goes down, is kept in the place of their gradient
        self._after_forward: dict[str, Array] = {}
        self._silent: dict[str, Place] = {}  # what stays as it is, and the output does not depend on
        self._lost: dict[str, tuple[Place, Any]] = {}
        self._rate = 1.0  # what backward is given for a learning rate
        self._moved: dict[str, Array] = {}  # what the latest pass has changed, as it was
        self._moved_to: dict[str, Array] = {}  # and what it has made of the parameters among that
        self._returned: Any = None
        self._sure: set[str] = set()  # of which gradients names tell
        self._told: Mapping[Path, str] = {}  # what the source calls what it returns
        self.latest: Any = None  # what backward returned
        self._tried: Callable[[], None] | None = None  # puts a moved array in the place that is looked at

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        random = self.convention.takes_grads or self._is_jacobian
        if random:
            return super().random_grad_output(rng, shape)
        return np.full(shape, 1.0 / math.prod(shape) if self.convention.averaged else 1.0)

    def own_code(self) -> Sequence[Any]:
        return [one for one in (self._forward, self._backward, self._owner) if one is not None]

    @property
    def has_parameters(self) -> bool:
        """Whether the output depends on arrays of the owner."""
        return bool(self._places.keys() - self._silent.keys() or self._lost)

    def _run(self, replaced: Mapping[str, NDArray[Any]]) -> Sequence[Any]:
        self._install()
        arguments, given = [], []
        for name in self.convention.inputs:
            arguments.append(argument := self._argument(name, replaced))
            # What is taken from our arrays is a copy already.
            before = None if name in replaced or name in self.triangles else self.arrays.get(name)
            if before is None and isinstance(argument, np.ndarray):
                before = argument.copy()
            if before is not None:
                given.append((name, before, argument))
        nothing: Mapping[str, Array] = {}
        with self._undone_if_it_fails() if self._forward_updates else nullcontext(nothing) as kept:
            result = self._forward(*arguments)
        for name, before, after in given:
            if not equal(before, after):
                text = "forward changes its input in place: the caller's array no longer holds what it held"
                self.warn(text if name == self.input else f"forward changes {name} in place")
        if self._forward_updates:
            self._after_forward = self._kept()
            self._put_back(kept, "forward")
        return [without_mask(output) for output in self._read(result)]

    def _read(self, result: Any) -> Sequence[Any]:
        """The outputs in what forward returned; the rest is kept for backward."""
        if result is None or self.convention.output_path is not None:
            path = self.convention.output_path
            if path is None:
                raise TypeError(f"{self.label}: forward returned nothing, and no output was found in its object")
            outputs: Sequence[Any] = [follow(self._owner, path)]
            self._result = (outputs, ())
        elif isinstance(result, (tuple, list)) and (isinstance(result, tuple) or not _is_array_like(result)):
            start, end = self.convention.place, self.convention.place + self.convention.outputs
            outputs = list(result[start:end])
            self._result = (outputs, (*result[:start], *result[end:]))
        else:
            outputs = [result]
            self._result = (outputs, ())
        if self.convention.arguments is None:
            outputs = [self._value(output) for output in outputs]
        return outputs

    def _value(self, output: Any) -> Array:
        try:
            return np.asarray(output, np.float64)
        except (TypeError, ValueError):
            kind = type(output).__name__
            raise TypeError(f"{self.label}: expected a value first, and its gradients after it, got {kind}") from None

    @property
    def given(self) -> Mapping[str, Any]:
        """What forward is given, by its names there."""
        return self._given

    def _argument(self, name: str, replaced: Mapping[str, NDArray[Any]]) -> Any:
        if name in replaced:
            return replaced[name][()] if name in self._numbers else replaced[name]
        if name == self._targets_name:
            return self.targets
        value = self._given[name]
        if not isinstance(value, np.ndarray) and is_container(value):
            return with_arrays(value, lambda path, array: self._part(written_in(name, path), array))
        value = self.arrays.get(name, value)
        if name in self._numbers:
            return value[()]
        return value.copy() if isinstance(value, np.ndarray) else value

    def _part(self, name: str, array: Array) -> Any:
        """What is in the place of an array in a list, a tuple or a dict: a number, where a number was."""
        return self.arrays.get(name, array).copy()[() if name in self._numbers else ...]

    def gradients(self, grad_output: Array, *, other_draws: bool = False) -> dict[str, NDArray[Any] | None]:
        self._reset()
        claimed = super().gradients(grad_output, other_draws=other_draws and not self._runs_forward)
        return folded(claimed, self.triangles) if self.triangles else claimed

    @cached_property
    def _resets(self) -> list[Callable[[], Any]]:
        """What begins a step; where no method does, that gradients are None again, if backward finds None at first."""
        if self._owner is None:
            return []
        if resets := resets_of(self._owner):
            return resets
        slots = empty_slots(self._owner)
        if slots:
            self.output()  # which may make arrays for them
        self._emptied = [slot for slot in slots if slot.is_empty()]
        return [slot.empty for slot in self._emptied]

    def _reset(self) -> None:
        """Begin a step, as a training loop does for code that adds up gradients until it is told to begin anew."""
        if self._resets:
            with self.running():
                for reset in self._resets:
                    reset()

    def _claim(self, grad_outputs: Sequence[Array]) -> Mapping[str, Any]:
        with self._undone_if_it_fails() as kept:
            self.latest = returned = self._call_backward(grad_outputs)
        claimed: dict[str, Any] = {}
        for name in self.arrays:
            if name in self._updates:
                step = kept[name] - np.asarray(self._places[name].read(), np.float64)
                claimed[name] = step / self._updates[name] - decayed(self._decays.get(name, ()), kept[name])
                continue
            leaf = self._leaves.get(name)
            value = None if leaf is None else leaf.read(returned, self._owner)
            claimed[name] = None if value is None else self._times(np.asarray(value, np.float64), grad_outputs, name)
            if name in self._transposed:
                claimed[name] = None if value is None else np.asarray(value, np.float64).T
            if name in self._turned:
                claimed[name] = -claimed[name]
            if (decays := self._decays.get(name)) and value is not None:
                claimed[name] = claimed[name] - decayed(decays, self.arrays[name])
        self._moved = self._put_back(kept, self._updater)
        return claimed

    def _times(self, value: Array, grad_outputs: Sequence[Array], name: str) -> Array:
        """A Jacobian, if it is one, times the gradient of the output; a derivative that is one number, everywhere."""
        of_each_entry = self.targets is None and not self.convention.takes_grads and grad_outputs[0].ndim > 0
        if value.size == 1 and of_each_entry and grad_outputs[0].shape == self.arrays[name].shape:
            return np.full(self.arrays[name].shape, value.item())
        return times_jacobian(value, grad_outputs[0], self.arrays[name].shape) if self._is_jacobian else value

    def _claimed(self, grad_output: Array) -> Any:
        """What backward returns for this gradient of the joined outputs, after a forward pass."""
        self._reset()
        self.output()
        with self._undone_if_it_fails() as kept, self.running():
            returned = self._call_backward(self._split(grad_output))
        self._moved = self._put_back(kept, self._updater)
        return returned

    def _call_backward(self, grad_outputs: Sequence[Array]) -> Any:
        outputs, cache = self._result
        if self.convention.arguments is None:
            rest: tuple[Any, ...] = cache
            return rest[0] if len(rest) == 1 else rest
        arguments: list[Any] = []
        filled: dict[Any, Any] = {}
        place = self.convention.place
        returned = (*cache[:place], *outputs, *cache[place:])
        results = {result_role(i): result for i, result in enumerate(returned)}
        for role in self.convention.arguments:
            if role == GRADS:
                arguments += [g if g.ndim else float(g) for g in grad_outputs]
            elif role == CACHE:
                one = 0 if len(cache) == 1 else self.convention.cache
                arguments.append(cache if one is None else cache[one])
            elif role == OUTPUT:
                chain = getattr(self._forward, "__self__", None)
                arguments += [chain.output] if isinstance(chain, LossOfOutput) else outputs
            elif role == RATE:
                arguments.append(self._rate)
            elif role == FILLED:
                arguments.append(filled)
            elif role == KEPT:
                arguments.append(np.array(follow(self._owner, self._paths_of_output[0])))
            elif role in results:
                arguments.append(results[role])
            else:
                arguments.append(self._argument(role, {}))
        assert self._backward is not None
        if self._runs_forward:
            self.restore_generators()
        for name, values in self._after_forward.items():
            (self.arrays[name] if name in self.arrays else self._lost[name][1])[...] = values
        returned = listed(self._backward(*arguments), self.arrays)
        if self._completes is not None:
            for_it = [grad_outputs[0] if one == GRADS else self._argument(one, {}) for one in self._completes.arguments]
            self._completes.method(*for_it)
        return (returned, filled) if filled else returned

    @cached_property
    def _paths_of_output(self) -> list[Path]:
        if not (found := output_paths(self._owner)):
            raise TypeError(f"{self.label}: it keeps no output for its backward pass")
        return found

    @cached_property
    def _completes(self) -> Completing | None:
        """The owner's method that computes gradients after backward."""
        grads = GRADS if self.convention.takes_grads else None
        return completing(self._owner, self._backward, self.convention.inputs, self._targets_name, grads)

    @property
    def _updater(self) -> str:
        return "forward" if self._forward_updates else "backward"

    @property
    def _runs_forward(self) -> bool:
        """Whether backward is a method that is given inputs and no gradient: it computes all it needs by itself."""
        arguments = self.convention.arguments or ()
        if self._owner is None or GRADS in arguments:
            return False
        return any(name in arguments for name in self.convention.inputs if name != self._targets_name)

    def _install(self) -> None:
        """Have the code find our arrays in their places."""
        try:
            self._put_in_their_places()
        except LookupError:  # a first forward pass makes them
            self._forward(*(self._argument(name, {}) for name in self.convention.inputs))
            self._put_in_their_places()
        for place, array in self._lost.values():
            place.put_array(array)

    def _put_in_their_places(self) -> None:
        for name, place in self._places.items():
            place.put_array(self.arrays[name])

    def _put_back(self, kept: Mapping[str, Array], by: str) -> dict[str, Array]:
        """Undo what the code did to its parameters, and say so; returns those that it changed, as they were."""
        held = self._held(kept)
        changed = [name for name, (place, _) in held.items() if not equal(place.read(), kept[name])]
        # What they were made is read before any is put back, as they may share memory.
        made = {name: np.array(self._places[name].read(), np.float64) for name in changed if name in self._places}
        moved = {}
        for name, (place, array) in held.items():
            if changed and not equal(place.read(), kept[name]):
                moved[name] = kept[name]
                self.changed_by_code.add(name)
            array[...] = kept[name]
        self.warn_of(f"{by} changes ", moved, f": {IT_UPDATES}")
        self._moved_to = {name: made.get(name, moved[name]) for name in moved if name in self._places}
        self._install()
        return moved

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[dict[str, Array]]:
        """A call of the code, which may fail when it has changed some of its parameters; what they were before."""
        kept = self._kept()
        try:
            yield kept
        except BaseException:
            for name, (_, array) in self._held(kept).items():
                array[...] = kept[name]
            raise

    def _held(self, wanted: Iterable[str]) -> dict[str, tuple[Place, Array]]:
        """Of these what the code keeps, each by its place and our array."""
        return {
            name: (self._places[name], self.arrays[name]) if name in self._places else self._lost[name]
            for name in wanted
            if name in self._places or name in self._lost
        }

    def _kept(self) -> dict[str, Array]:
        """Copies of all that code may change and should not."""
        lost = {name: array for name, (_, array) in self._lost.items()}
        return {name: array.copy() for name, array in {**self.arrays, **lost}.items()}


def _is_array_like(result: Any) -> bool:
    try:
        return np.asarray(result).dtype.kind == "f"
    except ValueError:
        return False
