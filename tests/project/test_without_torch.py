"""Where torch is not installed, lessons and scripts run without its part, or say in one line that it is needed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from idx_files import idx
from needs import HANGS, path_without_torch

from numpy_nn.data.mnist import FILES, read_split
from scripts.train_mnist import main

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
LESSONS = sorted((SCRIPTS / "lessons").glob("lesson_*.py"), key=lambda path: int(path.stem.split("_")[1]))

# Images of each kind that are trained and judged on, for speed.
FEW = {"train": 2000, "t10k": 1000}

SAID = "torch is not installed"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with MNIST's first images of each kind."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in FEW.items():
        names = [name for name in FILES if name.startswith(split)]
        for name, array in zip(names, read_split(ROOT / "data", split), strict=True):
            (folder / name).write_bytes(idx(array[:count]))
    return str(root)


def takes(data):
    """What a process runs first that is to take these few images for MNIST."""
    return (
        "import zlib\n"
        "from numpy_nn.data.mnist import FILES, read_idx\n"
        "for name in FILES:\n"
        f"    array = read_idx({data!r} + '/MNIST/raw/' + name)\n"
        "    FILES[name] = array.shape, zlib.crc32(array)\n"
    )


def runner(here, data):
    """Runs a file or a module of the project in a Python that finds no torch, nor do the processes that it starts."""
    folder = here / "without_torch"
    path = path_without_torch(folder)
    of_few = "".join(f"    {line}\n" for line in takes(data).splitlines())
    with (folder / "sitecustomize.py").open("a", encoding="utf-8") as file:
        file.write(f"if {data!r} in sys.orig_argv:\n{of_few}")

    def start(*command):
        return subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=here,
            env=os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=False,
            timeout=HANGS,
        )

    return start


@pytest.fixture
def run(tmp_path, data):
    """The same, in a folder of the test's own."""
    return runner(tmp_path, data)


def well(done):
    """What a command printed that ended well and complained of nothing."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(done):
    """The one line of a command that could not be carried out."""
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr


# In place of each figure the number of things in it is written: what torch has part in is there before it is drawn,
# which takes as long as all the rest.
COUNTS = """
import json, os, runpy, sys
import matplotlib.pyplot, numpy_nn

def count(figure, path):
    with open(path, "w") as file:
        kinds = "lines", "patches", "texts", "images", "collections", "artists"
        file.write(str(sum(len(getattr(axes, kind)) for axes in figure.axes for kind in kinds)))

matplotlib.figure.Figure.savefig = count
"""
ONE = """
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Runs lessons in processes of their own, but forked from one that has imported what takes longer than most lessons.
FORKS = """
for command in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(f"{command[0]}.{stream}", os.O_CREAT | os.O_WRONLY), stream)
        sys.argv = command[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.exit()
    print(json.dumps([command[0], os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]), flush=True)
"""


@pytest.fixture(scope="module")
def lessons(tmp_path_factory, data):
    """How each lesson ends that asks torch, and the folder in which it ran."""
    here = tmp_path_factory.mktemp("lessons")
    start = runner(here, data)
    commands = {
        lesson: (lesson, "--data", data, "--out", f"{here}/{lesson.stem}/") for lesson in LESSONS if TIMES[lesson]
    }
    if not hasattr(os, "fork"):
        return {lesson: (start("-c", COUNTS + ONE, *command), here) for lesson, command in commands.items()}
    named = [[lesson.stem, *map(str, command)] for lesson, command in commands.items()]
    ends = dict(map(json.loads, well(start("-c", COUNTS + FORKS, json.dumps(named), data)).splitlines()))
    return {
        lesson: (SimpleNamespace(returncode=ends[lesson.stem], **printed(here / lesson.stem)), here)
        for lesson in commands
    }


def printed(path):
    names = {"stdout": 1, "stderr": 2}
    return {name: path.with_name(f"{path.name}.{n}").read_text(encoding="utf-8") for name, n in names.items()}


