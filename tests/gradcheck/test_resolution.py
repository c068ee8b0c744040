"""Functions that round inside: right code is right to what can be told, wrong code is wrong, and steps are measured."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.measure.resolution import OF_FLOAT64, steps_of
from numpy_nn.gradcheck.report import CLOSE, RIGHT, UNDECIDED, WRONG

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

X = np.random.default_rng(0).standard_normal((3, 4))
W = np.random.default_rng(1).standard_normal((4, 6))
V = np.random.default_rng(2).standard_normal((6, 2))


def narrow(x):
    """Rounded to float32, and float64 again."""
    return np.asarray(x, np.float32).astype(np.float64)


def tanh_vjp(x, g):
    return g * (1.0 - np.tanh(x) ** 2)


def hidden(x):
    return narrow(np.tanh(narrow(x @ W))) @ V


def hidden_vjp(x, g):
    return ((g @ V.T) * (1.0 - np.tanh(x @ W) ** 2)) @ W.T


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_vjp(x, g):
    s = softmax(x)
    return s * (g - (g * s).sum(axis=1, keepdims=True))


IN_FLOAT32 = {
    "rounded at the end": (lambda x: np.tanh(x).astype(np.float32), tanh_vjp),
    "rounded at the start": (lambda x: np.tanh(narrow(x)), tanh_vjp),
    "a part of it rounded": (lambda x: x + narrow(np.tanh(x)), lambda x, g: g + tanh_vjp(x, g)),
    "a loss": (lambda x: narrow(np.tanh(x)).mean(), lambda x, g: tanh_vjp(x, g) / x.size),
    "a product": (lambda x: x.astype(np.float32) @ W.astype(np.float32), lambda _, g: g @ W.T),
    "hidden layers": (hidden, hidden_vjp),
    "with kinks": (lambda x: np.maximum(x, 0.0).astype(np.float32), lambda x, g: g * (x > 0.0)),
    "softmax": (lambda x: softmax(x.astype(np.float32)), softmax_vjp),
    "saturated": (
        lambda x: narrow(1 / (1 + np.exp(-9 * x))),
        lambda x, g: g * 9 / (2 + np.exp(9 * x) + np.exp(-9 * x)),
    ),
}


@pytest.mark.parametrize("name", IN_FLOAT32)
def test_right_code_that_computes_in_float32_is_right_and_the_report_says_to_how_many_digits(name):
    report = check_gradients(IN_FLOAT32[name], X)
    assert report.verdict == RIGHT, report
    assert (report["input"].digits or 0.0) >= 2.0
    assert any("the forward pass computes in float32" in note for note in report.notes)
    assert "RIGHT" in str(report)
    assert "right to" in str(report)


@pytest.mark.parametrize("name", IN_FLOAT32)
@pytest.mark.parametrize("factor", [0.0, -1.0, 1.05])
def test_wrong_code_that_computes_in_float32_is_wrong(name, factor):
    f, vjp = IN_FLOAT32[name]
    report = check_gradients((f, lambda x, g: factor * vjp(x, g)), X)
    assert report.verdict == WRONG, report


@pytest.mark.parametrize(
    "rounded",
    [lambda y: y.astype(np.float16), lambda y: np.round(y, 3), lambda y: np.round(y, 5), lambda y: np.round(y, 2)],
)
def test_of_what_is_rounded_to_a_few_digits_a_right_gradient_is_never_wrong_and_a_wrong_one_never_right(rounded):
    def f(x):
        return rounded(np.tanh(x))

    assert check_gradients((f, tanh_vjp), X).verdict in (RIGHT, UNDECIDED)
    assert check_gradients((f, lambda x, g: 2.0 * tanh_vjp(x, g)), X).verdict == WRONG
    assert check_gradients((f, lambda x, g: -tanh_vjp(x, g)), X).verdict == WRONG


def test_a_function_that_is_meant_to_move_in_steps_has_the_gradient_0():
    assert check_gradients((np.round, lambda _, g: 0.0 * g), X).verdict == RIGHT
    report = check_gradients((lambda x: np.round(x, 1), lambda _, g: 0.0 * g), X)
    assert report.verdict in (RIGHT, UNDECIDED), report


@pytest.mark.parametrize(
    "vjp",
    [
        lambda x, g: tanh_vjp(x.astype(np.float32), g.astype(np.float32)),
        lambda x, g: g * (1.0 - np.tanh(narrow(x)) ** 2),
        lambda x, g: narrow(tanh_vjp(x, g)),
    ],
)
def test_backward_in_float32_is_close_and_said_to_be_so(vjp):
    report = check_gradients((np.tanh, vjp), X)
    assert report.verdict == CLOSE, report
    assert not report.ok
    report.raise_if_failed()
    assert 5.0 <= (report["input"].digits or 0.0) <= 9.0
    assert "backward computes in float32" in report["input"].reason
    assert check_gradients((np.tanh, lambda x, g: 1.001 * vjp(x, g)), X).verdict == WRONG


def test_a_large_array_with_a_backward_in_float32_takes_no_close_look_at_each_coordinate():
    x = np.random.default_rng(0).standard_normal(3000)
    weight = np.random.default_rng(1).standard_normal((3000, 2))
    report = check_gradients((lambda x: x @ weight, lambda _, g: narrow(weight @ g)), x)
    assert report.verdict == CLOSE, report
    assert report["input"].checked == 3000
    assert report.evaluations < 20 * 3000 + 256 * 100


def cross_entropy(epsilon):
    labels = np.array([0, 1, 2])

    def loss(x):
        return -np.log(softmax(x)[np.arange(3), labels] + epsilon).mean()

    return loss, lambda x, g: g * (softmax(x) - np.eye(4)[labels]) / 3


@pytest.mark.parametrize(("epsilon", "digits"), [(1e-7, 5.0), (1e-9, 7.0), (1e-10, 8.0)])
def test_an_epsilon_in_forward_alone_is_close(epsilon, digits):
    report = check_gradients(cross_entropy(epsilon), X)
    assert report.verdict == CLOSE, report
    assert digits <= (report["input"].digits or 0.0) <= digits + 2.0
    assert "an epsilon" in report["input"].reason
    assert f"RIGHT TO {int(report['input'].digits or 0)} DIGITS" in str(report)
    assert check_gradients(cross_entropy(0.0), X).verdict == RIGHT
    assert check_gradients(cross_entropy(1e-3), X).verdict == WRONG


@pytest.mark.parametrize(("written", "verdict"), [(0.7071068, CLOSE), (0.7071, CLOSE), (0.70712, WRONG), (0.7, WRONG)])
def test_a_constant_with_few_digits_is_close_while_five_digits_agree(written, verdict):
    report = check_gradients((lambda x: x * np.sqrt(0.5), lambda _, g: g * written), X)
    assert report.verdict == verdict, report
    if verdict == CLOSE:
        assert "a constant with few digits" in report["input"].reason


def test_one_coordinate_that_is_off_by_more_makes_it_wrong():
    def vjp(x, g):
        gradient = g * np.cos(x) * (1.0 + 1e-7)
        gradient[1, 2] *= 1.0 + 2e-5
        return gradient

    assert check_gradients((np.sin, vjp), X).verdict == WRONG


# The measurement itself.


def line(function, seed=0):
    """A function of a vector along a line through X, and its value there."""
    direction = np.random.default_rng(seed).uniform(0.5, 1.0, X.shape)
    return (lambda t: function(X + t * direction)), function(X)


@pytest.mark.parametrize("height", [2.0**-30, 2.0**-24, 2.0**-16, 2.0**-10])
def test_the_height_of_steps_is_measured(height):
    # A value rounded to multiples of h is off by h / sqrt(12) in the mean square.
    found, _ = steps_of(*line(lambda x: np.round(np.tanh(x) / height) * height))
    assert (found >= height / np.sqrt(12.0) / 2.0).all()
    assert (found <= 4.0 * height).all()


@pytest.mark.parametrize(
    "function",
    [
        np.sin,
        lambda x: np.sin(20.0 * x),
        lambda x: x**3,
        lambda x: np.abs(x - X),
        lambda x: np.maximum(x - X, 0.0),
        lambda x: np.maximum(x - X - 1e-5, 0.0) + np.abs(x - X + 1e-4),
        lambda x: np.tanh(1e8 * (x - X - 1e-6)),
        lambda x: (x - X) / np.sqrt((x - X) ** 2 + 1e-9),
        lambda x: 1e4 + np.cos(x),
        lambda x: np.full_like(x, 7.0),
        lambda x: np.log(x),
    ],
)
def test_what_is_smooth_or_has_a_kink_or_a_sharp_bend_does_not_move_in_steps(function):
    with np.errstate(all="ignore"):
        height, share = steps_of(*line(function))
    assert share == 0.0
    assert not height.any()


def test_the_share_is_that_of_float32():
    _, share = steps_of(*line(lambda x: narrow(2.0 + np.tanh(x))))
    assert 2.0**-27 < share < 2.0**-22
    assert share > OF_FLOAT64


def test_an_output_whose_steps_are_not_seen_is_taken_to_have_those_of_the_others():
    def function(x):
        return narrow(np.concatenate([2.0 + np.tanh(x), np.full((1, 4), 3.0)]))

    height, share = steps_of(*line(function))
    np.testing.assert_array_less(2.0**-27, height)
    assert height[3, 0] >= share * 3.0


def in_float32(f):
    return lambda *arrays: f(*(array.astype(np.float32) for array in arrays))


@pytest.mark.parametrize(
    ("vjp", "cause"),
    [
        (lambda x, g: g * (1 - np.tanh(np.tanh(x)) ** 2), "derivative_at_output"),
        (lambda x, g: 3.0 * g * (1 - np.tanh(x) ** 2), "factor"),
        (lambda x, g: -g * (1 - np.tanh(x) ** 2), "sign"),
        (lambda _, g: g, "derivative_missing"),
    ],
)
def test_the_cause_is_told_of_code_in_float32_too(vjp, cause):
    entry = check_gradients((in_float32(np.tanh), in_float32(vjp)), X)["input"]
    assert (entry.verdict, entry.cause) == (WRONG, cause)
    assert entry.diagnosis is not None
    assert entry.diagnosis.confident


def test_few_steps_are_looked_at_where_finer_ones_show_those_of_the_output_alone():
    report = check_gradients((in_float32(np.tanh), in_float32(tanh_vjp)), X)
    # Six at first, some 400 to measure the output's steps, twenty for each entry of a row, and twice as many elsewhere.
    assert report.verdict == RIGHT
    assert report["input"].digits is not None
    assert report.evaluations < 1000


@pytest.mark.parametrize("seed", [24, 110])
def test_a_sample_whose_units_are_all_dead_is_no_step_of_a_staircase(seed):
    r = np.random.default_rng(seed)
    arrays = r.standard_normal((5, 3)), r.standard_normal((3, 4)), r.standard_normal((4, 2))

    def net(x, w1, w2):
        return np.maximum(x @ w1, 0) @ w2

    def without_mask(grad_output, x, w1, w2):
        dz = grad_output @ w2.T
        return dz @ w1.T, x.T @ dz, np.maximum(x @ w1, 0).T @ grad_output

    report = check_gradients((net, without_mask), arrays)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "wrong", "w1": "wrong", "w2": "right"}
    assert "float16" not in str(report)


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "close"), (1.01, "wrong")])
def test_numbers_of_float32_that_forward_copies_do_not_hide_a_backward_pass_in_float32(wrong, verdict):
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)

    def backward(x, grad):
        return np.float32(wrong) * grad.astype(np.float32) * (x > 0)

    assert check_gradients((lambda x: np.maximum(x, 0.0), backward), x).verdict == verdict
