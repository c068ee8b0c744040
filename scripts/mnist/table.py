"""What a run prints: a row for each epoch, and what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.commands.machine.threads import describe
from scripts.mnist.recipe import Recipe


def largest_difference(a: dict[str, NDArray[Any]], b: dict[str, NDArray[Any]]) -> float:
    """The largest distance between two parameters of the same name and index."""
    return max(float(np.abs(a[name].astype(np.float64) - b[name]).max()) for name in a)


def header(names: Sequence[str], tutorial: Mapping[int, float]) -> str:
    """The head of the table that :func:`format_row` fills."""
    cells = ["epoch", *(f"{n} loss" for n in names), *["tutorial"] * bool(tutorial)]
    cells += [f"{n} test" for n in names] + [f"{n} time" for n in names]
    return "  ".join(f"{cell:>11}" for cell in cells) + ("   largest difference" if len(names) == 2 else "")


def format_row(row: dict[str, Any], names: Sequence[str], tutorial: Mapping[int, float]) -> str:
    """One epoch: loss, test accuracy and seconds of each engine, and how far their parameters are apart.

    A column has the losses of the ``tutorial`` by epoch, if there are any.
    """
    cells = [f"{row['epoch']}", *(f"{row[n]['train_loss']:.6f}" for n in names)]
    if tutorial:
        cells.append(f"{tutorial[row['epoch']]:.4f}" if row["epoch"] in tutorial else "")
    cells += [f"{row[n]['test_accuracy']:.2%}" for n in names] + [f"{row[n]['seconds']:.3f} s" for n in names]
    return "  ".join(f"{c:>11}" for c in cells) + (f"{row['largest_difference']:>21.2e}" if len(names) == 2 else "")


def images(recipe: Recipe) -> str:
    """What the run is judged by."""
    return f"{recipe.held_out:,} held-out training images" if recipe.held_out else "test images"


def threads_used(rows: Sequence[dict[str, Any]], name: str) -> Counter[int]:
    """How many steps of the engine were taken with which number of threads; nothing where it was fixed."""
    used: Counter[int] = Counter()
    for row in rows:
        used.update({int(number): steps for number, steps in row[name].get("threads", {}).items()})
    return used


def on_threads(rows: Sequence[dict[str, Any]], name: str) -> str:
    """The same in words."""
    used = threads_used(rows, name)
    return f"; threads: {describe(used)}" if used else ""


def summarize(rows: Sequence[dict[str, Any]], names: Sequence[str], device: str, judged_by: str) -> str:
    """What came out, in a few lines."""
    seconds = {n: float(np.median([row[n]["seconds"] for row in rows])) for n in names}
    lines = []
    for n in names:
        where = f" on {device}" if n == "torch" else ""
        # Of --every so many, a run that was interrupted may have some at its end that were not judged.
        accuracy = [row[n]["test_accuracy"] for row in rows if row[n]["test_accuracy"] is not None][-1]
        line = f"{n}{where}: {accuracy:.2%} of the {judged_by}, {seconds[n]:.3f} s an epoch (median)"
        lines.append(line + on_threads(rows, n))
    if len(names) == 2:
        # An epoch of a few images may be over before the clock has moved.
        ratios = [row["torch"]["seconds"] / row["numpy"]["seconds"] for row in rows if row["numpy"]["seconds"]]
        difference = max(row["largest_difference"] for row in rows)
        if ratios:
            lines.append(f"torch takes {np.median(ratios):.2f} times as long as numpy (median of the epochs' ratios)")
        lines.append(f"largest difference between two parameters in any epoch: {difference:.2e}")
    return "\n".join(lines)


def over_seeds(runs: Sequence[Sequence[dict[str, Any]]], judged_by: str) -> str:
    """Accuracy and seconds of training of several runs."""
    lines = []
    for name in (n for n in ("numpy", "torch") if n in runs[0][0]):
        accuracy = np.array([rows[-1][name]["test_accuracy"] for rows in runs])
        spread = accuracy.std(ddof=1) if len(runs) > 1 else 0.0
        seconds = [sum(row[name]["seconds"] for row in rows) for rows in runs]
        good = np.sum(accuracy >= 0.98)
        lines.append(
            f"{name}, {len(runs)} seed{'s' * (len(runs) > 1)}: {accuracy.mean():.2%} of the {judged_by}, spread "
            f"{spread:.2%} ({accuracy.min():.2%} .. {accuracy.max():.2%}, {good} of {len(runs)} at 98% or more) "
            f"in {np.median(seconds):.3f} s of training (median)"
        )
    return "\n".join(lines)
