"""Losses of what a forward pass returns."""

import numpy as np
import pytest
from stand_ins import script

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import signatures
from numpy_nn.subjects.calls.costs import LossOfOutput, _last_array, cost_beside, number_of_samples
from numpy_nn.subjects.signatures import positional

R = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("x", "output", "samples"),
    [
        ((5, 4), (5, 3), 5),
        ((5, 4), (5, 4), 5),
        ((5, 4), (5,), 5),
        ((5, 4), (3, 2), 5),
        ((5,), (5, 2), 5),
        ((5, 2, 4), (3, 2, 4), 5),
        ((4, 5), (3, 5), 5),
        ((4, 5), (1, 5), 5),
        ((), (), 1),
    ],
)
def test_the_number_of_samples_is_that_of_rows_or_of_columns_where_only_these_stay_as_many(x, output, samples):
    assert number_of_samples(np.zeros(x), np.zeros(output)) == samples


@pytest.mark.parametrize(
    ("shapes", "last"), [([(3, 2)], 0), ([(3, 2), (3, 4), (3, 1)], 2), ([(3, 2), (3,), (3, 4)], 0), ([(3,), (3, 2)], 0)]
)
def test_the_last_of_several_outputs_is_the_last_matrix_of_those_that_come_first(shapes, last):
    parts = [np.zeros(shape) for shape in shapes]
    assert _last_array(parts) == _last_array([*parts, {"a": "cache"}, np.zeros((2, 2))]) == last


def test_a_loss_of_the_output_is_the_loss_of_the_first_output():
    def halves(x, w):
        return x * w, "a cache"

    chain = LossOfOutput(halves, lambda a, y: np.sum(a - y))
    assert chain.loss(2.0, 3.0, 1.0) == (5.0, "a cache")
    assert LossOfOutput(lambda x: 2 * x, lambda a, y: a - y).loss(2.0, 1.0) == 3.0


def test_the_gradient_that_a_loss_returns_goes_to_the_network():
    chain = LossOfOutput(lambda x: 2 * x, lambda a, y: (a - y, 7.0))
    assert chain.loss(2.0, 1.0) == 3.0
    assert chain.handed_on(lambda g: ("gradient", g))() == ("gradient", 7.0)


def test_with_it_goes_a_learning_rate_and_nothing_else_that_is_wanted():
    chain = LossOfOutput(lambda x: 2 * x, lambda a, y: (a - y, 7.0))
    chain.loss(2.0, 1.0)
    stepping = chain.handed_on(lambda g, lr: (g, lr))
    assert signatures.positional(stepping) == (["lr"], [])
    assert stepping(0.1) == (7.0, 0.1)
    assert signatures.positional(chain.handed_on(lambda g, x: g * x)) == ([], [])


def test_without_a_gradient_there_is_no_backward_pass():
    chain = LossOfOutput(lambda x: x, lambda a, y: a - y)
    chain.loss(2.0, 1.0)
    with pytest.raises(TypeError, match="the loss returns no gradient"):
        chain.handed_on(lambda g: g)()


def test_a_loss_that_names_what_forward_returns_is_given_that():
    def forward(x):
        kept, output = {"x": x}, 2.0 * x
        return kept, output

    assert LossOfOutput(forward, lambda output, targets: output - targets).loss(3.0, 1.0)[0] == 5.0


def test_a_loss_that_names_its_target_first_is_given_it_first_and_then_what_else_it_names():
    def loss(y_true, y_pred, w):
        return y_true - 10.0 * y_pred + 100.0 * w

    chain = LossOfOutput(lambda x, w: x * w, loss, ("x", "w"))
    assert chain.loss(2.0, 3.0, 1.0) == 1.0 - 60.0 + 300.0


def model(X, W):
    return 1 / (1 + np.exp(-X @ W)), X


def model_loss(a, y):
    return -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a)) / 7  # a divisor that no usual loss has


def model_gradient(a, y, X):
    return {"dW": X.T @ (a - y) / 7}


def test_the_one_loss_in_the_file_of_two_functions_is_theirs():
    rng = np.random.default_rng(0)
    X, W, y = rng.standard_normal((5, 4)), rng.standard_normal((4, 2)), rng.uniform(0, 1, (5, 2))
    report = check_gradients((model, model_gradient), (X, W), y)
    assert report.ok, report
    assert any("model_loss" in note for note in report.notes)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def my_loss(a, y): return a - y", "my_loss"),
        ("def my_loss(a, y): return a - y\ndef other_cost(a, y): return a + y", None),
        (
            "def my_loss(a, y): return a - y\ntotal_loss = 3.0\nclass Loss:\n    def __init__(self, a, y): pass",
            "my_loss",
        ),
        ("def my_loss(a): return a", None),
        ("def error_of(a, y): return a - y", None),
        ("", None),
    ],
)
def test_the_loss_beside_a_function_is_the_only_one_that_its_own_module_defines(source, name):
    module = script(f"def forward_loss(x, y): return x\n{source}", imported_loss=model_loss)
    found = cost_beside(module["forward_loss"])
    assert found == (None if name is None else (name, module[name]))


