"""The penalty of a loss: what its gradient should be times, and what it is, by the setting that it goes with."""

from types import SimpleNamespace

import numpy as np
import pytest
from judged import diagnosed

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.explain import penalties as module
from numpy_nn.gradcheck.measure.evidence import COARSEST_FIT, FIT
from numpy_nn.subjects.parameters.code import CodeSubject

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

RNG = np.random.default_rng(0)
X, W, Y = RNG.standard_normal((6, 5)), 0.3 * RNG.standard_normal((5, 4)), RNG.integers(0, 4, 6)
ROWS = np.arange(6)


def hinge(in_loss, in_gradient, off=0.0):
    def svm_loss(W, X, y, reg):
        margins = np.maximum(0, X @ W - (X @ W)[ROWS, y][:, None] + 1)
        margins[ROWS, y] = 0
        counts = (margins > 0).astype(float)
        counts[ROWS, y] = -counts.sum(axis=1)
        loss = margins.sum() / len(X) + in_loss * reg * np.sum(W * W)
        return loss, X.T @ counts / len(X) + in_gradient * reg * W + off * W**3

    return svm_loss


class Network:
    def __init__(self, in_loss, in_gradient):
        # In functions, as numbers would be settings of their own.
        self.penalty, self.decay, self.reg = (lambda p: in_loss * p), (lambda p: in_gradient * p), 0.2
        self.params = {"W1": W.copy(), "b1": np.zeros(4), "W2": W[:4].copy()}

    def loss(self, X, y):
        h = np.tanh(X @ self.params["W1"] + self.params["b1"])
        scores = h @ self.params["W2"]
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        penalty = sum(np.sum(self.params[name] ** 2) for name in ("W1", "W2"))
        loss = -np.log(p[ROWS, y]).mean() + self.reg * self.penalty(penalty)
        p[ROWS, y] -= 1
        p /= len(X)
        dh = p @ self.params["W2"].T * (1 - h**2)
        decay = {name: self.reg * self.decay(self.params[name]) for name in ("W1", "W2")}
        return loss, {"W1": X.T @ dh + decay["W1"], "b1": dh.sum(axis=0), "W2": h.T @ p + decay["W2"]}


CAUSES = [
    (1.0, 1.0, "penalty_factor", "has 2 reg times the parameter, the claimed one 1 reg"),
    (0.5, 2.0, "penalty_factor", "has 1 reg times the parameter, the claimed one 2 reg"),
    (0.5, 1 / 6, "penalty_factor", "0.166667 times as much"),
    (1.0, 0.0, "penalty_missing", "has 2 reg times the parameter, the claimed one none"),
    (0.0, 1.0, "weight_decay", "1 reg times the parameter, which the loss knows nothing of"),
]


@pytest.mark.parametrize(("in_loss", "in_gradient", "cause", "words"), CAUSES)
def test_the_factor_of_the_penalty_is_named_by_its_setting(in_loss, in_gradient, cause, words):
    found = diagnosed(check_gradients(hinge(in_loss, in_gradient), (W, X, Y, 0.1))["W"])
    assert (found.cause, found.confident) == (cause, True)
    assert words in found.evidence


@pytest.mark.parametrize(("in_loss", "in_gradient", "cause", "words"), CAUSES)
def test_the_same_in_a_network_that_keeps_the_setting(in_loss, in_gradient, cause, words):
    report = check_gradients(Network(in_loss, in_gradient), X, Y)
    for name in ("params['W1']", "params['W2']"):
        assert diagnosed(report[name]).cause == cause
        if in_loss:  # else the loss does not hang on reg, which then is not known for a setting
            assert words in diagnosed(report[name]).evidence
    assert report["params['b1']"].verdict == "right"


@pytest.mark.parametrize(
    ("times", "cause", "words"),
    [
        (
            6.0,
            "batch_mean_missing",
            "without 0.4 times the parameter, as of a penalty, claimed / numerical = 6, the number",
        ),
        (
            1 / 6,
            "batch_mean_twice",
            "without 0.4 times the parameter, as of a penalty, claimed / numerical = 1 / 6, the",
        ),
    ],
)
def test_a_sum_in_the_place_of_a_mean_is_named_beside_a_penalty(times, cause, words):
    class Classifier:
        def __init__(self):
            self.W = W.copy()

        def loss(self, X, y):
            value, gradient = hinge(1.0, 0.0)(self.W, X, y, 0.2)
            return value, times * gradient + 0.4 * self.W

    found = diagnosed(check_gradients(Classifier(), X, Y)["W"])
    assert found.cause == cause
    assert found.evidence.startswith(words)


def test_what_is_right_or_no_multiple_of_the_parameter_is_no_penalty():
    assert check_gradients(hinge(0.5, 1.0), (W, X, Y, 0.1)).ok
    assert check_gradients(Network(0.5, 1.0), X, Y).entries[0].verdict == "right"
    assert diagnosed(check_gradients(hinge(0.5, 1.0, off=0.1), (W, X, Y, 0.1))["W"]).cause == "unknown"


