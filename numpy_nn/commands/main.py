"""``numpy-nn COMMAND``: which commands there are, and how each is started.

Nothing here loads NumPy: ``--help`` is quick, and the benchmark chooses its kernels before.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from numpy_nn._support.threads import ask_for_one_thread
from numpy_nn.commands.command_line import Parser
from numpy_nn.commands.machine import blas_kernels


class Command(NamedTuple):
    """What it is good for, the modules with its ``parse`` and its ``run``, and the packages that it needs."""

    about: str
    parse: str
    run: str
    needs: tuple[str, ...] = ()


def _command(about: str, room: str, *needs: str) -> Command:
    return Command(about, f"numpy_nn.commands.{room}.arguments", f"numpy_nn.commands.{room}.command", needs)


COMMANDS = {
    "gradcheck": _command("are the gradients of my code right, and if not, what is wrong?", "gradcheck"),
    "trace": _command("show a training step, number by number, as a page for the browser", "trace"),
    "exercise": Command(
        "is my answer to a lesson's exercise right?", "numpy_nn.exercises.arguments", "numpy_nn.exercises.command"
    ),
    "fetch-mnist": _command("get MNIST into data/", "fetch_mnist"),
    "parity": _command("are these the numbers of torch?", "parity"),
    "benchmark": _command("how fast is it, beside torch and others?", "benchmark", "rich", "threadpoolctl"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``numpy-nn`` with these arguments (sys.argv without its first by default); return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        return start(words[0], words[1:])
    about = "\n".join(f"  {name:13}{command.about}" for name, command in COMMANDS.items())
    epilog = f"Commands:\n{about}\n\nEach has a --help of its own, with examples."
    parser = Parser("numpy-nn", "Perceptrons and multilayer perceptrons in NumPy.", prog="numpy-nn", epilog=epilog)
    parser.add_argument("command", choices=tuple(COMMANDS), metavar="COMMAND", help="what to do")
    parser.add_argument("--version", action="version", version=import_module("numpy_nn").__version__)
    if not words:
        parser.print_help()
        return 2
    parser.parse_args(words)
    return 2


def start(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run one command with these arguments (sys.argv without its first by default); return the exit status."""
    command = COMMANDS[name]
    args = import_module(command.parse).parse(arguments)
    if name == "benchmark":
        blas_kernels.choose()
    else:
        ask_for_one_thread()  # for its small arrays; the benchmark is told how many, or finds out
    missing = [package for package in command.needs if importlib.util.find_spec(package) is None]
    if missing:
        print(f"{name}: needs {' and '.join(missing)}; pip install {' '.join(missing)}", file=sys.stderr)
        return 2
    try:
        status: int = import_module(command.run).run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads the output, such as head, has enough of it; the rest, that of Python's end too, goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
