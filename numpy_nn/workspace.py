"""Arrays that outlive a call, so that the training loop allocates nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

FloatArray = NDArray[np.floating[Any]]


class Workspace:
    """Named arrays, made at the first request and handed out again at every later one.

    ``work("output", (64, 10), numpy.float32)`` returns an uninitialised array of that shape. A request with fewer
    rows (a smaller last batch) gets the leading rows of the same memory; one with more rows, other trailing
    dimensions or another dtype replaces it. So what a layer returns is valid until its next call.
    """

    __slots__ = ("_arrays",)

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        array = self._arrays.get(name)
        if array is not None and array.dtype == dtype:
            if array.shape == shape:
                return array
            if shape and array.shape[1:] == shape[1:] and array.shape[0] > shape[0]:
                return array[: shape[0]]
        array = self._arrays[name] = np.empty(shape, dtype)
        return array

    def like(self, name: str, x: NDArray[Any]) -> NDArray[Any]:
        """An array of the shape and dtype of ``x``."""
        return self(name, x.shape, x.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Workspace:
        return Workspace()

    def __reduce__(self) -> tuple[type[Workspace], tuple[()]]:
        return Workspace, ()
