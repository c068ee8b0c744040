"""What mistakes in softmax and dropout would give, in one dimension and in three."""

import numpy as np
import pytest
from claims import evidence, predicted, probabilities, row_by_row

from numpy_nn.gradcheck.explain.softmax import dropout, softmax

RNG = np.random.default_rng(0)
CUBE = RNG.standard_normal((2, 3, 4))


@pytest.mark.parametrize("x", [CUBE, CUBE[0], CUBE[0, 0]], ids=["3", "2", "1"])
def test_mistakes_in_softmax_along_the_last_axis(x):
    e = evidence(probabilities, np.cos(x), x)
    g, guesses = e.grad_output, predicted(softmax, e)
    np.testing.assert_allclose(
        guesses["x (g - sum(g x)), with x the input in place of softmax(x)"].values,
        row_by_row(lambda x, g: x * (g - g @ x), x, g),
    )
    diagonal = row_by_row(lambda x, g: g * np.diag(np.diag(probabilities(x)) - np.outer(*[probabilities(x)] * 2)), x, g)
    np.testing.assert_allclose(guesses["grad_output times the diagonal of the Jacobian"].values, diagonal)
    assert {guess.cause for guess in guesses.values()} == {
        "softmax_elementwise",
        "wrong_axis_mean",
        "derivative_missing",
        "derivative_at_input",
    }
    over_batch = [guess for formula, guess in guesses.items() if "over the batch" in formula]
    assert bool(over_batch) == (x.ndim > 1)


@pytest.mark.parametrize("x", [CUBE, CUBE[0], CUBE[0, 0]], ids=["3", "2", "1"])
def test_mistakes_in_log_softmax_along_the_last_axis(x):
    e = evidence(lambda x: np.log(probabilities(x)), np.cos(x), x)
    guesses = predicted(softmax, e)
    assert {guess.cause for guess in guesses.values()} == {"softmax_elementwise", "log_softmax_row_sum"}
    np.testing.assert_allclose(guesses["grad_output - softmax(x)"].values, e.grad_output - probabilities(x))
    diagonal = e.grad_output * (1.0 - probabilities(x))
    np.testing.assert_allclose(guesses["grad_output times the diagonal of the Jacobian"].values, diagonal)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.ones_like, np.ones((3, 1))),
        (lambda x: probabilities(x)[:, :2], CUBE[0]),
        (lambda x: probabilities(x) * 1.001, CUBE[0]),
        (lambda x: x - x.mean(axis=-1, keepdims=True) + 0.25, CUBE[0] * 10.0),
        (lambda x: probabilities(x.T).T, CUBE[0]),
        (lambda x: np.log(probabilities(x.T).T), CUBE[0]),
        (lambda x: 1.0 / x.size + 0.0 * x, np.array(2.0)),
    ],
)
def test_what_has_no_rows_of_probabilities_is_no_softmax(f, x):
    assert predicted(softmax, evidence(f, np.cos(x), x)) == {}


def test_what_is_dropped_out():
    x = RNG.uniform(0.5, 1.5, (4, 5)) * np.where(RNG.random((4, 5)) > 0.5, 1.0, -1.0)
    mask = RNG.random((4, 5)) > 0.4
    e = evidence(lambda x: 2.5 * x * mask, np.cos(x), x)
    g, guesses = e.grad_output, predicted(dropout, e)
    by_formula = {
        "1 or 0 times grad_output, where forward multiplies by 2.5 or 0": ("dropout_scale", g * mask),
        "2.5 grad_output where forward made the output 0": ("mask_inverted", 2.5 * g * ~mask),
        "1 grad_output where forward made the output 0": ("mask_inverted", g * ~mask),
        f"2.5 grad_output, where forward makes {(~mask).sum()} of 20 entries 0": ("dropout_mask", 2.5 * g),
        f"1 grad_output, where forward makes {(~mask).sum()} of 20 entries 0": ("dropout_mask", g),
    }
    for formula, (cause, values) in by_formula.items():
        assert guesses[formula].cause == cause
        np.testing.assert_allclose(guesses[formula].values, values)
    signs = [guess.values for guess in dropout(e) if guess.cause == "mask_wrong_tensor"]
    expected = [2.5 * g * (g > 0), 2.5 * g * (g < 0), g * (g > 0), g * (g < 0)]
    np.testing.assert_allclose(signs, expected)


@pytest.mark.parametrize("scale", [1.0, 0.5, -2.0])
def test_what_is_not_scaled_up_is_no_dropout(scale):
    mask = np.array([True, False, True, True])
    assert predicted(dropout, evidence(lambda x: scale * x * mask, np.cos(CUBE[0, 0]), CUBE[0, 0])) == {}


@pytest.mark.parametrize("f", [lambda x: 2.0 * x, lambda x: 0.0 * x, lambda x: 2.0 * x[:2] * [1, 0], np.sin])
def test_what_drops_all_or_nothing_is_no_dropout(f):
    assert predicted(dropout, evidence(f, np.cos(CUBE[0, 0]), CUBE[0, 0])) == {}
