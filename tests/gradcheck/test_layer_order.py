"""Which layer is wrong first where an object keeps its layers in another order than it uses them in."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

pytestmark = [pytest.mark.slow, pytest.mark.numerical]

X = np.random.default_rng(0).standard_normal((5, 4))


class Dense:
    def __init__(self, seed, wrong=1.0):
        rng = np.random.default_rng(seed)
        self.W, self.b, self.wrong = rng.standard_normal((4, 4)), rng.standard_normal(4), wrong

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x @ self.W + self.b)
        return self.out

    def backward(self, grad_output):
        dz = grad_output * (1 - self.out**2)
        self.dW, self.db = self.wrong * self.x.T @ dz, dz.sum(axis=0)
        return self.wrong * dz @ self.W.T


class Block:
    """attention, norm and tail, of which norm comes first."""

    def __init__(self, **wrong):
        self.attention, self.norm, self.tail = (
            Dense(i, wrong.get(name, 1.0)) for i, name in enumerate(("attention", "norm", "tail"))
        )

    def forward(self, x):
        return self.tail.forward(self.attention.forward(self.norm.forward(x)))

    def backward(self, grad_output):
        return self.norm.backward(self.attention.backward(self.tail.backward(grad_output)))


def sentence_of(net):
    return [note for note in check_gradients(net, X).notes if note.startswith("from the loss back")]


@pytest.mark.parametrize(
    ("wrong", "first", "later"),
    [
        ("attention", "that of attention.W", "(norm.*, x) can be a consequence"),
        ("tail", "that of tail.W", "(attention.*, norm.*, x) can be a consequence"),
        ("norm", "that of norm.W", "(x) can be a consequence"),
    ],
)
def test_the_first_wrong_one_is_found_in_the_order_of_the_forward_pass(wrong, first, later):
    (sentence,) = sentence_of(Block(**{wrong: 1.5}))
    assert f"the first wrong gradient is {first};" in sentence
    assert later in sentence


class Parallel(Block):
    """Two layers side by side, of which neither comes after the other."""

    def forward(self, x):
        return self.attention.forward(x) + self.norm.forward(x) + self.tail.forward(x)

    def backward(self, grad_output):
        return sum(layer.backward(grad_output) for layer in (self.attention, self.norm, self.tail))


def test_of_layers_side_by_side_none_is_the_first():
    assert sentence_of(Parallel(attention=1.5, norm=1.5)) == []


class TwoLayers:
    """Keeps its weights before its biases."""

    def __init__(self):
        rng = np.random.default_rng(2)
        self.W1, self.W2, self.b1 = rng.standard_normal((4, 5)), rng.standard_normal((5, 3)), np.zeros(5)

    def forward(self, x):
        self.x, self.hidden = x, np.tanh(x @ self.W1 + self.b1)
        return self.hidden @ self.W2

    def backward(self, grad_output):
        grad_hidden = (grad_output @ self.W2.T) * (1.0 - self.hidden**2)
        self.dW1, self.dW2, self.db1 = self.x.T @ grad_hidden, self.hidden.T @ grad_output, grad_hidden.sum(axis=0)
        return grad_hidden @ self.W1.T


def mean_squared(output, targets):
    return np.mean((output - targets) ** 2), 2.0 * (output - targets) / output.size


def half_of_its_gradient(output, targets):
    return np.mean((output - targets) ** 2), (output - targets) / output.size


def test_numbers_tell_the_order_of_layers_whatever_is_kept_first():
    report = check_gradients(TwoLayers(), X, np.ones((5, 3)), loss=half_of_its_gradient)
    assert any("the first wrong gradient is that of W2; what comes after it (b1, W1, x)" in n for n in report.notes)


def test_a_loss_may_return_its_gradient_beside_its_value():
    report = check_gradients(TwoLayers(), X, np.ones((5, 3)), mean_squared)
    assert report.ok, report
    assert {entry.name for entry in report.entries} == {"x", "W1", "W2", "b1"}
