"""Numerical derivatives that carry a bound on their own error: extrapolated quotients, and the complex step.

A central difference quotient with step t has the error a_1 t^2 + a_2 t^4 + ..., a one-sided one a_1 t + a_2 t^2 + ...
Quotients at several steps are combined so that the first powers cancel (Richardson, 1911). The difference between
neighbouring combinations estimates what is left (Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", 1982).
What no step can mend is the rounding of the function's own values: it is measured, divided by the step, and added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Steps in units of the scale of x: the coarse ones serve noisy functions, the fine ones points next to a kink.
RATIO = 4.0
STEPS = 0.25 * RATIO ** -np.arange(12.0)

# Between an error estimate and the bound that a verdict rests on: room for the estimate to be off.
SAFETY = 4.0

# Half a unit in the last place, relative: the rounding error of one operation in float64.
UNIT_ROUNDOFF = float(np.finfo(np.float64).eps) / 2
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)

# By how much of the largest entry sums in float32 differ that are added up in another order; and in how many more calls
# it is seen that a result varies by more.
REORDERED_IN_FLOAT32, REPEATED = 2.0**-18, 3

# Below it steps in proportion would leave the range of float64: 1e-100 of it in the complex step, 2^-48 in differences.
TINY = 1e-200


class Estimate(NamedTuple):
    """A number, or an array of numbers, and how far each may be from the truth."""

    value: Array
    bound: Array


class Table(NamedTuple):
    """Extrapolated quotients and an estimate of the error of each, both (entries, ...)."""

    values: Array
    errors: Array


def extrapolate(quotients: Array, rounding: Array, steps: Array, order: int) -> Table:
    """Richardson's table for quotients (steps, ...) whose error is a series in t^order; steps fall by one ratio.

    T_j0 is the quotient at t_j, T_jk = T_j,k-1 + (T_j,k-1 - T_j-1,k-1) / (ratio^(k order) - 1). The error of an entry
    is estimated by the larger of its distances from the two it is made of, and cannot fall from one row to the next by
    more than ratio^(k order), as the series does: so three entries that agree by chance are not taken for converged.
    ``rounding`` is how far rounding may have moved each quotient; how far it moves the entry is added.
    """
    ratio, shape = float(steps[0] / steps[1]), quotients.shape[1:]
    quotients, rounding = quotients.reshape(len(steps), -1), rounding.reshape(len(steps), -1)
    nothing = np.zeros_like(quotients[0])
    row, rounding_row, error_row = [quotients[0]], [rounding[0]], [nothing]
    # Filled in place, and as little else made as can be: new memory takes longer to get than to compute in.
    values, errors = np.empty((2, len(steps) * (len(steps) - 1) // 2, nothing.size))
    entries = zip(values, errors, strict=True)
    for quotient, own_rounding in zip(quotients[1:], rounding[1:], strict=True):
        new, new_rounding, new_error = [quotient], [own_rounding], [nothing]
        for k, (above, rounding_above) in enumerate(zip(row, rounding_row, strict=True), start=1):
            factor = 1.0 / (ratio ** (k * order) - 1.0)
            value, error_and_rounding = next(entries)
            change = new[-1] - above
            new.append(np.add(new[-1], np.multiply(change, factor, out=value), out=value))
            own = new_rounding[-1] * (1.0 + factor)
            own += rounding_above * factor
            new_rounding.append(own)
            # |T_jk - T_j-1,k-1|, the larger distance of the two.
            error = np.abs(change, out=change)
            error *= 1.0 + factor
            if k < len(error_row):
                # Where coarser steps have left the function's domain, there is no error to go by.
                np.fmax(error, error_row[k] / ratio ** (k * order), out=error, where=~np.isnan(error))
            new_error.append(error)
            np.add(error, own, out=error_and_rounding)
        row, rounding_row, error_row = new, new_rounding, new_error
    return Table(values.reshape(-1, *shape), errors.reshape(-1, *shape))


def scale_of(x: Array) -> Array:
    """The size of the numbers around each entry, as a power of two: its own, at least the array's root mean square."""
    finite = x[np.isfinite(x)]
    typical = math.sqrt(float(np.mean(np.square(finite)))) if finite.size else 0.0
    return np.asarray(np.exp2(np.floor(np.log2(np.maximum(np.abs(x), typical or 1.0)))))


def own_scale_of(x: Array) -> Array:
    """The size of each entry by itself; of the numbers around it where it is 0 or smaller than ``TINY``."""
    size = np.abs(x)
    vanishing = size < TINY
    own = np.exp2(np.floor(np.log2(np.where(vanishing, 1.0, size))))
    return np.asarray(np.where(vanishing, scale_of(x), own) if vanishing.any() else own)


def noise_level(evaluate: Callable[[float], Array], points: int = 9) -> Array:
    """The standard deviation of the rounding errors in each output of ``evaluate(t)``, for t from 0 to points - 1.

    The t must be so close together that the function itself is a cubic there. Differences of order 4 to 6 then leave
    nothing but noise, which they multiply by sqrt((2k)!) / k! (More and Wild, "Estimating computational noise", 2011).
    """
    differences = np.stack([evaluate(float(t)) for t in range(points)])
    levels = []
    for k in range(1, 7):
        differences = np.diff(differences, axis=0)
        if k >= 4:
            mean = np.sqrt(np.mean(np.square(differences), axis=0))
            levels.append(mean * (math.factorial(k) / math.sqrt(math.factorial(2 * k))))
    return np.asarray(np.max(levels, axis=0))


