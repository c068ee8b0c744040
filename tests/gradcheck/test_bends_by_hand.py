"""Where bends are looked for, and which points beside them are taken."""

from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck.measure import points
from numpy_nn.subjects import Hints, as_subject

REACH = np.linspace(-3.0, 3.0, 25)


def points_of(f, x, *, elementwise=False, targets=None):
    subject = as_subject((f, lambda *given: given[-1]), (np.array(x),), targets, Hints())
    found = points.other_points(subject, subject.output(), elementwise, np.random.default_rng(0))
    return [(point.words, next(iter(point.moved.values()))) for point in found]


def bends_of(*given, **named):
    return [found for found in points_of(*given, **named) if "bend" in found[0]]


@pytest.mark.parametrize(
    ("slope", "kink", "found"), [(1.0, 1e-4, True), (1e4, 1e-4, False), (1e-4, 1e-8, True), (1e4, 0.1, True)]
)
def test_a_bend_is_one_by_more_than_a_millionth_of_the_slopes(slope, kink, found):
    def f(t):
        return slope * t + kink * np.abs(t - 0.3)

    assert np.isnan(points._bends(REACH, f(REACH)[:, None], f)).all() == (not found)


def test_of_several_outputs_the_two_that_bend_most_are_looked_at():
    def f(x):
        s = x.sum()
        return np.array(
            [s, np.maximum(s - 2.0, 0.0), 1e-3 * np.maximum(s - 3.0, 0.0), 5.0 * np.maximum(s - 1.5, 0.0), s]
        )

    found = bends_of(f, [0.25, 0.75])
    expected = [at * (1.0 + sign * 2.0**-9) for at in (1.5, 2.0) for sign in (1.0, -1.0)]
    np.testing.assert_allclose([values.sum() for _, values in found], expected, rtol=3e-4)
    for words, values in found:
        assert words == f"beside a bend of the function, at {values.sum():.4g} times this input"


def test_a_bend_of_single_entries_is_told_by_where_the_first_has_it():
    for words, _ in bends_of(lambda x: np.minimum(x, 0.5) + 0.1 * x, [2.0, 1.0], elementwise=True):
        assert words == "beside a bend of the function, as at 0.5"


def test_where_the_target_takes_no_input_as_large_the_bends_before_are_found():
    def f(x):
        if x.sum() > 6.0:
            raise ValueError("too large")
        return np.maximum(x.sum(keepdims=True) - 2.0, 0.0)

    np.testing.assert_allclose([values.sum() for _, values in bends_of(f, [0.25, 0.75])], [2.0, 2.0], rtol=3e-3)

    def g(x):
        if x.sum() > 6.0:
            raise ValueError("too large")
        return np.maximum(x - 2.0, 0.0)

    assert bends_of(g, [0.25, 0.75]) == []


def test_neighbouring_rows_are_two_at_least():
    def means(x):
        return [words for words, _ in points_of(np.sin, x) if "neighbouring" in words]

    assert len(means(np.ones((2, 3)))) == len(means(np.arange(9.0).reshape(3, 3))) == 1
    assert len(means(np.arange(8.0).reshape(2, 2, 2))) == 1
    assert means(np.array([[2.0, 1.0], [1.0, 3.0]])) == []  # as a definite matrix is, and would not be any more
    assert means(np.ones((1, 3))) == []
    assert means(np.array(1.0)) == []


def test_a_square_matrix_does_not_become_a_singular_one():
    square = np.array([[1.0, 2.0], [5.0, -1.0]])
    (mixed,) = (moved for words, moved in points_of(np.sin, square) if "neighbouring" in words)
    np.testing.assert_allclose(mixed, 0.75 * square + 0.25 * square[::-1])


@pytest.mark.parametrize(("largest", "words"), [(0.4, 3), (0.5, 3), (0.6, 2)])
def test_probabilities_stay_below_1(largest, words):
    x = np.full((2, 3), 0.25)
    x[0, 0] = largest
    found = points_of(lambda x, t: np.sum((x - t) ** 2), x, targets=np.zeros((2, 3)))
    assert len([one for one, _ in found if "bend" not in one]) == words


@pytest.mark.parametrize(("shape", "are"), [((2, 3), True), ((2,), False), ((2, 3, 4), False), ((3, 2), False)])
def test_labels_are_as_many_as_there_are_rows_of_probabilities(shape, are):
    targets = np.full(shape, 7)
    subject = SimpleNamespace(compared_with=targets, input="x", arrays={"x": np.full((2, 3, 4), 0.25)})
    assert points.are_probabilities(subject) == are
