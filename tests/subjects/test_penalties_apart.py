"""Networks with what their parameters cost in a method of its own: it is added where their gradients have it."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

R = np.random.default_rng(0)


class Squares:
    """Half the squares of the errors, and what the weights cost, apart."""

    def __init__(self, net):
        self.net = net

    def forward(self, a, y):
        return 0.5 * ((a - y) ** 2).sum(axis=1)

    def backward(self, a, y):
        self.dinputs = (a - y) / len(y)

    def regularization_loss(self):
        return 0.1 * np.sum(self.net.W**2)


class Penalised:
    """A network whose gradients are those of the mean of its loss and of the penalty, which nobody adds."""

    rate = 0.2

    def __init__(self):
        self.W, self.b, self.loss = R.normal(size=(3, 2)), R.normal(size=2), Squares(self)

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, a, y):
        self.loss.backward(a, y)
        self.dW = self.X.T @ self.loss.dinputs + self.rate * self.W
        self.db = self.loss.dinputs.sum(axis=0)


class PenaltyLeftOut(Penalised):
    rate = 0.0


class PenaltyTwice(Penalised):
    rate = 0.4


class PenalisedByHand(Penalised):
    """Of a loss that it does not hold in one piece: the squares of the errors are nowhere written."""

    def __init__(self):
        super().__init__()
        self.W, self.b, self.squares = R.normal(size=(3, 2)), R.normal(size=2), self.__dict__.pop("loss")

    def regularization_loss(self):
        return self.squares.regularization_loss()

    def backward(self, a, y):
        self.loss = self.squares
        super().backward(a, y)
        del self.loss


OF_BOTH = "to the loss is added what regularization_loss() gives"
APART = "what regularization_loss() gives is in none of these gradients, and not counted as missing"


@pytest.mark.parametrize(
    ("network", "note"), [(Penalised, OF_BOTH), (PenalisedByHand, OF_BOTH), (PenaltyLeftOut, APART)]
)
def test_a_loss_has_the_penalty_that_its_gradients_have(network, note):
    report = check_gradients(network(), R.normal(size=(5, 3)), R.normal(size=(5, 2)))
    assert report.verdict == "right"
    assert note in report.notes


def test_a_penalty_that_counts_twice_is_wrong():
    report = check_gradients(PenaltyTwice(), R.normal(size=(5, 3)), R.normal(size=(5, 2)))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("W", "wrong"), ("b", "right")]
    assert report["W"].cause == "weight_decay"


def test_a_penalty_of_0_is_not_worth_a_line(monkeypatch):
    monkeypatch.setattr(Squares, "regularization_loss", lambda _: 0.0)
    report = check_gradients(PenaltyLeftOut(), R.normal(size=(5, 3)), R.normal(size=(5, 2)))
    assert (report.verdict, [note for note in report.notes if "regularization" in note]) == ("right", [])


def test_a_small_penalty_counts(monkeypatch):
    monkeypatch.setattr(Penalised, "rate", 0.002)
    monkeypatch.setattr(Squares, "regularization_loss", lambda self: 0.001 * np.sum(self.net.W**2))
    assert check_gradients(Penalised(), R.normal(size=(5, 3)), R.normal(size=(5, 2))).verdict == "right"


class Fitted:
    """Softmax regression whose fit keeps the loss of each round, with the penalty."""

    def __init__(self, *, in_loss=0.5, in_step=1.0, averaged=True):
        self.in_loss, self.in_step, self.averaged, self.losses = in_loss, in_step, averaged, []

    def fit(self, X, y, lr=0.1, epochs=20, reg=0.02):
        Y = np.eye(3)[y]
        self.W, self.b = np.random.default_rng(1).normal(0, 0.3, (4, 3)), np.zeros(3)
        for _ in range(epochs):
            P = self.predict_proba(X)
            self.losses.append(-np.sum(Y * np.log(P)) / len(X) + self.in_loss * reg * np.sum(self.W**2))
            G = (P - Y) / (len(X) if self.averaged else 1)
            self.W -= lr * (X.T @ G + self.in_step * reg * self.W)
            self.b -= lr * G.sum(axis=0)
        return self

    def predict_proba(self, X):
        e = np.exp(X @ self.W + self.b)
        return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("fitted", "verdict"),
    [
        (Fitted(), "right"),
        (Fitted(in_step=2.0), "wrong"),
        (Fitted(in_loss=1.0), "wrong"),
        (Fitted(in_step=0.0), "undecided"),
        (Fitted(averaged=False), "wrong"),
    ],
)
def test_the_penalty_in_steps_is_that_of_the_loss_which_a_fit_keeps(fitted, verdict):
    X, y = np.random.default_rng(2).normal(size=(8, 4)), np.array([0, 1, 2, 1, 0, 2, 2, 1])
    report = check_gradients(fitted, X, y)
    assert report.verdict == verdict
    assert report["b"].verdict == "right"
    if verdict == "undecided":
        assert any("and a penalty, 0.00425795; the gradient has that of none of it" in text for text in report.problems)
