"""Parameters: a value and its gradient, and how those of a whole network become one vector."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support.checks import float_array
from numpy_nn._support.workspace import FloatArray, aligned_empty


class Structure:
    """How often any layer has got a parameter or a layer as an attribute: what was found before may be outdated."""

    version = 0


structure = Structure()


class Parameter:
    """A learned array ``data`` and the gradient ``grad`` of the loss with respect to it, of one shape and dtype.

    Assigning to ``data`` or ``grad`` copies the numbers into the array that is there, so that a network and an
    optimizer see them; TypeError for another dtype, ValueError for another shape. ``numpy.asarray(p)`` is ``p.data``,
    not a copy. With ``requires_grad = False`` no optimizer changes ``data`` and no clipping counts ``grad``, which a
    backward pass still writes.

    The array that it is made of is kept if it is C-contiguous and writeable, else copied. TypeError unless it is
    float32 or float64.
    """

    __slots__ = ("_data", "_grad", "requires_grad")

    def __init__(self, data: FloatArray) -> None:
        # An optimizer walks the numbers in memory order.
        self._data = np.require(float_array(data, "Parameter: data"), requirements=("C", "W"))
        self._grad = np.zeros_like(self._data)
        self.requires_grad = True

    @property
    def data(self) -> FloatArray:
        """The value."""
        return self._data

    @data.setter
    def data(self, value: FloatArray) -> None:
        self._write(self._data, value, "data")

    @property
    def grad(self) -> FloatArray:
        """dL/d(data), which each backward pass overwrites."""
        return self._grad

    @grad.setter
    def grad(self, value: FloatArray) -> None:
        if value is None:
            raise TypeError("Parameter: grad cannot be None; a backward pass overwrites it, so nothing needs a reset")
        self._write(self._grad, value, "grad")

    def _write(self, target: FloatArray, value: FloatArray, name: str) -> None:
        if value is target:  # as after p.data -= step
            return
        array = np.asarray(value)
        if array.shape != target.shape:
            raise ValueError(f"Parameter: expected {name} of shape {target.shape}, got {array.shape}")
        if array.dtype != target.dtype:
            raise TypeError(
                f"Parameter: expected {name} of {target.dtype}, got {array.dtype}; convert it with "
                f".astype(numpy.{target.dtype}), or the whole network with .to(numpy.{array.dtype})"
            )
        target[...] = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of ``data`` and ``grad``."""
        return self._data.shape

    @property
    def size(self) -> int:
        """The number of scalars."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of ``data`` and ``grad``."""
        return self._data.dtype

    def members(self) -> Sequence[Parameter]:
        """Itself: the parameter that it consists of."""
        return (self,)

    def to(self, dtype: DTypeLike) -> None:
        """Convert value and gradient to float32 or float64, as new arrays."""
        self._data, self._grad = self._data.astype(dtype), self._grad.astype(dtype)

    def move_to(self, data: FloatArray, grad: FloatArray) -> None:
        """Copy value and gradient into these arrays, and live there from now on."""
        data[...] = self._data
        grad[...] = self._grad
        self._data, self._grad = data, grad

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"


class ParameterVector(Sequence[Parameter]):
    """The parameters of a network, in order, and the two vectors ``data`` and ``grad`` that they are views into.

    Reads as a list of :class:`Parameter`; has the ``data`` and ``grad`` of one, of shape (number of scalars,).
    It is made of parameters, or of a function that yields them, which is asked again when a layer has got another one.
    """

    def __init__(self, parameters: Iterable[Parameter] | Callable[[], Iterable[Parameter]]) -> None:
        self._find = parameters if callable(parameters) else partial(iter, tuple(parameters))
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self.data: FloatArray = np.empty(0, np.float32)
        self.grad: FloatArray = np.empty(0, np.float32)
        self._parameters: tuple[Parameter, ...] = ()
        self._views: list[FloatArray] = []
        self._version = -1

    def refresh(self) -> bool:
        """Find the parameters again if any layer has got another one; returns whether they, or one's home, changed."""
        parameters = self._parameters
        if self._version != structure.version:
            parameters, self._version = tuple(self._find()), structure.version
        same = parameters == self._parameters  # Parameter has no ==, so that this compares objects
        if same and all(map(operator.is_, [p.data for p in parameters], self._views)):
            return False
        self._gather(parameters)
        return True

    def _gather(self, parameters: tuple[Parameter, ...]) -> None:
        """Make these the parameters, and move them into two new vectors unless they lie side by side already."""
        dtypes = {p.dtype for p in parameters}
        if len(dtypes) > 1:
            raise TypeError(f"parameters: expected one dtype, got {', '.join(sorted(map(str, dtypes)))}")
        data, grad = _side_by_side([p.data for p in parameters]), _side_by_side([p.grad for p in parameters])
        if data is not None and grad is not None:  # an inner network, whose numbers are a part of the outer one's
            self.data, self.grad = data, grad
        else:
            size = sum(p.size for p in parameters)
            dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
            self.data, self.grad = aligned_empty(size, dtype), aligned_empty(size, dtype)
            start = 0
            for p in parameters:
                place = slice(start, start + p.size)
                p.move_to(self.data[place].reshape(p.shape), self.grad[place].reshape(p.shape))
                start += p.size
        self._parameters, self._views = parameters, [p.data for p in parameters]

    def __getstate__(self) -> Callable[[], Iterable[Parameter]]:
        return self._find

    def __setstate__(self, find: Callable[[], Iterable[Parameter]]) -> None:
        # Of a copy, the parameters may not be there yet: they are gathered when they are asked for.
        self._find = find
        self._forget()

    @property
    def size(self) -> int:
        """The number of scalars."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of every parameter."""
        return self.data.dtype

    def members(self) -> Sequence[Parameter]:
        """The parameters."""
        return self._parameters

    def __len__(self) -> int:
        return len(self._parameters)

    def __getitem__(self, index: Any) -> Any:
        return self._parameters[index]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters)

    def __repr__(self) -> str:
        return f"ParameterVector({len(self)} parameters, {self.size:,} scalars, dtype={self.dtype})"


def holders(parameters: Iterable[Parameter] | ParameterVector) -> list[Parameter | ParameterVector]:
    """What to walk to reach every number: the vector of a network, or the parameters one by one."""
    return [parameters] if isinstance(parameters, ParameterVector) else list(parameters)


def _side_by_side(arrays: Sequence[FloatArray]) -> FloatArray | None:
    """The vector that these arrays are parts of, one after the other; None if they are not."""
    if not arrays:
        return None
    memory = arrays[0].base
    if memory is None or any(array.base is not memory for array in arrays):
        return None
    starts = [array.__array_interface__["data"][0] for array in arrays]
    ends = [start + array.nbytes for start, array in zip(starts, arrays, strict=True)]
    if starts[1:] != ends[:-1]:
        return None
    offset = starts[0] - memory.__array_interface__["data"][0]
    return np.ndarray(sum(array.size for array in arrays), arrays[0].dtype, memory, offset)
