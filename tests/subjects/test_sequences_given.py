"""Lists of the inputs of each step, of which no gradient is returned: data as one input is, and not left out."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
STEPS = [RNG.standard_normal((4, 1)) for _ in range(3)]


class Recurrent:
    """Columns in, one output; ``factor`` multiplies the gradient of W."""

    def __init__(self, factor=1.0):
        rng = np.random.default_rng(1)
        self.U, self.W, self.V = (0.5 * rng.standard_normal(shape) for shape in ((6, 6), (6, 4), (2, 6)))
        self.factor = factor

    def forward(self, inputs):
        self.inputs, self.states = inputs, [np.zeros((6, 1))]
        for x in inputs:
            self.states.append(np.tanh(self.W @ x + self.U @ self.states[-1]))
        return self.V @ self.states[-1]

    def gradients(self, d_y):
        dU, dW, d = np.zeros_like(self.U), np.zeros_like(self.W), self.V.T @ d_y
        for t in reversed(range(len(self.inputs))):
            d = d * (1 - self.states[t + 1] ** 2)
            dU += d @ self.states[t].T
            dW += self.factor * d @ self.inputs[t].T
            d = self.U.T @ d
        return dU, dW, d_y @ self.states[-1].T


class Keeps(Recurrent):
    def backward(self, d_y):
        self.dU, self.dW, self.dV = self.gradients(d_y)


class Steps(Recurrent):
    def backward(self, d_y, learn_rate=0.02):
        for own, gradient in zip((self.U, self.W, self.V), self.gradients(d_y), strict=True):
            own -= learn_rate * gradient


@pytest.mark.parametrize("kind", [Keeps, Steps])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_the_inputs_of_all_steps_are_data(kind, factor, verdict):
    report = check_gradients(kind(factor), STEPS)
    assert {entry.name: entry.verdict for entry in report.entries} == {"U": "right", "W": verdict, "V": "right"}
    assert report.verdict == verdict
    assert "no gradient is returned of inputs[1], inputs[2]: taken for data" in str(report)
