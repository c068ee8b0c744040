"""Where JAX is not loaded nothing is taken for a function of it, and nothing loads it."""

import subprocess
import sys

import numpy as np
import pytest

from numpy_nn.subjects.libraries.jax_functions import jax_subject


@pytest.mark.parametrize("x", [np.ones(3), 1.0, [1.0, 2.0], (np.ones(3), None)])
def test_without_jax_no_function_is_one_of_jax(x, monkeypatch):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    assert jax_subject(np.tanh, x, None) is None
    assert jax_subject((np.tanh, np.cos), x, None) is None


@pytest.mark.slow
def test_a_check_of_numpy_s_code_loads_no_other_framework():
    code = (
        "import sys, numpy as np\n"
        "from numpy_nn.gradcheck import check_gradients\n"
        "assert check_gradients((np.sin, lambda x, g: g * np.cos(x)), np.ones(3))\n"
        "print(*{'jax', 'torch', 'autograd'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
