"""Estimators that step by Adam and the like, go on while they err, or train for each class; and decide in one line."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((8, 3))
Y = RNG.standard_normal(8)
CLASSES = np.array([0.0, 1, 1, 0, 1, 0, 0, 1])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Adam:
    """Logistic regression; ``part`` is what its bias counts of the gradient."""

    def __init__(self, lr=0.01, epochs=50, part=1.0):
        self.lr, self.epochs, self.part = lr, epochs, part

    def fit(self, X, y):
        self.w, self.b, self.losses = np.zeros(X.shape[1]), 0.0, []
        mw, vw, mb, vb = np.zeros(X.shape[1]), np.zeros(X.shape[1]), 0.0, 0.0
        for t in range(1, self.epochs + 1):
            p = self.predict_proba(X)
            self.losses.append(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
            dw, db = X.T @ (p - y) / len(y), self.part * np.mean(p - y)
            mw, vw = 0.9 * mw + 0.1 * dw, 0.999 * vw + 0.001 * dw**2
            mb, vb = 0.9 * mb + 0.1 * db, 0.999 * vb + 0.001 * db**2
            self.w -= self.lr * mw / (1 - 0.9**t) / (np.sqrt(vw / (1 - 0.999**t)) + 1e-8)
            self.b -= self.lr * mb / (1 - 0.9**t) / (np.sqrt(vb / (1 - 0.999**t)) + 1e-8)
        return self

    def predict_proba(self, X):
        return sigmoid(X @ self.w + self.b)

    def predict(self, X):
        return (self.predict_proba(X) > 0.5).astype(int)


class RMSProp:
    """Its gradients are in a dict that a method returns; ``by`` is the derivative of tanh by its value."""

    def __init__(self, by=lambda a: 1 - a**2, lr=0.01, n_iter=50):
        self.by, self.lr, self.n_iter = by, lr, n_iter

    def fit(self, X, y):
        rng = np.random.default_rng(0)
        self.params = {"W1": rng.standard_normal((X.shape[1], 4)), "b1": np.zeros(4), "W2": rng.standard_normal(4)}
        squares = {key: np.zeros_like(array) for key, array in self.params.items()}
        for _ in range(self.n_iter):
            hidden = np.tanh(X @ self.params["W1"] + self.params["b1"])
            grads = self._backward(X, hidden, hidden @ self.params["W2"] - y)
            for key in self.params:
                squares[key] = 0.9 * squares[key] + 0.1 * grads[key] ** 2
                self.params[key] -= self.lr * grads[key] / (np.sqrt(squares[key]) + 1e-8)

    def _backward(self, X, hidden, errors):
        delta = np.outer(errors, self.params["W2"]) * self.by(hidden)
        return {"W1": X.T @ delta, "b1": delta.sum(axis=0), "W2": hidden.T @ errors}

    def predict(self, X):
        return np.tanh(X @ self.params["W1"] + self.params["b1"]) @ self.params["W2"]


def test_gradients_that_a_step_of_adam_does_not_tell_are_those_in_its_own_names():
    assert check_gradients(Adam(), X, CLASSES).ok
    judged = check_gradients(Adam(part=3.0), X, CLASSES)
    assert judged.verdict == "wrong"
    assert judged["w"].verdict == "right"
    assert judged["b"].verdict == "wrong"
    assert check_gradients(RMSProp(), X, Y).ok
    wrong = check_gradients(RMSProp(lambda a: 1 - a), X, Y)
    assert [entry.name for entry in wrong.entries if entry.verdict == "wrong"] == ["params['W1']", "params['b1']"]


class Adagrad:
    """Its gradient has no name."""

    def __init__(self, lr=0.1, max_iter=50):
        self.lr, self.max_iter = lr, max_iter

    def fit(self, X, y):
        self.w, self.losses = np.random.default_rng(0).standard_normal(X.shape[1]), []
        G = np.zeros_like(self.w)
        for _ in range(self.max_iter):
            self.losses.append(np.mean((X @ self.w - y) ** 2) / 2)
            G += (X.T @ (X @ self.w - y) / len(y)) ** 2
            self.w -= self.lr * X.T @ (X @ self.w - y) / len(y) / np.sqrt(G)

    def predict(self, X):
        return X @ self.w


def test_a_step_that_does_not_tell_its_gradient_is_refused_where_nothing_does():
    with pytest.raises(TypeError, match=r"fit moves w by as much whatever the gradient.*as in self\.dW"):
        check_gradients(Adagrad(), X, Y)


class Perceptron:
    """Goes on until it errs no more; ``way`` is that in which its bias is moved."""

    def __init__(self, way=1.0, lr=0.1):
        self.way, self.lr = way, lr

    def fit(self, X, y):
        self.w, self.b = np.zeros(X.shape[1]), 0.0
        converged = False
        while not converged:
            converged = True
            for row, target in zip(X, y, strict=True):
                if target * (row @ self.w + self.b) <= 0:
                    self.w += self.lr * target * row
                    self.b += self.way * self.lr * target
                    converged = False

    def predict(self, X):
        return np.sign(X @ self.w + self.b)


def test_a_perceptron_that_goes_on_until_it_errs_no_more():
    report = check_gradients(Perceptron(), X, 2 * CLASSES - 1)
    assert report.ok, report
    assert any("sum(max(0, -y a))" in note for note in report.notes)
    assert any("the loss is of X @ self.w + self.b, which it computes" in note for note in report.notes)
    wrong = check_gradients(Perceptron(way=-1.0), X, 2 * CLASSES - 1)
    assert [entry.name for entry in wrong.entries if entry.verdict == "wrong"] == ["b"]


class InOneLine:
    """Logistic regression that has no name for what it decides by; ``part`` as above."""

    def __init__(self, part=1.0):
        self.part = part

    def fit(self, X, y):
        self.w, self.b = np.zeros(X.shape[1]), 0.0
        for _ in range(100):
            p = sigmoid(X @ self.w + self.b)
            self.w -= 0.1 * X.T @ (p - y) / len(y)
            self.b -= 0.1 * self.part * np.mean(p - y)

    def predict(self, X):
        return (1 / (1 + np.exp(-(X @ self.w + self.b))) >= 0.5).astype(int)


class ByRows(InOneLine):
    def predict(self, X):
        return np.array([1 if 1 / (1 + np.exp(-(np.dot(self.w, x) + self.b))) >= 0.5 else 0 for x in X])


class ByRowsInALoop(InOneLine):
    def predict(self, X):
        found = []
        for x in X:
            found.append(1 if sigmoid(x @ self.w + self.b) > 0.5 else 0)
        return found


@pytest.mark.parametrize("kind", [InOneLine, ByRows, ByRowsInALoop])
def test_what_has_no_name_where_it_is_decided_by_it(kind):
    report = check_gradients(kind(), X, CLASSES)
    assert report.ok, report
    assert any(note.startswith("predict decides: the loss is of ") for note in report.notes)
    wrong = check_gradients(kind(part=-2.0), X, CLASSES)
    assert [entry.name for entry in wrong.entries if entry.verdict == "wrong"] == ["b"]


class OneAgainstTheRest:
    def __init__(self, n_iter=100):
        self.n_iter = n_iter

    def fit(self, X, y):
        self.classes = np.unique(y)
        self.W = np.zeros((len(self.classes), X.shape[1]))
        for place, label in enumerate(self.classes):
            w = np.zeros(X.shape[1])
            for _ in range(self.n_iter):
                w -= 0.1 * X.T @ (sigmoid(X @ w) - (y == label)) / len(y)
            self.W[place] = w

    def predict(self, X):
        return self.classes[np.argmax(X @ self.W.T, axis=1)]


def test_weights_of_each_class_that_are_names_of_fit_alone_are_refused_with_what_would_work():
    with pytest.raises(TypeError, match="begins anew from weights that it has in names of its own until it ends"):
        check_gradients(OneAgainstTheRest(), X, np.array([0, 1, 2, 1, 0, 2, 0, 1]))


class Sums:
    """Adam with its moments in attributes, which fit makes anew too; its prediction has no name."""

    def __init__(self, lr=0.01, epochs=50, part=1.0):
        self.lr, self.epochs, self.part = lr, epochs, part

    def fit(self, X, y):
        self.w, self.b, self.t = np.random.default_rng(0).standard_normal(X.shape[1]), 0.0, 0
        self.mw, self.vw, self.mb, self.vb = np.zeros(X.shape[1]), np.zeros(X.shape[1]), 0.0, 0.0
        for _ in range(self.epochs):
            errors = self.predict(X) - y
            dw, db = X.T @ errors / len(y), self.part * errors.mean()
            self.t += 1
            self.mw, self.vw = 0.9 * self.mw + 0.1 * dw, 0.999 * self.vw + 0.001 * dw**2
            self.mb, self.vb = 0.9 * self.mb + 0.1 * db, 0.999 * self.vb + 0.001 * db**2
            first, second = 1 - 0.9**self.t, 1 - 0.999**self.t
            self.w -= self.lr * (self.mw / first) / (np.sqrt(self.vw / second) + 1e-8)
            self.b -= self.lr * (self.mb / first) / (np.sqrt(self.vb / second) + 1e-8)

    def predict(self, X):
        return X @ self.w + self.b


class Velocities:
    """Steps by velocities, of weights in dicts; classes by an argmax of what has no name."""

    def __init__(self, lr=0.01, epochs=50, part=1.0):
        self.lr, self.epochs, self.part = lr, epochs, part

    def fit(self, X, y):
        rng = np.random.default_rng(1)
        self.W = {1: rng.standard_normal((X.shape[1], 4)), 2: rng.standard_normal((4, 3))}
        self.b = {1: np.zeros(4), 2: np.zeros(3)}
        self.vW = {key: np.zeros_like(array) for key, array in self.W.items()}
        self.vb = {key: np.zeros_like(array) for key, array in self.b.items()}
        for _ in range(self.epochs):
            A = self._forward(X)
            delta = (A[2] - np.eye(3)[y]) / len(y)
            for key in (2, 1):
                gW, gb = A[key - 1].T @ delta, delta.sum(axis=0) * (self.part if key == 1 else 1.0)
                delta = delta @ self.W[key].T * (1 - A[key - 1] ** 2)
                self.vW[key] = 0.9 * self.vW[key] - self.lr * gW
                self.vb[key] = 0.9 * self.vb[key] - self.lr * gb
                self.W[key] = self.W[key] + self.vW[key]
                self.b[key] = self.b[key] + self.vb[key]

    def _forward(self, X):
        A = {0: X, 1: np.tanh(X @ self.W[1] + self.b[1])}
        scores = np.exp(A[1] @ self.W[2] + self.b[2])
        return {**A, 2: scores / scores.sum(axis=1, keepdims=True)}

    def predict(self, X):
        return self._forward(X)[2].argmax(axis=1)


@pytest.mark.parametrize(("kind", "targets", "wrong"), [(Sums, Y, "b"), (Velocities, np.arange(8) % 3, "b[1]")])
def test_sums_over_steps_begin_at_0_with_each_fit(kind, targets, wrong):
    report = check_gradients(kind(), X, targets)
    assert report.ok, report
    report = check_gradients(kind(part=3.0), X, targets)
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == [wrong]


class Quantile:
    """Its loss, which it keeps, hangs on a setting, of which the loss itself is no gradient."""

    def __init__(self, tau=0.3, lr=0.01):
        self.tau, self.lr = tau, lr

    def fit(self, X, y):
        self.w, self.losses = np.zeros(X.shape[1]), []
        for _ in range(100):
            errors = y - X @ self.w
            self.losses.append(np.mean(np.where(errors > 0, self.tau * errors, (self.tau - 1) * errors)))
            self.w -= self.lr * X.T @ np.where(errors > 0, -self.tau, 1 - self.tau) / len(y)

    def predict(self, X):
        return X @ self.w


def test_the_loss_that_is_kept_is_the_gradient_of_no_setting():
    report = check_gradients(Quantile(), X, Y)
    assert report.ok, report
    assert [entry.name for entry in report.entries] == ["w"]


class Regression:
    """It keeps the cost that each step leads to; ``factor`` is one too many."""

    def __init__(self, factor=1.0, learning_rate=0.01, n_iterations=100):
        self.factor, self.learning_rate, self.n_iterations = factor, learning_rate, n_iterations

    def fit(self, X, y):
        self.theta, self.cost_history = np.random.default_rng(0).standard_normal(X.shape[1]), []
        for _ in range(self.n_iterations):
            gradients = self.factor / len(y) * X.T @ (X @ self.theta - y)
            self.theta = self.theta - self.learning_rate * gradients
            self.cost_history.append(np.sum((X @ self.theta - y) ** 2) / (2 * len(y)))

    def predict(self, X):
        return X @ self.theta


def test_how_many_steps_there_are_is_no_schedule_of_the_rate():
    assert check_gradients(Regression(), X, Y).ok
    report = check_gradients(Regression(factor=1.3), X, Y)
    assert report.verdict == "undecided", report


class ElasticNet:
    """Its step has a part of the weights and one of their signs, by products of its settings."""

    def __init__(self, part=1.0, alpha=0.1, l1_ratio=0.3, lr=0.01):
        self.part, self.alpha, self.l1_ratio, self.lr = part, alpha, l1_ratio, lr

    def fit(self, X, y):
        self.w, self.b = np.random.default_rng(2).standard_normal(X.shape[1]), 0.0
        for _ in range(100):
            errors = self.predict(X) - y
            penalty = self.alpha * (self.l1_ratio * np.sign(self.w) + (1 - self.l1_ratio) * self.w)
            self.w -= self.lr * (X.T @ errors / len(y) + penalty)
            self.b -= self.lr * self.part * errors.mean()

    def predict(self, X):
        return X @ self.w + self.b


def test_an_elastic_net_decays_by_the_weights_and_by_their_signs():
    report = check_gradients(ElasticNet(), X, Y)
    assert report.ok, report
    assert any("in each step, and not counted to the gradient: 0.07 of w, 0.03 of the sign" in n for n in report.notes)
    assert check_gradients(ElasticNet(part=-2.0), X, Y)["b"].verdict == "wrong"


class Poisson:
    """Goes up the log-likelihoods that it returns; by ``way`` down."""

    def __init__(self, way=1.0, lr=0.01, iterations=100):
        self.way, self.lr, self.iterations = way, lr, iterations

    def fit(self, X, y):
        self.beta = np.zeros(X.shape[1])
        lls = []
        for _ in range(self.iterations):
            mean = np.exp(X @ self.beta)
            lls.append(np.sum(y * np.log(mean) - mean))
            self.beta += self.way * self.lr * X.T @ (y - mean)
        return lls

    def predict(self, X):
        return np.exp(X @ self.beta)


def test_a_log_likelihood_that_is_kept_is_to_grow():
    counts = np.array([0, 1, 3, 2, 1, 0, 2, 1])
    assert check_gradients(Poisson(), X, counts).ok
    assert check_gradients(Poisson(way=-1.0), X, counts).verdict == "wrong"


class Margins:
    """Logistic regression of classes -1 and 1, whose loss has no name."""

    def fit(self, X, y):
        self.w = np.zeros(X.shape[1])
        for _ in range(100):
            margins = y * (X @ self.w)
            self.w = self.w + 0.1 * (X * (y / (1 + np.exp(margins)))[:, None]).mean(axis=0)

    def predict(self, X):
        return np.where(X @ self.w > 0, 1, -1)


def test_the_logistic_loss_of_classes_of_two_signs():
    report = check_gradients(Margins(), X, 2 * CLASSES - 1)
    assert report.ok, report
    assert any("sum(log(1 + exp(-y a)))" in note for note in report.notes)


class Autoencoder:
    """Its targets are its inputs; ``part`` is that of the encoder's gradient."""

    def __init__(self, part=1.0, lr=0.01, epochs=20):
        self.part, self.lr, self.epochs = part, lr, epochs

    def fit(self, X):
        rng = np.random.default_rng(0)
        self.encoder, self.decoder = rng.standard_normal((X.shape[1], 2)), rng.standard_normal((2, X.shape[1]))
        self.losses = []
        for _ in range(self.epochs):
            code = np.tanh(X @ self.encoder)
            errors = code @ self.decoder - X
            self.losses.append(np.mean(errors**2))
            delta = 2 * errors / X.size
            step = self.part * X.T @ (delta @ self.decoder.T * (1 - code**2))
            self.decoder -= self.lr * code.T @ delta
            self.encoder -= self.lr * step
        return self

    def predict(self, X):
        return np.tanh(X @ self.encoder) @ self.decoder


def test_a_model_that_fits_its_input_alone():
    report = check_gradients(Autoencoder(), X)
    assert report.ok, report
    report = check_gradients(Autoencoder(part=-2.0), X)
    assert [entry.name for entry in report.entries if entry.verdict == "wrong"] == ["encoder"]
