"""A file is run as a script: as far as it goes, up to where it trains, and no statement of it for ever."""

import sys

import numpy as np
import pytest

from numpy_nn.commands.gradcheck.command import main
from numpy_nn.gradcheck import files
from numpy_nn.subjects import running


def test_a_file_that_exits_is_checked_as_far_as_it_goes(tmp_path, capsys):
    path = tmp_path / "exits.py"
    path.write_text(
        "import sys\nclass D:\n    def forward(s, x): return 2 * x\n    def backward(s, g): return 9 * g\nsys.exit(0)\n"
    )
    assert main([f"{path}:D", "--input", "5x4"]) == 1
    assert "sys.exit(0); what it had defined until then is checked" in capsys.readouterr().out
    path.write_text("import sys\nsys.exit(0)\n")
    assert main([f"{path}:D", "--input", "5x4"]) == 2
    path.write_text("import sys\ndef f(x): sys.exit(0)\ndef g(x, d): return d\n")
    assert main([f"{path}:f,g", "--input", "5x4"]) == 2
    assert "sys.exit(0): nothing was checked" in capsys.readouterr().err


SCRIPT = """import numpy as np
W = np.eye(3)
def loss(ids, x):
    return np.sum((W[ids] - x) ** 2) / 2, np.eye(3)[ids].T @ (W[ids] - x), x - W[ids]
step = 0
{loop}:
    step += 1
    {body}
after = 1
"""


def checked_in(path, script):
    path.write_text(script)
    assert main([f"{path}:loss", "--input", "ids=[0,2,2]", "--input", "x=3x3"]) == 0


@pytest.mark.parametrize(
    ("loop", "body"),
    [
        ("while True", "pass"),
        ("while 1", "for i in (1,):\n        if i:\n            break"),
        ("while True", "def f():\n        raise OSError"),
        ("while step < 2", "loss([1], np.eye(step))"),  # which fails
        ("for step in loss", "pass"),
    ],
)
def test_a_script_is_checked_up_to_the_loop_in_which_it_trains(tmp_path, capsys, loop, body):
    checked_in(tmp_path / "trains.py", SCRIPT.format(loop=loop, body=body))
    out = capsys.readouterr().out
    assert "trains.py trains in its loop in line 6: what it had defined until then is checked" in out


@pytest.mark.parametrize(
    ("loop", "body"),
    [
        ("while True", "break"),
        ("while True", "if step > 2:\n        break"),
        ("while True", "raise SystemExit"),
        ("while True", "for i in [0]:\n        exit(i)"),
        ("while step < 2", "W = 2.0 * W"),
        ("for step in range(2)", "print(step)"),
        ("if True", "loss([0, 1, 2], np.eye(3))"),
    ],
)
def test_any_other_loop_is_run(tmp_path, capsys, loop, body):
    checked_in(tmp_path / "ends.py", SCRIPT.format(loop=loop, body=body))
    assert "trains in its loop" not in capsys.readouterr().out


LAYER = """import numpy as np
class Dense:
    def __init__(self): self.W = np.random.default_rng(0).normal(size=(4, 3))
    def forward(self, x): self.x = x; return x @ self.W
    def backward(self, g): self.dW = self.x.T @ g; return g @ self.W.T
def step(layer, rate=1e-9):
    layer.backward(layer.forward(np.ones((5, 4))))
    layer.W -= rate * layer.dW
def main():
    layer = Dense()
    while True: step(layer)
def persistent(layer):
    while True:
        try: step(layer)
        except Exception: pass
def checking():
    from numpy_nn.gradcheck import check_gradients
    while True: check_gradients(Dense(), np.ones((2, 4)), samples=1)
"""


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.2)
    monkeypatch.setattr(running, "PERIOD", 0.02)


@pytest.mark.parametrize("name", ["Dense", "layer"])
@pytest.mark.parametrize(
    "training",
    [
        "for i in range(10**9): step(layer)",
        "for i in range(10**9): layer = layer; step(layer)",
        "while layer.W.all(): step(layer)",
        "main()",
        "persistent(layer)",
        "checking()",
        "if True:\n    main()",
    ],
)
# What stops the script may land in a callback of the collector, of hypothesis, and is lost there: it comes again.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function gc_cumul:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("hurried")
def test_what_trains_once_the_target_is_there_is_stopped(tmp_path, capsys, name, training):
    path = tmp_path / "trains.py"
    path.write_text(f"{LAYER}layer = Dense()\n{training}\nprint('the end')\n")
    assert main([f"{path}:{name}", "--input", "5x4"]) == 0
    out = capsys.readouterr().out
    words = f"trains.py was stopped in line {LAYER.count(chr(10)) + 2}, which takes more than 0.2 s"
    trains = "trains.py trains in its loop"  # of what names itself in it
    assert words in out or (name == "layer" and trains in out)
    assert "the end" not in out


@pytest.mark.usefixtures("hurried")
def test_what_comes_before_the_target_may_take_as_long_as_it_likes(tmp_path, capsys):
    path = tmp_path / "slow.py"
    slow = "import time\nstart = time.thread_time()\nwhile time.thread_time() < start + 0.6: pass\n"
    path.write_text(f"{slow}{LAYER}layer = Dense()\n")
    assert main([f"{path}:layer", "--input", "5x4"]) == 0
    assert "stopped" not in capsys.readouterr().out


