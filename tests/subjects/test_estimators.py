"""Objects with fit and predict, which make their weights and go on by themselves: judged by one round of their loop."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal((6, 3))
VALUES = np.random.default_rng(1).standard_normal(6)
CLASSES = np.array([0, 1, 1, 0, 1, 0])
RNG = np.random.default_rng(2)
LABELS = np.array([0, 1, 2, 1, 0, 2])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


class Regression:
    """Of squares; ``factor`` multiplies the gradient of the bias."""

    def __init__(self, factor=1.0, lr=0.01, n_iters=1000):
        self.factor, self.lr, self.n_iters = factor, lr, n_iters
        self.weights = self.bias = None

    def fit(self, X, y):
        self.weights, self.bias = np.zeros(X.shape[1]), 0
        self.losses_ = []
        for _ in range(self.n_iters):
            errors = X @ self.weights + self.bias - y
            self.losses_.append(np.mean(errors**2))
            self.weights = self.weights - self.lr * 2 * X.T @ errors / len(y)
            self.bias = self.bias - self.lr * self.factor * 2 * np.mean(errors)
        return self

    def predict(self, X):
        return X @ self.weights + self.bias


class Unrecorded(Regression):
    def fit(self, X, y):
        self.weights, self.bias = np.zeros(X.shape[1]), 0
        for _ in range(self.n_iters):
            errors = X @ self.weights + self.bias - y
            self.weights = self.weights - self.lr * X.T @ errors / len(y)
            self.bias = self.bias - self.lr * self.factor * np.mean(errors)


def test_a_regression_that_makes_its_weights_is_judged_by_one_step():
    model = Unrecorded()
    report = check_gradients(model, X, VALUES)
    assert report.ok, report
    assert {entry.name for entry in report.entries} == {"weights", "bias"}
    assert any("fit makes as many steps as it likes: judged is the first round" in note for note in report.notes)
    assert model.weights is None


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.5])
def test_a_wrong_gradient_is_wrong_by_the_loss_that_is_appended_to_a_list(factor):
    report = check_gradients(Regression(factor), X, VALUES)
    assert (report["weights"].verdict, report["bias"].verdict) == ("right", "wrong"), report


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_with_small_data_of_one_column_the_loss_is_not_taken_for_the_gradient_of_the_one_weight(factor, verdict):
    report = check_gradients(Regression(factor), 0.01 * X[:4, :1], 0.01 * VALUES[:4])
    assert (report["weights"].verdict, report["bias"].verdict) == ("right", verdict), report


class Turned(Regression):
    """Both gradients have the wrong sign."""

    def fit(self, X, y):
        self.weights, self.bias, self.losses_ = np.zeros(X.shape[1]), 0, []
        for _ in range(self.n_iters):
            errors = X @ self.weights + self.bias - y
            self.losses_.append(np.mean(errors**2))
            self.weights += self.lr * 2 * X.T @ errors / len(y)
            self.bias += self.lr * 2 * np.mean(errors)


def test_all_gradients_may_be_wrong_by_that_loss():
    report = check_gradients(Turned(), X, VALUES)
    assert {entry.verdict for entry in report.entries} == {"wrong"}, report


class Decides:
    """A logistic regression, of which ``predict`` returns the classes."""

    def __init__(self, link=sigmoid, learning_rate=0.1, epochs=100):
        self.link, self.learning_rate, self.epochs = link, learning_rate, epochs

    def fit(self, X, y):
        self.w, self.b = np.zeros(X.shape[1]), 0.0
        for epoch in range(1, self.epochs + 1):
            p = self.link(X @ self.w + self.b)
            self.w -= self.learning_rate * X.T @ (p - y) / len(y)
            self.b -= self.learning_rate * np.mean(p - y)
            print("epoch", epoch)

    def predict(self, X):
        scores = X @ self.w + self.b
        probabilities = sigmoid(scores)
        return [0 if p <= 0.5 else 1 for p in probabilities]


def test_what_predict_computes_before_it_decides_is_the_output(capsys):
    report = check_gradients(Decides(), X, CLASSES)
    assert report.ok, report
    assert any("predict decides: the loss is of probabilities" in note for note in report.notes)
    assert not capsys.readouterr().out


def test_gradients_of_a_loss_of_something_earlier_are_undecided():
    report = check_gradients(Decides(link=lambda z: z), X, CLASSES)
    assert report.verdict == "undecided", report
    text = "gradients of a loss of scores, and not of probabilities, by which predict decides"
    assert any(text in problem for problem in report.problems)


class Network:
    """Of two layers, in batches, with labels of which it counts the classes; ``factor`` multiplies that of W1."""

    def __init__(self, factor=1.0, lr=0.1, epochs=20, batch_size=4):
        self.factor, self.lr, self.epochs, self.batch_size = factor, lr, epochs, batch_size
        self.rng = np.random.RandomState(0)

    def fit(self, X_train, y_train, X_valid, y_valid):
        targets = np.eye(len(np.unique(y_train)))[y_train]
        self.W1, self.b1 = self.rng.normal(0, 0.1, (X_train.shape[1], 5)), np.zeros(5)
        self.W2, self.b2 = self.rng.normal(0, 0.1, (5, targets.shape[1])), np.zeros(targets.shape[1])
        self.accuracies = []
        for _ in range(self.epochs):
            order = self.rng.permutation(len(X_train))
            for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
                rows = order[start : start + self.batch_size]
                self.step(X_train[rows], targets[rows])
            self.accuracies.append(float(np.mean(self.predict(X_valid) == y_valid)))
        return self

    def step(self, x, t):
        h, p = self._forward(x)
        d2 = (p - t) / len(x)
        d1 = d2 @ self.W2.T * (1 - h**2)
        self.W2 -= self.lr * h.T @ d2
        self.b2 -= self.lr * d2.sum(axis=0)
        self.W1 -= self.lr * self.factor * x.T @ d1
        self.b1 -= self.lr * d1.sum(axis=0)

    def _forward(self, x):
        h = np.tanh(x @ self.W1 + self.b1)
        return h, softmax(h @ self.W2 + self.b2)

    def predict(self, x):
        return np.argmax(self._forward(x)[1], axis=1)


def test_a_network_in_batches_of_labels_with_data_for_validation():
    report = check_gradients(Network(), X, LABELS)
    assert report.ok, report
    assert {entry.name for entry in report.entries} == {"W1", "b1", "W2", "b2"}
    wrong = check_gradients(Network(0.5), X, LABELS)
    assert {entry.name for entry in wrong.entries if entry.verdict == "wrong"} == {"W1"}, wrong


class BySize(Network):
    """The size of a batch, and the number of epochs, are arguments."""

    def fit(self, X, y, batch_size=2, epochs=3):
        self.epochs, self.batch_size = epochs, batch_size
        self.prepare(X, y)
        for _ in range(epochs):
            for start in range(0, len(X), batch_size):
                self.step(X[start : start + batch_size], self.targets[start : start + batch_size])

    def prepare(self, X, y):
        self.X, self.targets = X, np.eye(3)[y]
        self.W1, self.b1 = RNG.standard_normal((X.shape[1], 5)), np.zeros(5)
        self.W2, self.b2 = RNG.standard_normal((5, 3)), np.zeros(3)


def test_the_data_that_an_object_keeps_are_those_of_each_call():
    report = check_gradients(BySize(), X, LABELS)
    assert report.ok, report


class Scalars:
    """A network of numbers, one sample at a time, with a loop and a rate that stand in the method."""

    def __init__(self, factor=1.0):
        self.w1, self.w2, self.b, self.v, self.factor = 0.5, -0.25, 0.125, 1.5, factor

    def feedforward(self, x):
        return sigmoid(self.v * sigmoid(self.w1 * x[0] + self.w2 * x[1] + self.b))

    def train(self, data, targets):
        learn_rate = 0.1
        epochs = 1000
        for _epoch in range(epochs):
            for x, y in zip(data, targets, strict=True):
                h = sigmoid(self.w1 * x[0] + self.w2 * x[1] + self.b)
                o = sigmoid(self.v * h)
                d = -2 * (y - o) * o * (1 - o)
                inner = d * self.v * h * (1 - h)
                self.v -= learn_rate * d * h
                self.w1 -= learn_rate * inner * x[0]
                self.w2 -= learn_rate * self.factor * inner * x[1]
                self.b -= learn_rate * inner


def test_a_network_of_numbers_that_takes_one_sample():
    data = np.random.default_rng(3).standard_normal((4, 2))
    report = check_gradients(Scalars(), data, np.array([1, 0, 0, 1]))
    assert report.ok, report
    assert any("judged with the first alone" in note for note in report.notes)
    wrong = check_gradients(Scalars(-1.0), data, np.array([1, 0, 0, 1]))
    assert {entry.name for entry in wrong.entries if entry.verdict == "wrong"} == {"w2"}, wrong


class Returns(Regression):
    """Returns the losses, and leaves the loop to a method."""

    def fit(self, X, y, n_iterations=100):
        self.weights, self.bias = RNG.standard_normal(X.shape[1]), 0.0
        return self.descend(X, y, n_iterations)

    def descend(self, X, y, iterations):
        losses = []
        for _ in range(iterations):
            errors = X @ self.weights + self.bias - y
            losses.append(np.mean(errors**2))
            self.weights -= self.lr * 2 * X.T @ errors / len(y)
            self.bias -= self.lr * self.factor * 2 * errors.mean()
        return losses


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_the_loop_may_be_that_of_a_method_which_returns_the_losses(factor, verdict):
    report = check_gradients(Returns(factor), X, VALUES)
    assert report["bias"].verdict == verdict, report
    assert report["weights"].verdict == "right"


def test_scores_without_a_softmax_are_judged_by_its_cross_entropy():
    class Scores(Network):
        def _forward(self, x):
            h = np.tanh(x @ self.W1 + self.b1)
            return h, h @ self.W2 + self.b2

        def step(self, x, t):
            h, z = self._forward(x)
            d2 = (softmax(z) - t) / len(x)
            self.W2 -= self.lr * h.T @ d2
            self.b2 -= self.lr * d2.sum(axis=0)
            d1 = d2 @ self.W2.T * (1 - h**2)
            self.W1 -= self.lr * x.T @ d1
            self.b1 -= self.lr * d1.sum(axis=0)

        def decision_function(self, x):
            return self._forward(x)[1]

    report = check_gradients(Scores(), X, LABELS)
    # W2 has moved before it is used for what lies below it.
    assert {entry.name: entry.verdict for entry in report.entries} == {
        "W2": "right",
        "b2": "right",
        "W1": "wrong",
        "b1": "wrong",
    }, report


def test_weights_that_are_names_of_fit_alone_are_refused_with_what_would_make_them_checkable():
    class Local:
        def fit(self, X, y, lr=0.01, epochs=100):
            w = np.zeros(X.shape[1])
            for _ in range(epochs):
                w -= lr * X.T @ (X @ w - y)
            self.coef_ = w

        def predict(self, X):
            return X @ self.coef_

    with pytest.raises(TypeError, match="begins anew from weights that it has in names of its own until it ends"):
        check_gradients(Local(), X, VALUES)


def test_without_targets_it_is_said_that_they_are_wanted():
    with pytest.raises(TypeError, match=r"Unrecorded has fit: pass the targets too, check_gradients\(Unrecorded"):
        check_gradients(Unrecorded(), X)


def test_a_loop_over_the_samples_is_none_of_steps():
    class OfSamples(Unrecorded):
        def train(self, X, y):
            if self.weights is None:
                self.weights, self.bias = np.zeros(X.shape[1]), 0.0
            for i in range(len(X)):
                error = X[i] @ self.weights + self.bias - y[i]
                self.weights = self.weights - self.lr * error * X[i]
                self.bias = self.bias - self.lr * self.factor * error

    for factor in (1.0, 2.0):
        report = check_gradients(OfSamples(factor), X, VALUES)
        assert report.verdict == ("right" if factor == 1.0 else "wrong"), report
        assert any("several times, as after each sample" in note for note in report.notes)


class Standardized(Unrecorded):
    """What it makes of the data is made anew by each fit, and is no parameter, though predict uses it."""

    def fit(self, X, y):
        self.mean, self.deviation = X.mean(axis=0), X.std(axis=0)
        self.weights, self.bias = np.zeros(X.shape[1]), 0.0
        self.history = []
        Z = (X - self.mean) / self.deviation
        for _ in range(self.n_iters):
            errors = Z @ self.weights + self.bias - y
            self.weights = self.weights - self.lr * self.factor * Z.T @ errors / len(y)
            self.bias = self.bias - self.lr * errors.mean()
        return self.weights, self.bias

    def predict(self, X):
        return (X - self.mean) / self.deviation @ self.weights + self.bias


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_what_is_made_of_the_data_before_the_loop_goes_with_the_data(factor, verdict):
    report = check_gradients(Standardized(factor), X, VALUES)
    assert {entry.name: entry.verdict for entry in report.entries} == {"weights": verdict, "bias": "right"}, report
    assert not any("targets" in note for note in report.notes)


class Lasso(Unrecorded):
    def __init__(self, factor=1.0, l1=0.5):
        super().__init__(factor)
        self.l1 = l1

    def fit(self, X, y):
        self.weights, self.bias = np.zeros(X.shape[1]), 0
        for _ in range(self.n_iters):
            errors = X @ self.weights + self.bias - y
            penalty = np.where(self.weights > 0, self.l1, -self.l1)
            self.weights = self.weights - self.lr * (2 * X.T @ errors + penalty) / len(y)
            self.bias = self.bias - self.lr * self.factor * 2 * np.mean(errors)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_a_step_may_have_the_sign_of_the_weights_in_it_as_a_lasso_has(factor, verdict):
    report = check_gradients(Lasso(factor), X, VALUES)
    assert {entry.name: entry.verdict for entry in report.entries} == {"weights": "right", "bias": verdict}, report
    assert any("0.0833333 of the sign of weights" in note for note in report.notes)


class WithLoss:
    """Has a loss of its own, of which the number that fit keeps is no gradient."""

    def __init__(self, C=1.0, lr=0.01, n_iters=100):
        self.C, self.lr, self.n_iters = C, lr, n_iters

    def predict(self, X):
        return np.sign(X @ self.w + self.b)

    def hinge_loss(self, X, y):
        return 0.5 * self.w @ self.w + self.C * np.sum(np.maximum(0, 1 - y * (X @ self.w + self.b)))

    def fit(self, X, y):
        self.w, self.b, self.loss_history = np.zeros(X.shape[1]), 0, []
        for _ in range(self.n_iters):
            self.loss_history.append(float(self.hinge_loss(X, y)))
            inside = y * (X @ self.w + self.b) < 1
            self.b -= self.lr * -self.C * np.sum(y[inside])
            self.w -= self.lr * (self.w - self.C * X[inside].T @ y[inside])


def test_the_loss_that_a_step_returns_is_no_gradient_of_a_number():
    signs = np.array([1, -1, 1, 1, 1, -1])
    report = check_gradients(WithLoss(), X, signs)
    assert report.ok, report
    assert {entry.name for entry in report.entries} == {"w", "b"}
