"""Gradients that are right where the targets of each sample sum to 1: p - y of a softmax and its cross-entropy."""

from typing import Any

import numpy as np
import pytest

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 3))

SOURCE = """
import numpy as np


class Net:
    def __init__(self, off=0.0):
        self.W, self.off = np.random.default_rng(0).standard_normal((3, 4)), off

    def forward(self, X):
        e = np.exp(X @ self.W)
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, X, Y):
        return -np.sum(Y * np.log(self.forward(X)))

    def gradient(self, X, Y):
        return {"W": X.T @ (self.forward(X) - Y) + self.off}


def build():
    return Net()


def main():
    raise SystemExit("it is not called")


def build_with(off):
    return [Net(off)][0]
"""


@pytest.fixture(name="path")
def written(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def net(off=0.0):
    space: dict[str, Any] = {}
    exec(SOURCE, space)  # as the command runs it
    return space["Net"](off)


@pytest.mark.parametrize("targets", [RNG.uniform(size=(5, 4)), RNG.integers(0, 2, (5, 4)) * 1.0])
def test_targets_that_do_not_sum_to_1_are_told_and_not_called_a_mistake(targets):
    report = check_gradients(net(), X, targets)
    assert report.verdict == "undecided"
    assert report["W"].verdict == "right"
    assert "one-hot" in report.problems[0]


def test_what_is_wrong_at_any_targets_stays_wrong():
    assert check_gradients(net(0.5), X, RNG.uniform(size=(5, 4))).verdict == "wrong"
    assert check_gradients(net(), X, np.eye(4)[[0, 1, 2, 3, 0]])


def test_targets_of_a_shape_alone_are_drawn_so_on_the_command_line(path, capsys):
    assert main([f"{path}:Net", "--input", "5x3", "--targets", "5x4"]) == 0
    assert "note: judged with targets" in capsys.readouterr().out
    assert main([f"{path}:Net", "--input", "5x3", "--targets", "5x4:binary"]) == 2
    assert main([f"{path}:Net", "--init", "0.5", "--input", "5x3", "--targets", "5x4"]) == 1


def test_a_function_that_builds_a_network_is_called_for_it(path, capsys):
    assert main([f"{path}:build", "--input", "5x3", "--targets", "5x4:onehot"]) == 0
    assert "note: checked is what build makes" in capsys.readouterr().out
    assert main([f"{path}:build_with", "--init", "0.5", "--input", "5x3", "--targets", "5x4:onehot"]) == 1
    assert main([f"{path}:main", "--input", "5x3"]) == 2
    assert "it is not called" not in capsys.readouterr().err
