"""The command line: check a class, an object or functions in somebody's own file.

    python -m numpy_nn.gradcheck my_layers.py:MyLinear --init 4 3 --input 5x4
    python -m numpy_nn.gradcheck my_layers.py:MyLinear --init W=4x3 b=3 --input 5x4
    python -m numpy_nn.gradcheck my_layers.py:MyLoss --input 5x3 --labels 3
    python -m numpy_nn.gradcheck my_functions.py:affine_forward,affine_backward --input 5x4 --input 4x3 --input 3
    python -m numpy_nn.gradcheck my_functions.py:embed --input ids=6:int10 --input table=10x4

    python -m numpy_nn.gradcheck my_functions.py:MyFunction --torch --input 5x4

Exit status: 0 if every gradient is right, or right to the digits that are told; 1 if one is wrong, 2 if the check is
undecided or could not be made.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.files import UsageError, arguments, find, load
from numpy_nn.gradcheck.inputs import KINDS, Drawn, drawn
from numpy_nn.gradcheck.page import to_html, to_json
from numpy_nn.gradcheck.report import CLOSE, RIGHT, WRONG, GradientReport
from numpy_nn.subjects.names import positional

_EXIT = {RIGHT: 0, CLOSE: 0, WRONG: 1}
_UNUSABLE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        report = _report(options)
    except UsageError as error:
        print(f"gradcheck: {error}", file=sys.stderr)
        return _UNUSABLE
    except SystemExit as error:
        print(
            f"gradcheck: your code ended the program with sys.exit({error.code}): nothing was checked", file=sys.stderr
        )
        return _UNUSABLE
    except Exception as error:  # whatever the user's code raises
        print(_their_traceback(error), file=sys.stderr)
        return _UNUSABLE
    # A report that is asked for on stdout stands there alone.
    print(report, file=sys.stderr if "-" in (options.json, options.html) else sys.stdout)
    try:
        for name, text in ((options.json, to_json), (options.html, to_html)):
            _write(name, text(report) if name else "")
    except OSError as error:
        print(f"gradcheck: {error}", file=sys.stderr)
        return _UNUSABLE
    return _EXIT.get(report.verdict, _UNUSABLE)


def _write(name: str, text: str) -> None:
    if name == "-":
        print(text, end="")
    elif name:
        Path(name).write_text(text, encoding="utf-8")


def _report(options: argparse.Namespace) -> GradientReport:
    rng = np.random.default_rng(options.seed)
    # Drawn before anything else draws, so that the same command always checks the same numbers.
    inputs = _inputs(options, rng)
    targets = _targets(options, rng)
    if options.torch:
        return _of_torch(options, inputs)
    target, notes = load(options.target, options.init, rng)
    names = [one.name for one in options.input]
    if any(names) and isinstance(target, tuple):
        inputs = _in_order_of(target[0], names, inputs)
    report = check_gradients(
        target,
        inputs if len(inputs) > 1 or not isinstance(inputs[0], np.ndarray) else inputs[0],
        targets,
        parameters=dict(options.parameter) if options.parameter else None,
        constants=options.constant,
        samples=options.samples,
        seed=options.seed,
    )
    report.notes += notes
    return report


def _of_torch(options: argparse.Namespace, inputs: tuple[Any, ...]) -> GradientReport:
    """The same for a function or module of torch."""
    try:
        from torch_ref.gradcheck import from_command_line
    except ModuleNotFoundError as error:
        raise UsageError(f"--torch: {error}") from None
    target, notes = find(options.target)
    positional, named = arguments(options.init, np.random.default_rng(options.seed))
    report = from_command_line(
        target,
        inputs,
        init=positional,
        settings=named,
        second=options.second,
        samples=options.samples,
        seed=options.seed,
    )
    report.notes += notes
    return report


def _parser() -> argparse.ArgumentParser:
    kinds = "; ".join(f"{name}: {text}" for name, (text, _) in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m numpy_nn.gradcheck",
        description="Check the backward pass of a layer, a network, a loss or functions in a file of yours.",
        epilog=f"Kinds of inputs: {kinds}; int10: whole numbers 0 .. 9. Exit status: 0 right, 1 wrong, 2 undecided or "
        "unusable.",
    )
    add = parser.add_argument
    add("target", help="file.py:Class, file.py:object, file.py:function, file.py:f,vjp; or a module instead of a file")
    add("--init", nargs="*", default=[], metavar="ARG", help="arguments of the class: 4 0.5 activation=relu W=4x3 b=3")
    input_help = "shape of an argument of forward; repeatable, with a name and a kind as in ids=6:int10"
    add("--input", type=_drawn, action="append", required=True, metavar="5x4", help=input_help)
    add("--scale", type=float, default=1.0, help="multiply the inputs of floats by this (default 1)")
    add("--positive", action="store_true", help="take the absolute values of the first input, as log wants them")
    targets = parser.add_mutually_exclusive_group()
    targets.add_argument("--labels", type=int, metavar="C", help="for a loss: random labels 0 .. C - 1, one a row")
    targets.add_argument("--targets", type=_drawn, metavar="5x4", help="for a loss: targets in [0, 1], or of a kind")
    add("--parameter", action="append", type=_pair, metavar="W:dW", help="a parameter and its gradient; repeatable")
    add("--constant", action="append", default=[], metavar="NAME", help="an array that is not learned; repeatable")
    add("--samples", type=_samples, help="how many coordinates of each array to check, or 'all'")
    add("--torch", action="store_true", help="an autograd.Function, a module or a function of torch's tensors")
    add("--second", action="store_true", help="with --torch: the gradients of the gradients")
    add("--json", default="", metavar="FILE", help="write the report as JSON too; - is stdout")
    add("--html", default="", metavar="FILE", help="write the report as an HTML page too; - is stdout")
    add("--seed", type=int, default=0)
    return parser


def _drawn(text: str) -> Drawn:
    try:
        return drawn(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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


def _inputs(options: argparse.Namespace, rng: np.random.Generator) -> tuple[Any, ...]:
    inputs = [one.draw(rng, options.scale) for one in options.input]
    if options.positive:
        inputs[0] = np.abs(inputs[0])
    return tuple(inputs)


def _targets(options: argparse.Namespace, rng: np.random.Generator) -> Any:
    if options.labels is not None:
        if options.labels < 1:
            raise UsageError(f"--labels: expected a number of classes >= 1, got {options.labels}")
        return rng.integers(0, options.labels, options.input[0].shape[0])
    if options.targets is None:
        return None
    wanted: Drawn = options.targets
    return Drawn(wanted.name, wanted.shape, "unit" if wanted.kind == "normal" else wanted.kind).draw(rng)


def _in_order_of(function: Any, names: list[str], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs in the order of the function's arguments, where all of them are named."""
    spec = positional(function)
    own = [] if spec is None else spec[0] + spec[1]
    if not all(name in own for name in names):
        unknown = next(name or "an input without a name" for name in names if name not in own)
        raise UsageError(f"--input: {function.__name__} takes {', '.join(own)}, not {unknown}")
    return tuple(value for _, value in sorted(zip(names, inputs, strict=True), key=lambda item: own.index(item[0])))


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
