"""The numbers that hypotheses turn on, each with a prediction that just fits and one that just does not."""

from types import SimpleNamespace

import numpy as np
import pytest
from claims import evidence

from numpy_nn.gradcheck.explain import columns, factors, hypotheses, indices, norms, parts, sequences, shapes, windows
from numpy_nn.gradcheck.explain.predictions import Prediction, ask
from numpy_nn.gradcheck.measure.evidence import FIT, Evidence
from numpy_nn.subjects import Hints, as_subject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

ROWS, COLUMNS = 5, 4


def rng():
    return np.random.default_rng(0)


# Factors.


@pytest.mark.parametrize(
    ("ratio", "near"), [(1 + 0.9e-5, True), (1 + 1.1e-5, False), (1 - 0.9e-5, True), (1 - 1.1e-5, False)]
)
def test_a_factor_is_near_to_one_hundred_thousandth(ratio, near):
    assert factors._near(ratio, 1.0, FIT) == near
    assert factors._near(-10.0 * ratio, -10.0, FIT) == near


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (2.0, ", a whole number"),
        (2 / 3, ", which is 2/3"),
        (1 / 27, ", which is 1/27"),
        (0.5 * (1 + 0.9e-7), ", which is 1/2"),
        (0.5 * (1 + 1.5e-7), ""),
        (np.sqrt(2), ""),
        (1e-9, ""),
        (1000.0, ", a whole number"),
        (1001.0, ""),
        (1 / 1000, ", which is 1/1000"),
        (1 / 1001, ""),
    ],
)
def test_a_factor_is_a_fraction_of_small_numbers_or_of_none(ratio, words):
    assert factors._named(ratio, FIT) == words


@pytest.mark.parametrize(
    ("shape", "ratio", "words"),
    [
        ((3, 3, 3, 8), 1 / 27, "; 27 = 3 * 3 * 3, of the shape (3, 3, 3, 8) of input"),
        ((3, 3, 3, 8), 24.0, "; 24 = 3 * 8, of the shape (3, 3, 3, 8) of input"),
        ((3, 7), 7.0, "; 7 is of the shape (3, 7) of input"),
        ((3, 7), 1 / 7, "; 7 is of the shape (3, 7) of input"),
        ((3, 7), 11.0, ""),
        ((3, 7), 1.0, ""),
        ((3, 7), 7.001, ""),
        ((1, 7), 3.0, ""),
    ],
)
def test_a_factor_is_a_product_of_neighbouring_lengths(shape, ratio, words):
    array = np.zeros(shape)
    subject = SimpleNamespace(input="input")
    e = SimpleNamespace(name="input", array=array, output=np.zeros(()), x=array, fit=FIT, subject=subject)
    assert factors._product_of_lengths(e, ratio) == words


@pytest.mark.parametrize(
    ("ratio", "cause"),
    [
        (-1.0, "sign"),
        (-1.0 + 0.9e-6, "sign"),
        (-1.0 + 1.5e-6, "sign+factor"),
        (-1.0 - 1.5e-6, "sign+factor"),
        (1.7, "factor"),
        (-1.7, "sign+factor"),
        (float(ROWS), "batch_mean_missing"),
        (1 / ROWS, "batch_mean_twice"),
        (-1 / ROWS, "sign+batch_mean_twice"),
        (ROWS / COLUMNS, "wrong_axis_mean"),
        (1 / (ROWS * COLUMNS), "elements_mean"),
        (float(ROWS * COLUMNS), "batch_mean_missing"),
        *((rate, "learning_rate") for rate in factors.LEARNING_RATES if rate != 0.05),
        (-0.01, "sign+learning_rate"),
        (0.011, "factor"),
    ],
)
def test_a_factor_has_its_cause(ratio, cause):
    e = evidence(np.sin, lambda n: n, rng().standard_normal((ROWS, COLUMNS)))
    assert next(factors.factor_causes(e, ratio, None))[0] == cause


@pytest.mark.parametrize(
    "rate", [0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005, 0.0003, 0.0002, 0.0001, 0.00001]
)
def test_a_gradient_times_a_usual_learning_rate_is_told_from_any_other_factor(rate):
    e = evidence(np.sin, lambda n: n, rng().standard_normal((7, 3)))
    assert next(factors.factor_causes(e, rate, None)) == ("learning_rate", f", which is {rate:g}", True)
    assert next(factors.factor_causes(e, -rate, None)) == ("sign+learning_rate", f", which is -{rate:g}", True)
    for off in (1.0 + 1.1e-5, 1.0 - 1.1e-5):
        assert next(factors.factor_causes(e, off * rate, None))[0] == "factor"


