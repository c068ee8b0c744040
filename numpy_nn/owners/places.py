"""Where batches lie in shared memory: places enough to gather the next one while others still read the last two."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.data.batches import DataLoader

PLACES = 3


class Gathered(NamedTuple):
    """A batch that lies in a place, and the rows of a loader that it was made of."""

    place: int
    rows: Any
    x: FloatArray
    y: NDArray[Any]


class Places:
    """The places, as process 0 fills them: ``x[place]`` and ``y[place]`` have room for a batch each.

    The others may read the last batch until the first meeting of the next one, and the one before until the last one's.
    """

    def __init__(self, x: FloatArray, y: NDArray[Any]) -> None:
        self._x, self._y = x, y
        self._last = self._before = -1
        self._given: Gathered | None = None  # somebody has this, and has not trained on it yet
        self._ahead: Gathered | None = None  # nobody has this yet

    def gather(self, loader: DataLoader, rows: Any) -> tuple[FloatArray, NDArray[Any]]:
        """These rows of a loader, in a place, unless they are there already."""
        given, self._given, self._ahead = self._ahead, None, None
        if given is None or given.rows is not rows:
            given = self._gathered(self._free(), loader, rows)
        self._given = given
        return given.x, given.y

    def gather_ahead(self, loader: DataLoader, rows: Any) -> None:
        """The same before somebody asks for them, at a meeting of the last batch; nothing if there is no place."""
        place = self._free(self._before)
        self._ahead = None if place is None else self._gathered(place, loader, rows)

    def take(self, x: FloatArray, y: NDArray[Any]) -> int:
        """The place in which this batch lies from now on: its own, if it was gathered."""
        given = self._given
        if given is not None and (x is given.x or y is given.y):
            place, self._given = given.place, None
        else:
            self._ahead = given = None
            place = self._free()
        if given is None or x is not given.x:
            self._x[place, : len(x)] = x
        if given is None or y is not given.y:
            self._y[place, : len(y)] = y
        self._before, self._last = self._last, place
        return place

    def _free(self, *others: int) -> Any:
        """A place that nobody reads, and nobody has; None if there is none."""
        taken = {self._last, *others, *(one.place for one in (self._given, self._ahead) if one is not None)}
        return next((place for place in range(PLACES) if place not in taken), None)

    def _gathered(self, place: int, loader: DataLoader, rows: Any) -> Gathered:
        index = np.arange(*rows.indices(len(loader.x))) if isinstance(rows, slice) else rows
        # Every row exists; the mode spares NumPy a copy made in case one does not.
        x, y = (
            source.take(index, axis=0, out=places[place, : len(index)], mode="clip")
            for source, places in ((loader.x, self._x), (loader.y, self._y))
        )
        return Gathered(place, rows, x, y)