@pytest.mark.parametrize(("off", "cause", "confident"), [(0.1, "weight_decay", True), (-0.1, "penalty_missing", False)])
def test_without_a_setting_only_the_difference_is_known(off, cause, confident):
    def loss(W, X, y):
        value, gradient = hinge(0.5, 1.0)(W, X, y, 0.2)
        return value, gradient + off * W

    found = diagnosed(check_gradients(loss, (W, X, Y))["W"])
    assert (found.cause, found.confident) == (cause, confident)


def settled(monkeypatch, *, rate=1.0, **found):
    """What is said where a multiple of the parameter is left, and settings of these values have it so often."""
    subject = CodeSubject.__new__(CodeSubject)
    monkeypatch.setattr(subject, "settings", lambda: {name: value for name, (value, _) in found.items()}, raising=False)
    monkeypatch.setattr(module, "multiples", lambda _: [("the parameter", W, rate, 0.0)])
    monkeypatch.setattr(module, "_of_setting", lambda _, name, *__: found[name][1])
    return [(cause, text) for cause, text, _ in module.penalties(SimpleNamespace(subject=subject))]


def test_the_setting_that_explains_what_is_left_is_named_whatever_others_there_are(monkeypatch):
    missing = "the gradient of the loss has 2 reg times the parameter, the claimed one none"
    unknown = "the claimed gradient has 2 reg times the parameter, which the loss knows nothing of"
    twice = "the gradient of the loss has 2 reg times the parameter, the claimed one 4 reg times the parameter"
    for others in ({}, {"eps": (1.0, None)}, {"scale": (1.0, (0.0, 5.0))}):
        assert settled(monkeypatch, **others, reg=(0.5, (2.0, 0.0)), rate=-1.0) == [("penalty_missing", missing)]
        assert settled(monkeypatch, **others, reg=(0.5, (0.0, 2.0))) == [("weight_decay", unknown)]
        expected = [("penalty_factor", f"{twice}: 2 times as much")]
        assert settled(monkeypatch, **others, reg=(0.5, (2.0, 4.0)), after=(0.25, (0.0, 4.0))) == expected
        assert settled(monkeypatch, **others) == []


@pytest.mark.parametrize("off", [0.9e-3, -0.9e-3, 1.1e-3, -1.1e-3])
@pytest.mark.parametrize("rate", [1.0, -1.0])
def test_a_setting_explains_what_is_left_to_a_thousandth(monkeypatch, off, rate):
    found = settled(monkeypatch, reg=(0.5, (0.0, 2.0 * rate * (1.0 + off))), rate=rate)
    assert bool(found) == (abs(off) < 1e-3)


def test_only_code_has_settings(monkeypatch):
    monkeypatch.setattr(module, "multiples", lambda _: [("the parameter", W, 1.0, 0.0)])
    assert list(module.penalties(SimpleNamespace(subject=SimpleNamespace()))) == []


def test_the_setting_is_as_it_was_afterwards():
    net = Network(1.0, 1.0)
    check_gradients(net, X, Y)
    assert net.reg == 0.2


@pytest.mark.parametrize(
    ("fit", "largest", "used"),
    [(FIT, 0.01, FIT), (1e-3, 2.0, 1e-3), (1e-3, 0.25, 4e-3), (1e-3, 0.01, COARSEST_FIT), (1e-3, 0.0, 1e-3)],
)
def test_what_is_left_of_a_difference_is_off_by_as_much_as_the_numbers_that_it_is_of(monkeypatch, fit, largest, used):
    seen = []
    monkeypatch.setattr(module, "common_ratio", lambda _, __, room: seen.append(room))
    e = SimpleNamespace(is_input=False, fit=fit, size=1.0, array=np.array([1.0, 2.0]), truth=np.zeros(2))
    e.gradient, e.looked_at = np.array([-largest, 0.5 * largest]), np.ones(2, np.bool_)
    assert list(module.multiples(e)) == []
    assert seen == pytest.approx([used, used])


@pytest.mark.parametrize(
    ("fit", "numbers", "sure"),
    [(FIT, 2, True), (0.99e-4, 2, True), (1.01e-4, 2, False), (1e-2, 3, True), (5e-3, 2, False)],
)
def test_a_multiple_is_sure_that_few_numbers_of_few_digits_are_not_by_chance(fit, numbers, sure):
    e = SimpleNamespace(is_input=False, fit=fit, size=1.0, array=np.arange(1.0, 1.0 + numbers), truth=np.zeros(numbers))
    e.gradient, e.looked_at = 2.0 * e.array, np.ones(numbers, np.bool_)
    assert [(found.cause, found.sure) for found in module.regularised(e)] == [("weight_decay", sure)]
    e.gradient = -e.gradient
    assert [(found.cause, found.sure) for found in module.regularised(e)] == [("penalty_missing", False)]
