"""Places of batches: who has one or reads one keeps it, and what was gathered is not gathered or copied again."""

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.owners.places import PLACES, Places

X, Y = np.arange(24.0).reshape(12, 2), np.arange(12)


def begun():
    places = np.full((PLACES, 3, 2), -1.0), np.full((PLACES, 3), -1)
    return Places(*places), *places


@pytest.mark.parametrize("rows", [np.array([2, 0]), slice(1, 3), slice(None, None, 5)])
def test_rows_are_gathered_in_a_place_and_lie_there_when_they_are_taken(rows):
    places, xs, ys = begun()
    x, y = places.gather(nn.DataLoader(X, Y), rows)
    before = xs.copy()
    place = places.take(x, y)
    for made, whole, all_places in ((x, X, xs), (y, Y, ys)):
        np.testing.assert_array_equal(made, whole[rows])
        assert np.shares_memory(made, all_places[place])
    np.testing.assert_array_equal(xs, before)


def test_while_others_may_read_two_batches_the_next_is_gathered_in_the_third_place():
    places, xs, _ = begun()
    loader = nn.DataLoader(X, Y)
    each = [np.array([number, number + 1]) for number in range(9)]
    taken: list[int] = []
    x, y = places.gather(loader, each[0])
    for rows in each[1:]:
        taken.append(places.take(x, y))
        held = xs[taken[-2:]].copy()
        places.gather_ahead(loader, rows)
        np.testing.assert_array_equal(xs[taken[-2:]], held)
        before = xs.copy()
        x, y = places.gather(loader, rows)
        np.testing.assert_array_equal(xs, before)  # it was there
        np.testing.assert_array_equal(x, X[rows])
        np.testing.assert_array_equal(y, Y[rows])
    assert len(set(taken[:3])) == PLACES
    assert taken[3:] == taken[:-3]


def test_other_rows_than_those_gathered_ahead_are_gathered():
    places, _, _ = begun()
    loader, rows = nn.DataLoader(X, Y), np.array([1, 2])
    places.take(*places.gather(loader, np.array([0])))
    places.gather_ahead(loader, rows)
    x, y = places.gather(loader, rows + 1)
    np.testing.assert_array_equal(x, X[rows + 1])
    np.testing.assert_array_equal(y, Y[rows + 1])


def test_another_batch_takes_no_place_that_somebody_has_or_reads():
    places, xs, ys = begun()
    loader, rows = nn.DataLoader(X, Y), np.array([4, 5])
    own = (X[:2] + 0.5, Y[:2] + 50)
    x, y = places.gather(loader, rows)
    taken = [places.take(*own)]
    places.gather_ahead(loader, rows + 1)
    for _ in range(3):
        taken.append(places.take(*own))
        assert taken[-1] != taken[-2]
        np.testing.assert_array_equal(xs[taken[-1], :2], own[0])
        np.testing.assert_array_equal(ys[taken[-1], :2], own[1])
        before = xs.copy()
        places.gather_ahead(loader, rows + 2)  # there is no place for it
        np.testing.assert_array_equal(xs, before)
    np.testing.assert_array_equal(x, X[rows])
    place = places.take(x, y)
    assert np.shares_memory(x, xs[place])
    assert place != taken[-1]
    again = places.take(x, y)  # for a second step: in another place, as others still read it there
    assert again != place
    np.testing.assert_array_equal(xs[again, :2], X[rows])


@pytest.mark.parametrize("which", ["x", "y"])
def test_what_takes_the_place_of_a_half_of_a_batch_lies_beside_the_other_half(which):
    places, xs, ys = begun()
    x, y = places.gather(nn.DataLoader(X, Y), np.array([4, 5]))
    turned_x, turned_y = (x[::-1] if which == "x" else x), (y[::-1].copy() if which == "y" else y)
    place = places.take(turned_x, turned_y)
    assert np.shares_memory(x, xs[place])
    np.testing.assert_array_equal(xs[place, :2], X[[5, 4] if which == "x" else [4, 5]])
    np.testing.assert_array_equal(ys[place, :2], Y[[5, 4] if which == "y" else [4, 5]])
