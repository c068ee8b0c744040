"""What each coordinate is found to be, by hand-made slopes on both sides of every threshold."""

from types import SimpleNamespace

import numpy as np
import pytest
from judged import coordinates
from known_slopes import known

from numpy_nn.gradcheck.measure import verdicts
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, FLAT, KINK, LOST, NEARLY, OFF, UNRESOLVED, Reason

INF, NAN = np.inf, np.nan


def judged(gradient, value, bound, reason=Reason.ROUNDING, *, slopes=None, **given):
    """The statuses of these coordinates in a word, if the reason that goes with them is the one expected."""
    e = coordinates(np.atleast_1d(gradient), **given)
    found = verdicts._judge(e, known(np.atleast_1d(value), bound, **(slopes or {})))
    assert e.reason is reason
    return "".join(found)


@pytest.mark.parametrize(
    ("gradient", "value", "bound", "status"),
    [
        (1.5, 1.0, 0.5, UNRESOLVED),
        (1.5 + 1e-9, 1.0, 0.5, OFF),
        (0.5, 1.0, 0.5, UNRESOLVED),
        (0.5 - 1e-9, 1.0, 0.5, OFF),
        (9.0, 1.0, INF, UNRESOLVED),
        (9.0, NAN, NAN, UNRESOLVED),
        (1.0, 1.0, 1e-2, COARSE),
        (1.0, 1.0, 1.1e-2, UNRESOLVED),
        (1.0, 1.0, 4e-7, AGREES),
        (1.0 + 2.0**-30, 1.0, 2.0**-30, AGREES),
        (1.0, 1.0, 4.1e-7, COARSE),
        (NAN, 1.0, 1e-9, OFF),
        (INF, 1.0, INF, OFF),
        # A formula that adds up numbers of size 1 may round by some 1e-14.
        (1.0 + 1.4e-14, 1.0, 0.0, LOST),
        (1.0 + 1.5e-14, 1.0, 0.0, NEARLY),
        # As much as five digits.
        (1e5 + 1.0, 1e5, 0.0, NEARLY),
        (1e5 - 1.0, 1e5, 0.0, NEARLY),
        (1e5 + 1.001, 1e5, 0.0, OFF),
    ],
)
def test_a_coordinate_by_itself(gradient, value, bound, status):
    assert judged(gradient, value, bound) == status


@pytest.mark.parametrize(
    ("gradient", "value", "share", "status"),
    [
        (0.0, 0.0, 1.0, FLAT),
        (0.0, 0.0, 1.01, UNRESOLVED),
        (1.0, 0.0, 1.0, FLAT),
        (-1.0, 0.0, 1.0, FLAT),
        (0.0, 1.0, 1.0, FLAT),
        (0.0, -1.0, 1.0, FLAT),
        (0.2, 1.1, 1.0, UNRESOLVED),
        (1.1, 0.2, 1.0, UNRESOLVED),
        (1.1, 0.0, 1.0, OFF),
    ],
)
def test_what_moves_by_no_more_than_a_bound_that_is_small_is_flat(gradient, value, share, status):
    bound = verdicts.RESOLUTION * 2.0
    assert judged(gradient * bound, value * bound, share * bound, natural=2.0) == status


@pytest.mark.parametrize(
    ("gradient", "given", "status"),
    [
        (-1.25, {}, KINK),
        (3.25, {}, KINK),
        (0.0, {}, KINK),
        (-1.26, {}, OFF),
        (3.26, {}, OFF),
        (1.0, {}, AGREES),
        (0.0, {"kink": False}, OFF),
        (0.0, {"side_bound": INF}, OFF),
        (0.0, {"low": NAN}, OFF),
        # Beside it the size is that of the larger side.
        (1e6 + 5.0, {"high": 1e6}, NEARLY),
    ],
)
def test_at_a_kink_all_between_the_one_sided_slopes_will_do(gradient, given, status):
    slopes = {"kink": True, "low": -1.0, "high": 3.0, "side_bound": 0.25} | given
    assert judged(gradient, 1.0, 1e-9, slopes=slopes) == status