def of_lesson(lessons, lesson):
    """What a lesson prints that says as often as it should that torch is missing, after a look at its figures."""
    done, here = lessons[lesson]
    output = well(done)
    assert output.count(SAID) == TIMES[lesson]
    # An initializer is called after torch, whose default it is.
    assert "torch" not in output.replace(SAID, "").replace("torch's default", "")
    figures = [here / name for name in re.findall(r"^figure: (.+)$", output, re.MULTILINE)]
    assert figures
    assert all(int(figure.read_text()) > 1 for figure in figures)
    return output


# How often each says so; the eighth also starts the script that writes the page. Two do not ask torch: their own tests,
# in test_lessons.py, do without it.
TIMES = dict(zip(LESSONS, (1, 0, 1, 1, 1, 1, 0, 2, 1, 1, 1, 1), strict=True))


@pytest.mark.parametrize("lesson", [lesson for lesson in LESSONS if TIMES[lesson] and lesson is not LESSONS[4]])
def test_a_lesson_leaves_out_what_torch_says(lessons, lesson):
    of_lesson(lessons, lesson)


def test_lesson_5_leaves_it_out_and_has_a_column_less(lessons):
    output = of_lesson(lessons, LESSONS[4])
    heading, *rows = re.findall(r"^ +(?:step|\d+) .*$", output, re.MULTILINE)
    assert heading.split()[:3] == ["step", "ours", "tutorial"]
    assert [len(row.split()) for row in rows if " .. " in row] == [6] * 10


def test_the_gradient_checker_does_not_need_it(run, tmp_path):
    code = "import numpy as np\n\n\ndef f(x):\n    return x**3\n\n\ndef f_vjp(x, g):\n    return 3 * x**2 * g\n"
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    assert "RIGHT" in well(run("-m", "numpy_nn.gradcheck", "mine.py:f,f_vjp", "--input", "5"))


ABOUT_TORCH = {
    "parity_report.py": "and it is what numpy_nn is compared with; pip install torch",
    "scaling.py": "and it is what carries gradients between processes",
    "gpu_check.py": "and it is what runs on a GPU",
    "mutants.py": "and half of the tests compare with it",
}
COMMANDS = [path for path in sorted(SCRIPTS.glob("*.py")) if "if __name__ ==" in path.read_text(encoding="utf-8")]

# Runs commands one after the other in one process: what all of them import, most of the time, is imported once.
ALL = """
import contextlib, io, json, os, runpy, sys

results, here = [], os.getcwd()
for command in json.loads(sys.argv[1]):
    os.chdir(here)  # which mutants.py leaves
    sys.argv = command
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            status = runpy.run_path(command[0], run_name="__main__") and 0
        except SystemExit as end:
            status = end.code or 0
    results.append({"returncode": status, "stdout": out.getvalue(), "stderr": err.getvalue()})
print(json.dumps(results))
"""


TRAIN = (str(SCRIPTS / "train_mnist.py"),)
BRIEFLY = ("--epochs", "1", "--hidden", "8", "--batch-size", "1000")
PAGE = (str(SCRIPTS / "trace_backprop.py"),)
MINE = (*PAGE, "--mine", f"{ROOT / 'tests' / 'helpers' / 'my_mlp.py'}:TwoLayerNet", "--init", "4", "5", "3")
SHORT = (*PAGE, "--sizes", "784,64,10", "--out", "short.html", "--data")
ALONE, ASKED, REFUSED = (*TRAIN, *BRIEFLY, "--out", "alone", "--data"), (*TRAIN, *BRIEFLY, "--data"), (*TRAIN, "--data")
ACCURACY = (str(SCRIPTS / "accuracy_report.py"), "--points", "64", "--only", "silu", "softmax", "--speed")


@pytest.fixture(scope="module")
def done(tmp_path_factory, data):
    """How each command ends: asked for its options, or about torch, or with a part of which torch has none.

    One that ends with --data gets the images, and after them what is behind it. And the folder in which all ran.
    """
    here = tmp_path_factory.mktemp("all")
    asked = [(str(path), "--help") for path in COMMANDS] + [(str(SCRIPTS / name),) for name in ABOUT_TORCH]
    asked += [PAGE, MINE, SHORT, ALONE, (*ASKED, "--engine", "numpy"), (*REFUSED, "--engine", "torch"), ACCURACY]
    given = [list(command) for command in asked]
    for command in given:
        command[:] = [word for part in command for word in ([part, data] if part == "--data" else [part])]
    printed = well(runner(here, data)("-c", ALL, json.dumps(given), data))
    return {command: SimpleNamespace(**end) for command, end in zip(asked, json.loads(printed), strict=True)}, here


