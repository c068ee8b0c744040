"""Where two networks part, and why: how the two arrays are related, and what the gradient checker says of them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from numpy_nn.gradcheck import GradientReport, check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG
from numpy_nn.subjects import Subject
from torch_ref.foreign_parity.report import DIFFER, Comparison
from torch_ref.foreign_parity.sides import LOSS, OUTPUT, Array, Side, gradient_of

# Coordinates of each array that the checker looks at one by one; the others it checks together.
SAMPLES = 200


def relation(mine: Array, theirs: Array, resolution: Array, rows: int) -> str:
    """How mine is theirs, in words: a factor, or transposed; "" if it is neither.

    A factor is a fraction of whole numbers, which both arrays then bear out within the resolution.
    """
    with np.errstate(all="ignore"):
        square = float(np.sum(theirs * theirs))
        factor = float(np.sum(mine * theirs)) / square if square > 0.0 else 0.0
        if not np.isfinite(factor) or factor == 0.0:
            return ""
        for simple in _simple(factor, rows):
            value = float(simple)
            if np.all(np.abs(mine - value * theirs) <= max(1.0, abs(value)) * resolution):
                return f"mine is {_in_words(simple, rows)}"
        if mine.ndim == 2 and mine.shape[0] == mine.shape[1] and np.all(np.abs(mine - theirs.T) <= resolution):
            return "mine is theirs transposed"
    return ""


def _simple(factor: float, rows: int) -> list[Fraction]:
    found = [Fraction(factor).limit_denominator(max(64, 2 * rows))]
    if abs(factor) < 1.0:
        found.append(1 / Fraction(1.0 / factor).limit_denominator(64))
    return [one for one in dict.fromkeys(found) if one and one.denominator <= 10**6]


def _in_words(factor: Fraction, rows: int) -> str:
    if factor == -1:
        return "the negative of theirs"
    text = f"{factor} times theirs"
    if rows > 1 and factor == rows:
        return f"{text}, and {rows} is the number of rows: a sum where the other takes the mean"
    if rows > 1 and factor == Fraction(1, rows):
        return f"{text}, and {rows} is the number of rows: a mean where the other takes the sum"
    return text


def first_parting(rows: Sequence[Comparison], mine: Side) -> str:
    """The first quantity, as they are computed, that differs: output, loss, then gradients from the loss back."""
    differ = {row.quantity for row in rows if row.verdict == DIFFER}
    backward = [gradient_of(name) for name in reversed(mine.parameters)]
    forward = [row.quantity for row in rows if row.quantity not in backward]
    ordered = [name for name in forward if name != gradient_of(mine.network.input) and " after " not in name]
    ordered += [*backward, gradient_of(mine.network.input)]
    return next((name for name in [*ordered, *(row.quantity for row in rows)] if name in differ), "")


def cause_of(quantity: str, mine: Side, theirs: Side, their_names: dict[str, str]) -> str:
    """What the checker says where a gradient parts from theirs: whose is wrong, and why."""
    if quantity in (OUTPUT, LOSS):
        return "the forward passes differ, so that their gradients need not agree"
    name = quantity.removeprefix(gradient_of(""))
    if " after " in quantity:
        return "all gradients agree; the steps differ"
    if name not in mine.network.arrays:
        own = check_gradients(mine.loss, samples=SAMPLES) if mine.loss is not None else None
        return "" if own is None else _said(own, own.entries[0].name if own.entries else "", "my loss")
    words = _said(_checked(mine.network), name, "mine")
    if words.startswith("the checker finds mine wrong") or name not in their_names:
        return words
    return f"{words}; {_said(_checked(theirs.network), their_names[name], 'theirs')}"


def _checked(subject: Subject) -> GradientReport:
    return check_gradients(subject, samples=SAMPLES)


def _said(report: GradientReport, name: str, whose: str) -> str:
    entry = next((entry for entry in report.entries if entry.name == name), None)
    if entry is None:
        return f"the checker could not look at {whose}"
    if entry.verdict == WRONG and entry.diagnosis is not None:
        return f"the checker finds {whose} wrong: {entry.diagnosis.cause}, {entry.diagnosis.in_words}"
    if entry.verdict == RIGHT:
        return f"the checker finds {whose} right, as the gradient of its own forward pass"
    return f"the checker finds {whose} {entry.verdict_in_words}"
