"""How a lesson starts and what becomes of its figures: the options ``--out`` and ``--data``, and MNIST.

In a notebook there is no command line: figures appear below their cells.
"""

from __future__ import annotations

import argparse
import builtins
import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.backends import BackendFilter, backend_registry
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import numpy_nn as nn
from numpy_nn.commands.fetch_mnist import command as fetch_mnist

# Where MNIST is: in the checkout; where the package was installed without one, below the working directory.
_ROOT = Path(__file__).resolve().parents[2]
DATA = _ROOT / "data" if (_ROOT / "setup.cfg").is_file() else Path("data")

# Where figures go with neither a display nor --out.
FALLBACK = Path("runs") / "lessons"


class Lesson:
    """A lesson that runs: its name, where its figures go, where MNIST is.

    ``out`` is a file for the first figure, or a folder (an existing one, or a path that ends in a slash) in which the
    first figure is called NAME.png. A further figure has its part appended, as in NAME-regions.png.
    """

    def __init__(self, name: str, out: str | None = None, data: Path = DATA) -> None:
        self.name, self.data = name, data
        self._file: Path | None = None
        if out is not None:
            folder = out.endswith(("/", os.sep)) or Path(out).is_dir()
            self._file = Path(out) / f"{name}.png" if folder else Path(out)

    def check(self) -> None:
        """Exit with status 2 and one line on stderr if no figure can be written where ``out`` says."""
        if self._file is None:
            return
        known = sorted(Figure().canvas.get_supported_filetypes())
        if self._file.suffix[1:] not in known:
            self.fail(f"argument --out: expected a name that ends in one of .{', .'.join(known)}, got {self._file}")
        existed = self._file.exists()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.open("ab").close()
        except OSError as error:
            self.fail(f"argument --out: cannot write {self._file} ({error.strerror})")
        if not existed:
            self._file.unlink()

    def show(self, figure: Figure, part: str = "") -> None:
        """Save the figure if ``--out`` was given; else show it; else, without a display, save it and say where."""
        if self._file is None and _can_show():
            plt.show()
            return
        path = self._file or FALLBACK / f"{self.name}.png"
        path = path.with_stem(f"{path.stem}-{part}") if part else path
        why = "" if self._file else " (no display here; --out FILE says where else)"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except OSError as error:
            self.fail(f"cannot write {path} ({error.strerror})")
        plt.close(figure)
        print(f"figure: {path}{why}")

    def beside(self, name: str) -> Path:
        """Where a file that is no figure goes: into the folder of the figures, which is made if it is not there."""
        folder = self._file.parent if self._file else FALLBACK
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.fail(f"cannot write {folder / name} ({error.strerror})")
        return folder / name

    def load_mnist(self) -> nn.MNIST:
        """MNIST in float32; where it is missing, one line that names the command that gets it, and status 2.

        A notebook gets it by itself: there is no command line beside it.
        """
        try:
            if _in_notebook() and not (self.data / "MNIST").is_dir():
                fetch_mnist.fetch(self.data)
            return nn.load_mnist(self.data)
        except (OSError, ValueError, fetch_mnist.FetchError) as error:
            self.fail(str(error))

    def torch(self) -> Any:
        """The module torch; None, and one line that says so, where it is not installed."""
        try:
            return importlib.import_module("torch")
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
        print("torch is not installed: what it says is left out")
        return None

    def fail(self, message: str) -> NoReturn:
        """One line on stderr, status 2."""
        print(f"{self.name}: {message}", file=sys.stderr)
        sys.exit(2)


def start(name: str) -> Lesson:
    """The lesson with the options of the command line; in a notebook, with their defaults.

    From here on NumPy and torch use one thread: on arrays as small as the lessons' a second one costs more than it
    gives, most of all on a busy machine.
    """
    threadpool_limits(1)
    if _in_notebook():  # the arguments are the notebook kernel's own
        return Lesson(name)
    parser = argparse.ArgumentParser(description="A lesson: prints what it finds and draws it.")
    parser.add_argument("--out", metavar="FILE", help="save the figure there, or in that folder, and do not show it")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="where MNIST is")
    args = parser.parse_args()
    lesson = Lesson(name, args.out, args.data)
    lesson.check()
    return lesson


def _in_notebook() -> bool:
    return hasattr(builtins, "__IPYTHON__")


def _can_show() -> bool:
    # Asking for the backend makes matplotlib choose one: without a display it is one that only writes files.
    return matplotlib.get_backend().lower() not in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)
