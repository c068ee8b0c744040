"""The choice of OpenBLAS's kernels: when it is made, who wins, and that only commands make it."""

import os
import subprocess
import sys
from pathlib import Path

import needs
import pytest

from numpy_nn.commands.machine import blas_kernels
from numpy_nn.commands.machine.blas_kernels import (
    AVX512_FLAGS,
    VARIABLE,
    Choice,
    bundled_openblas,
    cpu_flags,
    decide,
    probe,
)

ROOT = Path(__file__).parents[3]


def answer(monkeypatch, kernels):
    """Let OpenBLAS say that it picks these kernels."""
    monkeypatch.setattr(blas_kernels, "probe", lambda _: kernels)


@pytest.mark.parametrize("found", ["Haswell", "Zen"])
def test_avx2_kernels_on_a_processor_with_avx512_are_replaced(found, monkeypatch):
    answer(monkeypatch, found)
    choice = decide(None, AVX512_FLAGS | {"avx2"}, "libopenblas.so")
    assert (choice.found, choice.chosen) == (found, "SkylakeX")


@pytest.mark.parametrize("found", ["SkylakeX", "Cooperlake", "SapphireRapids", "neoversev1", None])
def test_any_other_choice_of_openblas_stands(found, monkeypatch):
    answer(monkeypatch, found)
    choice = decide(None, AVX512_FLAGS, "libopenblas.so")
    assert (choice.found, choice.chosen) == (found, None)


def test_a_setting_of_the_user_wins(monkeypatch):
    answer(monkeypatch, "Haswell")
    assert decide("Prescott", AVX512_FLAGS, "libopenblas.so").chosen == "Prescott"


@pytest.mark.parametrize("missing", [*sorted(AVX512_FLAGS), "all"])
def test_without_all_of_avx512_nothing_is_asked(missing, monkeypatch):
    monkeypatch.setattr(blas_kernels, "probe", lambda _: pytest.fail("nobody should ask"))
    flags = frozenset() if missing == "all" else AVX512_FLAGS - {missing}
    assert decide(None, flags, "libopenblas.so") == Choice(None, None, "no AVX-512 found, OpenBLAS decides")


def test_without_an_openblas_nothing_is_chosen():
    assert decide(None, AVX512_FLAGS, None).chosen is None


def test_flags_are_those_of_the_first_processor(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx512f avx2\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert cpu_flags(cpuinfo) == {"fpu", "avx512f", "avx2"}
    assert cpu_flags(tmp_path / "missing") == frozenset()


@pytest.mark.slow
def test_openblas_is_asked_and_takes_what_it_is_told():
    library = bundled_openblas()
    if library is None:  # NumPy of a distribution, or of macOS
        assert decide(None, AVX512_FLAGS, library).chosen is None
        return
    own = probe(library)
    assert own
    assert probe(library, own) == own
    assert probe(__file__) is None


COMMAND = (
    "import os, sys; from numpy_nn.commands.machine import blas_kernels as b; b.cpu_flags = lambda: b.AVX512_FLAGS; "
)


def python(code, **environment):
    """What a new interpreter prints; the environment has no choice of kernels but what is given."""
    clean = {name: value for name, value in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-c", COMMAND + code]
    done = subprocess.run(command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_the_choice_is_in_the_environment_before_numpy_is_loaded():
    code = (
        f"b.probe = lambda library: 'Haswell'; b.choose(); print('numpy' in sys.modules, os.environ.get({VARIABLE!r}))"
    )
    chosen = "SkylakeX" if bundled_openblas() else "None"
    assert python(code) == ["False", chosen]
    assert python(code, **{VARIABLE: "Nehalem"}) == ["False", "Nehalem"]


@pytest.mark.slow
def test_after_numpy_nothing_is_changed():
    code = f"import numpy; print(b.choose().chosen, os.environ.get({VARIABLE!r}))"
    assert python(code) == ["None", "None"]


@pytest.mark.slow
@needs.torch
def test_the_library_leaves_the_environment_alone():
    modules = "torch_ref, numpy_nn.commands.benchmark.command, scripts.train_mnist"
    code = f"import {modules}; print(os.environ.get({VARIABLE!r}))"
    assert python(code) == ["None"]
