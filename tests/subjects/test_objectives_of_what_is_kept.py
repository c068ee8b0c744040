"""An objective and its gradient by what it is given: what else its object keeps is no parameter."""

import numpy as np

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import WRONG

rng = np.random.default_rng(0)
K = rng.random(6) + 0.5


class Diffusion:
    """A final state by a conductivity, from an initial one, which is named as nothing that is known as data."""

    def __init__(self, factor=1.0):
        self.u0, self.wanted, self.factor = np.sin(np.arange(1.0, 7.0)), np.cos(np.arange(6.0)), factor

    def solve(self, k):
        return self.u0 / (1.0 + k) ** 2

    def objective(self, k):
        return 0.5 * np.sum((self.solve(k) - self.wanted) ** 2)

    def gradient(self, k):
        return -2.0 * self.factor * (self.solve(k) - self.wanted) * self.u0 / (1.0 + k) ** 3


class WithAWeight(Diffusion):
    """The same with a gradient that is kept, which nothing is left out of."""

    def gradient(self, k):
        self.grad_u0 = self.factor * (self.solve(k) - self.wanted) / (1.0 + k) ** 2
        return super().gradient(k)


def test_it_is_judged_by_its_arguments_alone():
    it = Diffusion()
    for report in (check_gradients(it, K), check_gradients((it.objective, it.gradient), K)):
        assert report
        assert "no gradient is claimed of u0" in " ".join(report.notes)
    assert check_gradients(Diffusion(2.0), K).verdict == WRONG


def test_what_has_a_gradient_is_checked():
    assert [entry.name for entry in check_gradients(WithAWeight(), K).entries] == ["k", "u0"]
