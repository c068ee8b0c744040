"""``numpy-nn`` itself: which commands there are, their help, what they say where something is not installed."""

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import numpy_nn as nn
from numpy_nn.commands import main as commands
from numpy_nn.commands.command_line import Parser
from numpy_nn.commands.names import ACTIVATIONS, NOT_ON_THE_PAGE
from numpy_nn.commands.parity import arguments, command
from numpy_nn.gradcheck.inputs import KINDS

ROOT = Path(__file__).parents[2]


def help_of(words, capsys):
    with pytest.raises(SystemExit) as end:
        commands.main([*words, "--help"])
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_without_a_command_it_shows_all_and_fails(capsys):
    assert commands.main([]) == 2
    shown = capsys.readouterr().out
    for name, one in commands.COMMANDS.items():
        assert f"\n  {name:13}{one.about}\n" in shown


def test_an_unknown_command_is_refused_in_a_line(capsys):
    with pytest.raises(SystemExit) as end:
        commands.main(["train"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("numpy-nn: argument COMMAND: invalid choice: 'train'")
    assert error.count("\n") == 1


def test_its_version_is_the_package_s(capsys):
    with pytest.raises(SystemExit) as end:
        commands.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{nn.__version__}\n"


@pytest.mark.parametrize("report", [[], ["--json", "-"]])
def test_a_reader_who_has_enough_ends_a_command_without_a_word(report, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    net = f"{ROOT / 'tests' / 'helpers' / 'my_mlp.py'}:TwoLayerNet"
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        words = [net, "--init", "4", "5", "3", "--input", "6x4", "--labels", "3"]
        assert commands.start("gradcheck", [*words, *report]) == 1
        print("to nobody", flush=True)
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "Errno" not in error


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_help_shows_examples_as_they_are_typed(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["numpy-nn"])
    assert f"Examples: numpy-nn {name}" in help_of([name], capsys)
    assert "(default: None)" not in help_of([name], capsys)


def test_in_a_checkout_help_names_the_script(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scripts/parity_report.py"])
    assert "usage: parity_report.py [-h]" in help_of(["parity"], capsys)


@pytest.mark.slow
def test_no_help_loads_numpy():
    code = (
        "import contextlib, io, sys; from numpy_nn.commands import main as m\n"
        "for name in [*m.COMMANDS]:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        m.main([name, '--help'])\n"
        "    print(name, out.getvalue().startswith('usage: '), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name} True False" for name in commands.COMMANDS]


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        (["rich"], "needs rich; pip install rich"),
        (["rich", "threadpoolctl"], "needs rich and threadpoolctl; pip install rich threadpoolctl"),
    ],
)
def test_what_is_not_installed_is_named_with_what_to_type(absent, said, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else found(name))
    assert commands.start("benchmark", []) == 2
    assert capsys.readouterr().err == f"benchmark: {said}\n"


def test_the_names_on_the_command_lines_are_those_of_the_registries():
    assert list(ACTIVATIONS) == sorted(nn.ACTIVATION_LAYERS)
    assert {*ACTIVATIONS} - NOT_ON_THE_PAGE == {n for n, a in nn.ACTIVATIONS.items() if a.elementwise} - {"hardsigmoid"}
    assert tuple(command.OPTIMIZERS) == arguments.OPTIMIZERS


def test_every_kind_of_input_is_explained(capsys):
    shown = help_of(["gradcheck"], capsys)
    for name, (text, _) in KINDS.items():
        assert f"{name}: {text}" in shown


def test_examples_and_paragraphs_stand_apart(capsys):
    made = Parser("own", "What it does.\n\nMore.", epilog="One.\n\nTwo,\nthree.", examples=("", "-x 1"))
    made.add_argument("-x", default=0, help="a number")
    made.add_argument("-y", help="another")
    made.print_help()
    shown = capsys.readouterr().out
    assert shown.endswith("One.\n\nTwo, three.\n\nExamples:\n  own.py\n  own.py -x 1\n")
    assert "a number (default: 0)\n" in shown
    assert "another\n" in shown
    assert "More" not in shown


NAMED_IN_CHINESE = """
def affine(x, 权重):
    return x @ 权重, (x, 权重)


def affine_backward(grad_output, cache):
    x, 权重 = cache
    return grad_output @ 权重.T, x.T @ grad_output
"""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_names_in_any_script_are_taken_and_end_no_command(tmp_path, monkeypatch, encoding):
    (tmp_path / "own.py").write_text(NAMED_IN_CHINESE, encoding="utf-8")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding))
    words = ["gradcheck", f"{tmp_path / 'own.py'}:affine", "--input", "x=3x4", "--input", "权重=4x2"]
    assert commands.main(words) == 0
    sys.stdout.flush()
    shown = out.getvalue().decode(encoding)
    assert "权重".encode(encoding, "backslashreplace").decode(encoding) in shown


def test_chinese_is_refused_in_a_line_where_the_output_cannot_hold_it(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "cp1252"))
    assert commands.main(["exercise", "--lang", "zh"]) == 2
    said = "exercise: the output's encoding, cp1252, has no Chinese; set PYTHONIOENCODING=utf-8\n"
    assert capfd.readouterr().err == said
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "gbk"))
    assert commands.main(["exercise", "--lang", "zh"]) == 0
