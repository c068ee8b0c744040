"""Entries that forward uses more than once, as an embedding, a gather or upsampling do: what becomes of their sum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import TINY, Array, scale_of
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.kinds import OFF

# The Jacobian is made for arrays of so many entries, and kept if it has so many numbers.
ENTRIES, NUMBERS = 600, 1_000_000

# Central differences with this step, in units of the array's size, are good to its square.
STEP = 2.0**-14

# An entry that has more uses than this has no single one that somebody would pick.
USES = 16

# A table of indices has no more than so many that are looked at one by one.
LOOPED = 64

# Nor does one that is used so often show as a part.
MOST_USES = 64


def indices(e: Evidence) -> Iterator[Prediction]:
    """One of several uses alone: the last, where = stands for +=; one that is picked; or their mean."""
    if e.array.size > ENTRIES or e.array.size * e.output.size > NUMBERS or e.output.size < 2:
        return
    terms = terms_of(e)
    yield from _sums_over_other_axes(e, terms)
    yield from _overlaps(e, terms)
    uses = (terms != 0.0).sum(axis=0)
    if uses.max() < 2 or (uses.max() > USES and uses.min() == uses.max()):
        return
    last = _use(terms, -1).reshape(e.array.shape)
    # Of indices those that come twice may all come as often.
    varies = len(np.unique(uses[uses > 0])) > 1 or bool(e.subject.whole_numbers)
    if varies:
        yield Prediction("repeated_index", "what the last use of each entry gives", last)
    for number in range(min(int(uses[uses > 0].min()), USES)):
        values = _use(terms, number).reshape(e.array.shape)
        yield Prediction("picked", f"what use {number + 1} of each entry's uses gives alone", values)
    if not varies:
        yield Prediction("repeated_index", "what the last use of each entry gives", last)
    else:
        mean = terms.sum(axis=0) / np.maximum(uses, 1)
        yield Prediction("repeated_index", "the mean over each entry's uses", mean.reshape(e.array.shape))


def _sums_over_other_axes(e: Evidence, terms: Array) -> Iterator[Prediction]:
    """Of a bias within a function, what each output gives, summed over other axes than those that it is repeated along.

    So of b in sin(x + b), of which the gradient is no sum of grad_output itself.
    """
    if e.is_input or e.array.size < 2 or e.output.ndim < 2 or (terms != 0.0).sum(axis=1).max() > 1:
        return
    apart = terms.sum(axis=1).reshape(e.output.shape)
    for number in range(1, apart.ndim):
        for axes in combinations(range(apart.ndim), number):
            total = apart.sum(axis=axes)
            if total.size == e.array.size:
                formula = f"what each output gives, summed over {' and '.join(f'axis {axis}' for axis in axes)}"
                yield Prediction("wrong_axis_sum", formula, total.reshape(e.array.shape))


def _overlaps(e: Evidence, terms: Array) -> Iterator[Prediction]:
    """Windows over any number of axes, each written with all its channels at once, of which the last write is kept."""
    for channel in range(e.output.ndim):
        if e.output.shape[channel] < 2:
            continue  # without channels each use is one of its own
        windows = terms.reshape(*e.output.shape, -1).sum(axis=channel).reshape(-1, terms.shape[1])
        uses, last = (windows != 0.0).sum(axis=0), _use(windows, -1)
        of_one_use = np.array_equal(last, _use(terms, -1))  # as of indices: no channels were summed up
        if uses.max() > 1 and len(np.unique(uses[uses > 0])) > 1 and not of_one_use:
            formula = "what the last of the windows gives that an entry lies in"
            yield Prediction("overwritten_windows", formula, last.reshape(e.array.shape))


def loops_over_indices(e: Evidence) -> Iterator[Prediction]:
    """Of a table of indices, a loop over its rows or columns: += at some indices at a time keeps one use of each."""
    for name, table in e.subject.whole_numbers.items():
        is_table = table.ndim == 2 and e.array.ndim >= 2 and e.output.shape[:1] == table.shape[:1]
        if not is_table or table.size > LOOPED or table.min() < 0 or table.max() >= len(e.array):
            continue
        uses = _uses_of(e, table)
        for axis, word in enumerate(("rows", "columns")):
            values = np.zeros(e.array.shape)
            for at in range(table.shape[axis]):
                kept = dict(zip(np.take(table, at, axis), np.take(uses, at, axis), strict=True))
                for row, use in kept.items():
                    values[row] += use
            formula = f"that of a loop over the {word} of {name}, in which each index counts once at a time"
            yield Prediction("repeated_index", formula, values)


def _uses_of(e: Evidence, table: NDArray[np.integer[Any]]) -> Array:
    """What each index of the table adds to its row of the gradient; alike where they are summed up along its rows."""
    uses = np.zeros((*table.shape, *e.array.shape[1:]))
    apart = e.output.shape[:2] == table.shape and e.output.ndim > 2
    for at in np.ndindex(*(table.shape if apart else table.shape[:1])):
        only = np.zeros_like(e.grad_output)
        only[at] = e.grad_output[at]
        values = e.vjp(only)
        for place in [at] if apart else [(*at, column) for column in range(table.shape[1])]:
            row = table[place]
            uses[place] = values[row] / (1 if apart else np.sum(table[at] == row))
    return uses


def rows_used_twice(e: Evidence) -> Iterator[Found]:
    """Where one number, as a loss, shows no uses apart: only rows are wrong that an argument has more than once."""
    if e.status is None or e.array.ndim < 2 or not e.looked_at.all():
        return
    wrong = np.flatnonzero((e.status == OFF).reshape(len(e.array), -1).any(axis=1))
    numbers = {name: part.ravel() for name, part in e.subject.whole_numbers.items()}
    together = {" and ".join(numbers): np.concatenate(list(numbers.values()))} if len(numbers) > 1 else {}
    for name, part in {**numbers, **together}.items():
        rows, uses = np.unique(part[(part >= 0) & (part < len(e.array))], return_counts=True)
        is_of_rows = part.size == len(e.array) and bool(np.delete(e.truth, rows, axis=0).any())  # labels of samples
        if len(wrong) and np.array_equal(rows[uses > 1], wrong) and (uses == 1).any() and not is_of_rows:
            listed = ", ".join(map(str, wrong[:8])) + (" ..." if len(wrong) > 8 else "")
            yield Found("repeated_index", f"wrong only in rows {listed}: those that {name} has more than once", False)
            return
    if all(part.size < 2 for part in numbers.values()):
        yield from _parts_of_rows(e, wrong)


def _parts_of_rows(e: Evidence, wrong: NDArray[np.intp]) -> Iterator[Found]:
    """Where nothing tells the indices: some rows are right, and others are a half, a third, a quarter of what they are.

    So are those that are used so often, with gradients that are alike.
    """
    assert e.gradient is not None
    claimed, truth = (part.reshape(len(e.array), -1) for part in (e.gradient, e.truth))
    seen = np.flatnonzero(np.abs(truth).max(axis=1) > e.fit * np.abs(truth).max())
    if not len(wrong) or len(np.setdiff1d(seen, wrong)) < 1:
        return
    parts = []
    for row in wrong:
        share = float(claimed[row] @ truth[row]) / max(float(truth[row] @ truth[row]), TINY)
        uses = round(1.0 / share) if share > 1.0 / MOST_USES else 0
        off = np.abs(claimed[row] * uses - truth[row]).max()
        if uses < 2 or off > uses * e.fit * np.abs(truth[row]).max():
            return
        parts.append(f"1/{uses} in row {row}")
    listed = ", ".join(parts[:8]) + (" ..." if len(parts) > 8 else "")
    text = (
        f"the claimed gradient is {listed} of the numerical one, and right in the other rows: as if a row that is used"
    )
    yield Found("repeated_index", f"{text} so often had the gradient of one use", False)


def terms_of(e: Evidence) -> Array:
    """grad_output times the derivative of each output by each entry of the array: (outputs, entries)."""
    array, home = e.array, e.array.copy()
    # With steps of the output's own, what those add is as large as what the square leaves out.
    step = max(STEP, float(np.cbrt(e.differences.seen_coarseness))) * scale_of(home)
    terms = np.zeros((e.output.size, home.size))
    try:
        for entry, index in enumerate(np.ndindex(home.shape)):
            sides = []
            for sign in (1.0, -1.0):
                array[index] = home[index] + sign * step[index]
                sides.append(e.subject.output().ravel())
            array[index] = home[index]
            if sides[0].shape != sides[1].shape or sides[0].size != e.output.size:
                return np.zeros_like(terms)
            terms[:, entry] = e.grad_output.ravel() * (sides[0] - sides[1]) / (2.0 * step[index])
    finally:
        array[...] = home
    return terms


def _use(terms: Array, number: int) -> Array:
    """Of each column the number-th entry that is not 0; 0 in a column that has none."""
    picked = np.zeros(terms.shape[1])
    for column in range(terms.shape[1]):
        used = terms[terms[:, column] != 0.0, column]
        if used.size:
            picked[column] = used[number]
    return picked
