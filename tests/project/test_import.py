"""Importing numpy_nn: NumPy alone, fast, and without side effects."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
        "import sys; before = set(sys.modules); import numpy_nn\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))"
    )
    assert set(run(code).split()) <= {"numpy", "numpy_nn"}


def test_it_takes_less_than_numpys_own_import():
    code = (
        "import time; a = time.process_time(); import numpy; b = time.process_time(); import numpy_nn\n"
        "print((time.process_time() - b) / (b - a))"
    )
    # Of the processor's time, which a busy machine stretches for both; the best of several, as the first compiles.
    assert min(float(run(code)) for _ in range(5)) < 1.0


def test_it_leaves_the_environment_the_error_state_and_the_global_generator_alone():
    code = (
        "import os, numpy as np\n"
        "def state(): return dict(os.environ), np.geterr(), np.random.get_state()[1].tolist()\n"
        "before = state(); import numpy_nn; print(state() == before)"
    )
    assert run(code).strip() == "True"