def test_a_loss_without_a_gradient_is_refused_where_backward_wants_one():
    class Dense:
        def __init__(self):
            self.W = np.random.default_rng(0).standard_normal((4, 3))

        def forward(self, x):
            self.x = x
            return x @ self.W

        def backward(self, grad_output):
            self.dW = self.x.T @ grad_output
            return grad_output @ self.W.T

    x, y = np.random.default_rng(1).standard_normal((5, 4)), np.zeros((5, 3))
    with pytest.raises(TypeError, match="wants the gradient of the loss by the output"):
        check_gradients(Dense(), x, y, loss=lambda a, y: ((a - y) ** 2).sum())


class SquaresOfLabels:
    """All layers are returned, the output last, and handed back by their names; the targets are labels."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.V, self.W = rng.standard_normal((4, 5)), rng.standard_normal((5, 3))

    def forward(self, X):
        hidden = np.tanh(X @ self.V)
        scores_out = hidden @ self.W
        return hidden, scores_out

    def backward(self, X, hidden, scores_out, y, m):
        d = 2 * (scores_out - np.eye(3)[y]) / m
        return X.T @ (d @ self.W.T * (1 - hidden**2)), hidden.T @ d


def affine(X, W, b):
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    return Z, A


def affine_backward(Z, A, W, Y, X):
    dZ = (A - Y) * np.ones_like(Z)
    db, dW, dX = dZ.sum(axis=0), X.T @ dZ, dZ @ W.T
    return db, dW, dX


@pytest.mark.slow
def test_what_forward_returns_goes_to_backward_by_its_name_and_the_last_may_be_the_output():
    x = np.random.default_rng(1).standard_normal((6, 4))
    report = check_gradients(SquaresOfLabels(), x, np.array([0, 1, 2, 2, 1, 0]))
    assert report.verdict == "right"
    assert {"V", "W"} <= {entry.name for entry in report.entries}
    assert any("sum((a - y)^2) / n, with n = 6" in note for note in report.notes)


@pytest.mark.slow
def test_gradients_that_are_named_after_the_arguments_are_theirs_in_any_order():
    rng = np.random.default_rng(1)
    x, w, b = rng.standard_normal((6, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
    report = check_gradients((affine, affine_backward), (x, w, b), rng.random((6, 3)))
    assert report.verdict == "right"
    assert [entry.name for entry in report.entries] == ["X", "W", "b"]


@pytest.mark.parametrize(
    ("kind", "takes_last", "is_all"), [(list, True, True), (list, False, False), (tuple, True, False)]
)
def test_all_activations_are_a_prediction_where_they_are_a_list_with_the_output_last(kind, takes_last, is_all):
    returned = kind((np.ones((2, 3)), np.ones((2, 1))))
    chain = LossOfOutput(lambda _: returned, len, takes_last=takes_last)
    chain.run(np.ones((2, 3)))
    assert chain.output is returned[1 if takes_last else 0]
    assert chain._whole() is (returned if is_all else chain.output)


def test_a_gradient_function_is_given_what_it_names_and_shows_only_the_rest():
    def hidden(x, w):
        z = x * w
        scores = z + 1.0
        return scores, z

    def loss(scores, y):
        return np.sum(scores - y)

    chain = LossOfOutput(hidden, loss, ("x", "w"))
    x, w, y = np.ones((2, 3)), np.full((2, 3), 2.0), np.zeros((2, 3))
    chain.loss(x, w, y)

    def gradient(w, z, y_hat, n, y, rate=0.5):
        return w[0, 0], z[0, 0], y_hat[0, 0], n, y[0, 0], rate

    dressed = chain.given_output(gradient)
    assert positional(dressed) == (["w", "y"], ["rate"])
    assert dressed(w, y) == (2.0, 2.0, 3.0, 2, 0.0, 0.5)
    assert dressed(w, y, 0.25)[-1] == 0.25

    # What is an argument of forward is one, also where forward returns it, and so is what is called as a gradient.
    def returns_its_own(x, w):
        dscores = x * w
        return dscores, w

    own = LossOfOutput(returns_its_own, loss, ("x", "w"))
    own.loss(x, w, y)

    def of_its_own(w, dscores, y):
        return w, dscores, y

    assert own.given_output(of_its_own) is of_its_own

    def plain(w, y):
        return w, y

    assert chain.given_output(plain) is plain

    def of_any_number(*arguments):
        return arguments

    assert chain.given_output(of_any_number) is of_any_number

    def named(w, x):
        dx, dw = x, w
        return dx, dw

    assert list(chain.given_output(named)(w, x)) == ["dx", "dw"]
    np.testing.assert_array_equal(chain.given_output(named)(w, x)["dx"], x)


class OfSmallTargets:
    """Next to targets that are all but 0, 2 a / n is much the same as 2 (a - y) / n: of two rows, a itself."""

    def __init__(self):
        self.W = np.array([[2.0], [0.5]])

    def forward(self, X):
        self.X = X
        return X @ self.W

    def compute_loss(self, y_pred, y):
        return np.square(y_pred - y).mean(), 2 * (y_pred - y) / y.size

    def backward(self, grad):
        self.dW = self.X.T @ grad


def test_next_to_small_targets_the_gradient_of_the_loss_goes_back_and_not_the_output():
    X, y = R.normal(size=(2, 2)), np.full((2, 1), 3e-3)
    assert check_gradients(OfSmallTargets(), X, y)["W"].verdict == "right"
