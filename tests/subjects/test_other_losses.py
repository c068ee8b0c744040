"""Losses under names that say little, beside gradients that are a multiple of theirs."""

from functools import cached_property

import numpy as np
import pytest
from stand_ins import script

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


def cross_entropy(a, y):
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


class Squashed:
    """The gradients of -mean(y log a + (1 - y) log(1 - a)), or with the factor a (1 - a) those of squares."""

    def __init__(self, *, squares=False):
        self.w, self.squares = np.array([0.3, -1.0, 0.7]), squares

    def forward(self, x):
        self.a = 1.0 / (1.0 + np.exp(-x @ self.w))
        return self.a

    def backward(self, x, y):
        factor = self.a * (1 - self.a) if self.squares else 1.0
        self.dw = x.T @ ((self.a - y) * factor) / len(y)


class KeepsItsOutput(Squashed):
    def compute_loss(self, y):
        self.history = cross_entropy(self.a, y)
        return self.history


class IsToldItsOutput(Squashed):
    def how_far(self, x, y):
        return np.sum(np.abs(self.forward(x) - y))

    def log_loss(self, x, y):
        return sum(cross_entropy(np.array([a]), np.array([b])) for a, b in zip(self.forward(x), y, strict=True)) / 6


@pytest.mark.parametrize("kind", [KeepsItsOutput, IsToldItsOutput])
def test_gradients_of_another_loss_than_the_one_in_the_code_are_not_right(kind):
    targets = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    assert check_gradients(kind(), X, targets).verdict == "right"
    assert check_gradients(kind(squares=True), X, targets).verdict in ("wrong", "undecided")


def binary_cross_entropy(a, y):
    """As it is written where a may be 0 or 1."""
    return -np.mean(y * np.log(a + 1e-8) + (1 - y) * np.log(1 - a + 1e-8))


class TellsItsLoss(Squashed):
    def history(self, x, y):
        return [binary_cross_entropy(self.forward(x), y)]


def test_a_loss_that_keeps_a_logarithm_finite_is_none_but_that_of_which_the_gradients_are():
    targets = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    assert check_gradients(TellsItsLoss(), X, targets).verdict == "right"
    report = check_gradients(TellsItsLoss(squares=True), X, targets)
    assert report.verdict == "undecided"
    assert "binary_cross_entropy of the same code is a loss" in report.problems[0]


class HasWhatIsNoNumber(Linear):
    def kind(self, _x, _y):
        return np.array("regression")


class IsNotFitted(Linear):
    @property
    def l2_loss(self):
        raise RuntimeError("fit first")

    @cached_property
    def score_of_fit(self):
        raise RuntimeError("fit first")


def logcosh(a, y):
    return np.sum(np.log(np.cosh(a - y)))


class HasALossAsAProperty(Predicts):
    @property
    def loss_fn(self):
        return logcosh

    def gradient(self, x, y):
        return x.T @ np.tanh(self.predict(x) - y)


def test_a_loss_may_be_what_a_property_gives():
    assert check_gradients(HasALossAsAProperty(), X, Y).verdict == "right"


def test_what_gives_no_number_and_properties_are_no_losses():
    assert check_gradients(HasWhatIsNoNumber(), X, Y).verdict == "right"
    assert check_gradients(IsNotFitted(), X, Y).verdict == "right"


def test_functions_with_the_gradients_of_another_loss_than_the_one_beside_them_are_not_right():
    def checked(factor, beside="", name="loss", **given):
        around = script(
            f"""
{beside}
import numpy as np

def forward(x, w):
    return 1.0 / (1.0 + np.exp(-x @ w))

def {name}(a, y):
    return 0.5 * np.sum((y - a) ** 2)

def backward(x, w, y):
    a = forward(x, w)
    return x.T @ ((a - y) * {factor})
""",
            **given,
        )
        return check_gradients((around["forward"], around["backward"]), (X, np.array([0.3, -1.0, 0.7])), Y > 0)

    assert checked("a * (1 - a)").verdict == "right"
    report = checked("1.0")
    assert report.verdict == "undecided"
    assert report.problems[0].startswith("loss of the same code is a loss, and these gradients are not its")
    assert checked("1.0", name="error_function").verdict == "undecided"
    # Under a name that says nothing it counts if they are off by a factor.
    assert checked("2 * a * (1 - a)", name="how_far").problems[0].startswith("how_far of the same code is 0.5 times")
    # Data beside the functions, of which one is called after another, say nothing.
    assert checked("a * (1 - a)", name="how_far", how=X, X=X, X_train=X[:4]).verdict == "right"
    # With a derivative beside it, it is a pair by itself.
    assert checked("1.0", "def loss_prime(a, y):\n    return a - y").verdict == "right"


class Hinge:
    def __init__(self, times=1.0):
        self.w, self.times = np.array([0.3, -1.0, 0.7]), times

    def hinge_loss(self, x, y):
        return np.mean(np.maximum(0.0, 1.0 - y * (x @ self.w)))

    def hinge_gradient(self, x, y):
        return -self.times * x.T @ (y * (y * (x @ self.w) < 1.0)) / len(y)


@pytest.mark.parametrize(("times", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_gradient_of_a_loss_may_be_called_as_it_without_that_word(times, verdict):
    assert check_gradients(Hinge(times), X, np.sign(Y)).verdict == verdict
