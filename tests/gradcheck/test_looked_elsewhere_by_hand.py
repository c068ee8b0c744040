"""What is right or hidden at the point given, looked at elsewhere, step by step."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from judged import ONE, claim, made
from known_slopes import known

from numpy_nn.gradcheck import judging, visits
from numpy_nn.gradcheck.elsewhere import Found
from numpy_nn.gradcheck.measure.kinds import AGREES, INDEPENDENT, OFF, Reason
from numpy_nn.gradcheck.measure.points import Point
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG


def looked_elsewhere(monkeypatch, judged, near, far=(), independent=False, confirmed=True):
    """What is looked at at each point, given what is found of the arrays there; and the notes.

    Where ``independent`` is None the output is never seen to move.
    """
    seen, kinds = [], iter([*near, *far])
    notes: list[str] = []

    @contextmanager
    def at(_):
        yield

    subject = SimpleNamespace(at_point=at, notes=notes, warnings=[], draws=False)

    def look(_, names, grad_output, share, __):
        seen.append((list(names), share))
        assert grad_output is judged[0][1].grad_output
        return {name: (kind, None) for name, kind in next(kinds).items() if name in names}

    blamed = []
    points = [Point(str(k), {}) for k in range(len(near))], [Point(str(k), {}) for k in range(len(far))]
    monkeypatch.setattr(visits, "other_points", lambda *_: iter(points[0]))
    monkeypatch.setattr(visits, "far_points", lambda *_: iter(points[1]))
    monkeypatch.setattr(visits, "look", look)

    def is_wrong_at(_, here, point, *__):
        blamed.append((here.name, point.words))
        return confirmed

    monkeypatch.setattr(visits, "_is_wrong_at", is_wrong_at)
    monkeypatch.setattr(visits, "points_beyond", lambda *_: iter(()))
    monkeypatch.setattr(visits, "crossings", lambda *_: iter(()))
    monkeypatch.setattr(visits, "is_beyond_a_pole", lambda *_: False)
    monkeypatch.setattr(visits, "is_independent", lambda _: independent)
    monkeypatch.setattr(visits, "is_seen_to_move", lambda _: independent is not None)
    visits.visit_other_points(subject, judged, np.ones(2), None)
    return seen, notes, blamed


R, N, W, U = Found.RIGHT, Found.NOTHING, Found.WRONG, Found.UNKNOWN


def test_what_is_right_here_is_looked_at_elsewhere_until_it_is_wrong(monkeypatch):
    judged = [
        (made("W", WRONG), claim(name="W")),
        (made("x"), claim()),
        (made("b", CLOSE), claim(name="b", coarseness=0.25)),
        (made("c"), claim(name="c", independent=True)),
        (made("u", UNDECIDED), claim(name="u")),
    ]
    judged[1][1].grad_output = judged[0][1].grad_output
    seen, notes, blamed = looked_elsewhere(monkeypatch, judged, [{"x": R, "b": U}, {"x": W, "b": R}, {"b": N}])
    assert seen == [(["x", "b"], 0.25), (["x", "b"], 0.25), (["b"], 0.25)]
    assert (notes, blamed) == ([], [("x", "1")])
    assert looked_elsewhere(monkeypatch, judged[:1], [{}]) == ([], [], [])


def test_what_a_second_look_does_not_find_wrong_is_looked_at_on(monkeypatch):
    judged = [(made("x"), claim(np.zeros(4)))]
    near = [{"x": N}, {"x": W}, {"x": N}, {"x": N}]
    seen, notes, blamed = looked_elsewhere(monkeypatch, judged, near, confirmed=False)
    assert [names for names, _ in seen] == [["x"]] * 4
    assert blamed == [("x", "1")]
    # And it is not 0 wherever it was looked at.
    assert (judged[0][0].verdict, notes) == (UNDECIDED, [])


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
@pytest.mark.parametrize("coarseness", [0.0, 1e-7])
def test_what_nothing_shows_here_is_looked_at_near_and_far_unless_steps_hide_it(monkeypatch, reason, coarseness):
    judged = [(made("x", UNDECIDED), claim(reason=reason, coarseness=coarseness)), (made("b"), claim(name="b"))]
    judged[1][1].grad_output = judged[0][1].grad_output
    seen, notes, blamed = looked_elsewhere(monkeypatch, judged, [{"x": R, "b": R}], [{"x": R}, {"x": W}])
    looks = [names for names, _ in seen]
    if reason in {Reason.ROUNDING, Reason.FLAT, Reason.STEPS} and not coarseness:
        assert (looks, blamed) == ([["x", "b"], ["x"], ["x"]], [("x", "1")])
    else:
        assert (looks, blamed) == ([["b"]], [])
    assert notes == []


@pytest.mark.parametrize(
    ("near", "far", "independent", "verdict", "note"),
    [
        ([R, N], [U, U], False, RIGHT, "x: 0 at every coordinate here; judged by other inputs, where it is right"),
        ([N, U], [R], False, RIGHT, "x: 0 at every coordinate here; judged by other inputs, where it is right"),
        ([N, N], [N, N], False, RIGHT, "x: 0 here and wherever else it was looked at, claimed and numerical"),
        ([N, N], [N, U], False, UNDECIDED, None),
        ([N, N], [N], False, UNDECIDED, None),
        ([N, N], [N], True, RIGHT, f"x: {judging.WEAKER[INDEPENDENT]}"),
        ([], [], False, UNDECIDED, None),
        ([N, N], [N, N], None, UNDECIDED, None),
        ([N, U], [R], None, RIGHT, "x: 0 at every coordinate here; judged by other inputs, where it is right"),
    ],
)
def test_what_is_0_everywhere_here_must_be_right_or_nothing_elsewhere(
    monkeypatch, near, far, independent, verdict, note
):
    monkeypatch.setattr(visits, "moved_far", lambda _: [])
    found, e = made("x"), claim(np.zeros(4))
    near, far = ([{"x": kind} for kind in kinds] for kinds in (near, far))
    seen, notes, _ = looked_elsewhere(monkeypatch, [(found, e)], near, far, independent)
    assert found.verdict == verdict
    assert notes == ([] if note is None else [note])
    why = Reason.UNSEEN if independent is None else Reason.VACUOUS
    assert found.reason == (str(why) if verdict == UNDECIDED else "")
    right = [k for k, kinds in enumerate([*near, *far]) if kinds["x"] is R]
    looks = [names for names, _ in seen]
    assert looks == [["x"] if k < len(near) or not right or k <= min(right) else [] for k in range(len(looks))]


def test_what_is_close_or_not_0_is_not_looked_at_far_away(monkeypatch):
    for found, e in ((made("x", CLOSE), claim(np.zeros(4))), (made("x"), claim())):
        seen, notes, _ = looked_elsewhere(monkeypatch, [(found, e)], [{"x": N}], [{"x": N}])
        assert len(seen) == 1
        assert notes == []


@pytest.mark.parametrize("kind", [Found.WRONG, Found.UNKNOWN])
def test_what_is_wrong_elsewhere_is_said_to_be_right_here(monkeypatch, kind):
    moved, slopes = {"x": 2.0 * ONE}, known(ONE)
    status = np.array([OFF, OFF, AGREES, ""])
    e, found, worst = claim(slopes=slopes, status=status), made("x", CLOSE, digits=6.5), []

    @contextmanager
    def at(given):
        assert given is moved
        yield

    monkeypatch.setattr(visits, "blame", lambda *_: ("at a tenth", moved))
    monkeypatch.setattr(visits, "look", lambda *_: {"x": (kind, e)})
    monkeypatch.setattr(visits, "diagnosis", lambda evidence, right_at: (evidence, right_at))
    monkeypatch.setattr(visits, "name_worst", lambda *given: worst.append(given))
    here = claim()
    here.subject = SimpleNamespace(at_point=at, targets=None)
    here.differences.home = ONE
    confirmed = visits._is_wrong_at(found, here, Point("at a tenth", {}), ONE, 0.0, None)
    assert confirmed == (kind is Found.WRONG)
    if confirmed:
        assert found.reason == "right to 6 digits at the point given, but wrong at a tenth"
        assert (found.verdict, found.digits, found.wrong, found.diagnosis) == (
            WRONG,
            None,
            2,
            (e, here.differences.home),
        )
        assert worst == [(found, e, slopes, status)]
    else:
        assert (found.verdict, found.digits, found.wrong, found.reason) == (CLOSE, 6.5, 0, "")
