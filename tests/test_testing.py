"""The assertion for other people's tests: every form is taken, and a failure reads well."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import numpy_nn as nn
from numpy_nn.gradcheck import GradientError
from numpy_nn.testing import SHOWN, assert_gradients, batches, labels

X, Y = np.random.default_rng(0).standard_normal((2, 3, 4))


def product(a, b):
    return a * b


def wrong_vjp(_, b, g):
    return g * b, g * b


def test_several_inputs_and_several_outputs():
    assert assert_gradients((product, lambda a, b, g: (g * b, g * a)), (X, Y)).ok
    assert_gradients((lambda x: (x**2, x**3), lambda x, g, h: 2 * x * g + 3 * x**2 * h), X)
    with pytest.raises(GradientError) as failed:
        assert_gradients((product, wrong_vjp), (X, Y))
    shown = str(failed.value)
    assert shown.startswith("b wrong\nproduct: WRONG\n")
    assert "\n  b " in shown
    assert "\n  a " not in shown
    assert "note: 1 more gradients are right" in shown


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_arrays_that_live_anywhere(dtype):
    w = np.array([0.5, -1.5, 2.0], dtype)
    assert_gradients(lambda: w**2, lambda g: 2 * w * g, w=w)
    assert_gradients(lambda: w**2, lambda g: 2 * w * g, x=w)
    with pytest.raises(GradientError, match="WRONG"):
        assert_gradients(lambda: w**2, lambda g: -2 * w * g, arrays={"w": w})
    np.testing.assert_array_equal(w, [0.5, -1.5, 2.0])


def test_a_loss_and_a_declared_surrogate():
    assert_gradients(nn.CrossEntropyLoss(), X, np.array([0, 1, 2]))
    assert_gradients((np.sign, lambda _, g: g), X, surrogate=lambda x: x)


@pytest.mark.slow
def test_of_many_failures_a_few_are_shown():
    class Forgetful(nn.Linear):
        def backward(self, grad_output):
            return -super().backward(grad_output)

    net = nn.Sequential(*(Forgetful(4, 4, rng=i) for i in range(6)))
    with pytest.raises(GradientError) as failed:
        assert_gradients(net, X)
    lines = str(failed.value).splitlines()
    assert len([line for line in lines if "remedy:" in line]) == SHOWN
    assert sum("note:" in line and "more gradients are" in line for line in lines) == 2


def drawn(strategy):
    """What a strategy draws, many times."""
    seen: list[Any] = []

    @settings(max_examples=300, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def look(value):
        seen.append(value)

    look()
    return seen


SPECIAL = [-1.0, 0.0, 0.5, 1.0]


def test_batches_are_of_one_to_eight_rows_and_columns_and_of_usual_sizes():
    found = drawn(batches())
    assert {len(x) for x in found} == {x.shape[1] for x in found} == set(range(1, 9))
    assert {x.dtype for x in found} == {np.dtype(np.float64)}
    assert max(np.abs(x).max() for x in found) <= 10.0
    assert {x.shape[1] for x in drawn(batches(features=3))} == {3}
    assert {len(x) for x in drawn(batches(min_rows=2, max_rows=3, dtype=np.float32))} == {2, 3}
    assert {x.shape[1] for x in drawn(batches(max_features=2))} == {1, 2}


def test_batches_hold_zeros_ones_and_ties_in_part_in_all_places_or_in_none():
    found = drawn(batches(features=8, min_rows=5))
    special = [np.isin(x, SPECIAL) for x in found]
    assert {here.all() for here in special} == {here.any() for here in special} == {True, False}
    assert any(here.any() and not here.all() for here in special)
    whole = [x for x, here in zip(found, special, strict=True) if here.all()]
    assert set(np.concatenate([x.ravel() for x in whole]).tolist()) == set(SPECIAL)


def test_without_kinks_all_entries_differ_from_each_other_and_from_those():
    found = drawn(batches(kinks=False))
    assert all(len(np.unique(x)) == x.size and not np.isin(x, SPECIAL).any() for x in found)
    # A tenth, one and three times what is usual.
    sizes = np.array([np.sqrt(np.mean(x**2)) for x in found if x.size >= 24])
    assert np.median(sizes[sizes < 0.4]) == pytest.approx(0.1, rel=0.15)
    assert np.median(sizes[(sizes > 0.4) & (sizes < 1.7)]) == pytest.approx(1.0, rel=0.15)
    assert np.median(sizes[sizes > 1.7]) == pytest.approx(3.0, rel=0.15)


def test_a_limit_makes_numbers_smaller_and_not_equal():
    found = drawn(batches(limit=0.25, kinks=False))
    assert max(np.abs(x).max() for x in found) == pytest.approx(0.25)
    assert all(len(np.unique(x)) == x.size for x in found)
    assert min(np.abs(x).max() for x in found) < 0.2


def test_labels_are_of_every_class():
    found = drawn(labels(rows=6, classes=3))
    assert {label for one in found for label in one.tolist()} == {0, 1, 2}
    assert {(one.shape, one.dtype) for one in found} == {((6,), np.dtype(np.int64))}
    assert {label for one in drawn(labels(1, 1)) for label in one.tolist()} == {0}


def test_an_undecided_check_fails_too():
    with pytest.raises(GradientError, match="UNDECIDED"):
        assert_gradients((lambda x: x * np.random.default_rng().random(), lambda x, g: g), X)  # noqa: ARG005


def test_a_failure_is_shown_at_the_line_of_the_test():
    with pytest.raises(GradientError) as failed:
        assert_gradients((np.sin, lambda x, g: -g * np.cos(x)), X)
    shown = [str(entry.path) for entry in failed.traceback.filter(failed)]
    assert shown == [__file__]


@pytest.mark.slow
def test_pytest_shows_the_test_s_own_line_and_the_report(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import numpy as np\n"
        "from numpy_nn.testing import assert_gradients\n\n"
        "def test_sin():\n"
        "    assert_gradients((np.sin, lambda x, g: -g * np.cos(x)), np.ones((2, 3)))\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert ">       assert_gradients((np.sin, " in done.stdout
    assert re.search(r"^E +sin: WRONG$", done.stdout, re.MULTILINE)
    # No line of the checker's own code stands between them.
    assert "def assert_gradients" not in done.stdout
    assert "raise_if_failed" not in done.stdout
    assert len(done.stdout.splitlines()) < 40
