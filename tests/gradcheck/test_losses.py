"""Mistakes in the gradient of a loss: each prediction against its formula, and what is found by itself."""

import numpy as np
import pytest
from claims import evidence, found, predicted

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain import losses
from numpy_nn.gradcheck.explain.losses import EPSILONS

ROWS, CLASSES = 5, 4
Z = np.random.default_rng(0).standard_normal((ROWS, CLASSES))
LABELS = np.array([0, 3, 1, 1, 2])
HOT = np.eye(CLASSES)[LABELS]
BITS = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
SCORES = np.random.default_rng(1).standard_normal((2, 3))


def softmax(z):
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)


def cross_entropy(z, y):
    return -np.log(softmax(z)[np.arange(len(z)), y]).sum()


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def binary(z, y):
    return (np.logaddexp(0.0, z) - y * z).sum()


def binary_of_probabilities(p, y):
    return -(y * np.log(p) + (1.0 - y) * np.log(1.0 - p)).sum()


def of(loss, claimed, x, targets):
    """What is known of a gradient that is this function of the loss's own, whatever the loss is multiplied by."""
    e = evidence(loss, np.zeros_like(x), x, targets)
    e.grad_output = np.asarray(3.0)
    e.gradient = np.array(e.grad_output * claimed(e.truth / e.grad_output))
    return e


@pytest.mark.parametrize(
    ("claimed", "words"),
    [
        (lambda n: n + HOT, "claimed minus numerical is 1 times the target"),
        (lambda n: n + 0.2 * HOT, "claimed minus numerical is 0.2 times the target"),
        (lambda n: n - HOT, None),
        (lambda n: n + HOT**2 + 0.1, None),
    ],
)
def test_a_target_that_is_left_out_is_a_positive_multiple_of_it(claimed, words):
    told = [text for cause, text in found(losses.losses, of(cross_entropy, claimed, Z, LABELS)) if "target" in cause]
    assert told == ([] if words is None else [words])


@pytest.mark.parametrize(
    ("claimed", "words"),
    [
        (lambda _: Z - HOT, "the claimed gradient is 1 (x - target)"),
        (lambda _: (Z - HOT) / ROWS, "the claimed gradient is 0.2 (x - target)"),
        (lambda _: HOT - Z, None),
        (lambda _: Z - 2.0 * HOT, None),
    ],
)
def test_softmax_that_is_left_out_is_a_positive_multiple_of_the_difference(claimed, words):
    told = [text for cause, text in found(losses.losses, of(cross_entropy, claimed, Z, LABELS)) if "softmax" in cause]
    assert told == ([] if words is None else [words])


def test_where_the_right_gradient_is_a_multiple_of_the_difference_nothing_is_left_out():
    e = of(lambda x, t: np.square(x - t).sum(), lambda n: 0.5 * n, SCORES, BITS)
    assert found(losses.losses, e) == []


def test_what_may_be_left_out_or_applied_twice_is_predicted_by_its_formula():
    e = of(cross_entropy, np.cos, Z, LABELS)
    p, s, n = softmax(Z), sigmoid(Z), e.truth
    times = e.common_ratio(n, p - HOT)
    assert times == pytest.approx(e.grad_output.item())
    expected = {
        "the numerical one, but for 0 in the column of the target": ("target_missing", n * (1.0 - HOT)),
        "that by the probabilities, softmax(x)": ("derivative_missing", -HOT / p * times),
        "the numerical one times p (1 - p) with p = softmax(x)": ("derivative_twice", n * (p - p**2)),
        "the numerical one times the derivative of sigmoid": ("derivative_twice", n * (s - s**2)),
        "the numerical one times the derivative of tanh": ("derivative_twice", n * (1.0 - np.tanh(Z) ** 2)),
    }
    guesses = predicted(losses.losses, e)
    assert {formula for formula in guesses if "eps" not in formula} == expected.keys()
    for formula, (cause, values) in expected.items():
        assert guesses[formula].cause == cause
        np.testing.assert_allclose(guesses[formula].values, values, rtol=1e-12, atol=1e-15, err_msg=formula)


