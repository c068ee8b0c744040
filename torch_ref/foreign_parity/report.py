"""What a comparison of two networks found: a row for each quantity, and where the two part first."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from torch_ref.foreign_parity.sides import Array
from torch_ref.parity import in_columns, shown

SAME, DIFFER, CANNOT_BE_TOLD = "same", "differ", "cannot be told"


@dataclass(frozen=True)
class Comparison:
    """One compared quantity: its worst element, the one with the largest share of what rounding allows.

    ``resolution`` is how far apart rounding may put the two values there; ``derived`` says that it is a derived bound,
    not a measured one. ``untold`` is the number of elements that rounding leaves fewer than half of their digits; if
    the array as a whole has them, its verdict is that of the others. ``digits`` is how many decimal digits of the worst
    element agree, inf where all bits do. ``hint`` says how the two arrays are related, if they differ and are.
    """

    quantity: str
    shape: tuple[int, ...]
    index: tuple[int, ...]
    mine: float
    theirs: float
    difference: float
    resolution: float
    digits: float
    verdict: str
    derived: bool = False
    untold: int = 0
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether the two are the same."""
        return self.verdict == SAME

    @property
    def in_words(self) -> str:
        """The verdict, by what it is told, and of how many numbers it cannot be."""
        words = f"{self.verdict} (bound)" if self.derived else self.verdict
        few = self.untold and self.verdict == SAME
        return f"{words}, but for {self.untold} of {math.prod(self.shape)} too small to tell" if few else words


@dataclass
class NetworkReport:
    """All rows of a comparison, in the order of computation; ``str`` gives a table.

    ``first`` is the quantity at which the two part, "" if they do not; ``cause`` what the gradient checker says of it.
    """

    title: str
    rows: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    first: str = ""
    cause: str = ""

    @property
    def verdict(self) -> str:
        """The worst of the rows' verdicts: "differ", "cannot be told", "same"."""
        verdicts = {row.verdict for row in self.rows}
        return next((one for one in (DIFFER, CANNOT_BE_TOLD) if one in verdicts), SAME if verdicts else CANNOT_BE_TOLD)

    @property
    def ok(self) -> bool:
        """Whether every quantity is the same in both."""
        return self.verdict == SAME

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, quantity: str) -> Comparison:
        """The row of a quantity. KeyError if there is none."""
        for row in self.rows:
            if row.quantity == quantity:
                return row
        raise KeyError(f"{quantity}; there are {', '.join(row.quantity for row in self.rows)}")

    def raise_if_failed(self) -> None:
        """AssertionError with the table unless all is the same."""
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        lines = [("quantity", "shape", "worst at", "mine", "theirs", "difference", "rounding", "digits", "")]
        for r in self.rows:
            digits = "all" if r.digits == math.inf else f"{r.digits:.1f}"
            numbers = (f"{r.mine:.9g}", f"{r.theirs:.9g}", f"{r.difference:.2e}", f"{r.resolution:.2e}", digits)
            lines.append((r.quantity, shown(r.shape), shown(r.index), *numbers, r.in_words))
        hints = dict.fromkeys(row.hint for row in self.rows if row.hint)
        texts = [f"{', '.join(row.quantity for row in self.rows if row.hint == hint)}: {hint}" for hint in hints]
        if self.first:
            texts.append(f"the two part first at the {self.first}{': ' + self.cause if self.cause else ''}")
        counts = {one: sum(row.verdict == one for row in self.rows) for one in (SAME, DIFFER, CANNOT_BE_TOLD)}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        last = f"{len(self.rows)} quantities: {told}"
        return "\n".join([self.title, *in_columns(lines), *texts, *(f"note: {text}" for text in self.notes), last])


def compared(
    quantity: str, mine: Array, theirs: Array, resolution: Array, unit: float, derived: bool, scale: float = 0.0
) -> Comparison:
    """The row of two arrays of one shape that rounding may put ``resolution`` apart.

    Equal values are the same, as are two infinities of one sign and two NaNs. What is within the resolution is the same
    if that leaves the array half of the digits of its precision, whose unit roundoff is ``unit``: if the root mean
    square of the resolution is at most sqrt(unit) times that of the values. Else it cannot be told; unless both are 0
    within a resolution that is as small beside ``scale``, the largest of all gradients, as is that of a bias before a
    normalization.
    """
    with np.errstate(all="ignore"):
        same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
        difference = np.where(same, 0.0, np.abs(mine - theirs))
        share = np.where(same, 0.0, difference / resolution)
        share = np.where(np.isnan(share), np.inf, share)
        beyond = (share > 1.0) | (~same & ~(np.isfinite(mine) & np.isfinite(theirs)))
        size = np.maximum(np.abs(mine), np.abs(theirs))
        # A value that is told to fewer digits counts where it is large, as its part of the whole.
        uncertain = np.where(same, 0.0, resolution)
        blurred = not same.all() and not _norm(uncertain) <= math.sqrt(unit) * _norm(size)
        untold = int(np.sum(uncertain > math.sqrt(unit) * size))
    worst = int(np.argmax(np.where(beyond & ~np.isfinite(difference), np.inf, share)))
    index = tuple(int(i) for i in np.unravel_index(worst, mine.shape)) if mine.ndim else ()
    off, largest = float(difference[index]), float(size[index])
    digits = math.inf if off == 0.0 else max(0.0, -math.log10(off / largest)) if math.isfinite(off) else 0.0
    verdict = DIFFER if beyond.any() else CANNOT_BE_TOLD if blurred else SAME
    zero = verdict == CANNOT_BE_TOLD and bool(np.all(size <= resolution))
    zero &= bool(np.max(uncertain, initial=0.0) <= math.sqrt(unit) * scale)
    if zero:
        verdict, untold = SAME, 0
    hint = "both are 0 but for rounding" if zero else ""
    numbers = (float(mine[index]), float(theirs[index]), off, float(np.asarray(resolution)[index]))
    return Comparison(quantity, mine.shape, index, *numbers, digits, verdict, derived, untold, hint)


def _norm(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
