"""What mistakes would give, in more than two dimensions and on both sides of every condition."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from claims import evidence, found, predicted, probabilities, row_by_row

from numpy_nn.gradcheck.explain import columns, diagnosis, elementwise, sequences
from numpy_nn.gradcheck.explain.losses import losses
from numpy_nn.gradcheck.explain.matrices import matrices, sums
from numpy_nn.gradcheck.explain.networks import Chain, dense_layers, networks
from numpy_nn.gradcheck.explain.predictions import Found
from numpy_nn.gradcheck.measure.evidence import FIT
from numpy_nn.gradcheck.measure.kinds import AGREES, OFF

RNG = np.random.default_rng(0)
CUBE = RNG.standard_normal((2, 3, 4))


# Losses.

ONE_HOT = np.eye(4)[RNG.integers(0, 4, (2, 3))]


def squares(x, t):
    return ((x - t) ** 2).sum() / 2.0


@pytest.mark.parametrize("size", [0.5, 3.0])
def test_a_target_that_is_missing_is_told_with_its_factor(size):
    def claimed(n):
        return n + size * unit * ONE_HOT

    unit = float(evidence(squares, CUBE, CUBE, ONE_HOT).grad_output)
    assert abs(unit) != 1.0
    causes = dict(found(losses, evidence(squares, claimed, CUBE, ONE_HOT)))
    assert causes["target_missing"] == f"claimed minus numerical is {size:g} times the target"
    less = dict(found(losses, evidence(squares, lambda n: n - size * unit * ONE_HOT, CUBE, ONE_HOT)))
    assert "target_missing" not in less


def test_a_softmax_that_is_missing_is_told_with_its_factor():
    x = probabilities(CUBE) * 3.0

    def f(x, t):
        return -(np.log(probabilities(x)) * t).sum()

    unit = float(evidence(f, x, x, ONE_HOT).grad_output)
    causes = dict(found(losses, evidence(f, 0.5 * unit * (x - ONE_HOT), x, ONE_HOT)))
    assert causes["softmax_missing"] == "the claimed gradient is 0.5 (x - target)"
    assert "softmax_missing" not in dict(found(losses, evidence(f, -0.5 * unit * (x - ONE_HOT), x, ONE_HOT)))


@pytest.mark.parametrize("shape", [(2, 3, 4), (6, 4)])
def test_derivatives_that_are_taken_twice_are_those_of_rows(shape):
    x, t = CUBE.reshape(shape), ONE_HOT.reshape(shape)
    guesses = predicted(losses, evidence(squares, np.cos(x), x, t))
    p = row_by_row(probabilities, x)
    twice = guesses["the numerical one times p (1 - p) with p = softmax(x)"]
    assert twice.cause == "derivative_twice"
    np.testing.assert_allclose(twice.values, evidence(squares, np.cos(x), x, t).truth * p * (1.0 - p), rtol=1e-9)
    share = row_by_row(lambda p, t: np.full(4, (p @ t + 1e-3) / (p @ t)), p, t)
    epsilon = guesses["the numerical one times (p + eps) / p with p = softmax(x) at the target, eps = 1e-03"]
    np.testing.assert_allclose(epsilon.values, evidence(squares, np.cos(x), x, t).truth * share, rtol=1e-9)
    masked = guesses["the numerical one, but for 0 in the column of the target"].values
    np.testing.assert_array_equal(masked == 0.0, t == 1.0)


def test_for_probabilities_the_scores_may_be_meant():
    x = probabilities(CUBE)
    e = evidence(squares, np.cos(x), x, ONE_HOT)
    guesses = {formula: guess for formula, guess in predicted(losses, e).items() if guess.cause == "fused_activation"}
    n = e.truth
    expected = [n * x * (1.0 - x), row_by_row(lambda p, n: p * (n - p @ n), x, n)]
    np.testing.assert_allclose([guess.values for guess in guesses.values()], expected, rtol=1e-9)
    for off in (-1.0, 1.0):
        y = np.array(x)
        y[0, 0, 0] = 0.5 + 0.5 * off
        beyond = predicted(losses, evidence(squares, np.cos(y), y, ONE_HOT))
        assert not any(guess.cause == "fused_activation" for guess in beyond.values())


def test_of_a_single_number_a_loss_has_no_columns():
    e = evidence(squares, lambda n: n + 2.0, np.array(0.5), np.array(1.0))
    assert not any("column" in formula for formula in predicted(losses, e))


# Columns.


@pytest.mark.parametrize(
    ("targets", "rows", "cols", "apart", "found"),
    [
        (np.zeros(4), 1, 4, (), True),
        (np.zeros((1, 4)), 1, 4, (), True),
        (np.zeros(3), 1, 4, (), False),
        (np.zeros(1), 1, 1, (), False),
        (np.zeros(3), 3, 4, (True, False), False),
        (np.zeros(4), 3, 4, (True, False), True),
        (np.zeros(3), 3, 3, (True, False), True),
        (np.zeros((3, 4)), 3, 4, (True, False), True),
        (np.zeros((3, 4)), 3, 4, (True, True), False),
        (np.zeros((3, 4)), 3, 4, (False, False), False),
        (np.zeros((3, 1)), 3, 1, (True, False), True),
        (np.zeros((4, 1)), 4, 1, (True, False), False),
    ],
)
def test_a_loss_adds_up_over_columns(monkeypatch, targets, rows, cols, apart, found):
    e = SimpleNamespace(x=np.zeros((rows, cols)), subject=SimpleNamespace(targets=np.array(targets)))
    e.subject.arrays, e.subject.input = {"x": e.x, "W": np.zeros((2, 3)), "b": np.zeros((2, 1))}, "x"
    monkeypatch.setattr(columns, "_act_apart", lambda _, axis: apart[1 - axis])
    assert columns._loss_in_columns(e) == found


@pytest.mark.parametrize(
    ("f", "axis", "apart"),
    [
        (lambda x: np.sin(x).sum(), 0, True),
        (lambda x: np.sin(x).sum(), 1, True),
        (lambda x: np.sin(x.sum(axis=0)).sum(), 1, True),
        (lambda x: np.sin(x.sum(axis=0)).sum(), 0, False),
        (lambda x: np.sin(x.sum(axis=1)).sum(), 1, False),
        (lambda x: x[0, 0] * x[-1, -1] + x.sum(), 0, False),
        (lambda x: 0.0 * x.sum(), 0, True),
    ],
)
def test_slices_act_apart_whose_outputs_add_up(f, axis, apart):
    x = RNG.standard_normal((4, 6))
    x[0, 1] = 0.0
    e = evidence(f, np.cos(x), x)
    assert columns._act_apart(e, axis) == apart
    np.testing.assert_array_equal(e.x, x)


# Networks.

SQUARE = [RNG.standard_normal(shape) for shape in ((4, 3), (3, 3), (3, 3), (3, 2))]
DELTAS = [RNG.standard_normal(w.shape[1]) for w in SQUARE]


def test_all_that_a_layer_may_take_for_its_delta_is_named():
    chain = Chain([(f"W{k}", f"b{k}") for k in range(4)], SQUARE, DELTAS, [], [])
    handed = [DELTAS[k + 1] @ SQUARE[k + 1].T for k in range(3)]
    slopes = [DELTAS[k] / handed[k] for k in range(3)]
    found = {(cause, words): delta for cause, words, delta in chain.other_deltas(1)}
    expected = {
        ("derivative_missing", "that without the derivative of its activation"): handed[1],
        ("derivative_missing", "that without the derivative of the activation of layer 3"): (
            handed[2] @ SQUARE[2].T * slopes[1]
        ),
        ("derivative_missing", "that without the derivative of the activation of layer 2 and of layer 3"): (
            handed[2] @ SQUARE[2].T
        ),
        ("weights_missing", "that without the weights W2"): DELTAS[2] * slopes[1],
        ("transposed", "that with W2 instead of its transpose"): DELTAS[2] @ SQUARE[2] * slopes[1],
        ("other_layer", "that with the activation's derivative of layer 1"): handed[1] * slopes[0],
        ("other_layer", "that with the activation's derivative of layer 3"): handed[1] * slopes[2],
        ("other_layer", "that with W1 for W2"): DELTAS[2] @ SQUARE[1].T * slopes[1],
        ("layer_skipped", "that of what layer 3 is handed, not of what it hands on"): handed[2] * slopes[1],
    }
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, err_msg=str(key))
    last_but_one = {words for _, words, _ in chain.other_deltas(2)}
    assert "that without the weights W3" not in last_but_one
    assert not any("instead of its transpose" in words or "handed" in words for words in last_but_one)


def test_where_nothing_comes_back_a_slope_is_0():
    deltas = [DELTAS[0] * np.array([1.0, 0.0, 1.0]), DELTAS[1]]
    weights = [SQUARE[0], np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])]
    assert Chain([("a", "b")] * 2, weights, deltas, [], []).slopes[0][1] == 0.0


@pytest.mark.parametrize(
    ("shapes", "x", "layers"),
    [
        ([(4, 5), (5,)], (6, 4), 1),
        ([(4, 5), (1, 5), (5, 2), (2, 1)], (6, 4), 2),
        ([(4, 5), ()], (6, 4), 0),
        ([(4, 5)], (6, 4), 0),
        ([], (6, 4), 0),
        ([(4, 5), (5,), (2, 2, 2)], (6, 4), 0),
        ([(4, 5), (5,)], (6, 4, 1), 0),
        ([(4, 1995), (1995,)], (6, 4), 1),
        ([(4, 1997), (1997,)], (6, 4), 0),
        ([(4, 1996), (1996,)], (6, 4), 1),
        ([(4, 1), (1,)], (6, 4), 1),
    ],
)
def test_layers_are_weights_with_their_biases(shapes, x, layers):
    arrays = {"x": np.zeros(x)} | {f"p{k}": np.zeros(shape) for k, shape in enumerate(shapes)}
    e = SimpleNamespace(x=arrays["x"], subject=SimpleNamespace(arrays=arrays, input="x"))
    assert len(dense_layers(e)) == layers
    e.name = "x"
    assert list(networks(e)) == []
    if layers == 1:
        e.name = "p0"
        assert list(networks(e)) == []


# Diagnoses.


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_counted_and_the_first_is_told(bad):
    gradient = np.zeros((2, 3))
    gradient[0, 2] = gradient[1, 1] = bad
    told = diagnosis.diagnose(SimpleNamespace(gradient=gradient, array=gradient))
    assert (told.cause, told.evidence, told.confident) == ("not_finite", "2 of 6, the first at [0, 2]", True)
    assert diagnosis.diagnose(SimpleNamespace(gradient=None, array=gradient)).evidence == "no gradient was written"


def by_columns(cause, other, ratio, *, ndim=2, monkeypatch):
    e = SimpleNamespace(x=np.zeros((3,) * ndim), fit=FIT, array=np.ones(2), gradient=np.ones(2))
    view = SimpleNamespace(batch=5, ratio=lambda: ratio)
    monkeypatch.setattr(diagnosis, "as_rows", lambda _: view)
    monkeypatch.setattr(diagnosis, "ratio_at_another_batch", lambda _: other)
    return list(diagnosis._by_columns(e, [Found(cause, "text"), Found("other", "words")]))


def test_a_factor_that_goes_with_the_columns_is_told_to_do_so(monkeypatch):
    told = by_columns("factor", (4, 3.0), 2.0, monkeypatch=monkeypatch)
    words = "; 3 with 4 columns instead of 5: the batch size, if samples are in columns"
    assert told == [Found("factor", f"text{words}"), Found("other", "words")]
    assert by_columns("sign+factor", (4, 3.0), 2.0, monkeypatch=monkeypatch)
    assert by_columns("factor", (4, 2.0 * (1.0 + 1.1e-5)), 2.0, monkeypatch=monkeypatch)
    for given in (
        ("sign", (4, 3.0), 2.0),
        ("factor", None, 2.0),
        ("factor", (4, 3.0), None),
        ("factor", (4, 2.0 * (1.0 + 0.9e-5)), 2.0),
        ("factor", (4, 2.0), 2.0),
    ):
        assert by_columns(*given, monkeypatch=monkeypatch) == []
    assert by_columns("factor", (4, 3.0), 2.0, ndim=3, monkeypatch=monkeypatch) == []
    assert list(diagnosis._by_columns(SimpleNamespace(x=np.zeros((2, 2))), [])) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([[1, 1, 0], [0, 0, 0]], ["wrong only in rows 0", "wrong only in columns 0, 1"]),
        ([[1, 0, 1], [0, 1, 0]], []),
        ([[0, 1, 0], [0, 1, 0]], ["wrong only in columns 1"]),
        ([[1, 1, 1], [0, 0, 0]], ["wrong only in rows 0"]),
        ([[1, 1, 1], [1, 1, 1]], []),
        ([1, 0, 1], []),
        ([[1] * 8 + [0]] * 2, ["wrong only in columns 0, 1, 2, 3, 4, 5, 6, 7"]),
        ([[1] * 9 + [0]] * 2, ["wrong only in columns 0, 1, 2, 3, 4, 5, 6, 7 ..."]),
    ],
)
def test_where_what_is_wrong_lies(wrong, words):
    status = np.where(np.array(wrong) == 1, OFF, AGREES)
    assert list(diagnosis._where(SimpleNamespace(status=status))) == words
    assert list(diagnosis._where(SimpleNamespace(status=None))) == []


def test_the_pattern_of_what_nothing_explains():
    a, n = np.array([2.0, -1.0, 3.0, 4.0, 9.0]), np.array([1.0, 1.0, 1.0, 2.0, 0.0])
    e = SimpleNamespace(gradient=a, truth=n, status=None, size=1.0, looked_at=np.array([True] * 5))
    assert diagnosis.pattern(e) == (
        "claimed / numerical is -1 .. 3, half of it in 1.25 .. 2.25, median 2; the sign agrees at 75%; "
        f"correlation {np.corrcoef(a[:4], n[:4])[0, 1]:.3f}"
    )
    e.looked_at = np.array([True, True, False, False, True])
    assert diagnosis.pattern(e).endswith("median 0.5; the sign agrees at 50%")
    e.truth = np.array([1.0, 1.0, 1.0, 1.0, 1.0])
    assert "correlation" not in diagnosis.pattern(e)
    e.looked_at = np.array([True] * 5)
    assert "correlation" not in diagnosis.pattern(e)
    e.truth, e.gradient = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.ones(5)
    assert "correlation" not in diagnosis.pattern(e)
    e.truth = np.full(5, 1e-6)
    assert diagnosis.pattern(e) == "claimed is up to 1, numerical up to 1e-06 at 5 coordinates"


@pytest.mark.parametrize(("answer", "views"), [(True, "re"), (False, "e"), (None, "er"), (ValueError("no"), "e")])
def test_samples_are_taken_to_be_in_rows_and_in_columns_the_likelier_first(monkeypatch, answer, views):
    e = SimpleNamespace(subject=SimpleNamespace(arrays={"x": np.ones(3)}))

    def in_columns(evidence):
        evidence.subject.arrays["x"][0] = 7.0
        if isinstance(answer, ValueError):
            raise answer
        return answer

    monkeypatch.setattr(diagnosis, "in_columns", in_columns)
    monkeypatch.setattr(diagnosis, "as_rows", lambda _: "rows")
    assert ["r" if view == "rows" else "e" for view in list[Any](diagnosis._views(e))] == [*views]
    assert e.subject.arrays["x"][0] == (1.0 if isinstance(answer, ValueError) else 7.0)


# Sequences, and functions of single entries.


@pytest.mark.parametrize(
    ("part", "step", "reach"),
    [([0.0, 1.0, 1.0, 0.0], 2, 2), ([1.0, 0.0, 1.0, 0.0], 2, 3), ([0.0] * 4, 2, 0), ([0.0, 0.0, 0.0, 1.0], 3, 1)],
)
def test_how_far_back_a_gradient_goes(part, step, reach):
    rows = np.array(part)[:, None] * [1.0, 0.0]
    assert sequences._reach(rows, 0, step) == reach
    assert sequences._reach(rows.T, 1, step) == reach


@pytest.mark.parametrize(
    ("f", "causal"),
    [
        (lambda x: np.cumsum(x, axis=0), True),
        (lambda x: x**2, False),
        (lambda x: np.cumsum(x[::-1], axis=0)[::-1], False),
        (lambda x: x.mean(axis=0) + x, False),
        (lambda x: np.cumsum(x, axis=0)[: 4 if abs(x[0, 0] - CUBE[0, 0, 0]) < 1e-9 else 3], False),
    ],
)
def test_steps_are_causal_that_move_themselves_and_later_ones(f, causal):
    x = CUBE[0].T.copy()
    assert sequences._causal(evidence(f, np.cos(x), x), 0) == causal


@pytest.mark.parametrize(
    ("x", "passed", "interval"),
    [([0.0, 1.0, 2.0], [0, 1, 0], True), ([0.0, 1.0, 2.0], [1, 0, 1], False), ([0.0, 2.0, 1.0], [0, 1, 1], True)],
)
def test_what_is_let_through_is_all_of_an_interval(x, passed, interval):
    assert elementwise._is_interval(np.array(x), np.array(passed, np.bool_)) == interval


def test_at_0_an_elu_is_the_line():
    x = np.array([-1.0, 0.0, 2.0, -0.5])
    e = evidence(lambda x: np.where(x < 0.0, 3.0 * np.expm1(x), x), np.cos(x), x)
    guesses = {formula: guess.values for formula, guess in predicted(elementwise.elementwise, e).items()}
    words = "grad_output times exp(x), without alpha, where x < 0 (f is an ELU with alpha = 3)"
    np.testing.assert_allclose(guesses[words], e.grad_output * [np.exp(-1.0), 1.0, 1.0, np.exp(-0.5)])
    words = "grad_output times f(x) + 1, not + alpha, where x < 0 (f is an ELU with alpha = 3)"
    np.testing.assert_allclose(
        guesses[words], e.grad_output * [3.0 * np.expm1(-1.0) + 1.0, 1.0, 1.0, 3.0 * np.expm1(-0.5) + 1.0]
    )


# Matrices.


def test_of_numbers_for_each_sample_a_bias_is_looked_at_row_by_row_too():
    x, b = RNG.standard_normal((4, 3)), np.array([0.5])
    e = evidence(lambda x, b: x.sum(axis=1) + b[0], np.cos(x), x, others=(b,))
    (e.name,) = (name for name, array in e.subject.arrays.items() if array.shape == (1,))
    e.gradient = np.array([e.grad_output[0]])
    rows = {formula: guess for formula, guess in predicted(matrices, e).items() if "row" in formula}
    assert rows.keys() == {"that of row 0 of the batch alone", "that of row 3 of the batch alone"}
    for row in (0, 3):
        guess = rows[f"that of row {row} of the batch alone"]
        assert guess.cause == "bias_not_summed"
        np.testing.assert_allclose(guess.values, [e.grad_output[row]])
    assert list(sums(e)) == []
