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


def test_while_others_may_read_two_batches_the_next_is_gathered_in_a_third_place():
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
    assert len(set(taken[:3])) == 3
    assert taken[3:] == taken[:-3]  # of four places three stay in a processor's caches


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
    kept, _ = places.gather(loader, rows + 1)
    taken = [places.take(*own)]
    for _ in range(3):
        taken.append(places.take(*own))
        assert taken[-1] != taken[-2]
        np.testing.assert_array_equal(xs[taken[-1], :2], own[0])
        np.testing.assert_array_equal(ys[taken[-1], :2], own[1])
        before = xs.copy()
        places.gather_ahead(loader, rows + 2)  # there is no place for it
        np.testing.assert_array_equal(xs, before)
    np.testing.assert_array_equal(x, X[rows])
    np.testing.assert_array_equal(kept, X[rows + 1])
    place = places.take(x, y)
    assert np.shares_memory(x, xs[place])
    assert place != taken[-1]
    assert places.take(x, y) == place  # nothing is written: others may read it there all the while


def test_batches_that_somebody_keeps_stay_as_they_are_and_of_the_rest_each_view_keeps_them():
    places, xs, _ = begun()
    loader = nn.DataLoader(X, Y)
    each = [np.array([number, number + 1]) for number in range(11)]
    kept = [tuple(one[1:] for one in places.gather(loader, rows)) for rows in each]
    for (x, y), rows in zip(kept, each, strict=True):
        np.testing.assert_array_equal(x, X[rows[1:]])
        np.testing.assert_array_equal(y, Y[rows[1:]])
        places.take(X[:3], Y[:3])
    assert [np.shares_memory(x, xs) for x, _ in kept] == [True] * (PLACES - 2) + [False] * 9
    del kept, x
    assert np.shares_memory(places.gather(loader, each[0])[0], xs)


@pytest.mark.parametrize("index", [0, 1])
def test_a_batch_may_be_changed_until_others_read_it(index):
    places, xs, ys = begun()
    batch = places.gather(nn.DataLoader(X, Y), np.array([4, 5]))
    batch[index][...] = 3
    place = places.take(*batch)
    assert ((xs, ys)[index][place, :2] == 3).all()
    with pytest.raises(ValueError, match="read-only"):
        batch[index][...] = 7
    assert places.take(*(one.copy() for one in batch)) != place


def test_what_a_transform_makes_lies_beside_the_labels_once_nobody_has_what_it_was_made_of():
    places, xs, ys = begun()
    x, y = places.gather(nn.DataLoader(X, Y), np.array([4, 5]))
    made, at = x + 0.5, next(place for place in range(PLACES) if np.shares_memory(x, xs[place]))
    first = places.take(made, y)
    np.testing.assert_array_equal(x, X[[4, 5]])
    del x
    second = places.take(made, y)
    third = places.take(made, y)  # others may be reading that of the second
    assert second == at
    assert first != second != third
    for place in (first, second, third):
        np.testing.assert_array_equal(xs[place, :2], made)
        np.testing.assert_array_equal(ys[place, :2], y)
    with pytest.raises(ValueError, match="read-only"):
        y[...] = 7
