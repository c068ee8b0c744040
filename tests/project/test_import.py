"""Importing numpy_nn: NumPy alone, fast, and without side effects."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import numpy_nn as nn

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(code):
    """What the code prints in a Python of its own, which may keep its byte code as Python does by default."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_no_third_party_package_but_numpy_is_imported():
    code = (
        "import sys; before = set(sys.modules); import numpy_nn as nn; [getattr(nn, name) for name in nn.__all__]\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))"
    )
    assert set(run(code).split()) <= {"numpy", "numpy_nn"}


def test_it_takes_less_than_numpys_own_import():
    # In calls of functions, which no other process changes; it takes a third of them.
    code = (
        "import sys; calls = 0\n"
        "def count(frame, event, argument): global calls; calls += event in ('call', 'c_call')\n"
        "sys.setprofile(count); import numpy; of_numpy, calls = calls, 0\n"
        "import numpy_nn as nn; [getattr(nn, name) for name in nn.__all__]; sys.setprofile(None)\n"
        "print(calls / of_numpy)"
    )
    run(code)  # the first time Python compiles
    assert 0.1 < float(run(code)) < 1.0


def test_it_leaves_the_environment_the_error_state_and_the_global_generator_alone():
    code = (
        "import os, numpy as np\n"
        "def state(): return dict(os.environ), np.geterr(), np.random.get_state()[1].tolist()\n"
        "before = state(); import numpy_nn as nn; nn.MLP; print(state() == before)"
    )
    assert run(code).strip() == "True"


def test_numpy_is_loaded_with_the_first_public_name():
    code = "import sys, numpy_nn as nn; print('numpy' in sys.modules); nn.Linear; print('numpy' in sys.modules)"
    assert run(code).split() == ["False", "True"]


def test_the_public_names_are_those_that_the_package_shows_to_a_type_checker():
    tree = ast.parse(Path(nn.__file__).read_text(encoding="utf-8"))
    block, hidden = (node for node in tree.body if isinstance(node, ast.If))
    shown = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(shown) == sorted(nn.__all__)
    # A __getattr__ would have a type checker take any name, nn.Linera too.
    assert ast.unparse(hidden.test) == "not TYPE_CHECKING"
    assert [node.name for node in hidden.body if isinstance(node, ast.FunctionDef)] == ["__getattr__"]
    assert {*nn.__all__, "layers", "losses", "optim", "training", "data"} <= {*dir(nn)}
    for name in shown:
        assert getattr(nn, name) is not None
    with pytest.raises(AttributeError, match=r"module 'numpy_nn' has no attribute 'Liner'"):
        getattr(nn, "Liner")  # noqa: B009
