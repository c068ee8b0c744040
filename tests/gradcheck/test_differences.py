"""The measurement by hand-made numbers: steps, windows, bends, jumps, and what is folded where."""

from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck.measure import jumps, points, resolution
from numpy_nn.gradcheck.measure.derivatives import SMALLEST, STEPS, UNIT_ROUNDOFF, _least_bound, rounding_of
from numpy_nn.gradcheck.measure.derivatives import Table as Entries
from numpy_nn.gradcheck.measure.differences import CHUNK, QUICK_STEPS, Differences, ShapeError
from numpy_nn.gradcheck.measure.evidence import PARTS, Evidence
from numpy_nn.gradcheck.measure.slopes import summarise
from numpy_nn.subjects import Hints, as_subject

X = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4))


def differences(f, x=X):
    subject = as_subject((f, lambda x, _: np.zeros_like(x)), (np.array(x),), None, Hints())
    return Differences(subject, subject.input, np.random.default_rng(0))


# Steps and bounds.


def test_steps_fall_by_a_ratio_of_four_from_a_quarter():
    np.testing.assert_array_equal(STEPS, [0.25 / 4.0**k for k in range(12)])
    np.testing.assert_array_equal(QUICK_STEPS, [2.0**-9, 2.0**-11, 2.0**-13])
    assert PARTS == (1 / 4, 1 / 16, 1 / 64, 1 / 256)


def test_rounding_is_half_a_unit_of_the_larger_and_what_was_measured():
    found = rounding_of(np.array([0.0, 1e-3]), np.array([-4.0, 1.0]), np.array([3.0, -2.0]))
    np.testing.assert_allclose(found, [4.0 * UNIT_ROUNDOFF, 1e-3 + 2.0 * UNIT_ROUNDOFF], rtol=1e-12)
    assert rounding_of(np.zeros(1), np.zeros(1), np.zeros(1)) == SMALLEST > 0.0


def test_of_a_table_the_entry_with_the_least_error_is_taken():
    table = Entries(
        np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[0.5, np.nan], [0.25, 2.0], [np.inf, 1.0]])
    )
    found = _least_bound(table, np.array([2.0, 4.0]))
    np.testing.assert_array_equal(found.value, [1.5, 1.5])
    np.testing.assert_array_equal(found.bound, [0.5, 1.0])
    lost = _least_bound(Entries(np.ones((1, 1)), np.full((1, 1), np.nan)), np.ones(1))
    np.testing.assert_array_equal(lost.bound, [np.inf])


def summary(f, center, *, noise=0.0):
    """The slopes of one number along one coordinate, weighted by 3."""
    outputs = np.array([[[[[f(sign * t)]]] for t in STEPS] for sign in (1.0, -1.0)])
    found = summarise(outputs, np.full((1, 1), center), STEPS, np.full((1, 1), 3.0), np.full((1, 1), noise), sides=True)
    return {name: float(numbers.item()) for name, numbers in found.items()}


def test_the_slopes_of_a_kink_are_those_of_its_sides():
    found = summary(lambda t: 2.0 * t if t > 0 else 0.5 * t, 0.0)
    assert (found["low"], found["high"]) == pytest.approx((1.5, 6.0), rel=1e-9)
    assert found["kink"]
    assert not found["flat"]
    assert 0.0 < found["side_bound"] < 1e-6
    downward = summary(lambda t: 0.5 * t if t > 0 else 2.0 * t, 0.0)
    assert (downward["low"], downward["high"]) == pytest.approx((1.5, 6.0), rel=1e-9)


def test_what_is_smooth_has_no_kink_and_one_slope():
    found = summary(np.exp, 1.0)
    assert (found["value"], found["low"], found["high"]) == pytest.approx((3.0, 3.0, 3.0), abs=1e-5)
    assert not found["kink"]
    assert abs(found["value"] - 3.0) <= found["bound"] < 1e-8
    assert summary(lambda _: 7.0, 7.0)["flat"]
    # What is known to be noise is in the bounds, one-sided ones more.
    noisy = summary(np.exp, 1.0, noise=1e-3)
    assert 1e-3 * 3.0 < noisy["bound"] < 0.4
    assert noisy["bound"] < noisy["side_bound"]


# What is moved together, and what is folded where.


