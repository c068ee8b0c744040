"""Primitives of HIPS autograd with a rule of their own, by the arrays that they live with."""

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import make_vjp
from autograd.extend import defvjp, primitive

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import check_gradients


def log_sum_exp(factor):
    """A primitive; its rule is multiplied by ``factor``."""

    @primitive
    def function(x):
        top = x.max()
        return top + np.log(np.sum(np.exp(x - top)))

    defvjp(function, lambda answer, x: lambda g: factor * g * anp.exp(x - answer))
    return function


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_a_primitive(factor, verdict, dtype):
    x, w = np.random.default_rng(0).standard_normal((2, 6)).astype(dtype)
    function = log_sum_exp(factor)

    def run():
        return function(x * w)

    def grads(grad_output):
        pull_back, _ = make_vjp(lambda both: function(both[0] * both[1]))((x, w))
        return pull_back(grad_output)

    report = check_gradients(run, grads, x=x, w=w)
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", verdict), ("w", verdict)]
    if verdict == "wrong" and dtype == np.float64:
        assert report["x"].cause == "sign"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (-1.0, "wrong")])
def test_a_primitive_by_itself_is_checked_with_its_rule(factor, verdict):
    report = check_gradients(log_sum_exp(factor), np.random.default_rng(0).standard_normal(6))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", verdict)], report


def test_a_primitive_of_several_arrays_and_a_setting():
    a, b = np.random.default_rng(0).standard_normal((2, 3, 3))
    assert [entry.name for entry in check_gradients(anp.dot, (a, b)).entries] == ["a", "b"]
    assert check_gradients(anp.sum, (a, 1)).verdict == "right"


FILE = """
import numpy as np
from autograd.extend import defvjp, primitive


@primitive
def stretched(x, s):
    return np.sin(x / s)


defvjp(
    stretched,
    lambda answer, x, s: lambda g: g * np.cos(x / s) / s,
    lambda answer, x, s: lambda g: -(g * np.cos(x / s) * x / s**2).sum(axis=0),
)
"""


def test_inputs_of_a_primitive_have_its_names_on_the_command_line_too(tmp_path, capsys):
    file = tmp_path / "my_primitives.py"
    file.write_text(FILE)
    assert main([f"{file}:stretched", "--input", "s=3:positive", "--input", "x=4x3"]) == 0
    assert "  s  " in capsys.readouterr().out
    file.write_text(FILE.replace("-(g", "(g"))
    assert main([f"{file}:stretched", "--input", "4x3", "--input", "s=3:positive"]) == 1
