"""Products, sums and exchanged axes: only those that a backward pass may have, each against its formula."""

from types import SimpleNamespace

import numpy as np
import pytest
from claims import evidence, predicted

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain.matrices import (
    _choices,
    _entry_by_entry,
    _products,
    _works_entry_by_entry,
    exchanged_axes,
    matrices,
    other_arguments,
    sums,
)
from numpy_nn.gradcheck.measure.evidence import Evidence

X, W, V = np.random.default_rng(0).standard_normal((3, 3, 3))
PLACES = ("grad_output", "grad_output^T")


@pytest.mark.parametrize(
    ("f", "sign", "product"),
    [(lambda x, w, v: x * w * v, "@", np.matmul), (lambda x, w, v: x @ w @ v, "*", np.multiply)],
    ids=["*", "@"],
)
def test_a_product_that_is_exchanged_is_one_of_grad_output_and_another_array(f, sign, product):
    e = evidence(f, np.cos(X), X, others=(W, V))
    arrays = {f"{name}{turn}": a.T if turn else a for name, a in (("w", W), ("v", V)) for turn in ("", "^T")}
    arrays |= {"grad_output": e.grad_output, "grad_output^T": e.grad_output.T}
    pairs = [(g, other) for g in PLACES for other in arrays if other not in PLACES]
    if sign == "@":
        pairs += [(other, g) for g, other in pairs]
    expected = {f"{one} {sign} {other}": product(arrays[one], arrays[other]) for one, other in pairs}
    guesses = predicted(_entry_by_entry, e)
    found = {formula.removesuffix(", entry by entry"): guess for formula, guess in guesses.items()}
    assert found.keys() == expected.keys()
    for formula, values in expected.items():
        assert found[formula].cause == "product_exchanged"
        np.testing.assert_allclose(found[formula].values, values, rtol=1e-14)


def test_axes_are_exchanged_only_where_both_are_longer_than_1():
    x = np.random.default_rng(1).standard_normal((2, 3, 1))
    e = evidence(lambda x: np.sin(x) * x[:1], np.cos(x), x)
    guesses = {formula: guess.values for formula, guess in predicted(exchanged_axes, e).items()}
    turned = "that for grad_output with axes 0 and 1 exchanged"
    swapped = e.vjp(e.grad_output.swapaxes(0, 1).reshape(x.shape))
    expected = {
        "the numerical one with axes 0 and 1 exchanged": e.truth.swapaxes(0, 1).reshape(x.shape),
        turned: swapped,
        f"{turned}, and exchanged itself": swapped.swapaxes(0, 1).reshape(x.shape),
    }
    assert guesses.keys() == expected.keys()
    for formula, values in expected.items():
        np.testing.assert_allclose(guesses[formula], values, rtol=1e-8, atol=1e-10, err_msg=formula)


def of_parameter(f, x, others, name):
    """What is known of a gradient with respect to one of the further arguments of f, being no mistake of these."""
    e = evidence(f, np.cos(x), x, others=others)
    claimed = np.cos(e.subject.arrays[name])
    return Evidence(e.subject, name, claimed, e.grad_output, e.output, {}, 0.75 * x, e.grad_output, e.rng)


def assert_predicted(family, e, expected):
    """These causes and values by formula, and no others."""
    guesses = predicted(family, e)
    assert {formula: guess.cause for formula, guess in guesses.items()} == {f: c for f, (c, _) in expected.items()}
    for formula, (_, values) in expected.items():
        np.testing.assert_allclose(guesses[formula].values, values, rtol=1e-7, atol=1e-9, err_msg=formula)


ROWS = 5
INPUT = np.random.default_rng(1).standard_normal((ROWS, 4))
WEIGHT, BIAS = np.random.default_rng(2).standard_normal((4, 3)), np.array([0.3, -0.2, 0.1])


def affine(x, w, b):
    return np.tanh(x @ w + b)


def turned(x, w, b):
    return np.tanh(x @ w.T + b)


