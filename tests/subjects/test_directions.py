"""Networks that keep the direction in which they go, not the gradient, and units in which forward writes its input."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal(3), RNG.standard_normal(2)


class Descending:
    """Units that are arrays of their own, of which the last of the first is 1; ``dw`` is what a step went along."""

    def __init__(self, wrong=1.0, kept="direction", momentum=0.1):
        rng = np.random.default_rng(1)
        self.units = [np.ones(4), np.ones(4), np.ones(2)]
        self.weights = [rng.standard_normal((4, 4)), rng.standard_normal((4, 2))]
        self.dw = [np.zeros((4, 4)), np.zeros((4, 2))]
        self.wrong, self.kept, self.momentum = wrong, kept, momentum

    def forward(self, data):
        self.units[0][:-1] = data
        for i, w in enumerate(self.weights):
            self.units[i + 1][...] = np.tanh(self.units[i] @ w)
        return self.units[-1]

    def backward(self, target, lrate=0.1):
        error = target - self.units[-1]
        delta = error * (1.0 - self.units[-1] ** 2)
        before = self.wrong * (delta @ self.weights[1].T) * (1.0 - self.units[1] ** 2)
        for i, d in enumerate((before, delta)):
            step = np.outer(self.units[i], d)
            if self.kept == "step":
                step = lrate * step
                self.weights[i] += step
            elif self.kept == "gradient":
                step = -step
                self.weights[i] -= lrate * step
            else:
                self.weights[i] += lrate * step + self.momentum * self.dw[i]
            self.dw[i] = step


def half(output, target):
    return ((output - target) ** 2).sum() / 2


@pytest.mark.parametrize("kept", ["direction", "step", "gradient"])
@pytest.mark.parametrize("loss", [half, None])
def test_what_is_kept_may_be_the_direction_the_step_or_the_gradient(kept, loss):
    report = check_gradients(Descending(kept=kept, momentum=0.1 * (loss is not None)), X, Y, loss=loss)
    assert report.verdict == "right", report
    assert [entry.name for entry in report.entries] == ["weights[0]", "weights[1]"]
    assert "not learned, and not checked: units[0]" in report.notes


@pytest.mark.parametrize("kept", ["direction", "step", "gradient"])
def test_a_mistake_in_any_of_them_is_one(kept):
    report = check_gradients(Descending(wrong=1.5, kept=kept), X, Y, loss=half)
    assert [entry.verdict for entry in report.entries] == ["wrong", "right"], report
    diagnosis = report["weights[0]"].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == "factor"


class Upward(Descending):
    """One whose steps go up: its gradient is right, and what is done with it is not."""

    def backward(self, target, lrate=0.1):
        super().backward(target, lrate)
        for w, d in zip(self.weights, self.dw, strict=True):
            w += 2 * lrate * d


def test_a_gradient_is_right_also_where_the_step_goes_up():
    assert check_gradients(Upward(kept="gradient"), X, Y, loss=half).verdict == "right"


def test_what_backward_changes_is_said_in_one_line():
    (warning,) = check_gradients(Descending(), X, Y, loss=half).warnings
    assert warning.startswith("backward changes weights[0], weights[1]: it updates its parameters;")


class Context(Descending):
    """One whose first units hold the last state of the second too, as Elman's networks do."""

    def __init__(self, wrong=1.0):
        super().__init__(wrong)
        self.units = [np.ones(7), np.ones(4), np.ones(2)]
        self.weights[0] = np.random.default_rng(2).standard_normal((7, 4))
        self.dw[0] = np.zeros((7, 4))

    def forward(self, data):
        self.units[0][3:] = self.units[1]
        self.units[0][:3] = data
        for i, w in enumerate(self.weights):
            self.units[i + 1][...] = np.tanh(self.units[i] @ w)
        return self.units[-1]


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (1.5, "wrong")])
def test_a_state_that_is_written_in_place_is_no_parameter(wrong, verdict):
    report = check_gradients(Context(wrong), X, Y, loss=half)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [
        ("weights[0]", verdict),
        ("weights[1]", "right"),
    ], report


class Perceptrons:
    """One for each class; what it returns goes up its scores, and ``learn`` adds it."""

    def __init__(self, wrong=1.0):
        rng = np.random.default_rng(2)
        self.W, self.b, self.wrong, self.lr = rng.standard_normal((3, 4)), rng.standard_normal(3), wrong, 0.5

    def call(self, x):
        return x @ self.W.T + self.b

    def back_propagation(self, inputs, outputs, labels):
        y = np.eye(3)[labels] - np.eye(3)[outputs.argmax(axis=1)]
        return self.wrong * y.T @ inputs / len(inputs), y.mean(axis=0)

    def learn(self, gradW, gradB):
        self.W = self.W + self.lr * gradW
        self.b += self.lr * gradB


class Descends(Perceptrons):
    def learn(self, gradW, gradB):
        self.W = self.W - self.lr * gradW
        self.b -= self.lr * gradB


class AddsMinusThat(Perceptrons):
    def learn(self, gradW, gradB):
        self.W += -self.lr * gradW
        self.b += -self.lr * gradB


class DoesEither(Perceptrons):
    def learn(self, gradW, gradB):
        self.W = self.W + self.lr * gradW
        self.b = self.b - self.lr * gradB


def margin(scores, labels):
    return np.mean(scores.max(axis=1) - scores[np.arange(len(labels)), labels])


@pytest.mark.parametrize(
    ("net", "verdicts", "cause"),
    [
        (Perceptrons(), ("right", "right"), ""),
        (Perceptrons(2.0), ("wrong", "right"), "factor"),
        (Descends(), ("wrong", "wrong"), "target_minus_prediction"),
        (AddsMinusThat(), ("wrong", "wrong"), "target_minus_prediction"),
        (DoesEither(), ("wrong", "wrong"), "target_minus_prediction"),
    ],
)
def test_what_another_method_adds_to_the_weights_is_minus_a_gradient(net, verdicts, cause):
    rng = np.random.default_rng(3)
    report = check_gradients(net, rng.standard_normal((6, 4)), rng.integers(0, 3, 6), loss=margin)
    assert (report["W"].verdict, report["b"].verdict) == verdicts, report
    assert not cause or report["W"].cause == cause, report
    assert any("learn adds what is returned" in note for note in report.notes) is (type(net) is Perceptrons)
