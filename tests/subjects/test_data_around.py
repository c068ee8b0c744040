"""Data that forward is given, and that backward reads under a name around it: both have the same, wherever it is."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 3))
W1, b1, W2 = RNG.standard_normal((3, 4)), np.zeros(4), RNG.standard_normal((4, 2))
a1 = np.zeros((5, 4))
off = 1.0  # by how much one gradient is wrong


def forward(x):
    global a1
    a1 = np.tanh(x @ W1 + b1)
    return a1 @ W2


def backward(dout):
    delta = dout @ W2.T * (1 - a1**2)
    return {"W1": X.T @ delta, "b1": off * delta.sum(axis=0), "W2": a1.T @ dout}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (2.0, "wrong")])
@pytest.mark.parametrize("x", [X, RNG.standard_normal((5, 3))], ids=["the same", "others"])
def test_backward_has_the_data_that_forward_is_given(x, factor, verdict, monkeypatch):
    monkeypatch.setitem(globals(), "off", factor)
    before = X.copy()
    report = check_gradients((forward, backward), x)
    verdicts = {entry.name: entry.verdict for entry in report.entries}
    assert verdicts == {"W1": "right", "b1": verdict, "W2": "right"}
    assert np.array_equal(X, before)


model = {"W1": RNG.standard_normal((4, 3)), "W2": RNG.standard_normal(4)}
episode = RNG.standard_normal((6, 3))
slope = 0.0  # of what is not active


def policy(x):
    h = model["W1"] @ x
    h[h < 0] = 0
    return 1 / (1 + np.exp(-model["W2"] @ h)), h


def policy_backward(hidden, of_logits):
    delta = np.outer(of_logits, model["W2"])
    delta[hidden <= 0] *= slope
    return {"W1": delta.T @ episode, "W2": (hidden.T @ of_logits).ravel()}


@pytest.mark.parametrize(("factor", "verdict"), [(0.0, "right"), (1.0, "wrong")])
@pytest.mark.parametrize("x", [episode, episode.T, episode[0]], ids=["rows", "columns", "one"])
def test_a_pass_of_one_sample_goes_with_one_of_all_that_were_collected(x, factor, verdict, monkeypatch):
    monkeypatch.setitem(globals(), "slope", factor)
    report = check_gradients((policy, policy_backward), x)
    assert {entry.name: entry.verdict for entry in report.entries} == {"model['W1']": verdict, "model['W2']": "right"}
