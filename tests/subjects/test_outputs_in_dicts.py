"""Forward passes that return a dict: of all that they compute, or of several outputs."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects.calls.outputs_in_dicts import key_of_output

RNG = np.random.default_rng(9)
X, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))


class Model:
    factor = 1.0

    def __init__(self):
        rng = np.random.default_rng(10)
        self.W, self.V = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))

    def forward(self, x):
        hidden = np.tanh(x @ self.W)
        return {"Z": x @ self.W, "A": hidden, "scores": hidden @ self.V}

    def backward(self, x, y, cache):
        delta = cache["scores"] - y
        hidden = self.factor * (delta @ self.V.T) * (1.0 - cache["A"] ** 2)
        return {"dW": x.T @ hidden, "dV": cache["A"].T @ delta}

    def cost(self, output, y):
        return 0.5 * np.sum((output - y) ** 2)


class Holding:
    """The same of data that it holds."""

    def __init__(self):
        self.W, self.V = Model().W, Model().V
        self.X, self.y = X, Y

    def forward(self):
        self.cache = forward(self.X, {"W": self.W, "V": self.V})
        return self.cache

    def backward(self):
        return backward_by(1.0)({"W": self.W, "V": self.V}, self.cache, self.X, self.y)


def forward(x, params):
    model = Model()
    model.__dict__.update(params)
    return model.forward(x)


def backward_by(factor):
    def backward(params, cache, x, y):
        model = Model()
        model.__dict__.update(params, factor=factor)
        return model.backward(x, y, cache)

    return backward


class TwoHeads:
    factor = 1.0

    def __init__(self):
        self.W = np.random.default_rng(11).normal(size=(3, 2))

    def forward(self, x):
        self.x = x
        return {"linear": x @ self.W, "squares": x**2}

    def backward(self, grads):
        self.dW = self.factor * self.x.T @ grads["linear"]
        return grads["linear"] @ self.W.T + 2.0 * self.x * grads["squares"]


def verdicts(report):
    return {entry.name[-4:].strip("[]'"): entry.verdict for entry in report.entries}


@pytest.mark.parametrize(
    ("make", "given"),
    [(Model, (X, Y)), (Holding, ()), (lambda: (forward, backward_by(1.0)), ((X, {"W": Model().W, "V": Model().V}), Y))],
)
def test_the_output_is_what_may_be_compared_with_the_targets(make, given):
    report = check_gradients(make(), *given)
    assert verdicts(report) == {"V": "right", "W": "right"}
    assert given == () or "forward returns a dict: its output is taken to be 'scores'" in report.notes


def test_a_wrong_gradient_is_wrong(monkeypatch):
    monkeypatch.setattr(Model, "factor", 1.5)
    assert verdicts(check_gradients(Model(), X, Y)) == {"V": "right", "W": "wrong"}


def test_outputs_in_a_dict_have_their_gradients_in_another(monkeypatch):
    assert verdicts(check_gradients(TwoHeads(), X)) == {"x": "right", "W": "right"}
    monkeypatch.setattr(TwoHeads, "factor", 1.5)
    assert verdicts(check_gradients(TwoHeads(), X)) == {"x": "right", "W": "wrong"}


def test_what_is_called_as_an_output_is_it_where_several_may_be():
    arrays = {"z": np.ones((2, 3)), "output": np.ones((2, 3)), "mask": np.ones((2, 3))}
    assert key_of_output({name: arrays[name] for name in ("output", "mask")}, np.ones((2, 3))) == "output"
    assert key_of_output({"a1": np.ones((2, 4)), "scores": np.ones((2, 3))}, np.array([0, 2])) == "scores"
    assert key_of_output({"a": np.ones((2, 3)), "probs": np.ones((2, 3))}, np.ones((2, 3))) == "probs"
    assert key_of_output(arrays, np.ones(4)) is None
    assert key_of_output(np.ones(3), np.ones(3)) is None
