"""Softmax and its loss in one object, whose backward pass is given the output; and losses of samples beside a mean."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(1)
X, LABELS = RNG.standard_normal((5, 3)), np.array([0, 1, 2, 2, 1])
P = np.exp(X) / np.exp(X).sum(axis=1, keepdims=True)


class Softmax:
    def forward(self, inputs):
        self.inputs = inputs
        e = np.exp(inputs - inputs.max(axis=1, keepdims=True))
        self.output = e / e.sum(axis=1, keepdims=True)


class CrossEntropy:
    def __init__(self, share=1.0):
        if share != 1.0:
            self.share = share

    def calculate(self, output, y):
        return np.mean(self.forward(output, y))

    def forward(self, y_pred, y_true):
        return -np.log(y_pred[range(len(y_pred)), y_true])

    def backward(self, dvalues, y_true):
        targets = np.eye(len(dvalues[0]))[y_true]
        self.dinputs = -targets / dvalues / (len(dvalues) * getattr(self, "share", 1.0))


class SoftmaxWithLoss:
    def __init__(self, off=1.0):
        self.activation, self.loss, self.off = Softmax(), CrossEntropy(), off

    def forward(self, inputs, y_true):
        self.activation.forward(inputs)
        self.output = self.activation.output
        return self.loss.calculate(self.output, y_true)

    def backward(self, dvalues, y_true):
        self.dinputs = dvalues.copy()
        self.dinputs[range(len(dvalues)), y_true] -= 1
        self.dinputs *= self.off / len(dvalues)


@pytest.mark.parametrize(("off", "verdict", "cause"), [(1.0, "right", ""), (5.0, "wrong", "factor")])
def test_backward_is_given_the_output_that_the_loss_has_kept(off, verdict, cause):
    report = check_gradients(SoftmaxWithLoss(off), X, LABELS)
    assert (report["inputs"].verdict, report["inputs"].cause) == (verdict, cause)


@pytest.mark.parametrize("names", [("calculate", "backward"), ("forward", "backward")])
def test_an_object_that_holds_nothing_yet_keeps_what_its_methods_compute_and_is_left_empty(names):
    loss = CrossEntropy()
    assert check_gradients([getattr(loss, name) for name in names], P, LABELS).verdict == "right"
    assert not vars(loss)


def test_of_a_sum_and_a_mean_that_both_are_there_the_user_says_which_is_meant():
    assert check_gradients(CrossEntropy(), P, LABELS).verdict == "right"
    summed = CrossEntropy(0.2)
    report = check_gradients(summed, P, LABELS)
    assert report.verdict == "undecided"
    assert "calculate returns their mean" in report.problems[0]
    assert check_gradients((summed.calculate, summed.backward), P, LABELS)["output"].verdict == "wrong"
    assert check_gradients((summed.forward, summed.backward), P, LABELS).verdict == "right"


@pytest.mark.parametrize(("off", "cause"), [(-1.0, "sign"), (1 / 3, "elements_mean")])
def test_a_gradient_that_is_a_multiple_of_the_target_is_off_by_a_factor(off, cause):
    def divergence(log_p, q):
        return np.sum(q * (np.log(q) - log_p)) / len(q)

    report = check_gradients((divergence, lambda log_p, q: -off * q / len(log_p)), np.log(P), P[::-1].copy())
    assert report["log_p"].cause == cause


def test_indices_that_forward_keeps_are_no_input_of_a_call_before():
    class Sort:
        def forward(self, x):
            self.order = np.argsort(x)
            return x[self.order]

        def backward(self, grad_output):
            return grad_output[self.order]

    report = check_gradients(Sort(), RNG.standard_normal(6))
    assert (report["x"].verdict, report["x"].cause) == ("wrong", "not_transposed")


def test_parameters_of_a_regression_are_no_probabilities():
    def cost(theta, X, y, lam):
        h = 1 / (1 + np.exp(-X @ theta))
        value = -np.mean(y * np.log(h) + (1 - y) * np.log(1 - h)) + lam / 2 * np.sum(theta**2)
        return value, X.T @ (h - y) / len(y)

    report = check_gradients(cost, (np.zeros(3), RNG.standard_normal((6, 3)), np.array([0, 1, 1, 0, 1, 0]), 1.0))
    assert report["theta"].verdict == "wrong"


class BesideAccuracy:
    """A loss that returns how often it is right before what it is, if it is asked for both."""

    def __init__(self, share=1.0):
        self.share = share

    def __call__(self, scores, y, both=True):
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        self.grad = (p - np.eye(3)[y]) / (len(y) * self.share)
        loss = -np.log(p[range(len(y)), y]).mean()
        if both:
            return (p.argmax(axis=1) == y).mean(), loss
        return loss

    def gradient(self):
        return self.grad


class Linear:
    def __init__(self):
        self.W = np.random.default_rng(2).standard_normal((3, 3))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, eta):
        self.dW = self.x.T @ eta
        return eta @ self.W.T


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "right"), (2.0, "wrong")])
def test_of_an_accuracy_and_a_loss_the_loss_is_meant(share, verdict):
    report = check_gradients(BesideAccuracy(share), X, LABELS)
    assert report["scores"].verdict == verdict, report
    assert verdict == "right" or report["scores"].cause == "factor"


def test_such_a_loss_is_handed_its_gradient_on_as_eta():
    report = check_gradients(Linear(), X, LABELS, loss=BesideAccuracy())
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": "right"}, report
