"""Which kernels NumPy's OpenBLAS uses, and a better choice where it makes a poor one.

OpenBLAS looks at the processor when it is loaded and picks a set of kernels. It knows processors by their numbers: on
one that is newer than itself it may fall back to AVX2 kernels ("Haswell", "Zen") although the processor has AVX-512.
The environment variable ``OPENBLAS_CORETYPE`` overrules it, if set before NumPy loads. So a command calls
:func:`choose` before its first ``import numpy``; this file imports the standard library only.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import subprocess
import sys
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
AVX512_KERNELS = "SkylakeX"
# What the SkylakeX kernels are compiled for (-march=skylake-avx512).
AVX512_FLAGS = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})
AVX2_KERNELS = frozenset({"Haswell", "Zen", "Excavator"})

# Run by an interpreter of its own, since a library that is loaded cannot choose again.
_PROBE = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename64_",
             "openblas_get_corename"):
    if hasattr(library, name):
        function = getattr(library, name)
        function.restype = ctypes.c_char_p
        print(function().decode())
        break
"""


@dataclass(frozen=True)
class Choice:
    """What was found and what was chosen; ``found`` is what OpenBLAS picks by itself, None where nobody asked it."""

    found: str | None
    chosen: str | None
    reason: str


def cpu_flags(cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo") -> frozenset[str]:
    """The instruction sets of the processor, as Linux names them; empty on other systems."""
    try:
        lines = Path(cpuinfo).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), frozenset())


def bundled_openblas() -> str | None:
    """The OpenBLAS that NumPy's wheel brings along, found without importing NumPy; None if NumPy uses another BLAS."""
    spec = importlib.util.find_spec("numpy")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    found = glob.glob(str(package.parent / "numpy.libs" / "*openblas*"))
    return found[0] if found else None


def probe(library: str, kernels: str | None = None) -> str | None:
    """The kernels that this OpenBLAS uses with ``OPENBLAS_CORETYPE=kernels``, or by itself; None if it cannot say."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if kernels is not None:
        environment[VARIABLE] = kernels
    command = [sys.executable, "-I", "-S", "-c", _PROBE, library]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def decide(explicit: str | None, flags: AbstractSet[str], library: str | None) -> Choice:
    """The choice for a processor with these flags; ``explicit`` is the user's own setting, which wins."""
    if explicit:
        return Choice(None, explicit, f"{VARIABLE} was set by the user")
    if not flags >= AVX512_FLAGS:
        return Choice(None, None, "no AVX-512 found, OpenBLAS decides")
    if library is None:
        return Choice(None, None, "NumPy brings no OpenBLAS of its own")
    found = probe(library)
    if found not in AVX2_KERNELS:
        return Choice(found, None, "OpenBLAS decides well by itself" if found else "OpenBLAS does not say what it uses")
    return Choice(found, AVX512_KERNELS, "the processor has AVX-512, OpenBLAS would not use it")


@cache
def choose() -> Choice:
    """Decide, and set ``OPENBLAS_CORETYPE`` accordingly for this process and its children; a second call only tells."""
    if "numpy" in sys.modules:
        return Choice(None, None, "NumPy was loaded already")
    choice = decide(os.environ.get(VARIABLE), cpu_flags(), bundled_openblas())
    if choice.chosen is not None:
        os.environ[VARIABLE] = choice.chosen
    return choice
