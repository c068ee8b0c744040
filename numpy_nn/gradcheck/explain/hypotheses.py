"""The mistakes that people make in backward passes, each as a prediction of the wrong numbers.

The order is from the special to the general: where two predictions coincide, the first is the better name for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from numpy_nn.activations import ACTIVATIONS
from numpy_nn.gradcheck.explain.causes import Found
from numpy_nn.gradcheck.explain.special_hypotheses import special_hypotheses
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.differences import Differences
from numpy_nn.gradcheck.measure.evidence import Evidence, common_ratio


def of_wrong_shape(e: Evidence) -> Iterator[Found]:
    """Causes of a gradient that has another shape than its array."""
    assert e.gradient is not None
    shape, wanted = e.gradient.shape, e.array.shape
    text = f"shape {shape} instead of {wanted}"
    if shape == (e.batch, *wanted) or (
        len(shape) == 2 and wanted in ((shape[1],), (1, shape[1])) and shape[0] == e.batch
    ):
        yield "bias_not_summed", f"{text}, which has a row for each of the {e.batch} of the batch"
    elif shape == wanted[::-1]:
        yield "transposed", text
    else:
        yield "wrong_shape", text


def hypotheses(e: Evidence) -> Iterator[Found]:
    """Every cause whose prediction fits, the most special first."""
    assert e.gradient is not None
    if not np.any(e.gradient):
        yield (
            "zero",
            f"0 at all {e.gradient.size} coordinates; the numerical one is up to {np.nanmax(np.abs(e.truth)):.3g}",
        )
        return
    special = list(special_hypotheses(e))
    yield from special
    if special:
        return  # these know the function; a general name for the same numbers would say less
    families = (_factors, _elementwise, _matrices, _calls, _regularised, _parts)
    found = [cause for family in families for cause in family(e)]
    if not found and e.narrow():
        found = [
            (cause, f"{text}; the others are right: what sets these apart?")
            for family in families
            for cause, text in family(e)
        ]
        e.narrow(undo=True)
        e.partial = bool(found)
    yield from found


def _factors(e: Evidence) -> Iterator[Found]:
    """One constant times the right gradient: which constant, and what it has to do with the numbers of rows."""
    ratio = e.ratio()
    if ratio is None:
        return
    text = f"claimed / numerical = {ratio:.7g} at all {int(e.looked_at.sum())} coordinates looked at"
    if abs(ratio + 1.0) < 1e-6:
        yield ("target_minus_prediction" if getattr(e.subject, "targets", None) is not None else "sign"), text
        return
    other = e.ratio_at_another_batch() if e.batch > 0 and e.x.ndim else None
    at = "" if other is None else f"; {other[1]:.6g} with {other[0]} rows instead of {e.batch}"
    factor = "factor", f"{text}{_named(abs(ratio))}{at}"
    counted = None if e.batch == 1 else _count_of_rows_or_columns(e, abs(ratio), other)
    if counted is None:
        yield factor
        return
    cause, words = counted
    yield cause, f"{text}{words}{at}"
    columns_alone = cause == "elements_mean" and _near(abs(ratio) * math.prod(e.x.shape[1:]), 1.0)
    # Nothing tells it from a constant that is the same number.
    if other is None or (columns_alone and _named(abs(ratio))):
        yield factor


def _count_of_rows_or_columns(e: Evidence, ratio: float, other: tuple[int, float] | None) -> tuple[str, str] | None:
    """The cause and the words for a ratio that is a number of rows, columns or both, or 1 over it."""
    n, columns = e.batch, math.prod(e.x.shape[1:])
    loss = e.subject.is_loss or e.output.size == 1

    def goes_as(power: int, factor: float) -> bool:
        """Whether the ratio is factor * rows^power, also at another number of rows."""
        here = _near(ratio, factor * n**power)
        return here and (other is None or _near(abs(other[1]), factor * other[0] ** power))

    if goes_as(1, 1.0):
        return "batch_mean_missing", ", the batch size"
    if goes_as(-1, 1.0):
        bias = e.array.ndim == 1 and not e.is_input and not loss
        return ("bias_averaged" if bias else "batch_mean_twice"), ", 1 / the batch size"
    if columns <= 1:
        return None
    if goes_as(1, 1.0 / columns) and columns != n:
        return "wrong_axis_mean", f" = {n} / {columns}, rows / columns"
    if goes_as(-1, 1.0 / columns):
        return "elements_mean", ", 1 / the number of elements"
    if goes_as(0, 1.0 / columns) and loss:
        return "elements_mean", ", 1 / the number of columns"
    if goes_as(1, float(columns)):
        return "batch_mean_missing", ", the number of elements"
    return None


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-5 * abs(b)


def _named(ratio: float) -> str:
    names = {2.0: "2", 0.5: "1/2", 0.1: "0.1, perhaps a learning rate", 0.01: "0.01, perhaps a learning rate"}
    names |= {0.001: "0.001, perhaps a learning rate", 4.0: "4", 0.25: "1/4", 3.0: "3", 1 / 3: "1/3"}
    return next((f", which is {name}" for value, name in names.items() if _near(ratio, value)), "")


def _elementwise(e: Evidence) -> Iterator[Found]:
    """Mistakes in y = f(x), entry by entry."""
    g, x, y = e.grad_output, e.x, e.output
    if e.fits(e.vjp(np.ones_like(g))):
        yield "grad_output_ignored", e.everywhere("the one for grad_output = 1")
    if not e.is_input or x.shape != y.shape:
        return
    if e.fits(g):
        yield "derivative_missing", e.everywhere("grad_output itself")
        return
    if not e.differences.elementwise:
        return
    slope = e.truth / g
    if e.fits(g * slope**2):
        yield "derivative_twice", e.everywhere("grad_output f'(x)^2")
    levels = np.unique(np.round(slope[np.isfinite(slope)], 6))
    # Among wrong coordinates alone, any other mask looks inverted.
    if len(levels) == 2 and not e.narrowed and e.fits(g * (levels.sum() - slope)):
        yield "mask_inverted", e.everywhere(f"that with the slopes {levels[0]:g} and {levels[1]:g} exchanged")
    for mask in (g > 0, g < 0):
        if e.fits(g * mask) or e.fits(g * mask * slope):
            yield "mask_wrong_tensor", e.everywhere("grad_output where grad_output has one sign")
    for formula, prediction in (("x (1 - x)", x * (1.0 - x)), ("1 - x^2", 1.0 - x**2)):
        if e.fits(g * prediction):
            yield "derivative_at_input", e.everywhere(f"grad_output times {formula}, with x the input")
    at_output = e.vjp(g, y)
    if e.fits(at_output):
        yield "derivative_at_output", e.everywhere("grad_output f'(f(x))")
    for name, activation in ACTIVATIONS.items():
        options = {"weight": np.array(0.25)} if name == "prelu" else {}
        if activation.elementwise and name != "identity":
            with np.errstate(all="ignore"):
                if e.fits(g * activation.derivative(x, **options)):
                    yield "other_activation", e.everywhere(f"grad_output times the derivative of {name}")


def _matrices(e: Evidence) -> Iterator[Found]:
    """Mistakes in products with a weight."""
    assert e.gradient is not None
    a, n, g = e.gradient, e.truth, e.grad_output
    if a.ndim == 2 and a.shape[0] == a.shape[1] and not e.is_input and e.looked_at.all() and e.fits(n.T):
        yield "transposed", e.everywhere("the transpose of the numerical one")
    for cause, formula, prediction in _products(e):
        if e.fits(prediction):
            yield cause, e.everywhere(formula)
    if not e.is_input and a.ndim <= 2 and g.ndim >= 1 and g.shape[0] == e.batch > 1:
        for row in {0, e.batch - 1}:
            only = np.zeros_like(g)
            only[row] = g[row]
            alone = e.vjp(only)
            if e.fits(alone):
                # A bias is added to the output as it is: what one row gives is that row of grad_output.
                seen = e.looked_at.ravel()
                bias = alone.size == g[row].size and np.allclose(alone.ravel()[seen], g[row].ravel()[seen])
                kind = "bias_not_summed" if bias else "one_example"
                yield kind, e.everywhere(f"that of row {row} of the batch alone")


def _products(e: Evidence) -> Iterator[tuple[str, str, Array]]:
    """For a layer with a weight: the products that a backward pass is made of, and what is wrong with each."""
    x, g = e.x, e.grad_output
    if x.ndim != 2 or g.ndim != 2 or len(x) != len(g):  # images, or samples in columns
        return
    if e.is_input:
        for name, weight in e.subject.arrays.items():
            if weight.ndim == 2 and name != e.subject.input:
                inward = (1, 1) in Differences(e.subject, name, e.rng).aligned  # (in, out), as for y = x W
                for formula, matrix, right in ((f"{name}^T", weight.T, inward), (name, weight, not inward)):
                    if g.shape[1] == matrix.shape[0]:
                        yield ("derivative_missing" if right else "transposed"), f"grad_output {formula}", g @ matrix
    elif e.array.ndim == 2:
        yield "derivative_missing", "x^T grad_output", x.T @ g
        yield "derivative_missing", "grad_output^T x", g.T @ x
    elif e.array.ndim == 1:
        yield "derivative_missing", "the sum of grad_output over the batch", g.sum(axis=0)


def _calls(e: Evidence) -> Iterator[Found]:
    """Mistakes that only show from one call to the next."""
    assert e.gradient is not None
    if e.previous is not None and e.previous.shape == e.gradient.shape:
        if e.fits(e.truth + e.previous):
            yield "accumulated", e.everywhere("the numerical one plus the claimed one of the call before")
        if e.fits(e.previous) and e.hangs_on_previous():
            yield "stale_input", e.everywhere("that of the call before")
    for name, kept in e.subject.kept_arrays():
        if kept.shape == e.x.shape and e.fits(e.vjp(e.grad_output, kept)):
            yield (
                "stale_input",
                e.everywhere(f"the one at the input that is kept in {name}, which is not the present one"),
            )
    if e.fits(e.vjp(e.grad_output, e.previous_x)) and e.hangs_on_previous():
        yield "stale_input", e.everywhere("the one at the input of the call before")


def _regularised(e: Evidence) -> Iterator[Found]:
    if e.is_input:
        return
    assert e.gradient is not None
    extra = (e.gradient - e.truth)[e.looked_at]
    for shown, values in (("the parameter", e.array), ("its sign", np.sign(e.array))):
        rate = common_ratio(extra, values[e.looked_at])
        if rate is not None and extra.size > 1:
            yield "weight_decay", f"claimed minus numerical is {rate:.6g} times {shown} at all coordinates looked at"


def _parts(e: Evidence) -> Iterator[Found]:
    """Some rows or columns right, the others 0."""
    assert e.gradient is not None
    empty = (e.gradient == 0.0) & (np.abs(e.truth) > 1e-9 * e.size)
    if empty.any() and not empty.all() and e.fits(np.where(empty, 0.0, e.truth)):
        where = ""
        for axis in range(empty.ndim):
            others = tuple(a for a in range(empty.ndim) if a != axis)
            lines = np.flatnonzero(empty.any(axis=others))
            if len(lines) < empty.shape[axis]:
                kind = ("rows", "columns")[axis] if empty.ndim == 2 else "entries"
                where = f", in {kind} {', '.join(map(str, lines[:8]))}{' ...' if len(lines) > 8 else ''}"
        yield "partly_filled", f"0 at {int(empty.sum())} of {empty.size} coordinates{where}, right at the others"
