"""The check of one subject, step by step: what is said of an array, when it is judged anew, and where else it is."""

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from known_slopes import known

from numpy_nn.gradcheck import entry
from numpy_nn.gradcheck.elsewhere import Found
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, ELSEWHERE, FLAT, INDEPENDENT, LOST, OFF, Reason
from numpy_nn.gradcheck.measure.points import Point
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, Entry, GradientReport

ONE = np.array([1.0, 2.0, -2.0, 0.5])
NAN = np.nan


def made(name="x", verdict=RIGHT, **given):
    found = Entry(name, verdict, (4,), 4, 4, 0, 0, 0, 0.0, None, NAN, NAN, NAN)
    vars(found).update(given)
    return found


def claim(gradient=ONE, *, coarseness=0.0, name="x", **given):
    differences = SimpleNamespace(coarseness=coarseness, seen_coarseness=coarseness, groups=4, elementwise=True)
    subject = SimpleNamespace(arrays={name: ONE.copy()}, label="net", notes=[], watch=None, input="x")
    e = SimpleNamespace(
        gradient=gradient, subject=subject, name=name, rng=None, independent=False, is_input=name == "x"
    )
    e.grad_output, e.differences, e.reason = np.ones(2), differences, Reason.NONE
    vars(e).update(given)
    return e


# An array by itself.


def test_a_gradient_of_another_shape_is_wrong_and_nothing_else_is_said(monkeypatch):
    monkeypatch.setattr(entry, "diagnosis", lambda evidence: evidence.gradient)
    for gradient, shape in ((np.ones(3), "(3,)"), (None, "None")):
        found = entry._entry(claim(gradient), "W", None)
        assert found.reason == f"expected a gradient of shape (4,), got {shape}"
        assert (found.verdict, found.diagnosis) == (WRONG, gradient)
        assert (found.size, found.checked, found.wrong, found.undecided, found.kinds if 0 else found.kinks) == (
            4,
            0,
            0,
            0,
            0,
        )
        assert (found.error, found.index) == (0.0, None)
        assert np.isnan([found.analytic, found.numerical, found.bound]).all()


def entered(monkeypatch, status, bound, *, verdict=RIGHT, **given):
    """The entry for these statuses, and its notes."""
    e, told = claim(**given), []
    slopes = known([1.0, 2.0, -2.0, 0.5], bound)
    monkeypatch.setattr(entry, "_sample", lambda *_: "mask")
    monkeypatch.setattr(entry, "examine", lambda _, mask: {"mask": (slopes, np.array(status))}[mask])
    monkeypatch.setattr(entry, "judge", lambda found, *_: setattr(found, "verdict", verdict))
    monkeypatch.setattr(entry, "name_worst", lambda *given: told.append(given))
    found = entry._entry(e, "W", None)
    assert told == [(found, e, slopes, told[0][3])]
    return found, e.subject.notes, e.independent


def test_what_is_coarse_and_right_says_to_how_many_digits(monkeypatch):
    status, bound = [COARSE, COARSE, AGREES, AGREES], [1e-4, 1e-2, 1.0, 1.0]
    found, notes, _ = entered(monkeypatch, status, bound, coarseness=2.0**-24)
    assert found.digits == pytest.approx(-np.log10(1e-2 / 2.0))
    words = "W, 2 coordinates: rounding hides all but a few digits, which agree"
    assert notes == [f"{words}: the forward pass computes in float32"]
    found, notes, _ = entered(monkeypatch, status, bound)
    assert found.digits is None
    assert notes == [words]
    assert entered(monkeypatch, status, bound, coarseness=2.0**-24, verdict=CLOSE)[0].digits is None
    assert entered(monkeypatch, [AGREES] * 4, bound, coarseness=2.0**-24)[0].digits is None
    # A smaller one is held against the array.
    found, _, _ = entered(monkeypatch, [AGREES] * 3 + [COARSE], [1.0] * 3 + [1e-3], coarseness=2.0**-24)
    assert found.digits == pytest.approx(-np.log10(1e-3 / np.sqrt(9.25 / 4)))


