"""y <- y + a x in one pass over memory.

NumPy has no operation that multiplies and adds: ``y += a * x`` writes a x somewhere and reads it again. The BLAS that
NumPy computes its products with has one, called axpy (Lawson et al., "Basic Linear Algebra Subprograms for Fortran
Usage", 1979), and is loaded with NumPy. Where it is not found, two operations of NumPy's do the same.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from numpy_nn._support.workspace import FloatArray

# What the axpy of a number type is called: in NumPy's own wheels, in OpenBLAS for long arrays, in any BLAS, in Apple's.
NAMES = ("scipy_cblas_{}axpy64_", "cblas_{}axpy64_", "cblas_{}axpy", "cblas_{}axpy$NEWLAPACK$ILP64")
KINDS: dict[np.dtype[Any], tuple[str, Any]] = {
    np.dtype(np.float32): ("s", ctypes.c_float),
    np.dtype(np.float64): ("d", ctypes.c_double),
}


def axpy(x: FloatArray, y: FloatArray, scratch: FloatArray) -> Callable[[float], None]:
    """The function of a that adds a x to y, in place.

    All three are one-dimensional, without gaps, of one length and one dtype, float32 or float64. Where it is two
    operations, ``scratch`` is written to, and a x is rounded before it is added; a BLAS on a processor that multiplies
    and adds in one instruction rounds the sum alone. The function raises ValueError where y may not be written to.
    """
    blas = _of_blas(y.dtype)

    def in_two(a: float) -> None:
        np.add(y, np.multiply(x, a, out=scratch), out=y)

    if blas is None:
        return in_two
    size, x_at, y_at = y.size, x.ctypes.data, y.ctypes.data

    def in_one(a: float) -> None:
        # With a = 0 a BLAS returns at once, though 0 times NaN is NaN; what may not be written to it does not ask.
        if a == 0.0 or not y.flags.writeable:
            in_two(a)
        else:
            blas(size, float(a), x_at, 1, y_at, 1)

    return in_one


def in_one_pass() -> bool:
    """Whether :func:`axpy` is one pass here, in both dtypes."""
    return None not in map(_of_blas, KINDS)


@cache
def _of_blas(dtype: np.dtype[Any]) -> Callable[..., None] | None:
    """The axpy of NumPy's BLAS, or None where none is found."""
    if dtype not in KINDS or sys.maxsize < 2**32:
        return None
    kind, number = KINDS[dtype]
    # A BLAS that counts in 32 bits reads the lower half of these: they come in registers.
    integer, pointer = ctypes.c_int64, ctypes.c_void_p
    form = ctypes.CFUNCTYPE(None, integer, number, pointer, integer, pointer, integer)
    try:
        # Asked for a name, the system also looks in the libraries that this one of NumPy's is linked with.
        library = ctypes.CDLL(sys.modules["numpy._core._multiarray_umath"].__file__)
    except OSError:
        return None
    found = (name.format(kind) for name in NAMES if hasattr(library, name.format(kind)))
    return next((form((name, library)) for name in found), None)
