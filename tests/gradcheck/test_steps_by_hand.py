"""The steps of an output and the steps of differences, by hand-made numbers on both sides of every threshold."""

import numpy as np
import pytest
from known_slopes import known

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure import differences as module
from numpy_nn.gradcheck.measure import resolution, slopes
from numpy_nn.gradcheck.measure.derivatives import STEPS
from numpy_nn.gradcheck.measure.differences import ROUGH_STEPS, Differences
from numpy_nn.gradcheck.measure.slopes import summarise
from numpy_nn.subjects import Hints, as_subject

INF, NAN = np.inf, np.nan
U = 2.0**-40


def differences(f, x):
    subject = as_subject((f, lambda x, _: np.zeros_like(x)), (np.array(x),), None, Hints())
    return Differences(subject, subject.input, np.random.default_rng(0))


# How high steps are, and what share of the output.


def steps(monkeypatch, height, center, moving=None):
    center = np.array(center)
    monkeypatch.setattr(resolution, "heights", lambda *_: np.array(height))

    def evaluate(t):
        assert t == 2.0**-4
        return center + (0.0 if moving is None else moving)

    height, share = resolution.steps_of(evaluate, center)
    return height.tolist(), share


@pytest.mark.parametrize(
    ("height", "center", "moving", "found", "share"),
    [
        ([0.0, 0.0], [1.0, 2.0], None, [0.0, 0.0], 0.0),
        # What is no more than rounding in float64 is none.
        ([U, 2.0 * U], [1.0, 2.0], None, [0.0, 0.0], 0.0),
        ([2.0 * U, 0.0], [1.0, 2.0], None, [2.0 * U, 4.0 * U], 2.0 * U),
        # The typical share is a median, at most 1, and 1 where an output is 0.
        ([0.5, 0.5, 0.5], [1.0, 2.0, 4.0], None, [0.5, 0.5, 1.0], 0.25),
        ([0.5], [0.25], None, [0.5], 1.0),
        ([0.5], [0.0], None, [0.5], 1.0),
        ([0.5, 0.25], [0.0, -1.0], None, [0.5, 0.25], 0.25),
        # Where a third of the outputs that move show steps, all have them.
        ([0.5, 0.0, 0.0], [1.0, 4.0, 0.0], [0.0, 1.0, 1.0], [0.5, 2.0, 0.5], 0.5),
        ([0.5, 0.0, 0.0, 0.0], [1.0, 4.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0], [0.5, 0.0, 0.0, 0.0], 0.5),
        ([0.5, 0.0, 0.0, 0.0], [1.0, 4.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [0.5, 2.0, 0.5, 0.5], 0.5),
        ([0.5, 0.125, 0.0], [1.0, 0.5, -0.25], None, [0.5, 0.1875, 0.3125], 0.375),
    ],
)
def test_steps_of_an_output(monkeypatch, height, center, moving, found, share):
    assert steps(monkeypatch, height, center, moving) == (found, share)


@pytest.mark.parametrize("moving", [None, [0.0, 1.0]])
def test_where_outputs_are_seen_to_move_is_a_sixteenth_of_the_way_off(monkeypatch, moving):
    assert steps(monkeypatch, [0.5, 0.0], [1.0, 1.0], moving) == ([0.5, 0.5], 0.5)


def evaluated(f, size=2):
    """Whether it may move in steps, and how often it was evaluated."""
    asked = []

    def evaluate(t):
        asked.append(t)
        return np.asarray(f(t)) * np.ones(size)

    return resolution._may_move_in_steps(evaluate, np.asarray(f(0.0)) * np.ones(size)), len(asked)


SPACING, LAST = resolution.MIDDLE, resolution.SPACINGS[-1]


def alternating(size):
    """Noise that is ``size`` at one and 0 at the next of the points of the middle spacing, of a number of size 1."""
    return lambda t: 1.0 + 1e-9 * t + size * (round(t / SPACING) % 2)


@pytest.mark.parametrize(
    ("f", "may", "asked"),
    [
        # A smooth function is evaluated at two windows of twelve points, and once to see that it moves.
        (np.cos, False, 25),
        # Differences of order 4 and 5 leave alternating noise 2^6 / sqrt(252) / 2 times as large; room is 2 times 12.
        (alternating(2.0 * U / (24.0 * 32.0 / np.sqrt(252.0))), True, 24),
        (alternating(0.9 * U / (24.0 * 32.0 / np.sqrt(252.0))), False, 25),
        (lambda t: np.nan if t > 5.0 * SPACING else t, True, 24),
        # What is flat near by, and moves further on, to both sides.
        (lambda t: 1.0 + np.round(t), True, 49),
        (lambda t: 1.0 + np.maximum(np.round(t), 0.0), False, 49),
        (lambda t: 1.0 + np.minimum(np.round(t), 0.0), False, 49),
        (lambda _: 1.0, False, 49),
        (lambda t: np.array([1.0 + t, 1.0]), False, 49),
        (lambda t: np.array([1.0 + t, 1.0 + np.round(t)]), True, 49),
    ],
)
def test_of_a_smooth_function_a_few_evaluations_deny_that_it_moves_in_steps(f, may, asked):
    assert evaluated(f) == (may, asked)


def test_a_staircase_that_is_coarser_than_what_is_looked_at_has_the_height_that_is_seen_farthest_off():
    def f(t):
        return 1.0 + np.round(40.0 * t) * 1e-3

    height = resolution.heights(lambda t: np.array([f(t), t]), np.array([f(0.0), 0.0]))
    assert 1e-3 / np.sqrt(12.0) / 2.0 <= height[0] <= 4e-3
    assert height[1] == 0.0


def test_steps_of_which_a_tenth_are_seen_within_the_last_spacing_are_no_jumps_of_a_constant():
    height = resolution.heights(lambda t: np.array([1.0 + np.round(6.0 * t) * 1e-3]), np.array([1.0]))
    assert height[0] > 1e-4
    few = resolution.heights(lambda t: np.array([1.0 + np.round(2.0 * t) * 1e-3]), np.array([1.0]))
    assert few[0] == 0.0


def test_rounding_is_a_share_of_small_outputs_too():
    np.testing.assert_array_equal(resolution._rounding(np.array([2.0**-10, 0.0])), [2.0**-50, 2.0**-70])
    np.testing.assert_array_equal(resolution._rounding(np.array([np.inf, 0.0])), [np.inf, 0.0])


# Slopes from outputs.


def one_slope(f, noise, weight=3.0, entries=1):
    outputs = np.array([[[[[f(sign * t)] * entries]] for t in STEPS] for sign in (1.0, -1.0)])
    center, weights = np.full((1, entries), f(0.0)), np.full((1, entries), weight)
    found = summarise(outputs, center, STEPS, weights, np.full((1, entries), noise), sides=True)
    return {name: float(numbers.item()) for name, numbers in found.items()}


@pytest.mark.parametrize("entries", [1, 2])
def test_of_a_line_the_bound_is_what_noise_may_do_to_the_widest_differences(entries):
    # Of two quotients at 1/4 and 1/16 the extrapolated one is (16 n)(1 + f) + 4 n f off, with f = 1/15; one-sided ones
    # start with twice the noise, and have f = 1/3. All estimates have room for four times as much.
    found = one_slope(lambda t: 1.0 + 2.0 * t, 1e-3, entries=entries)
    assert found["value"] == pytest.approx(6.0 * entries, rel=1e-12)
    assert found["bound"] == pytest.approx(4.0 * 3.0 * entries * 1e-3 * (16.0 + 20.0 / 15.0), rel=1e-9)
    assert found["side_bound"] == pytest.approx(2.0 * 4.0 * 3.0 * entries * 2e-3 * (16.0 + 20.0 / 3.0), rel=1e-9)
    assert not found["kink"]


def test_the_one_sided_slopes_of_what_bends_are_as_good():
    found = one_slope(np.exp, 0.0)
    assert (found["low"], found["high"]) == pytest.approx((3.0, 3.0), abs=1e-9)
    assert found["side_bound"] < 1e-8


@pytest.mark.parametrize(
    ("f", "side"), [(lambda t: 2.0 * t if t >= 0.0 else NAN, 6.0), (lambda t: -2.0 * t if t <= 0.0 else NAN, -6.0)]
)
def test_at_the_edge_of_the_domain_the_slope_is_that_of_the_side_there_is(f, side):
    found = one_slope(f, 0.0)
    assert found["value"] == pytest.approx(side)
    assert found["bound"] < 1e-9
    # With no more than half of the bound that two sides have.
    whole = one_slope(lambda t: side / 3.0 * t, 0.0)
    assert found["bound"] < whole["side_bound"]
    nowhere = one_slope(lambda t: t if t == 0.0 else NAN, 0.0)
    assert nowhere["bound"] == INF


def test_of_several_entries_the_bound_is_that_of_their_sum():
    table = slopes.Table(np.array([[[1.0, 2.0]], [[3.0, 4.0]]]), np.array([[[0.5, 8.0]], [[1.0, 1.0]]]))
    values, bound = slopes._choose(table, np.array([1.0, -2.0]))
    np.testing.assert_array_equal(values, [[3.0, -8.0]])
    np.testing.assert_array_equal(bound, [12.0])
    values, bound = slopes._choose(table, np.array([16.0, 0.25]))
    np.testing.assert_array_equal(values, [[16.0, 0.5]])
    np.testing.assert_array_equal(bound, [40.0])


def test_a_slope_is_resolved_by_a_bound_that_is_a_share_of_it_or_of_the_largest():
    small = known([0.5, 0.25, 0.0], [2.0**-11, 2.0**-11, 2.0**-10])
    share = 2.0**-10
    assert slopes.resolved(small, np.array([True, True, True]), share).tolist() == [True, True, False]
    assert slopes.resolved(small, np.array([False, True, True]), share).tolist() == [True, False, False]
    assert slopes.resolved(small, np.array([False] * 3), share).tolist() == [True, False, False]


def test_a_wrong_gradient_at_the_edge_of_the_domain_is_wrong():
    x = np.array([0.0, 0.3, 0.0, 1.0])

    def f(x):
        return np.where(np.real(x) >= 0.0, x * x + x, NAN)

    assert check_gradients((f, lambda x, g: g * (2.0 * x + 1.0)), x).verdict == "right"
    report = check_gradients((f, lambda x, g: g * (2.0 * x + 1.0) * np.where(x == 0.0, 2.0, 1.0)), x)
    assert (report.verdict, report["x"].wrong) == ("wrong", 2)


# Differences.

LINE = np.array([1.0, -2.0, 1.5])


def test_steps_that_are_assumed_are_at_least_so_high():
    found = differences(np.sin, LINE)
    found.assume(0.25, unmeasured=True)
    np.testing.assert_allclose(found._steps[0], 0.25 * np.abs(np.sin(LINE)))
    assert found.coarseness == found.seen_coarseness == 0.25
    found.assume(0.125)
    assert found.coarseness == 0.25
    found.assume(0.5)
    np.testing.assert_allclose(found._steps[0], 0.5 * np.abs(np.sin(LINE)))
    assert found.coarseness == 0.5
    measured = differences(np.sin, LINE)
    assert measured.seen_coarseness == 0.0
    measured.assume(0.125)
    assert measured.seen_coarseness == 0.125


@pytest.mark.parametrize(
    ("f", "size", "scales"),
    [(lambda x: x, 4.0, [4.0]), (lambda x: x, 0.25, [0.25]), (np.floor, 0.25, [0.25, 1.0]), (np.floor, 4.0, [4.0])],
)
def test_steps_are_measured_along_a_line_of_the_size_of_the_array_or_where_it_is_flat_of_1(
    monkeypatch, f, size, scales
):
    x, seen, made = size * np.random.default_rng(0).uniform(1.1, 1.9, 500), [], []

    def steps_of(evaluate, center):
        np.testing.assert_array_equal(center, f(x))
        made.append(True)
        evaluate(2.0)
        return np.zeros(x.shape), 0.0

    def watched(values):
        seen.append((len(made), (values - x) / 2.0))
        return f(values)

    monkeypatch.setattr(module, "steps_of", steps_of)
    found = differences(watched, x)
    assert found.coarseness == 0.0
    for number, scale in enumerate(scales, start=1):
        moved = next(moved for made_so_far, moved in seen if made_so_far == number)
        assert 0.5 * scale <= np.abs(moved).min() < 0.51 * scale
        assert 0.99 * scale < np.abs(moved).max() <= scale
        assert moved.min() < 0.0 < moved.max()
    assert len(made) == len(scales)


@pytest.mark.parametrize(
    ("coarseness", "steps"),
    [
        # No finer than eight times the steps of the output, if these are three at least.
        (2.0**-13, STEPS[:5]),
        (2.0**-13 * 1.01, STEPS[:4]),
        (2.0**-9, STEPS[:3]),
        (2.0**-9 * 1.01, ROUGH_STEPS),
        (0.5, ROUGH_STEPS),
    ],
)
def test_where_the_output_moves_in_steps_only_wide_differences_tell(monkeypatch, coarseness, steps):
    found, asked = differences(np.sin, LINE), []
    found.assume(coarseness, unmeasured=True)
    monkeypatch.setattr(found, "_across_steps", lambda *given, sides: asked.append((given, sides)))
    g, mask = np.ones(3), np.array([True, False, True])
    found.close(g, mask)
    ((given, sides),) = asked
    assert given[0] is g
    assert given[1] is mask
    np.testing.assert_array_equal(given[2], steps)
    assert sides


def test_a_rough_look_has_the_wide_differences_and_a_close_one_the_sides_too():
    found = differences(np.sin, LINE)
    found.assume(1e-6, unmeasured=True)
    rough, close = found.few(np.ones(3)), found.close(np.ones(3), np.ones(3, np.bool_))
    np.testing.assert_allclose(rough.value, np.cos(LINE), rtol=1e-4)
    assert np.isnan(rough.low).all()
    for part in (close.low, close.high, close.side_bound):
        assert np.isfinite(part).all()
    assert (close.bound > 1e-6).all()


def test_only_where_no_steps_were_seen_the_look_at_a_few_is_quick():
    found = differences(np.sin, LINE)
    found.rough = None
    np.testing.assert_allclose(found.few(np.ones(3)).value, np.cos(LINE), rtol=1e-9)
    found = differences(np.sin, LINE)
    found.assume(1e-6, unmeasured=True)
    found.quick = None
    np.testing.assert_allclose(found.few(np.ones(3)).value, np.cos(LINE), rtol=1e-4)


@pytest.mark.parametrize("x", [[1e-12, 1.0], [1e-12, 1e-12], [1e-9, 1e-3]])
def test_a_close_look_takes_wider_steps_where_rounding_hides_what_those_of_an_entry_show(x):
    found = differences(lambda x: 1.0 + 2.0 * x + x**2, np.array(x)).close(np.ones(2), np.ones(2, np.bool_))
    np.testing.assert_allclose(found.value, 2.0 + 2.0 * np.array(x), rtol=1e-9)
    assert (found.bound < 1e-8).all()
    for part in (found.low, found.high):
        np.testing.assert_allclose(part, found.value, rtol=1e-6)
    assert (found.side_bound < 1e-3).all()
    assert not found.kink.any()


@pytest.mark.parametrize(("share", "nearly"), [(0.0, True), (2.0**-44, True), (2.0**-36, False)])
def test_slices_are_nearly_aligned_that_move_others_by_rounding_alone(share, nearly):
    x = np.random.default_rng(0).uniform(1.0, 1.9, (3, 2))
    found = differences(lambda x: x + share * x.sum(axis=0), x)
    assert found.aligned == ([(0, 0), (1, 1)] if share == 0.0 else [(1, 1)])
    assert found.nearly_aligned == ([(0, 0), (1, 1)] if nearly else [(1, 1)])
