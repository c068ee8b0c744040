"""Mistakes in f'(x), entry by entry: each prediction against its formula, for f alone and within a dense layer."""

import numpy as np
import pytest
from claims import evidence, found, predicted

from numpy_nn.activations import ACTIVATIONS
from numpy_nn.gradcheck.explain.dense import dense
from numpy_nn.gradcheck.explain.elementwise import elementwise, staircase
from numpy_nn.gradcheck.measure.kinds import COARSE, OFF

X = np.random.default_rng(0).standard_normal((3, 4))
OTHERS = "grad_output times the derivative of "


def assert_predicted(guesses, expected):
    """These causes and values by formula, and no others."""
    assert {formula: guess.cause for formula, guess in guesses.items()} == {
        f: cause for f, (cause, _) in expected.items()
    }
    for formula, (_, values) in expected.items():
        np.testing.assert_allclose(guesses[formula].values, values, rtol=2e-7, atol=1e-8, err_msg=formula)


def test_of_a_smooth_function_these_are_the_mistakes():
    e = evidence(np.sin, lambda n: n + 1.0, X)
    g, slope = e.grad_output, np.cos(X)
    gelu = ACTIVATIONS["gelu"].derivative(X, approximate="tanh")
    guesses = predicted(elementwise, e)
    others = {name: f for name, f in ACTIVATIONS.items() if f.elementwise and name != "identity"}
    of_sign = guesses.pop("grad_output where grad_output has one sign")
    assert of_sign.cause == "mask_wrong_tensor"
    expected = {
        "the one for grad_output = 1": ("grad_output_ignored", slope),
        "grad_output itself": ("derivative_missing", g),
        "grad_output f'(x)^2": ("derivative_twice", g * slope**2),
        "grad_output times x (1 - x), with x the input": ("derivative_at_input", g * (X - X**2)),
        "grad_output times 1 - x^2, with x the input": ("derivative_at_input", g * (1.0 - X**2)),
        "grad_output times 1, or x + 1 where x < 0, with x the input": (
            "derivative_at_input",
            g * (1.0 + np.minimum(X, 0.0)),
        ),
        "grad_output f'(f(x))": ("derivative_at_output", g * np.cos(np.sin(X))),
        f"{OTHERS}gelu's approximation by tanh": ("other_activation", g * gelu),
    }
    for name, f in others.items():
        options = {"weight": np.array(0.25)} if name == "prelu" else {}
        slope = f.derivative(X, **options)
        if np.ptp(slope) > 0.0:  # that of hardsigmoid is one number here, as any constant factor is
            expected[f"{OTHERS}{name}"] = "other_activation", g * slope
    assert_predicted(guesses, expected)


def test_masks_of_grad_output_have_either_sign_with_the_slope_and_without():
    e = evidence(np.sin, lambda n: n + 1.0, X)
    g, slope = e.grad_output, np.cos(X)
    guesses = [guess.values for guess in elementwise(e) if guess.cause == "mask_wrong_tensor"]
    positive, negative = np.where(g > 0, g, 0.0), np.where(g < 0, g, 0.0)
    expected = positive, positive * slope, negative, negative * slope
    assert len(guesses) == len(expected)
    for values, right in zip(guesses, expected, strict=True):
        np.testing.assert_allclose(values, right, rtol=1e-7, atol=1e-8)


def leaky(x):
    return np.where(x > 0, 2.0 * x, 0.25 * x)


def test_of_two_slopes_each_may_stand_for_the_other():
    e = evidence(leaky, lambda n: n + 1.0, X)
    guess = predicted(elementwise, e)["that with the slopes 0.25 and 2 exchanged"]
    assert guess.cause == "mask_inverted"
    np.testing.assert_allclose(guess.values, e.grad_output * np.where(X > 0, 0.25, 2.0), rtol=1e-8)
    e.narrowed = True
    assert not any("mask_inverted" in guess.cause for guess in predicted(elementwise, e).values())


@pytest.mark.parametrize(
    ("f", "slopes"),
    [
        (lambda x: np.where(x > 0, x, 0.25 * np.sin(x)), lambda x: np.where(x < 0, 1.0, 0.25 * np.cos(x))),
        (np.sin, None),
        (lambda x: x + 1.0, None),
    ],
    ids=["1 on one side", "1 nowhere", "1 everywhere"],
)
def test_where_the_slope_is_1_on_one_side_that_may_be_the_other(f, slopes):
    e = evidence(f, lambda n: n + 1.0, X)
    guesses = predicted(elementwise, e)
    assert ("grad_output f'(-x)" in guesses) == (slopes is not None)
    if slopes is not None:
        guess = guesses["grad_output f'(-x)"]
        assert guess.cause == "mask_inverted"
        np.testing.assert_allclose(guess.values, e.grad_output * slopes(X), rtol=1e-6, atol=1e-8)
        e.narrowed = True
        assert "grad_output f'(-x)" not in predicted(elementwise, e)


