"""A loss of rows of a table: which are used more than once shows in its arguments alone."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG

rng = np.random.default_rng(0)
CENTRE, TABLE = rng.standard_normal(3), rng.standard_normal((6, 3))


def sampled(add):
    def loss(centre, outside, negatives, table):
        rows = np.array([outside, *negatives])
        signs = np.where(np.arange(len(rows)) == 0, 1.0, -1.0)
        p = 1.0 / (1.0 + np.exp(-signs * (table[rows] @ centre)))
        by_scores = (p - 1.0) * signs
        by_table = np.zeros_like(table)
        add(by_table, rows, np.outer(by_scores, centre))
        return -np.log(p).sum(), by_scores @ table[rows], by_table

    return loss


def add_once(table, rows, values):
    table[rows] += values


def all_of_row_2(table, rows, values):
    np.add.at(table, rows, values)
    table[2] *= 0.5


@pytest.mark.parametrize(("outside", "negatives"), [(1, np.array([4, 2, 4])), (2, np.array([4, 2])), (2, [4, 2])])
def test_a_sum_that_keeps_one_use_is_told_by_the_rows(outside, negatives):
    given = CENTRE, outside, negatives, TABLE
    assert check_gradients(sampled(np.add.at), given).verdict == RIGHT
    report = check_gradients(sampled(add_once), given)
    assert (report["centre"].verdict, report["table"].verdict) == (RIGHT, WRONG)
    diagnosis = report["table"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "repeated_index"
    assert "more than once" in diagnosis.evidence


def test_rows_that_are_used_once_have_another_cause():
    report = check_gradients(sampled(all_of_row_2), (CENTRE, 1, np.array([4, 2, 4]), TABLE))
    diagnosis = report["table"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause != "repeated_index"


def words(center, vectors, context, wrong=False):
    """A loss of the sum of the vectors of some words, which come in a list, and its gradients."""
    hidden = vectors[context].sum(axis=0)
    grad = np.zeros_like(vectors)
    for i in context:
        grad[i] = np.cos(hidden) * center + (0.0 if wrong else grad[i])
    return np.sin(hidden) @ center, np.sin(hidden), grad


@pytest.mark.parametrize("context", [["b", "a", "b", "d"], ["a", "b", "b", "d", "b", "a"]])
def test_parts_of_some_rows_tell_that_these_are_used_more_than_once(context):
    rng = np.random.default_rng(0)
    places = ["abcde".index(one) for one in context]

    def loss(center, vectors, wrong=False):
        return words(center, vectors, places, wrong)

    center, vectors = rng.standard_normal(3), rng.standard_normal((5, 3))
    assert check_gradients(loss, (center, vectors)).verdict == "right"
    report = check_gradients(lambda center, vectors: loss(center, vectors, wrong=True), (center, vectors))
    assert report["center"].verdict == "right"
    diagnosis = report["vectors"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "repeated_index", report
    assert f"1/{context.count('b')} in row 1" in diagnosis.evidence


def test_labels_of_samples_use_no_row_of_these():
    """A row that should be left out, whose number happens to be a label that two others have."""
    labels = np.array([0, 2, -1, 1, 2])

    def loss(x, t):
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return -(np.log(p[np.arange(len(t)), np.maximum(t, 0)]) * (t >= 0)).sum()

    def gradient(x, t):
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        p[np.arange(len(t)), np.maximum(t, 0)] -= 1.0
        return p

    judged = check_gradients((loss, gradient), np.random.default_rng(0).standard_normal((5, 3)), labels)
    assert judged.entries[0].verdict == "wrong"
    assert judged.entries[0].cause == "unknown"