def test_of_a_layer_the_derivative_may_be_missing_in_each_product():
    e = evidence(affine, np.cos(INPUT), INPUT, others=(WEIGHT, BIAS))
    assert_predicted(_products, e, {"grad_output w^T": ("derivative_missing", e.grad_output @ WEIGHT.T)})
    e = evidence(turned, np.cos(INPUT), INPUT, others=(WEIGHT.T, BIAS))
    assert_predicted(_products, e, {"grad_output w": ("derivative_missing", e.grad_output @ WEIGHT.T)})
    e = of_parameter(affine, INPUT, (WEIGHT, BIAS), "w")
    assert_predicted(_products, e, {"x^T grad_output": ("derivative_missing", INPUT.T @ e.grad_output)})
    e = of_parameter(turned, INPUT, (WEIGHT.T, BIAS), "w")
    assert_predicted(_products, e, {"grad_output^T x": ("derivative_missing", e.grad_output.T @ INPUT)})
    for bias in (BIAS, BIAS[None]):
        e = of_parameter(affine, INPUT, (WEIGHT, bias), "b")
        summed = e.grad_output.sum(0).reshape(bias.shape)
        assert_predicted(_products, e, {"the sum of grad_output over the batch": ("derivative_missing", summed)})


def test_of_a_square_weight_the_input_s_gradient_may_have_it_transposed_or_not():
    for f, right, wrong in ((affine, "w^T", "w"), (turned, "w", "w^T")):
        e = evidence(f, np.cos(X), X, others=(W, BIAS))
        values = {"w": e.grad_output @ W, "w^T": e.grad_output @ W.T}
        expected = {f"grad_output {right}": ("derivative_missing", values[right])}
        expected[f"grad_output {wrong}"] = "transposed", values[wrong]
        assert_predicted(_products, e, expected)


@pytest.mark.parametrize(
    ("x", "g", "array"),
    [
        ((5, 4), (4, 5), (4, 5)),
        ((5, 4), (5, 3, 1), (4, 3)),
        ((5, 4, 1), (5, 3), (4, 3)),
        ((5, 4), (5, 3), (3, 2)),
        ((5, 4), (5, 3), (2, 3)),
        ((5, 4), (5, 6), (2, 3)),
        ((5, 4), (5, 3), (4,)),
    ],
)
def test_what_is_no_layer_of_these_shapes_has_no_products(x, g, array):
    e = SimpleNamespace(x=np.zeros(x), grad_output=np.zeros(g), is_input=False, array=np.zeros(array))
    assert list(_products(e)) == []


def test_a_parameter_s_gradient_may_be_its_transpose_or_that_of_one_row():
    def f(x, w):
        return np.tanh(x @ w)

    e = of_parameter(f, INPUT[:, :3], (W,), "w")
    slope = 1.0 - np.tanh(INPUT[:, :3] @ W) ** 2
    delta = e.grad_output * slope
    guesses = predicted(matrices, e)
    expected = {"the transpose of the numerical one": ("transposed", (INPUT[:, :3].T @ delta).T)}
    for row in (0, ROWS - 1):
        alone = np.outer(INPUT[row, :3], delta[row])
        expected[f"that of row {row} of the batch alone"] = "one_example", alone
    for formula, (cause, values) in expected.items():
        assert guesses[formula].cause == cause
        np.testing.assert_allclose(guesses[formula].values, values, rtol=1e-7, atol=1e-9)
    # In part looked at, it is no transpose of the whole.
    e.looked_at = np.arange(9).reshape(3, 3) > 0
    assert "the transpose of the numerical one" not in predicted(matrices, e)
    for other in (of_parameter(f, INPUT[:, :3], (W[:, :2],), "w"), evidence(np.sin, np.cos(W), W)):
        assert "the transpose of the numerical one" not in predicted(matrices, other)


def rows_alone(e):
    """The causes for rows of the batch alone, by row."""
    guesses = predicted(matrices, e).items()
    return {f.split()[3]: guess.cause for f, guess in guesses if f.endswith("of the batch alone")}


