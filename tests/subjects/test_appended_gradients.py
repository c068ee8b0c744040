"""Backward passes that append gradients to lists, which the step empties; and passes with private names."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.random.default_rng(0).standard_normal(4)
Y = np.array([0.2, -0.4, 0.9])


class Dense:
    def __init__(self, factor=1.0):
        rng = np.random.default_rng(1)
        self.W, self.b, self.factor = rng.standard_normal((4, 3)), rng.standard_normal(3), factor
        self.W_gradients, self.b_gradients = [], []

    def forward_pass(self, X):
        self.input, self.output = X, np.tanh(X @ self.W + self.b)
        return self.output

    def backward_pass(self, J_L_N):
        d = J_L_N * (1 - self.output**2)
        self.W_gradients.append(self.factor * np.outer(self.input, d))
        self.b_gradients.append(d)
        return self.W @ d

    def update_parameters(self):
        for name in ("W", "b"):
            setattr(self, name, getattr(self, name) - 0.1 * np.sum(getattr(self, f"{name}_gradients"), axis=0))
        self.W_gradients, self.b_gradients = [], []


class SquaredError:
    def __call__(self, y_hat, y):
        return np.mean((y_hat - y) ** 2)


class Network:
    def __init__(self, factor=1.0):
        self.layers, self.loss_function = [Dense(factor)], SquaredError()

    def _forward_pass(self, X):
        return self.layers[0].forward_pass(X)

    def _backward_pass(self, J_L_O):
        self.layers[0].backward_pass(J_L_O)

    def _calculate_loss(self, y_hat, y):
        return self.loss_function(y_hat, y)

    def predict(self, X):
        return np.eye(3)[np.argmax(self._forward_pass(X))]


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.5, "wrong")])
@pytest.mark.parametrize(("made", "given"), [(Dense, (X,)), (Network, (X, Y))])
def test_each_step_begins_with_empty_lists(made, given, factor, verdict):
    report = check_gradients(made(factor), *given)
    verdicts = {entry.name.split(".")[-1]: entry.verdict for entry in report.entries}
    assert verdicts == {"W": verdict, "b": "right", **({"X": "right"} if made is Dense else {})}
    assert any(note.startswith("backward appends to W_gradients, b_gradients") for note in report.notes)


def test_a_number_of_pythons_where_the_function_is_flat_is_an_output():
    def relu(x, derivative=False):
        if derivative:
            return 0 if x < 0 else 1
        return max(0, x)

    assert check_gradients(relu, 0.5).ok
    with pytest.raises(TypeError, match="expected an output of floats, got an array of int"):
        check_gradients((int, np.zeros_like), 1.5)


class Bidden:
    """Of words, which are no numbers that could be NaN."""

    def __init__(self):
        self.E = np.random.default_rng(2).standard_normal((3, 2))

    def forward(self, words):
        self.rows = ["abc".index(word) for word in words]
        return self.E[self.rows]

    def loss(self, out, targets):
        return 0.5 * np.sum((out - self.E[0]) ** 2) if targets is None else 0.5 * np.sum(out**2) * len(targets)

    def backward(self, out, targets):
        self.dE = np.zeros_like(self.E)
        np.add.at(self.dE, self.rows, out * len(targets))


def test_words_are_compared_as_they_are():
    assert check_gradients(Bidden(), (["a", "b"],), ["b", "c"]).ok


def test_what_is_kept_for_backward_is_no_output_of_a_usual_loss():
    class Kept:
        def __init__(self):
            self.W = np.ones((4, 2))

        def forward(self, x):
            return [{0: x @ self.W}, {0: x}]

        def backward(self, y, cache):
            self.dW = np.outer(cache[1][0], cache[0][0] - y)

    with pytest.raises(TypeError, match="its forward pass returns a list first, of which no usual loss is known"):
        check_gradients(Kept(), X, np.ones(2))
