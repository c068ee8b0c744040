"""Samples in columns: y = W x + b with x of shape (features, batch), shown as if it were written for rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.slopes import Slopes
from numpy_nn.subjects.subject import Subject, SubjectError

# Two columns act on a loss apart if what they do together differs from the sum of both by less than this share.
APART = 1e-9


class ColumnsAsRows(Subject):
    """Another subject with all of its matrices transposed: the arrays are views of the same live numbers."""

    def __init__(self, subject: Subject) -> None:
        arrays = {name: transposed(array) for name, array in subject.arrays.items()}
        super().__init__(subject.label, (), arrays)
        self._subject = subject
        self.is_loss = subject.is_loss
        self.input = subject.input
        self.targets = _targets_as_rows(subject.targets)

    def output(self) -> Array:
        return transposed(self._subject.output())

    def gradients(self, grad_output: Array, *, other_draws: bool = False) -> dict[str, NDArray[Any] | None]:
        claimed = self._subject.gradients(transposed(grad_output), other_draws=other_draws)
        return {name: None if g is None else transposed(g) for name, g in claimed.items()}

    def random_grad_output(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return self._subject.random_grad_output(rng, shape)

    def without_each_output(self, grad_output: Array) -> Iterator[Array]:
        return map(transposed, self._subject.without_each_output(transposed(grad_output)))

    def kept_arrays(self) -> list[tuple[str, NDArray[Any]]]:
        return [(name, transposed(array)) for name, array in self._subject.kept_arrays()]

    @contextmanager
    def resized(self, rows: int) -> Iterator[bool]:
        """Another number of samples, which are columns of the subject's own input."""
        subject, name, own = self._subject, self.input, self.arrays[self.input]
        x, targets = subject.arrays[name], subject.targets
        chosen = np.arange(rows) % x.shape[1]
        try:
            subject.arrays[name] = np.ascontiguousarray(x[:, chosen])
            self.arrays[name] = subject.arrays[name].T
            if isinstance(targets, np.ndarray) and targets.ndim and targets.shape[-1] == x.shape[1]:
                subject.targets = targets[..., chosen]
                self.targets = _targets_as_rows(subject.targets)
            try:
                subject.output()
            except SubjectError:
                yield False
            else:
                yield True
        finally:
            subject.arrays[name], subject.targets = x, targets
            self.arrays[name], self.targets = own, _targets_as_rows(targets)


def transposed(array: NDArray[Any]) -> NDArray[Any]:
    """A matrix transposed, anything else as it is."""
    return array.T if array.ndim == 2 else array


def _targets_as_rows(targets: Any) -> Any:
    return transposed(targets) if isinstance(targets, np.ndarray) else targets


def as_rows(e: Evidence) -> Evidence:
    """The same evidence with samples in rows, where they are in columns."""
    gradient = None if e.gradient is None else transposed(e.gradient)
    view = Evidence(
        ColumnsAsRows(e.subject),
        e.name,
        gradient,
        transposed(e.grad_output),
        transposed(e.output),
        {e.name: None if e.previous is None else transposed(e.previous)},
        transposed(e.previous_x),
        transposed(e.previous_grad_output),
        e.rng,
    )
    if e.slopes is not None and e.status is not None:
        view.slopes = Slopes(*(transposed(numbers) for numbers in vars(e.slopes).values()))
        view.status = transposed(e.status)
    if e.differences.seen_coarseness:
        view.differences.assume(e.differences.seen_coarseness)  # by which it is judged whether a prediction fits
    return view


def in_columns(e: Evidence) -> bool | None:
    """Whether samples are in columns.

    Parameters tell: they act on all samples, and so an axis of theirs goes with an axis of the output only if it is one
    of features. Else, column j of the output hangs on column j of the input alone, while its rows mix those of the
    input: without parameters nobody can tell, None, as softmax of columns does that, and so does batch norm of rows.
    """
    x, y = e.x, e.output
    if x.ndim != 2:
        return False
    if y.ndim != 2:
        return y.size == 1 and e.subject.targets is not None and _loss_in_columns(e)
    if x.shape[1] != y.shape[1]:
        return False
    parameters = [name for name in e.subject.arrays if name != e.subject.input]
    features = {out_axis for name in parameters for _, out_axis in e.differences_by(name).nearly_aligned}
    if features:
        return features == {0}
    aligned = e.differences_by(e.subject.input).nearly_aligned
    if (1, 1) not in aligned or (0, 0) in aligned:
        return False
    return True if parameters else None


def _loss_in_columns(e: Evidence) -> bool:
    """Whether a loss adds up over the columns of its input: it has one row, or columns act apart and rows do not."""
    targets = np.asarray(e.subject.targets)
    rows, columns = e.x.shape
    if rows == 1:
        return columns > 1 and targets.size == columns
    if targets.ndim == 1 and targets.shape[0] == rows != columns:
        return False
    if columns == 1:  # a single sample, whose weights have a column for each of its features
        others = [array for name, array in e.subject.arrays.items() if name != e.subject.input]
        return any(array.ndim == 2 and array.shape[0] > 1 and array.shape[1] == rows for array in others)
    return columns > 1 and _act_apart(e, axis=1) and not _act_apart(e, axis=0)


def _act_apart(e: Evidence, axis: int) -> bool:
    """Whether the first half of the slices along an axis and the second act on the output one by one: f is a sum."""
    home = e.x.copy()
    # Towards 0, so that probabilities stay such.
    shift = 0.1 * e.rng.uniform(0.5, 1.0, home.shape) * np.where(home == 0.0, 1.0, -home)
    first = np.moveaxis(np.zeros(home.shape, np.bool_), axis, 0)
    first[: len(first) // 2] = True
    first = np.moveaxis(first, 0, axis)
    values = []
    try:
        for mask in (first, ~first, np.ones_like(first), np.zeros_like(first)):
            e.x[...] = home + shift * mask
            values.append(float(e.subject.output().sum()))
    finally:
        e.x[...] = home
    one, other, both, none = values
    return abs((both - none) - (one - none) - (other - none)) <= max(APART, e.grain) * max(map(abs, values))
