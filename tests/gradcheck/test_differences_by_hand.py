"""Which differences are taken of which coordinates, how far these are moved, and which slopes are believed."""

from typing import Any

import numpy as np
import pytest
from known_slopes import known

from numpy_nn.gradcheck.measure import differences as module
from numpy_nn.gradcheck.measure.differences import CHUNK, ROUGH_STEPS, STEPS, Differences
from numpy_nn.gradcheck.measure.resolution import FLAT
from numpy_nn.subjects import Hints, as_subject

INF, NAN = np.inf, np.nan


def differences(f, x):
    subject = as_subject((f, lambda x, _: np.zeros_like(x)), (np.array(x),), None, Hints())
    return Differences(subject, subject.input, np.random.default_rng(0))


def watched(x, f=lambda x: x):
    """Differences of f at x, and where it is evaluated from now on, as multiples of what x is moved by at first."""
    seen = []

    def g(values):
        seen.append(np.array(values, np.float64))
        return f(values)

    found = differences(g, x)
    seen.clear()
    return found, seen


# Groups, whose coordinates are moved by one evaluation.


@pytest.mark.parametrize(
    ("f", "shape", "groups", "alike"),
    [
        # Rows that move rows alone: the coordinates of a column are moved together.
        (lambda x: np.cumsum(x, axis=1), (3, 8), 8, 0),
        (lambda x: np.cumsum(x, axis=0), (8, 3), 8, 1),
        (np.sin, (3, 8), 1, None),
        (lambda x: np.sin(x).sum(), (4, 2), 8, ()),
    ],
)
def test_some_groups_are_so_many_different_ones_with_all_of_their_coordinates(f, shape, groups, alike):
    found = differences(f, np.random.default_rng(0).standard_normal(shape))
    assert found.groups == groups
    for number in (1, 7, 8, 20):
        mask = found.some_groups(number)
        assert mask.shape == shape
        assert mask.sum() == min(number, groups) * (mask.size // groups)
        if alike is not None:
            np.testing.assert_array_equal(mask.all(axis=alike), mask.any(axis=alike))


@pytest.mark.parametrize(
    ("f", "shape", "pairs"),
    [
        (np.sin, (3, 4), [(0, 0), (1, 1)]),
        (lambda x: np.sin(x).T, (3, 4), [(0, 1), (1, 0)]),
        # Either axis of the output moves with the one of the input, which is paired once.
        (lambda x: np.diag(np.sin(x)), (3,), [(0, 0)]),
        # And so the other way round: of both axes of the input the first.
        (lambda x: np.sin(np.diag(x)), (3, 3), [(0, 0)]),
    ],
)
def test_each_axis_goes_with_one_of_the_output(f, shape, pairs):
    assert differences(f, np.random.default_rng(0).standard_normal(shape))._aligned_axes(0.0) == pairs


# What x is moved by.

LARGE = 8.0 * np.random.default_rng(0).uniform(1.0, 1.9, 400)


def is_of_size(moved, low, high, *, both=True):
    assert low * (1.0 - 1e-9) <= np.abs(moved).min() <= low * 1.02
    assert high * 0.98 <= np.abs(moved).max() <= high * (1.0 + 1e-9)
    if both:
        assert 0.3 < np.mean(moved > 0.0) < 0.7


def test_noise_is_measured_within_a_millionth_of_the_scale_of_each_number():
    for scale, size in (("wide", 8.0), ("own", 8.0), ("unit", 1.0)):
        found, seen = watched(LARGE)
        found._noise(scale)
        for t, values in enumerate(seen):
            if t:
                is_of_size(values - LARGE, t * 2.0**-20 * size, t * 2.0**-20 * size)
        assert len(seen) == 9


def test_noise_beside_a_point_is_measured_on_both_sides_of_it():
    found, seen = watched(LARGE)
    found._noise_beside("own")
    assert len(seen) == 18
    for k, values in enumerate(seen):
        moved = (values - LARGE) / (k % 9 + 1) * 2.0**20
        assert (np.sign(moved) == (1.0 if k < 9 else -1.0)).all()
        is_of_size(moved, 4.0, 8.0, both=False)


def test_the_noise_beside_a_point_is_that_of_the_quieter_side():
    def f(x):
        return np.where(x > 1.0, np.sin(1e15 * x), x)

    found = differences(f, np.array([1.0]))
    assert found._noise_beside("own") < 1e-12
    assert differences(lambda x: np.where(x > 1.0, NAN, x), np.array([1.0]))._noise_beside("own") < 1e-12
    assert differences(lambda x: np.where(x != 1.0, NAN, x), np.array([1.0]))._noise_beside("own") == 0.0
    assert differences(lambda x: np.where(x != 1.0, NAN, x), np.array([1.0]))._noise("own") == INF


def test_slices_are_moved_by_a_quarter_of_the_scale_little_and_a_quarter_of_1():
    x = 8.0 * np.random.default_rng(0).uniform(1.0, 1.9, (4, 100))
    found, seen = watched(x)
    assert found._moves_alone(0, 0, 0.0)
    # For each of three sizes, for each bit of the numbers 0 to 3, those with it and those without.
    assert len(seen) == 3 * 2 * 2
    sizes = [2.0] * 4 + [2.0**-6] * 4 + [0.25] * 4
    rows = [[0, 2], [1, 3], [0, 1], [2, 3]] * 3
    for values, size, moved in zip(seen, sizes, rows, strict=True):
        others = [row for row in range(4) if row not in moved]
        np.testing.assert_array_equal(values[others], x[others])
        is_of_size(values[moved] - x[moved], size, size)


@pytest.mark.parametrize(
    ("f", "rounding", "alone"),
    [
        (lambda x: x, 0.0, True),
        (lambda x: x + 2.0**-30 * x.sum(), 0.0, False),
        (lambda x: x + 2.0**-30 * x.sum(), 2.0**-20, True),
        (lambda x: x[::-1], 0.0, False),
        (lambda x: 0.0 * x, 0.0, True),
        (lambda x: 0.0 * (x + np.where(x.sum() > 36.0, INF, 0.0)), 2.0**-20, False),
    ],
)
def test_a_slice_moves_alone_if_no_other_changes_by_more_than_rounding(f, rounding, alone):
    found = differences(f, np.arange(1.0, 9.0))
    assert found._moves_alone(0, 0, rounding) == alone


def test_axes_are_paired_once_and_only_if_they_are_as_long():
    found, _ = watched(np.random.default_rng(0).uniform(1.0, 1.9, (3, 3)), lambda x: x)
    assert found.aligned == [(0, 0), (1, 1)]
    assert differences(lambda x: x, np.ones((1, 3))).aligned == [(1, 1)]
    assert differences(lambda x: np.outer(x, x[:2]), np.arange(1.0, 4.0)).aligned == []
    assert differences(lambda x: np.repeat(x, 2), np.arange(1.0, 4.0)).aligned == []


def test_where_nothing_moves_next_to_the_point_it_is_looked_at_at_1(monkeypatch):
    x, made = np.array([0.25, 0.375]), []

    def steps_of(evaluate, _):
        made.append(evaluate)
        return np.zeros(2), 0.0

    monkeypatch.setattr(module, "steps_of", steps_of)
    found, seen = watched(x, np.floor)
    assert found.coarseness == 0.0
    (near,) = (values for values in seen if not np.array_equal(values, x))
    moved = (near - x) / (FLAT * 0.25)
    assert ((np.abs(moved) >= 0.5) & (np.abs(moved) <= 1.0)).all()
    assert len(made) == 2
    for scale, evaluate in zip((0.25, 1.0), made, strict=True):
        seen.clear()
        evaluate(1.0)
        assert ((0.5 * scale <= np.abs(seen[0] - x)) & (np.abs(seen[0] - x) <= scale)).all()


# Which slopes are believed.


class Scripted:
    """Differences whose slopes at each scale are given, and what was asked for."""

    def __init__(self, x, slopes, *, steps=0.0, noise=0.0):
        self.found = differences(lambda x: 2.0 * x, x)
        self.asked: list[Any] = []
        self.found._steps = np.full(len(x), steps), steps
        self.found._noise_beside = lambda scale: f"noise of {scale}" if noise == 0.0 else noise

        def answer(_, mask, steps, scale, *, sides, floor=0.0):
            self.asked.append((scale, mask.tolist(), len(steps), sides, floor))
            given = slopes[scale]
            return known(*(np.array(part) for part in given[:2]), **(given[2] if len(given) > 2 else {}))

        self.found._slopes = answer


@pytest.mark.parametrize(
    ("bounds", "scales"),
    [
        # Resolved to nine digits of the largest: nothing else is asked for, but the finer steps.
        ([1e-9, 1e-9, 1e-9], []),
        ([1e-9, 1.1e-9, 1e-9], [("wide", [False, True, False]), ("unit", [False, True, False])]),
        ([1.0, 1e-9, 1.0], [("wide", [True, False, False]), ("unit", [True, False, False])]),
    ],
)
def test_what_is_unresolved_is_looked_at_at_the_scales_that_are_others(bounds, scales):
    x = np.array([1e-3, 2.0**-4, 4.0])  # whose own scales are 2^-10, 2^-4 and 4, and the wide one is 2
    same = ([1.0, 1.0, 1.0], [9.0, 9.0, 9.0])
    script = Scripted(x, {"own": ([1.0] * 3, bounds), "wide": same, "unit": same, "fine": ([1.0] * 3, [INF] * 3)})
    mask = np.array([True, True, False])
    found = script.found.close(np.ones(3), mask)
    asked = [(scale, looked) for scale, looked, *_ in script.asked]
    assert asked[0] == ("own", mask.tolist())
    assert asked[-1] == ("fine", mask.tolist())
    assert asked[1:-1] == [(scale, looked) for scale, looked in scales]
    assert [sides for *_, sides, _ in script.asked] == [True] * len(asked)
    assert {steps for _, _, steps, *_ in script.asked} == {len(STEPS)}
    assert [floor for *_, floor in script.asked] == [0.0] * (len(asked) - 1) + ["noise of own"]
    np.testing.assert_array_equal(found.bound, bounds)


def test_a_scale_that_was_tried_is_not_tried_again():
    same = ([1.0] * 3, [9.0] * 3)
    # All of size 1: own, wide and unit are the same; then of one that is smaller, wide and unit.
    for x, scales in (([1.0, 1.0, 1.0], []), ([0.25, 1.5, 1.5], ["wide"]), ([0.25, 0.25, 0.25], ["unit"])):
        script = Scripted(np.array(x), dict.fromkeys(("own", "wide", "unit", "fine"), same))
        script.found.close(np.ones(3), np.ones(3, np.bool_))
        assert [scale for scale, *_ in script.asked] == ["own", *scales, "fine"]


@pytest.mark.parametrize(
    ("wide", "unit", "value", "bound"),
    [
        ((2.0, 1.0), (3.0, 9.0), 2.0, 1.0),
        ((2.0, 1.0), (3.0, 0.5), 3.0, 0.5),
        ((2.0, 9.0), (3.0, 4.0), 3.0, 4.0),
        ((2.0, 9.0), (3.0, 9.0), 1.0, 5.0),
        ((2.0, 5.0), (3.0, 5.0), 1.0, 5.0),
        ((NAN, NAN), (3.0, 9.0), 1.0, 5.0),
    ],
)
def test_of_several_scales_the_slope_with_the_least_bound_is_believed(wide, unit, value, bound):
    x = np.array([1e-3, 4.0])
    rest = 1.0, 1e-12
    given = {name: tuple(map(list, zip(one, rest, strict=True))) for name, one in (("wide", wide), ("unit", unit))}
    script = Scripted(x, given | {"own": ([1.0, 1.0], [5.0, 1e-12]), "fine": ([1.0, 1.0], [INF, INF])})
    found = script.found.close(np.ones(2), np.ones(2, np.bool_))
    if not np.isnan(wide[1]):
        assert (found.value[0], found.bound[0]) == (value, bound)
    assert (found.value[1], found.bound[1]) == (1.0, 1e-12)


@pytest.mark.parametrize(
    ("fine", "kink", "looked", "value"),
    [
        ((2.0, 0.25), False, True, 2.0),
        ((0.0, 0.25), False, True, 0.0),
        ((2.0, 0.5), False, True, 1.0),
        ((2.0, 0.25), True, True, 1.0),
        ((2.0, 0.25), False, False, 1.0),
        ((2.0, INF), False, True, 1.0),
        ((NAN, NAN), False, True, 1.0),
    ],
)
def test_finer_steps_are_believed_where_they_contradict_and_there_is_no_kink(fine, kink, looked, value):
    own = ([1.0, 1.0], [0.5, 0.5], {"kink": [kink, False]})
    given = {"own": own, "wide": own, "unit": own, "fine": ([fine[0], 1.0], [fine[1], 0.0])}
    found = Scripted(np.array([1.0, 1.0]), given).found.close(np.ones(2), np.array([looked, True]))
    np.testing.assert_array_equal(found.value, [value, 1.0])


@pytest.mark.parametrize(
    ("finer", "kink", "bound"),
    [
        ((1.25, 2.0), False, 2.25),  # what lies between the two, and what the finer one leaves open
        ((0.5, 2.0), False, 2.5),
        ((1.0, 0.25), False, 0.5),
        ((1.25, 2.0), True, 0.5),
        ((NAN, 2.0), False, 0.5),
        ((1.0, INF), False, 0.5),
    ],
)
@pytest.mark.parametrize("bends", [True, False])
def test_where_one_is_contradicted_none_is_known_better_than_the_finer_steps_tell(finer, kink, bound, bends):
    own = ([1.0, 1.0], [0.5, 0.5], {"kink": [kink, False]})
    fine = ([finer[0], 2.0 if bends else 1.0], [finer[1], 0.125])
    found = Scripted(np.array([1.0, 1.0]), {"own": own, "wide": own, "unit": own, "fine": fine}).found
    slopes = found.close(np.ones(2), np.ones(2, np.bool_))
    assert slopes.bound[0] == (bound if bends else 0.5)
    assert slopes.value[0] == 1.0


@pytest.mark.parametrize(
    ("bounds", "unit", "own"),
    [
        ([1e-3, 1e-3], None, None),
        ([1.1e-3, 1e-3], [True, False], None),
        ([1.1e-2, 1e-3], [True, False], [True, False]),
        ([INF, INF], [True, True], [True, False]),
    ],
)
def test_across_steps_the_scale_of_the_array_is_tried_first_then_1_then_that_of_the_entry(bounds, unit, own):
    x = np.array([1e-3, 4.0])  # the second is of the array's own scale
    same = ([1.0, 1.0], [INF, INF])
    script = Scripted(x, {"wide": ([1.0, 1.0], bounds), "unit": same, "own": same}, steps=0.25)
    found = script.found._across_steps(np.ones(2), None, ROUGH_STEPS, sides=True)
    asked = {scale: (mask, steps, sides) for scale, mask, steps, sides, _ in script.asked}
    expected = {"wide": [True, True]} | {n: m for n, m in (("unit", unit), ("own", own)) if m is not None}
    assert asked == {scale: (mask, len(ROUGH_STEPS), True) for scale, mask in expected.items()}
    for *_, floor in script.asked:
        np.testing.assert_array_equal(floor, [0.25, 0.25])
    np.testing.assert_array_equal(found.bound, bounds)


def test_across_steps_a_lower_bound_is_believed_and_only_of_what_is_asked_for():
    x = np.array([1e-3, 4.0, 4.0])
    given = {"wide": ([1.0] * 3, [1.0, 1.0, 1.0]), "unit": ([2.0] * 3, [1.0, 0.5, 0.5]), "own": ([3.0] * 3, [0.9] * 3)}
    script = Scripted(x, given, steps=0.25)
    found = script.found._across_steps(np.ones(3), np.array([True, True, False]), ROUGH_STEPS, sides=False)
    np.testing.assert_array_equal(found.value, [3.0, 2.0, 1.0])
    assert not any(sides for *_, sides, _ in script.asked)
    assert all(mask[2] is False for _, mask, *_ in script.asked)


# Along a direction, and in chunks.


def test_the_slope_along_a_direction_has_room_for_steps_and_noise():
    def f(x):
        return np.stack([2.0 * x[0] + x[1], x[1] ** 2])

    g, direction = np.array([1.0, 3.0]), np.array([1.0, 0.5])
    exact = differences(f, np.array([1.0, 2.0]))
    slope, bound, kink = exact.along(direction, g)
    assert slope == pytest.approx(2.5 + 3.0 * 2.0, rel=1e-9)
    assert bound < 1e-9
    assert not kink
    steps = differences(f, np.array([1.0, 2.0]))
    steps.assume(1e-3, unmeasured=True)
    # Of both outputs, 4 and 4, at the widest steps: see the bound of a line.
    assert steps.along(direction, g)[1] == pytest.approx(4.0 * (4e-3 + 3.0 * 4e-3) * (16.0 + 20.0 / 15.0), rel=1e-3)


def test_as_many_groups_as_fit_are_taken_at_a_time():
    found = differences(lambda x: x.sum(), np.ones(7))
    chosen = np.ones(7)
    for size, parts in ((CHUNK, [1] * 7), (CHUNK // 3, [3, 3, 1]), (1, [7]), (2 * CHUNK, [1] * 7)):
        found.center = np.broadcast_to(0.0, size)
        assert [len(part) for part in found._chunks(chosen, STEPS[:1])] == parts
    found.center = np.zeros(0)
    assert [len(part) for part in found._chunks(chosen, STEPS[:1])] == [7]
    found.center = np.broadcast_to(0.0, CHUNK // 7)
    assert [len(part) for part in found._chunks(chosen, STEPS[:1])] == [7]
