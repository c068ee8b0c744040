"""Environments with another NumPy or another Python, beside the one that runs: made once, kept, and cheap.

An environment has packages of its own first on the path, then those of the environment that runs. For another NumPy
that is NumPy alone. For another Python it is everything but the libraries of CUDA, which torch will not load without,
which take three of its five gigabytes and are the same for every Python.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SITE = Path(sysconfig.get_path("purelib"))
# Of constraints.txt, what another Python borrows or does without; and where torch looks for what is borrowed.
BORROWED = re.compile(r"nvidia|cuda|triton|jax|ml_dtypes|opt_einsum|mypy|ruff|ast_serialize|librt|setuptools")
NVIDIA = "nvidia"


class VersionError(Exception):
    """An environment that cannot be made; the message is one line."""


def oldest_numpy() -> str:
    """The oldest NumPy that this package allows, such as "2.0.0"."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    (needed,) = setup["options"]["install_requires"].split()
    found = re.fullmatch(r"numpy>=([\d.]+)", needed)
    assert found is not None
    return ".".join([*found[1].split("."), "0", "0"][:3])


def with_numpy(requirement: str, folder: Path) -> Path:
    """The interpreter of an environment with that NumPy ("numpy==2.0.0", or "numpy" for the newest) before all else."""
    python = _venv(sys.executable, folder)
    if not (folder / ".ready").exists():
        _install([requirement], python, folder)
        # The last resort of the path, with the editable install of this project in it.
        _site(python).joinpath("others.pth").write_text(f"import site; site.addsitedir({str(SITE)!r})\n")
        (folder / ".ready").touch()
    return python


def with_python(base: str, folder: Path) -> Path:
    """The interpreter of an environment of that Python with what the tests need."""
    python = _venv(base, folder)
    if not (folder / ".ready").exists():
        pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        wanted = [line for line in pins if "==" in line and not BORROWED.match(line)]
        _install(wanted, python, folder)
        site = _site(python)
        if (SITE / NVIDIA).exists():
            (site / NVIDIA).symlink_to(SITE / NVIDIA)
        (site / "project.pth").write_text(f"{ROOT}\n")
        (folder / ".ready").touch()
    return python


def version_of(name: str, python: Path) -> str:
    """The version of Python or NumPy in that environment."""
    code = {
        "numpy": "import numpy; print(numpy.__version__)",
        "python": "import platform; print(platform.python_version())",
    }
    return _run([str(python), "-c", code[name]]).strip()


def _venv(base: str, folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        _run([base, "-m", "venv", "--clear", "--without-pip", str(folder)])
    return python


def _site(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(_run([str(python), "-c", code]).strip())


def _install(requirements: list[str], python: Path, folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input"]
    file = folder / "requirements.txt"
    file.write_text("\n".join(requirements), encoding="utf-8")
    _run([*pip, "install", "--no-deps", "--quiet", "--only-binary", ":all:", "--requirement", str(file)])


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise VersionError(f"cannot run {command[0]}: {error.strerror}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise VersionError(f"{command[0]} failed: {said[-1] if said else f'status {done.returncode}'}")
    return done.stdout
