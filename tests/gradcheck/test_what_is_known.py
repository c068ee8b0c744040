"""What is known about one gradient, piece by piece: sizes, noise, shares, and where more is asked for."""

from types import SimpleNamespace
from typing import Any

import known_slopes
import numpy as np
import pytest
from known_slopes import known

from numpy_nn.gradcheck.measure.evidence import COARSEST_FIT, FIT
from numpy_nn.gradcheck.measure.kinds import AGREES, KINK, OFF
from numpy_nn.subjects import SubjectError

X = np.random.default_rng(0).uniform(0.5, 1.5, (4, 3))
INF, NAN = np.inf, np.nan


def evidence(f=np.sin, vjp=lambda x, g: 2.0 * g * np.cos(x), x=X, targets=None):
    return known_slopes.evidence(f, vjp, x, targets)


# Other inputs.


@pytest.mark.parametrize(("size", "first"), [(2.0, 0.5), (0.25, 4.0), (1e-199, 1e199), (1e-200, 1.0), (0.0, 1.0)])
def test_the_first_of_the_other_inputs_has_size_1_unless_all_is_as_good_as_0(size, first):
    e = evidence(x=size * np.array([1.0, -0.5]))
    np.testing.assert_allclose(e.multiples()[0], first * e.x, rtol=1e-15)
    assert len(e.multiples()) == 6


def test_of_probabilities_all_other_inputs_are_probabilities_too():
    p = np.full((50, 4), 0.5)
    p[0, 0] = 1.0
    e = evidence(lambda x, t: np.mean((x - t) ** 2), lambda x, t: 2.0 * (x - t) / x.size, p, np.zeros(p.shape))
    *parts, random = e.multiples()
    np.testing.assert_array_equal([part.max() for part in parts], [1 / 4, 1 / 16, 1 / 64, 1 / 256])
    assert 0.05 <= random.min() < 0.06
    assert 0.94 < random.max() <= 0.95


def test_extreme_inputs_are_tiny_multiples_and_huge_random_numbers():
    e = evidence(x=np.linspace(-5.0, 2.0, 400))
    *small, large, larger = e.extremes()
    for tiny, size in zip(small, (2.0**-6, 2.0**-12), strict=True):
        np.testing.assert_allclose(tiny, size / 5.0 * e.x, rtol=1e-15)
    # Of 400 normal numbers the standard deviation is within 1 +- 5 / sqrt(800), but once in two million.
    np.testing.assert_allclose([large.std(), larger.std()], [2.0**10, 2.0**20], rtol=0.18)


def test_extreme_inputs_of_zeros_are_finite_and_of_probabilities_there_are_none():
    assert all(np.isfinite(x).all() for x in evidence(x=np.zeros(3)).extremes())
    p = np.full((2, 4), 0.25)
    assert evidence(lambda x, t: np.mean((x - t) ** 2), lambda x, t: 2.0 * (x - t) / x.size, p, p).extremes() == []


def sized(output, gradient, here=3.0):
    """The working size where the output and the gradient at each other input are these; ``here`` is the output here."""
    e = evidence()
    home, (steps, gradients) = e.x.copy(), (iter(output), iter(gradient))

    def both(_):
        if not isinstance(given := next(steps), np.ndarray):
            raise SubjectError("not here")
        return given, {e.name: next(gradients)}

    e.subject = SimpleNamespace(
        arrays=e.subject.arrays, input=e.subject.input, compared_with=None, at=e.subject.at, output_and_gradients=both
    )
    e.grad_output, e.output = np.ones(home.shape), np.full(home.shape, here)
    found = e.working_size * max(1.0, home.max())
    np.testing.assert_array_equal(e.x, home)
    return found


def test_the_working_size_is_the_largest_of_those_that_can_be_had():
    small, none, large = np.zeros(X.shape), np.zeros(X.shape), X.max()
    assert sized([small] * 6, [none] * 6) == pytest.approx(3.0)
    assert sized([small] * 6, [none] * 5 + [np.full(X.shape, -5.0)]) == pytest.approx(5.0 * large)
    assert sized([small] * 6, [None] * 6) == pytest.approx(3.0)
    assert sized([small] * 6, [np.zeros(0)] * 6) == pytest.approx(3.0)
    assert sized([small[:2]] * 6, [none] * 6) == pytest.approx(3.0)
    for output, gradient in (small[:2], none), (small, None), (small, np.zeros(0)):
        assert sized([output] * 6, [gradient] * 6, 0.001) == pytest.approx(0.001)
    # What is refused is left out, and the next is asked for.
    assert sized(["refused", *[small] * 5], [none] * 4 + [np.full(X.shape, 5.0)]) == pytest.approx(5.0 * large)
    assert sized([small, np.full(X.shape, INF), *[small] * 4], [none, np.full(X.shape, NAN), *[none] * 4]) > 2.9
    # The slope of an output is in proportion to its argument there, which at the first is of size 1.
    assert sized([np.full(X.shape, 6.0), *[small] * 5], [none] * 6) == pytest.approx(6.0 * large)


