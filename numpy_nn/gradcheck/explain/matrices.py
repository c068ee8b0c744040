"""Mistakes in products with a weight, in sums over axes, and gradients that belong to something else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from numpy_nn.gradcheck.explain.predictions import Found, Prediction
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence


def matrices(e: Evidence) -> Iterator[Found | Prediction]:
    """The products that a backward pass is made of, the wrong way round or in part."""
    assert e.gradient is not None
    a, n, g = e.gradient, e.truth, e.grad_output
    if a.ndim == 2 and a.shape[0] == a.shape[1] and not e.is_input and e.looked_at.all():
        yield Prediction("transposed", "the transpose of the numerical one", n.T)
    yield from _products(e)
    yield from _entry_by_entry(e)
    if not e.is_input and a.ndim <= 2 and g.ndim >= 1 and g.shape[0] == e.batch > 1:
        for row in {0, e.batch - 1}:
            only = np.zeros_like(g)
            only[row] = g[row]
            alone = e.vjp(only)
            # A bias is added to the output as it is: what one row gives is that row of grad_output.
            seen = e.looked_at.ravel()
            bias = alone.size == g[row].size and np.allclose(alone.ravel()[seen], g[row].ravel()[seen], e.fit, e.fit)
            kind = "bias_not_summed" if bias else "one_example"
            yield Prediction(kind, f"that of row {row} of the batch alone", alone)


def _products(e: Evidence) -> Iterator[Prediction]:
    """For a layer with a weight: grad_output times the weight or the input, without f' or not transposed."""
    x, g = e.x, e.grad_output
    if x.ndim != 2 or g.ndim != 2 or len(x) != len(g):  # images, or samples in columns
        return
    if e.is_input:
        for name, weight in e.subject.arrays.items():
            if weight.ndim == 2 and name != e.subject.input:
                aligned = e.differences_by(name).aligned
                inward = (1, 1) in aligned  # (in, out), as for y = x W
                if not aligned:  # as where a softmax follows, and each number moves all outputs: shapes tell
                    inward = weight.shape == (x.shape[1], g.shape[1])
                for formula, matrix, right in ((f"{name}^T", weight.T, inward), (name, weight, not inward)):
                    if g.shape[1] == matrix.shape[0]:
                        cause = "derivative_missing" if right else "transposed"
                        yield Prediction(cause, f"grad_output {formula}", g @ matrix)
    elif e.array.shape == (x.shape[1], g.shape[1]):
        yield Prediction("derivative_missing", "x^T grad_output", x.T @ g)
    elif e.array.shape == (g.shape[1], x.shape[1]):
        yield Prediction("derivative_missing", "grad_output^T x", g.T @ x)
    elif e.array.size == g.shape[1] == max(e.array.shape, default=1):
        summed = g.sum(axis=0).reshape(e.array.shape)
        yield Prediction("derivative_missing", "the sum of grad_output over the batch", summed)


def _entry_by_entry(e: Evidence) -> Iterator[Prediction]:
    """@ where forward has *, or * where it has @: for arrays whose shapes let both through."""
    wanted, factors = e.array.shape, []
    if len(wanted) != 2:
        return
    for name, array in (("grad_output", e.grad_output), *e.subject.arrays.items()):
        if array.ndim == 2 and name != e.name:
            factors += [(name, array), (f"{name}^T", array.T)]
    for (one, a), (other, b) in combinations(factors, 2):
        if "grad_output" not in f"{one}{other}" or one.removesuffix("^T") == other.removesuffix("^T"):
            continue
        if a.shape == b.shape == wanted and not _works_entry_by_entry(e):
            yield Prediction("product_exchanged", f"{one} * {other}, entry by entry", a * b)
        for left, p, right, q in ((one, a, other, b), (other, b, one, a)):
            if (p.shape[0], q.shape[1]) == wanted and p.shape[1] == q.shape[0] and _works_entry_by_entry(e):
                yield Prediction("product_exchanged", f"{left} @ {right}", p @ q)


def _works_entry_by_entry(e: Evidence) -> bool:
    """Whether each entry of the array moves its own entry of the output, or its own column of it, and no other."""
    return len(e.differences.aligned) == sum(length > 1 for length in e.array.shape)


