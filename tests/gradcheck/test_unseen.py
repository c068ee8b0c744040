"""What the output is never seen to depend on, though all is in order: behind a mask of zeros, behind a dead unit."""

import numpy as np

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients


def test_a_mask_that_is_drawn_and_keeps_nothing_leaves_a_layer_right():
    report = check_gradients(nn.Dropout(1.0), np.random.default_rng(0).standard_normal((3, 2)))
    assert report.verdict == "right"
    assert any("0 here and wherever else it was looked at" in note for note in report.notes)


def two_units(x, a, b):
    return x * a + np.maximum(x * b - 1e9, 0.0)


def test_a_number_of_a_dead_unit_leaves_nothing_undecided_where_others_show():
    def backward(grad, x, a, b):
        alive = x * b > 1e9
        return grad * (a + b * alive), np.sum(grad * x), np.sum(grad * x * alive)

    x, a, b = np.array([0.3, 1.7]), np.array(0.5), np.array(-1.5)
    report = check_gradients((two_units, backward), (x, a, b))
    assert report.verdict == "right"
    assert any("b: 0 here and wherever else it was looked at" in note for note in report.notes)
    alone = (lambda x, b: two_units(x, a, b)), (lambda grad, x, b: backward(grad, x, a, b)[::2])
    assert check_gradients(alone, (x, b))["b"].verdict == "undecided"


class Silent:
    def __init__(self):
        self.width = 1

    def cost(self, x, y):
        return np.sum(np.exp(-np.square(x) / self.width) * y)

    def gradient(self, x, y):
        return {"sigma": float(np.sum(x * y))}


def nothing(x):
    return {} if x.size else {"x": x}


def test_where_nothing_is_checked_it_is_said():
    x = np.linspace(0.1, 0.5, 4)
    for target, given in (((np.sum, nothing), (x,)), (Silent(), (x, x))):
        report = check_gradients(target, *given)
        assert (report.verdict, report.entries) == ("undecided", [])
        assert "nothing was checked" in "".join(report.problems)
        assert "check_gradients(run, grads" in str(report)


def gate(x, w):
    return np.where(w > 10.0, x * w, x)


def test_what_is_flat_here_and_has_a_slope_far_away_moves_in_no_steps_alone():
    x = np.random.default_rng(1).standard_normal((4, 3))
    report = check_gradients((gate, lambda grad, x, w: (grad, 0.0 * grad * x * w)), (x, np.ones_like(x)))
    # Once right, for the output was seen to depend on it, as a staircase does.
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "w": "undecided"}
    steps = (lambda x, w: x + np.floor(w)), (lambda grad, x, w: (grad, 0.0 * grad * x * w))
    assert check_gradients(steps, (x, np.ones_like(x) + 0.5)).ok
