"""An object of the user's that has no step(x, y, lr): the one that is made of what it has, as the checker finds it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects import Hints, SubjectError, as_subject
from numpy_nn.subjects.agreement import agreement
from numpy_nn.subjects.arrays.places import Place
from numpy_nn.subjects.parameters.code import CodeSubject

Array = NDArray[Any]

# So many rows are enough to see how the code is called.
ROWS = 7


class Trained:
    """An object with the step of a training loop: its forward, its backward, its update.

    Its batches are given to it as it wants them, in rows or columns, with labels or rows with one 1; they are turned
    into that outside of the time, once for each batch that comes again. ValueError where no way to train it is found.
    """

    def __init__(self, net: Any, name: str, inputs: int, classes: int) -> None:
        self._classes = classes
        self._subject, self._columns, self._one_hot = self._found(net, name, inputs)
        self._latest: tuple[Any, Any, Any, Any] = (None, None, None, None)
        how = self._subject.own_update
        if self._subject.updates_in_backward is not None:
            how = "its backward pass, which updates"
        words = f"its own {how}()" if self._subject.own_update else how or "taking lr times the gradient off each array"
        self.notes = [f"{name} has no step(x, y, lr): one is its forward and backward passes, and {words}"]
        self._of_sums = self._gives_sums()
        if self._of_sums:
            self.notes.append(
                f"{name}: its gradients are sums over the rows, no means: lr over their number is its rate"
            )

    @property
    def parameter_places(self) -> Mapping[str, Sequence[Place]]:
        """Where the object keeps its parameters."""
        return self._subject.parameter_places

    def step(self, x: Array, y: Array, lr: float) -> None:
        """A step of SGD on these rows with these labels."""
        self._subject.train(*self._as_wanted(x, y), lr / len(x) if self._of_sums else lr)

    def _gives_sums(self) -> bool:
        """Whether every row twice makes the gradients twice as large."""
        if self._columns:
            return False
        with self._subject.resized(2 * ROWS) as can:
            if not can:
                return False
            twice = self._size_of_gradients()
        return twice > 1.5 * self._size_of_gradients()

    def _size_of_gradients(self) -> float:
        gradients = self._subject.gradients(np.ones(np.shape(self._subject.output())))
        return sum(float(np.linalg.norm(g)) for g in gradients.values() if g is not None)

    def _as_wanted(self, x: Array, y: Array) -> tuple[Array, Array]:
        if self._latest[0] is not x or self._latest[1] is not y:
            targets: Array = np.eye(self._classes, dtype=x.dtype)[y] if self._one_hot else y
            given = (x.T, targets.T) if self._columns else (x, targets)
            self._latest = (x, y, np.ascontiguousarray(given[0]), np.ascontiguousarray(given[1]))
        return self._latest[2], self._latest[3]

    def _found(self, net: Any, name: str, inputs: int) -> tuple[CodeSubject, bool, bool]:
        best, most = None, 0
        for columns, one_hot, x, y in self._batches(inputs):
            try:
                subject = as_subject(net, (x,), y, Hints())
                found = agreement(subject)
            except (SubjectError, TypeError, ValueError, IndexError, ArithmeticError, AttributeError, LookupError):
                continue
            if isinstance(subject, CodeSubject) and found.agreeing > most and not subject.convention.takes_grads:
                best, most = (subject, columns, one_hot), found.agreeing
                if found.agreeing == found.shaped:
                    break
        if best is None:
            raise ValueError(
                f"{name}: found no way to train it: expected a method step(x, y, lr), or a forward and a backward pass "
                "that numpy-nn gradcheck finds right, of ReLU, softmax and cross-entropy as all engines have them"
            )
        return best

    def _batches(self, inputs: int) -> Iterator[tuple[bool, bool, Array, Array]]:
        rng = np.random.default_rng(0)
        y = rng.integers(0, self._classes, ROWS)
        # Large weights saturate what they make of inputs of size 1.
        for size, columns, one_hot in itertools.product((1.0, 1.0 / inputs), (False, True), (False, True)):
            x = size * rng.random((ROWS, inputs))
            targets: Array = np.eye(self._classes)[y] if one_hot else y
            yield columns, one_hot, (x.T.copy() if columns else x), (targets.T.copy() if columns else targets)