def sums(e: Evidence) -> Iterator[Prediction]:
    """A bias that sums over the wrong axes; a gradient that is summed or averaged along an axis, and broadcast."""
    g, n = e.grad_output, e.truth
    if not e.is_input and g.ndim >= 1:
        own = {out_axis for _, out_axis in e.differences.aligned}
        for axes in _choices(g.ndim):
            if set(axes) == set(range(g.ndim)) - own or (not own and _are_told_by_shape(axes, e.array.shape, g.shape)):
                continue  # the right ones; of a softmax each moves every output, and the shape alone tells
            total = g.sum(axis=axes)
            if total.size in (1, e.array.size) and total.size != g.size:
                values = np.broadcast_to(total.ravel(), e.array.size).reshape(e.array.shape)
                yield Prediction("wrong_axis_sum", f"the sum of grad_output over {_axes(axes)}", values)
    # Of a single row of numbers, each sum would be one number.
    if n.ndim >= 2 and e.looked_at.all():
        for axes in _choices(n.ndim):
            if all(n.shape[axis] > 1 for axis in axes):
                for word, values in (("sum", n.sum(axes, keepdims=True)), ("mean", n.mean(axes, keepdims=True))):
                    formula = f"the {word} of the numerical one over {_axes(axes)}, the same all along"
                    yield Prediction("wrong_axis_sum", formula, np.broadcast_to(values, n.shape).copy())


def _are_told_by_shape(axes: tuple[int, ...], own: tuple[int, ...], output: tuple[int, ...]) -> bool:
    """Whether an array of this shape, repeated along these axes, has the shape of the output."""
    lengths = [*(1 for _ in output[len(own) :]), *own]
    if max(lengths, default=1) == 1 or len(lengths) != len(output):
        return False  # one number may be summed over any
    repeated = [axis for axis, whole in enumerate(output) if lengths[axis] == 1 < whole]
    return list(axes) == repeated


def _choices(ndim: int) -> Iterator[tuple[int, ...]]:
    for number in range(1, ndim + 1):
        yield from combinations(range(ndim), number)


def _axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def other_arguments(e: Evidence) -> Iterator[Prediction]:
    """The gradient with respect to another array of the same shape."""
    for name, array in e.subject.arrays.items():
        if name != e.name and array.shape == e.array.shape:
            other = e.differences_by(name).few(e.grad_output).value
            if e.fits(other) and not _belongs_elsewhere(e, name, other):
                continue  # as of a gain of 1 beside a shift of 0, where both have wrong ones
            yield Prediction("argument_order", f"that with respect to {name}", other)


def _belongs_elsewhere(e: Evidence, name: str, truth: Array) -> bool:
    """Whether the gradient that is claimed of another array, which has ``truth``, is that of it or of this one."""
    claimed = e.subject.gradients(e.grad_output)[name]
    if claimed is None or claimed.shape != truth.shape:
        return True
    with np.errstate(invalid="ignore"):
        return any(np.abs(claimed - one)[e.looked_at].max() <= e.fit * e.size for one in (truth, e.truth))


def exchanged_axes(e: Evidence) -> Iterator[Prediction]:
    """Two axes exchanged in the gradient, in grad_output or in both, with a reshape where the lengths differ."""
    if not e.looked_at.all():
        return
    n, g = e.truth, e.grad_output
    for one, other in combinations(range(n.ndim), 2):
        if n.shape[one] > 1 and n.shape[other] > 1:
            formula = f"the numerical one with axes {one} and {other} exchanged"
            yield Prediction(_transposed(n), formula, _exchanged(n, one, other))
    for one, other in combinations(range(g.ndim), 2):
        if g.ndim > 2 and g.shape[one] > 1 and g.shape[other] > 1:
            swapped = e.vjp(_exchanged(g, one, other))
            formula = f"that for grad_output with axes {one} and {other} exchanged"
            yield Prediction("axes_exchanged", formula, swapped)
            if swapped.ndim == g.ndim:
                both = _exchanged(swapped, one, other)
                yield Prediction("axes_exchanged", f"{formula}, and exchanged itself", both)


def _transposed(array: Array) -> str:
    return "transposed" if array.ndim == 2 else "axes_exchanged"


def _exchanged(array: Array, one: int, other: int) -> Array:
    return np.swapaxes(array, one, other).reshape(array.shape)
