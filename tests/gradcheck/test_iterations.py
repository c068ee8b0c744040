"""Gradients of what an iteration ends at, up to a tolerance: undecided where that is all that they are off by."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.kinds import Reason
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


def equilibrium(tolerance, turned=False):
    """The loss of the z for which z = tanh(W z + x), and its gradients by the implicit function theorem."""

    def solve(W, x):
        z = np.zeros(len(x))
        for _ in range(500):
            z, before = np.tanh(W @ z + x), z
            if np.abs(z - before).max() < tolerance:
                break
        return z

    def loss_gradient(W, x):
        z = solve(W, x)
        slope = 1 - z**2
        jacobian = np.eye(len(x)) - slope[:, None] * W
        adjoint = np.linalg.solve(jacobian if turned else jacobian.T, z)
        return np.outer(slope * adjoint, z), slope * adjoint

    return (lambda W, x: 0.5 * np.sum(solve(W, x) ** 2), loss_gradient)


def point(seed):
    rng = np.random.default_rng(seed)
    return 0.3 * rng.standard_normal((4, 4)), rng.standard_normal(4)


@pytest.mark.parametrize(
    ("tolerance", "seed"), [(1e-12, 1), (1e-12, 2), (1e-8, 1), (1e-6, 2), (1e-4, 1), (1e-4, 2), (1e-3, 1)]
)
def test_an_implicit_gradient_is_not_wrong_by_a_tolerance(tolerance, seed):
    report = check_gradients(equilibrium(tolerance), point(seed))
    assert report.verdict != WRONG, report
    if tolerance == 1e-12:
        assert report.verdict == RIGHT
    if tolerance == 1e-4:
        assert report.verdict == UNDECIDED
        assert any(entry.reason == str(Reason.ITERATION) for entry in report.entries)
        assert all(entry.wrong == 0 and entry.diagnosis is None for entry in report.entries)
    assert check_gradients(equilibrium(tolerance, turned=True), point(seed)).verdict == WRONG


def root_by_newton(x):
    y = np.ones_like(x)
    for _ in range(60):
        if not np.any(np.abs(y * y - x) > 1e-4):
            break
        y = 0.5 * (y + x / y)
    return y


def test_a_root_up_to_a_tolerance_is_right_where_few_digits_are_found():
    x = np.array([0.5, 1.7, 3.0])
    assert check_gradients((root_by_newton, lambda g, x: g / (2 * np.sqrt(x))), x).verdict in (CLOSE, UNDECIDED)
    assert check_gradients((root_by_newton, lambda g, x: g / np.sqrt(x)), x).verdict == WRONG


@pytest.mark.parametrize("factor", [1.001, 1.01, 1.05])
def test_a_small_mistake_beside_a_branch_stays_one(factor):
    # The output jumps, and the gradient with it: this is no matter of a tolerance.
    def branches(x):
        return np.where(x > 0.4, 2.0 * x + 0.1, np.sin(x))

    def slope(x, g):
        return factor * g * np.where(x > 0.4, 2.0, np.cos(x))

    assert check_gradients((branches, slope), np.array([0.35, 0.45, -1.0, 0.8])).verdict == WRONG


@pytest.mark.parametrize("factor", [1.001, 1.05])
def test_a_small_mistake_of_a_smooth_function_stays_one(factor):
    assert check_gradients((np.tanh, lambda x, g: factor * g / np.cosh(x) ** 2), np.linspace(-1, 1, 5)).verdict == WRONG
