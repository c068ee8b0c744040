"""Points in the plane with their classes, for a network of two inputs: made, or read from a file."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.commands.trace.arguments import MAX_POINTS, MAX_UNITS
from numpy_nn.data import datasets

LARGEST = 1_000_000  # that the page takes for a number

Points = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]


def quadrants(n: int, rng: np.random.Generator) -> Points:
    """Exclusive or, with points all over the square [-1, 1]^2: class 1 where the coordinates' signs differ."""
    x = rng.uniform(-1, 1, (n, 2))
    return x, (x[:, 0] * x[:, 1] < 0).astype(np.int64)


def moons(n: int, rng: np.random.Generator) -> Points:
    """Two interleaved half circles."""
    return datasets.moons(n, rng=rng, dtype=np.float64)


def spirals(n: int, rng: np.random.Generator) -> Points:
    """Two arms that wind out from the origin."""
    return datasets.spirals(n, 2, 0.1, rng=rng, dtype=np.float64)


def circles(n: int, rng: np.random.Generator) -> Points:
    """Class 1 in the middle, class 0 in a ring around it, with room between them."""
    y = np.arange(n) % 2
    radius = np.where(y == 1, 0.45 * np.sqrt(rng.uniform(size=n)), rng.uniform(0.7, 1.0, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), y


MADE: dict[str, Callable[[int, np.random.Generator], Points]] = {
    "xor": quadrants,
    "moons": moons,
    "spirals": spirals,
    "circles": circles,
}


def is_number(text: str) -> bool:
    """Whether this is a number as CSV files write it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def points(source: str, n: int, seed: int) -> Points:
    """``n`` points of the set that ``source`` names, with two decimals, or all points of that CSV file.

    Returns x, of shape (n, 2) in float64, and the classes y, whole numbers from 0 on. ValueError for a file that has no
    such lines, or too many.
    """
    if source not in MADE:
        return read(Path(source))
    if n < 2:
        raise ValueError(f"--batch: expected 2 to {MAX_POINTS} points of {source}, got {n}")
    x, y = MADE[source](n, np.random.default_rng(seed))
    return x.round(2), y


def read(path: Path) -> Points:
    """The points of a CSV file: in each line x, y and the class, a whole number from 0 on; the first may have names.

    ValueError, with the line, for anything else, and for coordinates that the page could not change (beyond a million).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # some programs begin a file with a byte order mark
            lines = [line for line in csv.reader(file) if line]
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path}: expected text in UTF-8, in each line x, y and a class") from None
    found = []
    for k, line in enumerate(lines, start=1):
        try:
            first, second, label = map(float, line)
        except ValueError:
            if k == 1 and not any(map(is_number, line)):
                continue
            raise ValueError(f"{path}, line {k}: expected x, y and a class, got {','.join(line)!r}") from None
        in_range = all(abs(number) <= LARGEST for number in (first, second)) and 0 <= label < MAX_UNITS
        if not (in_range and label == int(label)):
            wanted = f"two numbers, at most {LARGEST:,}, and a class from 0 to {MAX_UNITS - 1}"
            raise ValueError(f"{path}, line {k}: expected {wanted}, got {','.join(line)!r}")
        found.append((first, second, int(label)))
    if not 2 <= len(found) <= MAX_POINTS:
        raise ValueError(f"{path}: expected 2 to {MAX_POINTS} points, got {len(found)}")
    table = np.array(found)
    return table[:, :2].copy(), table[:, 2].astype(np.int64)
