"""Products of which one factor is held or turned round, and gradients out of which something else was made."""

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(2)
X, A, B, W = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 4)), RNG.standard_normal(6), RNG.standard_normal(4)


def cause_of(pair, given, *entry):
    report = check_gradients(pair, given)
    found = diagnosed(report[entry[0]] if entry else report.entries[0])
    return found.cause, found.confident


def gated(x):
    """x times a number for each column that depends on all of the column, which is no normalization."""
    return x * np.tanh(np.exp(x).mean(axis=0))


@pytest.mark.parametrize(
    ("f", "backward"),
    [
        (lambda x: x * np.exp(x), lambda x, grad: grad * np.exp(x)),
        (lambda x: x * np.exp(x), lambda x, grad: grad * x * np.exp(x)),
        (gated, lambda x, grad: grad * np.tanh(np.exp(x).mean(axis=0))),
    ],
)
def test_a_factor_that_is_held_is_told(f, backward):
    assert cause_of((f, backward), X) == ("factor_constant", True)


def test_half_of_a_square_is_a_factor():
    assert cause_of((lambda x: x * x, lambda x, grad: grad * x), X)[0] == "factor"


def step(x, h, w, u):
    y = np.tanh(x @ w + h @ u)
    return y, (x, h, w, u, y)


def step_backward(dy, cache):
    x, h, w, u, y = cache
    dz = dy * (1.0 - y**2)
    return dz @ w.T, dz @ u, x.T @ dz, h.T @ dz


def test_of_a_square_matrix_that_it_should_be_transposed_is_told():
    given = X, RNG.standard_normal((6, 3)), RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3))
    assert cause_of((step, step_backward), given, "h") == ("transposed", True)


def attention(q, k, v):
    scores = q @ k.swapaxes(-1, -2)
    weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    return weights @ v, (q, k, v, weights)


def attention_backward(grad, cache, wrong):
    q, k, v, weights = cache
    dweights = grad @ v.swapaxes(-1, -2)
    dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
    turned, weights = (a if wrong else a.swapaxes(-1, -2) for a in (dscores, weights))
    return dscores @ k, turned @ q, weights @ grad


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 4, 4)])
def test_of_attention_scores_and_weights_that_should_be_transposed_are_told(shape):
    given = tuple(0.5 * RNG.standard_normal((3, *shape)))
    assert check_gradients((attention, lambda grad, cache: attention_backward(grad, cache, False)), given).ok
    pair = attention, lambda grad, cache: attention_backward(grad, cache, True)
    assert cause_of(pair, given, "k") == cause_of(pair, given, "v") == ("transposed", True)


def squares(w):
    return 0.5 * np.sum((A @ w - B) ** 2)


def squares_slope(w):
    return A.T @ (A @ w - B)


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        (lambda slope: 100.0 * np.sign(slope), "sign_alone"),  # if none were smaller, it could be clipped as well
        (lambda slope: np.linalg.solve(A.T @ A, slope), "newton"),
        (lambda slope: slope + 0.125, "constant_added"),
        (lambda slope: slope + 0.125 * (np.arange(4) > 0), "constant_added"),
    ],
)
def test_what_an_optimizer_makes_of_a_gradient_and_what_is_added_to_it_are_told(made, cause):
    assert cause_of((squares, lambda w: made(squares_slope(w))), W) == (cause, True)


def test_the_difference_to_the_targets_is_no_step_though_it_leads_to_the_least_of_their_squares():
    loss = lambda y, target: ((y - target).T @ (y - target)).sum(), lambda y, target: y - target
    report = check_gradients(loss, RNG.standard_normal((5, 3)), RNG.standard_normal((5, 3)))
    assert (report.entries[0].verdict, report.entries[0].cause) == ("wrong", "unknown")


def test_few_coordinates_that_are_all_but_right_have_no_factor():
    # Once "a factor that is missing or applied twice", 1.00001.
    pair = lambda x: np.log(np.abs(x) + 1e-6), lambda x, grad: grad / x
    report = check_gradients(pair, X)
    assert report["x"].verdict == "wrong"
    assert report["x"].wrong < X.size
    assert report["x"].cause != "factor"


def test_one_coordinate_beside_others_that_are_nearly_right_has_no_factor_of_all():
    def backward(x, grad):
        gradient = (grad * np.cos(x)).astype(np.float32).astype(np.float64)
        gradient[1, 2] *= 0.97
        return gradient

    report = check_gradients((np.sin, backward), X)
    # Once "off by a constant factor, at all 1 coordinates looked at", and that for sure.
    assert report["x"].wrong == 1
    assert diagnosed(report["x"]).cause == "unknown"


@pytest.mark.parametrize(
    ("f", "backward"),
    [
        (lambda x: np.cumsum(x, axis=1), lambda dout: np.cumsum(dout, axis=1)),
        (lambda x: np.roll(x, 1, axis=1), lambda dout: np.roll(dout, 1, axis=1)),
        (lambda x: np.diff(x, axis=0, append=0.0), lambda dout: np.diff(dout, axis=0, append=0.0)),
        (lambda x: np.cumsum(np.exp(x), axis=0), lambda dout, x: np.cumsum(np.exp(x) * dout, axis=0)),
    ],
)
def test_the_forward_map_in_the_place_of_its_transpose_is_told(f, backward):
    assert cause_of((f, backward), X) == ("not_transposed", True)


def test_it_is_not_told_of_what_is_its_own_transpose():
    assert cause_of((lambda x: x[:, ::-1], lambda dout: 2.0 * dout[:, ::-1]), X) == ("factor", True)
