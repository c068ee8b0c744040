"""A declared surrogate: gradients are judged as those of the function that they are meant to belong to."""

from typing import Any

import numpy as np
import pytest

import numpy_nn as nn
from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import Hints, as_subject
from numpy_nn.subjects.surrogate import SurrogateSubject

X = np.random.default_rng(0).standard_normal((5, 4))


def straight_through(x, grad_output):
    return grad_output * (np.abs(x) <= 1.0)


def hard_tanh(x):
    return np.clip(x, -1.0, 1.0)


def test_without_it_a_straight_through_estimator_is_wrong_and_with_it_right():
    assert check_gradients((np.sign, straight_through), X).verdict == "wrong"
    report = check_gradients((np.sign, straight_through), X, surrogate=hard_tanh)
    assert report, report
    assert "note: checked as the gradient of the surrogate hard_tanh, not of forward" in str(report)


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize("surrogate", [lambda z: z, np.tanh, lambda z: 2.0 * np.clip(z, -1.0, 1.0)])
def test_the_gradient_of_another_surrogate_is_wrong(surrogate):
    report = check_gradients((np.sign, straight_through), X, surrogate=surrogate)
    assert report.verdict == "wrong"
    assert "surrogate" in str(report)


class BinaryDense:
    """x sign(W) + b, the gradient with respect to W as if it were x W + b, or wrong."""

    def __init__(self, factor=1.0):
        self.W, self.b, self.factor = np.random.default_rng(1).standard_normal((4, 3)), np.zeros(3), factor

    def forward(self, x):
        self.x = x
        return x @ np.sign(self.W) + self.b

    def backward(self, grad_output):
        self.dW, self.db = self.factor * self.x.T @ grad_output, grad_output.sum(axis=0)
        return grad_output @ np.sign(self.W).T


def test_arguments_that_are_named_as_the_arrays_are_get_those():
    layer = BinaryDense()
    signs = np.sign(layer.W)

    def soft(inputs, W, b):
        # sign(W) where the weights are, and moving with them.
        return inputs @ (signs + (W - layer.W)) + b

    # No small change of W moves the output, so that it has to be named.
    named = {"W": "dW", "b": "db"}
    report = check_gradients(layer, X, surrogate=soft, parameters=named)
    assert report, report
    assert [entry.name for entry in report.entries] == ["x", "W", "b"]
    report = check_gradients(BinaryDense(2.0), X, surrogate=soft, parameters=named)
    assert [entry.verdict for entry in report.entries] == ["right", "wrong", "right"]


def test_with_arrays_that_live_anywhere_it_takes_no_arguments():
    w = np.random.default_rng(2).standard_normal(6)
    step = lambda: (w > 0.0).astype(float)  # noqa: E731 - one line beside the other
    soft = lambda: 1.0 / (1.0 + np.exp(-w))  # noqa: E731
    grads = lambda g: g * soft() * (1.0 - soft())  # noqa: E731
    assert check_gradients(step, grads, w=w).verdict == "wrong"
    assert check_gradients(step, grads, w=w, surrogate=soft)


def test_of_several_inputs_each_is_checked():
    y = np.random.default_rng(3).standard_normal((5, 4))
    report = check_gradients(
        (lambda a, b: np.round(a) * b, lambda a, b, g: (g * b, g * a)), (X, y), surrogate=lambda a, b: a * b
    )
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("a", "right"), ("b", "right")]


def test_a_surrogate_that_is_a_function_is_looked_at_with_complex_numbers_and_a_subject_is_not():
    target, other = (as_subject((f, straight_through), (X.copy(),), None, Hints()) for f in (np.sign, np.tanh))
    z = X + 1e-3j
    np.testing.assert_allclose(SurrogateSubject(target, np.tanh).complex_output(z), np.tanh(z), rtol=1e-14)
    assert SurrogateSubject(target, other).complex_output(z) is None
    assert other.arrays["x"].dtype == np.float64


def test_gradients_are_the_targets_own_with_other_draws_only_where_they_are_asked_for():
    target: Any = as_subject((np.sign, straight_through), (X.copy(),), None, Hints())
    subject, asked = SurrogateSubject(target, np.tanh), []
    own = target.gradients

    def gradients(grad_output, *, other_draws):
        asked.append(other_draws)
        return own(grad_output)

    target.gradients, before = gradients, target.evaluations
    claimed: Any = subject.gradients(np.ones(X.shape))["x"]
    np.testing.assert_array_equal(claimed, straight_through(X, 1.0))
    # What is moved here moves the target, whose evaluations count, one for its output and one for its gradients.
    assert subject.evaluations == target.evaluations - before == 2
    subject.gradients(np.ones(X.shape), other_draws=True)
    assert subject.evaluations == 4
    assert asked == [False, True]


def test_a_surrogate_that_is_a_subject_is_given_the_arrays_of_its_names():
    y = np.random.default_rng(3).standard_normal((5, 4))
    pair = (lambda a, b: a * b, lambda a, b, g: (g * b, g * a))
    target = as_subject((lambda a, b: np.round(a) * b, pair[1]), (X.copy(), y), None, Hints())
    other = as_subject((lambda b: 2.0 * b, lambda _, g: 2.0 * g), (y.copy(),), None, Hints())
    subject = SurrogateSubject(target, other)
    with subject.at({"b": y + 1.0}):
        np.testing.assert_array_equal(subject.output(), 2.0 * (y + 1.0))
    np.testing.assert_array_equal(subject.output(), 2.0 * y)
    assert list(other.arrays) == ["b"]


def test_a_surrogate_s_random_numbers_are_the_same_in_every_run_and_its_outputs_stand_side_by_side():
    rng = np.random.default_rng(0)

    def noisy(x):
        return x + rng.standard_normal(x.shape), 2.0 * x

    subject = SurrogateSubject(as_subject((np.sign, straight_through), (X.copy(),), None, Hints()), noisy)
    first = subject.output()
    assert first.shape == (5, 8)
    np.testing.assert_array_equal(first[:, 4:], 2.0 * X)
    np.testing.assert_array_equal(subject.output(), first)


def test_a_surrogate_that_is_a_subject_has_a_state_and_a_name_of_its_own():
    target, other = (as_subject((f, straight_through), (X.copy(),), None, Hints()) for f in (np.sign, np.tanh))
    subject = SurrogateSubject(target, other)
    assert subject.notes == ["checked as the gradient of the surrogate tanh, not of forward"]
    state = subject.snapshot()
    other.notes.append("kept")
    state.restore()
    assert other.notes == ["kept"]


def test_a_mistake_in_the_declaration_is_told_in_a_line():
    with pytest.raises(ValueError, match=r"output of the shape of forward's, \(5, 4\), got \(5, 1\)"):
        check_gradients((np.sign, straight_through), X, surrogate=lambda x: x.sum(axis=1, keepdims=True))
    with pytest.raises(TypeError, match="arguments among x, got x, y"):
        check_gradients((np.sign, straight_through), X, surrogate=lambda x, y: x + y)
    with pytest.raises(ValueError, match="single layer or function"):
        check_gradients(nn.Sequential(nn.Linear(4, 3, rng=0)), X, surrogate=lambda x: x)