@pytest.mark.parametrize(
    ("f", "targets", "cause"),
    [
        (lambda x: np.sin(x).sum(), None, "elements_mean"),
        (lambda x, _: np.sin(x).sum(axis=1), np.zeros(ROWS), "elements_mean"),
        (np.sin, None, "factor"),
    ],
    ids=["a number", "a loss of samples", "no loss"],
)
def test_only_a_loss_is_divided_by_the_number_of_columns(f, targets, cause):
    e = evidence(f, lambda n: n, rng().standard_normal((ROWS, COLUMNS)), targets)
    assert next(factors.factor_causes(e, 1 / COLUMNS, None))[0] == cause


@pytest.mark.parametrize(
    ("here", "there", "cause", "sure"),
    [
        (1 / ROWS, 1 / 4, "batch_mean_twice", True),
        (1 / ROWS, 1 / ROWS, "factor", True),
        (1 / ROWS, 0.3, "factor", False),
        (0.01, 0.01, "learning_rate", True),
        (0.01, 0.02, "factor", False),
        (float(ROWS), 4.0, "batch_mean_missing", True),
        (float(ROWS), 3.9, "factor", False),
    ],
)
def test_a_factor_is_tried_on_another_number_of_rows(here, there, cause, sure):
    e = evidence(np.sin, lambda n: n, rng().standard_normal((ROWS, COLUMNS)))
    assert next(factors.factor_causes(e, here, (4, there)))[::2] == (cause, sure)


@pytest.mark.parametrize(
    ("size", "named"), [(1 + 1.9e-6, True), (1 + 2.1e-6, False), (1 - 1.9e-6, True), (1 - 2.1e-6, False)]
)
@pytest.mark.parametrize("norm", [1.0, 5.0])
def test_a_norm_is_one_that_people_clip_to(norm, size, named):
    def vjp(x, _):
        right = 50.0 * np.cos(x)
        return norm * size * right / np.linalg.norm(right)

    x = rng().standard_normal((ROWS, COLUMNS))
    subject = as_subject((np.sin, vjp), (x,), None, Hints())
    g = np.ones(x.shape)
    e = Evidence(subject, "input", vjp(x, g), g, np.sin(x), {}, x, g, rng())
    assert (factors.scaled_to_norm(e, 0.5) is not None) == named
    assert factors.scaled_to_norm(e, 1.5) is None


# Two mistakes.


@pytest.mark.parametrize(("numbers", "found"), [(2, False), (3, True)])
def test_a_second_mistake_needs_three_numbers(numbers, found):
    x = rng().standard_normal((1, numbers))
    e = evidence(np.sin, lambda n: -3.3 * n**2, x)
    guess = Prediction("derivative_twice", "the square", e.truth**2)
    assert bool(list(hypotheses._two_mistakes(e, [(lambda _: [guess], guess)]))) == found


@pytest.mark.parametrize(("off", "found"), [(0.5e-5, True), (3e-5, False)])
def test_a_second_mistake_is_a_constant_factor(off, found):
    def claimed(n):
        a = -2.0 * n**2
        a.flat[np.abs(a).argmax()] *= 1.0 + off
        return a

    e = evidence(np.sin, claimed, rng().uniform(0.5, 1.0, (ROWS, COLUMNS)))
    assert (hypotheses._ratio(e, e.truth**2) is not None) == found


def test_what_is_all_but_right_is_no_two_mistakes():
    # Off by 1e-6 in a way that nothing explains: each prediction near the truth is as near as the claimed gradient.
    noise = 1.0 + 1e-6 * rng().standard_normal((ROWS, COLUMNS))
    e = evidence(np.sin, lambda n: n * noise, rng().standard_normal((ROWS, COLUMNS)))
    assert hypotheses._ratio(e, e.truth) is None


# Normalizations.


def layer_norm(x, eps=0.0):
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + eps)


@pytest.mark.parametrize(("share", "fits"), [(0.019, True), (0.021, False)])
def test_a_norm_s_prediction_has_the_room_that_eps_needs(share, fits):
    e = evidence(layer_norm, lambda n: n, rng().standard_normal((ROWS, COLUMNS)))
    prediction = e.truth + rng().standard_normal(e.truth.shape)
    wrong = np.abs(prediction - e.truth).max()
    e.gradient = prediction.copy()
    # The entry that is wrong by little is off the prediction; the others are it.
    e.gradient.flat[np.abs(prediction - e.truth).argmin()] += share * wrong
    assert norms._roughly(e, prediction) == fits


