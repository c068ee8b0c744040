"""Arrays that outlive a call, so that the training loop allocates nothing, and that begin at a cache line."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

FloatArray = NDArray[np.floating[Any]]
T = TypeVar("T")


# Bytes in a cache line, which are also those of a vector register of AVX-512.
LINE = 64


def aligned_empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As ``numpy.empty``, but the first entry begins a cache line.

    NumPy aligns to 16 bytes. An array that begins elsewhere in a line has every vector of 64 bytes in two lines: the
    update of 50,000 parameters that other threads have just read then takes twice as long.
    """
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else shape
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As :func:`aligned_empty`, filled with 0."""
    array = aligned_empty(shape, dtype)
    array.fill(0)
    return array


class Workspace:
    """Named arrays, made at the first request and handed out again at every later one.

    ``work("output", (64, 10), numpy.float32)`` returns an uninitialised array of that shape. A request with fewer
    rows (a smaller last batch) gets the leading rows of the same memory; one with more rows, other trailing
    dimensions or another dtype replaces it. So what a layer passes on within a network is valid until its next call.
    """

    __slots__ = ("_arrays", "_group", "_key")

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._key: tuple[Hashable, ...] | None = None
        self._group: Any = None

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        array = self._arrays.get(name)
        if array is not None and array.dtype == dtype:
            if array.shape == shape:
                return array
            if shape and array.shape[1:] == shape[1:] and array.shape[0] > shape[0]:
                return array[: shape[0]]
        array = self._arrays[name] = aligned_empty(shape, dtype)
        return array

    def like(self, name: str, x: NDArray[Any]) -> NDArray[Any]:
        """An array of the shape and dtype of ``x``."""
        return self(name, x.shape, x.dtype)

    def group(self, make: Callable[..., T], *key: Hashable) -> T:
        """What ``make(*key)`` returned, made again when the key is another: many small arrays for one look."""
        if key != self._key:
            self._key, self._group = key, make(*key)
        group: T = self._group
        return group

    def __deepcopy__(self, memo: dict[int, Any]) -> Workspace:
        return Workspace()

    def __reduce__(self) -> tuple[type[Workspace], tuple[()]]:
        return Workspace, ()