@pytest.mark.slow
@pytest.mark.numerical
def test_one_row_alone_is_that_of_a_parameter_with_two_axes_at_most_and_of_a_batch():
    def shifted(x, b):
        return x + b

    assert rows_alone(of_parameter(shifted, INPUT, (np.ones(4),), "b")) == dict.fromkeys("04", "bias_not_summed")
    assert rows_alone(of_parameter(lambda x, b: x * b, INPUT, (np.ones(4),), "b")) == dict.fromkeys("04", "one_example")
    assert rows_alone(of_parameter(shifted, INPUT[:2], (np.ones(4),), "b")) == dict.fromkeys("01", "bias_not_summed")
    assert rows_alone(of_parameter(shifted, INPUT[:1], (np.ones(4),), "b")) == {}
    assert rows_alone(of_parameter(shifted, INPUT[:, :1], (np.ones(1),), "b")) == dict.fromkeys("04", "bias_not_summed")
    assert rows_alone(of_parameter(shifted, INPUT[:, 0], (np.ones(1),), "b")) == dict.fromkeys("04", "bias_not_summed")
    assert rows_alone(of_parameter(lambda x, b: (x + b).T, INPUT, (np.ones(4),), "b")) == {}
    assert rows_alone(of_parameter(lambda x, b: x + b[0], INPUT, (np.ones((1, 1, 4)),), "b")) == {}
    assert rows_alone(of_parameter(lambda x, b: (x + b).sum(), INPUT, (np.ones(4),), "b")) == {}
    assert rows_alone(evidence(np.sin, np.cos(INPUT), INPUT)) == {}


def test_one_entry_is_a_choice_of_the_axes_that_are_added_up():
    assert list(_choices(1)) == [(0,)]
    assert list(_choices(2)) == [(0,), (1,), (0, 1)]
    assert list(_choices(3)) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]


@pytest.mark.slow
@pytest.mark.numerical
def test_a_bias_may_be_summed_over_the_wrong_axes():
    x = np.random.default_rng(1).standard_normal((4, 3, 3))
    e = of_parameter(lambda x, b: x + b, x, (np.ones(3),), "b")
    g = e.grad_output
    assert_predicted(
        sums,
        e,
        {
            "the sum of grad_output over axes 0, 2": ("wrong_axis_sum", g.sum((0, 2))),
            "the sum of grad_output over axes 0, 1, 2": ("wrong_axis_sum", np.full(3, g.sum())),
        },
    )


def test_of_a_softmax_in_columns_the_axis_of_the_samples_is_no_wrong_one():
    def softmax(x, b):
        powers = np.exp(x + b)
        return powers / powers.sum(axis=0)

    e = of_parameter(softmax, np.random.default_rng(1).standard_normal((3, 5)), (np.ones((3, 1)),), "b")
    assert [found.formula for found in sums(e) if "grad_output" in found.formula] == []


@pytest.mark.parametrize("rows", [4, 2])
def test_a_gradient_may_be_summed_or_averaged_along_its_axes(rows):
    x = np.random.default_rng(1).standard_normal((rows, 3, 1))
    e = evidence(np.sin, np.cos(x), x)
    n = e.truth
    expected = {}
    for axes, words in (((0,), "axis 0"), ((1,), "axis 1"), ((0, 1), "axes 0, 1")):
        for word, total in (("sum", n.sum(axes, keepdims=True)), ("mean", n.mean(axes, keepdims=True))):
            formula = f"the {word} of the numerical one over {words}, the same all along"
            expected[formula] = "wrong_axis_sum", np.broadcast_to(total, n.shape)
    assert_predicted(sums, e, expected)
    e.looked_at = np.arange(3 * rows).reshape(rows, 3, 1) > 0
    assert_predicted(sums, e, {})
    row = np.random.default_rng(1).standard_normal(4)
    assert_predicted(sums, evidence(np.sin, np.cos(row), row), {})


def test_a_bias_that_is_one_number_is_summed_over_all_and_may_be_over_some():
    e = of_parameter(lambda x, b: x * b, INPUT[:, 0], (np.ones(1),), "b")
    assert_predicted(sums, e, {})
    e = of_parameter(lambda x, b: x * b, INPUT[:1], (np.ones(1),), "b")
    assert_predicted(sums, e, {"the sum of grad_output over axis 1": ("wrong_axis_sum", [e.grad_output.sum()])})


