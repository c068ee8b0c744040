"""Embeddings of a table of indices, with a loop in backward in which an index that comes twice counts once."""

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients

IDS = np.array([[0, 1, 1], [2, 2, 2], [3, 0, 1], [4, 4, 3], [1, 0, 0], [2, 3, 4]])
TABLE = np.random.default_rng(0).standard_normal((5, 3))


def looped(ids, table, grad, axis, pooled):
    gradient = np.zeros_like(table)
    for at in range(ids.shape[axis]):
        here = np.take(ids, at, axis)
        gradient[here] += (grad[at] if axis == 0 else grad) if pooled else np.take(grad, at, axis)
    return gradient


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize(("axis", "word"), [(0, "rows"), (1, "columns")])
def test_a_loop_that_counts_an_index_once_at_a_time_is_told(pooled, axis, word):
    def forward(ids, table):
        return table[ids].sum(axis=1) if pooled else table[ids]

    def backward(ids, table, grad):
        return looped(ids, table, grad, axis, pooled)

    report = check_gradients((forward, backward), (IDS, TABLE))
    found = diagnosed(report["table"])
    assert (report["table"].verdict, found.cause, found.confident) == ("wrong", "repeated_index", True)
    assert f"that of a loop over the {word} of ids, in which each index counts once at a time" in found.evidence
