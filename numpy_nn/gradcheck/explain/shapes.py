"""Gradients that have another shape than what they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from numpy_nn.gradcheck.explain.factors import factor_causes
from numpy_nn.gradcheck.explain.predictions import Found
from numpy_nn.gradcheck.measure.derivatives import Array
from numpy_nn.gradcheck.measure.evidence import Evidence


def of_wrong_shape(e: Evidence) -> Iterator[Found]:
    """Causes of a gradient that has another shape than its array: what makes it fit, and whether it is right then."""
    assert e.gradient is not None
    gradient, wanted = e.gradient, e.array.shape
    shape = gradient.shape
    text = f"shape {shape} instead of {wanted}"
    targets = np.asarray(e.subject.targets) if e.subject.targets is not None else None
    if targets is not None and e.is_input and shape == (e.array.size, targets.size) and targets.shape != wanted:
        yield Found("target_broadcast", f"{text}: the output has shape {wanted} and the targets {targets.shape}")
        return
    if not np.isfinite(gradient).all():
        yield Found("wrong_shape", text)
        return
    if shape == (e.batch, *wanted) or (
        len(shape) == 2 and wanted in ((shape[1],), (1, shape[1])) and shape[0] == e.batch
    ):
        words = f"{text}, which has a row for each of the {e.batch} of the batch"
        is_bias = sum(length > 1 for length in wanted) < 2  # else a weight that all rows share, or all steps
        yield from _mended(
            e, "bias_not_summed" if is_bias else "broadcast_not_summed", words, gradient.sum(axis=0).reshape(wanted)
        )
    elif shape == wanted[::-1]:
        yield from _mended(e, "transposed", text, gradient.T)
    else:
        yield from _by_numbers(e, text)


def _by_numbers(e: Evidence, text: str) -> Iterator[Found]:
    """Other shapes: what a sum, a sum over other axes, or another array's gradient would have given."""
    assert e.gradient is not None
    gradient, g = e.gradient, e.grad_output
    summed = _summed_to(gradient, e.array.shape)
    if summed is not None and _ratio(e, summed, e.truth) is not None:
        yield from _mended(e, "broadcast_not_summed", f"{text}; summed to that shape", summed)
        return
    if not e.is_input:
        for number in range(1, g.ndim + 1):
            for axes in combinations(range(g.ndim), number):
                total = g.sum(axis=axes)
                # A sum that nearly cancels is off by a share of what was added up.
                room = e.grain * np.abs(g).sum(axis=axes).ravel()
                if total.size == gradient.size and np.all(np.abs(total.ravel() - gradient.ravel()) <= room):
                    yield Found("wrong_axis_sum", f"{text}; the numbers are the sum of grad_output over axes {axes}")
                    return
        for number in range(1, e.truth.ndim + 1):
            for axes in combinations(range(e.truth.ndim), number):
                total, room = e.truth.sum(axis=axes), e.fit * np.abs(e.truth).sum(axis=axes).ravel()
                is_less = total.size == gradient.size < e.truth.size
                if is_less and np.all(np.abs(total.ravel() - gradient.ravel()) <= room):
                    along = "all of it" if total.size == 1 else f"axes {axes}"
                    yield Found("wrong_axis_sum", f"{text}; the numbers are the right ones, summed over {along} too")
                    return
    for name, array in e.subject.arrays.items():
        if name != e.name and array.shape == gradient.shape:
            other = e.differences_by(name).few(g).value
            if _ratio(e, gradient, other) is not None:
                yield Found("argument_order", f"{text}; the numbers are those of the gradient with respect to {name}")
                return
    yield Found("wrong_shape", text)


def _mended(e: Evidence, cause: str, text: str, mended: Array) -> Iterator[Found]:
    """The cause, with a factor that is left when the shape is mended; unsure if other numbers are left."""
    ratio = _ratio(e, mended, e.truth)
    if ratio is None:
        yield Found(cause, f"{text}; the numbers are not right either", sure=False)
    elif abs(ratio - 1.0) < 0.1 * e.fit:
        yield Found(cause, text)
    else:
        for more, words, _ in factor_causes(e, ratio, None):
            yield Found(f"{cause}+{more}", f"{text}; and the numbers are {ratio:.7g} times the right ones{words}")
            return


def _ratio(e: Evidence, a: Array, n: Array) -> float | None:
    return e.common_ratio(a, n) if a.shape == n.shape and a.size else None


def _summed_to(gradient: Array, shape: tuple[int, ...]) -> Array | None:
    """The gradient summed over the axes along which ``shape`` would be repeated; None if it would not be."""
    more = gradient.ndim - len(shape)
    if more < 0:
        return None
    padded = (1,) * more + shape
    if any(length not in (1, own) for length, own in zip(padded, gradient.shape, strict=True)):
        return None
    axes = tuple(axis for axis, length in enumerate(padded) if length == 1)
    return gradient.sum(axis=axes, keepdims=True).reshape(shape)