@pytest.mark.parametrize(
    ("aligned", "shape", "works"),
    [
        ([(0, 0), (1, 1)], (2, 3), True),
        ([(0, 0)], (2, 3), False),
        ([(1, 1)], (1, 3), True),
        ([], (1, 1), True),
        ([(0, 0)], (1, 1), False),
    ],
)
def test_what_moves_its_own_entry_works_entry_by_entry(aligned, shape, works):
    e = SimpleNamespace(differences=SimpleNamespace(aligned=aligned), array=np.zeros(shape))
    assert _works_entry_by_entry(e) == works


def test_a_product_has_the_shape_of_what_it_belongs_to():
    x, w = np.random.default_rng(1).standard_normal((4, 3)), np.random.default_rng(2).standard_normal((4, 3))
    e = evidence(lambda x, w: x * w, np.cos(x), x, others=(w,))
    assert predicted(_entry_by_entry, e) == {}
    e = of_parameter(lambda x, w: x @ w, x, (np.ones((3, 3)),), "w")
    assert predicted(_entry_by_entry, e) == {}
    e = of_parameter(lambda x, w: x @ w, np.ones((4, 4)), (np.ones((4, 4, 1))[:, :, 0],), "w")
    assert set(predicted(_entry_by_entry, e)) == {
        f"{one} * {other}, entry by entry" for one in PLACES for other in (e.subject.input, f"{e.subject.input}^T")
    }
    e = of_parameter(lambda x, b: x + b, x, (np.ones(3),), "b")
    assert predicted(_entry_by_entry, e) == {}


def test_another_argument_of_the_same_shape_may_be_meant():
    e = evidence(lambda x, w, v: np.sin(x) * w * v.sum(), np.cos(X), X, others=(W, V[:2]))
    values = e.grad_output * np.sin(X) * V[:2].sum()
    assert_predicted(other_arguments, e, {"that with respect to w": ("argument_order", values)})


def test_two_axes_may_be_exchanged():
    x = np.random.default_rng(1).standard_normal((2, 3))
    e = evidence(np.sin, np.cos(x), x)
    n = e.truth
    formula = "the numerical one with axes 0 and 1 exchanged"
    assert_predicted(exchanged_axes, e, {formula: ("transposed", n.T.reshape(2, 3))})
    e.looked_at = np.arange(6).reshape(2, 3) > 0
    assert_predicted(exchanged_axes, e, {})
    for shape in ((1, 3), (3, 1)):
        x = np.ones(shape)
        assert_predicted(exchanged_axes, evidence(np.sin, np.cos(x), x), {})


def test_of_another_number_of_axes_what_is_exchanged_in_grad_output_is_not_exchanged_again():
    x = np.random.default_rng(1).standard_normal((2, 3))
    e = evidence(lambda x: np.sin(x)[:, :, None] * np.ones(4), np.cos(x), x)
    turned = "that for grad_output with axes {} and {} exchanged"
    shown = [turned.format(*axes) for axes in ((0, 1), (0, 2), (1, 2))]
    assert [formula for formula in predicted(exchanged_axes, e) if "grad_output" in formula] == shown


def test_wrong_gradients_of_a_gain_and_a_shift_are_not_exchanged():
    """At a gain of 1 and a shift of 0 what is wrong of one is by chance that of the other, which is wrong too."""
    x, ones, zeros = np.random.default_rng(0).standard_normal((6, 3)), np.ones(3), np.zeros(3)

    def relu_of_affine(x, gain, shift):
        return np.maximum(x * gain + shift, 0.0)

    def vjp(x, gain, shift, grad_output):
        g = grad_output * relu_of_affine(x, gain, shift)  # and not the mask
        return g * gain, (g * x).sum(axis=0), g.sum(axis=0)

    report = check_gradients((relu_of_affine, vjp), (x, ones, zeros))
    assert report["shift"].verdict == "wrong"
    assert report["shift"].cause != "argument_order"

    def exchanged(x, gain, shift, grad_output):
        g = grad_output * (relu_of_affine(x, gain, shift) > 0)
        return g * gain, g.sum(axis=0), (g * x).sum(axis=0)

    assert check_gradients((relu_of_affine, exchanged), (x, ones, zeros))["shift"].cause == "argument_order"
