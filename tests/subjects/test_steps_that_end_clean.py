"""Steps that leave no gradient when they are done: zeroed at their end, or the step itself, with weight decay in it."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2))


class Weights:
    """A layer that adds up gradients until it is told to begin anew."""

    def __init__(self, wrong):
        self._parameters, self._gradient = np.random.default_rng(2).standard_normal((3, 2)), np.zeros((3, 2))
        self.wrong = wrong

    def forward(self, x):
        return np.tanh(x @ self._parameters)

    def backward(self, x, delta):
        self._gradient += self.wrong * x.T @ (delta * (1 - self.forward(x) ** 2))

    def update(self, rate):
        self._parameters -= rate * self._gradient
        self._gradient = np.zeros((3, 2))


class SquaresOfSamples:
    def forward(self, y, yhat):
        return ((y - yhat) ** 2).sum(axis=1)

    def backward(self, y, yhat):
        return -2 * (y - yhat)


class Trainer:
    def __init__(self, wrong=1.0):
        self._net, self._loss, self._lr = Weights(wrong), SquaresOfSamples(), 1e-3

    def step(self, x, y):
        output = self._net.forward(x)
        loss = self._loss.forward(y, output)
        self._net.backward(x, self._loss.backward(y, output))
        self._net.update(self._lr)
        return loss


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (np.array([[1.0], [2.0], [1.0]]), "wrong")])
def test_a_step_that_zeroes_its_gradients_and_returns_the_losses_of_samples_is_judged_by_what_it_has_moved(
    wrong, verdict
):
    report = check_gradients(Trainer(wrong).step, X, Y)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("_net._parameters", verdict)]


class CalledLoss:
    """A loss that is called itself, and whose names tell which is the output."""

    def __call__(self, y, y_score):
        return 0.5 * (y - y_score) ** 2

    def gradient(self, y, y_score):
        return y_score - y


class Decaying:
    def __init__(self, wrong=1.0):
        self.w, self.loss = np.random.default_rng(3).standard_normal((3, 2)), CalledLoss()
        self.wrong, self.learning_rate, self.reg_strength = wrong, 0.05, 0.01

    def train_batch(self, x, y):
        y_score = self.predict(x)
        self.backpropagate(self.loss.gradient(y, y_score))

    def predict(self, x):
        self.x, self.out = x, np.tanh(x @ self.w)
        return self.out

    def backpropagate(self, loss_grad):
        gradient = self.x.T @ (loss_grad * (1 - self.wrong * self.out**2))
        self.w = self.w - self.learning_rate * (gradient + self.reg_strength * self.w)


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (0.5, "wrong")])
def test_the_gradient_of_a_loss_that_is_called_itself_goes_to_the_backward_pass_that_wants_it(wrong, verdict):
    report = check_gradients(Decaying(wrong).train_batch, X, Y)
    assert report["w"].verdict == verdict
    assert (verdict == "wrong") or any("weight decay is in each step" in note for note in report.notes)