def test_what_is_weaker_than_right_is_noted(monkeypatch):
    _, notes, independent = entered(monkeypatch, [FLAT, LOST, ELSEWHERE, ELSEWHERE], 1.0, coarseness=2.0**-24)
    assert [note.split(":")[0] for note in notes] == ["W, 1 coordinates", "W, 1 coordinates", "W, 2 coordinates"]
    assert not independent
    assert not any("float32" in note for note in notes)
    _, notes, independent = entered(monkeypatch, [INDEPENDENT] * 4, 1.0)
    assert independent
    assert len(notes) == 1


# Judged anew with the steps that are seen with another array.


@pytest.mark.parametrize(
    ("verdict", "own", "others", "checked", "stays", "anew"),
    [
        (WRONG, 0.0, [0.25], 4, False, True),
        (UNDECIDED, 0.0, [0.25], 4, False, True),
        (WRONG, 0.125, [0.25, 0.0], 4, False, True),
        (RIGHT, 0.0, [0.25], 4, False, False),
        (CLOSE, 0.0, [0.25], 4, False, False),
        (WRONG, 0.25, [0.25], 4, False, False),
        (WRONG, 0.5, [0.5], 4, False, False),
        (WRONG, 0.0, [0.0], 4, False, False),
        (WRONG, 0.0, [], 4, False, False),
        (WRONG, 0.0, [0.25], 0, False, False),
        (WRONG, 0.0, [0.25], 4, True, False),
    ],
)
def test_an_array_is_judged_anew_with_steps_that_are_seen_with_another(
    monkeypatch, verdict, own, others, checked, stays, anew
):
    again = claim()
    assumed: list[float] = []
    again.differences.assume = assumed.append
    e, found = claim(coarseness=own, anew=lambda: again), made(verdict=verdict, checked=checked)
    judged = [(made(), claim(coarseness=share)) for share in others]
    monkeypatch.setattr(entry, "_stays_wrong", lambda given, share: stays and given is e and share == max(others))
    monkeypatch.setattr(entry, "_entry", lambda given, name, samples: (given, name, samples))
    result = entry._with_steps_of_others(found, e, judged, 7)
    assert result == (((again, "x", 7), again) if anew else (found, e))
    assert assumed == ([0.25] if anew else [])


# Two backward passes.


def entries(monkeypatch, claims, *, name="x", prefix="", first=True, redrawn=None, shape=()):
    """The entries of a subject whose gradients are these, call after call; and what it complains of."""
    answers = iter(claims)
    x = np.ones(3)

    class Subject:
        input, arrays, problems, notes, watch = "x", {"x": x}, [], [], "watch"

        def is_known_by_steps(self, _):
            return False

        def random_grad_output(self, _, shape):
            return np.ones(shape)

        def gradients(self, _, *, other_draws=False):
            if other_draws and redrawn is not None:
                return {name: redrawn}
            return {name: next(answers)}

    subject: Any = Subject()
    subject.problems, subject.notes = [], []
    monkeypatch.setattr(entry, "_call_before", lambda subject, _: (2.0 * x, subject.gradients(None)))
    monkeypatch.setattr(entry, "_entry", lambda _, shown, __: made(shown))
    monkeypatch.setattr(entry, "_with_steps_of_others", lambda found, evidence, *_: (found, evidence))
    monkeypatch.setattr(entry, "_look_elsewhere", lambda *_: None)
    found = entry._entries(subject, prefix, first, np.ones(shape), None, None)
    np.testing.assert_array_equal(x, np.ones(3))
    assert subject.watch is None
    return [one.name for one in found], subject.problems, subject.notes


A, B, C = np.ones(3), np.full(3, 2.0), np.full(3, 4.0)


