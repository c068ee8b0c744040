"""Parameters: a value and its gradient, and how those of a whole network become one vector."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from numpy_nn._support.checks import float_array, float_dtype, is_float, no_tensor
from numpy_nn._support.workspace import FloatArray, aligned_empty


def _write(target: FloatArray, value: FloatArray, name: str) -> None:
    """Copy what is assigned into the array that is there."""
    if value is target:  # as after p.data -= step
        return
    if value is None:
        raise TypeError(f"Parameter: {name} cannot be None; a backward pass overwrites grad, so nothing needs a reset")
    no_tensor(value, f"Parameter: {name}")
    array = np.asarray(value)
    if array.shape != target.shape:
        raise ValueError(f"Parameter: expected {name} of shape {target.shape}, got {array.shape}")
    if array.dtype != target.dtype:
        remedy = f"convert it with .astype(numpy.{target.dtype})"
        if is_float(array.dtype):
            remedy += f", or the whole network with .to(numpy.{array.dtype})"
        raise TypeError(f"Parameter: expected {name} of {target.dtype}, got {array.dtype}; {remedy}")
    target[...] = array


class Structure:
    """How often a parameter was made, or a layer got one, or a layer: what was found before may be outdated.

    ``settings`` counts what else of a layer or a parameter was set: who finds both as they were finds everything so.
    ``formulas`` counts what was set in a class of layers or losses.
    """

    version = 0
    settings = 0
    formulas = 0

    def counts(self) -> tuple[int, int]:
        """The first two."""
        return self.version, self.settings


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

    __slots__ = ("_data", "_grad", "_requires_grad")

    def __init__(self, data: FloatArray) -> None:
        no_tensor(data, "Parameter: data")
        # An optimizer walks the numbers in memory order.
        self._data = np.require(float_array(data, "Parameter: data"), requirements=("C", "W"))
        self._grad = np.zeros_like(self._data)
        self.requires_grad = True
        structure.version += 1  # it may be put in a list, where no layer notices it

    @property
    def data(self) -> FloatArray:
        """The value."""
        return self._data

    @data.setter
    def data(self, value: FloatArray) -> None:
        _write(self._data, value, "data")

    @property
    def grad(self) -> FloatArray:
        """dL/d(data), which each backward pass overwrites."""
        return self._grad

    @grad.setter
    def grad(self, value: FloatArray) -> None:
        _write(self._grad, value, "grad")

    @property
    def requires_grad(self) -> bool:
        """Whether an optimizer changes ``data``."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, mode: bool) -> None:
        structure.settings += 1
        self._requires_grad = mode

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
        """Convert value and gradient to float32 or float64, as new arrays; TypeError for another dtype."""
        resolved = float_dtype(dtype)
        structure.settings += 1
        self._data, self._grad = self._data.astype(resolved), self._grad.astype(resolved)

    def move_to(self, data: FloatArray, grad: FloatArray) -> None:
        """Copy value and gradient into these arrays, and live there from now on."""
        data[...] = self._data
        grad[...] = self._grad
        structure.settings += 1
        self._data, self._grad = data, grad

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"


