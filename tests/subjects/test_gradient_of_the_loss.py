"""Networks whose backward pass wants the gradient of their loss, which another method of theirs gives."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(7)
X, Y = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 2))


class Layers:
    """Tanh and squares, of which ``factor`` times the gradient is taken."""

    factor = 1.0

    def __init__(self):
        rng = np.random.default_rng(1)
        self.W1, self.b1 = rng.standard_normal((3, 4)), np.zeros(4)
        self.W2, self.b2 = rng.standard_normal((4, 2)), np.zeros(2)

    def forward(self, X):
        self.X, self.h = X, np.tanh(X @ self.W1 + self.b1)
        return self.h @ self.W2 + self.b2

    def _leave(self, dout):
        self.dW2, self.db2 = self.h.T @ dout, dout.sum(axis=0)
        d = dout @ self.W2.T * (1 - self.h**2)
        self.dW1, self.db1 = self.X.T @ d, d.sum(axis=0)

    def update(self, lr):
        for name in ("W1", "b1", "W2", "b2"):
            setattr(self, name, getattr(self, name) - lr * getattr(self, f"d{name}"))


class Network(Layers):
    def backward(self, dout):
        self._leave(dout)


def with_loss(loss, gradient, factor=1.0):
    """A network whose loss and its gradient are methods of these names."""

    def squares(self, output, y):
        return np.mean((output - y) ** 2) + 0.0 * self.factor

    def of_squares(self, output, y):
        return self.factor * 2 * (output - y) / output.size

    squares.__name__, of_squares.__name__ = loss, gradient
    return type("Named", (Network,), {loss: squares, gradient: of_squares, "factor": factor})()


NAMES = [
    ("compute_loss", "compute_loss_gradient"),
    ("compute_loss", "output_gradient"),
    ("compute_loss", "derivative_of_loss"),
    ("loss", "d_loss"),
    ("loss", "grad_loss"),
    ("mse", "mse_prime"),
    ("mse", "dmse"),
    ("criterion", "criterion_grad"),
]


@pytest.mark.parametrize(("loss", "gradient"), NAMES)
def test_backward_is_given_what_the_network_has_for_its_loss(loss, gradient):
    report = check_gradients(with_loss(loss, gradient), X, Y)
    assert [entry.name for entry in report.entries] == ["W1", "b1", "W2", "b2"]
    assert report.verdict == "right"


@pytest.mark.parametrize(("loss", "gradient"), [("compute_loss", "output_gradient"), ("mse", "dmse")])
def test_a_wrong_gradient_of_the_loss_shows_in_all(loss, gradient):
    report = check_gradients(with_loss(loss, gradient, factor=2.0), X, Y)
    assert {entry.cause for entry in report.entries} == {"factor"}


class WithStaticLoss(Network):
    @staticmethod
    def loss(y_pred, y_true):
        return np.mean((y_pred - y_true) ** 2)

    @staticmethod
    def loss_derivative(y_pred, y_true):
        return 2 * (y_pred - y_true) / y_pred.size


def test_static_methods_are_of_the_network_as_well():
    assert check_gradients(WithStaticLoss(), X, Y).verdict == "right"


class Trainer:
    """Returns nothing, and tells of a tenth of its steps."""

    def __init__(self, model):
        self.model, self.learning_rate = model, 0.1

    def train(self, X, Y, num_iterations):
        for i in range(num_iterations):
            output = self.model.forward(X)
            loss = self.model.loss(output, Y)
            self.model.backward(self.model.loss_derivative(output, Y))
            self.model.update(self.learning_rate)
            if (i + 1) % (num_iterations // 10) == 0:
                print(i, loss)


class Halved(Trainer):
    def train(self, X, Y, num_iterations):
        for _ in range(num_iterations):
            output = self.model.forward(X)
            self.model.backward(self.model.loss_derivative(output, Y) / 2)
            self.model.update(self.learning_rate)


@pytest.mark.parametrize("of", [lambda trainer: trainer, lambda trainer: trainer.train], ids=["all", "the method"])
@pytest.mark.parametrize(("kind", "verdict"), [(Trainer, "right"), (Halved, "wrong")])
def test_a_trainer_is_judged_by_the_loss_of_its_network(of, kind, verdict):
    report = check_gradients(of(kind(WithStaticLoss())), X, Y)
    assert {entry.name for entry in report.entries} == {"model.W1", "model.b1", "model.W2", "model.b2"}
    assert report.verdict == verdict


class Squares:
    def __call__(self, h, target):
        return np.mean((h - target) ** 2)

    def d(self, h, target):
        return 2 * (h - target) / h.size


class GivenTheLoss(Layers):
    def backward(self, target, loss_fn):
        self._leave(loss_fn.d(self.h @ self.W2 + self.b2, target))


def test_a_derivative_may_be_called_d():
    assert check_gradients(Squares(), X, X + 1.0).verdict == "right"


def test_a_backward_pass_that_wants_the_loss_itself_is_given_it():
    assert check_gradients(GivenTheLoss(), X, Y, loss=Squares()).verdict == "right"
    assert check_gradients(GivenTheLoss(), X, Y, Squares()).verdict == "right"
    with pytest.raises(TypeError, match="nothing tells what backward is to be given for loss_fn"):
        check_gradients(GivenTheLoss(), X, Y)


class Backpass(Layers):
    def backpass(self, inputs, target, batch_size):
        self.X = inputs
        self._leave((self.h @ self.W2 + self.b2 - target) / batch_size)

    def loss(self, output, target):
        return np.sum((output - target) ** 2) / 2 / len(target)


def test_a_backward_pass_may_be_called_backpass():
    assert check_gradients(Backpass(), X, Y).verdict == "right"
