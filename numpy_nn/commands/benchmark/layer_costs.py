"""What each layer costs beside its floor: the time in which its arrays could be read and written once, and no more.

Forward reads x and writes y; backward reads x and dL/dy and writes dL/dx: five arrays of the batch. A copy reads one
and writes one, so that the floor is the time of two and a half copies of the batch. Linear, which computes rather than
moves, has its three matrix products for a floor, and the distortion of images one copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

import numpy_nn as nn
from numpy_nn._support.workspace import FloatArray
from numpy_nn.commands.benchmark.report import duration
from numpy_nn.commands.benchmark.timing import Interval, Piece, ratios, run_rounds

COPIES = 2.5
# Of MNIST's images, those of the preset "record".
DISTORTED = {"rotation": 10.0, "scale": 0.1, "shift": 2.0, "alpha": 36.0, "sigma": 6.0}
SIDE = 28


@dataclass(frozen=True)
class Cost:
    """Seconds of a layer's two passes, and both together over the floor, round by round, with the interval of that."""

    name: str
    forward: float
    backward: float
    over_floor: Interval


def layer_costs(batch: int, width: int, dtype: str, rounds: int, sample_seconds: float) -> Iterator[Cost]:
    """The cost of every layer on a batch of that width, as they are measured; the distortion last."""
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal((batch, width)).astype(dtype) for _ in range(2))
    copied = np.empty_like(x)
    copy = Piece(partial(np.copyto, copied, x))

    def measured(name: str, forward: Piece, backward: Piece | None, floor: Piece, floors: float) -> Cost:
        pieces = {"forward": forward, "floor": floor} | ({"backward": backward} if backward else {})
        seconds = run_rounds(pieces, rounds, sample_seconds=sample_seconds)
        back = seconds.get("backward", [0.0] * rounds)
        both = {
            "layer": [a + b for a, b in zip(seconds["forward"], back, strict=True)],
            "floor": [floors * one for one in seconds["floor"]],
        }
        over = ratios(both, "floor")["layer"]
        return Cost(name, float(np.median(seconds["forward"])), float(np.median(back)), over)

    for name, layer in _layers(width, dtype, rng).items():
        layer._forward(x)
        passes = Piece(partial(layer._forward, x)), Piece(partial(layer._backward, grad))
        if isinstance(layer, nn.Linear):
            yield measured(name, *passes, Piece(_products(layer, x, grad)), 1.0)
        else:
            yield measured(name, *passes, copy, COPIES)
    images = rng.random((batch, SIDE, SIDE)).astype(dtype)
    made, distort = np.empty_like(images), nn.Distortion(**DISTORTED, rng=rng)
    name = f"Distortion of {SIDE} x {SIDE}"
    yield measured(name, Piece(partial(distort, images, made)), None, Piece(partial(np.copyto, made, images)), 1.0)


def _layers(width: int, dtype: str, rng: np.random.Generator) -> dict[str, nn.Layer]:
    """Every layer by its name: what normalizes and drops, then the activations."""
    layers: list[nn.Layer] = [
        nn.Linear(width, width, rng=rng, dtype=dtype),
        nn.BatchNorm1d(width, dtype=dtype),
        nn.LayerNorm(width, dtype=dtype),
        nn.Dropout(0.5, rng=rng),
        *(layer().to(dtype) for layer in nn.ACTIVATION_LAYERS.values()),
    ]
    return {type(layer).__name__: layer for layer in layers}


def _products(layer: nn.Linear, x: FloatArray, grad: FloatArray) -> Callable[[], None]:
    y, dw, dx = np.empty_like(grad), np.empty_like(layer.weight.data), np.empty_like(x)

    def products() -> None:
        np.matmul(x, layer.weight.data, out=y)
        np.matmul(x.T, grad, out=dw)
        np.matmul(grad, layer.weight.data.T, out=dx)

    return products


def show(batch: int, width: int, dtype: str, rounds: int, sample_seconds: float, console: Console) -> None:
    """A table of the layers, the dearest beside its floor first."""
    costs = sorted(layer_costs(batch, width, dtype, rounds, sample_seconds), key=lambda cost: -cost.over_floor.median)
    title = f"layers, batch {batch}, width {width}, {dtype}"
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("layer")
    for heading in ("forward", "backward", "over floor", "95% interval"):
        table.add_column(heading, justify="right")
    for cost in costs:
        back = duration(cost.backward) if cost.backward else ""
        over = cost.over_floor
        table.add_row(
            cost.name, duration(cost.forward), back, f"{over.median:.1f}", f"{over.low:.1f} .. {over.high:.1f}"
        )
    console.print(table)
