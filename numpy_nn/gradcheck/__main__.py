"""The command line: check a class, an object or a pair of functions in somebody's own file.

    python -m numpy_nn.gradcheck my_layers.py:MyLinear --init 4 3 --input 5x4
    python -m numpy_nn.gradcheck my_layers.py:MyLoss --input 5x3 --labels 3
    python -m numpy_nn.gradcheck my_functions.py:f,f_vjp --input 7

Exit status: 0 if every gradient is right, 1 if one is wrong, 2 if the check is undecided or could not be made.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG

_EXIT = {RIGHT: 0, WRONG: 1}
_UNUSABLE = 2


class UsageError(Exception):
    """The command cannot be carried out; the message is one line."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        target = _load(options.target, options.init)
        rng = np.random.default_rng(options.seed)
        x = rng.standard_normal(options.input) * options.scale
        report = check_gradients(
            target,
            np.abs(x) if options.positive else x,
            _targets(options, rng),
            parameters=dict(options.parameter) if options.parameter else None,
            samples=options.samples,
            seed=options.seed,
        )
    except UsageError as error:
        print(f"gradcheck: {error}", file=sys.stderr)
        return _UNUSABLE
    except Exception as error:  # whatever the user's code raises
        print(_their_traceback(error), file=sys.stderr)
        return _UNUSABLE
    print(report)
    return _EXIT.get(report.verdict, _UNUSABLE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m numpy_nn.gradcheck",
        description="Check the backward pass of a layer, a loss or a pair of functions (f, vjp) in a file of yours.",
        epilog="Exit status: 0 right, 1 wrong, 2 undecided or unusable.",
    )
    add = parser.add_argument
    add("target", help="file.py:Class, file.py:object, file.py:f,vjp; or a module instead of a file")
    add("--init", nargs="*", default=[], metavar="ARG", help="arguments of the class, such as 4 0.5 activation=relu")
    add("--input", type=_shape, required=True, metavar="5x4", help="shape of the input, which is drawn from N(0, 1)")
    add("--scale", type=float, default=1.0, help="multiply the input by this (default 1)")
    add("--positive", action="store_true", help="take the absolute values of the input, as log wants them")
    targets = parser.add_mutually_exclusive_group()
    targets.add_argument("--labels", type=int, metavar="C", help="for a loss: random labels 0 .. C - 1, one a row")
    targets.add_argument("--targets", type=_shape, metavar="5x4", help="for a loss: random targets in [0, 1]")
    add("--parameter", action="append", type=_pair, metavar="W:dW", help="a parameter and its gradient; repeatable")
    add("--samples", type=_samples, help="how many coordinates of each array to check, or 'all'")
    add("--seed", type=int, default=0)
    return parser


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected a shape such as 5x4, got {text!r}")
    return shape


def _pair(text: str) -> tuple[str, str]:
    name, colon, gradient = text.partition(":")
    if not (name and colon and gradient):
        raise argparse.ArgumentTypeError(f"expected a pair such as W:dW, got {text!r}")
    return name, gradient


def _samples(text: str) -> int | str:
    if text == "all":
        return text
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number >= 1 or 'all', got {text!r}")
    return int(text)


def _targets(options: argparse.Namespace, rng: np.random.Generator) -> Any:
    if options.labels is not None:
        if options.labels < 1:
            raise UsageError(f"--labels: expected a number of classes >= 1, got {options.labels}")
        return rng.integers(0, options.labels, options.input[0])
    return None if options.targets is None else rng.random(options.targets)


def _load(text: str, init: list[str]) -> Any:
    """The target that ``text`` names; a class is called with the arguments in ``init``."""
    place, colon, names = text.rpartition(":")
    if not (place and colon and names):
        raise UsageError(f"expected file.py:Name, got {text!r}")
    module = _module(place)
    found = []
    for name in names.split(","):
        if not hasattr(module, name):
            public = ", ".join(n for n, value in vars(module).items() if not n.startswith("_") and callable(value))
            raise UsageError(f"{place} has no {name}; it has {public or 'nothing to call'}")
        found.append(getattr(module, name))
    if len(found) > 1:
        return tuple(found)
    if not isinstance(found[0], type):
        if init:
            raise UsageError(f"--init: {names} is no class, and takes no arguments here")
        return found[0]
    positional = [_literal(word) for word in init if "=" not in word]
    named = {word.partition("=")[0]: _literal(word.partition("=")[2]) for word in init if "=" in word}
    return found[0](*positional, **named)


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise UsageError(f"cannot import {place}: {error}") from None
    path = Path(place)
    if not path.is_file():
        raise UsageError(f"no such file: {place}")
    sys.path.insert(0, str(path.parent.resolve()))  # for what the file itself imports
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # copies of its objects look their class up there
    spec.loader.exec_module(module)
    return module


def _literal(word: str) -> Any:
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def _their_traceback(error: Exception) -> str:
    """The part of the traceback that lies in the user's own code, and the error."""
    ours = tuple(str(Path(__file__).resolve().parents[1] / room) for room in ("gradcheck", "subjects"))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((*ours, "<frozen"))]
    head = ["gradcheck: the check stopped in your code:"] if frames else []
    last = "".join(traceback.format_exception_only(error)).strip()
    return "\n".join(
        [*head, *"".join(traceback.format_list(frames)).splitlines(), last if head else f"gradcheck: {last}"]
    )


if __name__ == "__main__":
    sys.exit(main())
