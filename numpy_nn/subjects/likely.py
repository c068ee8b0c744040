"""How likely what backward returned is the gradient of an argument: by its place, its name, its shape, its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numpy_nn.subjects import names
from numpy_nn.subjects.arguments import HeldArguments
from numpy_nn.subjects.calling import arrays_of, written_in
from numpy_nn.subjects.containers import BY_SHAPE, are_last_first
from numpy_nn.subjects.depending import DependingCode
from numpy_nn.subjects.gradients import Leaf, Order, input_likeness, same_but_ones
from numpy_nn.subjects.places import Path, Step, places
from numpy_nn.subjects.returned import returned_names
from numpy_nn.subjects.surroundings import Surroundings
from numpy_nn.subjects.unrolled import is_unrolled


class LikelyCode(DependingCode):
    """Called code, of whose arguments the gradients are among what backward returns."""

    def _container_of_gradients(self, inputs: Sequence[str], returned: Any) -> str | None:
        """The list among several arguments, if what is returned has as many gradients as it has arrays."""
        if not isinstance(returned, (list, tuple)) or len(returned) == len(inputs):
            return None
        if any(isinstance(part, (list, tuple, dict)) for part in returned):
            return None  # ([dW1, dW2], [db1, db2]) has one list for each argument that is one
        lists = [name for name in inputs if isinstance(self._given[name], list)]
        return next((name for name in lists if len(arrays_of(self._given[name])) == len(returned)), None)

    def _input_likeness(
        self, name: str, order: Order, count: int, agrees: Callable[[str, Leaf], bool]
    ) -> Callable[[Leaf], float]:
        parameters = {self.arrays[name].shape for name in self._places}
        index = order.places.get(name, -1)
        only_one = isinstance(self._returned, np.ndarray)
        shape = self.arrays[name].shape
        of_parameters = self._returns_one_of_each_parameter()
        learned = list(self._learned_shapes().values())

        def like(leaf: Leaf) -> float:
            if leaf.returned and not leaf.path:
                if leaf.value.shape != shape and leaf.value.shape in parameters:
                    return 0.0  # gradient(x, y) of a model with one parameter returns the gradient of that
                if leaf.value.shape != shape and is_unrolled(leaf, learned):
                    return 0.0  # it has the gradients of all parameters
                if count > 1 and not self._places:
                    return 0.7 if index == 0 else 0.6  # of one of the arguments: the numbers tell of which
                return 1.0 if index == 0 and not (self._places and not only_one) else 0.0
            if len(leaf.path) > 1 and leaf.value.shape in parameters:
                return 0.0  # ([db1, db2], [dW1, dW2]): the input's is not within a list of parameters' gradients
            if leaf.returned and of_parameters and not (leaf.value.shape == shape and agrees(name, leaf)):
                return 0.0  # (dW1, dW2): there is none of the input
            if count == 1 or not leaf.returned or (leaf.path and isinstance(leaf.path[-1].key, str)):
                likely = input_likeness(name, leaf, shape, False)
                # Beside the gradients of parameters, the only one of the input's shape may stand anywhere.
                beside = leaf.returned and self._backward is not None and parameters and shape not in parameters
                beside = beside or (leaf.returned and count > 1 and not names.is_data(name))
                return likely or BY_SHAPE * bool(beside and leaf.value.shape == shape)
            return order.likely if leaf.path == (Step(index, True),) else BY_SHAPE

        return like

    def _is_data(self, name: str) -> bool:
        """Whether a function returns a number, and this argument of it is called as a network's input or target is."""
        known = names.is_data(name) or names.role_in_loss(name) == names.TARGET
        known = known or (names.is_state(name) and self.convention.arguments is None)
        alone = self._owner is None or isinstance(self._owner, HeldArguments)
        mine = name in self._given if alone else isinstance(self._owner, Surroundings)
        return mine and known and self.output().size == 1

    def _learned_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all arrays by their names, but for data and targets, which need have no gradient."""
        data = [name for name in self.arrays if names.is_data(name) or self._is_data(name)]
        return {name: array.shape for name, array in self.arrays.items() if name not in data}

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

    def _returned_names(self) -> list[str]:
        """What the source of backward calls the things that it returns."""
        return [] if self._backward is None else returned_names(getattr(self._backward, "func", self._backward))

    def _numbers_written(self) -> list[float]:
        """The floats that the object keeps, and those in the source of backward and among its defaults."""
        bare = getattr(self._backward, "__func__", self._backward)
        code = getattr(bare, "__code__", None)
        found = [*(code.co_consts if code is not None else ()), *(getattr(bare, "__defaults__", None) or ())]
        found += [place.read() for place in places(self._owner)] if self._owner is not None else []
        return [float(number) for number in found if isinstance(number, float)]
