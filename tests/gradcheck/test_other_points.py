"""What one input cannot show is judged by others: where they lie, and what is made of what is found there."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from known_slopes import evidence, known

from numpy_nn.gradcheck.measure import independence, verdicts
from numpy_nn.gradcheck.measure.evidence import Evidence
from numpy_nn.gradcheck.measure.kinds import (
    AGREES,
    COARSE,
    ELSEWHERE,
    FLAT,
    INDEPENDENT,
    KINK,
    LOST,
    NEARLY,
    OFF,
    UNRESOLVED,
    Reason,
)
from numpy_nn.subjects import Hints, as_subject

X = np.random.default_rng(0).uniform(0.5, 1.5, (3, 2))
ALL = np.ones(X.shape, np.bool_)


def looked(f, vjp, *, at=None, x=X, look=ALL, claimed=None, share=0.0):
    e = evidence(f, vjp, x)
    if claimed is not None:
        e.gradient = claimed
    if share:
        e.differences.assume(share, unmeasured=True)
    found = verdicts._look_at(e, {e.name: 2.0 * x if at is None else at}, look)
    np.testing.assert_array_equal(e.x, x)
    return found


# One look at another point.


def nothing(_, g):
    return 0.0 * g


def constant(x):
    return 0.0 * x + 7.0


@pytest.mark.parametrize(
    ("vjp", "kind"),
    [
        (lambda x, g: g * np.cos(x), verdicts._RIGHT),
        (lambda x, g: g * np.cos(x) * (1.0 + 1e-3), verdicts._UNLIKE),
        (nothing, verdicts._UNLIKE),
        (lambda x, g: g * np.cos(x) * np.where(x == 2.0 * X[0, 0], np.nan, 1.0), verdicts._UNLIKE),
        (lambda x, g: (g * np.cos(x))[:2] if x[0, 0] == 2.0 * X[0, 0] else g, verdicts._UNLIKE),
    ],
)
def test_a_gradient_at_another_point_is_right_or_not(vjp, kind):
    assert looked(np.sin, vjp) == kind


def test_a_point_that_is_not_taken_or_gives_another_shape_says_nothing():
    def refuses(x):
        if x.max() > 2.0:
            raise ValueError("no")
        return np.sin(x)

    assert looked(refuses, lambda x, g: g * np.cos(x)) == verdicts._REFUSED

    def shrinks(x):
        return np.sin(x[: 3 if x.max() < 2.0 else 2])

    assert looked(shrinks, lambda x, g: np.ones_like(x) * g[0] * np.cos(x)) == verdicts._REFUSED


def test_only_the_coordinates_in_doubt_are_looked_at():
    left = np.array([[True, False]] * 3)
    column = np.array([0.0, 1.0])

    def half_wrong(x, g):
        return g * np.cos(x) * (2.0 - column)

    assert looked(np.sin, half_wrong, look=~left) == verdicts._RIGHT
    assert looked(np.sin, half_wrong, look=left) == verdicts._UNLIKE
    assert looked(np.sin, lambda x, g: g * np.cos(x) * column, look=left) == verdicts._UNLIKE

    def flat(x):  # constant to the left
        return constant(x) + np.sin(x) * column

    assert looked(flat, lambda x, g: g * np.cos(x) * column, look=left) == verdicts._CONSTANT
    assert looked(flat, lambda x, g: g * np.cos(x) * column, look=~left) == verdicts._RIGHT
    assert looked(flat, lambda x, g: g * np.cos(x) * column) == verdicts._RIGHT


@pytest.mark.parametrize(
    ("size", "claimed", "kind"),
    [
        (0.0, 1.0, verdicts._CONSTANT),
        (1.0, 1.0, verdicts._CONSTANT),
        (-1.0, 1.0, verdicts._CONSTANT),
        (1.01, 1.0, verdicts._UNLIKE),
        # 2^-53 of what is claimed here, in either sign.
        (1.01, 1e4, verdicts._NEGLIGIBLE),
        (-1.01, -1e4, verdicts._NEGLIGIBLE),
        (1e3, 1e4, verdicts._UNLIKE),
    ],
)
def test_on_a_constant_function_the_gradient_is_rounding_at_most(size, claimed, kind):
    given = evidence(constant, nothing, X)
    natural = float(np.sqrt(np.mean(np.square(7.0 * given.grad_output)))) / (2.0 * X.max())

    def sized(x, _):
        return np.full_like(x, size * independence.OF_FORMULAS * natural)

    assert looked(constant, sized, claimed=np.full(X.shape, claimed)) == kind


@pytest.mark.parametrize(("share", "kind"), [(0.0, verdicts._UNLIKE), (1e-6, verdicts._RIGHT), (0.1, verdicts._UNLIKE)])
def test_steps_that_were_seen_here_are_taken_to_be_there_too(share, kind):
    assert looked(np.sin, lambda x, g: g * np.cos(x) * (1.0 + 2e-6), share=share) == kind


@pytest.mark.parametrize(
    ("gradient", "slopes", "coarseness", "kind"),
    [
        # The natural slope is 2: constant if no slope is above a bound of 4e-7 times that.
        (1e-15, {"value": 8e-7, "bound": 8e-7}, 0.0, verdicts._CONSTANT),
        (1e-15, {"value": 8e-7, "bound": 7e-7}, 0.0, verdicts._NEGLIGIBLE),
        (1e-15, {"value": 0.0, "bound": 9e-7}, 0.0, verdicts._NEGLIGIBLE),
        (1.0, {"value": 1.0, "bound": 1e-3}, 0.0, verdicts._UNLIKE),
        (1.0, {"value": 1.0, "bound": 1e-3}, 1e-7, verdicts._RIGHT),
        # Nothing next to 2^53, which is claimed here.
        (1.0, {"value": 0.5, "bound": 0.25}, 0.0, verdicts._NEGLIGIBLE),
        (0.5, {"value": 0.5, "bound": 0.5}, 0.0, verdicts._NEGLIGIBLE),
        (0.5, {"value": -0.5, "bound": 0.6}, 0.0, verdicts._UNLIKE),
    ],
)
def test_what_the_slopes_at_another_point_say(monkeypatch, gradient, slopes, coarseness, kind):
    def differences(*_):
        return SimpleNamespace(
            center=np.full(X.shape, 4.0),
            coarseness=coarseness,
            close=lambda _, look: known(np.where(look, slopes["value"], np.nan), slopes["bound"]),
        )

    monkeypatch.setattr(verdicts, "Differences", differences)
    e = evidence(np.sin, lambda x, _: np.full_like(x, gradient), X)
    e.gradient, e.grad_output = np.full(X.shape, 2.0**53), np.ones(X.shape)
    e._differences[e.name] = SimpleNamespace(seen_coarseness=0.0)
    assert verdicts._look_at(e, {e.name: X * 2.0 / X.max()}, np.array([[True, False]] * 3)) == kind


def test_steps_that_were_seen_here_are_not_measured_there_again():
    e = evidence(np.sin, lambda x, g: g * np.cos(x), X)
    e.differences.assume(1e-6, unmeasured=True)
    before = e.subject.evaluations
    verdicts._look_at(e, {e.name: 2.0 * X}, ALL)
    # Nine for the noise and twenty-four for the slopes, at one scale or more, but not some four hundred.
    assert e.subject.evaluations - before < 200


# Close by.


@pytest.mark.parametrize(
    ("kinds", "right", "looks"),
    [
        (["right"] * 3, True, 3),
        (["right", "constant", "negligible"], True, 3),
        (["unlike"], False, 1),
        (["refused"], False, 1),
        (["right", "unlike"], False, 2),
        (["right", "right", "refused"], False, 3),
    ],
)
def test_what_is_wrong_here_is_looked_at_nearby_first_at_one_coordinate(monkeypatch, kinds, right, looks):
    e, seen = evidence(np.sin, nothing, 8.0 * np.linspace(1.0, 1.9, 1000)), []
    wrong = np.arange(1000) % 3 == 2

    def look_at(given, moved, look):
        assert given is e
        seen.append((moved[e.name], look))
        return kinds[len(seen) - 1]

    monkeypatch.setattr(verdicts, "_look_at", look_at)
    assert verdicts._right_nearby(e, wrong) == right
    assert len(seen) == looks
    assert np.flatnonzero(seen[0][1]).tolist() == [2]
    for _, look in seen[1:]:
        np.testing.assert_array_equal(look, wrong)
    for moved, _ in seen:
        away = (moved - e.x) * 2.0**4
        assert -1.0 <= away.min() < -0.98
        assert 0.98 < away.max() <= 1.0


# Farther away.

U, F, L = UNRESOLVED, FLAT, LOST


@pytest.mark.parametrize(
    ("status", "reason", "independent", "kinds", "expected", "why"),
    [
        # What is hidden here is right if it is so at one other input that is taken, or constant at all.
        (U + AGREES, "ROUNDING", False, ["unlike", "right"], ELSEWHERE + AGREES, "ROUNDING"),
        (U + AGREES, "ROUNDING", False, ["refused", "constant", "constant"], ELSEWHERE + AGREES, "ROUNDING"),
        (U + AGREES, "ROUNDING", False, ["constant", "unlike"], U + AGREES, "ROUNDING"),
        (U + AGREES, "ROUNDING", False, ["negligible"], U + AGREES, "ROUNDING"),
        (U + AGREES, "ROUNDING", False, ["refused"], U + AGREES, "ROUNDING"),
        # Of another reason no other input tells.
        (U + AGREES, "JUMPS", True, None, U + AGREES, "JUMPS"),
        (U + F, "JUMPS", False, ["right"], U + ELSEWHERE, "JUMPS"),
        # What is flat, or has lost its digits, says nothing by itself, but is no worse beside what is right or wrong.
        (F + L, "ROUNDING", False, ["right"], ELSEWHERE * 2, "ROUNDING"),
        (F + L, "ROUNDING", False, ["unlike"], U * 2, "FLAT"),
        (L + U, "ROUNDING", False, ["unlike"], U * 2, "FLAT"),
        (U + U, "ROUNDING", False, ["unlike"], U * 2, "ROUNDING"),
        (F + AGREES, "ROUNDING", False, None, F + AGREES, "ROUNDING"),
        (F + KINK, "ROUNDING", False, None, F + KINK, "ROUNDING"),
        (L + COARSE, "ROUNDING", False, None, L + COARSE, "ROUNDING"),
        (L + OFF, "ROUNDING", False, None, L + OFF, "ROUNDING"),
        (F + NEARLY, "ROUNDING", False, ["right"], ELSEWHERE + NEARLY, "ROUNDING"),
        (F + NEARLY, "ROUNDING", True, ["right"], ELSEWHERE + NEARLY, "ROUNDING"),
        # What does not depend on the array.
        (F + U, "ROUNDING", True, None, INDEPENDENT * 2, "ROUNDING"),
        (L + L, "ROUNDING", True, None, INDEPENDENT * 2, "ROUNDING"),
        (AGREES + U, "ROUNDING", True, ["unlike"], AGREES + U, "ROUNDING"),
        (KINK + U, "ROUNDING", True, ["unlike"], KINK + U, "ROUNDING"),
        (COARSE + U, "ROUNDING", True, ["unlike"], COARSE + U, "ROUNDING"),
        (OFF + U, "ROUNDING", True, ["unlike"], OFF + U, "ROUNDING"),
        (NEARLY + U, "ROUNDING", True, ["unlike"], NEARLY + U, "ROUNDING"),
        (AGREES + AGREES, "ROUNDING", True, None, AGREES * 2, "ROUNDING"),
    ],
)
def test_what_is_hidden_here_is_told_by_other_inputs(monkeypatch, status, reason, independent, kinds, expected, why):
    inputs = [float(k) for k in range(len(kinds or ()))]
    e = SimpleNamespace(reason=Reason[reason], subject=SimpleNamespace(input="x"), gradient=np.ones(3))
    e.multiples, e.extremes = lambda: inputs[:1], lambda: inputs[1:]
    statuses = np.array([*status, ""])
    seen: list[Any] = []

    def look_at(given, moved, look):
        assert given is e
        np.testing.assert_array_equal(look[:2], [one != AGREES and one in before for one in status])
        seen.append(moved)
        return kinds[len(seen) - 1]

    hidden = {U, F, L} if reason == "ROUNDING" else {F, L}
    before = hidden if not set(status) & {AGREES, KINK, COARSE, OFF} else hidden & {U}
    monkeypatch.setattr(verdicts, "_look_at", look_at)
    monkeypatch.setattr(verdicts, "is_independent", lambda given: given is e and independent)
    verdicts._tell_elsewhere(e, statuses)
    assert "".join(statuses[:2]) == expected
    assert statuses[2] == ""
    assert e.reason is Reason[why]
    assert seen == [{"x": moved} for moved in inputs]


def test_extremes_are_asked_only_where_no_multiple_tells(monkeypatch):
    e = SimpleNamespace(reason=Reason.ROUNDING, subject=SimpleNamespace(input="x"), gradient=np.ones(2))
    e.multiples, e.extremes = lambda: [1.0, 2.0], lambda: pytest.fail("was looked at")
    monkeypatch.setattr(verdicts, "_look_at", lambda *given: "right" if given[1]["x"] == 1.0 else "unlike")
    statuses = np.array([U, AGREES])
    verdicts._tell_elsewhere(e, statuses)
    assert "".join(statuses) == ELSEWHERE + AGREES


@pytest.mark.parametrize(
    ("small", "large", "expected"), [(0.09, -1.0, U), (0.11, -1.0, F), (-0.09, 1.0, U), (-0.11, 1.0, F), (0.0, 0.0, F)]
)
def test_what_is_told_speaks_for_the_rest_unless_it_is_less_than_a_tenth_of_it(monkeypatch, small, large, expected):
    e = SimpleNamespace(reason=Reason.ROUNDING, subject=SimpleNamespace(input="x"))
    e.gradient = np.array([small, 0.1 * small, large, 0.2 * large])
    e.multiples = e.extremes = lambda: [1.0]
    monkeypatch.setattr(verdicts, "_look_at", lambda *_: "unlike")
    monkeypatch.setattr(verdicts, "is_independent", lambda _: False)
    statuses = np.array([COARSE, AGREES, F, F])
    verdicts._tell_elsewhere(e, statuses)
    assert "".join(statuses) == COARSE + AGREES + expected * 2


# What does not depend on an array.

MANY = np.random.default_rng(0).uniform(1.0, 1.9, (40, 25))


def independent(f, gradient=0.0, *, working=0.0, noise=0.0):
    e = evidence(f, nothing, MANY)
    e.gradient = np.full(MANY.shape, 0.0)
    e.gradient[3, 4] = gradient
    e.working_size, e.gradient_noise = working, np.full(MANY.shape, 0.0)
    e.gradient_noise[0, 0] = noise
    return independence.is_independent(e)


@pytest.mark.parametrize(
    ("f", "depends"),
    [
        (constant, False),
        (lambda x: constant(x) + 1e-10 * np.sin(x), False),
        (np.sin, True),
        (lambda x: np.maximum(x - 10.0, 0.0), True),
        (lambda x: np.maximum(x - 500.0, 0.0), True),
        # What saturates stays what it is far away, and moves around 0 alone.
        (lambda x: np.maximum(1.0 - np.square(x), 0.0), True),
        (lambda x: x[: 40 if x[0, 0] > 0.0 else 20] * 0.0, True),
    ],
)
def test_the_output_stays_what_it_is_wherever_an_array_is_moved_that_it_does_not_depend_on(f, depends):
    assert independent(f) == (not depends)


def test_a_parameter_is_also_moved_where_the_input_is_no_larger_than_1():
    def f(x, w):
        return np.minimum(np.abs(x) + 0.5 + 0.1 * np.sin(w), 2.0)

    given = 255.0 * np.ones(40), np.ones(40)
    subject = as_subject((f, lambda x, w, g: (0.0 * x * g, 0.0 * w * g)), given, None, Hints())
    (name,) = subject.arrays.keys() - {subject.input}
    output, x = subject.output(), subject.arrays[subject.input]
    e = Evidence(subject, name, np.zeros(40), np.ones(40), output, {}, x, np.ones(40), np.random.default_rng(0))
    assert independence._stays(e, {}, [np.zeros(40), np.full(40, 1000.0)])
    assert not independence.is_independent(e)


def test_a_target_that_does_not_take_what_is_far_away_is_not_independent():
    def refuses(x):
        if np.abs(x).max() > 100.0:
            raise ValueError("no")
        return constant(x)

    assert not independent(refuses)


@pytest.mark.parametrize(
    ("gradient", "given", "nothing_but_rounding"),
    [
        (independence.OF_FORMULAS * 3.0, {"working": 3.0}, True),
        (independence.OF_FORMULAS * 3.01, {"working": 3.0}, False),
        (-independence.OF_FORMULAS * 3.01, {"working": 3.0}, False),
        (16.0, {"noise": 1.0}, True),
        (16.1, {"noise": 1.0}, False),
        (16.0, {"noise": 1.0, "working": 1.0}, True),
        (np.nan, {"noise": 1.0}, False),
    ],
)
def test_of_such_an_array_the_gradient_is_0_but_for_rounding(gradient, given, nothing_but_rounding):
    assert independent(constant, gradient, **given) == nothing_but_rounding


@pytest.mark.parametrize("size", [1.0, 0.25, 8.0])
def test_an_array_is_moved_by_its_size_or_1_and_by_30_and_1000_times_as_much(size):
    seen = []

    def f(x):
        seen.append(np.array(x))
        return constant(x)

    e = evidence(f, nothing, size * MANY)
    e.gradient_noise, e.working_size = np.zeros(MANY.shape), 0.0
    assert e.differences.coarseness == 0.0
    before = len(seen)
    assert independence.is_independent(e)
    _, *far, around_0 = seen[before:]
    assert abs(around_0.mean()) < 0.2  # of a thousand normal numbers, six standard deviations
    moved = [np.abs(x - size * MANY) / max(size, 1.0) for x in far]
    for x in far:
        assert (x < size * MANY).any()
        assert (x > size * MANY).any()
    np.testing.assert_allclose([x.max() for x in moved], [1.0, 1.0, 30.0, 30.0, 1000.0, 1000.0], rtol=0.01)
    np.testing.assert_allclose([x.min() for x in moved], [0.5, 0.5, 15.0, 15.0, 500.0, 500.0], rtol=0.01)