@pytest.mark.parametrize(
    ("x", "fused"),
    [
        (np.full((2, 3), 0.5) + 0.1 * SCORES, True),
        (np.where(BITS > 0, 0.9, 0.0), False),
        (np.where(BITS > 0, 1.0, 0.1), False),
        (np.where(BITS > 0, 1.1, 0.1), False),
    ],
)
def test_of_probabilities_the_gradient_may_be_that_by_the_scores(x, fused):
    e = of(lambda p, y: np.square(p - 2.0 * y).sum(), np.cos, x, BITS)
    n = e.truth
    by_sigmoid, by_softmax = n * (x - x**2), x * n - x * (x * n).sum(1, keepdims=True)
    guesses = {formula: guess for formula, guess in predicted(losses.losses, e).items() if "scores z" in formula}
    assert bool(guesses) == fused
    for (formula, guess), values in zip(guesses.items(), (by_sigmoid, by_softmax) if fused else (), strict=True):
        assert guess.cause == "fused_activation", formula
        np.testing.assert_allclose(guess.values, values, rtol=1e-12, atol=1e-15)


def test_the_difference_of_probabilities_and_targets_is_no_softmax_that_is_missing():
    p = 0.5 + 0.1 * SCORES
    e = of(binary_of_probabilities, lambda _: p - BITS, p, BITS)
    assert [cause for cause, _ in found(losses.losses, e)] == []


def test_of_one_sample_all_is_predicted_along_its_classes():
    z, hot = Z[0], HOT[0]
    e = of(lambda z, t: np.log(np.exp(z).sum()) - z @ t, np.cos, z, hot)
    p = softmax(z)
    guesses = predicted(losses.losses, e)
    twice = guesses["the numerical one times p (1 - p) with p = softmax(x)"].values
    np.testing.assert_allclose(twice, e.truth * (p - p**2), rtol=1e-13)
    target = guesses["the numerical one times (p + eps) / p with p = softmax(x) at the target, eps = 1e-02"].values
    np.testing.assert_allclose(target, e.truth * (p[0] + 0.01) / p[0], rtol=1e-13)
    probabilities = of(lambda p, t: -np.log(p) @ t, np.cos, softmax(z), hot)
    n = probabilities.truth
    (fused,) = (guess for formula, guess in predicted(losses.losses, probabilities).items() if "softmax(z)" in formula)
    np.testing.assert_allclose(fused.values, p * (n - n @ p), rtol=1e-12)


def test_epsilons_have_every_power_of_ten_from_2_to_15():
    assert EPSILONS == (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15)


@pytest.mark.parametrize("eps", [1e-2, 1e-15])
def test_an_epsilon_beside_a_probability_is_a_share_of_the_numerical_gradient(eps):
    e = of(cross_entropy, np.cos, Z, LABELS)
    target = softmax(Z)[np.arange(ROWS), LABELS, None]
    probabilities = {
        "p = softmax(x) at the target": target,
        "p = sigmoid(x), or 1 - it, for the target": np.where(HOT == 1.0, sigmoid(Z), 1.0 - sigmoid(Z)),
        "p = x": Z,
        "p = x, or 1 - it, for the target": np.where(HOT == 1.0, Z, 1.0 - Z),
    }
    guesses = predicted(losses.losses, e)
    assert sum("eps" in formula for formula in guesses) == 2 * len(probabilities) * len(EPSILONS)
    for what, p in probabilities.items():
        for share, values in (("(p + eps) / p", (p + eps) / p), ("p / (p + eps)", p / (p + eps))):
            guess = guesses[f"the numerical one times {share} with {what}, eps = {eps:.0e}"]
            assert guess.cause == "epsilon"
            np.testing.assert_allclose(guess.values, e.truth * values, rtol=1e-13)


def square(x, t):
    return np.square(x - t).sum()


COLUMN, ROW = np.array([[0.3], [-0.2], [0.7]]), np.array([0.1, 0.5, -0.4])


def test_targets_that_are_broadcast_are_told_with_both_shapes():
    right = 2.0 * (COLUMN - ROW[:, None])
    e = of(square, lambda _: right, COLUMN, ROW)
    shapes = "the output has shape (3, 1) and the targets (3,)"
    words = "the claimed gradient is the numerical one for targets of the output's shape at all 3 coordinates looked at"
    assert found(losses.losses, e) == [("target_broadcast", f"{shapes}; {words}: forward broadcasts them")]
    assert e.subject.targets.shape == (3,)


def test_a_gradient_that_broadcasts_its_targets_is_told_if_it_is_right_without():
    e = of(square, lambda n: 0.7 * n + 0.1, COLUMN, ROW)
    for share, told in ((1.0, True), (1.0 + 5e-7, True), (1.0 + 2e-6, False)):
        e.subject.gradients = lambda g, share=share: {e.name: share * g * 2.0 * (COLUMN - ROW[:, None])}
        shapes = "the output has shape (3, 1) and the targets (3,)"
        words = f"{shapes}; with targets of the output's shape the gradient is right"
        assert found(losses.losses, e) == ([("target_broadcast", words)] if told else []), share
    for gradient in (None, np.ones(2)):
        e.subject.gradients = lambda _, gradient=gradient: {e.name: gradient}
        assert found(losses.losses, e) == []