@pytest.mark.parametrize("f", [lambda x: x.cumsum(axis=1), lambda x: x[:2], lambda x: x.sum(axis=1)])
def test_what_does_not_work_entry_by_entry_has_two_of_them_at_most(f):
    e = evidence(f, np.cos(X), X)
    shown = {"the one for grad_output = 1", "grad_output itself"}
    assert predicted(elementwise, e).keys() == (shown if e.output.shape == X.shape else shown - {"grad_output itself"})
    e = evidence(np.sin, np.cos(X), X)
    e.name = "W"
    e.subject.arrays["W"] = e.subject.arrays[e.subject.input]
    assert predicted(elementwise, e).keys() == {"the one for grad_output = 1"}


def test_grad_output_itself_is_said_alone():
    e = evidence(np.sin, np.cos(X), X)
    e.gradient = e.grad_output.copy()
    assert list(predicted(elementwise, e)) == ["the one for grad_output = 1", "grad_output itself"]


def elu(alpha):
    return lambda x: np.where(x > 0, x, alpha * np.expm1(x))


@pytest.mark.parametrize(("alpha", "number"), [(1.7, 3), (0.5, 3), (1.0, 1), (1.0 + 0.9e-5, 1), (1.0 - 1.1e-5, 3)])
def test_of_an_elu_its_alpha_may_be_left_out(alpha, number):
    e = evidence(elu(alpha), np.cos(X), X)
    g, y, below = e.grad_output, elu(alpha)(X), X < 0
    at = f"where x < 0 (f is an ELU with alpha = {alpha:.6g})"
    expected = {
        f"grad_output times f(x), without + alpha, {at}": y,
        f"grad_output times exp(x), without alpha, {at}": np.exp(X),
        f"grad_output times f(x) + 1, not + alpha, {at}": y + 1.0,
    }
    guesses = {formula: guess for formula, guess in predicted(elementwise, e).items() if guess.cause == "alpha_missing"}
    assert list(guesses) == list(expected)[:number]
    for formula, guess in guesses.items():
        np.testing.assert_allclose(guess.values, np.where(below, g * expected[formula], g), rtol=1e-8, atol=1e-9)


def test_0_is_not_below_0():
    x = np.array([[-1.0, 0.0, 0.5], [0.3, -0.2, 0.0]])
    e = evidence(elu(0.5), np.cos(x), x)
    values = predicted(elementwise, e)[
        "grad_output times exp(x), without alpha, where x < 0 (f is an ELU with alpha = 0.5)"
    ].values
    np.testing.assert_allclose(values, np.where(x < 0, e.grad_output * np.exp(x), e.grad_output), rtol=1e-12)
    shown = "grad_output times 1, or x + 1 where x < 0, with x the input"
    np.testing.assert_allclose(predicted(elementwise, e)[shown].values, e.grad_output * np.minimum(x + 1.0, 1.0))


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    "f",
    [
        elu(-0.5),
        lambda x: np.where(x > 0, x, np.sin(x)),
        lambda x: np.where(x > 0, 1.01 * x, np.expm1(x)),
        lambda x: np.where(x > 0, x, 0.0),
    ],
    ids=["a negative alpha", "no exponential", "another slope", "0 below 0"],
)
def test_what_is_no_elu_has_no_alpha(f):
    assert not any("alpha" in guess.cause for guess in predicted(elementwise, evidence(f, np.cos(X), X)).values())
    positive = np.abs(X)
    guesses = predicted(elementwise, evidence(elu(0.5), np.cos(X), positive))
    assert not any("alpha" in guess.cause for guess in guesses.values())


# Staircases.


SURROGATE = ("surrogate", "the numerical gradient is 0 at all 6 coordinates looked at, and where the output is another")


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (lambda x: np.ones_like(x), "grad_output itself, and the numerical one 0"),
        (lambda x: np.abs(x) <= 1.2, "grad_output where the input is between -1.2 and 1.2, else 0; the numerical 0"),
        (lambda x: x >= 1.2, "grad_output where the input is between 1.2 and 2.2, else 0; the numerical 0"),
        (lambda x: np.abs(x) >= 1.2, None),
        (lambda x: 0.0 * x, None),
        (lambda x: np.where(x > 0, 1.0, 0.5), None),
    ],
)
def test_a_staircase_lets_grad_output_through_in_an_interval_or_has_a_surrogate(passed, text):
    x = np.array([[-2.2, -1.2, 0.2], [0.3, 1.2, 2.2]])
    e = evidence(np.floor, np.zeros_like(x), x)
    e.gradient = e.grad_output * passed(x)
    words = f"the claimed gradient is {text} at all 6 coordinates looked at"
    assert found(staircase, e) == [SURROGATE if text is None else ("straight_through", words)]


