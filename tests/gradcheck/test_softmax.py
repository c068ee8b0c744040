"""Mistakes in softmax, log-softmax and dropout: each prediction against its formula."""

import numpy as np
import pytest
from claims import evidence, predicted

from numpy_nn.gradcheck.explain.softmax import dropout, softmax

X = np.random.default_rng(0).standard_normal((3, 4))


def probabilities(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def assert_predicted(family, e, expected):
    """These causes and values by formula, and no others."""
    guesses = predicted(family, e)
    assert {formula: guess.cause for formula, guess in guesses.items()} == {
        f: cause for f, (cause, _) in expected.items()
    }
    for formula, (_, values) in expected.items():
        np.testing.assert_allclose(guesses[formula].values, values, rtol=1e-13, atol=1e-15, err_msg=formula)


def test_of_softmax_the_sum_over_the_row_may_be_missing_wrong_or_of_the_input():
    e = evidence(probabilities, np.cos(X), X)
    g, s = e.grad_output, probabilities(X)
    batch, everything = (s * (g - (g * s).sum(axis, keepdims=True)) for axis in (0, None))
    over = "s (g - the sum of g s over {}), which should run over the row"
    assert_predicted(
        softmax,
        e,
        {
            "grad_output times the diagonal of the Jacobian": ("softmax_elementwise", g * (s - s**2)),
            "grad_output times softmax(x), without - sum(g s)": ("softmax_elementwise", g * s),
            over.format("the batch"): ("wrong_axis_mean", batch),
            over.format("everything"): ("wrong_axis_mean", everything),
            "grad_output itself": ("derivative_missing", g),
            "grad_output times x (1 - x), with x the input in place of softmax(x)": (
                "derivative_at_input",
                g * (X - X**2),
            ),
            "x (g - sum(g x)), with x the input in place of softmax(x)": (
                "derivative_at_input",
                X * g - X * (g * X).sum(1, keepdims=True),
            ),
        },
    )


def test_of_log_softmax_the_sum_of_the_row_s_gradient_may_be_missing():
    e = evidence(lambda x: np.log(probabilities(x)), np.cos(X), X)
    g, s = e.grad_output, probabilities(X)
    assert_predicted(
        softmax,
        e,
        {
            "grad_output times the diagonal of the Jacobian": ("softmax_elementwise", g - g * s),
            "grad_output": ("log_softmax_row_sum", g),
            "grad_output - softmax(x)": ("log_softmax_row_sum", g - s),
            "grad_output * softmax(x)": ("log_softmax_row_sum", g * s),
        },
    )


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    "f",
    [
        lambda x: probabilities(x.T).T,
        lambda x: 1.01 * probabilities(x),
        lambda x: probabilities(x) + np.array([0.5, -0.5, 0.0, 0.0]),
        lambda x: np.log(1.01 * probabilities(x)),
        np.sin,
    ],
)
def test_what_is_no_softmax_of_rows_has_none_of_its_mistakes(f):
    assert predicted(softmax, evidence(f, np.cos(X), X)) == {}


@pytest.mark.parametrize("scale", [2.0, 1.25])
def test_of_dropout_the_mask_may_be_missing_inverted_or_another_and_its_scale_forgotten(scale):
    mask = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]])
    e = evidence(lambda x: scale * mask * x, np.cos(X), X)
    g = e.grad_output
    expected = {f"1 or 0 times grad_output, where forward multiplies by {scale:.6g} or 0": ("dropout_scale", g * mask)}
    for factor in (scale, 1.0):
        at = f"{factor:.6g} grad_output"
        expected[f"{at} where forward made the output 0"] = "mask_inverted", factor * g * (1 - mask)
        expected[f"{at}, where forward makes 3 of 12 entries 0"] = "dropout_mask", factor * g
    of_one_sign = {f"{factor:.6g} grad_output where grad_output has one sign" for factor in (scale, 1.0)}
    guesses = [guess for guess in dropout(e) if guess.formula in of_one_sign]
    kept = [factor * np.where(sign * g > 0, g, 0.0) for factor in (scale, 1.0) for sign in (1, -1)]
    assert len(guesses) == len(kept)
    for guess, values in zip(guesses, kept, strict=True):
        assert guess.cause == "mask_wrong_tensor"
        np.testing.assert_allclose(guess.values, values, rtol=1e-13)
    assert_predicted(lambda e: (guess for guess in dropout(e) if guess.formula not in of_one_sign), e, expected)


@pytest.mark.parametrize(
    "f", [lambda x: 2.0 * x, lambda x: x * (x > 0), lambda x: 0.0 * x, lambda x: np.sin(x) * (x > 0)]
)
def test_what_keeps_all_nothing_or_no_multiple_of_the_input_is_no_dropout(f):
    assert predicted(dropout, evidence(f, np.cos(X), X)) == {}
