"""Batches: a seeded, shuffled walk over arrays that copies one batch at a time, never the data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn._support.checks import Seed, count, generator


class DataLoader:
    """Batches ``(x, y)`` of two arrays with as many rows; each iteration is one epoch, in a new order if ``shuffle``.

    The order comes from ``rng`` alone, so one seed gives one sequence of batches whatever consumes them. The last
    batch may be smaller; ``drop_last`` leaves it out. A batch is a copy of its rows, to be kept and
    changed. ``transform`` is called with each ``x`` and
    returns what takes its place, such as a :class:`~numpy_nn.data.augment.Distortion`. ValueError for no rows,
    different numbers of rows, or ``drop_last`` with fewer rows than a batch.
    """

    def __init__(
        self,
        x: NDArray[Any],
        y: NDArray[Any],
        batch_size: int = 64,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        rng: Seed = None,
        transform: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    ) -> None:
        # Contiguous, or numpy.take would copy the whole of it for every batch.
        self.x, self.y = (np.asarray(a, order="C") for a in (x, y))
        self.batch_size = count(batch_size, "batch_size")
        self.shuffle, self.drop_last, self.rng = shuffle, drop_last, generator(rng)
        self.transform = transform
        if self.x.ndim == 0 or self.y.ndim == 0 or len(self.x) == 0 or len(self.x) != len(self.y):
            raise ValueError(
                f"DataLoader: expected x and y with equally many rows, at least one, got {self.x.shape}, {self.y.shape}"
            )
        if len(self) == 0:
            raise ValueError(f"drop_last: leaves no batch of {self.batch_size} out of {len(self.x)} rows")

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def indices(self) -> Iterator[NDArray[np.intp] | slice]:
        """The rows of each batch of one epoch: an array of indices, or a slice without ``shuffle``."""
        stops = range(self.batch_size, (len(self) + 1) * self.batch_size, self.batch_size)
        if not self.shuffle:
            yield from (slice(stop - self.batch_size, stop) for stop in stops)
            return
        order = self.rng.permutation(len(self.x))
        yield from (order[stop - self.batch_size : stop] for stop in stops)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for rows in self.indices():
            x, y = (source[rows].copy() if isinstance(rows, slice) else source[rows] for source in (self.x, self.y))
            yield x if self.transform is None else self.transform(x), y
