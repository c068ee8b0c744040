"""What a report says, word for word, and where the line of progress is shown."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from numpy_nn.gradcheck import GradientError, progress
from numpy_nn.gradcheck.page import to_html
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG, Diagnosis, Entry, GradientReport

NAN = float("nan")


def entry(name, verdict, **given):
    """An entry of which nothing was checked, but for what is given."""
    nothing = {"shape": (), "size": 1, "checked": 0, "wrong": 0, "undecided": 0, "kinks": 0}
    numbers = {"error": 0.0, "index": None, "analytic": NAN, "numerical": NAN, "bound": NAN}
    return Entry(name, verdict, **{**nothing, **numbers, **given})


def report(*entries, **given):
    problems, notes = given.pop("problems", []), given.pop("notes", [])
    return GradientReport("net", list(entries), problems, notes, 12345, 0.123, **given)


SIGN = Diagnosis("sign", "the sign is wrong", "claimed / numerical = -1", "drop the minus", False, ["factor", "zero"])
FULL = report(
    entry(
        "W",
        WRONG,
        shape=(40, 30),
        size=1200,
        checked=1000,
        kinks=2000,
        error=0.123456,
        index=(0, 2),
        analytic=1 / 3,
        numerical=-1 / 3,
        bound=1.23456e-9,
        reason="wrong at 7",
        diagnosis=SIGN,
    ),
    entry("b", RIGHT, shape=(3,), size=3, checked=3, error=1e-12, index=(1,), analytic=2.0, numerical=2.0, bound=1e-11),
    problems=["a problem"],
    warnings=["a warning"],
    notes=["a note"],
)


def test_the_table_has_a_row_for_each_gradient_and_what_is_known_of_it_below():
    assert str(FULL).split("\n") == [
        "net: WRONG",
        "  gradient of  verdict  worst at      claimed     numerical  error     bound         checked  kinks",
        "  W            wrong    [0, 2]    0.333333333  -0.333333333  0.123  1.23e-09  1,000 of 1,200  2,000",
        "  b            right    [1]                 2             2  1e-12     1e-11               3",
        "  W: wrong at 7",
        "  W: perhaps the sign is wrong",
        "      evidence: claimed / numerical = -1",
        "      remedy: drop the minus",
        "      the numbers would also fit: factor, zero",
        "  problem: a problem",
        "  problem: a warning",
        "  note: a note",
        "  12,345 evaluations, 0.12 s",
    ]


def test_what_was_not_compared_has_no_numbers():
    rows = str(report(entry("W", WRONG, shape=(2, 2), size=4))).split("\n")
    assert " ".join(rows[1].split()) == "gradient of verdict worst at claimed numerical error bound checked kinks"
    assert rows[2].split() == ["W", "wrong", "0", "of", "4"]


def test_a_notebook_shows_the_same():
    text = FULL._repr_html_()
    assert text.startswith("<b>net: wrong</b><table><thead><tr><th>gradient of</th><th>verdict</th><th>worst at</th>")
    assert "<tr><td>b</td><td>right</td><td>[1]</td><td>2</td><td>2</td><td>1e-12</td><td>1e-11</td>" in text
    assert text.endswith("</tbody></table>" + "".join(f"<p>{line}</p>" for line in FULL._texts()))


@pytest.mark.parametrize(("digits", "words"), [(None, "close"), (0.3, "right to 1 digits"), (7.9, "right to 7 digits")])
def test_a_verdict_to_some_digits_has_at_least_one(digits, words):
    assert entry("W", CLOSE, digits=digits).verdict_in_words == words


def test_of_verdicts_to_some_digits_the_report_has_the_fewest():
    entries = [entry("a", CLOSE, digits=6.5), entry("b", CLOSE, digits=5.5), entry("c", RIGHT, digits=3.0)]
    assert report(*entries).verdict_in_words == "right to 5 digits"
    assert report(*entries, entry("d", CLOSE)).verdict_in_words == "close"
    assert report(entries[2]).verdict_in_words == "right"


def test_what_is_not_among_the_entries_is_named_with_those_that_are():
    both = report(entry("x", RIGHT), entry("W", RIGHT), input="x")
    assert both["W"] is both.entries[1]
    assert both["input"] is both["x"] is both.entries[0]
    with pytest.raises(KeyError, match="there are x, W"):
        both["V"]


@pytest.mark.parametrize(("verdict", "raises"), [(RIGHT, False), (CLOSE, False), (WRONG, True), (UNDECIDED, True)])
def test_a_report_raises_where_it_does_not_hold(verdict, raises):
    made = report(entry("W", verdict))
    assert bool(made) is made.ok is (verdict == RIGHT)
    if not raises:
        made.raise_if_failed()
        return
    with pytest.raises(GradientError) as caught:
        made.raise_if_failed()
    assert str(caught.value) == f"W {verdict}\n{made}"


def test_of_a_failure_one_line_says_what_it_is():
    assert report(entry("W", WRONG), entry("b", RIGHT), entry("x", UNDECIDED)).failure == "W wrong, x undecided"
    assert report(entry("W", RIGHT), problems=["it draws"]).failure == "it draws"
    assert (report(entry("W", RIGHT)).failure, report().failure) == ("", "nothing was checked")


def test_the_cause_is_that_of_the_diagnosis():
    assert entry("W", WRONG, diagnosis=SIGN).cause == "sign"
    assert entry("W", RIGHT).cause == ""


@pytest.mark.parametrize(
    ("cause", "confident", "words"),
    [("sign", True, "x: the sign"), ("sign", False, "x: perhaps the sign"), ("unknown", False, "x: the sign")],
)
def test_a_cause_that_is_not_settled_is_told_with_perhaps(cause, confident, words):
    found = report(entry("x", WRONG, diagnosis=Diagnosis(cause, "the sign", "numbers", "drop the minus", confident)))
    assert f"  {words}\n" in str(found)
    assert f">{words[3:]}</strong>" in to_html(found)


def test_the_page_leaves_out_what_there_is_not():
    page = to_html(report(entry("W", RIGHT, size=1200, checked=1200)))
    assert "<details><summary><code>W</code>" in page
    assert "<div><dt>checked</dt><dd>1,200</dd></div></dl>" in page
    assert "12,345 evaluations, 0.12 s" in page
    for absent in ("kinks", "worst at", "Evidence", "<h2>", "<p></p>"):
        assert absent not in page, absent
    full = to_html(FULL)
    for name, value in (("kinks", "2,000"), ("checked", "1,000 of 1,200"), ("error", "0.123"), ("bound", "1.23e-09")):
        assert f"<div><dt>{name}</dt><dd>{value}</dd></div>" in full
    for heading in ("Problems", "Beside the gradients", "Notes"):
        assert f"<h2>{heading}</h2>" in full


class Terminal:
    """A stream that keeps what is written, and says that it is a terminal, or none."""

    def __init__(self, is_one):
        self.is_one, self.lines = is_one, []

    def isatty(self):
        return self.is_one

    def write(self, text):
        self.lines.append(text)

    def flush(self):
        pass


def shown(monkeypatch, terminal, times, total=8, steps=2):
    """What the line of progress shows when it is made, advanced and closed at these times."""
    clock = iter(times)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(sys, "stderr", terminal)
    line = progress.Progress("W", total)
    for _ in times[1:]:
        line.advance(steps)
    line.close()
    return terminal.lines


def test_progress_is_shown_after_two_seconds_ten_times_a_second_and_wiped(monkeypatch):
    # Not before two seconds, nor again within a tenth of one; never more than all.
    times = [10.0, 11.0, 12.0, 12.5, 12.55, 12.75, 13.0]
    wipe = "\r" + " " * 7 + "\r"
    assert shown(monkeypatch, Terminal(True), times) == ["\rW:  75%", "\rW: 100%", "\rW: 100%", wipe]


def test_progress_is_not_shown_before_time_nor_where_nobody_looks(monkeypatch):
    assert shown(monkeypatch, Terminal(True), [10.0, 12.0]) == []
    assert shown(monkeypatch, Terminal(False), [10.0, 13.0]) == []
    # Of nothing, all is done.
    assert shown(monkeypatch, Terminal(True), [10.0, 13.0], total=0, steps=1)[0] == "\rW: 100%"
    assert shown(monkeypatch, Terminal(True), [10.0, 13.0], total=2, steps=1)[0] == "\rW:  50%"


def test_a_number_that_is_not_known_is_no_reason_to_hide_a_coordinate():
    made = report(entry("W", UNDECIDED, index=(), analytic=1.0, numerical=NAN, error=NAN, bound=np.inf))
    assert str(made).split("\n")[2].split() == ["W", "undecided", "[]", "1", "nan", "nan", "inf", "0", "of", "1"]
