"""Where batches lie in shared memory: places enough to gather the next one while others still read the last two."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.workspace import FloatArray
from numpy_nn.data.batches import DataLoader

PLACES = 4
# Of these the reader may have so many, so that there is one for a batch that is not in a place yet, beside the last.
HELD = PLACES - 2


class Gathered(NamedTuple):
    """A batch that lies in a place, and the rows of a loader that it was made of."""

    place: int
    rows: Any
    x: FloatArray
    y: NDArray[Any]


class Places:
    """The places, as process 0 fills them: ``x[place]`` and ``y[place]`` have room for a batch each.

    The others may read the last batch until the first meeting of the next one, and the batch before it until the first
    meeting of the last.
    What was given to the reader is his as long as he has any view of it.
    """

    def __init__(self, x: FloatArray, y: NDArray[Any]) -> None:
        self._x, self._y = x, y
        self._last = self._before = -1
        self._given: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}  # what of a place somebody may have
        self._ahead: Gathered | None = None  # nobody has this yet

    def gather(self, loader: DataLoader, rows: Any) -> tuple[FloatArray, NDArray[Any]]:
        """These rows of a loader, in a place, unless they are there already; elsewhere if the reader has too many."""
        ahead, self._ahead = self._ahead, None
        if len(self._held()) >= HELD:
            return gathered(loader, rows)
        if ahead is None or ahead.rows is not rows:
            ahead = self._gathered(self._free(), loader, rows)
        self._given[ahead.place] = weakref.ref(ahead.x), weakref.ref(ahead.y)
        return ahead.x, ahead.y

    def gather_ahead(self, loader: DataLoader, rows: Any) -> None:
        """The same before somebody asks for them, at a meeting of the last batch; nothing if there is no place."""
        self._ahead = None
        place = self._free(self._before)
        self._ahead = None if place is None else self._gathered(place, loader, rows)

    def take(self, x: FloatArray, y: NDArray[Any]) -> int:
        """The place in which this batch lies from now on: its own, if it was gathered.

        There it cannot be written to any more, as others may be reading it long after.
        """
        given = self._given.items()
        place = next((place for place, (own_x, own_y) in given if own_x() is x and own_y() is y), None)
        if place is not None:
            x.flags.writeable = y.flags.writeable = False
        else:
            # A transform has made another x, and nobody has that any more which lies beside this y.
            beside = (p for p, (own_x, own_y) in given if own_y() is y and own_x() is None and p != self._last)
            place = next(beside, None)
            if place is not None:
                y.flags.writeable = False
            else:
                self._ahead = None
                place = self._free()
                self._y[place, : len(y)] = y
            self._x[place, : len(x)] = x
        self._before, self._last = self._last, place
        return place

    def _held(self) -> set[int]:
        """The places of which somebody has something."""
        self._given = {place: own for place, own in self._given.items() if any(one() is not None for one in own)}
        return set(self._given)

    def _free(self, *others: int) -> Any:
        """A place that nobody reads, and nobody has; None if there is none."""
        taken = {self._last, *others, *self._held()}
        return next((place for place in range(PLACES) if place not in taken), None)

    def _gathered(self, place: int, loader: DataLoader, rows: Any) -> Gathered:
        index = np.arange(*rows.indices(len(loader.x))) if isinstance(rows, slice) else rows
        # Every row exists; the mode spares NumPy a copy made in case one does not.
        x, y = (
            source.take(index, axis=0, out=_with_own_base(places[place, : len(index)]), mode="clip")
            for source, places in ((loader.x, self._x), (loader.y, self._y))
        )
        return Gathered(place, rows, x, y)


def gathered(loader: DataLoader, rows: Any) -> tuple[FloatArray, NDArray[Any]]:
    """These rows of a loader in arrays of their own."""
    x, y = (source[rows].copy() if isinstance(rows, slice) else source[rows] for source in (loader.x, loader.y))
    return x, y


def _with_own_base(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory as an array that lives as long as any view of it: NumPy has those refer to where memory is."""
    return np.asarray(array.data)
