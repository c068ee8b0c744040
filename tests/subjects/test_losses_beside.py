"""Scripts with one loss or several beside functions that do not name it, and settings after the inputs."""

import numpy as np
import pytest
from stand_ins import script

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.choosing import chosen
from numpy_nn.subjects.losses import unsaid

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 5)), np.array([[1.0, 0.0, 1.0, 1.0, 0.0]])

SCRIPT = """
import numpy as np

def forward(X, parameters, keep_prob=0.6):
    np.random.seed(1)
    kept = (np.random.rand(3, 5) < keep_prob) / keep_prob
    A = 1 / (1 + np.exp(-(parameters["W"] @ (kept * X) + parameters["b"])))
    return A, (kept, parameters["W"], A)

def backward(X, Y, cache, lambd=0.7):
    kept, W, A = cache
    dZ = (A - Y) / Y.shape[1]
    return {"dW": dZ @ (kept * X).T + DECAY * W, "db": dZ.sum(axis=1, keepdims=True)}
"""
COST = """
def compute_cost(A, Y):
    return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / Y.shape[1]
"""
WITH_DECAY = """
def compute_cost_with_decay(A, Y, parameters, lambd=0.7):
    data = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / Y.shape[1]
    return data + lambd / 2 * np.sum(parameters["W"] ** 2)
"""


def checked(losses, decay, *settings):
    around = script(SCRIPT.replace("DECAY", decay) + losses)
    parameters = {"W": RNG.standard_normal((1, 3)), "b": np.zeros((1, 1))}
    return check_gradients((around["forward"], around["backward"]), (X, parameters, *settings), Y)


@pytest.mark.parametrize("losses", [WITH_DECAY, COST + WITH_DECAY])
def test_gradients_with_weight_decay_are_those_of_the_loss_in_the_file_that_has_it(losses):
    report = checked(losses, "lambd")
    assert report.verdict == "right"
    assert any("judged as the gradients of compute_cost_with_decay" in note for note in report.notes)
    assert checked(losses, "2 * lambd").verdict == "wrong"


def test_gradients_without_the_decay_that_the_one_loss_in_the_file_has_are_not_right():
    report = checked(WITH_DECAY, "0 * lambd")
    assert report.verdict == "undecided"
    assert "compute_cost_with_decay of the same code is a loss, and these gradients are not its" in report.problems[0]
    assert checked(COST + WITH_DECAY, "0 * lambd").verdict == "right"


def test_a_number_by_default_after_the_inputs_is_a_setting_and_no_target():
    assert checked(COST, "0 * lambd").verdict == "right"
    assert checked(COST, "0 * lambd", 0.8).verdict == "right"
    assert checked(COST, "0.1").verdict == "wrong"


class OfFourthPowers:
    """Its criterion is a loss that nobody would guess."""

    def __init__(self):
        self.W = np.array([[2.0, 0.5], [-1.0, 0.25]])

    def forward(self, X):
        self.X = X
        self.out = X @ self.W
        return self.out

    def backward(self, y):
        self.dW = self.X.T @ (4.0 * (self.out - y) ** 3) / y.size


def fourth_powers(out, y):
    return np.mean((out - y) ** 4)


class ByAProperty(OfFourthPowers):
    @property
    def criterion(self):
        return fourth_powers


class ByTheClass(OfFourthPowers):
    loss_fn = staticmethod(fourth_powers)


@pytest.mark.parametrize("kind", [ByAProperty, ByTheClass])
def test_a_class_may_hold_the_loss_of_its_objects(kind):
    rng = np.random.default_rng(0)
    report = check_gradients(kind(), rng.standard_normal((3, 2)), rng.standard_normal((3, 2)))
    assert report["W"].verdict == "right"
    assert not any("not written" in note for note in report.notes)


class Logistic:
    """Its own gradients are those of the third of the usual losses; with ``wrong`` the bias has another."""

    def __init__(self, wrong=1.0):
        self.w, self.b, self.wrong = np.array([[0.5, -1.0], [1.0, 0.25]]), np.array([0.5, -0.25]), wrong

    def forward(self, x):
        self.a = 1.0 / (1.0 + np.exp(-(x @ self.w + self.b)))
        return self.a

    def backward(self, x, y):
        self.dw, self.db = x.T @ (self.a - y), self.wrong * (self.a - y).sum(axis=0)


@pytest.mark.parametrize(("wrong", "tried"), [(1.0, 3), (2.0, 6)])
def test_losses_are_tried_until_one_has_all_gradients_or_multiples_of_one_that_has_some(wrong, tried, monkeypatch):
    codes = []

    def counted(code):
        codes.append(code)
        return chosen(code)

    monkeypatch.setattr(unsaid, "chosen", counted)
    x, y = np.random.default_rng(0).standard_normal((3, 2)), np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    report = check_gradients(Logistic(wrong), x, y)
    assert {entry.name: entry.verdict for entry in report.entries} == {"w": "right", "b": report.verdict}
    assert report.verdict == ("right" if wrong == 1.0 else "wrong")
    assert len(codes) == tried
