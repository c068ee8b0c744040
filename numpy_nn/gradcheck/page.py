"""A report to keep or hand on: a small HTML page that needs nothing else, and strict JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from numpy_nn.gradcheck.report import CLOSE, RIGHT, Diagnosis, Entry, GradientReport

HOLDS = (RIGHT, CLOSE)


def to_json(report: GradientReport) -> str:
    """``report.to_dict()`` as JSON. What JSON has no numbers for are the strings "NaN", "Infinity" and "-Infinity"."""
    return json.dumps(_strict(report.to_dict()), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def to_html(report: GradientReport) -> str:
    """The report as a page of its own. What fails is open, what holds can be opened."""
    shown = "".join(_entry(entry) for entry in sorted(report.entries, key=lambda entry: entry.verdict in HOLDS))
    findings = [("Problems", report.problems), ("Beside the gradients", report.warnings), ("Notes", report.notes)]
    return _PAGE.format(
        title=escape(f"{report.target}: {report.verdict_in_words}"),
        style=_STYLE,
        target=escape(report.target),
        verdict=_badge(report),
        cost=escape(f"{report.evaluations:,} evaluations, {report.seconds:.2g} s"),
        entries=shown,
        findings="".join(_list(heading, texts) for heading, texts in findings),
    )


def _badge(judged: Entry | GradientReport) -> str:
    return f'<span class="verdict {escape(judged.verdict)}">{escape(judged.verdict_in_words)}</span>'


def _entry(entry: Entry) -> str:
    numbers = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in _numbers(entry))
    reason = f"<p>{escape(entry.reason)}</p>" if entry.reason else ""
    cause = "" if entry.diagnosis is None else _diagnosis(entry.diagnosis)
    opened = "" if entry.verdict in HOLDS else " open"
    heading = f"<summary><code>{escape(entry.name)}</code> {_badge(entry)}</summary>"
    return f"<details{opened}>{heading}{reason}{cause}<dl>{numbers}</dl></details>\n"


def _numbers(entry: Entry) -> Iterator[tuple[str, str]]:
    yield "shape", str(entry.shape)
    yield "checked", f"{entry.checked:,}" if entry.checked == entry.size else f"{entry.checked:,} of {entry.size:,}"
    if entry.kinks:
        yield "kinks", f"{entry.kinks:,}"
    if entry.index is not None:
        yield "worst at", str(list(entry.index))
        yield "claimed", f"{entry.analytic:.9g}"
        yield "numerical", f"{entry.numerical:.9g}"
        yield "error", f"{entry.error:.3g}"
        yield "bound", f"{entry.bound:.3g}"


def _diagnosis(diagnosis: Diagnosis) -> str:
    lines = [f"<p><strong>{escape(diagnosis.in_words)}</strong></p>"]
    lines += [
        f"<p>{name}: {escape(text)}</p>"
        for name, text in [
            ("Evidence", diagnosis.evidence),
            ("Remedy", diagnosis.remedy),
            ("The numbers would also fit", ", ".join(diagnosis.alternatives)),
        ]
        if text
    ]
    return "".join(lines)


def _list(heading: str, texts: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<h2>{heading}</h2>\n<ul>{items}</ul>\n" if texts else ""


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1><code>{target}</code> {verdict}</h1>
<p>Claimed gradients against numerical derivatives: {cost}</p>
{entries}{findings}</main>
</body>
</html>
"""

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1b1f; --faint: #55555e; --line: #d5d5dc;
  --right: #17612c; --wrong: #a3171f; --other: #704b00; }
@media (prefers-color-scheme: dark) { :root { --paper: #17171b; --ink: #ececf1; --faint: #a9a9b5; --line: #3d3d47;
  --right: #7fd896; --wrong: #ff9d9a; --other: #f2c55c; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 48rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; }
code { font-family: ui-monospace, monospace; }
details { border-top: 1px solid var(--line); padding: 0.5rem 0; }
summary { cursor: pointer; }
.verdict { color: var(--other); font-weight: 700; }
.verdict.right, .verdict.close { color: var(--right); } .verdict.wrong { color: var(--wrong); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 0.5rem; }
dt { color: var(--faint); font-size: 0.875rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
"""
