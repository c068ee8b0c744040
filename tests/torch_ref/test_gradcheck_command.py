"""Functions of torch as a command line or their apply names them: in the dtype that they take, by their own names."""

import numpy as np
import pytest
import torch

from numpy_nn.commands.gradcheck.command import main
from torch_ref.gradcheck import from_command_line, gradcheck


class InFloat32(torch.autograd.Function):
    """A product by a kernel for float32 alone, which says so without a word."""

    @staticmethod
    def forward(ctx, a, w):
        if a.dtype != torch.float32:
            raise AssertionError
        ctx.save_for_backward(a, w)
        return a @ w

    @staticmethod
    def backward(ctx, grad_output):
        a, w = ctx.saved_tensors
        return grad_output @ w.t(), a.t() @ grad_output


class Doubled(InFloat32):
    @staticmethod
    def backward(ctx, grad_output):
        a, w = ctx.saved_tensors
        return grad_output @ w.t(), 2 * a.t() @ grad_output


class Never(InFloat32):
    @staticmethod
    def forward(_, a, __):
        raise SystemExit(str(a.dtype))


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    return rng.standard_normal((4, 3)), rng.standard_normal((3, 2))


@pytest.mark.parametrize(("function", "verdict"), [(InFloat32, "right"), (Doubled, "wrong")])
def test_a_command_falls_back_to_float32_and_says_why(drawn, function, verdict):
    report = from_command_line(function, drawn)
    assert {entry.name: entry.verdict for entry in report.entries} == {"a": "right", "w": verdict}
    assert f"computed in float32, as {function.__name__} does not take float64 (AssertionError)" in report.notes
    assert drawn[0].dtype == np.float64


def test_so_do_the_second_derivatives(drawn):
    assert from_command_line(InFloat32, drawn, second=True)


def test_what_fails_in_both_is_told_of_the_first(drawn):
    with pytest.raises(SystemExit, match="float64"):
        from_command_line(Never, drawn)


def test_ctrl_c_is_not_tried_again(drawn):
    runs = []

    def interrupted(a, _):
        runs.append(a.dtype)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_command_line(interrupted, drawn)
    assert runs == [torch.float64]


def test_apply_goes_by_the_names_of_its_function(drawn):
    tensors = [torch.from_numpy(array).float().requires_grad_() for array in drawn]
    report = gradcheck(Doubled.apply, tensors)
    assert report.target == "Doubled"
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("a", "right"), ("w", "wrong")]


def test_so_it_does_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "theirs.py"
    path.write_text(
        "import torch\n"
        "class Scaled(torch.autograd.Function):\n"
        "    @staticmethod\n"
        "    def forward(ctx, a, s): ctx.save_for_backward(a, s); return a * s\n"
        "    @staticmethod\n"
        "    def backward(ctx, g): a, s = ctx.saved_tensors; return g * s, g * a\n"
        "scaled = Scaled.apply\n"
    )
    assert main([f"{path}:scaled", "--torch", "--input", "3", "--input", "3"]) == 0
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first == "Scaled: RIGHT"
    assert [row.split()[0] for row in rows[:2]] == ["a", "s"]


MODELS = """
import torch

class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b, (g * a).sum(0)

def scaled(a, b):
    return Scaled.apply(a, b)

class Scaling(torch.nn.Module):
    def forward(self, a, b):
        return Scaled.apply(a, b)
"""


@pytest.mark.parametrize("target", ["Scaled", "scaled", "Scaling"])
def test_inputs_with_names_are_given_in_the_order_of_the_arguments(tmp_path, capsys, target):
    path = tmp_path / "models_of_mine.py"
    path.write_text(MODELS)
    assert main(["--torch", f"{path}:{target}", "--input", "b=3", "--input", "a=4x3"]) == 0
    assert "\n  a  " in capsys.readouterr().out
    assert main(["--torch", f"{path}:{target}", "--input", "a=4x3", "--input", "c=3"]) == 2
    assert capsys.readouterr().err == f"gradcheck: --input: {target} takes a, b, not c\n"


POWER = """
import torch

class Power(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, k):
        ctx.save_for_backward(a)
        ctx.k = k
        return a**k

    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return g * ctx.k * a ** (ctx.k - 1), None
"""


@pytest.mark.parametrize("given", ["k=int(2)", "int(2)"])
def test_an_input_may_be_written_as_code_here_too(tmp_path, capsys, given):
    path = tmp_path / "a_power_of_mine.py"
    path.write_text(POWER)
    assert main(["--torch", f"{path}:Power", "--input", "4x3", "--input", given]) == 0
    assert capsys.readouterr().out.startswith("Power: RIGHT")
