"""What steps may explain: lines whose numbers are made up, on both sides of every threshold."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from known_slopes import known

from numpy_nn.gradcheck.measure import stairs
from numpy_nn.gradcheck.measure.stairs import INTERVALS, LENGTHS, TELLING, _Line
from numpy_nn.subjects import Hints, as_subject

NAN = np.nan


def test_lines_are_of_seven_lengths_in_sixteen_intervals():
    np.testing.assert_array_equal(LENGTHS, [4.0, 1.0, 1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 1024])
    assert INTERVALS == 16


@pytest.mark.parametrize(
    ("values", "slopes", "is_known"), [([0.0, 1.0], [1.0, 1.0], True), ([0.0, NAN], [1.0, 1.0], False)]
)
def test_a_line_is_known_if_all_its_numbers_are(values, slopes, is_known):
    assert _Line(np.array(values), np.array(slopes)).is_known == is_known
    assert _Line(np.array(slopes), np.array(values)).is_known == is_known


def test_the_doubt_in_an_integral_is_what_becomes_of_it_with_every_other_slope_alone():
    t = np.arange(17.0)
    straight = _Line(np.zeros(17), 2.0 * t + 1.0)
    assert straight.doubt(0.5) == pytest.approx(0.0, abs=1e-12)
    spike = np.zeros(17)
    spike[1] = 24.0
    # 19 over the first interval, 13 over the second, -1 over the third; every other slope does not see it.
    assert _Line(np.zeros(17), spike).doubt(0.5) == pytest.approx(16.0)
    np.testing.assert_allclose(stairs._integrals(spike)[:4], [19.0, 13.0, -1.0, 0.0])
    np.testing.assert_allclose(stairs._integrals(spike[::-1])[-4:], [0.0, -1.0, 13.0, 19.0])
    np.testing.assert_allclose(_Line(np.array([0.0, 3.0, 1.0]), np.zeros(3)).changes, [3.0, -2.0])


# A drift along one coordinate.


def drifts(monkeypatch, *, claimed, slope, actual, jump=0.0, noise=0.0, reach=np.inf, lost=0.0, wide=1.0, on=None):
    """Whether an output that moves by ``actual`` drifts from the claimed slope; it is known up to ``reach``.

    On the side of the sign ``lost`` it is not, and farther on the slope that is claimed may be another, ``on``.
    """
    asked = []

    def along(_, direction, start, end):
        np.testing.assert_array_equal(direction, [0.0, max(wide, 1.0)])
        assert start == 0.0
        known_there = abs(end) <= reach and lost * end <= 0.0
        t = np.linspace(0.0, end, INTERVALS + 1)
        there = claimed if on is None else on
        return _Line(actual * t, np.full(INTERVALS + 1, there if known_there else NAN))

    def height(_, __, left, end, enough):
        np.testing.assert_allclose(left, (actual - (claimed if on is None else on)) * end / INTERVALS, atol=1e-12)
        asked.append((end, enough))
        return jump

    monkeypatch.setattr(stairs, "_along", along)
    monkeypatch.setattr(stairs, "_height", height)
    size = max(wide, 1.0)
    e = SimpleNamespace(
        gradient=np.array([7.0, claimed / size]),
        array=np.zeros(2),
        differences=SimpleNamespace(scales={"wide": np.array([1.0, wide])}),
        rng=SimpleNamespace(uniform=lambda low, high: 1.0 if (low, high) == (0.7, 1.0) else NAN),
    )
    return stairs._drifts(e, known([7.0, slope / size]), 1, noise), asked


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0}, True),
        ({"claimed": 1.0, "slope": 2.0, "actual": 2.0}, True),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "wide": 8.0}, True),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "wide": 0.25}, True),
        # The claimed slope is that of the output.
        ({"claimed": 2.0, "slope": 1.0, "actual": 2.0, "jump": 1e-9}, False),
        # Jumps may hide what it would be off by, at 4, the longest distance, and so at all: a third of it.
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "jump": TELLING * 3.99}, True),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "jump": TELLING * 4.01}, False),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "noise": TELLING * 3.99}, True),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "noise": TELLING * 4.01}, False),
        # Seen on one side alone it is seen once, at another distance again.
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "jump": 1.0, "lost": -1.0}, False),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "jump": 0.3, "lost": 1.0}, True),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "jump": 0.3, "lost": -1.0}, True),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "reach": 0.0}, False),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "reach": 1.0}, True),
        ({"claimed": 2.0, "slope": 1.0, "actual": 1.0, "reach": 1.0, "jump": 0.5}, False),
        # The drift is three quarters of what is left at the end, and must be more than the jumps.
        ({"claimed": 2.0, "slope": -6.0, "actual": 1.0, "jump": 3.01}, False),
        ({"claimed": 2.0, "slope": -6.0, "actual": 1.0, "jump": 2.9}, True),
        ({"claimed": 2.0, "slope": -6.0, "actual": 3.0, "jump": 3.01}, False),
        ({"claimed": 2.0, "slope": -6.0, "actual": 3.0, "jump": 2.9}, True),
        # Where both slopes fade away, what is expected does so too: here to a quarter, that of what the output does.
        ({"claimed": 0.0, "slope": 4.0, "actual": 1.0, "jump": TELLING * 3.99}, True),
        ({"claimed": 0.0, "slope": 4.0, "actual": 1.0, "jump": TELLING * 4.01}, False),
        ({"claimed": 1.0, "slope": 0.0, "actual": 0.0}, True),
        ({"claimed": 1.0, "slope": 0.0, "actual": 0.0, "jump": TELLING * 4.01}, False),
        ({"claimed": 2.0, "slope": 0.0, "actual": 0.0, "on": 0.5, "jump": TELLING * 1.99}, True),
        ({"claimed": 2.0, "slope": 0.0, "actual": -1.0, "on": 0.5, "jump": TELLING * 1.99}, True),
        ({"claimed": 2.0, "slope": 0.0, "actual": -1.0, "on": 0.5, "jump": TELLING * 2.01}, False),
        # But not to more than it is here.
        ({"claimed": 0.0, "slope": 1.0, "actual": 4.0, "jump": TELLING * 4.01}, False),
    ],
)
def test_an_output_drifts_from_a_wrong_slope_and_not_from_a_right_one(monkeypatch, given, found):
    assert drifts(monkeypatch, **given)[0] == found


def test_jumps_are_looked_for_that_are_higher_than_those_seen_before(monkeypatch):
    # One that would not matter over a long distance may be all that there is over a short one.
    _, asked = drifts(monkeypatch, claimed=2.0, slope=1.0, actual=1.0, jump=0.01, noise=0.001)
    assert [end for end, _ in asked] == [sign * length for length in LENGTHS for sign in (1.0, -1.0)]
    assert [enough for _, enough in asked] == [0.001, *[0.01] * (len(asked) - 1)]


@pytest.mark.parametrize(("height", "found"), [(1.0, True), (1000.0, False)])
def test_a_drift_that_the_integral_leaves_in_doubt_is_none(monkeypatch, height, found):
    spike = np.full(INTERVALS + 1, 2.0)
    spike[1] += height

    def along(_, direction, start, end):
        return _Line(np.linspace(start, end, INTERVALS + 1) * direction.sum(), spike)

    monkeypatch.setattr(stairs, "_along", along)
    monkeypatch.setattr(stairs, "_height", lambda *_: 0.0)
    e = SimpleNamespace(gradient=np.array([2.0]), array=np.zeros(1), rng=SimpleNamespace(uniform=lambda *_: 1.0))
    e.differences = SimpleNamespace(scales={"wide": np.ones(1)})
    assert stairs._drifts(e, known([1.0]), 0, 0.0) == found


# Which coordinates are followed.


def followed(monkeypatch, wrong, gradient, bound, drifting=()):
    seen = []

    def drifts(_, __, index, jumps):
        assert jumps == 0.25
        seen.append(index)
        return index in drifting

    monkeypatch.setattr(stairs, "_jumps_around", lambda _: 0.25)
    monkeypatch.setattr(stairs, "_drifts", drifts)
    e = SimpleNamespace(gradient=np.array(gradient), rng=np.random.default_rng(0))
    may = stairs.steps_may_explain(e, known(np.ones(len(gradient)), bound), np.array(wrong))
    return may, seen


def test_those_that_are_off_by_most_are_followed_and_those_by_most_of_their_bound_and_some_others(monkeypatch):
    gradient = [1.0, 5.0, -7.0, 1.5, 1.4, 1.1, 1.1, 1.1, 1.1, 99.0]
    bound = [1.0, 1.0, 1.0, 0.01, 0.01, 1.0, 1.0, 1.0, 1.0, 1e-9]
    wrong = [False, *[True] * 8, False]
    may, seen = followed(monkeypatch, wrong, gradient, bound)
    assert may
    assert seen[:4] == [2, 1, 3, 4]
    assert 4 <= len(seen) == len(set(seen)) <= 6
    assert not {0, 9} & set(seen)
    assert not followed(monkeypatch, wrong, gradient, bound, drifting=[4])[0]
    some = [index for _ in range(4) for index in followed(monkeypatch, wrong, gradient, bound)[1][4:]]
    assert some


def test_of_one_that_is_wrong_only_that_is_followed(monkeypatch):
    assert followed(monkeypatch, [False, True, False], [9.0, 2.0, 9.0], [1.0, 1.0, 1.0]) == (True, [1])
    assert followed(monkeypatch, [False, True, False], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]) == (True, [1])


def test_jumps_around_are_those_of_two_lines_on_which_all_moves(monkeypatch):
    seen = []

    def along(_, direction, start, end):
        assert start == 0.0
        seen.append((direction, end))
        far = abs(end) > 1.0 and len(seen) > 4
        return _Line(np.arange(17.0) * end, np.full(17, NAN if far else 0.0))

    def height(_, __, left, end):
        np.testing.assert_allclose(left, end)
        return abs(end) + 0.1 * (end < 0.0)

    monkeypatch.setattr(stairs, "_along", along)
    monkeypatch.setattr(stairs, "_height", height)
    e = SimpleNamespace(rng=np.random.default_rng(0))
    e.differences = SimpleNamespace(scales={"wide": np.array([0.25] * 500 + [8.0] * 500)})
    assert stairs._jumps_around(e) == 4.1
    assert [end for _, end in seen] == [4.0, 1.0, -4.0, -1.0] * 2
    for direction, _ in seen:
        assert -1.0 <= direction[:500].min() < -0.9 < 0.9 < direction[:500].max() <= 1.0
        assert -8.0 <= direction[500:].min() < -7.2 < 7.2 < direction[500:].max() <= 8.0
    assert not np.array_equal(seen[0][0], seen[4][0])


# How high a jump is.


def height(monkeypatch, lines, left, enough=0.0):
    """The height, and the intervals that were looked at more finely, of which these are the outputs."""
    seen, answers = [], iter(lines)

    def along(_, __, start, end):
        seen.append((start, end))
        values = next(answers)
        return _Line(np.full(17, NAN) if values is None else np.array(values), np.zeros(17))

    monkeypatch.setattr(stairs, "_along", along)
    return stairs._height(None, None, np.array(left), 16.0, enough), seen


def test_the_largest_of_the_jumps_is_looked_at_three_times_more_finely(monkeypatch):
    left = np.full(16, 0.5)
    left[5] = 3.5
    jump = np.where(np.arange(17) > 7, 1.0, 0.0)
    found, seen = height(monkeypatch, [jump, jump, jump], left)
    assert found == 2.0  # twice what is left, of 3
    assert seen[0] == (5.0, 6.0)
    assert seen[1] == pytest.approx((5.0 + 7 / 16, 5.0 + 8 / 16))
    assert seen[2] == pytest.approx((5.0 + 7 / 16 + 7 / 256, 5.0 + 7 / 16 + 8 / 256))
    assert height(monkeypatch, [2.0 * jump] * 3, left)[0] == 3.0
    assert height(monkeypatch, [jump + 7.0 * np.arange(17)] * 3, left)[0] == 2.0
    assert height(monkeypatch, [jump, 0.25 * jump, 4.0 * jump], left)[0] == 0.5


def test_no_longer_than_it_matters_or_is_known(monkeypatch):
    left = np.full(16, -0.5)
    left[5] = 2.5
    jump = np.where(np.arange(17) > 7, 1.0, 0.0)
    assert height(monkeypatch, [], left, 3.0) == (3.0, [])
    found, seen = height(monkeypatch, [jump], left, 2.0)
    assert (found, len(seen)) == (2.0, 1)
    found, seen = height(monkeypatch, [None], left)
    assert (found, len(seen)) == (3.0, 1)


def test_a_point_where_the_target_gives_another_shape_is_not_known():
    subject: Any = as_subject((np.sin, lambda x, g: g * np.cos(x)), (np.zeros(2),), None, Hints())
    e = SimpleNamespace(subject=subject, name=subject.input, grad_output=np.array([1.0, 3.0]))
    e.differences = SimpleNamespace(home=np.zeros(2))
    direction = np.array([1.0, 0.0])
    assert stairs._at(e, direction, 0.5) == pytest.approx((np.sin(0.5), np.cos(0.5)))
    right = subject.gradients
    for gradient in (None, np.ones(3)):
        subject.gradients = lambda _, gradient=gradient: {e.name: gradient}
        assert np.isnan(stairs._at(e, direction, 0.5)).all()
    subject.gradients = lambda g: {e.name: right(g)[e.name][None]}
    assert stairs._at(e, direction, 0.5) == pytest.approx((np.sin(0.5), np.cos(0.5)))
    subject.output = lambda: np.ones(1)
    assert np.isnan(stairs._at(e, direction, 0.5)).all()
