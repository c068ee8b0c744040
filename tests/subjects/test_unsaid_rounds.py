"""Functions that train by names of their own and compute no loss: judged by the usual one, where all steps are its."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0.0, 1.0, 1.0, 0.0]]).T


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def train_of(slope=1.0, decay=0.0):
    def train(X, y, alpha=1.0, epochs=60):
        rng = np.random.default_rng(1)
        synapse_0, synapse_1 = rng.uniform(-1, 1, (3, 4)), rng.uniform(-1, 1, (4, 1))
        for _ in range(epochs):
            layer_1 = sigmoid(X @ synapse_0)
            layer_2 = sigmoid(layer_1 @ synapse_1)
            layer_2_delta = (layer_2 - y) * layer_2 * (1 - layer_2)
            layer_1_delta = layer_2_delta @ synapse_1.T * (layer_1 * (1 - layer_1)) ** slope
            synapse_1 -= alpha * (layer_1.T @ layer_2_delta)
            synapse_0 -= alpha * (X.T @ layer_1_delta + decay * synapse_0)
        return synapse_0, synapse_1

    return train


def test_steps_that_are_all_gradients_of_a_usual_loss_are_right():
    report = check_gradients(train_of(), X, Y)
    assert {entry.name: entry.verdict for entry in report.entries} == dict.fromkeys(["synapse_0", "synapse_1"], "right")
    said = "judged as those of sum((a - y)^2) / 2, where a is layer_2 and y y"
    assert any(said in note for note in report.notes)


def test_a_decay_by_a_number_of_the_code_is_told():
    report = check_gradients(train_of(decay=0.1), X, Y)
    assert report.verdict == "right"
    assert any("0.1 of synapse_0" in note for note in report.notes)


def test_nothing_is_decided_where_those_of_some_weights_alone_are():
    with pytest.raises(TypeError, match=r"the steps of synapse_1 are gradients of .*, and those of synapse_0 are not"):
        check_gradients(train_of(slope=2.0), X, Y)
