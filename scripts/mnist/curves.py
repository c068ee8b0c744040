"""The figure of a run of ``train_mnist.py``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# So many marks on a curve, at most.
MARKS = 25


def draw(
    rows: Sequence[dict[str, Any]], names: Sequence[str], title: str, path: Path, tutorial: Mapping[int, float]
) -> None:
    """Loss, test accuracy and the engines' divergence by epoch; the losses of the ``tutorial``, if any, beside ours."""
    # Here, as a process that only trains waits for no matplotlib.
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in rows]
    every = math.ceil(len(rows) / MARKS)
    panels = ["train_loss", "test_accuracy"] + ["largest_difference"] * (len(names) == 2)
    labels = {"train_loss": "training loss", "test_accuracy": "test accuracy (%)"}
    labels["largest_difference"] = "largest difference of two parameters"
    # Colours that the colour-blind tell apart (Okabe and Ito), and marks that do without colour.
    styles: dict[str, dict[str, Any]] = {
        "numpy": {"color": "#0072B2", "marker": "o", "markersize": 9, "linewidth": 3},
        "torch": {"color": "#E69F00", "marker": "x", "linestyle": "--"},
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.6), layout="constrained")
    for panel, axis in zip(panels, axes, strict=True):
        if panel == "largest_difference":
            axis.semilogy(epochs, [row[panel] or math.nan for row in rows], color="black", marker="s", markevery=every)
        else:
            factor = 100 if panel == "test_accuracy" else 1
            for n in names:
                shown = [(row["epoch"], factor * row[n][panel]) for row in rows if row[n][panel] is not None]
                axis.plot(*zip(*shown, strict=True), label=n, markevery=math.ceil(len(shown) / MARKS), **styles[n])
            if tutorial and panel == "train_loss":
                known = [(epoch, loss) for epoch, loss in tutorial.items() if epoch <= epochs[-1]]
                axis.plot(*zip(*known, strict=True), "D", color="#D55E00", markeredgecolor="black", label="tutorial")
                axis.set_yscale("log")  # from 80 to a hundredth
            axis.legend()
        axis.set(xlabel="epoch", title=labels[panel])
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)