@pytest.mark.parametrize(
    ("f", "shape"),
    [
        (np.sin, (3, 4)),
        (lambda x: x.T * 2.0, (3, 4)),
        (lambda x: np.cumsum(x, axis=1), (3, 4)),
        (lambda x: np.cumsum(x, axis=0), (3, 4)),
        (lambda x: x.sum(), (3, 4)),
        (lambda x: np.outer(x.sum(axis=1), np.ones(2)), (3, 4)),
        (lambda x: np.einsum("ij,kj->ik", x, x), (3, 4)),
        (lambda x: x**2, ()),
    ],
)
def test_slopes_are_those_of_the_jacobian_whatever_moves_alone(f, shape):
    x = np.random.default_rng(1).uniform(0.5, 1.5, shape)
    found = differences(f, x)
    g = np.random.default_rng(2).uniform(0.5, 1.5, np.shape(f(x)))
    expected = np.zeros(shape)
    for index in np.ndindex(shape):
        h = np.zeros(shape)
        h[index] = 1e-6
        expected[index] = np.sum(g * (f(x + h) - f(x - h))) / 2e-6
    for slopes in (found.quick(g), found.few(g), found.close(g, np.ones(shape, np.bool_))):
        np.testing.assert_allclose(slopes.value, expected, rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(found.array, x)
    assert found.seen_coarseness == found.coarseness == 0.0


def test_what_is_not_asked_for_is_not_known():
    mask = np.zeros(X.shape, np.bool_)
    mask[1, 2] = True
    found = differences(lambda x: np.cumsum(x, axis=1))
    slopes = found.quick(np.ones(X.shape), mask)
    for name in ("value", "bound"):
        np.testing.assert_array_equal(np.isfinite(getattr(slopes, name)), mask)
    assert slopes.value[1, 2] == pytest.approx(2.0)
    evaluations = found._subject.evaluations
    found.quick(np.ones(X.shape), mask)
    # Nine for the noise, and two for each of three steps.
    assert found._subject.evaluations - evaluations == 9 + 6


def test_some_groups_are_whole_groups():
    found = differences(lambda x: np.cumsum(x, axis=1))
    assert found.groups == 4
    mask = found.some_groups(2)
    assert mask.shape == X.shape
    assert sorted(mask.sum(axis=0)) == [0, 0, 3, 3]


def test_as_many_groups_are_evaluated_at_a_time_as_fit():
    found = differences(lambda x: np.cumsum(x))
    assert found.groups == 12
    chosen = np.ones((3, 4))
    assert [len(part) for part in found._chunks(chosen, STEPS)] == [12]
    found.center = np.zeros(CHUNK // (12**2 * 5))
    assert [len(part) for part in found._chunks(chosen, STEPS)] == [5, 5, 2]
    found.center = np.zeros(CHUNK)
    assert [len(part) for part in found._chunks(chosen, STEPS)] == [1] * 12
    chosen[0] = 0.0
    assert len(found._needed(chosen)) == 8


def test_a_quotient_and_a_value_along_a_direction():
    found, g, direction = differences(lambda x: x**2), np.full(X.shape, 2.0), np.full(X.shape, 0.5)
    assert found.quotient_along(direction, g, 2.0**-3) == pytest.approx(np.sum(2.0 * X), rel=1e-12)
    assert found.value_along(direction, g)(2.0) == pytest.approx(np.sum(2.0 * (X + 1.0) ** 2), rel=1e-12)
    slope, bound, kink = found.along(direction, g)
    assert abs(slope - np.sum(2.0 * X)) <= bound < 1e-8
    assert not kink
    slope, _, kink = differences(lambda x: np.abs(x - X)).along(direction, g)
    assert kink
    np.testing.assert_array_equal(found.array, X)


def test_an_output_that_changes_its_shape_ends_the_measurement_and_one_that_is_refused_is_not_a_number():
    found = differences(lambda x: x[: 2 if x[0, 0] > 1.6 else 3])
    with pytest.raises(ShapeError, match=r"the output's shape changes from \(3, 4\) to \(2, 4\)"):
        found._evaluate(X + 1.2)
    np.testing.assert_array_equal(found.array, X)

    def refuses(x):
        if x[0, 0] > 1.6:
            raise ValueError("no")
        return x

    assert np.isnan(differences(refuses)._evaluate(X + 1.2)).all()


def test_the_complex_step_is_exact_where_the_target_takes_complex_numbers():
    subject = as_subject((lambda x: np.exp(x) * x, lambda x, g: g * x), (X,), None, Hints())
    found = Differences(subject, subject.input, np.random.default_rng(0))
    g, mask = np.random.default_rng(1).uniform(0.5, 1.5, X.shape), X > 0.8
    slopes = found.complex_step(g, mask)
    assert slopes is not None
    np.testing.assert_allclose(slopes[mask], (g * np.exp(X) * (1.0 + X))[mask], rtol=1e-15)
    assert differences(lambda x: np.asarray(x, np.float64)).complex_step(g, mask) is None


# The height of steps.


def test_windows_are_twelve_points_on_each_side_and_as_many_further_on():
    seen = []

    def evaluate(t):
        seen.append(t)
        return np.array([t])

    found = resolution._windows(evaluate, 0.5)
    assert found.shape == (4, 12, 1)
    np.testing.assert_array_equal(found[0, :, 0], 0.5 * np.arange(1.0, 13.0))
    np.testing.assert_array_equal(found[1, :, 0], -0.5 * np.arange(1.0, 13.0))
    np.testing.assert_array_equal(found[2, :, 0], 0.5 * np.arange(13.0, 25.0))
    np.testing.assert_array_equal(found[3, :, 0], -0.5 * np.arange(13.0, 25.0))
    assert max(map(abs, seen)) * resolution.SPACINGS[-1] / 0.5 <= 1.5


@pytest.mark.parametrize(("sign", "order"), [([1, -1] * 6, 4)])
def test_the_level_of_alternating_noise_is_its_size_times_what_differences_make_of_it(sign, order):
    # Differences of order k multiply alternating signs by 2^k, independent noise by sqrt((2k)!) / k!.
    windows = np.array(sign, np.float64).reshape(1, 12, 1)
    expected = max(2.0**order / np.sqrt(70.0), 2.0 ** (order + 1) / np.sqrt(252.0))
    np.testing.assert_allclose(resolution._level(windows, 0), [expected], rtol=1e-12)
    lost = np.concatenate([np.full((1, 12, 1), np.nan), 3.0 * windows, 2.0 * windows])
    np.testing.assert_allclose(resolution._level(lost, 0), [2.0 * expected], rtol=1e-12)
    np.testing.assert_allclose(resolution._level(lost, 1), [3.0 * expected], rtol=1e-12)
    np.testing.assert_array_equal(resolution._level(lost, 2), [0.0])
    # A cubic leaves nothing.
    cubic = (np.arange(12.0) ** 3 - np.arange(12.0)).reshape(1, 12, 1)
    np.testing.assert_allclose(resolution._level(cubic, 0), [0.0], atol=1e-9)


def test_what_counts_as_rounding_is_a_share_of_an_output_and_of_the_largest():
    found = resolution._rounding(np.array([1.0, -8.0, 0.0, np.inf]))
    np.testing.assert_array_equal(found, [2.0**-40, 2.0**-37, 2.0**-57, np.inf])


@pytest.mark.parametrize(("values", "constant"), [(2, True), (9, True), (10, False), (1, False)])
def test_an_output_of_few_values_is_constant_between_jumps(values, constant):
    windows = (np.arange(48.0) % values).reshape(4, 12, 1)
    assert resolution._is_constant_between_jumps(windows) == constant
    # Most of those that move tell.
    smooth = np.arange(48.0).reshape(4, 12, 1)
    assert not resolution._is_constant_between_jumps(np.concatenate([windows, smooth, smooth], axis=2))
    still = np.zeros((4, 12, 5))
    assert resolution._is_constant_between_jumps(np.concatenate([windows, still], axis=2)) == constant


# Bends.


def test_a_bend_is_found_where_it_is():
    reach = np.linspace(-3.0, 3.0, 25)
    for kink in (0.3, -1.1):

        def f(t, kink=kink):
            return np.abs(t - kink)

        found = points._bends(reach, f(reach)[:, None], f)
        assert found == pytest.approx([kink], abs=1e-3)
    smooth = points._bends(reach, np.sin(reach)[:, None], np.sin)
    assert np.isnan(smooth).all()
    straight = points._bends(reach, reach[:, None], lambda t: t)
    assert np.isnan(straight).all()


def test_of_several_columns_each_has_its_bend_or_none():
    reach = np.linspace(-3.0, 3.0, 25)
    kinks = np.array([0.3, -1.1, 0.0])

    def f(t):
        return np.where([True, True, False], np.abs(t - kinks), np.sin(t))

    found = points._bends(reach, np.stack([f(t) for t in reach]), f)
    np.testing.assert_allclose(found[:2], kinks[:2], atol=1e-3)
    assert np.isnan(found[2])


def test_an_entry_that_an_output_does_not_have_is_not_a_number():
    assert points._entry(np.array([1.0, 2.0]), 1) == 2.0
    assert np.isnan(points._entry(np.array([1.0, 2.0]), 2))


# Jumps.


def along(f, slope):
    """What is known of a number that is f of the only coordinate, at 0, and a side of it that ends at 1."""
    subject = as_subject((lambda x: f(x).sum(), lambda x, g: g * slope(x)), (np.zeros(1),), None, Hints())
    e = Evidence(subject, subject.input, slope(np.zeros(1)), np.ones(()), subject.output(), {}, np.ones(1), 1.0, None)
    e.rng = np.random.default_rng(0)
    side = jumps.Side(np.ones(1), [jumps.at(e, np.ones(1), t) for t in jumps._points(0.0, 1.0)])
    return e, side


def test_points_along_a_side_are_sixteen_steps():
    assert jumps._points(0.0, -0.5) == [-k / 32 for k in range(17)]


@pytest.mark.parametrize("height", [0.25, -0.5])
@pytest.mark.parametrize("place", [0.3, 0.7])
def test_the_height_of_a_jump_is_measured_where_it_is(height, place):
    e, side = along(lambda x: 2.0 * x + height * (x > place), lambda x: 2.0 * np.ones_like(x))
    assert jumps._jump(e, side, 2.0, 0.1) == pytest.approx(abs(height), rel=1e-6)
    assert side.unexplained == pytest.approx(height, rel=1e-9)
    assert not jumps._is_dense(e, side, 0.1)


def test_what_is_smooth_or_bends_has_no_jump():
    for f, slope in ((np.sin, np.cos), (lambda x: np.maximum(x - 0.3, 0.0), lambda x: 1.0 * (x > 0.3))):
        e, side = along(f, slope)
        assert jumps._jump(e, side, float(slope(np.zeros(1))[0]), 0.1) == 0.0


def test_of_a_staircase_the_nearest_jump_is_its_first():
    e, side = along(lambda x: np.floor(64.0 * x + 0.5) / 64.0, np.ones_like)
    assert jumps._is_dense(e, side, 1.0)
    assert jumps._nearest(e, side) == pytest.approx(1 / 64)
    assert jumps._jump(e, side, 0.0, 1.0) == pytest.approx(1 / 64)


@pytest.mark.parametrize(
    ("slopes", "claimed", "slope", "error"),
    [
        ([2.0, 2.0, 2.0], 2.0, 1.0, 1.0),
        ([2.0, 1.0, 0.0], 2.0, 1.0, 0.5),
        ([2.0, 4.0, 6.0], 2.0, 1.0, 1.0),
        ([2.0, 4.0, -6.0], 2.0, 0.0, 4.0),
        ([0.0, 4.0, 8.0], 0.0, 3.0, 3.0),
    ],
)
def test_what_a_wrong_slope_would_be_off_by_goes_down_with_it(slopes, claimed, slope, error):
    side = jumps.Side(np.ones(1), [jumps.Sample(0.5 * i, 0.0, one) for i, one in enumerate(slopes)])
    assert side.error(claimed, slope) == pytest.approx(error)


def test_a_point_where_there_is_no_gradient_is_not_a_number():
    e, _ = along(np.sin, np.cos)
    sample = jumps.at(e, np.full(1, 2.0), 0.25)
    assert sample == pytest.approx((0.25, np.sin(0.5), 2.0 * np.cos(0.5)))
    e.subject.gradients = lambda _: {e.name: None}
    assert np.isnan(jumps.at(e, np.ones(1), 0.25)[1:]).all()
    e.subject.gradients = lambda _: {e.name: np.ones(2)}
    assert np.isnan(jumps.at(e, np.ones(1), 0.25)[1:]).all()


def test_sides_go_as_far_as_the_output_is_finite():
    e, _ = along(lambda x: np.where(np.abs(x) < 0.3, x, np.nan), np.ones_like)
    sides = list(jumps._sides(e, np.ones(1, np.bool_), np.ones(1)))
    assert len(sides) == 8
    for side in sides:
        end = side.samples[-1].t
        assert abs(end) in jumps.REACHES
        assert abs(end * side.direction[0]) < 0.3
        assert abs(end) == 1.0 or abs(2.0 * end * side.direction[0]) >= 0.3
    assert [np.sign(side.samples[-1].t) for side in sides] == [1.0, -1.0] * 4


def test_only_coordinates_that_are_wrong_are_followed():
    e = SimpleNamespace(rng=np.random.default_rng(0))
    seen = []
    e.differences = SimpleNamespace(home=np.zeros(3))
    subject = as_subject((np.sin, lambda x, g: g * np.cos(x)), (np.zeros(3),), None, Hints())
    e.subject, e.name, e.grad_output = subject, subject.input, np.ones(3)
    for side in jumps._sides(e, np.array([True, False, True]), np.array([1.0, 1.0, 4.0])):
        seen.append(side.direction)
    directions = np.array(seen)
    assert not directions[:, 1].any()
    assert np.abs(directions[:, 0]).max() <= 1.0 < np.abs(directions[:, 2]).max() <= 4.0
