"""The close look at coordinates in doubt, some at a time, and who else vouches for one."""

import numpy as np
import pytest
from judged import coordinates
from known_slopes import known

from numpy_nn.gradcheck.measure import verdicts
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, DOUBTFUL, FLAT, KINK, LOST, NEARLY, OFF, UNRESOLVED, Reason

INF, NAN = np.inf, np.nan


def looked(gradient, near, *, quick=None, nearby=False, steps=Reason.NONE, monkeypatch):
    """The statuses of coordinates, the reason, and how many each close look was at."""
    e, looks = coordinates(gradient), []
    e.rng, e.is_input, e.at_point_given = np.random.default_rng(0), False, False

    def close(grad_output, look):
        assert grad_output == e.grad_output
        looks.append(int(look.sum()))
        return known(np.where(look, near, NAN), 1e-9)

    e.differences.quick = lambda *_: known(near if quick is None else quick, 1e-9 if quick is not None else INF)
    e.differences.close = close
    monkeypatch.setattr(verdicts, "_right_nearby", lambda *_: nearby)
    monkeypatch.setattr(verdicts, "_by_steps", lambda *_: steps)
    slopes, status = verdicts.examine(e, np.arange(e.gradient.size) > 0)
    assert status[0] == ""
    assert slopes.value.shape == e.gradient.shape
    return status[1:], e.reason, looks


def test_all_in_doubt_get_a_close_look_so_many_at_a_time(monkeypatch):
    status, _, looks = looked(np.ones(601), np.ones(601), monkeypatch=monkeypatch)
    assert (status == AGREES).all()
    assert looks == [256, 256, 88]
    status, _, looks = looked(np.ones(257), np.ones(257), monkeypatch=monkeypatch)
    assert looks == [256]
    status, _, looks = looked(np.ones(9), np.ones(9), quick=np.ones(9), monkeypatch=monkeypatch)
    assert (status == AGREES).all()
    assert looks == []


def test_where_all_that_were_looked_at_are_wrong_all_are_and_where_some_are_the_others_need_no_look(monkeypatch):
    status, _, looks = looked(np.full(601, 2.0), np.ones(601), monkeypatch=monkeypatch)
    assert (status == OFF).all()
    assert looks == [256]
    half = np.where(np.arange(601) % 2, 2.0, 1.0)
    status, _, looks = looked(half, np.ones(601), monkeypatch=monkeypatch)
    assert looks == [256]
    assert (status == "").sum() == 600 - 256
    assert 0 < (status == OFF).sum() < 256
    assert (status == AGREES).sum() == 256 - (status == OFF).sum()


@pytest.mark.parametrize(
    ("gradient", "nearby", "steps", "found", "reason"),
    [
        (2.0, True, Reason.NONE, UNRESOLVED, Reason.INNER_KINK),
        (2.0, False, Reason.STEPS, UNRESOLVED, Reason.STEPS),
        (2.0, False, Reason.JUMPS, UNRESOLVED, Reason.JUMPS),
        (2.0, True, Reason.STEPS, UNRESOLVED, Reason.INNER_KINK),
        (NAN, True, Reason.NONE, OFF, Reason.ROUNDING),
        (1.0, True, Reason.STEPS, AGREES, Reason.ROUNDING),
    ],
)
def test_what_is_right_nearby_or_across_steps_is_undecided(monkeypatch, gradient, nearby, steps, found, reason):
    status, why, _ = looked([1.0, gradient, 1.0], np.ones(3), nearby=nearby, steps=steps, monkeypatch=monkeypatch)
    assert "".join(status) == found + AGREES
    assert why is reason


@pytest.mark.parametrize(
    ("looked_at", "bound", "expected"),
    [
        # Of five in doubt the first has been looked at; the others are off as it is, more, not, or hidden.
        (NEARLY, 1e-9, NEARLY + NEARLY + DOUBTFUL * 3),
        (LOST, 1e-9, LOST + NEARLY + DOUBTFUL * 3),
        (NEARLY, 1e-3, NEARLY + DOUBTFUL * 4),
        (NEARLY, 5e-7, NEARLY + DOUBTFUL * 4),
        (AGREES, 1e-9, AGREES + DOUBTFUL * 4),
    ],
)
def test_what_is_nearly_right_elsewhere_too_needs_no_close_look(looked_at, bound, expected):
    e = coordinates([1.0, 1.0 + 1e-6, 2.0, 1.0, 1.0 + 1e-6, 1.0 + 1e-6])
    slopes = known(np.ones(6), [1e-9, bound, bound, INF, INF, bound])
    status = np.array([looked_at] + [DOUBTFUL] * 4 + [""])
    verdicts._settle_likewise(e, slopes, status, np.array([True] + [False] * 5))
    assert "".join(status[:5]) == expected
    assert status[5] == ""


@pytest.mark.parametrize(
    ("looked_at", "coarseness", "expected"),
    [
        (COARSE, 1e-7, COARSE + AGREES + COARSE + DOUBTFUL + UNRESOLVED),
        (COARSE, 0.0, COARSE + DOUBTFUL * 3 + UNRESOLVED),
        (AGREES, 1e-7, AGREES + DOUBTFUL * 3 + UNRESOLVED),
    ],
)
def test_where_the_output_moves_in_steps_a_rough_look_tells_as_much(looked_at, coarseness, expected):
    e = coordinates(np.ones(5), coarseness=coarseness)
    e.differences.rough = lambda _, mask: known(np.where(mask, 1.0, NAN), [NAN, 1e-9, 1e-3, 1.0, NAN])
    status = np.array([looked_at, DOUBTFUL, DOUBTFUL, DOUBTFUL, UNRESOLVED])
    verdicts._settle_likewise(e, known(np.ones(5), INF), status, np.array([True, False, False, False, False]))
    assert "".join(status) == expected


def test_with_nothing_left_in_doubt_there_is_nothing_to_settle():
    e = coordinates(np.ones(2), coarseness=1e-7)
    status = np.array([COARSE, AGREES])
    verdicts._settle_likewise(e, known(np.ones(2)), status, np.array([True, True]))
    assert "".join(status) == COARSE + AGREES


# Who else vouches for a coordinate.


@pytest.mark.parametrize("is_input", [True, False])
def test_the_complex_step_vouches_for_what_differences_cannot_resolve(is_input):
    e, asked = coordinates([1.0, 1.0, 2.5e6 + 1.0, 2.5e6 + 1.1, 1.0]), []
    e.is_input = is_input

    def complex_step(grad_output, weak):
        assert grad_output == e.grad_output
        asked.append(weak)
        return np.array([1.0, 1.0, 2.5e6, 2.5e6, 1.0])

    e.differences.complex_step = complex_step
    status = np.array([UNRESOLVED, COARSE, FLAT, UNRESOLVED, OFF])
    verdicts._confirm(e, status)
    assert "".join(status) == (AGREES * 3 + UNRESOLVED + OFF if is_input else UNRESOLVED + COARSE + FLAT + "uw")
    assert [weak.tolist() for weak in asked] == ([[True] * 4 + [False]] if is_input else [])
    strong = np.array([AGREES, OFF, KINK, LOST, NEARLY])
    verdicts._confirm(e, strong)
    assert len(asked) == is_input
    e.differences.complex_step = lambda *_: None
    status = np.array([UNRESOLVED] * 5)
    verdicts._confirm(e, status)
    assert (status == UNRESOLVED).all()