def noise_of_rounding(evaluate: Callable[[float], Array]) -> Array:
    """The same of what gives one thing at one point, as rounding does; 0 of what varies by itself, as a set's order."""
    noise, once = noise_level(evaluate), evaluate(0.0)
    room = REORDERED_IN_FLOAT32 * float(np.abs(once).max(initial=0.0))
    apart = (np.abs(evaluate(0.0) - once).max(initial=0.0) for _ in range(REPEATED))
    return 0.0 * noise if any(off > room for off in apart) else noise


def derivative(f: Callable[[Any], ArrayLike], x: ArrayLike) -> Estimate:
    """f'(x) entry by entry, for a function that works entry by entry (or of one number).

    Twelve steps between 2^-2 and 2^-24 of the size of the entry, or, where those leave it unresolved, of the whole
    array's entries; the best combination for each entry. The bound is inf where f has no finite values around x, and
    means nothing within a rounding error of a kink. ValueError unless f(x) has the shape of x.
    """
    x = np.asarray(x, np.float64)

    def estimate(h: Array) -> Estimate:
        def at(t: float) -> Array:
            y = np.asarray(f(x + t * h), np.float64)
            if y.shape != x.shape:
                raise ValueError(f"derivative: expected f(x) of the shape of x, {x.shape}, got {y.shape}; see jacobian")
            return y

        return _best(at, h)

    own_scale, wide_scale = own_scale_of(x), scale_of(x)
    own = estimate(own_scale)
    unresolved = ~(own.bound <= 1e-7 * np.abs(own.value)) & (wide_scale != own_scale)
    if not unresolved.any():
        return own
    wide = estimate(wide_scale)
    unresolved &= wide.bound < own.bound
    value, bound = (np.where(unresolved, w, o) for w, o in zip(wide, own, strict=True))
    return Estimate(value, bound)


def one_sided(f: Callable[[Any], ArrayLike], x: ArrayLike) -> tuple[Estimate, Estimate]:
    """f'(x-) and f'(x+) entry by entry, of a function as in :func:`derivative`; at a kink the two differ."""
    x = np.asarray(x, np.float64)
    h = scale_of(x)

    def towards(sign: float) -> Estimate:
        with np.errstate(all="ignore"):
            noise = noise_level(lambda t: np.asarray(f(x + sign * (1.0 + t) * 2.0**-20 * h), np.float64))
            here, there = np.asarray(f(x), np.float64), np.stack([np.asarray(f(x + sign * t * h)) for t in STEPS])
            t = STEPS.reshape(-1, *[1] * x.ndim)
            rounding = 2.0 * rounding_of(noise, there, here) / t
            table = extrapolate(sign * (there - here) / t, rounding, STEPS, order=1)
        return _least_bound(table, h)

    return towards(-1.0), towards(1.0)


def jacobian(f: Callable[[Any], ArrayLike], x: ArrayLike) -> Estimate:
    """dF_k/dx_i at [k, i], of shape F.shape + x.shape, each with its bound, as in :func:`derivative`."""
    x = np.array(x, np.float64)
    h, flat = scale_of(x), x.reshape(-1)
    columns = []
    for index in range(x.size):
        home, step = flat[index], h.reshape(-1)[index]

        def at(t: float, index: int = index, home: float = home, step: float = step) -> Array:
            flat[index] = home + t * step
            y = np.array(f(x), np.float64)
            flat[index] = home
            return y

        columns.append(_best(at, np.asarray(step)))
    shape = np.asarray(f(x)).shape
    if not columns:
        return Estimate(np.zeros((*shape, *x.shape)), np.zeros((*shape, *x.shape)))
    value, bound = (np.stack(parts, axis=-1).reshape(*shape, *x.shape) for parts in zip(*columns, strict=True))
    return Estimate(value, bound)


def _best(at: Callable[[float], Array], h: Array) -> Estimate:
    """The entry of the table of central quotients with the least bound, for each output."""
    with np.errstate(all="ignore"):
        noise = noise_level(lambda t: at(t * 2.0**-20))
        plus, minus = (np.stack([at(sign * t) for t in STEPS]) for sign in (1.0, -1.0))
        t = STEPS.reshape(-1, *[1] * (plus.ndim - 1))
        table = extrapolate((plus - minus) / (2.0 * t), rounding_of(noise, plus, minus) / t, STEPS, order=2)
    return _least_bound(table, h)


def _least_bound(table: Table, h: Array) -> Estimate:
    bounds = SAFETY * np.where(np.isfinite(table.errors), table.errors, np.inf)
    best = np.expand_dims(bounds.argmin(axis=0), 0)
    value, bound = (np.take_along_axis(array, best, 0)[0] / h for array in (table.values, bounds))
    return Estimate(value, bound)


def rounding_of(noise: Array, plus: Array, minus: Array) -> Array:
    """How far rounding may move half the difference of these two: the noise that was measured, at least half a unit.

    Where one of the two is NaN, beyond the edge of the domain, it is that of the other.
    """
    found = np.asarray(np.abs(plus))
    np.fmax(found, np.abs(minus), out=found)
    found *= UNIT_ROUNDOFF
    found += noise
    found += SMALLEST
    return found


def complex_step(f: Callable[[Any], ArrayLike], x: ArrayLike) -> Array:
    """f'(x) as Im f(x + i h) / h with h = 1e-100 |x|, exact to rounding as nothing is subtracted.

    For functions that work entry by entry and accept complex numbers, made of analytic operations: not abs or
    comparisons of parts (Squire and Trapp, "Using complex variables to estimate derivatives of real functions", 1998).
    TypeError if f(x + i h) is not complex.
    """
    x = np.asarray(x, np.float64)
    h = 1e-100 * scale_of(x)
    y = np.asarray(f(x + 1j * h))
    if not np.iscomplexobj(y):
        raise TypeError(f"complex_step: expected f to return complex numbers for complex x, got {y.dtype}")
    return np.asarray(y.imag / h)
