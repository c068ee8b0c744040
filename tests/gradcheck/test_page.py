"""A report as a page and as JSON: all that it says, nothing from elsewhere, readable on a phone and in the dark."""

import html.parser
import io
import json
import re
import sys

import numpy as np
import pytest
from contrasts import CONTRASTS

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.page import to_html, to_json
from numpy_nn.gradcheck.report import Diagnosis, Entry, GradientReport


@pytest.fixture(scope="module")
def report():
    """One gradient that is wrong, one that is right, one that is undecided, with findings of every kind."""
    x, w = np.random.default_rng(0).standard_normal((2, 3, 4))
    made = check_gradients((lambda x, w: x * w, lambda x, w, g: (-g * w, g * x)), (x, w))
    nan = float("nan")
    made.entries.append(
        Entry("<b>&", "undecided", (2, 2), 4, 2, 0, 2, 1, float("inf"), (0, 1), 1.0, nan, float("-inf"), "why <not>")
    )
    assert made.entries[0].diagnosis is not None
    made.entries[0].diagnosis.alternatives.append("transposed")
    made.problems, made.warnings, made.notes = ["a <problem>"], ["a warning"], ["a note that says: größer"]
    return made


class Checker(html.parser.HTMLParser):
    """Every element is closed in order; the text, and the addresses that are asked for."""

    def __init__(self):
        super().__init__()
        self.opened, self.text, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "br"):
            self.opened.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_says_all_that_the_report_says(report):
    page = Checker()
    page.feed(to_html(report))
    assert page.opened == []
    assert page.addresses == ["data:,"]
    text = " ".join(" ".join(page.text).split())
    diagnosis = report["x"].diagnosis
    for said in (
        *("wrong", "right", "undecided", "why <not>", "a <problem>", "a warning", "a note that says: größer", "<b>&"),
        *(diagnosis.statement, diagnosis.evidence, diagnosis.remedy, "The numbers would also fit: transposed"),
        *(f"{report['x'].analytic:.9g}", f"{report['x'].numerical:.9g}", "2 of 4", "[0, 1]", "-inf"),
    ):
        assert said in text, said
    # What fails comes first, and open.
    assert re.findall(r"<details( open)?><summary><code>(.*?)</code>", to_html(report)) == [
        (" open", "x"),
        (" open", "&lt;b&gt;&amp;"),
        ("", "w"),
    ]


def test_a_verdict_that_holds_to_some_digits_says_to_how_many():
    x = np.random.default_rng(0).standard_normal((3, 4))
    narrow = check_gradients((lambda x: np.tanh(x).astype(np.float32), lambda x, g: g * (1 - np.tanh(x) ** 2)), x)
    assert f">{narrow.entries[0].verdict_in_words}</span>" in to_html(narrow)
    assert "right to " in to_html(narrow)
    close = check_gradients((np.sin, lambda x, g: (1 + 1e-7) * g * np.cos(x)), x)
    assert close.verdict == "close"
    assert f"<title>sin: {close.verdict_in_words}</title>" in to_html(close)
    assert "<details open>" not in to_html(close)
    assert json.loads(to_json(close))["entries"][0]["digits"] == close.entries[0].digits


def test_a_report_without_entries_has_a_page_and_json():
    empty = GradientReport("nothing", [], ["not repeatable"], [], 5, 0.1)
    assert "not repeatable" in to_html(empty)
    assert json.loads(to_json(empty))["verdict"] == "undecided"


def test_json_is_strict_and_loses_nothing(report):
    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(to_json(report), parse_constant=refuse)
    assert read["verdict"] == "wrong"
    assert [entry["name"] for entry in read["entries"]] == ["x", "w", "<b>&"]
    last = read["entries"][-1]
    assert (last["error"], last["numerical"], last["bound"]) == ("Infinity", "NaN", "-Infinity")
    assert [float(last[name]) for name in ("error", "bound")] == [np.inf, -np.inf]
    assert (last["index"], last["shape"], last["diagnosis"]) == ([0, 1], [2, 2], None)
    assert Diagnosis(**read["entries"][0]["diagnosis"]) == report["x"].diagnosis
    assert read["entries"][1]["numerical"] == report["w"].numerical
    assert read["notes"] == report.notes


def test_json_reads_well_in_any_language():
    text = to_json(GradientReport("层", [], [], [], 5, 0.1))
    lines = text.splitlines()
    assert '  "target": "层",' in lines
    assert {len(line) - len(line.lstrip(" ")) for line in lines} == {0, 2}
    assert text.endswith("}\n")


class Closed(io.StringIO):
    """What writes into it has to learn that nobody reads any more."""

    def write(self, _):
        raise BrokenPipeError


def test_files_are_written_also_if_nobody_reads_the_report_to_its_end(tmp_path, monkeypatch):
    code, pages = tmp_path / "doubled.py", [tmp_path / "report.json", tmp_path / "report.html"]
    code.write_text("def double(x): return 2.0 * x\ndef double_backward(dout): return 2.0 * dout\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        main([f"{code}:double", "--input", "3", "--json", str(pages[0]), "--html", str(pages[1])])
    assert json.loads(pages[0].read_text(encoding="utf-8"))["verdict"] == "right"
    assert "double" in pages[1].read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_reads_well_in_a_browser(browse, report, tmp_path, width, scheme):
    path = tmp_path / "report.html"
    path.write_text(to_html(report), encoding="utf-8")
    page = browse(path, width=width, scheme=scheme)
    page.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    wide, window = page.execute_script("const d = document.documentElement; return [d.scrollWidth, d.clientWidth]")
    assert wide <= window
    contrasts = page.execute_script(CONTRASTS)
    assert len(contrasts) > 30
    # WCAG 2.2, 1.4.3: 4.5 for text of this size.
    assert [c for c in contrasts if c[0] < 4.5] == []
    asked = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in asked if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith(("file:", "data:", "about:"))] == []
    assert page.get_log("browser") == []