@pytest.mark.parametrize(
    ("claims", "given", "names", "problem"),
    [
        # Of the call before, then two on the same input, one with other draws.
        ([C, A, A, A], {}, ["x"], None),
        ([C, A, A, A * (1.0 + 2.0**-41)], {}, ["x"], None),
        ([C, A, A], {"redrawn": B}, [], "backward draws random numbers of its own"),
        ([C, None, None, None], {"name": "W"}, ["W"], None),
        # What hangs on the calls before is judged, what varies by itself cannot be: after the same two calls again.
        ([C, A, B, B, C, A], {}, ["x"], None),
        ([C, A, B, B, C, B], {}, [], "x: two backward passes on the same input give different gradients"),
        # What adds up is judged, too.
        ([A, B, 3.0 * A, 3.0 * A, C, 7.0 * A], {}, ["x"], None),
    ],
)
def test_two_backward_passes_on_the_same_input(monkeypatch, claims, given, names, problem):
    found, problems, _ = entries(monkeypatch, claims, **given)
    assert found == names
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]


@pytest.mark.parametrize(
    ("name", "prefix", "first", "shown"),
    [
        ("x", "", True, "x"),
        ("W", "", True, "W"),
        ("x", "0", True, "x"),
        ("x", "1", False, "1.x"),
        ("W", "0", True, "0.W"),
        ("W", "1", False, "1.W"),
    ],
)
def test_arrays_are_shown_with_the_place_of_their_layer_but_for_the_first_input(
    monkeypatch, name, prefix, first, shown
):
    assert entries(monkeypatch, [C, A, A, A], name=name, prefix=prefix, first=first)[0] == [shown]


def test_where_no_gradient_of_the_input_is_returned_that_is_said(monkeypatch):
    found, problems, notes = entries(monkeypatch, [None] * 4)
    assert (found, problems) == ([], [])
    assert notes == ["backward returns no gradient of the input: it is not checked"]


def test_every_array_is_checked_also_beside_one_that_cannot_be(monkeypatch):
    draws = iter(np.random.default_rng(0).standard_normal((20, 3)))

    class Subject:
        input, watch = "x", None

        def __init__(self):
            self.arrays, self.problems, self.notes = {"x": A.copy()}, [], []

        def is_known_by_steps(self, _):
            return False

        def random_grad_output(self, _, shape):
            return np.ones(shape)

        def gradients(self, _, *, other_draws=False):
            own = B if other_draws else A
            return {"x": None, "drawn": own, "random": next(draws), "W": A}

    monkeypatch.setattr(entry, "_call_before", lambda subject, _: (2.0 * A, subject.gradients(None)))
    monkeypatch.setattr(entry, "_entry", lambda _, shown, __: made(shown))
    monkeypatch.setattr(entry, "_with_steps_of_others", lambda found, evidence, *_: (found, evidence))
    monkeypatch.setattr(entry, "_look_elsewhere", lambda *_: None)
    subject = Subject()
    assert [one.name for one in entry._entries(subject, "", True, np.ones(()), None, None)] == ["W"]
    assert [text.split(":")[0] for text in subject.problems] == ["drawn", "random"]


@pytest.mark.parametrize(
    ("prefix", "name", "earlier", "shown"),
    [("", "x", (), "x"), ("0", "x", (), "0.x"), ("0", "input", (), "input"), ("1", "x", ("an entry",), "before")],
)
def test_the_input_of_a_report_is_that_of_its_first_layer(monkeypatch, prefix, name, earlier, shown):
    report = GradientReport("net", list(earlier), ["p"], ["n"], 0, 0.0, input="before", warnings=["w"])
    subject = SimpleNamespace(input=name, label="layer", make_repeatable=lambda: True, output=lambda: np.ones(1))
    subject.problems, subject.warnings, subject.notes, subject.arrays, subject.unchecked = ["p"], ["w"], ["n"], {}, []
    monkeypatch.setattr(entry, "_entries", lambda *given: [given[1:4]])
    entry.check(subject, prefix, report, None, None)
    assert report.input == shown
    assert report.entries == [*earlier, (prefix, not earlier, np.ones(1))]
    for found, word in ((report.problems, "p"), (report.warnings, "w"), (report.notes, "n")):
        assert found == [word, f"layer: {word}" if prefix else word]
    subject.make_repeatable = lambda: False
    entry.check(subject, prefix, report, None, None)
    assert len(report.entries) == len(earlier) + 1


