"""Methods of a class are named on the command line as they are in Python, and a refusal names them so."""

from pathlib import Path

import numpy as np
import pytest

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients

SOURCE = """
import numpy as np


class Chain:
    def __init__(self, k, rest=1.0):
        self.k, self.rest = k, rest

    def energy(self, x):
        return 0.5 * self.k * ((np.diff(x) - self.rest) ** 2).sum()

    def force(self, x):
        pull = self.k * (np.diff(x) - self.rest)
        return np.append(pull, 0.0) - np.append(0.0, pull)


class Sums:
    @staticmethod
    def total(x):
        return (x**2).sum()

    @staticmethod
    def total_gradient(x):
        return FACTOR * x


class Scores:
    def __init__(self, n):
        self.W = np.linspace(-1.0, 1.0, n)
        self.dW = None

    def poisson_surrogate(self, x, counts):
        rate = np.exp(x * self.W)
        self.dW = ((rate - counts) * x).sum(axis=0)
        return (rate - counts * x * self.W).sum(), (rate - counts) * self.W


chain = Chain(3.0)
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = Path(tmp_path) / "chains.py"
    path.write_text(SOURCE.replace("FACTOR", "2.0"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "chains.py"


@pytest.mark.parametrize(
    "words",
    [
        ["Chain.energy,Chain.force", "--init", "2.0", "--input", "5"],
        ["chain.energy,chain.force", "--input", "5"],
        ["Sums.total,Sums.total_gradient", "--input", "5"],
        ["Scores.poisson_surrogate", "--init", "3", "--input", "4x3", "--targets", "4x3"],
    ],
)
def test_methods_of_a_class_or_of_an_object_are_checked(file, capsys, words):
    assert main([f"{file}:{words[0]}", *words[1:]]) == 0
    assert "RIGHT" in capsys.readouterr().out


def test_a_wrong_one_is_wrong(file, capsys):
    Path(file).write_text(SOURCE.replace("FACTOR", "3.0"), encoding="utf-8")
    assert main([f"{file}:Sums.total,Sums.total_gradient", "--input", "5"]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Chain.power", "Chain.power: Chain has no power; it has energy, force"),
        ("chain.power", "chain.power: chain has no power"),
        ("Ring.energy", "chains.py has no Ring; it has Chain, Sums, Scores"),
    ],
)
def test_a_method_that_is_not_there_is_said(file, capsys, name, said):
    assert main([f"{file}:{name}", "--init", "2.0", "--input", "5"]) == 2
    assert said in capsys.readouterr().err


def test_the_lines_of_a_refusal_work_as_they_are(file, capsys):
    assert main([f"{file}:Chain", "--init", "2.0", "--input", "5"]) == 2
    said = capsys.readouterr().err
    assert "chains.py:Chain.energy,Chain.force" in said
    scope: dict[str, object] = {}
    exec(SOURCE.replace("FACTOR", "2.0"), scope)
    scope |= {"x": np.arange(5.0) ** 2, "check_gradients": check_gradients}
    (line,) = [one for one in said.splitlines() if "chain.energy" in one]
    exec(f"report = {line.strip()}", scope)
    assert scope["report"]
    assert main([f"{file}:Scores", "--init", "3", "--input", "4x3", "--targets", "4x3"]) == 2
    said = capsys.readouterr().err
    assert "check_gradients(scores.poisson_surrogate, x, targets)" in said
    assert "chains.py:Scores.poisson_surrogate" in said
