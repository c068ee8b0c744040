"""How well claimed gradients agree with a function: digits, shapes and sizes."""

import numpy as np
import pytest

from numpy_nn.subjects import Hints, SubjectError, as_subject
from numpy_nn.subjects import agreement as module
from numpy_nn.subjects.agreement import (
    LENGTHS,
    Agreement,
    _along_directions,
    agreement,
    digits,
    factor_of,
    is_beyond_chance,
    off_in_size,
)

X = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4))


def subject_of(f, vjp, x=X):
    return as_subject((f, vjp), (np.array(x),), None, Hints())


def right(x, g):
    return g * np.cos(x)


def digits_of(claimed, f=np.sin, x=X):
    subject, g = subject_of(f, right, x), np.ones(np.shape(x))
    return digits(subject, subject.input, claimed(x, g), g)


@pytest.mark.parametrize(
    ("share", "found"), [(0.0, 4), (0.9e-4, 4), (1.1e-3, 2), (0.9e-3, 3), (1.1e-2, 1), (3e-2, 1), (0.3, 0), (-2.0, 0)]
)
def test_digits_are_a_share_of_both(share, found):
    # Off by a share of one is off by half of it of the sum of both.
    assert digits_of(lambda x, g: (1.0 + 2.0 * share) * right(x, g)) == found


@pytest.mark.parametrize(
    ("share", "found", "evaluations"), [(0.0, 4, 8), (1.1e-3, 2, 8), (1.1e-2, 1, 16), (0.3, 0, 16)]
)
def test_further_off_is_looked_only_where_two_digits_do_not_agree_near_by(share, found, evaluations):
    subject, g = subject_of(np.sin, right), np.ones(X.shape)
    before = subject.evaluations
    assert digits(subject, subject.input, (1.0 + 2.0 * share) * right(X, g), g) == found
    assert subject.evaluations - before == evaluations


@pytest.mark.parametrize(("claimed", "evaluations"), [(1.5, 32), (30.0, 16)])
def test_still_further_off_is_looked_unless_two_slopes_are_alike_beside_what_is_claimed(claimed, evaluations):
    # Near by the slope is 2, and far off 1: what is 1.5 there may be right somewhere, what is 30 is not.
    x = np.full(X.shape, 2.0**-10)
    subject, g = subject_of(lambda x: x + 2.0**-6 * np.tanh(2.0**6 * x), right, x), np.ones(X.shape)
    before = subject.evaluations
    assert digits(subject, subject.input, claimed * g, g) < 2
    assert subject.evaluations - before == evaluations


def test_the_same_is_not_evaluated_again_for_another_gradient_at_the_same_point():
    subject = subject_of(np.sin, right)
    first = agreement(subject)
    evaluations = []
    for scale in (1.0, 2.0, 2.0):
        with subject.at({subject.input: scale * X}):
            before = subject.evaluations
            assert agreement(subject) == first
            evaluations.append(subject.evaluations - before)
    assert evaluations[1] - evaluations[0] == evaluations[1] - evaluations[2] == 8


def test_a_wrong_gradient_of_a_small_function_has_no_digits_and_of_none_has_all():
    assert digits_of(lambda x, _: 0.0 * x, lambda x: 0.0 * x) == 4
    assert digits_of(lambda x, _: 1e-3 * np.ones(x.shape), lambda x: 0.0 * x) == 0


def test_a_wrong_gradient_of_what_changes_by_less_than_1e_12_has_no_digits():
    small = 2.0**-20 * X
    assert digits_of(lambda x, g: 6.0 * x * g, np.square, small) == 0
    assert digits_of(lambda x, g: 2.0 * x * g, np.square, small) == 4


def test_what_a_step_hides_near_by_shows_further_off():
    # Steps of 2^-8 are seen over distances of 2^-3 of the size.
    assert digits_of(lambda _, g: g, lambda x: np.round(2.0**8 * x) * 2.0**-8) >= 2
    assert digits_of(lambda _, g: g, lambda x: np.round(2.0**8 * x) * 2.0**-8, X * 1e-3) >= 2


def test_what_steps_hide_near_by_and_a_bend_far_off_shows_in_between():
    # At 2^-13 steps of 2^-10 hide what changes by 10 times that, and at 2^-3 the sine has turned by more than 1.
    def steep(x):
        return np.round(2.0**10 * np.sin(10.0 * x)) * 2.0**-10

    assert digits_of(lambda x, g: g * 10.0 * np.cos(10.0 * x), steep) >= 2


def test_the_changes_are_those_along_four_directions_to_both_sides():
    subject, g = subject_of(lambda x: 3.0 * x + x**2, right), np.full(X.shape, 2.0)
    gradient = np.full(X.shape, 6.0) + 4.0 * X
    size = np.sqrt(np.mean(X**2))
    # A sum of n terms is off by n units of their sizes at most, and a change is half the difference of two.
    rounding = X.size * np.finfo(float).eps * np.sum(g * np.abs(3.0 * X) + g * X**2)
    for length in LENGTHS:
        changes, claimed = _along_directions(subject, subject.input, gradient, g, length)
        steps = np.random.default_rng(1).standard_normal((4, *X.shape)) * length
        steps *= size if length == LENGTHS[0] else max(size, 1.0)
        expected = (steps * gradient).sum(axis=(1, 2))
        np.testing.assert_allclose(changes, expected, rtol=1e-9, atol=rounding)
        np.testing.assert_allclose(claimed, expected, rtol=1e-12)
    small = subject_of(lambda x: 3.0 * x, right, 1e-3 * X)
    changes, _ = _along_directions(small, small.input, gradient, g, LENGTHS[1])
    np.testing.assert_allclose(
        changes, 6.0 * np.random.default_rng(1).standard_normal((4, *X.shape)).sum((1, 2)) * LENGTHS[1], rtol=1e-9
    )
    zero = subject_of(lambda x: 3.0 * x, right, 0.0 * X)
    changes, _ = _along_directions(zero, zero.input, gradient, g, LENGTHS[0])
    np.testing.assert_allclose(
        changes, 6.0 * np.random.default_rng(1).standard_normal((4, *X.shape)).sum((1, 2)) * LENGTHS[0], rtol=1e-9
    )