class ParameterVector(Sequence[Parameter]):
    """The parameters of a network, in order, and the two vectors ``data`` and ``grad`` that they are views into.

    Reads as a list of :class:`Parameter`; has the ``data`` and ``grad`` of one, of shape (number of scalars,), to which
    one assigns alike. It is made of parameters, or of a function that yields them, which is asked again when a layer
    has got another one: what is read is always what the network has now.
    """

    def __init__(self, parameters: Iterable[Parameter] | Callable[[], Iterable[Parameter]]) -> None:
        self._find = parameters if callable(parameters) else partial(iter, tuple(parameters))
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._data: FloatArray = np.empty(0, np.float32)
        self._grad: FloatArray = np.empty(0, np.float32)
        self._parameters: tuple[Parameter, ...] = ()
        self._views: list[FloatArray] = []
        self._version = -1

    def refresh(self, *, again: bool = False) -> None:
        """Find the parameters if any layer has got another one, or ``again``; move here those that live elsewhere."""
        parameters, version = self._parameters, structure.version
        same = True
        if again or self._version != version:
            parameters = tuple(self._find())
            same = parameters == self._parameters  # Parameter has no ==, so that this compares objects
        if not (same and all(map(operator.is_, [p._data for p in parameters], self._views))):
            self._gather(parameters)
        self._version = version  # not before they are there, which may raise

    def _gather(self, parameters: tuple[Parameter, ...]) -> None:
        """Make these the parameters, and move them into two new vectors unless they lie side by side already."""
        dtypes = {p.dtype for p in parameters}
        if len(dtypes) > 1:
            raise TypeError(f"parameters: expected one dtype, got {', '.join(sorted(map(str, dtypes)))}")
        data, grad = _side_by_side([p.data for p in parameters]), _side_by_side([p.grad for p in parameters])
        if data is not None and grad is not None:  # an inner network, whose numbers are a part of the outer one's
            self._data, self._grad = data, grad
        else:
            size = sum(p.size for p in parameters)
            dtype = dtypes.pop() if dtypes else np.dtype(np.float32)
            self._data, self._grad = aligned_empty(size, dtype), aligned_empty(size, dtype)
            start = 0
            for p in parameters:
                place = slice(start, start + p.size)
                p.move_to(self._data[place].reshape(p.shape), self._grad[place].reshape(p.shape))
                start += p.size
        self._parameters, self._views = parameters, [p.data for p in parameters]
        structure.settings += 1  # also where the vectors are only others of the same memory

    @property
    def data(self) -> FloatArray:
        """All values, one parameter after the other."""
        self.refresh()
        return self._data

    @data.setter
    def data(self, value: FloatArray) -> None:
        _write(self.data, value, "data")

    @property
    def grad(self) -> FloatArray:
        """All gradients, one parameter's after the other's."""
        self.refresh()
        return self._grad

    @grad.setter
    def grad(self, value: FloatArray) -> None:
        _write(self.grad, value, "grad")

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
        self.refresh()
        return self._parameters

    @property
    def requires_grad(self) -> bool:
        """Whether any parameter learns; what is assigned holds for all."""
        return any(p.requires_grad for p in self.members())

    @requires_grad.setter
    def requires_grad(self, mode: bool) -> None:
        for p in self.members():
            p.requires_grad = mode

    def __len__(self) -> int:
        return len(self.members())

    def __getitem__(self, index: Any) -> Any:
        return self.members()[index]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.members())

    def __repr__(self) -> str:
        return f"ParameterVector({len(self)} parameters, {self.size:,} scalars, dtype={self.dtype})"


def holders(parameters: Iterable[Parameter] | ParameterVector) -> list[Parameter | ParameterVector]:
    """What to walk to reach every number: the vector of a network, or the parameters one by one.

    TypeError for what is neither, such as a layer.
    """
    given: list[Any] = [parameters]
    if not isinstance(parameters, ParameterVector):
        given = list(parameters) if isinstance(parameters, Iterable) else given
    for holder in given:
        if not isinstance(holder, (Parameter, ParameterVector)):
            hint = "; use its .parameters()" if hasattr(holder, "parameters") else ""
            raise TypeError(f"parameters: expected Parameter objects, got {type(holder).__name__}{hint}")
    return given


def _side_by_side(arrays: Sequence[FloatArray]) -> FloatArray | None:
    """The vector that these arrays are parts of, one after the other; None if they are not."""
    if not arrays:
        return None
    memory = arrays[0].base
    if not isinstance(memory, np.ndarray) or not memory.flags.c_contiguous:
        return None
    if any(array.base is not memory for array in arrays):
        return None
    starts = [array.__array_interface__["data"][0] for array in arrays]
    ends = [start + array.nbytes for start, array in zip(starts, arrays, strict=True)]
    if starts[1:] != ends[:-1]:
        return None
    offset = starts[0] - memory.__array_interface__["data"][0]
    return np.ndarray(sum(array.size for array in arrays), arrays[0].dtype, memory, offset)
