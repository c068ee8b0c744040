"""The figure of a run of ``train_mnist.py``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator


def draw(rows: Sequence[dict[str, Any]], names: Sequence[str], title: str, path: Path) -> None:
    """Loss, test accuracy and the engines' divergence by epoch."""
    epochs = [row["epoch"] for row in rows]
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
            axis.semilogy(epochs, [row[panel] or math.nan for row in rows], color="black", marker="s")
        else:
            factor = 100 if panel == "test_accuracy" else 1
            for n in names:
                shown = [(row["epoch"], factor * row[n][panel]) for row in rows if row[n][panel] is not None]
                axis.plot(*zip(*shown, strict=True), label=n, **styles[n])
            axis.legend()
        axis.set(xlabel="epoch", title=labels[panel])
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)