@pytest.mark.parametrize("factor", [1.0, 5.0, 0.2, -5.0])
def test_a_size_is_off_by_the_logarithm_of_the_factor(factor):
    found = off_in_size(subject_of(np.sin, lambda x, g: factor * right(x, g)))
    assert found == pytest.approx(np.log(max(abs(factor), 1.0 / abs(factor))), abs=1e-6)


def test_there_is_no_size_of_zeros():
    assert off_in_size(subject_of(np.sin, lambda x, _: 0.0 * x)) == np.inf
    assert off_in_size(subject_of(lambda x: 0.0 * x, lambda x, g: 0.0 * x * g)) == np.inf
    assert off_in_size(subject_of(np.sin, lambda _, g: g[0])) == np.inf


@pytest.mark.parametrize(
    ("vjp", "expected"),
    [
        (right, Agreement(1, 1, 4)),
        (lambda x, g: 1.01 * right(x, g), Agreement(1, 1, 2)),
        (lambda x, g: 1.1 * right(x, g), Agreement(0, 1, 1)),
        (lambda x, g: -right(x, g), Agreement(0, 1, 0)),
    ],
)
def test_arrays_agree_to_two_digits(vjp, expected):
    assert agreement(subject_of(np.sin, vjp)) == expected


def test_the_array_with_the_fewest_digits_tells():
    x, w = X, X + 0.25

    def vjp(x, w, g):
        return g * w, 1.1 * g * x

    subject = as_subject((lambda x, w: x * w, vjp), (x, w), None, Hints())
    assert agreement(subject) == Agreement(1, 2, 1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_all_is_off_other_inputs_tell(sign):
    def relu(x):
        return np.maximum(x, 0.0)

    off = subject_of(relu, lambda x, g: sign * g * (x > 0), -X)
    assert agreement(off) == (Agreement(1, 1, 4) if sign > 0 else Agreement(0, 1, 0))
    np.testing.assert_array_equal(off.arrays[off.input], -X)
    # What is 0 everywhere agrees with nothing.
    assert agreement(subject_of(relu, lambda x, g: 0.0 * x * g)) == Agreement(0, 1, 0)


def test_another_input_that_the_code_refuses_is_passed_over():
    def relu(x):
        if np.any(x > 0) and np.ptp(x) == 0:
            raise ValueError("no")
        return np.maximum(x, 0.0)

    assert agreement(subject_of(relu, lambda x, g: g * (x > 0), np.full((2, 2), -0.5))) == Agreement(1, 1, 4)


def test_what_no_two_runs_repeat_agrees_with_nothing():
    subject = subject_of(np.sin, right)
    subject.make_repeatable = lambda: False
    assert agreement(subject) == Agreement(0, 0, 0)


def test_where_the_code_has_no_value_there_are_no_digits():
    subject = subject_of(np.sin, right)

    def refuses():
        raise SubjectError("no")

    subject.output = refuses
    assert digits(subject, subject.input, right(X, np.ones(X.shape)), np.ones(X.shape)) == 0
    short = subject_of(lambda x: np.sin(x)[:2], np.multiply)
    assert digits(short, short.input, right(X, np.ones(X.shape)), np.ones(X.shape)) == 0


@pytest.mark.parametrize("factor", [2.0, -0.5, 1e-6])
def test_a_multiple_of_a_gradient_has_its_factor_near_by(factor):
    # Over a distance of 2^-6 this sine has turned too far.
    subject, g = subject_of(lambda x: np.sin(30.0 * x), right), np.full(X.shape, 1.5)
    step = factor * g * 30.0 * np.cos(30.0 * X)
    assert factor_of(subject, subject.input, step, g) == pytest.approx(factor, rel=1e-4)
    assert factor_of(subject, subject.input, step * X, g) == 0.0


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(("off", "factor"), [(0.9e-3, 2.0), (1.1e-3, 0.0), (0.5, 0.0)])
def test_what_is_off_by_more_than_a_thousandth_is_no_multiple(monkeypatch, size, off, factor):
    changes, across = np.full(4, size), np.array([1.0, -1.0, 1.0, -1.0])
    claimed = 2.0 * changes + 2.0 * off * size * across
    monkeypatch.setattr(module, "_along_directions", lambda *_: (changes, claimed))
    assert factor_of(subject_of(np.sin, right), "x", X, X) == pytest.approx(factor)


def test_nothing_is_a_multiple_of_a_gradient_of_zeros():
    subject = subject_of(lambda x: 0.0 * x, right)
    assert factor_of(subject, subject.input, X, np.ones(X.shape)) == 0.0


@pytest.mark.parametrize(("factor", "shift", "beyond"), [(1.0, 0.0, True), (3.0, 0.0, True), (1.0, 2e-5, False)])
def test_what_is_a_multiple_to_four_digits_and_not_to_six_may_be_one_by_chance(factor, shift, beyond):
    weights = 1e-4 * np.random.default_rng(1).standard_normal((3, 4))  # where every sigmoid is about 1/2

    def claimed(x, g):
        return factor * g * (1 / (1 + np.exp(-x)) + shift * np.sign(x))

    subject = subject_of(lambda x: np.log1p(np.exp(x)), claimed, weights)
    assert is_beyond_chance(subject) == beyond
