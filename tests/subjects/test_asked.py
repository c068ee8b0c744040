"""What has no gradient and should have one, and gradients that only their numbers call those of another argument."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
W, B = rng.standard_normal((3, 2)), rng.standard_normal(2)


def loss_with(gradients):
    def loss(W, b, X, y):
        r = X @ W + b - y
        return 0.5 * np.sum(r**2), *gradients(X, r)

    return loss


def layer(gradients):
    def forward(x, w, b):
        return x @ w + b, (x, w)

    def backward(dout, cache):
        return gradients(dout, *cache)

    return forward, backward


def test_a_bias_without_a_gradient_beside_weights_that_have_one_leaves_the_verdict_open():
    report = check_gradients(loss_with(lambda X, r: (X.T @ r,)), (W, B, X, Y))
    assert report.verdict == "undecided"
    assert "no gradient was found of b" in report.problems[0]
    assert check_gradients(loss_with(lambda X, r: (X.T @ r,)), (W, B, X, Y), constants=["b"]).verdict == "right"
    for gradients in (lambda d, x, w: (d @ w.T, x.T @ d), lambda d, x, w: (d @ w.T, x.T @ d, None)):
        assert check_gradients(layer(gradients), (X, W, B)).verdict == "undecided"
    assert check_gradients(layer(lambda d, x, w: (d @ w.T, x.T @ d, d.sum(axis=0))), (X, W, B)).verdict == "right"


def test_what_is_given_beside_the_weights_without_being_one_is_taken_for_granted():
    def penalty(w, Q):
        return 0.5 * w @ Q @ w, 0.5 * (Q + Q.T) @ w

    assert check_gradients(penalty, (B, np.array([[2.0, 0.5], [0.1, 1.0]]))).verdict == "right"


@pytest.mark.parametrize("missing", ["W", "b"])
def test_of_a_dict_or_list_of_parameters_all_should_have_a_gradient(missing):
    def in_dict(params, X, y):
        r = X @ params["W"] + params["b"] - y
        grads = {"W": X.T @ r, "b": r.sum(axis=0)}
        del grads[missing]
        return 0.5 * np.sum(r**2), grads

    def in_list(params, X, y):
        loss, grads = in_dict(dict(zip("Wb", params, strict=True)), X, y)
        return loss, list(grads.values())

    for loss, params in ((in_dict, {"W": W, "b": B}), (in_list, [W, B])):
        report = check_gradients(loss, (params, X, Y))
        assert report.verdict == "undecided"
        assert len(report.entries) == 1


def test_a_gradient_in_the_place_of_one_is_that_also_in_another_shape():
    for wrong in (np.sum, lambda r: r.sum(axis=1)):
        report = check_gradients(loss_with(lambda X, r, wrong=wrong: (X.T @ r, wrong(r))), (W, B, X, Y))
        assert report["W"].verdict == "right"
        assert report["b"].verdict == "wrong"

    def of_pair(params, X, y):
        r = X @ params[0] + params[1] - y
        return 0.5 * np.sum(r**2), (X.T @ r, r.sum())

    report = check_gradients(of_pair, ((W, B), X, Y))
    assert [entry.verdict for entry in report.entries] == ["right", "wrong"]


@pytest.mark.parametrize(("turned", "verdict"), [(False, "right"), (True, "undecided")])
def test_gradients_of_one_shape_that_are_returned_the_other_way_round_are_not_right(turned, verdict):
    def scores(W, V, b, c, M):
        d = W @ V.T + b[:, None] + c - M
        return 0.5 * np.sum(d**2), (d @ V, d.T @ W, d.sum(axis=1 - turned), d.sum(axis=0 + turned))

    given = (*rng.standard_normal((2, 4, 2)), *rng.standard_normal((2, 4)), rng.standard_normal((4, 4)))
    assert check_gradients(scores, given).verdict == verdict


def test_a_single_gradient_with_the_wrong_sign_is_not_that_of_the_target():
    def mse(pred, target):
        return np.mean((pred - target) ** 2)

    def toward(sign):
        return lambda pred, target: sign * 2 * (pred - target) / pred.size

    assert check_gradients((mse, toward(1.0)), (X, X + 1)).verdict == "right"
    report = check_gradients((mse, toward(-1.0)), (X, X + 1))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("pred", "wrong")]
    assert report["pred"].cause == "sign"


def test_a_single_gradient_of_the_later_of_two_arguments_of_one_shape_leaves_the_verdict_open():
    def pull(x, center):
        return np.sum((x - center) ** 2)

    assert check_gradients((pull, lambda x, center: 2 * (x - center)), (B, B + 1)).verdict == "right"
    assert check_gradients((pull, lambda x, center: 2 * (center - x)), (B, B + 1)).verdict == "undecided"
    report = check_gradients((pull, lambda x, center: 2 * (center - x)), (B, B + 1), constants=["x"])
    assert report.verdict == "right"


def test_the_name_of_a_derivative_tells_of_what_it_is_one():
    def f(x, y):
        return np.sin(x) * y**2

    def df_dx(x, y):
        return 2 * np.sin(x) * y

    def df_dy(x, y):
        return 2 * np.sin(x) * y

    given = (np.array([0.5, 0.3]), np.array([1.0, 2.0]))
    assert check_gradients((f, df_dx), given).verdict == "wrong"
    assert check_gradients((f, df_dy), given).verdict == "right"


def test_a_vector_has_the_gradients_of_two_numbers_whatever_they_are_called():
    def f(x, y):
        return (x**2 + y) ** 2

    def gradient(x, y, by_y=2):
        return np.array([4 * x * (x**2 + y), by_y * (x**2 + y)])

    assert check_gradients((f, gradient), (0.5, 1.0)).verdict == "right"
    report = check_gradients((f, lambda x, y: gradient(x, y, 3)), (0.5, 1.0))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", "right"), ("y", "wrong")]


def test_numbers_are_an_argument_each_of_a_function_that_takes_any_number():
    def product(*factors):
        return np.prod(factors)

    def by_each(*factors):
        return [np.prod(factors) / factor for factor in factors]

    def by_the_first(*factors):
        return [np.prod(factors) / factors[0] for _ in factors]

    assert check_gradients((product, by_each), (0.5, 2.0, 3.0)).verdict == "right"
    assert check_gradients((product, by_the_first), (0.5, 2.0, 3.0)).verdict == "wrong"


def test_what_a_loss_returns_beside_its_gradient_is_no_gradient_of_the_targets():
    def loss(w, X, y):
        r = X @ w - y
        return r @ r, 2 * X.T @ r, {"residuals": r}

    report = check_gradients(loss, (B, Y, np.ones(5)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", "right")]


def test_probabilities_beside_their_targets_stay_below_1():
    def cost(p, y):
        p = np.clip(p, 1e-7, 1 - 1e-7)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def cost_gradient(p, y):
        return (p - y) / (p * (1 - p)) / len(y)

    p, y = np.array([0.2, 0.9, 0.6]), np.array([0.0, 1.0, 1.0])
    assert check_gradients((cost, cost_gradient), (p, y)).verdict == "right"


def test_an_accuracy_and_predictions_after_gradients_are_no_gradients_of_data():
    labels = np.array([0, 1, 1, 0, 1])

    def with_accuracy(W, X, labels):
        scores = X @ W
        r = scores - np.eye(2)[labels]
        return 0.5 * np.sum(r**2), X.T @ r, np.mean(scores.argmax(axis=1) == labels)

    def with_predictions(w, b, X, y):
        p = X @ w + b
        return 0.5 * np.sum((p - y) ** 2), X.T @ (p - y), np.sum(p - y), p

    report = check_gradients(with_accuracy, (W, X, labels))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("W", "right")]
    report = check_gradients(with_predictions, (B, 0.2, Y, np.ones(5)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", "right"), ("b", "right")]


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_right_hand_side_of_least_squares_is_no_bias(factor, verdict):
    def loss(w, A, b):
        r = A @ w - b
        return 0.5 * r @ r, factor * A.T @ r

    report = check_gradients(loss, (W[:, 0], X, Y[:, 0]))
    assert report.verdict == verdict
    assert "no gradient is claimed of A, b: not checked" in report.notes[-1]


def test_the_bias_of_a_layer_whose_activations_are_called_a_is_one():
    def forward(A, W, b):
        return A @ W + b, (A, W)

    def backward(dZ, cache):
        A, W = cache
        return dZ @ W.T, A.T @ dZ

    assert check_gradients((forward, backward), (X, W, B)).verdict == "undecided"


def step_with(factor):
    def step(W, X, labels):
        p = np.exp(X @ W) / np.exp(X @ W).sum(axis=1, keepdims=True)
        loss, accuracy = -np.mean(np.log(p[np.arange(5), labels])), np.mean(p.argmax(axis=1) == labels)
        return loss, accuracy, factor * X.T @ (p - np.eye(2)[labels]) / 5

    return step


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_a_number_after_the_loss_is_the_gradient_of_nothing_that_has_another_shape(factor, verdict):
    report = check_gradients(step_with(factor), (W, X, np.array([0, 1, 1, 0, 1])))
    assert {entry.name: (entry.verdict, entry.checked) for entry in report.entries} == {"W": (verdict, 6)}