@pytest.mark.parametrize(
    ("given", "room"),
    [
        # A formula of 32 operations on numbers so large; and four times that, as all estimates.
        ({"working": 2.0**40}, 2.0**-6),
        ({"noise": 2.0**-10}, 2.0**-6),
        ({"noise": 2.0**-10, "working": 2.0**39}, 2.0**-6),
        ({"coarseness": 2.0**-19, "here": False, "working": 2.0**8}, 2.0**-4),
        ({"in_float32": True, "output": 0.5, "working": 2.0**13}, 2.0**-4),
        ({"in_float32": True, "output": 0.5, "working": 2.0**13, "coarseness": 2.0**-20, "here": False}, 1.0),
        ({"in_float32": True, "output": 0.5, "working": 2.0**13, "coarseness": 2.0**-30, "here": False}, 2.0**-4),
    ],
)
def test_a_gradient_that_is_off_by_what_a_formula_may_round_has_lost_digits(given, room):
    bound = 2.0**-20
    assert judged(1.0 + bound + room, 1.0, bound, **given) == LOST
    assert judged(1.0 + bound + 1.01 * room, 1.0, bound, **given) == OFF
    assert judged(1.0 - bound - room, 1.0, bound, **given) == LOST


@pytest.mark.parametrize(
    "given",
    [
        {"coarseness": 2.0**-18, "here": False, "working": 2.0**8},
        {"coarseness": 2.0**-19, "here": True, "working": 2.0**8},
        {"in_float32": True, "output": 1 / 3, "working": 2.0**13},
        {"in_float32": False, "output": 0.5, "working": 2.0**13},
    ],
)
def test_what_is_not_computed_in_float32_or_not_seen_here_has_no_such_excuse(given):
    assert judged(1.0 + 2.0**-10, 1.0, 1e-9, **given) == OFF


def test_a_gradient_of_float32_is_nearly_right_where_noise_alone_would_excuse_it():
    off, noise = 2.0**-18, 2.0**-20
    assert judged(1.0 + off, 1.0, 0.0, noise=noise) == LOST
    assert judged(1.0 + off, 1.0, 0.0, noise=noise, in_float32=True) == NEARLY
    assert judged(1.0 + off, 1.0, 0.0, noise=noise, in_float32=True, working=2.0**28) == LOST
    assert judged(1.0 + off, 1.0, 0.0, noise=noise, in_float32=True, working=2.0**27) == NEARLY
    assert judged(1.0 + 2.0**-16, 1.0, 0.0, noise=noise, in_float32=True) == LOST


@pytest.mark.parametrize(
    ("errors", "statuses"),
    [
        ([2.0**-20, 2.0**-18], NEARLY * 2),
        ([1e-6, 4.1e-6], NEARLY + OFF),
        ([5e-6, 7.0e-6], NEARLY * 2),
        ([5e-6, 7.2e-6], NEARLY + OFF),
        ([1e-6, 3e-6, 3e-6], NEARLY + OFF * 2),
        ([1e-6, 3e-6, 3e-6, 1e-6], NEARLY * 4),
        ([0.0, 3e-6], AGREES + OFF),
    ],
)
def test_where_terms_cancel_a_gradient_is_nearly_right_that_is_so_elsewhere(errors, statuses):
    value = np.array([1.0, 2.0**-10, 2.0**-10, 1.0])[: len(errors)]
    found = judged(value + errors, value, 1e-13)
    assert found == statuses


@pytest.mark.parametrize(
    ("gradient", "given", "found"),
    [
        ([2.0**-19, 0.0], {}, UNRESOLVED + AGREES),
        ([-(2.0**-19), 0.0], {}, UNRESOLVED + AGREES),
        ([2.0**-18, 0.0], {}, OFF + AGREES),
        ([2.0**-18, 2.0**-19], {}, OFF * 2),
        ([2.0**-19, 0.0], {"in_float32": False}, OFF + AGREES),
        ([2.0**-19, 0.0], {"output": 1 / 3}, OFF + AGREES),
        ([2.0**-17, 0.0], {"working": 4.0}, LOST + AGREES),
        ([2.0**-6, 0.0], {"output": 1.0}, UNRESOLVED + AGREES),
        ([-(2.0**-5), 0.0], {"output": 1.0}, OFF + AGREES),
        ([2.0**-7 + 2.0**-24, 0.0], {"output": 1.0}, OFF + AGREES),
    ],
)
def test_what_float32_or_float16_keeps_from_moving_is_undecided(gradient, given, found):
    given = {"in_float32": True, "output": 1.0 + 2.0**-20, "working": 2.0**-10} | given
    reason = Reason.FLAT if UNRESOLVED in found or LOST in found else Reason.ROUNDING
    assert judged(gradient, [0.0, 0.0], 0.0, reason, slopes={"flat": True}, **given) == found


def test_an_output_that_moves_anywhere_is_not_saturated():
    e = coordinates([2.0**-19, 0.0], in_float32=True, output=1.0)
    assert verdicts._is_saturated(e, known([0.0, NAN]))
    assert not verdicts._is_saturated(e, known([0.0, 1e-30]))


