"""The checker's command line on forms of its own: partial functions, and partners under other names."""

import pytest

from numpy_nn.commands.gradcheck.command import main

FILE = """
from functools import partial

import numpy as np


def elu(x, alpha, scale=1.0):
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dout, x, alpha, scale=1.0):
    return scale * dout * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def elu_wrong(dout, x, alpha, scale=1.0):
    return scale * dout * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))


def hard_backward(dout, x, alpha):
    return elu_wrong(dout, x, alpha)


soft, hard = partial(elu, alpha=0.3, scale=2.0), partial(elu, alpha=0.1)
"""


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "some_functions.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("given", ["5x4", "x=5x4"])
@pytest.mark.parametrize(
    ("name", "status"), [("soft", 0), ("soft,elu_backward", 0), ("soft,elu_wrong", 1), ("hard", 1)]
)
def test_a_partial_function_goes_with_the_partner_of_its_name_or_of_its_function(theirs, capsys, name, status, given):
    assert main([f"{theirs}:{name}", "--input", given]) == status
    partner = {"soft": "elu_backward", "hard": "hard_backward"}.get(name)
    assert partner is None or f"checked with {partner}, by its name" in capsys.readouterr().out