@pytest.mark.parametrize(("gradient", "size"), [(1e-3, 1e-3), (0.0, 0.0)])
def test_a_gradient_is_of_the_working_size_if_nothing_is_larger(gradient, size):
    assert sized([np.zeros(X.shape)] * 6, [np.full(X.shape, 100.0 + gradient)] * 6) == pytest.approx(
        (100.0 + size) * X.max()
    )


# Noise.


def claims(gradients, x=X, repeats=True):
    """The noise of a gradient that is these numbers in turn, at one place always the same, and where it was asked."""
    e, seen = evidence(x=x), list[Any]()
    home = e.x.copy()

    def claimed(_):
        place = (e.x - home) / home
        known = [i for i, one in enumerate(seen) if repeats and np.array_equal(one, place)]
        seen.extend([] if known else [place])
        return {e.name: gradients[(known[0] if known else len(seen) - 1) % len(gradients)]}

    e.subject = SimpleNamespace(arrays=e.subject.arrays, input=e.subject.input, gradients=claimed)
    found = e.gradient_noise
    np.testing.assert_array_equal(e.x, home)
    return found, np.array(seen)


def test_the_noise_of_a_gradient_is_what_is_not_smooth_along_a_line_beside_the_input():
    ones = np.ones(X.shape)
    noise, _ = claims([ones, -ones])
    assert noise.shape == X.shape
    assert (noise > 0.5).all()
    # Another shape of the same size will do, and where there is none there is no noise.
    np.testing.assert_array_equal(claims([ones.ravel(), -ones.ravel()])[0], noise)
    for missing in (None, ones[:2]):
        np.testing.assert_array_equal(claims([ones, -ones, missing])[0], np.zeros(X.shape))


def test_what_is_another_at_the_same_place_is_no_noise():
    ones = np.ones(X.shape)
    np.testing.assert_array_equal(claims([ones, -ones], repeats=False)[0], np.zeros(X.shape))
    nearly = claims([ones, ones * (1.0 + 2.0**-30)], repeats=False)[0]  # as sums in another order
    assert (nearly > 0.0).all()


def test_along_the_line_all_numbers_move_by_a_millionth_and_none_by_a_power_of_two():
    x = 8.0 * np.random.default_rng(0).uniform(1.0, 1.9, (40, 25))
    _, seen = claims([np.ones(x.shape)], x)
    moved = seen * x * 2.0**17
    steps = np.abs(moved) / np.arange(1.0, 10.0)[:, None, None]
    assert 0.5 <= steps.min() < 0.51
    assert 0.99 < steps.max() <= 1.0 + 1e-6
    assert (moved < 0.0).any()
    assert (moved > 0.0).any()


@pytest.mark.parametrize(
    ("gradient", "noise", "narrow"),
    [
        ([0.5, 1.0, 2.0], 0.0, True),
        ([0.5, 1.0, 2.0], 1.0, True),
        ([0.1, 0.2, 0.3], 2.0**-28.9, True),
        ([0.1, 0.2, -0.3], 2.0**-28.9, True),
        ([0.1, 0.2, 0.3], 2.0**-29.1, False),
        ([0.1, 0.2, 0.3], 2.0**-18.1, True),
        ([0.1, 0.2, 0.3], 2.0**-17.9, False),
        # What is a thousandth of the largest does not count, nor what is seen at few.
        ([0.1, 1e-3 * 0.1, 1e-3 * 0.1], [0.0, 2.0**-24, 2.0**-24], False),
        ([0.1, 1.01e-4, 1.02e-4], [0.0, 2.0**-24, 2.0**-24], True),
        ([0.1, 0.2, 0.3], [2.0**-24, 0.0, 0.0], False),
        ([0.1, 0.2, 0.3], 2.0**-29, False),
        ([0.1, 0.2, 0.3], 2.0**-18, False),
        ([0.1, NAN, 0.3], 2.0**-24, False),
        ([1e300, 0.1, 1e301], 0.0, False),
        ([0.0, 0.0, 0.0], 0.0, True),
        ([5e-324, 5e-324, 5e-324], 0.0, False),
    ],
)
def test_a_gradient_is_of_float32_if_its_numbers_are_or_its_noise_is(gradient, noise, narrow):
    e = evidence()
    e.gradient = np.array(gradient)
    e.gradient_noise = np.abs(e.gradient) * np.array(noise)
    assert e.in_float32 == narrow


