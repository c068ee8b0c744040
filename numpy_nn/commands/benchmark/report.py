"""How results are shown: tables in the terminal and in Markdown, warnings, slopes, and the plot."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from numpy_nn.commands.benchmark.cases import Case, x_value
from numpy_nn.commands.benchmark.engines import FLOOR, OURS
from numpy_nn.commands.benchmark.timing import Interval, Summary, noise_warnings, ratios, slope, summarize

# Colours that the colour-blind tell apart (Okabe and Ito), and marks that do without colour.
STYLES: dict[str, dict[str, Any]] = {
    FLOOR: {"color": "black", "linestyle": "--", "marker": ""},
    "by hand": {"color": "#56B4E9", "marker": "s"},
    OURS: {"color": "#0072B2", "marker": "o", "linewidth": 2.5},
    "torch": {"color": "#E69F00", "marker": "x"},
    "torch.compile": {"color": "#D55E00", "marker": "+"},
    "scikit-learn": {"color": "#009E73", "marker": "v"},
    "jax": {"color": "#CC79A7", "marker": "^"},
    "torch cuda": {"color": "#999999", "marker": "d"},
    "torch cuda graph": {"color": "#444444", "marker": "*"},
}

HEADINGS = (
    "engine",
    "threads",
    "time",
    "quartiles",
    f"over {OURS}",
    "95% interval",
    "over floor",
    "GFLOP/s",
    "of peak",
    "allocated",
)


@dataclass
class Result:
    """What was measured of one case.

    Seconds by engine and round; and by engine the numbers of threads it was timed on, bytes allocated and peak memory.
    """

    case: Case
    seconds: dict[str, list[float]]
    threads: dict[str, list[int]] = field(default_factory=dict)
    allocated: dict[str, int] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def summaries(self) -> dict[str, Summary]:
        """Median and quartiles of each engine's seconds."""
        return {name: summarize(values) for name, values in self.seconds.items()}

    def over(self, reference: str) -> dict[str, Interval]:
        """Each engine's time over that of the reference; empty if the reference was not timed."""
        return ratios(self.seconds, reference) if reference in self.seconds else {}

    def rate(self, name: str) -> float | None:
        """Floating-point operations a second in the products of the case; None for a case without."""
        return self.case.operations / self.summaries()[name].median if self.case.operations else None

    def warnings(self) -> list[str]:
        """What the numbers are to be read with, and what cannot be told apart, if anything."""
        return [f"{self.case.label}: {line}" for line in [*self.notes, *noise_warnings(self.over(OURS), OURS)]]


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= 0.9995 * size:  # which has three digits in the unit below
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 else f"{seconds:.0f} s"
    return f"{seconds / 1e-6:.3g} µs"


def byte_size(size: int) -> str:
    """In B, kB or MB."""
    return f"{size} B" if size < 1000 else f"{size / 1e3:.3g} kB" if size < 1_000_000 else f"{size / 1e6:.4g} MB"


def headings(results: Sequence[Result]) -> list[str]:
    """The columns; that of memory only if it was measured."""
    return [*HEADINGS, *(["memory"] if any(result.memory for result in results) else [])]


def rows(result: Result, peaks: Mapping[str, float], memory: bool = False) -> list[list[str]]:
    """The cells of the case's table, a row for each engine."""
    ours, floor, out = result.over(OURS), result.over(FLOOR), []
    for name, summary in result.summaries().items():
        rate = result.rate(name)
        ratio = ours.get(name)
        cells = [
            name,
            ", ".join(map(str, result.threads.get(name, []))),
            duration(summary.median),
            f"{summary.low / summary.median - 1:+.0%} {summary.high / summary.median - 1:+.0%}",
            f"{ratio.median:.2f}" if ratio else "",
            f"{ratio.low:.2f} .. {ratio.high:.2f}" if ratio and name != OURS else "",
            f"{floor[name].median:.2f}" if name in floor else "",
            f"{rate / 1e9:.3g}" if rate else "",
            f"{rate / peaks[result.case.dtype]:.0%}" if rate and "cuda" not in name else "",
            byte_size(result.allocated[name]) if name in result.allocated else "",
        ]
        if memory:
            cells.append(byte_size(result.memory[name]) if name in result.memory else "")
        out.append(cells)
    return out


def print_result(result: Result, peaks: Mapping[str, float], console: Console) -> None:
    """The case's table in the terminal."""
    table = Table(title=result.case.label, title_justify="left", title_style="bold")
    for index, heading in enumerate(headings([result])):
        table.add_column(heading, justify="left" if index == 0 else "right", no_wrap=True)
    for cells in rows(result, peaks, bool(result.memory)):
        table.add_row(*cells, style="bold" if cells[0] == OURS else "dim" if cells[0] == FLOOR else "")
    console.print(table)


def series(results: Sequence[Result], x: str) -> dict[str, list[Result]]:
    """Results that differ in ``x`` only, by a title that says what they share, each in the order of ``x``."""
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda result: x_value(result.case, x)):
        case = result.case
        parts = [case.kind]
        if x == "batch":
            parts.append("-".join(map(str, case.sizes)))
        if x in ("width", "depth"):
            parts.append(f"batch {case.batch}")
        if case.kind in ("optimizer", "step", "epoch"):
            parts.append(case.optimizer)
        groups.setdefault(", ".join([*parts, case.dtype]), []).append(result)
    return groups


