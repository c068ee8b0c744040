"""Branches that hang on another argument than the first are looked for where that one is smaller or larger."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.points import BESIDES, Point, other_points
from numpy_nn.subjects import Hints, as_subject

RNG = np.random.default_rng(0)
SIGNAL, INSIDE = RNG.standard_normal(7), np.array([0.3, -0.4, 0.6, 0.2, -0.7, 0.4, -0.3])


def resample(signal: Any, offset: Any) -> Any:
    """Linear interpolation at i + offset, with clamped ends: an offset of 0.3 at the first entry enters no clamp."""
    at = np.clip(np.arange(len(signal)) + offset, 0, len(signal) - 1)
    left = np.minimum(np.floor(at).astype(int), len(signal) - 2)
    return (1 - (at - left)) * signal[left] + (at - left) * signal[left + 1]


def resample_vjp(signal: Any, offset: Any, grad_output: Any, masked: bool) -> Any:
    raw = np.arange(len(signal)) + offset
    at = np.clip(raw, 0, len(signal) - 1)
    left = np.minimum(np.floor(at).astype(int), len(signal) - 2)
    d_signal = np.zeros_like(signal)
    np.add.at(d_signal, left, (1 - (at - left)) * grad_output)
    np.add.at(d_signal, left + 1, (at - left) * grad_output)
    d_offset = grad_output * (signal[left + 1] - signal[left])
    return d_signal, d_offset * ((raw >= 0) & (raw <= len(signal) - 1)) if masked else d_offset


def with_mask(signal: Any, offset: Any, grad_output: Any) -> Any:
    return resample_vjp(signal, offset, grad_output, True)


def without_mask(signal: Any, offset: Any, grad_output: Any) -> Any:
    return resample_vjp(signal, offset, grad_output, False)


def test_a_branch_that_another_argument_enters_is_looked_at():
    assert check_gradients((resample, with_mask), (SIGNAL, INSIDE))
    report = check_gradients((resample, without_mask), (SIGNAL, INSIDE))
    assert report["signal"].verdict == "right"
    assert report["offset"].verdict == "wrong"
    assert "right at the point given, but wrong at 10 times this offset" in str(report)


def test_what_goes_wrong_little_by_little_is_no_branch():
    def settled(x: Any, w: Any) -> Any:
        """The fixed point of z = x + sin(w z): after 60 steps where w is small, and not at all where it is large."""
        z = x
        for _ in range(60):
            z = x + np.sin(w * z)
        return z

    def settled_vjp(x: Any, w: Any, grad_output: Any) -> Any:
        z = settled(x, w)
        dz = grad_output / (1 - w * np.cos(w * z))
        return dz, dz * z * np.cos(w * z)

    x, w = np.array([0.3, -0.8, 1.1]), np.array([0.3, -0.45, 0.2])
    assert check_gradients((settled, settled_vjp), (x, w))


def points_of(f: Any, vjp: Any, *inputs: Any) -> list[Point]:
    subject = as_subject((f, vjp), tuple(np.array(x) for x in inputs), None, Hints())
    return list(other_points(subject, subject.output(), False, np.random.default_rng(0)))


def product(a: Any, b: Any) -> Any:
    return a * b


def product_vjp(a: Any, b: Any, grad_output: Any) -> Any:
    return grad_output * b, grad_output * a


@pytest.mark.parametrize(
    ("b", "factors"),
    [
        ([1.5, -0.5, 0.7], [10.0]),
        ([0.9, 0.5, 0.7], []),  # 10 times these are no probabilities any more
        ([0.2, 0.3, 0.5], []),  # they sum to 1
        ([1.0, 0.0, 1.0], []),  # a mask
    ],
)
def test_others_are_moved_but_for_those_that_are_bound(b, factors):
    a = [2.0, -1.0, 0.5]
    moved = [p.moved["b"] for p in points_of(product, product_vjp, a, b) if p.moved.keys() == {"b"}]
    assert len(moved) == len(factors)
    for values, factor in zip(moved, factors, strict=True):
        np.testing.assert_allclose(values, factor * np.array(b))


def test_no_more_than_a_few_are_moved():
    def total(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
        return a + b + c + d + e

    def total_vjp(grad_output: Any) -> Any:
        return (grad_output,) * 5

    inputs = RNG.standard_normal((5, 3))
    moved = [set(point.moved) for point in points_of(total, total_vjp, *inputs)]
    assert {"b"} in moved
    assert sum(len(one & set("bcde")) for one in moved) == BESIDES