# The share that a prediction may be off by.


def coarse(bound, *, coarseness=1e-7, size=2.0, looked_at=None):
    e = evidence()
    bounds = np.full(X.shape, bound) if np.ndim(bound) == 0 else np.resize(np.array(bound), X.shape)
    e.slopes = known(np.full(X.shape, size), bounds)
    e.looked_at = np.ones(X.shape, np.bool_) if looked_at is None else looked_at
    e.differences.assume(coarseness, unmeasured=True)
    return e


@pytest.mark.parametrize(
    ("bound", "given", "fit", "decimals"),
    [
        (2e-4, {}, 1e-4, 4),
        (1e-4, {"size": -2.0}, 5e-5, 4),
        (1e-9, {}, FIT, 6),
        (1.0, {}, COARSEST_FIT, 2),
        (2e-4, {"coarseness": 0.0}, FIT, 6),
        (2e-4, {"size": 0.0}, FIT, 6),
        (INF, {}, FIT, 6),
        (NAN, {}, FIT, 6),
        ([NAN, 2e-4, 2e-4], {}, 1e-4, 4),
        ([2e-4, 2e-4, 1.0], {}, 1e-4, 4),
    ],
)
def test_a_prediction_may_be_off_by_more_where_the_output_is_coarse(bound, given, fit, decimals):
    e = coarse(bound, **given)
    assert e.fit == pytest.approx(fit, rel=1e-12)
    assert e.decimals == decimals


def test_only_what_is_looked_at_counts_for_it():
    first = np.arange(X.size).reshape(X.shape) < 4
    e = coarse(np.where(first, 2e-4, 1.0).ravel(), looked_at=first)
    assert e.fit == pytest.approx(1e-4)
    e = coarse(2e-4, looked_at=first)
    e.truth[~first] = 100.0
    e.truth[0, 0] = NAN
    assert e.size == pytest.approx(2.0)
    assert coarse(1.0, looked_at=np.zeros(X.shape, np.bool_)).size == 0.0


@pytest.mark.parametrize(("coarseness", "share"), [(0.0, 1e-9), (1e-12, 1e-9), (2.0**-20, 2.0**-15)])
def test_numbers_are_recognised_but_for_rounding(coarseness, share):
    e = coarse(1.0, coarseness=coarseness)
    assert e.grain == share
    numbers = np.array([0.5, -0.25, 0.0])
    off = share * np.array([0.0, 0.0, 0.5])
    assert e.recognises(numbers + 0.99 * off, numbers)
    assert not e.recognises(numbers + 1.01 * off, numbers)
    assert e.recognises(numbers + 1.99 * share * np.array([0.5, 0.0, 0.0]), numbers)
    assert not e.recognises(numbers + 2.01 * share * np.array([0.5, 0.0, 0.0]), numbers)
    assert e.recognises(np.zeros(0), np.zeros(0))


def test_the_numerical_gradient_is_measured_once_roughly_where_the_output_is_coarse():
    e = evidence()
    e.differences.rough = None
    assert e.truth is e.numerical.value
    np.testing.assert_allclose(e.truth, e.grad_output * np.cos(X), rtol=1e-9)
    steps = evidence()
    steps.differences.assume(1e-4, unmeasured=True)
    assert steps.numerical.bound.max() > 1e-5 > e.numerical.bound.max()
    given = evidence()
    given.slopes = known(X)
    assert given.numerical is given.slopes


# What more is asked for.


def test_a_gradient_at_another_input_has_the_steps_that_were_seen_here():
    e = evidence()
    e.differences.assume(1e-4, unmeasured=True)
    before = e.subject.evaluations
    rough = e.vjp(e.grad_output, 0.5 * X)
    assert e.subject.evaluations - before < 100  # steps are not measured again
    assert not np.array_equal(rough, evidence().vjp(e.grad_output, 0.5 * X))
    np.testing.assert_allclose(rough, e.grad_output * np.cos(0.5 * X), rtol=1e-5)
    np.testing.assert_allclose(e.vjp(2.0 * e.grad_output), 2.0 * e.grad_output * np.cos(X), rtol=1e-5)


