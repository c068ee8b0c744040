"""One branch of an elementwise function is differentiated wrongly: that is said, with its range of numbers."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain.wrong_branch import CHANCE, _chance

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

X = np.random.default_rng(0).standard_normal((6, 10))


def of(slopes):
    return lambda grad, x: grad * slopes(x)


def clip(x):
    return 2.0 * np.clip(x, -20.0, 20.0)


def leaking(x):
    return np.where((x < 0.0) & (x > -0.01), 0.5 * x, np.maximum(x, 0.0))


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


def square(x):
    return x * x


@pytest.mark.parametrize(
    ("f", "slopes", "words"),
    [
        (clip, lambda x: np.full(x.shape, 2.0), ["wrong where x is ", "the derivative is 0, and not 2"]),
        (leaking, lambda x: 1.0 * (x > 0.0), ["wrong where x is -0.009687", "the derivative is 0.5, and not 0"]),
        (hard_sigmoid, lambda x: np.full(x.shape, 0.2), ["wrong where x is ", "is 0, and not 0.2"]),
    ],
)
def test_a_branch_that_the_input_does_not_reach_is_named_with_its_range(f, slopes, words):
    found = diagnosed(check_gradients((f, of(slopes)), X[1:3, :4]).entries[0])
    assert (found.cause, found.confident) == ("branch", True)
    assert [part for part in words if part not in found.evidence] == []


def test_a_branch_that_it_reaches_is_named_in_the_place_of_a_factor_that_is_none():
    found = diagnosed(check_gradients((square, of(lambda x: np.where(x > 0.0, 4.0 * x, 2.0 * x))), X).entries[0])
    assert (found.cause, found.confident) == ("branch", False)
    assert found.evidence.startswith("wrong where x is from 0.0")


@pytest.mark.parametrize("limit", [1.2, 1.9])
def test_a_few_beyond_all_others_where_the_function_is_flat_are_clipped(limit):
    x = np.array([-2.0, 0.3, -0.4, 0.8, -1.1, 0.1])
    (entry,) = check_gradients((lambda x: np.sin(np.clip(x, -limit, limit)), lambda g, x: g * np.cos(x)), x).entries
    assert diagnosed(entry).cause == "branch"
    assert entry.wrong == 1


def test_a_few_that_may_lie_so_by_chance_are_no_branch():
    (entry,) = check_gradients((square, of(lambda x: np.where(x > 1.2, 4.0 * x, 2.0 * x))), X[0]).entries
    assert entry.wrong == 1
    assert diagnosed(entry).cause != "branch"


def test_of_a_transposed_output_no_slope_is_told_which_would_be_that_of_another_entry():
    x = X[:5, :5]
    (entry,) = check_gradients((lambda x: square(x).T, lambda g, x: g.T * (2.0 + 2.0 * (x > 0.0)) * x), x).entries
    assert diagnosed(entry).cause == "branch"
    assert "the derivative is" not in diagnosed(entry).evidence


def test_what_is_wrong_here_and_there_among_the_numbers_is_no_branch():
    def backward(grad, x):
        dx = 2.0 * x * grad
        dx[::2] *= 2.0
        return dx

    (entry,) = check_gradients((square, backward), X).entries
    assert diagnosed(entry).cause != "branch"


def test_chance_is_the_share_of_the_ways_in_which_so_many_lie_side_by_side_or_outermost():
    def lies_so(chosen, n):
        left = [k for k in range(n) if k not in chosen]
        ends = sum(a != b - 1 for a, b in pairwise(chosen))
        return ends == 0 or (ends == 1 and chosen[0] < left[0] and chosen[-1] > left[-1])

    for n, wrong in ((7, 3), (9, 4), (6, 1)):
        ways = list(combinations(range(n), wrong))
        assert _chance(wrong, n - wrong) == pytest.approx(sum(lies_so(way, n) for way in ways) / len(ways))
    assert _chance(6, 6) > CHANCE > _chance(12, 48)


@pytest.mark.parametrize("low", [-0.1, -1e-3])
def test_a_relu_that_leaks_a_little_below_0_is_wrong_in_a_branch(low):
    # No entry of this input lies within 0.001 of 0: once it was right. Of one within 0.1 of it no cause was named.
    report = check_gradients((lambda x: np.maximum(x, 0.0), of(lambda x: 1.0 * (x > low))), X[:4, :6])
    found = diagnosed(report.entries[0])
    assert (found.cause, found.confident) == ("branch", True)
    assert "the derivative is 0, and not 1" in found.evidence


def test_what_is_wrong_on_both_sides_of_0_is_no_branch_there():
    # An epsilon that hardly shows where the input lies is all of a gradient beside 0.
    def smoothed(x):
        return np.sqrt(x * x + 1e-12)

    assert check_gradients((smoothed, of(lambda x: np.sign(x) * 1.0)), X + np.sign(X)).ok


@pytest.mark.parametrize("seed", range(4))
def test_a_mask_of_another_threshold_is_not_called_zero_where_it_happens_to_be(seed):
    rng = np.random.default_rng(seed)
    x, w, v = (0.3 * rng.standard_normal(shape) for shape in ((3, 4), (4, 3), (3, 2)))

    def backward(dout, x, w, v):
        hidden = (dout @ v.T) * (x @ w > 1.0)  # for > 0, which is 0 at all of these numbers
        return hidden @ w.T, x.T @ hidden, np.maximum(x @ w, 0.0).T @ dout

    report = check_gradients((lambda x, w, v: np.maximum(x @ w, 0.0) @ v, backward), (x, w, v))
    for name in ("x", "w"):
        found = diagnosed(report[name])
        assert (report[name].verdict, found.cause, found.confident) == ("wrong", "branch", False)


def test_a_gradient_that_is_never_written_is_zero():
    x = np.random.default_rng(1).standard_normal((3, 4))
    report = check_gradients((lambda x: np.maximum(x @ x.T, 0.0), lambda _, x: np.zeros_like(x)), x)
    assert (report["x"].cause, diagnosed(report["x"]).confident) == ("zero", True)
