"""Running error analysis: arrays that carry a bound on the rounding error of the formula that makes them.

Write a formula with :class:`Rounded` arrays, and beside the value it yields a bound on the distance between the exact
result and what a machine of unit roundoff u computes with that formula, in any order of summation. The rules are those
of Higham, *Accuracy and Stability of Numerical Algorithms* (2nd ed., 2002), sections 2.2, 3.1 and 3.3: fl(a op b) =
(a op b)(1 + d) + f with |d| <= u and |f| at most the smallest normal number, and gamma_n = n u / (1 - n u) for sums of
n terms. Values are held in float64, which adds errors of second order only.

``dtype`` is the precision in which the formula is thought to run; library functions (exp, tanh, ...) are taken to be
good to 4 units in the last place, NumPy's own promise for its vectorised ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[np.float64]

# 4 units in the last place, in units of the roundoff u: a unit in the last place is at most 2 u of the value.
LIBRARY = 8.0

# The bound is computed in float64 itself: this makes up for the roundings of sums of up to some thousand errors.
SLACK = 1.0 + 1e-12


class Rounded:
    """A value, and a bound on the error with which arithmetic in ``dtype`` gives it."""

    # Keeps NumPy from applying its own operators entry by entry when an array stands on the left.
    __array_ufunc__ = None

    def __init__(self, value: ArrayLike, error: ArrayLike = 0.0, *, dtype: DTypeLike) -> None:
        self.value: Array = np.asarray(value, np.float64)
        # No number (0 times inf, say) means that nothing is known of the error.
        known = np.where(np.isnan(error), np.inf, np.asarray(error, np.float64))
        self.error: Array = np.broadcast_to(known, self.value.shape)
        self.dtype = np.dtype(dtype)
        info = np.finfo(self.dtype)
        self.u, self.tiny = float(info.eps) / 2.0, float(info.tiny)

    def _lift(self, other: Rounded | ArrayLike) -> Rounded:
        """A constant as a Rounded: exact if it is an array of the dtype, else rounded to it once."""
        if isinstance(other, Rounded):
            return other
        if isinstance(other, np.ndarray) and other.dtype == self.dtype:
            return Rounded(other, dtype=self.dtype)
        value = np.asarray(other, np.float64)
        return Rounded(value, np.abs(value.astype(self.dtype) - value), dtype=self.dtype)

    def _rounded(self, value: Array, inherited: Array, roundings: float = 1.0) -> Rounded:
        """``value`` with the error that comes from the operands and that of its own rounding."""
        rounding = roundings * self.u * (np.abs(value) + inherited)
        return Rounded(value, SLACK * (inherited + rounding + self.tiny), dtype=self.dtype)

    def __neg__(self) -> Rounded:
        return Rounded(-self.value, self.error, dtype=self.dtype)

    def __add__(self, other: Any) -> Rounded:
        b = self._lift(other)
        return self._rounded(self.value + b.value, self.error + b.error)

    def __sub__(self, other: Any) -> Rounded:
        return self + -self._lift(other)

    def __mul__(self, other: Any) -> Rounded:
        b = self._lift(other)
        inherited = np.abs(self.value) * b.error + self.error * np.abs(b.value) + self.error * b.error
        return self._rounded(self.value * b.value, inherited)

    def __truediv__(self, other: Any) -> Rounded:
        b = self._lift(other)
        value = self.value / b.value
        room = np.abs(b.value) - b.error
        inherited = np.where(room > 0, (self.error + np.abs(value) * b.error) / np.where(room > 0, room, 1.0), np.inf)
        return self._rounded(value, inherited)

    def __radd__(self, other: Any) -> Rounded:
        return self + other

    def __rsub__(self, other: Any) -> Rounded:
        return self._lift(other) - self

    def __rmul__(self, other: Any) -> Rounded:
        return self * other

    def __rtruediv__(self, other: Any) -> Rounded:
        return self._lift(other) / self

    def __matmul__(self, other: Any) -> Rounded:
        b = self._lift(other)
        a_size, b_size = np.abs(self.value) + self.error, np.abs(b.value) + b.error
        inherited = np.abs(self.value) @ b.error + self.error @ b_size
        n = self.value.shape[-1]
        summed = self._gamma(n) * (a_size @ b_size) + n * self.tiny
        return Rounded(self.value @ b.value, SLACK * (inherited + summed), dtype=self.dtype)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Rounded:
        """The sum, in whatever order."""
        size = np.abs(self.value) + self.error
        value = self.value.sum(axis=axis, keepdims=keepdims)
        n = self.value.size // max(value.size, 1)
        error = self.error.sum(axis=axis, keepdims=keepdims) + self._gamma(n) * size.sum(axis=axis, keepdims=keepdims)
        return Rounded(value, SLACK * error, dtype=self.dtype)

    def mean(self, axis: int | None = None, keepdims: bool = False) -> Rounded:
        """The sum over the number of terms."""
        total = self.sum(axis, keepdims)
        return total * (total.value.size / self.value.size)

    def _gamma(self, n: int) -> float:
        return n * self.u / (1.0 - n * self.u)

    def monotone(self, function: Callable[[Array], Array]) -> Rounded:
        """A library function that is monotone on the interval value +- error."""
        value = function(self.value)
        # Outwards, as the ends of the interval are rounded too.
        low = function(np.nextafter(self.value - self.error, -np.inf))
        high = function(np.nextafter(self.value + self.error, np.inf))
        spread = np.where(self.error == 0.0, 0.0, np.fmax(np.abs(high - value), np.abs(value - low)))
        return self._rounded(value, spread, LIBRARY)

    def exp(self) -> Rounded:
        """e to the power of it."""
        return self.monotone(np.exp)

    def log(self) -> Rounded:
        """The natural logarithm; the bound is infinite where the interval reaches 0."""
        return self.monotone(lambda v: np.log(np.maximum(v, 0.0)))

    def log1p(self) -> Rounded:
        """log(1 + it)."""
        return self.monotone(lambda v: np.log1p(np.maximum(v, -1.0)))

    def tanh(self) -> Rounded:
        """The hyperbolic tangent."""
        return self.monotone(np.tanh)

    def sqrt(self) -> Rounded:
        """The square root."""
        return self.monotone(lambda v: np.sqrt(np.maximum(v, 0.0)))

    def maximum(self, bound: float) -> Rounded:
        """max(it, bound); picking one of two numbers rounds nothing."""
        b = self._lift(bound)
        return Rounded(np.maximum(self.value, b.value), np.maximum(self.error, b.error), dtype=self.dtype)

    def minimum(self, bound: float) -> Rounded:
        """min(it, bound)."""
        b = self._lift(bound)
        return Rounded(np.minimum(self.value, b.value), np.maximum(self.error, b.error), dtype=self.dtype)

    def step(self, at: float = 0.0) -> Rounded:
        """[it > at]; wrong by 1 where the error leaves the side open."""
        error = self.error + self._lift(at).error
        open_side = (error > 0.0) & (np.abs(self.value - at) <= error)
        return Rounded(self.value > at, np.where(open_side, 1.0, 0.0), dtype=self.dtype)

    def select(self, above: Rounded, below: Rounded) -> Rounded:
        """``above`` where it is > 0, else ``below``; where the error leaves the side open, their distance is added."""
        step = self.step()
        picked = step.value > 0
        error = np.where(picked, above.error, below.error)
        gap = np.where(step.error > 0, np.abs(above.value - below.value) + above.error + below.error, 0.0)
        return Rounded(np.where(picked, above.value, below.value), SLACK * (error + gap), dtype=self.dtype)

    @property
    def T(self) -> Rounded:
        """The transpose."""
        return Rounded(self.value.T, self.error.T, dtype=self.dtype)

    def reshape(self, *shape: int) -> Rounded:
        """The same numbers in another shape."""
        return Rounded(self.value.reshape(shape), self.error.reshape(shape), dtype=self.dtype)


def as_rounded(x: Rounded | NDArray[Any]) -> Rounded:
    """An array as an exact Rounded of its own dtype."""
    return x if isinstance(x, Rounded) else Rounded(x, dtype=cast(Any, x).dtype)
