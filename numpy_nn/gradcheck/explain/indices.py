"""Entries that forward uses more than once, as an embedding, a gather or upsampling do: what becomes of their sum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array, scale_of
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.kinds import OFF

# The Jacobian is made for arrays of so many entries, and kept if it has so many numbers.
ENTRIES, NUMBERS = 600, 1_000_000

# Central differences with this step, in units of the array's size, are good to its square.
STEP = 2.0**-14

# An entry that has more uses than this has no single one that somebody would pick.
USES = 16


def indices(e: Evidence) -> Iterator[Prediction]:
    """One of several uses alone: the last, where = stands for +=; one that is picked; or their mean."""
    if e.array.size > ENTRIES or e.array.size * e.output.size > NUMBERS or e.output.size < 2:
        return
    terms = terms_of(e)
    uses = (terms != 0.0).sum(axis=0)
    if uses.max() < 2 or (uses.max() > USES and uses.min() == uses.max()):
        return
    last = _use(terms, -1).reshape(e.array.shape)
    varies = len(np.unique(uses[uses > 0])) > 1
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


def rows_used_twice(e: Evidence) -> Iterator[Found]:
    """Where one number, as a loss, shows no uses apart: only rows are wrong that an argument has more than once."""
    if e.status is None or e.array.ndim < 2 or not e.looked_at.all():
        return
    wrong = np.flatnonzero((e.status == OFF).reshape(len(e.array), -1).any(axis=1))
    numbers = {name: part.ravel() for name, part in e.subject.whole_numbers.items()}
    together = {" and ".join(numbers): np.concatenate(list(numbers.values()))} if len(numbers) > 1 else {}
    for name, part in {**numbers, **together}.items():
        rows, uses = np.unique(part[(part >= 0) & (part < len(e.array))], return_counts=True)
        if len(wrong) and np.array_equal(rows[uses > 1], wrong) and (uses == 1).any():
            listed = ", ".join(map(str, wrong[:8])) + (" ..." if len(wrong) > 8 else "")
            yield Found("repeated_index", f"wrong only in rows {listed}: those that {name} has more than once", False)
            return


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
