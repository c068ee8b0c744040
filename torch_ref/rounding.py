"""Running error analysis: arrays that carry a bound on the rounding error of the formula that makes them.

Write a formula with :class:`Rounded` arrays, and beside the value it yields a bound on the distance between the exact
result and what a machine of unit roundoff u computes with that formula: sums in any order, in blocks, by any number of
threads, with products rounded or fused into sums. The rules are those of Higham, *Accuracy and Stability of Numerical
Algorithms* (2nd ed., 2002), sections 2.2, 3.1 and 3.3: fl(a op b) = (a op b)(1 + d) + f with |d| <= u and |f| at most
the smallest normal number, and gamma_n = n u / (1 - n u) for sums of n terms. A machine may also flush subnormal
numbers to zero, where it reads them and where it writes them. What may overflow has no bound: its error is infinite.

``dtype`` is the precision in which the formula is thought to run. Values are held in float64. They are themselves what
float64 makes of the formula, so that in float64 they are off by as much as any machine: see :meth:`Rounded.reach`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[np.float64]

# Library functions (exp, log, log1p, tanh, erf) are taken to be good to 4 units in the last place: what NumPy promises
# for its vectorised ones. SLEEF, from which torch has its own, promises 1, as do MKL's in the mode that torch asks for
# ("high accuracy") and, for these functions, the C libraries. A unit in the last place is at most 2 u of the value.
LIBRARY = 8.0

# The bound is computed in float64 itself: this makes up for the roundings of sums of up to some thousand errors.
SLACK = 1.0 + 1e-12


class Rounded:
    """A value, and a bound on the error with which arithmetic in ``dtype`` gives it."""

    # Keeps NumPy from applying its own operators entry by entry when an array stands on the left.
    __array_ufunc__ = None

    def __init__(self, value: ArrayLike, error: ArrayLike = 0.0, *, dtype: DTypeLike) -> None:
        self.value: Array = np.asarray(value, np.float64)
        # NaN (0 times inf, say) means that nothing is known of the error.
        known = np.where(np.isnan(error), np.inf, np.asarray(error, np.float64))
        self.error: Array = np.broadcast_to(known, self.value.shape)
        self.dtype = np.dtype(dtype)
        info = np.finfo(self.dtype)
        self.u, self.tiny, self.largest = float(info.eps) / 2.0, float(info.tiny), float(info.max)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.value.shape

    @property
    def reach(self) -> Array:
        """How far from ``value`` a machine may be: ``error``, and the error of ``value``, which float64 made."""
        return self.error * (1.0 + 2.0**-53 / self.u)

    def lift(self, other: Rounded | ArrayLike) -> Rounded:
        """A constant as a Rounded: rounded to the dtype once, which leaves an array of the dtype exact."""
        if isinstance(other, Rounded):
            return other
        value = np.asarray(other, np.float64)
        return Rounded(value, np.abs(value.astype(self.dtype) - value), dtype=self.dtype)

    def _read(self) -> Array:
        """The error with which an operation reads it: a machine may take a subnormal number for 0."""
        size = np.abs(self.value)
        subnormal = (size - self.error < self.tiny) & (size + self.error > 0.0)
        return self.error + np.where(subnormal, np.minimum(size + self.error, self.tiny), 0.0)

    def _rounded(self, value: Array, inherited: Array, roundings: float = 1.0) -> Rounded:
        """``value`` with the error that comes from the operands and that of its own rounding."""
        rounding = roundings * self.u * (np.abs(value) + inherited)
        return self._computed(value, inherited + rounding + self.tiny)

    def _computed(self, value: Array, error: Array) -> Rounded:
        """``value`` with this error, infinite where a machine may have overflowed."""
        error = SLACK * error
        return Rounded(value, np.where(np.abs(value) + error > self.largest, np.inf, error), dtype=self.dtype)

    def __neg__(self) -> Rounded:
        return Rounded(-self.value, self.error, dtype=self.dtype)

    def __add__(self, other: Any) -> Rounded:
        b = self.lift(other)
        return self._rounded(self.value + b.value, self._read() + b._read())

    def __sub__(self, other: Any) -> Rounded:
        return self + -self.lift(other)

    def __mul__(self, other: Any) -> Rounded:
        b = self.lift(other)
        a_error, b_error = self._read(), b._read()
        inherited = np.abs(self.value) * b_error + a_error * np.abs(b.value) + a_error * b_error
        return self._rounded(self.value * b.value, inherited)

    def __truediv__(self, other: Any) -> Rounded:
        b = self.lift(other)
        value, b_error = self.value / b.value, b._read()
        room = np.abs(b.value) - b_error
        inherited = (self._read() + np.abs(value) * b_error) / np.where(room > 0, room, 1.0)
        return self._rounded(value, np.where(room > 0, inherited, np.inf))

    def __radd__(self, other: Any) -> Rounded:
        return self + other

    def __rsub__(self, other: Any) -> Rounded:
        return self.lift(other) - self

    def __rmul__(self, other: Any) -> Rounded:
        return self * other

    def __rtruediv__(self, other: Any) -> Rounded:
        return self.lift(other) / self

    def __matmul__(self, other: Any) -> Rounded:
        return self.linear(other)

    def linear(self, weight: Rounded | ArrayLike, bias: Rounded | ArrayLike | None = None) -> Rounded:
        """The product with ``weight`` plus ``bias``, which may stand anywhere in the sum, also first.

        Then each of the n additions rounds a partial sum that holds the bias, however small the product is.
        """
        w, b = self.lift(weight), self.lift(0.0 if bias is None else bias)
        terms = self.shape[-1] + (bias is not None)
        x_error, w_error = self._read(), w._read()
        x_size, w_size = np.abs(self.value) + x_error, np.abs(w.value) + w_error
        inherited = np.abs(self.value) @ w_error + x_error @ w_size + b._read()
        summed = self._gamma(terms) * (x_size @ w_size + np.abs(b.value) + b.error) + 2.0 * terms * self.tiny
        return self._computed(self.value @ w.value + b.value, inherited + summed)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Rounded:
        """The sum, in whatever order."""
        error = self._read()
        size = (np.abs(self.value) + error).sum(axis=axis, keepdims=keepdims)
        value = self.value.sum(axis=axis, keepdims=keepdims)
        n = self.value.size // max(value.size, 1)
        summed = error.sum(axis=axis, keepdims=keepdims) + self._gamma(n) * size + n * self.tiny
        return self._computed(value, summed)

    def mean(self, axis: int | None = None, keepdims: bool = False) -> Rounded:
        """The sum over the number of terms."""
        total = self.sum(axis, keepdims)
        return total * (total.value.size / self.value.size)

    def _gamma(self, n: int) -> float:
        return n * self.u / (1.0 - n * self.u)

    def max(self, axis: int) -> Rounded:
        """The largest entries along an axis, which is kept; picking rounds nothing."""
        largest = self.value.max(axis=axis, keepdims=True)
        return Rounded(largest, self._read().max(axis=axis, keepdims=True), dtype=self.dtype)

    def pick(self, columns: NDArray[Any]) -> Rounded:
        """The entry of each row that stands in the row's column."""
        at = np.arange(len(columns)), columns
        return Rounded(self.value[at], self._read()[at], dtype=self.dtype)

    def _monotone(self, function: Callable[[Array], Array], roundings: float = LIBRARY) -> Rounded:
        """A function that is monotone on the interval value +- error, as a library computes it."""
        value, error = function(self.value), self._read()
        # Outwards, as the ends of the interval are rounded too.
        low = function(np.nextafter(self.value - error, -np.inf))
        high = function(np.nextafter(self.value + error, np.inf))
        spread = np.where(error == 0.0, 0.0, np.fmax(np.abs(high - value), np.abs(value - low)))
        return self._rounded(value, spread, roundings)

    def exp(self) -> Rounded:
        """e to the power of it."""
        return self._monotone(np.exp)

    def log(self) -> Rounded:
        """The natural logarithm; the bound is infinite where the interval reaches 0."""
        return self._monotone(lambda v: np.log(np.maximum(v, 0.0)))

    def log1p(self) -> Rounded:
        """log(1 + it)."""
        return self._monotone(lambda v: np.log1p(np.maximum(v, -1.0)))

    def tanh(self) -> Rounded:
        """The hyperbolic tangent."""
        return self._monotone(np.tanh)

    def erf(self) -> Rounded:
        """The error function."""
        return self._monotone(lambda v: torch.erf(torch.from_numpy(np.array(v))).numpy())

    def sqrt(self) -> Rounded:
        """The square root, which IEEE 754 has rounded rightly; torch's on CUDA is as well."""
        return self._monotone(lambda v: np.sqrt(np.maximum(v, 0.0)), roundings=1.0)

    def maximum(self, bound: Rounded | float) -> Rounded:
        """max(it, bound); picking one of two numbers rounds nothing."""
        b = self.lift(bound)
        error, b_error = self._read(), b._read()
        open_side = np.abs(self.value - b.value) <= error + b_error
        picked = np.where(open_side, np.maximum(error, b_error), np.where(self.value > b.value, error, b_error))
        return Rounded(np.maximum(self.value, b.value), picked, dtype=self.dtype)

    def minimum(self, bound: float) -> Rounded:
        """min(it, bound)."""
        return -(-self).maximum(-bound)

    def step(self, at: float = 0.0) -> Rounded:
        """[it > at]; wrong by 1 where the error leaves the side open."""
        error = self._read() + self.lift(at)._read()
        open_side = (error > 0.0) & (np.abs(self.value - at) <= error)
        return Rounded(self.value > at, np.where(open_side, 1.0, 0.0), dtype=self.dtype)

    def select(self, above: Rounded, below: Rounded) -> Rounded:
        """``above`` where it is > 0, else ``below``; where the error leaves the side open, their distance is added."""
        step = self.step()
        picked = step.value > 0
        error = np.where(picked, above.error, below.error)
        gap = np.where(step.error > 0, np.abs(above.value - below.value) + above.error + below.error, 0.0)
        return Rounded(np.where(picked, above.value, below.value), SLACK * (error + gap), dtype=self.dtype)

    def either(self, other: Rounded) -> Rounded:
        """What a machine computes that takes one of two formulas for a quantity; the value is that of this one."""
        with np.errstate(invalid="ignore"):
            gap = np.where(self.value == other.value, 0.0, np.abs(self.value - other.value))
        return Rounded(self.value, np.maximum(self.error, other.error + gap), dtype=self.dtype)

    def or_off_by(self, room: Array) -> Rounded:
        """What a machine computes that takes this formula, or another that is so far off at most."""
        return Rounded(self.value, self.error + room, dtype=self.dtype)

    def or_within(self, roundings: float) -> Rounded:
        """What a machine computes that takes this formula, or another that is good to ``roundings`` u of the value."""
        return Rounded(self.value, self.error + roundings * self.u * np.abs(self.value), dtype=self.dtype)

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
