"""Where torch is not installed, lessons and scripts run without its part, or say in one line that it is needed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
LESSONS = sorted((SCRIPTS / "lessons").glob("lesson_*.py"))
DATA = str(ROOT / "data")

SAID = "torch is not installed"

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path):
    """Runs a file or a module of the project in a Python that finds no torch, nor do the processes that it starts."""
    folder = tmp_path / "without_torch"
    folder.mkdir()
    # What is None in sys.modules cannot be imported, nor found.
    lines = "import sys\nsys.modules.update(dict.fromkeys(['torch', 'torchvision']))\n"
    (folder / "sitecustomize.py").write_text(lines, encoding="utf-8")
    path = os.pathsep.join([str(folder), str(ROOT)])

    def start(*command):
        return subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return start


def well(done):
    """What a command printed that ended well and complained of nothing."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(done):
    """The one line of a command that could not be carried out."""
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr


# How often a lesson says so: two do not ask torch, and the last also starts the script that writes the page.
@pytest.mark.parametrize(("lesson", "times"), list(zip(LESSONS, (1, 0, 1, 1, 1, 1, 0, 2), strict=True)))
def test_a_lesson_leaves_out_what_torch_says(run, tmp_path, lesson, times):
    output = well(run(lesson, "--data", DATA, "--out", f"{tmp_path}/figures/"))
    assert output.count(SAID) == times
    # An initializer is called after torch, whose default it is.
    assert "torch" not in output.replace(SAID, "").replace("torch's default", "")
    figures = [tmp_path / name for name in re.findall(r"^figure: (.+)$", output, re.MULTILINE)]
    assert figures
    assert all(figure.stat().st_size > 10_000 for figure in figures)


def test_lesson_5_has_a_column_less(run):
    output = well(run(LESSONS[4], "--data", DATA))
    heading, *rows = re.findall(r"^ +(?:step|\d+) .*$", output, re.MULTILINE)
    assert heading.split()[:3] == ["step", "ours", "tutorial"]
    assert [len(row.split()) for row in rows] == [6] * 10


def test_the_page_is_written_without_torch_s_gradients(run, tmp_path):
    output = well(run(SCRIPTS / "trace_backprop.py"))
    assert output.startswith("written: trace.html (")
    assert output.endswith(f"\n{SAID}: its gradients are left out of the page\n")
    page = (tmp_path / "trace.html").read_text(encoding="utf-8")
    (recording,) = re.findall(r'<script type="application/json" id="recording"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert {tuple(check) for check in json.loads(recording)["checks"].values()} == {("numerical", "bound")}


def test_the_short_form_of_the_page_never_had_them(run):
    assert SAID not in well(run(SCRIPTS / "trace_backprop.py", "--sizes", "784,64,10", "--data", DATA))


def test_the_gradient_checker_does_not_need_it(run, tmp_path):
    code = "import numpy as np\n\n\ndef f(x):\n    return x**3\n\n\ndef f_vjp(x, g):\n    return 3 * x**2 * g\n"
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    assert "RIGHT" in well(run("-m", "numpy_nn.gradcheck", "mine.py:f,f_vjp", "--input", "5"))


def test_numpy_nn_trains_alone_and_says_so(run, tmp_path):
    arguments = ["--epochs", "1", "--hidden", "8", "--batch-size", "1000", "--data", DATA, "--out", "out"]
    output = well(run(SCRIPTS / "train_mnist.py", *arguments))
    assert output.startswith(f"{SAID}: numpy_nn trains alone\nMNIST, 784-8-10, ")
    (epoch,) = json.loads((tmp_path / "out" / "history.json").read_text(encoding="utf-8"))["epochs"]
    assert epoch.keys() == {"epoch", "numpy"}
    # Asked for, numpy_nn alone is nothing to speak of.
    assert SAID not in well(run(SCRIPTS / "train_mnist.py", "--engine", "numpy", *arguments))


def test_who_asks_for_torch_is_refused(run):
    line = refused(run(SCRIPTS / "train_mnist.py", "--engine", "torch", "--data", DATA))
    assert line == f"train_mnist: {SAID}; --engine numpy does without torch\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("parity_report.py", "and it is what numpy_nn is compared with"),
        ("scaling.py", "and it is what carries gradients between processes"),
    ],
)
def test_what_is_about_torch_is_refused(run, script, reason):
    assert refused(run(SCRIPTS / script)) == f"{Path(script).stem}: {SAID}, {reason}\n"


def test_the_accuracy_report_has_our_columns(run):
    output = well(run(SCRIPTS / "accuracy_report.py", "--points", "64", "--only", "silu", "softmax", "--speed"))
    assert f"\n{SAID}: its errors are left out\n" in output
    assert "torch" not in output.replace(SAID, "")
    assert len(re.findall(r"^silu'? +float\d\d +\d", output, re.MULTILINE)) == 4


def test_the_proof_of_the_checker_compares_it_with_the_others(run):
    output = well(run(SCRIPTS / "gradcheck_proof.py", "--part", "comparison", "--networks", "1", "--repeats", "1"))
    assert output.startswith(f"{SAID}: its checkers are left out\n")
    assert "torch.autograd" not in output
    assert "HIPS autograd's recipe" in output


COMMANDS = [path for path in sorted(SCRIPTS.glob("*.py")) if "def main(" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.stem)
def test_every_script_tells_its_options(run, script):
    assert "--help" in well(run(script, "--help"))


def test_images_one_by_one_are_all_that_needs_torchvision(tmp_path):
    pytest.importorskip("torch", reason="what torch does without torchvision")
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "from scripts.train_mnist import main\n"
        "arguments = ['--engine', 'torch', '--device', 'cpu', '--epochs', '1', '--batch-size', '5000']\n"
        f"arguments += ['--data', {DATA!r}, '--out', {str(tmp_path)!r}]\n"
        "print(main(arguments), main([*arguments, '--loader', 'plain']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0 2", done.stderr
    assert done.stderr == "train_mnist: torchvision is not installed; --loader resident does without it\n"