@pytest.mark.parametrize(("share", "found"), [(0.5e-3, True), (3e-3, False)])
def test_a_norm_is_a_straight_line_in_what_is_normalized(share, found):
    def bent(x):
        y = layer_norm(x)
        y[0, 0] += share * np.abs(y).max()
        return y

    e = evidence(bent, lambda n: n, rng().standard_normal((2, 30)))
    assert any(norm.axes == (1,) for norm in norms._norms(e)) == found


@pytest.mark.parametrize(("shape", "found"), [((ROWS, 3), True), ((ROWS, 2), False)])
def test_of_two_numbers_nothing_is_a_norm(shape, found):
    e = evidence(layer_norm, lambda n: n, rng().standard_normal(shape))
    assert any(norm.axes == (1,) for norm in norms._norms(e)) == found


def test_a_gradient_reaches_back_to_the_first_step_that_it_is_not_0_at():
    part = np.zeros((2, 5, 3))
    assert sequences._reach(part, axis=1, step=4) == 0
    part[1, 3, 2] = 1.0
    assert sequences._reach(part, axis=1, step=3) == 1
    part[0, 1, 0] = -2.0
    assert sequences._reach(part, axis=1, step=3) == 3
    assert sequences._reach(part, axis=0, step=1) == 2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_last_steps_are_those_that_go_so_many_back(axis):
    part = rng().standard_normal((5, 5, 5))
    kept = np.moveaxis(np.zeros(part.shape), axis, 0)
    kept[2:] = np.moveaxis(part, axis, 0)[2:]
    np.testing.assert_array_equal(sequences._last(part, axis, step=3, back=2), np.moveaxis(kept, 0, axis))


# Samples in columns.
def test_what_is_known_of_columns_is_turned_round_also_that_of_the_call_before():
    x = np.arange(12.0).reshape(3, 4)
    e = evidence(lambda x, _: np.sin(x), lambda n: 2.0 * n, x, np.zeros((3, 4)))
    assert columns.as_rows(e).previous is None
    e.previous = np.arange(12.0).reshape(3, 4) ** 2
    rows = columns.as_rows(e)
    assert rows.name == e.name
    for name in ("gradient", "grad_output", "output", "previous", "previous_x", "previous_grad_output"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(e, name).T, err_msg=name)
    e.gradient = None
    assert columns.as_rows(e).gradient is None


def softmax(x, axis):
    e = np.exp(x)
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize(
    ("f", "parameters", "found"),
    [
        (lambda x, w: w @ x, [(3, 4)], True),
        (lambda x, w: w @ x, [(4, 4)], True),
        (lambda x, w: x @ w, [(4, 4)], False),
        (lambda x, w, b: w @ x + b, [(3, 4), (3, 1)], True),
        (lambda x, w: x @ w, [(4, 3)], False),
        (lambda x: softmax(x, 0), [], None),
        (lambda x: softmax(x, 1), [], False),
        (np.sin, [], False),
        (lambda x: x[0], [], False),
    ],
    ids=["w x", "square w x", "square x w", "w x + b", "x w", "softmax of columns", "of rows", "sin", "one axis"],
)
def test_samples_are_in_columns_where_parameters_act_on_the_rows(f, parameters, found):
    x, *others = (rng().standard_normal(shape) for shape in [(4, 4), *parameters])
    assert columns.in_columns(evidence(f, lambda n: n, x, others=others)) is found


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize(("coupling", "apart"), [(0.0, True), (1e-12, True), (1e-6, False), (1.0, False)])
def test_columns_act_apart_if_the_loss_is_a_sum_over_them(coupling, apart, size):
    def loss(x, _):
        return size * (np.square(x).sum() + coupling * x[:, 0].sum() * x[:, -1].sum())

    x = rng().uniform(0.5, 1.0, (3, 4))
    e = evidence(loss, lambda n: n, x, np.zeros((3, 4)))
    assert columns._act_apart(e, axis=1) == apart
    assert not columns._act_apart(evidence(lambda x, _: np.prod(x), lambda n: n, x, np.zeros((3, 4))), axis=0)


# Repeated entries, sequences, windows.


@pytest.mark.parametrize(("entries", "asked"), [(indices.ENTRIES, True), (indices.ENTRIES + 1, False)])
def test_a_jacobian_is_made_for_few_entries_only(entries, asked):
    e = evidence(lambda x: np.concatenate([x, x])[:1200], lambda n: n, rng().standard_normal(entries))
    e.subject.evaluations = 0
    list(indices.indices(e))
    assert bool(e.subject.evaluations) == asked


