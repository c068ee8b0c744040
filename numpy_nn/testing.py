"""For the tests of your own layers: an assertion for pytest, and hypothesis strategies.

    from hypothesis import given
    from numpy_nn.testing import assert_gradients, batches

    @given(x=batches(features=4))
    def test_my_layer(x):
        assert_gradients(MyLinear(4, 3), x)

    def test_my_functions():
        assert_gradients((attention, attention_vjp), (queries, keys, values))

Hypothesis is imported by the strategies only, when they are called.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from numpy_nn._support.checks import count, float_dtype
from numpy_nn.gradcheck import GradientError, GradientReport, check_gradients
from numpy_nn.gradcheck.report import UNDECIDED, WRONG

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


# How many failed gradients a message shows in full; a network may have hundreds.
SHOWN = 4


def assert_gradients(target: Any, x: Any = None, targets: Any = None, /, **options: Any) -> GradientReport:
    """:func:`~numpy_nn.gradcheck.check_gradients`, and a GradientError, an AssertionError, unless all is right.

    Every form that ``check_gradients`` takes is taken: several inputs as a tuple, ``run`` and ``grads`` with arrays by
    name. The message is the report of what failed; the whole report is returned where nothing did.
    """
    __tracebackhide__ = True  # pytest then shows the test's own line
    report = check_gradients(target, x, targets, **options)
    try:
        report.raise_if_failed()
    except GradientError:
        raise GradientError(f"{report.failure}\n{_failures(report)}") from None
    return report


def _failures(report: GradientReport) -> GradientReport:
    """The report without the gradients that are right, and with the first few of the others."""
    failed = [entry for entry in report.entries if entry.verdict in (WRONG, UNDECIDED)]
    right, more = len(report.entries) - len(failed), len(failed) - SHOWN
    counted = [f"{right} more gradients are right"] if right else []
    counted += [f"{more} more gradients are not: print(check_gradients(...)) shows them"] if more > 0 else []
    return replace(report, entries=failed[:SHOWN], notes=[*report.notes, *counted])


def batches(
    features: int | None = None,
    *,
    min_rows: int = 1,
    max_rows: int = 8,
    max_features: int = 8,
    limit: float = 10.0,
    kinks: bool = True,
    dtype: DTypeLike = np.float64,
) -> SearchStrategy[Any]:
    """Arrays of shape (rows, features) with entries up to ``limit``: usual numbers, and zeros, ones and ties.

    ``features`` fixes the width, else it is 1 to ``max_features``. Without ``kinks`` all entries differ from each
    other and from 0 and 1, so that max, abs and the like are smooth there.
    """
    from hypothesis import strategies as st

    count(min_rows, "min_rows")
    count(max_rows, "max_rows", low=min_rows)
    resolved = float_dtype(dtype)
    widths = st.just(count(features, "features")) if features is not None else st.integers(1, max_features)

    @st.composite
    def draw_batch(draw: st.DrawFn) -> Any:
        shape = draw(st.integers(min_rows, max_rows)), draw(widths)
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        x = rng.standard_normal(shape) * draw(st.sampled_from([0.1, 1.0, 3.0]))
        # Scaled, not clipped: what is clipped is equal.
        x *= min(1.0, limit / np.abs(x).max())
        if kinks:
            special = rng.choice([0.0, 1.0, -1.0, 0.5], shape)
            x = np.where(rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0])), special, x)
        return x.astype(resolved)

    return draw_batch()


def labels(rows: int, classes: int) -> SearchStrategy[Any]:
    """Integer labels 0 .. classes - 1, of shape (rows,)."""
    from hypothesis import strategies as st

    count(rows, "rows")
    high = count(classes, "classes") - 1
    return st.lists(st.integers(0, high), min_size=rows, max_size=rows).map(lambda values: np.array(values, np.int64))