def slopes(results: Sequence[Result], x: str) -> list[dict[str, Any]]:
    """For each series and engine the exponent p in time ~ x^p over all points and over the last two; of operations too.

    Calls cost the same at every size and flatten the curve where sizes are small; the last two points show most of
    how it goes on.
    """
    out = []
    for title, members in series(results, x).items():
        for name in members[-1].seconds:
            points = [
                (x_value(r.case, x), r.summaries()[name].median, r.case.operations)
                for r in members
                if name in r.seconds
            ]
            if len({point[0] for point in points}) < 2:
                continue
            xs, times, operations = zip(*points, strict=True)
            row = {"series": title, "engine": name, "x": x, "points": len(points)}
            for key, values in (("", times), ("operations_", operations)):
                known = all(values)
                row[f"{key}all"] = slope(xs, values) if known else None
                row[f"{key}last"] = slope(xs[-2:], values[-2:]) if known and xs[-1] != xs[-2] else None
            out.append(row)
    return out


def print_slopes(found: Sequence[Mapping[str, Any]], x: str, console: Console) -> None:
    """The slopes in the terminal."""
    if not found:
        return
    table = Table(title=f"time ~ {x}^p", title_justify="left", title_style="bold")
    for index, heading in enumerate(SLOPE_HEADINGS):
        table.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for row in found:
        table.add_row(*_slope_cells(row))
    console.print(table)


SLOPE_HEADINGS = ("series", "engine", "p, all", "p, last two", "operations, all", "operations, last two")


def _slope_cells(row: Mapping[str, Any]) -> list[str]:
    powers = (row["all"], row["last"], row["operations_all"], row["operations_last"])
    return [row["series"], row["engine"], *("" if power is None else f"{power:.2f}" for power in powers)]


def markdown(
    title: str, results: Sequence[Result], peaks: Mapping[str, float], machine: str, x: str, warnings: Sequence[str]
) -> str:
    """The tables, the slopes and the warnings as Markdown."""
    peak = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {dtype}" for dtype, rate in peaks.items())
    lines = [f"# {title}", "", f"{machine}.", "", f"Measured peak of the BLAS: {peak}.", ""]
    columns = headings(results)
    for result in results:
        lines += [
            f"## {result.case.label}",
            "",
            table_line(columns),
            table_line(["---"] + ["---:"] * (len(columns) - 1)),
        ]
        lines += [table_line(cells) for cells in rows(result, peaks, "memory" in columns)] + [""]
    found = slopes(results, x)
    if found:
        lines += [f"## time ~ {x}^p", "", table_line(SLOPE_HEADINGS), table_line(["---"] * 2 + ["---:"] * 4)]
        lines += [table_line(_slope_cells(row)) for row in found] + [""]
    if warnings:
        lines += ["## Warnings", "", *(f"- {line}" for line in warnings), ""]
    return "\n".join(lines)


def table_line(cells: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def to_json(result: Result, peaks: Mapping[str, float]) -> dict[str, Any]:
    """One case with everything measured and derived."""
    case, ours, floor = result.case, result.over(OURS), result.over(FLOOR)
    engines = {}
    for name, summary in result.summaries().items():
        rate = result.rate(name)
        engines[name] = {
            "threads": result.threads.get(name),
            "seconds": result.seconds[name],
            **summary._asdict(),
            "over_numpy_nn": ours[name]._asdict() if name in ours else None,
            "over_floor": floor[name]._asdict() if name in floor else None,
            "flop_per_second": rate,
            "share_of_peak": rate / peaks[case.dtype] if rate and "cuda" not in name else None,
            "bytes_allocated": result.allocated.get(name),
            "peak_memory": result.memory.get(name),
        }
    settings = {name: getattr(case, name) for name in ("kind", "sizes", "batch", "dtype", "optimizer", "rows")}
    return {"case": settings, "label": case.label, "operations": case.operations, "engines": engines}


def draw(results: Sequence[Result], x: str, title: str, path: Path) -> None:
    """Time against ``x``, both logarithmic: a panel for each series, a line for each engine, the floor dashed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    groups = series(results, x)
    # A single point is no line, and the tables have it; unless there is nothing else.
    lines_only = {name: members for name, members in groups.items() if len(members) > 1}
    groups = lines_only or groups
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    size = (4.8 * columns, 3.8 * lines + 0.6)
    figure, axes = plt.subplots(lines, columns, figsize=size, layout="constrained", squeeze=False)
    for axis, (name, members) in zip(axes.flat, groups.items(), strict=False):
        _draw_series(axis, members, lambda case: x_value(case, x))
        axis.set(title=name, xlabel=x, ylabel="seconds")
    for axis in axes.flat[len(groups) :]:
        axis.set_visible(False)
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, len(handles)))
    # A letter of nine points takes about a fifteenth of an inch.
    lines_of_title = [part for line in title.splitlines() for part in textwrap.wrap(line, int(15 * size[0]))]
    figure.suptitle("\n".join(lines_of_title), fontsize=9)
    figure.savefig(path, dpi=120, format="png")
    plt.close(figure)


def _draw_series(axis: Any, members: Sequence[Result], x: Callable[[Case], int]) -> None:
    for name in dict.fromkeys(name for result in members for name in result.seconds):
        points = [(x(r.case), r.summaries()[name]) for r in members if name in r.seconds]
        style = dict(STYLES.get(name, {}))
        if len(points) == 1:
            style["marker"] = style.get("marker") or "_"
        axis.plot([p for p, _ in points], [s.median for _, s in points], label=name, **style)
        quartiles = [s.low for _, s in points], [s.high for _, s in points]
        axis.fill_between([p for p, _ in points], *quartiles, color=style.get("color"), alpha=0.15, linewidth=0)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.grid(alpha=0.3, which="both")
