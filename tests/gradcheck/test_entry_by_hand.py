"""The check of one subject, step by step: what is said of an array, when it is judged anew, and where else it is."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from judged import ONE, claim, made
from known_slopes import known

from numpy_nn.gradcheck import entry
from numpy_nn.gradcheck.measure.kinds import AGREES, COARSE, ELSEWHERE, FLAT, INDEPENDENT, LOST, OFF
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, GradientReport

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

        def gradients_by_chance(self, _):
            return ()

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
    monkeypatch.setattr(entry, "visit_other_points", lambda *_: None)
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

        def gradients_by_chance(self, _):
            return ()

        def random_grad_output(self, _, shape):
            return np.ones(shape)

        def gradients(self, _, *, other_draws=False):
            own = B if other_draws else A
            return {"x": None, "drawn": own, "random": next(draws), "W": A}

    monkeypatch.setattr(entry, "_call_before", lambda subject, _: (2.0 * A, subject.gradients(None)))
    monkeypatch.setattr(entry, "_entry", lambda _, shown, __: made(shown))
    monkeypatch.setattr(entry, "_with_steps_of_others", lambda found, evidence, *_: (found, evidence))
    monkeypatch.setattr(entry, "visit_other_points", lambda *_: None)
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
