"""How likely what backward returned is the gradient of an argument: by its place, its name, its shape, its numbers."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import names, signatures
from numpy_nn.subjects.arrays.containers import BY_SHAPE, are_last_first
from numpy_nn.subjects.arrays.gradients import (
    IN_ORDER,
    PERHAPS,
    Leaf,
    Order,
    input_likeness,
    is_numbers,
    order_of,
    same_but_ones,
)
from numpy_nn.subjects.arrays.nested import arrays_of, written_in
from numpy_nn.subjects.arrays.places import Path, Step, last_name, places
from numpy_nn.subjects.arrays.unrolled import Part, is_unrolled
from numpy_nn.subjects.attributes import attributes
from numpy_nn.subjects.calls.arguments import HeldArguments
from numpy_nn.subjects.calls.asked import argument_with, in_its_place, is_left_out, rival_of, turned_round
from numpy_nn.subjects.calls.given_numbers import numbers_in
from numpy_nn.subjects.calls.owners import is_object_with_arrays, keeps_arrays
from numpy_nn.subjects.parameters.depending import DependingCode
from numpy_nn.subjects.source.returned import names_by_place, returned_names
from numpy_nn.subjects.source.roles import is_data, is_given, is_learned, is_of_a_kind, is_state
from numpy_nn.subjects.source.surroundings import Surroundings, bare
from numpy_nn.subjects.source.written import constants_of
from numpy_nn.subjects.state import of_installed


class LikelyCode(DependingCode):
    """Called code, of whose arguments the gradients are among what backward returns."""

    _constants: Sequence[str] = ()  # what the user says is not learned
    _not_asked: Set[str] = frozenset()  # parameters of others, of which an object has more than are asked about

    @property
    def whole_numbers(self) -> Mapping[str, NDArray[Any]]:
        given = {name: np.asarray(value) for name, value in self._given.items() if _is_of_numbers(value)}
        return {name: numbers for name, numbers in given.items() if numbers.dtype.kind in "iu"}

    @property
    def compared_with(self) -> Any:
        """The targets of a loss, also of one to which they are given among its arguments."""
        if self.targets is not None or self._owner is not None or self.output().size != 1:
            return self.targets
        own = (value for name, value in self._given.items() if names.role_in_loss(name) == names.TARGET)
        return next((value for value in own if isinstance(value, np.ndarray)), None)

    def take_for_granted(self) -> None:
        """Have arrays without a gradient count as what a function uses, and was not asked about.

        But for those whose gradient may be among what is returned, or that are learned as others are that have one.
        """
        free = [leaf.value.shape for leaf in self._not_taken if leaf.returned]
        held = ((name, *found) for name, value in self._given.items() for found in arrays_of(value))
        asked = {written_in(name, path) for name, path, array in held if array.shape in free}
        claimed = [name for name, leaf in self._leaves.items() if isinstance(leaf, (Leaf, Part))]

        def known(name: str, kind: str) -> str:
            if kind in ("unchecked", "unclaimed") and is_left_out(name, claimed, [*self._given]):
                return "unchecked"
            return "granted" if kind == "unchecked" and name not in asked else kind

        self.unchecked = [(name, known(name, kind), n) for name, kind, n in self.unchecked]
        numbers = numbers_in(self._given, self._targets_name).keys() - set(self._constants)
        learned = [name for name in numbers if is_learned(re.split(r"[.\[]", name)[-1].strip("']"))]
        self.unchecked += [
            (name, "unchecked", 0) for name in sorted(learned) if is_left_out(name, claimed, [*self._given])
        ]

    def take_arguments_for_data(self) -> None:
        """Have the arguments of an object's loss count as data where each array of the object has a gradient.

        And none of them has one: rewards, weights of samples, whatever they are called.
        """
        arguments = [name for name, value in self._given.items() if not is_object_with_arrays(value)]
        claimed = [name for name, leaf in self._leaves.items() if isinstance(leaf, (Leaf, Part))]
        lost = [name for name, kind, _ in self.unchecked if kind in ("unchecked", "unclaimed")]
        of_arguments = [name for name in lost if argument_with(name, arguments) in arguments]
        has_one = any(argument_with(name, arguments) in arguments for name in claimed)
        if not has_one and claimed and of_arguments == lost and self.output().size == 1:
            self.unchecked = [(n, "data" if n in of_arguments else kind, size) for n, kind, size in self.unchecked]

    def _claim_in_their_places(self, found: Sequence[Leaf], told: Mapping[Path, str]) -> None:
        """Take what is returned in the place of an argument's gradient for that, though it has not the shape."""
        inputs = [name for name in self.convention.inputs if name != self._targets_name]

        def is_none(name: str) -> bool:
            return name not in self.arrays or self._is_data(name)

        while (next_one := in_its_place(inputs, self._leaves, found, told, is_none)) is not None:
            self._leaves[next_one[0]] = next_one[1]

    def _doubt_what_numbers_told(self, found: Sequence[Leaf], told: Mapping[Path, str]) -> None:
        """Say where a gradient is that of an argument only because it agrees, and may be a wrong one of another."""
        inputs = [n for n in self.convention.inputs if n in self.arrays and n not in self._constants]
        self._say_order(inputs, found)
        shapes = {name: self.arrays[name].shape for name in inputs}
        if (pair := turned_round(inputs, self._leaves, shapes, told)) is not None:
            self.complain(
                f"backward returns the gradient of {pair[1]} in the place of that of {pair[0]}, which has its shape,"
                " and the other way round: whoever calls it takes each for the other's"
            )
        returned = [leaf for leaf in found if leaf.returned]
        mine = [name for name in inputs if len(returned) == 1 and self._leaves.get(name) is returned[0]]
        if len(mine) != 1 or returned[0].path or mine[0] in self._sure or self._places:
            return
        is_value = self.output().size == 1 or "loss" in names.plain(self.label)
        targets = [name for name in inputs if is_value and names.role_in_loss(name) == names.TARGET]
        data = [name for name in inputs if is_data(name) or self._is_data(name)]
        if not is_of_a_kind(self.arrays[mine[0]]):
            # Nobody wants the gradient of a mask, of signs or of probabilities rather than that of free numbers.
            shapes = {name: shape for name, shape in shapes.items() if not is_of_a_kind(self.arrays[name])}
        function = None if self._backward is None else getattr(self._backward, "func", self._backward)
        rival, surely = rival_of(mine[0], function, shapes, targets, data)
        if rival and surely:
            self._leaves[rival] = self._leaves.pop(mine[0])
        elif rival:
            self.complain(
                f"what is returned is the gradient of {mine[0]}, and none of {rival}, which has its shape and comes"
                f" before it; if that is meant, list {rival} in constants="
            )

    def _say_order(self, inputs: Sequence[str], found: Sequence[Leaf]) -> None:
        """Say in which order gradients are returned that names told apart, in a tuple, if it is not the arguments'."""
        if any(isinstance(step.key, str) for leaf in found for step in leaf.path):
            return
        owners = {id(self._leaves[name]): name for name in inputs if name in self._leaves}
        order = [owners[id(leaf)] for leaf in found if leaf.returned and id(leaf) in owners]
        text = f"backward returns the gradients of {', '.join(order)}, in this order"
        if order != [name for name in inputs if name in order] and text not in self.notes:
            self.notes.append(text)

    def _container_of_gradients(self, inputs: Sequence[str], returned: Any) -> str | None:
        """The list among several arguments, if what is returned has as many gradients as it has arrays."""
        if not isinstance(returned, (list, tuple)) or len(returned) == len(inputs):
            return None
        if any(isinstance(part, (list, tuple, dict)) for part in returned):
            return None  # ([dW1, dW2], [db1, db2]) has one list for each argument that is one
        lists = [name for name in inputs if isinstance(self._given[name], list)]
        return next((name for name in lists if len(arrays_of(self._given[name])) == len(returned)), None)

    def _order_of(self, shapes: Mapping[str, tuple[int, ...] | None], returned: Any) -> Order:
        """The order of the gradients of these arguments; where there is a None for each of the others, their own."""
        inputs = list(self.convention.inputs)
        for own in (inputs, [name for name in inputs if name != self._targets_name]):
            others = [place for place, name in enumerate(own) if name not in shapes]
            in_place = isinstance(returned, (list, tuple)) and len(returned) == len(own) and {*shapes} <= {*own}
            if others and in_place and all(returned[place] is None for place in others):
                return Order({name: own.index(name) for name in shapes}, IN_ORDER, True)
        return order_of(shapes, returned, self._returned_names())

    @property
    def _returns_one_array(self) -> bool:
        """Whether a single array was returned, or a list of numbers in its place, as in code without NumPy."""
        returned, x = self._returned, self.arrays.get(self.input)
        if isinstance(returned, np.ndarray) or x is None or not self.convention.takes_grads:
            return isinstance(returned, np.ndarray)
        return is_numbers(returned) and np.size(returned) != len(self._places) and np.shape(returned) == x.shape

    def _input_likeness(
        self, name: str, order: Order, count: int, agrees: Callable[[str, Leaf], bool]
    ) -> Callable[[Leaf], float]:
        parameters = {self.arrays[name].shape for name in self._places}
        index = order.places.get(name, -1)
        only_one = self._returns_one_array
        shape = self.arrays[name].shape
        of_parameters = self._returns_one_of_each_parameter()

        def like(leaf: Leaf) -> float:
            if leaf.returned and not leaf.path:
                if leaf.value.shape != shape and leaf.value.shape in parameters:
                    return 0.0  # gradient(x, y) of a model with one parameter returns the gradient of that
                if leaf.value.shape != shape and is_unrolled(leaf, list(self._shapes_in(leaf).values())):
                    return 0.0  # it has the gradients of all parameters
                if count > 1 and not self._places:
                    return 0.7 if index == 0 else 0.6  # of one of the arguments: the numbers tell of which
                if leaf.value.shape in parameters and not self.convention.takes_grads and not agrees(name, leaf):
                    return BY_SHAPE  # of a model, gradient(x) may be that of its one parameter: the numbers tell
                return 1.0 if index == 0 and not (self._places and not only_one) else 0.0
            if len(leaf.path) > 1 and leaf.value.shape in parameters:
                return 0.0  # ([db1, db2], [dW1, dW2]): the input's is not within a list of parameters' gradients
            if leaf.returned and of_parameters and not (leaf.value.shape == shape and agrees(name, leaf)):
                return 0.0  # (dW1, dW2): there is none of the input
            if leaf.returned and not same_but_ones(leaf.value.shape, shape) and shape in self._shapes_returned():
                return 0.0  # (loss, accuracy, dW, db): what stands in its place is none, what has its shape may be
            if count == 1 or not leaf.returned or (leaf.path and isinstance(leaf.path[-1].key, str)):
                likely = input_likeness(name, leaf, shape, False)
                # Beside the gradients of parameters, the only one of the input's shape may stand anywhere.
                beside = leaf.returned and self._backward is not None and parameters and shape not in parameters
                beside = beside or (leaf.returned and count > 1 and not (is_data(name) or self._is_data(name)))
                return likely or BY_SHAPE * bool(beside and leaf.value.shape == shape)
            if self._is_data(name) and not same_but_ones(leaf.value.shape, shape):
                return 0.0  # an accuracy, or whatever else a loss returns after the gradients of what is learned
            return order.likely if leaf.path == (Step(index, True),) else BY_SHAPE

        return like

    def _taken_by_shape_alone(self, wanted: Mapping[str, Any], agrees: Callable[[str, Leaf], bool]) -> list[str]:
        """Data for whose gradient was taken what has its shape and no more: predictions beside gradients."""
        found = {name: leaf for name, leaf in self._leaves.items() if name in wanted and isinstance(leaf, Leaf)}
        data = [name for name, leaf in found.items() if self._is_data(name) and wanted[name][1](leaf) < PERHAPS]
        return [name for name in data if len(found) > len(data) and not agrees(name, found[name])]

    def _taken_for_a_loss(self, agrees: Callable[[str, Leaf], bool]) -> list[str]:
        """Numbers for whose gradient was taken one that backward returns beside its steps, as its loss or accuracy.

        Beside gradients that are arrays a number is one too.
        """
        if any(math.prod(shape) > 1 for shape in self._shapes_returned()):
            return []
        rates = [name for name, place in self._places.items() if names.role(str(last_name(place.path))) == names.RATE]
        asked = self._leaves if self._moved else rates
        found = {name: self._leaves[name] for name in asked if name in self._leaves and name not in self._sure}
        numbers = {name: leaf for name, leaf in found.items() if isinstance(leaf, Leaf) and leaf.value.size == 1}
        return [name for name, leaf in numbers.items() if leaf.returned and not agrees(name, leaf)]

    def _is_data(self, name: str) -> bool:
        """Whether a function returns a number, and this argument of it is called as a network's input or target is.

        Of a method targets alone are known so, which stand beside other arguments.
        """
        is_target = names.role_in_loss(name) == names.TARGET
        known = is_data(name) or is_target or (is_state(name) and self.convention.arguments is None)
        alone = self._owner is None or isinstance(self._owner, HeldArguments)
        alone = alone or (is_target and len(self._given) > 2)
        mine = name in self._given if alone else isinstance(self._owner, Surroundings)
        return mine and known and self.output().size == 1

    def _likeliest_first(
        self, inputs: Sequence[str], found: Sequence[Leaf], agrees: Callable[[str, Leaf], bool]
    ) -> list[str]:
        """The arguments in the order in which a single gradient is likely to be theirs.

        First that of which it is. Else it is rather that of what is learned than of data, and of what has no default,
        as the weights of samples or classes have: ``loss(input, target, weight=None)``.
        """
        one = next((leaf for leaf in found if leaf.returned), None)
        alike = [n for n in inputs if one is not None and n in self.arrays and self.arrays[n].shape == one.value.shape]
        agreeing = [name for name in alike if one is not None and agrees(name, one)] if len(alike) > 1 else []
        optional = (signatures.positional(self._forward) or ([], []))[1]
        mine = agreeing if len(agreeing) == 1 else []
        return sorted(inputs, key=lambda name: (name not in mine, name in optional, self._is_data(name)))

    def returned_beside(self) -> list[tuple[str, NDArray[Any]]]:
        told = names_by_place(getattr(self._forward, "func", self._forward))
        start, number = self.convention.place, self.convention.outputs
        found = []
        for index, part in enumerate(self._result[1]):
            place = index if index < start else index + number
            for path, array in arrays_of(part):
                found.append((told.get((Step(place, True), *path), f"the returned {place}"), array))
        return found

    def _keeps_data(self, name: str) -> bool:
        """Whether this is data or targets by its name, of an object whose cost is one of what it is given.

        So is the y of an object with ``objective(theta)``, of which there is the gradient by theta alone. And what an
        argument holds that is an object, such as a graph with the features of its nodes, and the matrix of a graph.
        """
        held = self._given.get(re.split(r"[.\[]", name)[0])
        if not isinstance(self._owner, HeldArguments) and keeps_arrays(held):
            return True
        if name in self._lost and is_given(self._lost[name][1], self.arrays.get(self.input)):
            return True
        known = is_data(name) or names.role_in_loss(name) == names.TARGET
        given = any(argument in self._leaves for argument in self._given)
        return known and given and self.output().size == 1 and not self._leaves.keys() & self._places.keys()

    def _shapes_in(self, leaf: Leaf) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays, without a gradient yet, of which a vector may have all gradients, by their names.

        Data and targets need have none: they count only where the others are too few, as of ``f(x, y)``.
        """
        shapes = {name: array.shape for name, array in self.arrays.items() if name not in self._leaves}
        learned = {name: shape for name, shape in shapes.items() if not (is_data(name) or self._is_data(name))}
        return learned if is_unrolled(leaf, list(learned.values())) else shapes

    def _has_last_first(
        self, name: str, prefix: Path | None, found: Sequence[Leaf], agrees: Callable[[str, Leaf], bool]
    ) -> bool:
        """Whether the gradients of an argument that is a list are returned in it with those of the last layer first."""
        held = [written_in(name, path) for path, _ in arrays_of(self._given[name])]
        if prefix is None or not isinstance(self._given[name], list) or len(held) < 2:
            return False
        here = [leaf for leaf in found if leaf.returned and leaf.path[: len(prefix)] == prefix]

        def fits(name: str, leaf: Leaf) -> bool:
            return same_but_ones(leaf.value.shape, self.arrays[name].shape) and agrees(name, leaf)

        return are_last_first(held, here, fits)

    def _returns_one_of_each_parameter(self) -> bool:
        """Whether what backward returns are arrays in a list, one of the shape of each parameter and no more."""
        returned = self._returned if isinstance(self._returned, (tuple, list)) else ()
        shapes = [part.shape for part in returned if isinstance(part, np.ndarray)]
        of_parameters = [self.arrays[name].shape for name in self._places]
        return len(shapes) == len(returned) > 0 and sorted(shapes) == sorted(of_parameters)

    def _shapes_returned(self) -> list[tuple[int, ...]]:
        """The shapes of the arrays in the tuple or list that backward returns."""
        returned = self._returned if isinstance(self._returned, (tuple, list)) else ()
        return [part.shape for part in returned if isinstance(part, np.ndarray)]

    def _returned_names(self) -> list[str]:
        """What the source of backward calls the things that it returns."""
        return [] if self._backward is None else returned_names(getattr(self._backward, "func", self._backward))

    def _numbers_written(self) -> list[float]:
        """The floats that the object or its class keeps, and those in the source of what steps and its defaults."""
        function = self._backward or self._forward
        function = attributes(function).get("func", function)  # of what dresses it
        own = inspect.unwrap(bare(getattr(function, "__func__", function)))
        own = getattr(own, "__func__", own)
        found = [*constants_of(own), *(getattr(own, "__defaults__", None) or ())]
        found += [place.read() for place in places(self._owner)] if self._owner is not None else []
        kinds = () if isinstance(self._owner, Surroundings) else type(self._owner).__mro__
        found += [value for kind in kinds if not of_installed(kind) for value in vars(kind).values()]
        return [float(number) for number in found if isinstance(number, float)]


def _is_of_numbers(value: Any) -> bool:
    listed = isinstance(value, (list, tuple)) and bool(value) and all(type(one) is int for one in value)
    return listed or isinstance(value, (np.ndarray, int))