def test_what_a_backward_pass_in_float32_lets_through_is_grad_output_as_float32_has_it():
    x = np.array([[-2.2, -1.2, 0.2], [0.3, 1.2, 2.2]])
    e = evidence(np.floor, np.zeros_like(x), x)
    e.gradient = e.grad_output.astype(np.float32).astype(np.float64)
    assert (e.gradient != e.grad_output).any()
    assert [cause for cause, _ in found(staircase, e)] == ["straight_through"]
    e.gradient[0, 0] *= 1.0 + 2.0**-22
    assert found(staircase, e) == [SURROGATE]


def test_a_relu_that_lets_all_through_is_no_staircase_where_float32_tells_a_few_digits_of_the_rest():
    x = np.array([[-2.2, -1.2, 0.2], [0.3, 1.2, 2.2]])
    e = evidence(lambda x: np.maximum(x, 0.0), np.zeros_like(x), x)
    e.gradient = e.grad_output.copy()
    e.status = np.where(x < 0, OFF, COARSE)
    assert found(staircase, e) == []


def test_a_relu_that_lets_all_through_where_it_is_off_is_no_staircase():
    # Once "the function is a staircase": it is flat where the input lies.
    x = -np.abs(np.random.default_rng(0).standard_normal((2, 3)))
    e = evidence(lambda x: np.maximum(x, 0.0), np.zeros_like(x), x)
    e.gradient = e.grad_output.copy()
    assert found(staircase, e) == []


def test_what_moves_is_no_staircase_and_of_another_shape_or_a_parameter_nothing_is_let_through():
    x = np.array([[-2.2, -1.2, 0.2], [0.3, 1.2, 2.2]])
    for f, expected in ((np.sin, []), (lambda x: np.floor(x)[:1], [SURROGATE])):
        e = evidence(f, np.zeros_like(x), x)
        e.gradient = np.ones_like(x) if e.output.shape != x.shape else e.grad_output.copy()
        assert found(staircase, e) == expected
    e = evidence(np.floor, np.zeros_like(x), x)
    e.gradient, e.name = e.grad_output.copy(), "W"
    e.subject.arrays["W"] = e.subject.arrays[e.subject.input]
    assert found(staircase, e) == [SURROGATE]


# Dense layers.

ROWS = 5
INPUT = np.random.default_rng(2).standard_normal((ROWS, 4))
W, V = np.random.default_rng(3).standard_normal((4, 3)), np.random.default_rng(4).standard_normal((3, 2))
B, C = np.array([0.3, -0.2, 0.1]), np.array([0.5, -0.4])


def one(x, w, b):
    return np.tanh(x @ w + b)


def two(x, w, b, v, c):
    return np.tanh(x @ w + b) @ v + c


def layer(f, others, entry):
    """What is known of the gradient of one array of a dense layer: its input, its weight or its bias."""
    e = evidence(f, np.cos(INPUT), INPUT, others=others)
    if entry != "x":
        array = e.subject.arrays[entry]
        e = type(e)(e.subject, entry, np.cos(array), e.grad_output, e.output, {}, 0.75 * INPUT, e.grad_output, e.rng)
    return e


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("entry", ["x", "w", "b"])
@pytest.mark.parametrize(("f", "others"), [(one, (W, B)), (two, (W, B, V, C))], ids=["one layer", "two layers"])
def test_in_a_dense_layer_these_are_taken_for_the_derivative(f, others, entry):
    e = layer(f, others, entry)
    z, g = INPUT @ W + B, e.grad_output
    hidden, slope = (g if f is one else g @ V.T), 1.0 - np.tanh(z) ** 2
    taken = {
        "the derivative of the activation left out": ("derivative_missing", np.ones_like(z)),
        "the activation's derivative taken at its output": ("derivative_at_output", 1.0 - np.tanh(np.tanh(z)) ** 2),
        "the activation's derivative applied twice": ("derivative_twice", slope**2),
        "the mask taken from grad_output": ("mask_wrong_tensor", 1.0 * (hidden > 0)),
        "(1 - a) for the derivative, with a the output of it": ("derivative_in_part", 1.0 - np.tanh(z)),
        "(1 + a) for the derivative, with a the output of it": ("derivative_in_part", 1.0 + np.tanh(z)),
        "z (1 - z) for the derivative, with z the activation's input": ("derivative_at_input", z - z**2),
        "1 - z^2 for the derivative, with z the activation's input": ("derivative_at_input", 1.0 - z**2),
    }
    for name, other in ACTIVATIONS.items():
        if other.elementwise and name not in ("identity", "tanh"):
            options = {"weight": np.array(0.25)} if name == "prelu" else {}
            taken[f"the derivative of {name}"] = "other_activation", other.derivative(z, **options)
    made = {"x": lambda delta: delta @ W.T, "w": lambda delta: INPUT.T @ delta, "b": lambda delta: delta.sum(axis=0)}[
        entry
    ]
    expected = {
        f"that with {words} (f is tanh)": (cause, made(hidden * guess)) for words, (cause, guess) in taken.items()
    }
    guesses = predicted(dense, e)
    assert_predicted(guesses, expected)


