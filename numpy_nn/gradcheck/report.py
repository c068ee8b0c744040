"""What a check found: an entry for each array, the verdicts, a table, and the diagnosis in words."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field
from typing import Any

RIGHT, CLOSE, WRONG, UNDECIDED = "right", "close", "wrong", "undecided"


class GradientError(AssertionError):
    """Raised by :meth:`GradientReport.raise_if_failed`; the message is the report."""


@dataclass
class Diagnosis:
    """The cause that best explains a wrong gradient, the numbers that speak for it, and what to do.

    ``cause`` is a short name, such as "sign" or "stale_input", or "unknown". ``confident`` is False where nothing
    explains the numbers, where a cause explains those that are wrong but not why others are right, or where more than
    one cause does; ``alternatives`` then names the others.
    """

    cause: str
    statement: str
    evidence: str
    remedy: str
    confident: bool
    alternatives: list[str] = field(default_factory=list)

    @property
    def in_words(self) -> str:
        """The statement, and that it is a guess where it is one; that no cause was found is none."""
        return self.statement if self.confident or self.cause == "unknown" else f"perhaps {self.statement}"


def of_another_shape(expected: tuple[int, ...], got: tuple[int, ...] | None) -> str:
    """What is said of a gradient that has not the shape of what it belongs to."""
    return f"expected a gradient of shape {expected}, got {got}"


@dataclass
class Entry:
    """One array: the claimed gradient against the numerical one.

    ``error`` is the largest difference beyond what the bound allows, or, if there is none, the largest difference;
    ``index``, ``analytic``, ``numerical`` and ``bound`` are those of that coordinate. Counts of coordinates: ``size``
    in all, ``checked``, of these ``wrong``, ``undecided``, and ``kinks``, where the one-sided derivatives differ and
    the claimed one lies between them. ``digits`` is how many digits of every coordinate agree, where the verdict is
    "close", or how many could be told, where the verdict is "right" but the function itself is coarse; else None.
    """

    name: str
    verdict: str
    shape: tuple[int, ...]
    size: int
    checked: int
    wrong: int
    undecided: int
    kinks: int
    error: float
    index: tuple[int, ...] | None
    analytic: float
    numerical: float
    bound: float
    reason: str = ""
    diagnosis: Diagnosis | None = None
    digits: float | None = None

    @property
    def verdict_in_words(self) -> str:
        """The verdict, and for one that holds to some digits only, to how many."""
        return self.verdict if self.digits is None else f"{RIGHT} to {max(1, int(self.digits))} digits"

    @property
    def cause(self) -> str:
        """The cause that the diagnosis names; empty for a gradient that is not wrong."""
        return "" if self.diagnosis is None else self.diagnosis.cause


@dataclass
class GradientReport:
    """The verdict on a target. ``ok`` if every gradient is right and nothing else keeps it from being called so.

    A gradient that agrees to five digits or more, but not to all that could be told, is "close": the formula is right,
    and something small differs between the passes, such as float32 or an epsilon; the entry says what.

    ``problems`` are findings that leave gradients unjudged, such as outputs that no two runs repeat; ``warnings`` are
    things that the code does and should not, though its gradients can be judged, such as changing its input in place;
    ``notes`` are things worth knowing. ``input`` is the name of the entry that also goes by "input".
    """

    target: str
    entries: list[Entry]
    problems: list[str]
    notes: list[str]
    evaluations: int
    seconds: float
    warnings: list[str] = field(default_factory=list)
    input: str = "input"

    @property
    def verdict(self) -> str:
        """As the entries say, the worst: "wrong", "undecided" (also if there is a problem), "close", "right"."""
        verdicts = {entry.verdict for entry in self.entries}
        if WRONG in verdicts:
            return WRONG
        if UNDECIDED in verdicts or self.problems or not self.entries:
            return UNDECIDED
        return CLOSE if CLOSE in verdicts else RIGHT

    @property
    def ok(self) -> bool:
        """Whether the verdict is "right"."""
        return self.verdict == RIGHT

    def __bool__(self) -> bool:
        """``ok``, so that ``assert check_gradients(...)`` says what it seems to say."""
        return self.ok

    def __getitem__(self, name: str) -> Entry:
        """The entry of that name. KeyError if there is none.

        "input" is also that of forward's first argument; the last part of a path is enough where it is the only one.
        """
        for entry in self.entries:
            if entry.name == name or (name == "input" and entry.name == self.input):
                return entry
        inside = [entry for entry in self.entries if entry.name.endswith((f"['{name}']", f".{name}"))]
        if len(inside) == 1:
            return inside[0]
        raise KeyError(f"{name}; there are {', '.join(entry.name for entry in self.entries)}")

    def raise_if_failed(self) -> None:
        """Raise :class:`GradientError`, an AssertionError, with this report, if "wrong" or "undecided"."""
        if self.verdict in (WRONG, UNDECIDED):
            raise GradientError(f"{self.failure}\n{self}")

    @property
    def failure(self) -> str:
        """What is wrong or undecided, in one line, as for the summary of a test run; "" if nothing is."""
        failed = [f"{entry.name} {entry.verdict}" for entry in self.entries if entry.verdict in (WRONG, UNDECIDED)]
        return ", ".join(failed) or next(iter(self.problems), "" if self.entries else "nothing was checked")

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return {"verdict": self.verdict, **asdict(self)}

    def __str__(self) -> str:
        widths = [max(len(row[i]) for row in self._rows()) for i in range(len(_COLUMNS))]
        lines = [f"{self.target}: {self.verdict_in_words.upper()}"]
        for row in self._rows():
            cells = [
                cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        lines += [f"  {text}" for text in self._texts()]
        lines.append(f"  {self.evaluations:,} evaluations, {self.seconds:.2g} s")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *body = self._rows()
        cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
        texts = "".join(f"<p>{html.escape(text)}</p>" for text in self._texts())
        title = html.escape(f"{self.target}: {self.verdict_in_words}")
        return f"<b>{title}</b><table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>{texts}"

    @property
    def verdict_in_words(self) -> str:
        """The verdict, and for one that holds to some digits only, to how many."""
        if self.verdict != CLOSE:
            return self.verdict
        close = (entry for entry in self.entries if entry.verdict == CLOSE)
        return min(close, key=lambda entry: entry.digits or 0.0).verdict_in_words

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [_COLUMNS]
        for e in self.entries:
            where = "" if e.index is None else str(list(e.index))
            numbers = [""] * 4 if e.index is None else [f"{v:.3g}" for v in (e.error, e.bound)]
            if e.index is not None:
                numbers = [f"{e.analytic:.9g}", f"{e.numerical:.9g}", *numbers]
            checked = f"{e.checked:,}" if e.checked == e.size else f"{e.checked:,} of {e.size:,}"
            kinks = f"{e.kinks:,}" if e.kinks else ""
            rows.append((e.name, e.verdict_in_words, where, *numbers, checked, kinks))
        return rows

    def _texts(self) -> list[str]:
        texts = []
        for e in self.entries:
            if e.reason:
                texts.append(f"{e.name}: {e.reason}")
            if e.diagnosis is not None:
                d = e.diagnosis
                texts += [f"{e.name}: {d.in_words}", f"    evidence: {d.evidence}", f"    remedy: {d.remedy}"]
                if d.alternatives:
                    texts.append(f"    the numbers would also fit: {', '.join(d.alternatives)}")
        texts += [f"problem: {text}" for text in [*self.problems, *self.warnings]]
        return texts + [f"note: {text}" for text in self.notes]


_COLUMNS = ("gradient of", "verdict", "worst at", "claimed", "numerical", "error", "bound", "checked", "kinks")
