"""Parameters: a value and its gradient, and how those of a whole network become one vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support.checks import float_array
from numpy_nn._support.workspace import FloatArray, aligned_empty


class Parameter:
    """A learned array ``data`` and the gradient ``grad`` of the loss with respect to it, of one shape and dtype.

    Inside a :class:`~numpy_nn.Sequential` both are views into the network's two vectors, so write into them
    (``p.data[...] = value``) rather than rebinding them. ``numpy.asarray(p)`` is ``p.data``, not a copy.

    ``data`` is kept if it is C-contiguous and writeable, else copied. TypeError unless it is float32 or float64.
    """

    __slots__ = ("data", "grad")

    def __init__(self, data: FloatArray) -> None:
        # An optimizer walks the numbers in memory order.
        self.data = np.require(float_array(data, "Parameter: data"), requirements=("C", "W"))
        self.grad = np.zeros_like(self.data)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of ``data`` and ``grad``."""
        return self.data.shape

    @property
    def size(self) -> int:
        """The number of scalars."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of ``data`` and ``grad``."""
        return self.data.dtype

    def move_to(self, data: FloatArray, grad: FloatArray) -> None:
        """Copy value and gradient into these arrays, and live there from now on."""
        data[...] = self.data
        grad[...] = self.grad
        self.data, self.grad = data, grad

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"


class ParameterVector(Sequence[Parameter]):
    """The parameters of a network, in order, and the two vectors ``data`` and ``grad`` that they are views into.

    Reads as a list of :class:`Parameter`; has the ``data`` and ``grad`` of one, of shape (number of scalars,).
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._parameters = tuple(parameters)
        dtypes = {p.dtype for p in self._parameters}
        if len(dtypes) > 1:
            raise TypeError(f"parameters: expected one dtype, got {', '.join(sorted(map(str, dtypes)))}")
        size = sum(p.size for p in self._parameters)
        dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
        self.data: FloatArray = aligned_empty(size, dtype)
        self.grad: FloatArray = aligned_empty(size, dtype)
        self._lay_out()

    def move_to(self, data: FloatArray, grad: FloatArray) -> None:
        """Make these two vectors, of the same size, the home of all parameters."""
        self.data, self.grad = data, grad
        self._lay_out()

    def _lay_out(self) -> None:
        start = 0
        for p in self._parameters:
            stop = start + p.size
            p.move_to(self.data[start:stop].reshape(p.shape), self.grad[start:stop].reshape(p.shape))
            start = stop

    @property
    def size(self) -> int:
        """The number of scalars."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of every parameter."""
        return self.data.dtype

    def __len__(self) -> int:
        return len(self._parameters)

    def __getitem__(self, index: Any) -> Any:
        return self._parameters[index]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters)

    def __repr__(self) -> str:
        return f"ParameterVector({len(self)} parameters, {self.size:,} scalars, dtype={self.dtype})"