def test_the_first_that_fits_is_the_last_that_is_said():
    e = layer(one, (W, B), "w")
    e.gradient = INPUT.T @ e.grad_output
    assert list(predicted(dense, e)) == ["that with the derivative of the activation left out (f is tanh)"]


def test_a_derivative_that_is_the_same_numbers_is_no_mistake():
    # relu'(relu(z)) is relu'(z), and so is its square.
    formulas = predicted(dense, layer(lambda x, w, b: np.maximum(x @ w + b, 0.0), (W, B), "w"))
    assert not any("taken at its output" in formula or "twice" in formula for formula in formulas)
    assert "that with the activation's mask inverted (f is relu)" in formulas


def test_of_an_elu_in_a_dense_layer_its_alpha_comes_first():
    e = layer(lambda x, w, b: np.where(x @ w + b > 0, x @ w + b, np.expm1(x @ w + b)), (W, B), "w")
    z = INPUT @ W + B
    (formula, guess), *_ = predicted(dense, e).items()
    assert (guess.cause, formula) == (
        "alpha_missing",
        "that with f(z), without + alpha, for the derivative below 0 (f is elu)",
    )
    right = INPUT.T @ (e.grad_output * np.where(z > 0, 1.0, np.expm1(z)))
    np.testing.assert_allclose(guess.values, right, rtol=1e-12)


def test_an_elu_without_its_alpha_has_the_derivative_0_at_0():
    x, none = np.where(np.arange(ROWS)[:, None] == 0, 0.0, INPUT), np.zeros(3)
    e = evidence(
        lambda x, w, b: np.where(x @ w + b > 0, x @ w + b, np.expm1(x @ w + b)), np.cos(x), x, others=(W, none)
    )
    (_, guess), *_ = predicted(dense, e).items()
    assert guess.cause == "alpha_missing"
    np.testing.assert_array_equal(guess.values[0], 0.0)


def test_without_a_bias_it_is_a_dense_layer_and_with_the_bias_of_one_of_two_it_is_none():
    assert predicted(dense, layer(lambda x, w: np.tanh(x @ w), (W,), "w"))
    assert predicted(dense, layer(lambda x, w, v: np.tanh(x @ w) @ v, (W, V), "w"))
    assert not predicted(dense, layer(lambda x, w, b, v: np.tanh(x @ w + b) @ v, (W, B, V), "w"))


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("f", "others"),
    [
        (lambda x, w, b: np.cos(x @ w + b), (W, B)),
        (lambda x, w, b: np.tanh(x @ w + 2.0 * b), (W, B)),
        (lambda x, w, v: np.tanh(x @ w) @ (v + 1.0), (W, V)),
        (lambda x, w: np.tanh(x @ w.T), (W.T,)),
        (lambda x, w, b: np.tanh(x @ w + b).sum(axis=1), (W, B)),
        (lambda x, w, u, v: np.tanh(np.tanh(x @ w) @ u) @ v, (W, np.eye(3), V)),
        (lambda x, w, b: np.tanh(x @ w + b[0]), (W, np.stack([B, B]))),
    ],
    ids=["no activation", "twice the bias", "another weight", "transposed", "sums", "three layers", "no bias"],
)
def test_what_is_no_dense_layer_of_these_arrays_is_left_to_others(f, others):
    assert predicted(dense, layer(f, others, "w")) == {}


def test_the_last_weight_of_two_layers_is_left_to_others():
    assert predicted(dense, layer(two, (W, B, V, C), "v")) == {}
