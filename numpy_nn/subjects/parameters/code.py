"""Anybody's code as a Subject: its parameters are found, and which array is the gradient of which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.agreement import ROUGHLY, agreement, digits
from numpy_nn.subjects.arrays.containers import (
    Numbering,
    as_paired,
    in_turned_order,
    likeness_in_argument,
    paired,
    prefixes,
)
from numpy_nn.subjects.arrays.gradients import (
    SURE,
    Leaf,
    at_most_perhaps,
    is_jacobian,
    is_shape_of_jacobian,
    leaves,
    likeness_of,
    matched,
    same_but_ones,
    values_of,
)
from numpy_nn.subjects.arrays.nested import arrays_of, written_in
from numpy_nn.subjects.arrays.places import Path, Place, Step, is_in_a_list_beside, last_name, parsed
from numpy_nn.subjects.arrays.unrolled import Part, is_unrolled, parts_of
from numpy_nn.subjects.calls.asked import argument_with
from numpy_nn.subjects.calls.triangles import MIRRORED, mirrored
from numpy_nn.subjects.names import is_gradient_of, tells_gradients
from numpy_nn.subjects.parameters.alike_dicts import in_other_dicts, is_asked_for_one
from numpy_nn.subjects.parameters.jacobians import has_jacobian, others_than_jacobians
from numpy_nn.subjects.parameters.remaining import is_state
from numpy_nn.subjects.parameters.stepping import SteppingCode
from numpy_nn.subjects.source.returned import are_kept, as_told, told_by
from numpy_nn.subjects.source.roles import is_buffer, is_data, is_given, is_learned_beside, is_of_a_kind, may_be_learned
from numpy_nn.subjects.source.surroundings import Steps, Surroundings
from numpy_nn.subjects.state import equal
from numpy_nn.subjects.subject import Array, SubjectError


class CodeSubject(SteppingCode):
    """Called code, of which the parameters are found as the arrays that the output depends on.

    Or as they are named, with their gradients. What no gradient is found of is listed in ``unchecked``.
    """

    def find_parameters(self, named: Mapping[str, str] | None = None, constants: Sequence[str] = ()) -> None:
        """Find the owner's parameters and what is the gradient of what. SubjectError if the code cannot be run.

        A parameter is an array that the output depends on; a float is one if there is a gradient for it. Nothing is
        found where no two runs agree.
        """
        start, self._constants = values_of(self._owner), constants
        if not self.make_repeatable():
            return
        self._begin_before_lists_grow()
        if named is not None:
            for name in named:
                self._add(name, Place(self._owner, parsed(name)))
        elif self._owner is not None:
            self._make_learned_numbers_floats()
            self._find_dependent(constants)
            self._undo_forward_updates(start)
        self._note_sharing()
        self._match(named)
        for name in [name for name in self._places if name not in {**self._leaves, **self._updates}]:
            self._give_up(name)
        for name in [name for name in self.arrays if name not in self._places and name not in self._leaves]:
            if name != self.input or (self._leaves and self._is_data(name)):
                self._leave_out(name, constants)
        if self.input not in self.arrays:
            self.input = next(iter(self.arrays), self.input)

    @property
    def moved_elsewhere(self) -> str:
        """The first argument of which there is a gradient: one that is data may be bound to others, or sum to 1.

        Or the first parameter, where the input is data of a kind that it would not be any more, such as a mask.
        """
        if self.input in self._leaves or self.input not in self.arrays:
            return self.input
        claimed = [name for name in self.arrays if name in self._leaves]
        own = [name for name in claimed if name not in self._places]
        return next(iter(own or (claimed if is_of_a_kind(self.arrays[self.input]) else ())), self.input)

    @property
    def names_tell_parameters(self) -> bool:
        """Whether a parameter has its gradient by a name, or by an update, not by its shape alone."""
        return any(name in self._sure or name in self._updates for name in self._places)

    @property
    def leaves_nothing_returned(self) -> bool:
        """Whether each array that backward returned is taken for a gradient."""
        taken = sum(isinstance(leaf, Leaf) and leaf.returned for leaf in self._leaves.values())
        return taken == sum(leaf.returned for leaf in leaves(self._returned, None, {}))

    @property
    def returns_a_number_too_many(self) -> bool:
        """Whether backward returns a number that is no gradient of what it was taken for, or of nothing."""
        own = [leaf for name, leaf in self._leaves.items() if name in self.arrays and self.arrays[name].size == 1]
        taken = [leaf.path for leaf in own if isinstance(leaf, Leaf)]
        found = leaves(self._returned, None, {})
        return any(leaf.value.size == 1 and leaf.path not in taken for leaf in found)

    def returns_columns_for(self, number: int) -> bool:
        """Whether backward returns a matrix with a column for each of so many numbers, and a row for each output.

        Of a value it is a vector, which may be the gradient of an array of that shape as well.
        """
        if not self.make_repeatable() or self.convention.takes_grads:
            return False
        shape = self.output().shape
        try:
            is_matrix = np.shape(self._returned) == (*shape, number)
        except ValueError:
            return False  # gradients of several shapes
        if not is_matrix or (not shape and number < 2):
            return False
        alike = [name for name, array in self.arrays.items() if array.shape == (number,) and not self._is_data(name)]
        return bool(shape) or not (alike or agreement(self).agreeing)

    def has_in_its_place(self, name: str) -> bool:
        """Whether the gradient of an argument has its name, or stands where those of arguments do in their order."""
        leaf, inputs = self._leaves.get(name), list(self.convention.inputs)
        if not isinstance(leaf, Leaf) or name not in inputs or leaf.value.dtype.kind != "f":
            return name in self._sure
        if leaf.path and is_gradient_of(leaf.path[-1].key, name) >= SURE:
            return True
        if (word := self._told.get(leaf.path, "")) and not tells_gradients(word):
            return False  # probabilities, residuals
        if name in self._sure:
            return True
        taken = [self._leaves.get(one) for one in inputs[: inputs.index(name) + 1]]
        return all(isinstance(one, Leaf) and one.path == (Step(i, True),) for i, one in enumerate(taken))

    @property
    def waits_for_a_pass(self) -> bool:
        """Whether parameters are not there, as those that a first forward pass makes are not before it."""
        return not all(place.exists() and place.read() is not None for place in self._places.values())

    def settings(self) -> dict[str, float]:
        """The numbers by which the code can be set: among the arguments, and attributes that have no gradient."""
        given = {name: value for name, value in self._given.items() if type(value) in (int, float)}
        return given | {name: array.item() for name, (_, array) in self._lost.items() if array.ndim == 0}

    @contextmanager
    def with_setting(self, name: str, value: float) -> Iterator[None]:
        """The same code with another number for one of :meth:`settings`; as before afterwards."""
        before = self.settings()[name]

        def put(number: float) -> None:
            if name in self._lost:
                self._lost[name][1][...] = number
            else:
                self._given[name] = number
            self._install()

        try:
            put(value)
            yield
        finally:
            put(before)

    def _argument(self, name: str, replaced: Mapping[str, NDArray[Any]]) -> Any:
        value = super()._argument(name, replaced)
        return mirrored(value) if self.triangles.get(name) == MIRRORED else value

    def _leave_out(self, name: str, constants: Sequence[str]) -> None:
        """An argument of which no gradient was found is not checked; unless there is a reason for it, that is said."""
        moved, of_two = self.arrays[name] * 1.125 + 0.0625, is_given(self.arrays[name], self.arrays.get(self.input))
        with self.at({name: moved}):
            there = self.output()
        matters = name in self._given or not equal(there, self.output())
        del self.arrays[name]
        if matters and name not in constants:
            kind = "unclaimed" if self._says_none(name) else "buffer" if is_buffer(name) else "unchecked"
            root = argument_with(name, [*self._given])
            in_one = root != name and is_data(root) and bool(self._leaves or self._moved)  # as in loss(data)
            alone = all(argument_with(one, [*self._given]) != root for one in self._leaves)
            data = self._is_data(name) or of_two or (in_one and (alone or self.output().size == 1))
            self.unchecked.append((name, "data" if kind == "unchecked" and data else kind, 0))

    def _match(self, named: Mapping[str, str] | None) -> None:
        output = self.output()
        rng = np.random.default_rng(0)
        grad_output = self.random_grad_output(rng, output.shape)
        self._claim_elsewhere(grad_output)
        # Once more with other numbers: what changes now is what a backward pass writes.
        before = values_of(self._owner)
        grad_output = 0.75 * grad_output if self.convention.takes_grads else grad_output
        self._returned = returned = self._claimed(grad_output)
        found = leaves(returned, {} if isinstance(returned, Steps) else self._owner, before)
        found = [leaf for leaf in found if leaf.returned or not self._holds_parameter(leaf.path)]
        # Evaluations may put back what the code kept before them, in these very arrays.
        values = {id(leaf): leaf.value.copy() for leaf in found} if len(self._sharing) > len(self._places) else {}
        if named is not None:
            for name, path in named.items():
                leaf = Leaf(False, parsed(path), np.empty(0), True)
                if leaf.read(None, self._owner) is None:
                    raise ValueError(f"parameters: {self.label} has no {path}")
                self._leaves[name] = leaf

        def agrees(name: str, leaf: Leaf) -> bool:
            if not np.any(leaf.value):
                return False  # zeros agree with whatever the output does not depend on here
            return digits(self, name, leaf.value.reshape(self.arrays[name].shape), grad_output) >= ROUGHLY

        inputs = [n for n in self.convention.inputs if arrays_of(self._given[n]) and n != self._targets_name]
        likely: dict[str, Callable[[Leaf], float]] = {}
        called: dict[str, Any] = {}  # what each is called by whoever wrote it
        only_one = self._returns_one_array
        if only_one:
            inputs = self._likeliest_first(inputs, found, agrees)
        whole = self._container_of_gradients(inputs, returned)
        # Beside names around functions, inputs need not have their gradients first: where there are more, numbers tell.
        around = isinstance(self._owner, Surroundings) and sum(leaf.returned for leaf in found) > len(inputs)
        given = {name: self._given[name] for name in (inputs if whole is None else [whole])}
        shapes = {name: np.shape(value) if isinstance(value, np.ndarray) else None for name, value in given.items()}
        order = self._order_of(shapes, returned)
        parts = {name: {part: array.shape for part, array in arrays_of(value)} for name, value in given.items()}
        in_containers = any(path for paths in parts.values() for path in paths)
        where = prefixes(parts, found) if in_containers else {}
        for name in where:
            if self._has_last_first(name, where[name], found, agrees):
                where[name] = None  # the numbers tell
                self.notes.append(f"backward returns the gradients of {name} for the last layer first")
        numbering = Numbering([place.path for place in self._places.values()], found)
        for name in given:
            for part, array in arrays_of(self._given[name]):
                if in_containers:
                    like = likeness_in_argument(name, part, array.shape, where[name], data=self._is_data(name))
                else:
                    like = self._input_likeness(name, order, len(inputs), agrees)
                likely[written_in(name, part)] = at_most_perhaps(like, array.shape) if around else like
                called[written_in(name, part)] = part[-1].key if part else name
        own = {name: (place.path, self.arrays[name].shape) for name, place in self._places.items()}
        as_placed = in_turned_order(own, found, agrees, may_be_transposed=bool(self.own_update))
        for name, place in self._places.items():
            if name not in self._leaves:
                paths, shape = [place.path, *self._other_paths(name)], self.arrays[name].shape
                like = likeness_of(paths, shape, is_setting=isinstance(self._owner, Surroundings))
                likely[name] = as_placed(numbering.weighed(place.path, like, shape))
                called[name] = last_name(place.path)
        self._told = told = told_by(self._backward, self._forward, 1 + len(self._result[1]))
        kept = are_kept([likely[name] for name in self._places if name in likely], found)
        likely = as_told(told, called, likely, only=self.convention.arguments is None, data=self.input, elsewhere=kept)
        pairs = paired(found, {name: self.arrays[name] for name in self._places})
        likely = {name: as_paired(pairs, name, like) for name, like in likely.items()} if pairs else likely
        others = in_other_dicts(self._places, self.arrays, found, agrees)
        likely = {name: like for name, like in likely.items() if name not in others}
        likely = self._less_if_zero(self._less_if_left_by_forward(likely, found), found, agrees)
        self._not_asked = others if is_asked_for_one(self._owner, self._forward) else set()
        # Numbers that are called as settings come last: what is left may be the gradient of none of them.
        in_order = sorted(likely, key=self._may_be_a_setting)
        wanted = {name: (self.arrays[name].shape, likely[name]) for name in in_order}
        self._sure = {name for name, (_, like) in wanted.items() if any(like(leaf) >= SURE for leaf in found)}
        if jacobian := self._jacobian_of_an_argument(found, output, agrees):
            self._leaves, wanted = self._leaves | jacobian, {}
        self._leaves |= matched(wanted, [leaf for leaf in found if not self._is_of_silent(leaf, likely)], agrees)
        for name in [*self._taken_by_shape_alone(wanted, agrees), *self._taken_for_a_loss(agrees)]:
            del self._leaves[name]
        self._unroll(found, agrees)
        self._add_up_uses(found, values, agrees)
        self._broadcast_numbers(output)
        if not order.is_usual and not in_containers:
            self.notes.append(f"backward returns the gradients of {', '.join(order.in_order)}, in this order")
        self._claim_in_their_places(found, told)
        self._find_transposed(grad_output)
        self._match_by_elimination(found, grad_output)
        self._match_overlapping(found, agrees, lambda: self._claimed(grad_output))
        self._add_silent(found)
        self._mind_directions(grad_output)
        self._find_updates(grad_output)
        self._note_added_up(grad_output)
        if self.input in self.arrays and self.input not in self._leaves:
            self._take_whatever_is_left(found, output)
        self._doubt_what_numbers_told(found, told)
        own_shapes = {name: array.shape for name, array in self.arrays.items()}
        self._is_jacobian = not self.convention.takes_grads and has_jacobian(self._leaves, output.shape, own_shapes)
        if self._is_jacobian:
            for name in others_than_jacobians(self._leaves, output.shape, own_shapes, told):
                del self._leaves[name]

    def _may_be_a_setting(self, name: str) -> bool:
        """Whether it is one number that the object keeps, under a name that no bias has."""
        is_number = name in self._places and self.arrays[name].ndim == 0
        return is_number and not may_be_learned(str(last_name(self._places[name].path)))

    def _jacobian_of_an_argument(
        self, found: Sequence[Leaf], output: Array, agrees: Callable[[str, Leaf], bool]
    ) -> dict[str, Leaf]:
        """All that is returned, where it is the Jacobian by one argument, and an array has its shape by chance."""
        returned = [leaf for leaf in found if leaf.returned]
        if self.convention.takes_grads or len(returned) != 1 or returned[0].path or output.ndim == 0:
            return {}
        leaf, own = returned[0], [name for name in self.arrays if name not in self._places]
        fit = [n for n in own if is_shape_of_jacobian(leaf.value.shape, output.shape, self.arrays[n].shape)]
        same = [name for name, array in self.arrays.items() if same_but_ones(leaf.value.shape, array.shape)]
        if len(fit) != 1 or not same or fit[0] in same or any(agrees(name, leaf) for name in same):
            return {}
        return {fit[0]: leaf}

    def _unroll(self, found: Sequence[Leaf], agrees: Callable[[str, Leaf], bool]) -> None:
        """Where one vector has the gradients of all parameters that lack one, give each its part."""
        taken = [id(leaf.value) for leaf in self._leaves.values() if isinstance(leaf, Leaf)]
        vectors = [leaf for leaf in found if leaf.is_new and is_unrolled(leaf, list(self._shapes_in(leaf).values()))]
        for leaf in (leaf for leaf in vectors if id(leaf.value) not in taken):
            made, fits = parts_of(leaf, self._shapes_in(leaf), agrees)
            if fits or (leaf.returned and not all(map(self._may_be_a_setting, made))):
                self._leaves |= made
                self.notes.append(f"{leaf} has the gradients of {', '.join(made)}, one after the other")
                return

    def _broadcast_numbers(self, output: Array) -> None:
        """Have a number that is to become an array, with a gradient or a step for each feature, be that array."""
        for name, place in self._places.items():
            leaf, number = self._leaves.get(name), self.arrays[name]
            if isinstance(leaf, Leaf) and name in self._sure:
                shape = leaf.value.shape
            elif leaf is None and name in self._moved:
                shape = np.shape(self._moved_to.get(name, 0.0))
            else:
                continue
            if number.ndim or output.ndim < 2 or math.prod(shape) == 1:
                continue
            x = self.arrays.get(self.input, output)
            features = [(math.prod(a.shape[1:]), a.shape[1], a.shape[-1]) for a in (output, x) if a.ndim > 1]
            if not any(math.prod(shape) in numbers for numbers in features):
                continue
            self.arrays[name] = np.full(shape, number)
            if self._gives(output):
                self.notes.append(f"{name} is one number, of which a gradient for each feature is claimed: checked so")
            else:
                self.arrays[name] = number
                place.put(number.item())

    def _claim_elsewhere(self, grad_output: Array) -> None:
        """A backward pass at another input, where there is one, else at this one."""
        try:
            with self.at({self.input: 0.75 * self.arrays[self.input]} if self.input in self.arrays else {}):
                self._claimed(grad_output)
        except (SubjectError, ValueError):
            self._claimed(grad_output)

    def _says_none(self, name: str) -> bool:
        """Whether backward returns None in the place of this argument's gradient, as torch's functions do."""
        index = self.convention.inputs.index(name) if name in self.convention.inputs else -1
        returned = self._returned
        if isinstance(returned, Mapping):
            return name in returned and returned[name] is None
        return isinstance(returned, (tuple, list)) and 0 <= index < len(returned) and returned[index] is None

    def _holds_parameter(self, path: Path) -> bool:
        """Whether a parameter is kept there, or what shares its memory."""
        return any(place.path == path for place in (*self._places.values(), *(place for place, _ in self._sharing)))

    def _take_whatever_is_left(self, found: Sequence[Leaf], output: Array) -> None:
        """A single array that was returned is meant as the gradient of the input, whatever its shape.

        But for a Jacobian that has the shape of one by another argument.
        """
        used = [leaf.vector if isinstance(leaf, Part) else leaf for leaf in self._leaves.values()]
        if self._is_data(self.input) and any(type(value) is float for value in self._given.values()):
            return  # it may be that of the numbers beside it
        taken = any(leaf is found[0] for leaf in used) if found else True
        if not self._owner and len(found) == 1 and found[0].returned and not taken:
            shape = found[0].value.shape
            fitting = [n for n, a in self.arrays.items() if is_jacobian(shape, output.shape, a.shape)]
            self._leaves[fitting[0] if len(fitting) == 1 else self.input] = found[0]

    def _give_up(self, name: str) -> None:
        """No gradient of it was found: it is a buffer, a setting, or what the check could not do."""
        place = self._places.pop(name)
        array = self.arrays.pop(name)
        self._lost[name] = (place, array)
        if isinstance(place.read(), np.ndarray):
            known = is_state(name, place.path) or self._is_weight_of_loss(array.shape)
            known_as = "granted" if name in self._not_asked else "buffer" if known else ""
            is_of_data = self._is_data(name) or self._keeps_data(name)
            kind = known_as or ("data" if is_of_data else "unchecked")
            self.unchecked.append((name, kind, array.size))
            return
        # A number is a setting; or a bias beside weights, a beta beside a gamma.
        # One that an object inside keeps, such as an activation's intercept, goes with what that one has alone.
        inside = place.path[:-1]
        claimed = [self._places[n] for n in {*self._leaves, *self._updates} & {*self._places}]
        paths = [other.path for other in claimed]
        others = [str(last_name(path)) for path in paths if path[: len(inside)] == inside]
        is_one = is_learned_beside(str(last_name(place.path)), others) or is_in_a_list_beside(place, claimed)
        self.unchecked.append((name, "unchecked" if is_one else "setting", 1))
