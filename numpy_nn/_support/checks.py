"""The checks that every module makes on what it is given, worded alike.

Each returns the checked value or raises: TypeError for the wrong kind of thing, ValueError for a wrong value. The
message names the argument, what was expected and what came.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from numpy_nn._support.workspace import FloatArray

# In quotes, as importing numpy.random is a fifth of what importing this package takes.
Seed: TypeAlias = "np.random.Generator | int | None"

# Types whose instances are arrays as they are: a subclass may do otherwise, and is looked at as a plain array.
ARRAYS: set[type] = {np.ndarray}

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether it is float32 or float64 in native byte order."""
    return dtype in _FLOATS


def float_array(x: ArrayLike, name: str) -> FloatArray:
    """``x`` as an array, which must hold float32 or float64 in native byte order; it is not copied if it is one."""
    array = cast(FloatArray, x) if type(x) in ARRAYS else np.asarray(x)
    if not is_float(array.dtype):
        remedy = "; .astype(numpy.float32) makes one" if isinstance(x, np.ndarray) and array.dtype.kind in "iuf" else ""
        raise TypeError(f"{name}: expected an array of float32 or float64, got {_describe(x, array)}{remedy}")
    return array


def same_dtype(x: ArrayLike, dtype: np.dtype[Any], name: str) -> FloatArray:
    """``x`` as an array of exactly ``dtype``: nothing is converted in silence."""
    array = float_array(x, name)
    if array.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, got {array.dtype}; convert it with .astype(numpy.{dtype})")
    return array


def no_tensor(value: object, name: str) -> None:
    """TypeError for a tensor of torch's: in square layers nothing else would tell that its weights are transposed.

    What ``tensor.numpy()`` makes is one too, unless it has a single axis, or is transposed.
    """
    turned = "whose weights lie the other way round; "
    if _is_tensor(value):
        remedy = "torch_ref.from_torch makes a network of a torch.nn.Sequential, and tensor.numpy().T turns one weight"
        raise TypeError(f"{name}: expected an array, got a tensor of torch's, {turned}{remedy}")
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.flags.c_contiguous and _is_tensor(value.base):
        remedy = "give its .T, or, if it is turned already, a copy"
        raise TypeError(f"{name}: expected an array, got one that is a tensor of torch's, {turned}{remedy}")


def _is_tensor(value: object) -> bool:
    return type(value).__module__.split(".")[0] == "torch"


def label_array(y: ArrayLike, name: str) -> NDArray[np.integer[Any]]:
    """``y`` as an array of integers in native byte order; it is not copied if it is one."""
    array = cast(NDArray[Any], y) if type(y) in ARRAYS else np.asarray(y)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected an array of integers, got {_describe(y, array)}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """``dtype`` as a NumPy dtype, which must be float32 or float64."""
    try:
        resolved = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}") from None
    if dtype is None or resolved not in _FLOATS:
        raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}")
    return resolved


def number(
    value: float,
    name: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """A finite real number with ``low <= value <= high`` and ``above < value < below``."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__} {value!r}")
    if not (math.isfinite(value) and low <= value <= high and above < value < below):
        bounds = [f">= {low:g}"] * (low > -math.inf) + [f"<= {high:g}"] * (high < math.inf)
        bounds += [f"> {above:g}"] * (above > -math.inf) + [f"< {below:g}"] * (below < math.inf)
        raise ValueError(f"{name}: expected a finite number {' and '.join(bounds)}".rstrip() + f", got {value}")
    return float(value)


def count(value: int, name: str, *, low: int = 1) -> int:
    """An integer ``>= low``."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        integer = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__} {value!r}") from None
    if integer < low:
        raise ValueError(f"{name}: expected an integer >= {low}, got {value}")
    return integer


def choice(value: str, name: str, options: Collection[str]) -> str:
    """One of ``options``."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def generator(rng: Seed) -> np.random.Generator:
    """``rng`` itself, or a new generator from a seed; ``None`` takes fresh entropy from the system."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng()
    return np.random.default_rng(count(rng, "rng", low=0))


def _describe(x: object, array: NDArray[Any]) -> str:
    return f"an array of {array.dtype}" if isinstance(x, np.ndarray) else f"{type(x).__name__} of {array.dtype}"
