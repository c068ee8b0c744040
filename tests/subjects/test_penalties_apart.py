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
