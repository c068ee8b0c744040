"""Mistakes where x is divided by its length: each prediction is its formula, and nothing is said of other functions."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from claims import evidence, predicted

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain.elementwise import added
from numpy_nn.gradcheck.explain.lengths import lengths
from numpy_nn.gradcheck.explain.losses import EPSILONS

X = np.random.default_rng(1).standard_normal((5, 4))
GAMMA = np.array([0.5, -1.5, 2.0, 0.8])
ROOTS = {
    "sqrt(s + eps)": lambda s, eps: np.sqrt(s + eps),
    "sqrt(s) + eps": lambda s, eps: np.sqrt(s) + eps,
    "sqrt(s)": lambda s, _: np.sqrt(s),
}
AVERAGES: dict[str, Any] = {"mean": np.mean, "sum": np.sum}


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("forward", ROOTS)
def test_a_constant_length_and_eps_in_each_place(forward, average, scaled):
    def squares(a):
        return AVERAGES[average](a, axis=1, keepdims=True)

    def f(x, gamma=1.0):
        return gamma * x / ROOTS[forward](squares(x**2), 1e-4)

    e = evidence(f, np.cos(X), X, others=(GAMMA,) if scaled else ())
    h = e.grad_output * (GAMMA if scaled else 1.0)
    name = f"{average} of squares over each row"
    expected = {}
    # Without an eps in forward, backward may have any.
    for eps, (backward, root) in product(EPSILONS if forward == "sqrt(s)" else (1e-4,), ROOTS.items()):
        r = root(squares(X**2), eps)
        formula = f"the usual formula with r = {backward}, where forward has {forward}, eps = {eps:.0e}, s the {name}"
        expected[formula] = "epsilon", h / r - X * squares(h * X) / r**3
    r = ROOTS[forward](squares(X**2), 1e-4)
    expected[f"that for a {name} held fixed"] = "length_constant", h / r
    guesses = predicted(lengths, e)
    assert {formula: guess.cause for formula, guess in guesses.items()} == {
        formula: cause for formula, (cause, _) in expected.items()
    }
    for formula, (_, values) in expected.items():
        np.testing.assert_allclose(guesses[formula].values, values, rtol=1e-12, atol=1e-14, err_msg=formula)


@pytest.mark.parametrize("axes", [0, (0, 1), (1, 2), (0, 1, 2)])
def test_the_length_may_be_over_any_axes(axes):
    x = np.random.default_rng(2).standard_normal((3, 2, 4))
    r = np.sqrt(np.sum(x**2, axis=axes, keepdims=True))
    e = evidence(lambda x: x / np.sqrt(np.sum(x**2, axis=axes, keepdims=True)), np.cos(x), x)
    e.gradient = e.grad_output / r
    assert {guess.cause for guess in predicted(lengths, e).values() if e.fits(guess.values)} == {"length_constant"}


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("eps", [0.0, 1e-5])
def test_a_length_taken_as_a_constant_is_no_mean_and_variance(average, eps):
    def r(x):
        return np.sqrt(AVERAGES[average](x**2, axis=1, keepdims=True) + eps)

    [entry] = check_gradients((lambda x: x / r(x), lambda x, g: g / r(x)), X).entries
    assert entry.diagnosis is not None
    assert entry.diagnosis.cause == "length_constant"


@pytest.mark.parametrize("f", [np.sin, lambda x: x @ np.ones((4, 4)), lambda x: x - x.mean(1, keepdims=True)])
def test_of_other_functions_nothing_is_said(f):
    assert not predicted(lengths, evidence(f, np.cos(X), X))


def test_a_row_of_zeros_has_no_length():
    x = np.where(np.arange(5)[:, None] == 2, 0.0, X)
    assert not predicted(lengths, evidence(lambda x: x / np.sqrt(np.sum(x**2, 1, keepdims=True) + 1e-4), np.cos(x), x))


@pytest.mark.parametrize("eps", [1e-2, 1e-4])
@pytest.mark.parametrize("inside", ["forward", "backward"])
def test_an_eps_beside_x_in_one_pass_alone(eps, inside):
    x = np.random.default_rng(3).uniform(0.1, 1.0, (5, 4))
    in_forward, in_backward = (eps, 0.0) if inside == "forward" else (0.0, eps)
    report = check_gradients((lambda x: np.log(x + in_forward), lambda x, g: g / (x + in_backward)), x)
    [entry] = report.entries
    assert entry.diagnosis is not None
    assert entry.diagnosis.cause == "epsilon"
    words = f"that {'without' if inside == 'forward' else 'with'} eps = {eps:.0e} beside x"
    assert words in entry.diagnosis.evidence


def test_an_eps_beside_x_is_not_looked_for_where_the_gradient_is_far_off():
    assert not predicted(added, evidence(np.sin, lambda n: 2.0 * n, X))
    assert predicted(added, evidence(np.sin, lambda n: 1.001 * n, X))


def cosines(x, w):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)) @ w


def without_the_part_along(dout, x, w):
    """The gradient of the directions over the lengths, as if these were constants."""
    r = np.linalg.norm(x, axis=1, keepdims=True)
    return dout @ w.T / r, (x / r).T @ dout


def rotated(p, q):
    """Points in the plane, turned by the direction of q."""
    c, s = q / np.linalg.norm(q)
    return p @ np.array([[c, s], [-s, c]])


def rotated_by_a_constant_length(dout, p, q):
    c, s = q / np.linalg.norm(q)
    rotation = dout.T @ p
    dq = np.array([rotation[0, 0] + rotation[1, 1], rotation[1, 0] - rotation[0, 1]])
    return dout @ np.array([[c, s], [-s, c]]).T, dq / np.linalg.norm(q)


def test_a_length_that_changes_nothing_is_told_in_any_function():
    rng = np.random.default_rng(4)
    x, w, p, q = (rng.standard_normal(shape) for shape in ((5, 3), (3, 4), (6, 2), 2))
    found = check_gradients((cosines, without_the_part_along), (x, w))
    assert [(e.name, e.verdict, e.cause) for e in found.entries] == [
        ("x", "wrong", "length_constant"),
        ("w", "right", ""),
    ]
    # Once weight decay: a multiple of the parameter was left in.
    found = check_gradients((rotated, rotated_by_a_constant_length), (p, q))
    assert (found["p"].verdict, found["q"].cause) == ("right", "length_constant")


def test_a_multiple_of_a_parameter_whose_length_counts_is_none():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((5, 3)), rng.standard_normal((3, 4))
    pair = lambda x, w: x @ w, lambda dout, x, w: (dout @ w.T, x.T @ dout + 0.1 * w)
    assert check_gradients(pair, (x, w))["w"].cause == "weight_decay"