def test_where_the_output_has_another_shape_the_gradient_is_not_known():
    e = evidence(lambda x: np.sin(x[: 4 if x[0, 0] < 2.0 else 3]), lambda x, _: np.zeros_like(x))
    assert np.isnan(e.vjp(e.grad_output, 10.0 * X)).all()
    assert e.vjp(e.grad_output, 10.0 * X).shape == X.shape
    assert np.isfinite(e.vjp(e.grad_output, 1.1 * X)).all()


@pytest.mark.parametrize(
    ("status", "enough"),
    [
        (OFF * 4 + AGREES * 8, True),
        (OFF * 3 + AGREES * 9, False),
        (OFF * 5 + AGREES + KINK * 6, True),
        (OFF * 6 + KINK * 6, False),
        (OFF * 12, False),
        (AGREES * 12, False),
    ],
)
def test_of_four_wrong_coordinates_and_right_ones_the_wrong_ones_are_looked_at_alone(status, enough):
    e = evidence()
    e.status = np.array([*status]).reshape(X.shape)
    assert e.narrow() == enough
    assert e.narrowed == enough
    assert e.looked_at.sum() == (status.count(OFF) if enough else 12 - status.count(KINK))
    shown = f"the claimed gradient is 2 x at all {e.looked_at.sum()} coordinates looked at"
    assert e.everywhere("2 x") == shown


def test_a_prediction_is_compared_where_it_is_known_and_looked_at():
    e = evidence()
    exact = e.gradient.copy()
    assert e.fits(np.where(X > 1.0, exact, NAN))
    assert not e.fits(np.where(X > 1.0, 0.9 * exact, NAN))
    assert not e.fits(np.full(X.shape, INF))
    assert not e.fits(exact[:, :2])
    only = np.zeros(X.shape)
    only[...] = NAN
    only[1, 1] = exact[1, 1]
    assert e.fits(only)
    e.looked_at = X > 1.0
    assert e.fits(np.where(X > 1.0, exact, 0.0))
    e.truth[X > 1.0] = NAN
    assert not e.fits(exact)
    e = evidence()
    e.gradient[0, 0] = NAN
    assert not e.fits(e.gradient)


U = 2.0**-20


@pytest.mark.parametrize(
    ("claimed", "true", "predicted", "fit", "fits"),
    [
        # Off by no more than a share of the largest number, claimed or predicted.
        ([1.0, 1.0], [0.0, 1.0], [1.0 - 8 * U, 1.0], 8 * U, True),
        ([1.0, 1.0], [0.0, 1.0], [1.0 - 9 * U, 1.0], 8 * U, False),
        ([1.0, 0.5], [0.0, 1.0], [1.0, 0.5 + 8 * U], 8 * U, True),
        ([0.5, 0.5], [0.0, 1.0], [0.5, 0.5 + 8 * U], 8 * U, False),
        ([0.5, -0.5], [0.0, 1.0], [0.5, 0.5], 0.5, False),
        # Off by no more than a twentieth of what is wrong.
        ([1.0, 1.0], [1.0 - 20 * U, 1.0], [1.0, 1.0 + U], FIT, True),
        ([1.0, 1.0], [1.0 - 19 * U, 1.0], [1.0, 1.0 + U], FIT, False),
        ([1.0, 1.0], [1.0 + 19 * U, 1.0], [1.0 - U, 1.0], FIT, False),
    ],
)
def test_a_prediction_fits_what_is_claimed_and_not_the_truth(claimed, true, predicted, fit, fits):
    e = evidence(x=np.ones(2))
    e.gradient, e.truth, e.fit = np.array(claimed), np.array(true), fit
    assert e.fits(np.array(predicted)) == fits


def test_a_target_that_does_not_take_another_input_does_not_hang_on_it():
    def refuses(x, g):
        if not np.array_equal(x, X):
            raise ValueError("no")
        return 2.0 * g * np.cos(x)

    assert not evidence(vjp=refuses).hangs_on_previous()


def test_at_first_nothing_is_found():
    e = evidence()
    assert e.at_point_given
    assert e.is_input
    assert not any((e.independent, e.narrowed, e.partial))
    e.name = "W"
    assert not e.is_input
