"""Losses under names that say little, beside gradients that are a multiple of theirs."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 3)), RNG.standard_normal(6)


def squares(a, y):
    return np.mean((a - y) ** 2)


class Errors:
    @staticmethod
    def between(a, y):
        return np.mean((a - y) ** 2)


class Predicts:
    def __init__(self, times=1.0):
        self.w, self.times = np.array([0.3, -1.0, 0.7]), times

    def predict(self, x):
        self.a = x @ self.w
        return self.a


class Linear(Predicts):
    """Gradients of the mean of squares, ``times`` as large; what they are of is not said."""

    def gradient(self, x, y):
        return self.times * 2.0 * x.T @ (self.predict(x) - y) / len(y)


class WithAMethod(Linear):
    def how_far(self, x, y):
        return np.mean((self.predict(x) - y) ** 2)


class OfTheKeptOutput(Linear):
    def how_far(self, y):
        return np.mean((self.a - y) ** 2)


class WithAFunction(Linear):
    def fit(self, x, y):
        for _ in range(10):
            self.w = self.w - 0.1 * self.gradient(x, y)
            print(squares(self.predict(x), y))


class WithAStaticOne(Linear):
    def history(self, x, y):
        return [Errors.between(self.predict(x), y)]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (WithAMethod, "how_far"),
        (OfTheKeptOutput, "how_far"),
        (WithAFunction, "squares"),
        (WithAStaticOne, "Errors.between"),
    ],
)
def test_gradients_off_by_a_factor_from_a_loss_in_the_code_are_not_right_by_another(kind, name):
    assert check_gradients(kind(), X, Y).verdict == "right"
    report = check_gradients(kind(0.5), X, Y)
    assert report.verdict == "undecided"
    assert f"{name} of the same code is 2 times sum((a - y)^2) / 2 / n, with n = 6" in report.problems[0]


class WithOtherNumbers(Linear):
    """What tells how good it is, and is no multiple of its loss; and what must not be called."""

    def score(self, x, y):
        return 1.0 - np.sum((self.predict(x) - y) ** 2) / np.sum((y - y.mean()) ** 2)

    def rms(self, x, y):
        return np.sqrt(np.mean((self.predict(x) - y) ** 2))

    def fails(self, a, y):
        raise RuntimeError(f"not to be told: {a} {y}")

    def tells(self, a, y):
        print("called", a, y)
        return np.mean((a - y) ** 2)

    def improve(self, x, y):
        self.w = self.w - 0.1 * self.gradient(x, y)
        return np.mean((self.predict(x) - y) ** 2)


def test_numbers_that_are_no_multiple_of_the_loss_and_code_that_does_more_do_not_count(capsys):
    assert check_gradients(WithOtherNumbers(0.5), X, Y).verdict == "right"
    assert capsys.readouterr().out == ""


class ReturnsItsLoss(Predicts):
    def train_step(self, x, y, lr=0.1):
        error = self.predict(x) - y
        self.w = self.w - lr * self.times * x.T @ error / len(y)
        return 0.5 * np.mean(error**2)


def test_a_step_that_returns_its_loss_is_not_right_by_a_multiple_of_it():
    assert check_gradients(ReturnsItsLoss(), X, Y).verdict == "right"
    report = check_gradients(ReturnsItsLoss(6.0), X, Y)
    assert report.verdict == "undecided"
    assert "what a step returns is 0.166667 times sum((a - y)^2) / 2" in report.problems[0]