@pytest.mark.parametrize(("uses", "asked"), [(1, False), (2, True), (indices.USES, True), (indices.USES + 1, False)])
def test_an_entry_with_very_many_uses_has_none_that_is_picked(uses, asked):
    e = evidence(lambda x: np.tile(x, uses), lambda n: n, rng().standard_normal(3))
    assert bool(list(indices.indices(e))) == asked


@pytest.mark.parametrize(
    ("steps", "found"), [(2, False), (3, True), (sequences.LONGEST, True), (sequences.LONGEST + 1, False)]
)
def test_an_axis_of_time_is_neither_short_nor_very_long(steps, found):
    e = evidence(lambda x: np.cumsum(x, axis=0), lambda n: n, rng().standard_normal((steps, 2)))
    assert ((0, 0) in list(sequences._axes_of_time(e))) == found


@pytest.mark.parametrize(
    ("function", "causal"),
    [(lambda x: np.cumsum(x, axis=0), True), (np.sin, False), (lambda x: np.cumsum(x[::-1], axis=0), False)],
)
def test_only_what_looks_back_is_a_sequence(function, causal):
    e = evidence(function, lambda n: n, rng().standard_normal((4, 2)))
    assert bool(list(sequences.sequences(e))) == causal


@pytest.mark.parametrize(("size", "found"), [(windows.LARGEST, True), (windows.LARGEST + 1, False)])
def test_windows_have_a_largest_size(size, found):
    x, y = np.zeros((1, 1, 12, 12)), np.zeros((1, 1, 12 - size + 1, 12 - size + 1))
    assert any(w.size == size and w.stride == 1 for w in windows._shapes(x, y, padded=False)) == found


# Parts.


@pytest.mark.parametrize(
    ("limit", "number", "sure"), [(0.5, 3, True), (0.75, 2, True), (0.9, 1, False), (0.05, 5, False)]
)
def test_clipped_gradients_reach_the_limit_more_than_once_and_not_everywhere(limit, number, sure):
    right = np.array([0.1, -0.4, 0.6, -0.8, 1.0])
    e = evidence(lambda x: x * right, lambda n: np.clip(n, -limit, limit), np.ones(5))
    e.truth, e.gradient = right, np.clip(right, -limit, limit)
    (found,) = parts.clipped(e)
    assert found.cause == "clipped"
    assert found.text.startswith(f"{number} of 5 ")
    assert found.sure == sure


def test_a_limit_that_right_entries_have_by_themselves_is_no_sure_one():
    right = np.array([0.5, -0.5, 1.0, -1.0, 0.2])
    e = evidence(lambda x: x * right, lambda n: n, np.ones(5))
    e.truth, e.gradient = right, np.clip(right, -0.5, 0.5)
    (found,) = parts.clipped(e)
    assert not found.sure
    assert found.text.endswith("; the others are right")


@pytest.mark.parametrize(("other", "found"), [(0.1, True), (0.11, False)])
def test_a_clipped_gradient_is_right_where_it_is_not_clipped(other, found):
    right = np.array([0.1, -0.4, 0.6, -0.8, 1.0])
    e = evidence(lambda x: x * right, lambda n: n, np.ones(5))
    e.truth, e.gradient = right, np.array([other, -0.4, 0.6, -0.7, 0.7])
    assert bool(list(parts.clipped(e))) == found


@pytest.mark.parametrize(
    ("ratio", "cause"),
    [(1.0, "transposed"), (1 + 0.9e-6, "transposed"), (1 + 2e-6, "transposed+factor"), (-1.0, "transposed+sign")],
)
def test_a_gradient_of_another_shape_is_compared_when_its_shape_is_mended(ratio, cause):
    e = evidence(np.sin, lambda n: ratio * n.T, rng().standard_normal((3, 4)))
    (found,) = shapes.of_wrong_shape(e)
    assert (found.cause, found.sure) == (cause, True)


def test_a_gradient_of_another_shape_with_other_numbers_is_not_named_for_sure():
    e = evidence(np.sin, lambda n: np.square(n.T), rng().standard_normal((3, 4)))
    (found,) = shapes.of_wrong_shape(e)
    assert not found.sure


def test_a_family_that_breaks_off_leaves_what_it_said_and_the_arrays_as_they_were():
    e = evidence(np.sin, lambda n: 2 * n, rng().standard_normal((3, 4)))
    home = e.x.copy()

    def breaking(e):
        yield Prediction("factor", "twice the numerical one", 2 * e.truth)
        e.x[...] = 0.0
        raise ValueError("shapes do not fit")

    asked = ask(e, (breaking, lambda e: [Prediction("sign", "minus the numerical one", -e.truth)]))
    assert [found.cause for found in asked.found] == ["factor"]
    assert len(asked.predictions) == 2
    np.testing.assert_array_equal(e.x, home)