@pytest.mark.parametrize(
    ("x", "targets"),
    [(COLUMN, ROW[:, None]), (COLUMN, np.array([0, 1, 1])), (COLUMN, ROW[:1]), (COLUMN[:1], ROW[:1])],
    ids=["the same shape", "integers", "another size", "one number"],
)
def test_nothing_is_broadcast_of_other_targets(x, targets):
    asked = []
    e = of(square, np.cos, x, targets)

    def gradients(g):
        asked.append(g)
        return {e.name: None}

    e.subject.gradients = gradients
    assert list(losses._broadcast(e, targets)) == []
    assert asked == []


def test_targets_that_code_refuses_in_another_shape_are_left_as_they_are():
    def insists(x, t):
        assert t.ndim == 1
        return square(x, t)

    e = of(insists, np.cos, COLUMN, ROW)
    assert list(losses._broadcast(e, ROW)) == []
    assert e.subject.targets.shape == (3,)


@pytest.mark.parametrize(
    ("targets", "shape", "scores"),
    [
        (np.array([2, 0]), (2, 3), [[0, 0, 1], [1, 0, 0]]),
        (np.array([7, -1]), (2, 3), [[0, 0, 1], [1, 0, 0]]),
        (np.array([2, 0], np.uint8), (2, 3), [[0, 0, 1], [1, 0, 0]]),
        (np.array([2.0, 0.0]), (2, 3), None),
        (np.array([2, 0]), (3, 2), None),
        (np.array([2, 0]), (2, 3, 1), None),
        (np.array([[1], [0]]), (2, 1, 2), [[[0, 1]], [[1, 0]]]),
        (np.array([2, 0]), (2,), [2, 0]),
        (np.ones((2, 3), np.bool_), (2, 3), [[1, 1, 1], [1, 1, 1]]),
    ],
)
def test_labels_are_shown_as_rows_with_one_1(targets, shape, scores):
    made = losses._as_scores(targets, shape)
    if scores is None:
        assert made is None
    else:
        assert made is not None
        assert made.dtype == np.float64
        np.testing.assert_array_equal(made, scores)


def test_a_loss_without_targets_and_the_gradient_of_a_parameter_have_no_such_mistakes():
    assert list(losses.losses(evidence(np.sin, np.cos, Z))) == []
    e = of(cross_entropy, np.cos, Z, LABELS)
    e.name = "W"
    assert list(losses.losses(e)) == []


def test_of_a_loss_of_each_sample_the_gradient_is_what_it_is():
    e = evidence(lambda x, t: np.square(x - t).sum(axis=1), lambda n: n + 0.25 * BITS, SCORES, BITS)
    assert found(losses.losses, e)[0] == ("target_missing", "claimed minus numerical is 0.25 times the target")


def test_one_column_has_none_that_is_the_target_s():
    e = of(binary, np.cos, SCORES[:, :1], BITS[:, :1])
    assert not any("column" in formula for formula in predicted(losses.losses, e))
    e = of(binary, np.cos, SCORES[:, :2], BITS[:, :2])
    assert any("column" in formula for formula in predicted(losses.losses, e))


def test_a_gradient_by_the_scores_is_named_for_samples_in_columns_too():
    p = np.abs(np.random.default_rng(0).standard_normal((3, 6)))
    p /= p.sum(axis=0)
    t = np.eye(3)[[0, 1, 2, 2, 1, 0]].T
    report = check_gradients((lambda p, t: -np.sum(t * np.log(p)), lambda p, t: p - t), p, t)
    diagnosis = report["p"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "fused_activation"
    assert "along axis 0" in diagnosis.evidence


@pytest.mark.parametrize("given", [(), (np.array([1, 0]),)])
def test_a_gradient_by_the_scores_is_named_where_targets_have_no_shape_of_the_scores_or_there_are_none(given):
    """As of the alignments of labels with frames, of which the probabilities are in columns."""

    def loss(p, *labels):
        assert len(labels) == len(given)
        both = p[0, 0] * p[1, 1] + p[1, 0] * p[0, 1]
        n = -np.array([[p[1, 1], p[1, 0]], [p[0, 1], p[0, 0]], [0.0, 0.0]]) / both
        return -np.log(both), p * (n - (n * p).sum(axis=0))

    p = np.random.default_rng(0).random((3, 2)) + 0.1
    report = check_gradients(loss, p / p.sum(axis=0), *given)
    diagnosis = report.entries[0].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "fused_activation"
    assert "along axis 0" in diagnosis.evidence
