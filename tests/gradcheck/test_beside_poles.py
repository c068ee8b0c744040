"""Energies that grow without bound where particles meet: what a formula adds up there is no excuse for it elsewhere."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

R = np.array([0.9, 1.1, 1.5, 2.5, 3.0])


def energy(r):
    return np.sum(4.0 * (1.0 / r**12 - 1.0 / r**6))


def slope(repulsion, attraction):
    return lambda r: repulsion / r**13 + attraction / r**7


def test_the_slope_of_an_energy_with_a_pole_is_right():
    assert check_gradients((energy, slope(-48.0, 24.0)), R).verdict == "right"


@pytest.mark.parametrize("wrong", [(-48.0, 0.0), (-48.0, 48.0), (-24.0, 24.0), (-48.0, -24.0), (48.0, -24.0)])
def test_a_term_that_shows_here_is_judged_here_and_not_where_another_hides_it(wrong):
    assert check_gradients((energy, slope(*wrong)), R).verdict == "wrong"


def test_a_gradient_of_zeros_is_no_number_of_float32():
    report = check_gradients((energy, lambda r: np.zeros_like(r)), R)
    assert report.verdict == "wrong"
    assert report["r"].cause == "zero"


def swing(p, steps=20, dt=0.05):
    """The angle of a pendulum after some steps, and its gradient by the angle at first and by its length."""
    path = [(p[0], 0.0)]
    for _ in range(steps):
        angle, speed = path[-1]
        speed -= dt * 9.81 / p[1] * np.sin(angle)
        path.append((angle + dt * speed, speed))
    by_angle, by_speed, by_length = 1.0, 0.0, 0.0
    for angle, _ in reversed(path[:-1]):
        by_speed += dt * by_angle
        by_length += by_speed * dt * 9.81 / p[1] ** 2 * np.sin(angle)
        by_angle -= by_speed * dt * 9.81 / p[1] * np.cos(angle)
    return path[-1][0], np.array([by_angle, by_length])


def test_chaos_at_another_input_is_no_excuse_for_a_wrong_sign_at_this_one():
    p = np.array([0.13, 0.13])
    assert check_gradients((lambda p: swing(p)[0], lambda p: swing(p)[1]), p).verdict == "right"
    wrong = check_gradients((lambda p: swing(p)[0], lambda p: swing(p)[1] * [1.0, -1.0]), p)
    assert wrong.verdict == "wrong"


def _likelihood(of_forward, of_backward):
    def nll(p, y):
        return -np.mean(np.log(p[np.arange(len(y)), y] + of_forward))

    def gradient(p, y):
        rows = np.arange(len(y))
        of_p = np.zeros_like(p)
        of_p[rows, y] = -1.0 / (p[rows, y] + of_backward) / len(y)
        return of_p

    return nll, gradient


@pytest.mark.parametrize("small", [1e-6, 1e-9, 1e-12, 1e-15])
@pytest.mark.parametrize("eps", [(0.0, 0.0), (1e-12, 1e-12), (1e-12, 0.0), (1e-8, 0.0)])
def test_a_logarithm_is_judged_beside_a_probability_that_is_all_but_0(small, eps):
    p = np.random.default_rng(3).dirichlet([1.0, 1.0, 1.0], size=5)
    p[0, 0] = small
    report = check_gradients(_likelihood(*eps), p, np.array([0, 1, 2, 0, 1]))
    off = (eps[0] - eps[1]) / small
    assert report.entries[0].verdict == ("right" if off == 0.0 else "close" if off < 1e-5 else "wrong")
    if 1e-4 < off < 1e3:
        assert report["p"].cause == "epsilon"


class Gain:
    """A layer norm that adds up the gradients of its parameters, and of its input leaves the gain out."""

    def __init__(self):
        self.gain, self.shift = np.ones(4), np.zeros(4)
        self.dgain, self.dshift = np.zeros(4), np.zeros(4)

    def forward(self, x):
        self.deviation = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        self.xhat = (x - x.mean(axis=1, keepdims=True)) / self.deviation
        return self.gain * self.xhat + self.shift

    def backward(self, grad):
        self.dgain += (grad * self.xhat).sum(axis=0)
        self.dshift += grad.sum(axis=0)
        centred = grad - grad.mean(axis=1, keepdims=True)
        return (centred - self.xhat * (grad * self.xhat).mean(axis=1, keepdims=True)) / self.deviation


def test_slopes_that_are_wrong_by_themselves_tell_of_no_pole():
    report = check_gradients(Gain(), np.random.default_rng(2).standard_normal((6, 4)))
    # Once the input was right: by the sums of all calls before, the gain seemed to be moved across a pole.
    assert {entry.name: entry.cause for entry in report.entries} == {
        "x": "gamma_missing",
        "gain": "accumulated",
        "shift": "accumulated",
    }