def test_the_page_is_written_without_torch_s_gradients(done):
    ends, here = done
    output = well(ends[PAGE])
    assert output.startswith("written: trace.html (")
    assert output.endswith(f"\n{SAID}: its gradients are left out of the page\n")
    page = (here / "trace.html").read_text(encoding="utf-8")
    (recording,) = re.findall(r'<script type="application/json" id="recording"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert {tuple(check) for check in json.loads(recording)["checks"].values()} == {("numerical", "bound", "sides")}


def test_the_short_form_of_the_page_never_had_them(done):
    ends, _ = done
    assert refused(ends[MINE]) == f"trace: --mine: {SAID}, which finds your network's twin; pip install torch\n"
    assert SAID not in well(ends[SHORT])


def test_numpy_nn_trains_alone_and_says_so(done):
    ends, here = done
    assert well(ends[ALONE]).startswith(f"{SAID}: numpy_nn trains alone\nMNIST, 784-8-10, ")
    (epoch,) = json.loads((here / "alone" / "history.json").read_text(encoding="utf-8"))["epochs"]
    assert epoch.keys() == {"epoch", "numpy"}
    # Asked for, numpy_nn alone is nothing to speak of.
    assert SAID not in well(ends[(*ASKED, "--engine", "numpy")])


def test_who_asks_for_torch_is_refused(done):
    line = refused(done[0][(*REFUSED, "--engine", "torch")])
    assert line == f"train_mnist: {SAID}; --engine numpy does without torch\n"


@pytest.mark.parametrize("script", ABOUT_TORCH)
def test_what_is_about_torch_is_refused(done, script):
    name = {"parity_report.py": "parity"}.get(script, Path(script).stem)
    assert refused(done[0][str(SCRIPTS / script),]) == f"{name}: {SAID}, {ABOUT_TORCH[script]}\n"


def test_the_accuracy_report_has_our_columns(done):
    output = well(done[0][ACCURACY])
    assert f"\n{SAID}: its errors are left out\n" in output
    assert "torch" not in output.replace(SAID, "")
    assert len(re.findall(r"^silu'? +float\d\d +\d", output, re.MULTILINE)) == 4


def test_the_report_on_threads_has_our_rows(run):
    short = ["--networks", "784-64-10", "--beside", "0", "--rounds", "1", "--seconds", "0.001", "--most", "2"]
    output = well(run(SCRIPTS / "threads_report.py", *short))
    assert output.startswith(f"{SAID}: its rows are left out\n")
    assert "\n| numpy | 784-64-10 | 0 |" in output
    assert "| torch |" not in output


def test_the_proof_of_the_checker_compares_it_with_the_others(run):
    # A few of the bank, for speed.
    code = (
        "import sys\n"
        "from scripts import gradcheck_proof\n"
        "from scripts.proof import trials\n"
        "gradcheck_proof.PLANTED = trials.PLANTED = trials.PLANTED[::60]\n"
        "gradcheck_proof.CORRECT = trials.CORRECT = trials.CORRECT[::10]\n"
        "sys.exit(gradcheck_proof.main(sys.argv[1:]))"
    )
    output = well(run("-c", code, "--part", "comparison", "--networks", "1", "--repeats", "1"))
    assert output.startswith(f"{SAID}: its checkers are left out\n")
    assert "torch.autograd" not in output
    assert "HIPS autograd's recipe" in output


@pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.stem)
def test_every_script_tells_its_options(done, script):
    assert "--help" in well(done[0][str(script), "--help"])


@pytest.mark.usefixtures("few")
def test_images_one_by_one_are_all_that_needs_torchvision(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch", reason="what torch does without torchvision")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "torch_ref.data", raising=False)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    arguments = ["--engine", "torch", "--device", "cpu", "--epochs", "1", "--hidden", "8", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert main([*arguments, "--loader", "plain"]) == 2
    error = capsys.readouterr().err
    assert error == "train_mnist: torchvision is not installed; --loader resident does without it\n"