@pytest.mark.usefixtures("hurried")
def test_what_the_target_uses_is_defined_behind_what_is_stopped(tmp_path, capsys):
    path = tmp_path / "behind.py"
    path.write_text(
        "def cube(x): return FACTOR * power(x)\n"
        "for i in range(10**12): pass\n"
        "FACTOR = 2.0\n"
        "unknown = i.nothing\n"
        "def power(x): return x**3\n"
        "def cube_backward(g, x): return g * FACTOR * slope(x)\n"
        "def slope(x): return 3 * x**2\n"
        "def other(x, y=FACTOR.nothing): pass\n"
    )
    assert main([f"{path}:cube", "--input", "5x4"]) == 0
    out = capsys.readouterr().out
    assert "behind.py was stopped in line 2" in out
    assert "checked with cube_backward, by its name" in out


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("lacking", ["def __init__(self): SIZE", "def forward(self, x): return SIZE * x"])
def test_what_is_not_there_is_said_to_be_missing_from_a_file_that_was_stopped(tmp_path, capsys, lacking):
    path = tmp_path / "lacking.py"
    path.write_text(
        f"class Layer:\n    {lacking}\n    def backward(self, g): return g\n"
        "for i in range(10**12): pass\nSIZE = i.bit_length()\n"
    )
    assert main([f"{path}:Layer", "--input", "5x4"]) == 2
    err = capsys.readouterr().err
    assert "NameError: name 'SIZE' is not defined" in err
    assert "lacking.py was stopped in line 4" in err


@pytest.mark.usefixtures("hurried")
def test_a_file_without_a_name_is_listed_without_its_training(tmp_path, capsys):
    path = tmp_path / "trains.py"
    path.write_text(f"{LAYER}main()\n")
    assert main([str(path), "--input", "5x4"]) == 2
    err = capsys.readouterr().err
    assert "has Dense, step, main" in err
    assert "was stopped in line" in err


def test_what_a_statement_raises_once_the_target_is_there_comes_through(tmp_path, capsys):
    path = tmp_path / "fails.py"
    path.write_text(f"{LAYER}1 / 0\n")
    assert main([f"{path}:Dense", "--input", "5x4"]) == 2
    err = capsys.readouterr().err
    assert f'File "{path}", line {LAYER.count(chr(10)) + 1}, in <module>' in err
    assert "ZeroDivisionError" in err


def test_statements_run_one_by_one_are_those_of_a_module(tmp_path):
    path = tmp_path / "whole.py"
    path.write_text(
        '"""What it is."""\n'
        "import numpy as np\n"
        "def f(x: int): return x\n"
        '"""What follows."""\n'
        "np.seterr(all='raise')\n"
        "kept = np.geterr()['over']\n"
    )
    before = np.geterr()
    try:
        found, notes = files.find(f"{path}:f")
        module = sys.modules["whole"]
        assert (module.__doc__, module.kept, notes) == ("What it is.", "raise", [])
        assert np.geterr()["over"] == "raise"
    finally:
        np.seterr(**before)
    assert found.__annotations__ == {"x": int}
    path.write_text("from __future__ import annotations\ndef f(x: unknown): return x\n")
    assert files.find(f"{path}:f")[0].__annotations__ == {"x": "unknown"}


@pytest.mark.parametrize("text", ["def f(x) return x\n", "def f(x): return x\nreturn 3\n"])
def test_what_is_no_python_is_told_with_its_line(tmp_path, capsys, text):
    path = tmp_path / "typed.py"
    path.write_text(text)
    assert main([f"{path}:f", "--input", "3"]) == 2
    err = capsys.readouterr().err
    assert "SyntaxError" in err
    assert f'File "{path}", line {text.count(chr(10))}' in err


@pytest.mark.parametrize("name", ["trained_here", "pack_here", "pack_here.inner"])
def test_a_module_by_its_name_is_run_as_a_file_is(tmp_path, monkeypatch, capsys, name):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    (tmp_path / "pack_here").mkdir()
    source = "import numpy as np\ndef f(x): return x**3\ndef f_prime(x): return 3 * x**2\nwhile True: f(np.ones(3))\n"
    (tmp_path / "trained_here.py").write_text(source)
    (tmp_path / "pack_here" / "inner.py").write_text(source)
    (tmp_path / "pack_here" / "__init__.py").write_text("LENGTH = 3\n" if "." in name else source)
    assert main([f"{name}:f", "--input", "3"]) == 0
    assert "trains in its loop in line 4" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["is_nowhere", "numpy.is_nowhere", "is_nowhere.at_all"])
def test_a_module_that_is_not_there_is_one_line(capsys, name):
    assert main([f"{name}:f", "--input", "3"]) == 2
    err = capsys.readouterr().err
    assert f"cannot import {name}: " in err
    assert err.count("\n") == 1


def test_of_a_script_without_functions_it_is_said_how_it_becomes_one(tmp_path, capsys):
    path = tmp_path / "script.py"
    path.write_text(
        "import numpy as np\nX, y = np.ones((3, 2)), np.ones(3)\nw = np.zeros(2)\n"
        "for epoch in range(30):\n    w -= 0.1 * X.T @ (X @ w - y)\n"
    )
    assert main([str(path), "--input", "3x2"]) == 2
    told = capsys.readouterr().err
    assert "its loop on line 4 stands in no function" in told
    assert "def train(X, y):" in told
    path.write_text("import numpy as np\nX = np.ones(3)\n")
    assert main([str(path), "--input", "3x2"]) == 2
    assert "has nothing to check; say which" in capsys.readouterr().err