@pytest.mark.parametrize(
    ("given", "stays"),
    [({}, True), ({"slopes": None}, False), ({"gradient": None}, False), ({"coarseness": 0.0}, False)],
)
def test_only_what_is_measured_can_stay_wrong(given, stays):
    own = {"gradient": ONE + 1.0, "slopes": known(ONE, 1e-9, side_bound=1e-9), "coarseness": 1e-6} | given
    e = claim(**own)
    e.status = np.array([OFF] * 4)
    assert entry._stays_wrong(e, 2e-6) == stays
    e.status = np.array([AGREES] * 4)
    assert not entry._stays_wrong(e, 2e-6)


# At other points.


def looked_elsewhere(monkeypatch, judged, near, far=(), independent=False, confirmed=True):
    """What is looked at at each point, given what is found of the arrays there; and the notes.

    Where ``independent`` is None the output is never seen to move.
    """
    seen, kinds = [], iter([*near, *far])
    notes: list[str] = []

    @contextmanager
    def at(_):
        yield

    subject = SimpleNamespace(at_point=at, notes=notes, draws=False)

    def look(_, names, grad_output, share, __):
        seen.append((list(names), share))
        assert grad_output is judged[0][1].grad_output
        return {name: (kind, None) for name, kind in next(kinds).items() if name in names}

    blamed = []
    points = [Point(str(k), {}) for k in range(len(near))], [Point(str(k), {}) for k in range(len(far))]
    monkeypatch.setattr(entry, "other_points", lambda *_: iter(points[0]))
    monkeypatch.setattr(entry, "far_points", lambda *_: iter(points[1]))
    monkeypatch.setattr(entry, "look", look)

    def is_wrong_at(_, __, name, point, *___):
        blamed.append((name, point.words))
        return confirmed

    monkeypatch.setattr(entry, "_is_wrong_at", is_wrong_at)
    monkeypatch.setattr(entry, "points_beyond", lambda *_: iter(()))
    monkeypatch.setattr(entry, "is_independent", lambda _: independent)
    monkeypatch.setattr(entry, "is_seen_to_move", lambda _: independent is not None)
    entry._look_elsewhere(subject, judged, np.ones(2), None)
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
        ([N, N], [N], True, RIGHT, f"x: {entry._WEAKER[INDEPENDENT]}"),
        ([], [], False, UNDECIDED, None),
        ([N, N], [N, N], None, UNDECIDED, None),
        ([N, U], [R], None, RIGHT, "x: 0 at every coordinate here; judged by other inputs, where it is right"),
    ],
)
def test_what_is_0_everywhere_here_must_be_right_or_nothing_elsewhere(
    monkeypatch, near, far, independent, verdict, note
):
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

    monkeypatch.setattr(entry, "blame", lambda *_: ("at a tenth", moved))
    monkeypatch.setattr(entry, "look", lambda *_: {"x": (kind, e)})
    monkeypatch.setattr(entry, "diagnosis", lambda evidence: evidence)
    monkeypatch.setattr(entry, "name_worst", lambda *given: worst.append(given))
    confirmed = entry._is_wrong_at(
        found, SimpleNamespace(at_point=at, targets=None), "x", Point("", {}), ONE, 0.0, None
    )
    assert confirmed == (kind is Found.WRONG)
    if confirmed:
        assert found.reason == "right to 6 digits at the point given, but wrong at a tenth"
        assert (found.verdict, found.digits, found.wrong, found.diagnosis) == (WRONG, None, 2, e)
        assert worst == [(found, e, slopes, status)]
    else:
        assert (found.verdict, found.digits, found.wrong, found.reason) == (CLOSE, 6.5, 0, "")