@pytest.mark.parametrize(("size", "far"), [(2.0**32, False), (-(2.0**32), False), (2.0**33, True), (-(2.0**33), True)])
def test_next_to_numbers_between_which_a_function_may_bend_nothing_is_wrong(size, far):
    reason = Reason.INNER_KINK if far else Reason.ROUNDING
    assert judged([2.0, 1.0], [1.0, 1.0], 1e-9, reason, array=size) == (UNRESOLVED if far else OFF) + AGREES


@pytest.mark.parametrize(
    ("gradient", "coarseness", "found"),
    [
        ([0.0, 1.0], 2.0**-9, UNRESOLVED + AGREES),
        ([0.0, 0.5], 2.0**-9, UNRESOLVED + OFF),
        ([0.5, 1.0], 2.0**-9, OFF + AGREES),
        ([0.0, 1.0], 2.0**-10, OFF + AGREES),
    ],
)
def test_a_gradient_of_0_is_that_between_steps_that_are_meant(gradient, coarseness, found):
    reason = Reason.STAIRS if UNRESOLVED in found else Reason.ROUNDING
    assert judged(gradient, [1.0, 1.0], 1e-9, reason, coarseness=coarseness) == found


def test_beside_a_gradient_that_is_not_finite_nothing_is_excused():
    assert judged([NAN, 1.0 + 1e-6, 1.0], [1.0, 1.0, 1.0], 1e-9) == OFF + OFF + AGREES


# Why what seems wrong may be right.


@pytest.mark.parametrize(
    ("coarseness", "bound", "value", "in_float32", "may"),
    [
        (1e-7, 1e-9, 1.0, False, True),
        (0.0, 4e-7, 1.0, False, False),
        (0.0, 4.1e-7, 1.0, False, True),
        (0.0, 4 * 3.9e-7, 4.0, False, False),
        (0.0, 4.1e-7, 0.0, False, False),
        (0.0, 1e-9, 1.0, True, True),
        (0.0, 1e-9, 0.0, True, False),
    ],
)
def test_an_output_may_move_in_steps_where_few_digits_are_seen(monkeypatch, coarseness, bound, value, in_float32, may):
    monkeypatch.setattr(verdicts, "lies_on_a_step", lambda *_: False)
    e = coordinates([3.0, 3.0], coarseness=coarseness, in_float32=in_float32)
    slopes = known([value, max(value, 1.0)], [bound, 1e-12])
    assert verdicts._may_be_coarse(e, slopes, np.array([True, False])) == may
    # One with all its digits is enough for the others.
    both = verdicts._may_be_coarse(e, slopes, np.array([True, True]))
    assert both == (coarseness > 0.0 or in_float32)
    monkeypatch.setattr(verdicts, "lies_on_a_step", lambda *given: given[0] is e and given[1] is slopes)
    assert verdicts._may_be_coarse(e, slopes, np.array([True, False]))


@pytest.mark.parametrize(
    ("gradient", "hangs", "jumps", "coarse", "turns", "explained", "reason"),
    [
        (1.0, False, True, False, False, True, Reason.JUMPS),
        (1.0, False, True, True, False, True, Reason.JUMPS),
        (1.0, False, False, True, False, True, Reason.STEPS),
        (1.0, False, True, True, False, False, Reason.NONE),
        (1.0, False, False, True, False, False, Reason.NONE),
        (1.0, False, False, False, False, True, Reason.NONE),
        (1.0, False, True, True, True, True, Reason.JUMPS),
        (1.0, False, False, False, True, False, Reason.ITERATION),
        (1.0, True, True, True, True, True, Reason.NONE),
        (NAN, False, True, True, False, True, Reason.NONE),
        (None, False, True, True, False, True, Reason.NONE),
    ],
)
def test_jumps_and_steps_are_reasons(monkeypatch, gradient, hangs, jumps, coarse, turns, explained, reason):
    answers = {"jumps_explain": jumps, "_may_be_coarse": coarse, "iteration_explains": turns}
    for name, answer in (answers | {"steps_may_explain": explained}).items():
        monkeypatch.setattr(verdicts, name, lambda *_, answer=answer: answer)
    gradient = None if gradient is None else np.array([1.0, gradient])
    e = SimpleNamespace(gradient=gradient, hangs_on_previous=lambda: hangs)
    assert verdicts._by_steps(e, known([1.0, 1.0]), np.array([True, True])) is reason
