"""What the lessons draw with: one style, the same marks for the same things, nothing told by colour alone.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), which colour-blind readers tell apart; in
grey, class and curve are told by marker, filling, line style and lightness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from numpy.typing import NDArray

Array = NDArray[Any]

BLUE, ORANGE, GREEN, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#56B4E9"
BLACK, GREY = "#222222", "#8A8A8A"

# Curves in this order differ in colour and in dashes; ours is drawn solid and light, torch's dashed over it.
CURVES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": (0, (5, 2))},
    {"color": BLACK, "linestyle": (0, (1, 1.5))},
    {"color": GREEN, "linestyle": (0, (6, 2, 1, 2))},
    {"color": PURPLE, "linestyle": (0, (2, 1))},
    {"color": GREY, "linestyle": "-"},
)

# The two directions of a network: values go forward, gradients back.
FORWARD: dict[str, Any] = {"color": BLUE, "linestyle": "-"}
BACKWARD: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (4, 2))}

# The classes of the first lessons.
CLASSES = ("class $-1$", "class $+1$")

# Class -1 or 0: open orange squares on a light ground. Class 1: filled blue circles on a darker one.
MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "s", "facecolor": "white", "edgecolor": ORANGE},
    {"marker": "o", "facecolor": BLUE, "edgecolor": BLUE},
)
GROUND = ListedColormap(["#FDF0E6", "#BCD6E8"])

STYLE: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "image.cmap": "gray",
}


def panels(rows: int = 1, columns: int = 1, width: float = 4.0, height: float = 3.6) -> tuple[Figure, Any]:
    """A figure and its array of axes, of shape (rows, columns); ``width`` and ``height`` of one panel in inches."""
    plt.style.use(STYLE)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False)
    return figure, axes


def plane(axes: Axes, low: float, high: float, title: str = "", names: tuple[str, str] = ("$x_1$", "$x_2$")) -> None:
    """A square piece of the plane with its axes named."""
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=names[0], ylabel=names[1], title=title, aspect="equal")
    axes.locator_params(nbins=5)


def points(axes: Axes, x: Array, y: Array, names: tuple[str, str] = CLASSES, size: float = 60.0) -> None:
    """Points in the plane, class -1 (or 0) as open squares and class +1 as filled circles."""
    for mark, name, chosen in zip(MARKS, names, (y <= 0, y > 0), strict=True):
        axes.scatter(x[chosen, 0], x[chosen, 1], s=size, linewidths=1.8, zorder=3, label=name, **mark)


def line(axes: Axes, weight: Array, bias: float, **style: Any) -> None:
    """The line w . x + b = 0 across the axes; nothing where w is 0, which defines no line."""
    norm = float(np.linalg.norm(weight))
    if norm == 0.0:
        return
    foot = -bias * weight / norm**2
    along = np.array([-weight[1], weight[0]]) / norm
    ends = np.array([foot - 100.0 * along, foot + 100.0 * along])
    limits = axes.axis()
    axes.plot(ends[:, 0], ends[:, 1], **({"color": BLACK} | style))
    axes.axis(limits)


def regions(axes: Axes, decide: Callable[[Array], Array], grid: int = 200) -> None:
    """The ground on which ``decide`` is positive, darker; the border between, as a line.

    ``decide`` takes points of shape (n, 2) and returns one number for each.
    """
    left, right, low, high = axes.axis()
    u, v = np.meshgrid(np.linspace(left, right, grid), np.linspace(low, high, grid))
    value = decide(np.stack([u.ravel(), v.ravel()], axis=1)).reshape(u.shape)
    axes.contourf(u, v, value > 0, levels=[-0.5, 0.5, 1.5], cmap=GROUND, zorder=0)
    if value.min() <= 0.0 < value.max():
        axes.contour(u, v, value, levels=[0.0], colors=BLACK, linewidths=1.5)
    else:
        axes.text(0.04, 0.04, "the line lies outside", transform=axes.transAxes, style="italic")
    axes.grid(False)


def classifier(axes: Axes, decide: Callable[[Array], Array], x: Array, y: Array) -> None:
    """What ``decide`` makes of a piece of the plane, and the points that it should tell apart."""
    regions(axes, decide)
    points(axes, x, y)


def walk(axes: Axes, states: Array) -> None:
    """Weights (w_1, w_2, b) that walk through the plane of w from 0 on, an arrow a step, b beside where they arrive."""
    for start, end in pairwise(np.vstack([np.zeros(3), states])):
        axes.annotate("", end[:2], start[:2], arrowprops={"arrowstyle": "-|>", "shrinkA": 5, "shrinkB": 5, "lw": 1.8})
    middle = states[:, :2].mean(axis=0)
    for w, b in zip(states[:, :2], states[:, 2], strict=True):
        axes.plot(*w, "o", color=BLACK)
        outwards = np.array([28.0, 18.0]) * (w - middle)
        axes.annotate(f"$b = {b:.0f}$", w, outwards, textcoords="offset points", ha="center", va="center")


def names_beside(axes: Axes, x: Array, names: Sequence[str]) -> None:
    """A name beside each point, on the side towards the middle of the plane."""
    for point, name in zip(x, names, strict=True):
        side, away = ("left", 10) if point[0] < 0 else ("right", -10)
        axes.annotate(name, point, (away, 4), textcoords="offset points", fontsize=9, ha=side)


def images(axes: Array, pixels: Array, titles: Sequence[str] = ()) -> None:
    """Images of 28 x 28 pixels from 0 to 1, dark on light, one for each axes."""
    for ax, image in zip(axes.flat, pixels, strict=True):
        ax.imshow(image.reshape(28, 28), cmap="gray_r", vmin=0.0, vmax=1.0)
        ax.set_axis_off()
    for ax, title in zip(axes.flat, titles, strict=False):
        ax.set_title(title, loc="center", fontsize=9, fontweight="normal")


def weights(axes: Axes, images: Array, columns: int) -> None:
    """28 x 28 weights as images, in rows of ``columns``, on one scale about 0: the darker the lower."""
    # The one weight in two hundred that is largest may be cut off, so that it does not turn all others to grey.
    limit = float(np.quantile(np.abs(images), 0.995))
    # One picture of all, since sixty-four axes take seconds; what is not a number stays white.
    framed = np.pad(images.reshape(-1, columns, 28, 28), ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=np.nan)
    shown = axes.imshow(
        framed.swapaxes(1, 2).reshape(-1, 32 * columns), cmap="cividis", vmin=-limit, vmax=limit, interpolation="none"
    )
    axes.set_axis_off()
    axes.figure.colorbar(shown, ax=axes, label="weight", extend="both")


def table(axes: Axes, counts: Array, title: str, names: tuple[str, str]) -> None:
    """A matrix of counts as numbers; off the diagonal, the larger the darker."""
    wrong = counts.astype(float)
    np.fill_diagonal(wrong, 0.0)
    axes.imshow(wrong, cmap="Greys", vmax=2.0 * wrong.max())
    for (row, column), value in np.ndenumerate(counts):
        weight = "bold" if row == column else "normal"
        axes.text(column, row, str(value), ha="center", va="center", fontsize=8, fontweight=weight)
    axes.set(xticks=range(len(counts)), yticks=range(len(counts)), xlabel=names[0], ylabel=names[1], title=title)
    axes.grid(False)


def cells(axes: Axes, array: Array, title: str, rows: str = "") -> None:
    """A matrix as cells with their numbers, the darker the lower; 0 lies in the middle of the scale.

    ``rows`` is what a row is: "sample", say, numbers them as sample 0, sample 1, ... A vector is one row.
    """
    shape, array = array.shape, np.atleast_2d(array)
    limit = float(np.abs(array).max()) or 1.0
    axes.imshow(array, cmap="cividis", vmin=-limit, vmax=limit, aspect="auto")
    for (row, column), value in np.ndenumerate(array):
        colour = "white" if value < -0.1 * limit else "black"
        text = f"{value:.3f}" if value else "0"  # a 0 that is exact looks different from a small number
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set(xticks=[], yticks=[], title=f"{title}  {shape}")
    if rows:
        axes.set_yticks(range(len(array)), [f"{rows} {row}" for row in range(len(array))], fontsize=8)
        axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.grid(False)


def arrow_between(start: Axes, end: Axes, **style: Any) -> None:
    """An arrow from one panel to the next one in its row, on either side."""
    forwards = start.get_position().x0 < end.get_position().x0
    leaves, arrives = ((1.02, 0.5), (-0.02, 0.5)) if forwards else ((-0.02, 0.5), (1.02, 0.5))
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 16, "linewidth": 2.0, "clip_on": False}
    start.figure.add_artist(
        ConnectionPatch(leaves, arrives, start.transAxes, end.transAxes, axesA=start, axesB=end, **arrow, **style)
    )


def chain(
    axes: Axes, values: Sequence[str], steps: Sequence[str], back: Sequence[str], parameters: Sequence[str]
) -> None:
    """The two directions of a network: its arrays from left to right, their gradients below from right to left.

    An array has a box for its value and, but for the last, the loss, one for its gradient. ``steps`` and ``back`` are
    what happens between neighbours, forward and back; ``parameters``, below, the gradients that branch off at the
    array on the right of each step, empty where there are none.
    """
    box = {"boxstyle": "round,pad=0.45", "facecolor": "white", "linewidth": 1.8}
    gap = 0.22
    for place, value in enumerate(values):
        last = place + 1 == len(values)
        axes.text(place, 1.0, value, ha="center", va="center", bbox=box | {"edgecolor": BLUE}, fontsize=12)
        gradient = r"$\bar L = 1$" if last else rf"$\bar{{{value[1]}}}{value[2:-1]}$"
        dashed = box | {"edgecolor": ORANGE, "linestyle": "--"}
        axes.text(place, 0.0, gradient, ha="center", va="center", bbox=dashed, fontsize=12)
    for place, (forward, backward, below) in enumerate(zip(steps, back, parameters, strict=True)):
        arrow = {"arrowstyle": "-|>", "mutation_scale": 16, "lw": 2.0}
        axes.annotate("", (place + 1 - gap, 1.0), (place + gap, 1.0), arrowprops=arrow | FORWARD)
        behind = place + 1 - gap - 0.05 * (place + 2 == len(values))
        axes.annotate("", (place + gap, 0.0), (behind, 0.0), arrowprops=arrow | BACKWARD)
        axes.text(place + 0.5, 1.14, forward, ha="center", va="bottom", color=BLUE)
        axes.text(place + 0.5, 0.14, backward, ha="center", va="bottom", color=ORANGE)
        if below:
            axes.annotate("", (place + 1, -0.62), (place + 1, -0.2), arrowprops=arrow | BACKWARD)
            axes.text(place + 1, -0.68, below, ha="center", va="top", color=ORANGE)
    axes.set(xlim=(-0.4, len(values) - 0.6), ylim=(-1.15, 1.5))
    axes.set_axis_off()


def network(axes: Axes, sizes: Sequence[int], captions: Sequence[str], between: Sequence[str]) -> None:
    """Layers of units as columns of circles, every edge between neighbours; a caption below each layer and gap."""
    tallest = max(sizes)
    for layer, size in enumerate(sizes):
        heights = np.arange(size) - (size - 1) / 2
        if layer + 1 < len(sizes):
            following = np.arange(sizes[layer + 1]) - (sizes[layer + 1] - 1) / 2
            for low in heights:
                for high in following:
                    axes.plot([layer, layer + 1], [low, high], color=GREY, linewidth=0.7, zorder=1)
            axes.text(layer + 0.5, tallest / 2 + 0.15, between[layer], ha="center", va="bottom")
        axes.scatter(np.full(size, layer), heights, s=420, facecolor="white", edgecolor=BLUE, linewidths=1.8, zorder=2)
        axes.text(layer, -tallest / 2 - 0.15, captions[layer], ha="center", va="top")
    axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(-tallest / 2 - 0.9, tallest / 2 + 0.9))
    axes.set_axis_off()
