"""Data whose numbers are bound, to 1 or to each other, is what a gradient may count on: it is not moved elsewhere."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG
from numpy_nn.subjects.source.roles import is_of_a_kind

X = np.random.default_rng(0).uniform(0.5, 1.5, (6, 2))


def affinities(n):
    p = np.exp(-np.square(X[:n, None] - X[None, :n]).sum(axis=-1))
    np.fill_diagonal(p, 0.0)
    return p / p.sum()


def student(y):
    near = 1.0 / (1.0 + np.square(y[:, None] - y[None]).sum(axis=-1))
    np.fill_diagonal(near, 0.0)
    return near


def divergence(p, y):
    off = ~np.eye(len(y), dtype=bool)
    return np.sum(p[off] * np.log(p[off] / (student(y) / student(y).sum())[off]))


def by_points(p, y):
    pull = (p - student(y) / student(y).sum()) * student(y)
    return 4.0 * (np.diag(pull.sum(axis=1)) - pull) @ y


def test_a_gradient_may_count_on_data_that_sum_to_one():
    y = np.random.default_rng(1).standard_normal((5, 2))
    assert check_gradients((divergence, by_points), (affinities(5), y)).verdict == RIGHT
    assert check_gradients((divergence, lambda p, y: by_points(p.T * 1.01, y)), (affinities(5), y)).verdict == WRONG


def test_a_gradient_may_count_on_products_of_the_data_that_it_is_given():
    rng = np.random.default_rng(2)
    a, b, w = rng.standard_normal((7, 3)), rng.standard_normal(7), rng.standard_normal(3)

    def cost(w, design, gram, targets):
        return 0.5 * w @ gram @ w - w @ (design.T @ targets)

    def cost_grad(w, design, gram, targets):
        return design.T @ (design @ w - targets) + 0.0 * gram @ w

    def of_data_first(design, gram, targets, w):
        return cost(w, design, gram, targets)

    def of_data_first_grad(design, gram, targets, w):
        return cost_grad(w, design, gram, targets)

    assert check_gradients((cost, cost_grad), (w, a, a.T @ a, b)).verdict == RIGHT
    assert check_gradients((of_data_first, of_data_first_grad), (a, a.T @ a, b, w)).verdict == RIGHT


class Factors:
    def __init__(self):
        self.U = np.random.default_rng(0).standard_normal((4, 2))

    def cost(self, seen, ratings):
        return 0.5 * np.sum((seen * (self.U @ self.U.T - ratings)) ** 2)

    def gradient(self, seen, ratings):
        error = seen * (self.U @ self.U.T - ratings)
        return {"U": (error + error.T) @ self.U}


class LeakyFactors(Factors):
    def cost(self, seen, ratings):
        return 0.5 * np.sum((seen * (np.maximum(self.U, 0.0) @ self.U.T - ratings)) ** 2)

    def gradient(self, seen, ratings):
        error = seen * (np.maximum(self.U, 0.0) @ self.U.T - ratings)
        return {"U": error.T @ np.maximum(self.U, 0.0) + (error @ self.U) * (self.U > -0.05)}


def test_a_gradient_may_count_on_a_mask_that_is_its_own_square():
    rng = np.random.default_rng(3)
    seen, ratings = rng.integers(0, 2, (4, 4)).astype(float), rng.standard_normal((4, 4))
    seen[0, 1] = 1.0
    assert check_gradients(Factors(), seen, ratings).verdict == RIGHT
    report = check_gradients(LeakyFactors(), seen, ratings)
    assert report.verdict == WRONG
    assert "of U" in report["U"].reason


@pytest.mark.parametrize(
    ("numbers", "is_one"),
    [
        ([[0.0, 1.0], [1.0, 1.0]], True),
        ([-1.0, 1.0, 1.0], True),
        ([[0.25, 0.75], [0.5, 0.5]], True),
        ([[0.25, 0.5], [0.75, 0.5]], True),
        ([[0.6, 0.8], [1.0, 0.0]], True),
        ([[0.6, -1.0], [0.8, 0.0]], True),
        ([[0.5, 1.0], [1.0, 1.0]], False),
        ([1.5, -0.5], False),
        ([1.0], False),
        ([1.0, 1.0], False),
        ([0.5, 0.5], False),
    ],
)
def test_data_of_a_kind_are_told_by_their_numbers(numbers, is_one):
    assert is_of_a_kind(np.array(numbers)) == is_one


class GraphLayer:
    def __init__(self):
        self.W = np.random.default_rng(0).standard_normal((2, 3))

    def forward(self, x, graph):
        self.x, self.graph = x, graph
        return graph @ x @ self.W

    def backward(self, grad):
        self.dW = (self.graph @ self.x).T @ grad
        return self.graph.T @ grad @ self.W.T


def test_an_argument_of_zeros_and_ones_is_data():
    graph = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    report = check_gradients(GraphLayer(), (X[:3], graph))
    assert report.verdict == RIGHT
    assert "no gradient is returned of graph: taken for data, and not checked" in report.notes
    assert check_gradients(GraphLayer(), (X[:3], graph + 0.5)).verdict == "undecided"
    assert check_gradients(GraphLayer(), (X[:3], np.ones((3, 3)))).verdict == "undecided"


def distilled(teacher, student):
    return -np.sum(teacher * (student - np.log(np.exp(student).sum(axis=1, keepdims=True))))


def distilled_grad(teacher, student):
    return np.exp(student) / np.exp(student).sum(axis=1, keepdims=True) - teacher


def test_a_single_gradient_is_rather_that_of_free_numbers_than_that_of_probabilities():
    free = np.random.default_rng(4).standard_normal((5, 4))
    teacher = np.random.default_rng(5).dirichlet(np.ones(4), 5)
    assert check_gradients((distilled, distilled_grad), (teacher, free)).verdict == RIGHT
    assert check_gradients((distilled, lambda t, s: 0.5 * distilled_grad(t, s)), (teacher, free)).verdict == WRONG


class Fitted:
    """Its data are kept, and its cost is asked of the parameters."""

    def __init__(self):
        rng = np.random.default_rng(6)
        self.X, self.y, self.scale = rng.standard_normal((6, 3)), rng.standard_normal(6), np.ones(3)

    def objective(self, theta):
        return 0.5 * np.sum((self.X @ theta - self.y) ** 2)

    def gradient(self, theta):
        return self.X.T @ (self.X @ theta - self.y)


class Scaled(Fitted):
    def objective(self, theta):
        return 0.5 * np.sum((self.X @ (theta * self.scale) - self.y) ** 2)


def test_data_that_an_object_keeps_need_no_gradient_where_its_cost_is_one_of_parameters_given():
    theta, fitted, scaled = np.array([0.3, -1.0, 0.7]), Fitted(), Scaled()
    assert check_gradients((fitted.objective, fitted.gradient), theta).verdict == RIGHT
    assert check_gradients(fitted, theta).verdict == RIGHT
    report = check_gradients((scaled.objective, scaled.gradient), theta)
    assert report.verdict == "undecided"
    assert "no gradient was found of scale" in report.problems[0]


class Both:
    def __init__(self, factor):
        self.X, self.y, self.factor = Fitted().X, Fitted().y, factor

    def __call__(self, theta):
        rest = self.X @ theta - self.y
        return 0.5 * rest @ rest, self.factor * self.X.T @ rest


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, RIGHT), (2.0, WRONG)])
def test_an_object_may_be_called_for_its_value_and_gradient(factor, verdict):
    assert check_gradients(Both(factor), np.array([0.3, -1.0, 0.7])).verdict == verdict
