"""The losses that code leaves unsaid, against their formulas."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.usual_costs import _of_classes, has_kinks, usual_costs

A, Y = np.array([[0.25, 0.5], [0.75, 0.125]]), np.array([[0.0, 1.0], [1.0, 0.0]])
SQUARES = 0.0625 + 0.25 + 0.0625 + 0.015625
BINARY = -(np.log(0.75) + np.log(0.5) + np.log(0.75) + np.log(0.875))
LIKELY = -(np.log(0.5) + np.log(0.75))
SCORES = np.log(1 + np.exp(A)).sum() - 0.5 - 0.75
SOFTMAX = np.log(np.exp(A).sum(axis=1)).sum() - 0.5 - 0.75
VALUES = {
    "sum((a - y)^2) / 2": SQUARES / 2,
    "sum((a - y)^2)": SQUARES,
    "-sum(y log a + (1 - y) log(1 - a))": BINARY,
    "-sum(y log a)": LIKELY,
    "sum((a - y)^2) / 2 / n, with n = 2": SQUARES / 4,
    "sum((a - y)^2) / n, with n = 2": SQUARES / 2,
    "-sum(y log a + (1 - y) log(1 - a)) / n, with n = 2": BINARY / 2,
    "-sum(y log a) / n, with n = 2": LIKELY / 2,
    "mean((a - y)^2)": SQUARES / 4,
    "sum(log(1 + exp a) - y a)": SCORES,
    "-sum(y log softmax(a))": SOFTMAX,
    "sum(|a - y|)": 1.125,
    "sum(max(0, 1 - y a))": 1.25 + 0.5 + 0.25 + 1.125,
    "sum(max(0, -y a))": 0.25 + 0.125,
    "sum((sign(a) - y) a)": 2 * (0.25 + 0.125),
    "sum(log(1 + exp a) - y a) / n, with n = 2": SCORES / 2,
    "-sum(y log softmax(a)) / n, with n = 2": SOFTMAX / 2,
    "sum(|a - y|) / n, with n = 2": 1.125 / 2,
    "sum(max(0, 1 - y a)) / n, with n = 2": 3.125 / 2,
    "sum(max(0, -y a)) / n, with n = 2": 0.375 / 2,
    "sum((sign(a) - y) a) / n, with n = 2": 0.375,
}
# Of -1 and 1.
OF_SIGNS = {"sum(log(1 + exp(-y a)))": 1.0, "sum(log(1 + exp(-y a))) / n, with n = 2": 0.5}
# Of counts, with the mean a, or exp(a).
OF_COUNTS = {"sum(a - y log a)": np.log, "sum(exp a - y a)": np.exp}
OF_LABELS = {"-sum(log a[label])": LIKELY, "-sum(log a[label]) / n, with n = 2": LIKELY / 2}


@pytest.mark.parametrize("formula", VALUES)
def test_a_usual_cost_is_what_its_formula_says(formula):
    # Sums of four terms, in one order or another.
    assert dict(usual_costs((2,)))[formula](A, Y) == pytest.approx(VALUES[formula], rel=1e-15)


@pytest.mark.parametrize("formula", OF_LABELS)
def test_a_cost_of_labels_takes_labels_alone(formula):
    cost = dict(usual_costs((2,)))[formula]
    assert cost(A, np.array([1, 0])) == pytest.approx(OF_LABELS[formula], rel=1e-15)
    in_columns = np.array([[0.25, 0.5, 0.25], [0.75, 0.5, 0.75]])
    assert 2 * cost(in_columns, np.array([1, 0, 1])) == pytest.approx(
        -2 * (2 * np.log(0.75) + np.log(0.5)) / (2 if formula.endswith("2") else 1), rel=1e-15
    )
    for targets in (Y, np.array([1.0, 0.0]), np.array([1]), np.array([[1, 0]])):
        with pytest.raises(ValueError, match="expected a label for each row, or for each column"):
            cost(A, targets)


@pytest.mark.parametrize("formula", OF_SIGNS)
def test_a_logistic_loss_of_signs_is_that_of_0_and_1_with_the_same_scores(formula):
    costs = dict(usual_costs((2,)))
    signs = np.array([1, -1, -1, 1])
    scores = np.array([0.5, -2.0, 3.0, -0.25])
    value = costs[formula](scores, signs)
    assert value == pytest.approx(OF_SIGNS[formula] * np.log1p(np.exp(-signs * scores)).sum(), rel=1e-14)
    other = costs[formula.replace("exp(-y a))", "exp a) - y a")](scores, (signs + 1) // 2)
    assert value == pytest.approx(other, rel=1e-14)
    for targets in (Y, np.array([0, 1, 1, 0]), np.array([-1, 0, 1, 1])):
        with pytest.raises(ValueError, match=r"expected -1 and 1|expected targets of two classes"):
            costs[formula](scores, targets)


def test_labels_become_rows_with_one_1_and_other_targets_stay_what_they_are():
    np.testing.assert_array_equal(_of_classes(A, np.array([1, 0])), Y)
    np.testing.assert_array_equal(_of_classes(A, np.array([1, 0], np.uint8)), Y)
    np.testing.assert_array_equal(_of_classes(np.ones((2, 3)), np.array([1, 0, 1])), [[0, 1, 0], [1, 0, 1]])
    for output, targets in (
        (A, Y),
        (A, np.array([1.0, 0.0])),
        (A, np.array([[1, 0], [0, 1]])),
        (A, np.array([1, 0, 1])),
        (A, np.array(1)),
        (A[0], np.array([1, 0])),
        (np.stack([A, A]), np.array([1, 0])),
    ):
        assert _of_classes(output, targets) is targets


def test_a_softmax_of_scores_goes_along_the_classes_of_labels_or_of_ones_in_rows_or_in_columns():
    cost = dict(usual_costs((3,)))["-sum(y log softmax(a))"]
    scores, labels = np.array([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]]), np.array([1, 0, 1])
    value = -np.sum(np.log(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))[np.arange(3), labels])
    for a, y in ((scores, labels), (scores, np.eye(2)[labels]), (scores.T, labels), (scores.T, np.eye(2)[labels].T)):
        assert cost(a, y) == pytest.approx(value, rel=1e-14)
    for y in (np.array([0.5, 2.0, 1.0]), np.ones((3, 2))):
        with pytest.raises(ValueError, match="expected one 1 for each sample, or labels"):
            cost(scores, y)


def test_a_hinge_takes_targets_of_two_classes_with_0_in_the_place_of_minus_1():
    cost = dict(usual_costs((3,)))["sum(max(0, 1 - y a))"]
    a, y = np.array([0.5, -2.0, -0.5]), np.array([1, -1, 1])
    assert cost(a, y) == cost(a, (y + 1) // 2) == cost(a[:, None], y) == 0.5 + 0.0 + 1.5
    for other in (np.array([0.5, 1.0, 0.0]), np.array([0, 1, 2]), np.array([-1, 0, 1])):
        with pytest.raises(ValueError, match="expected targets of two classes"):
            cost(a, other)


def test_those_made_of_pieces_are_known_by_their_formula():
    pieces = {formula for formula, _ in usual_costs(()) if has_kinks(formula)}
    assert pieces == {"sum(|a - y|)", "sum(max(0, 1 - y a))", "sum(max(0, -y a))", "sum((sign(a) - y) a)"}


def test_samples_may_be_in_rows_or_in_columns():
    formulas = [formula for formula, _ in usual_costs((2, 3))]
    assert {"sum((a - y)^2) / n, with n = 2", "sum((a - y)^2) / n, with n = 3"} < set(formulas)
    assert len(formulas) == len(set(formulas))


@pytest.mark.parametrize("formula", OF_COUNTS)
def test_a_loss_of_counts_takes_no_classes(formula):
    cost, over_two = (dict(usual_costs((2,)))[f"{formula}{n}"] for n in ("", " / n, with n = 2"))
    a, y = np.array([0.5, 2.0, 1.5]), np.array([3.0, 0.0, 1.0])
    by_hand = (a - y * np.log(a)) if "log" in formula else np.exp(a) - y * a
    for output, targets in ((a, y), (a[:, None], y), (a[None], y.astype(int))):
        assert cost(output, targets) == 2 * over_two(output, targets) == pytest.approx(by_hand.sum(), rel=1e-14)
    for targets in (np.array([0, 1, 1]), np.array([3.0, -1.0, 0.0]), np.array([0.5, 2.0, 1.0]), np.array([3, 1])):
        with pytest.raises(ValueError, match="expected counts"):
            cost(a, targets)


class PoissonRegression:
    def __init__(self, power=1.0):
        self.power = power

    def fit(self, X, y, lr=0.01, iterations=100):
        self.w, self.b = np.full(X.shape[1], 0.1), 0.0
        for _ in range(iterations):
            error = y - self.predict(X) ** self.power
            self.w += lr * X.T @ error
            self.b += lr * error.sum()
        return self

    def predict(self, X):
        return np.exp(X @ self.w + self.b)


def test_a_poisson_regression_is_judged_by_its_likelihood():
    X = np.random.default_rng(0).normal(size=(8, 3))
    y = np.array([0.0, 3.0, 1.0, 2.0, 0.0, 1.0, 5.0, 1.0])
    report = check_gradients(PoissonRegression(), X, y)
    assert report.verdict == "right"
    assert any("judged as those of sum(a - y log a)" in note for note in report.notes)
    with pytest.raises(TypeError, match="those of none of the usual ones"):
        check_gradients(PoissonRegression(2.0), X, y)


def test_these_are_all_and_each_has_a_formula_of_its_own():
    formulas = [formula for formula, _ in usual_costs((2,))]
    counts = {f"{formula}{n}": None for formula in OF_COUNTS for n in ("", " / n, with n = 2")}
    assert sorted(formulas) == sorted({**VALUES, **OF_LABELS, **OF_SIGNS, **counts})


def test_of_a_dict_no_usual_loss_is_taken():
    with pytest.raises(TypeError, match="returns a dict first, of which no usual loss is known; pass loss="):
        next(iter(usual_costs((2,))))[1]({"a": 1.0}, 1.0)
