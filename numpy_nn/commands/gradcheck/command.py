"""What ``numpy-nn gradcheck`` does: it loads the user's code, draws the inputs, checks and reports."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from numpy_nn.commands.gradcheck.arguments import parse
from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.files import UsageError, arguments, find, load, told_beside, with_which
from numpy_nn.gradcheck.inputs import Drawn, classes
from numpy_nn.gradcheck.page import to_html, to_json
from numpy_nn.gradcheck.report import CLOSE, RIGHT, WRONG, GradientReport, of_another_shape
from numpy_nn.gradcheck.sums_to_one import as_a_note
from numpy_nn.subjects.calls.dressing import with_keywords
from numpy_nn.subjects.calls.partials import with_bound
from numpy_nn.subjects.libraries.nodes import is_graph
from numpy_nn.subjects.libraries.primitives import is_primitive
from numpy_nn.subjects.losses.held_data import holds_data
from numpy_nn.subjects.names import TARGET, role_in_loss
from numpy_nn.subjects.signatures import positional, takes_any_number
from numpy_nn.subjects.source.surroundings import bare

_EXIT = {RIGHT: 0, CLOSE: 0, WRONG: 1}
_UNUSABLE = 2
_NEEDS_INPUT = "the following arguments are required: --input"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (sys.argv without its first by default); return the exit status."""
    return run(parse(arguments))


def run(options: argparse.Namespace) -> int:
    """Check and print; return the exit status."""
    is_judged = False
    try:
        report = _report(options)
        is_judged = True
    except UsageError as error:
        print(f"gradcheck: {error}", file=sys.stderr)
        return _UNUSABLE
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises
        told, last = _told(error)
        print(f"gradcheck: {told}", file=sys.stderr)
        report = GradientReport(options.target.rpartition(":")[2], [], [last], [], 0, 0.0)
    try:
        # First of all the files: whoever reads the report may stop before its end, as head does.
        for name, text in ((options.json, to_json), (options.html, to_html)):
            _write(name, text(report) if name else "")
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"gradcheck: {error}", file=sys.stderr)
        return _UNUSABLE
    finally:
        if is_judged:
            # A report that is asked for on stdout stands there alone.
            print(report, file=sys.stderr if "-" in (options.json, options.html) else sys.stdout)
    return _EXIT.get(report.verdict, _UNUSABLE)


def _write(name: str, text: str) -> None:
    if name == "-":
        print(text, end="")
    elif name:
        Path(name).write_text(text, encoding="utf-8")


def _report(options: argparse.Namespace) -> GradientReport:
    """The report on the target, whose ``b=3`` is an array of 3 numbers where it cannot be the number, or is no such."""
    numbers = [word for word in options.init if word.rpartition("=")[2].isdigit()]
    try:
        report = _checked(options)
    except UsageError:
        raise
    except Exception:
        named = [word for word in numbers if "=" in word]
        # The user's code may raise anything of arrays that he did not mean: what it raised first is raised again.
        with suppress(Exception):
            if named:
                return _with_arrays(options, named)
        raise
    # A gradient of so many numbers is that of an array; the number has one of a single number.
    reasons = [entry.reason for entry in report.entries]
    arrays = [word for word in numbers if of_another_shape((), (int(word.rpartition("=")[2]),)) in reasons]
    return _with_arrays(options, arrays) if arrays else report


def _with_arrays(options: argparse.Namespace, words: Sequence[str]) -> GradientReport:
    """The report where these words of ``--init``, which are whole numbers, are the lengths of arrays."""
    others = argparse.Namespace(**vars(options))
    others.init = [f"{word}:normal" if word in words else word for word in options.init]
    report = _checked(others)
    report.notes.append(f"--init: {', '.join(words)}: taken for the length of an array; the number is {words[0]}.0")
    return report


def _checked(options: argparse.Namespace) -> GradientReport:
    if not options.input and (options.torch or options.labels is not None or options.targets is not None):
        raise UsageError(_NEEDS_INPUT)
    rng = np.random.default_rng(options.seed)
    # Drawn before anything else draws, so that the same command always checks the same numbers.
    inputs = _inputs(options, rng)
    targets = _targets(options, rng)
    if options.torch:
        return _of_torch(options, inputs)
    target, notes = load(options.target, options.init, rng)
    if not options.input and not (holds_data(target) or is_graph(target)):
        raise UsageError(_NEEDS_INPUT)
    hints = with_which(options.target, target)  # what is said beside an error alone
    with told_beside(notes), told_beside(hints):
        inputs = _made(options, inputs, target)
        function = target[0] if isinstance(target, tuple) else target
        function = function.fun if is_primitive(function) else function  # which has names for its arguments
        if targets is not None and inspect.isroutine(bare(function)):
            hints += _told_of_targets(function, options.input)
        if any(one.name for one in options.input) and (isinstance(target, tuple) or inspect.isroutine(bare(target))):
            free, _ = with_bound(function, None)
            spec = positional(with_keywords(free))
            own = [] if spec is None else spec[0] + spec[1]
            # Those of f(theta, *args) have no names of their own, and are in the order given.
            if not takes_any_number(function):
                inputs = _in_order_of(bare(function).__name__, own, options.input, inputs)
                hints += _told_of_dicts(own, options.input, inputs)
            hints += _told_of_numbers(options.input)
        report = check_gradients(
            target,
            inputs[0] if len(inputs) == 1 and _is_of_floats(inputs[0]) else inputs or None,
            targets,
            parameters=dict(options.parameter) if options.parameter else None,
            constants=options.constant,
            samples=options.samples,
            seed=options.seed,
        )
    report.notes += notes
    if options.targets is not None and options.targets.kind == "normal":
        as_a_note(report)  # of a shape alone they are drawn somehow
    return report


def _is_of_floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _of_torch(options: argparse.Namespace, inputs: tuple[Any, ...]) -> GradientReport:
    """The same for a function or module of torch."""
    try:
        from torch_ref.gradcheck import from_command_line
        from torch_ref.tensor_function import argument_names
    except ModuleNotFoundError as error:
        raise UsageError(f"--torch: {error}") from None
    target, notes = find(options.target)
    with told_beside(notes):
        in_order, named = arguments(options.init, np.random.default_rng(options.seed))
        inputs = _made(options, inputs, target)
        if any(one.name for one in options.input):
            label = getattr(target, "__name__", type(target).__name__)
            inputs = _in_order_of(label, argument_names(target), options.input, inputs)
        report = from_command_line(
            target,
            inputs,
            init=in_order,
            settings=named,
            second=options.second,
            samples=options.samples,
            seed=options.seed,
        )
    report.notes += notes
    return report


def _inputs(options: argparse.Namespace, rng: np.random.Generator) -> tuple[Any, ...]:
    inputs = [None if one.code else one.draw(rng, options.scale) for one in options.input]
    if options.positive and inputs and isinstance(inputs[0], np.ndarray):
        inputs[0] = np.abs(inputs[0])
    return tuple(inputs)


def _targets(options: argparse.Namespace, rng: np.random.Generator) -> Any:
    if options.labels is not None:
        if options.labels < 1:
            raise UsageError(f"--labels: expected a number of classes >= 1, got {options.labels}")
        return classes(rng, options.labels, (options.input[0].shape[0],))
    if options.targets is None:
        return None
    wanted: Drawn = options.targets
    kind = "unit" if wanted.kind == "normal" else wanted.kind
    x, shape = options.input[0].shape, wanted.shape
    if len(x) == len(shape) == 2 and x[0] != shape[0] and x[1] == shape[1]:
        # Samples in columns: of each the probabilities, or the one 1, stand below each other.
        return np.ascontiguousarray(Drawn(wanted.name, shape[::-1], kind).draw(rng).T)
    return Drawn(wanted.name, shape, kind).draw(rng)


def _made(options: argparse.Namespace, inputs: tuple[Any, ...], target: Any) -> tuple[Any, ...]:
    """The inputs, with those made that are written as code, or for a class beside the target: values, and calls."""
    first = bare(target[0] if isinstance(target, tuple) else target)
    module = inspect.getmodule(first if inspect.isroutine(first) else type(first))
    made = []
    for one, value in zip(options.input, inputs, strict=True):
        try:
            made.append(one.made(value, vars(module) if module is not None else {}))
        except ValueError as error:
            raise UsageError(str(error)) from None
    return tuple(made)


def _in_order_of(label: str, own: Sequence[str], given: Sequence[Drawn], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs in the order of a function's own arguments; those without a name are the first that have none.

    Several with names that are none of its arguments' are the dict that one argument is, if one and no more is missing.
    """
    by_name = {one.name: value for one, value in zip(given, inputs, strict=True) if one.name}
    left = [name for name in own if name not in by_name]
    unnamed = [value for one, value in zip(given, inputs, strict=True) if not one.name]
    found = dict(zip(left, unnamed, strict=False)) | {name: by_name[name] for name in own if name in by_name}
    others = {name: value for name, value in by_name.items() if name not in own}
    missing = [name for name in own if name not in found]
    # Targets are no argument of --input.
    missing = [name for name in missing if role_in_loss(name) != TARGET] if len(missing) > 1 else missing
    if len(others) > 1 and len(missing) == 1:
        found[missing[0]] = others
    elif others or len(unnamed) > len(left):
        unknown = next(iter(others), "as many inputs")
        raise UsageError(f"--input: {label} takes {', '.join(own)}, not {unknown}")
    return tuple(found[name] for name in own if name in found)


def _told_of_dicts(own: Sequence[str], given: Sequence[Drawn], inputs: tuple[Any, ...]) -> Iterator[str]:
    """A line on an argument that got a dict of what has names that no argument has: it may be meant for a tuple."""
    shapes = {one.name: "x".join(map(str, one.shape)) for one in given}
    for name, value in zip(own, inputs, strict=False):
        if isinstance(value, dict) and name not in shapes and value.keys() <= shapes.keys():
            parts = ",".join(shapes[part] for part in value)
            yield f"{name} was given as a dict with {', '.join(value)}; a tuple of them is --input {name}={parts}"


def _told_of_targets(function: Any, given: Sequence[Drawn]) -> Iterator[str]:
    """A line on an argument that got the targets, though it is not called as they are and no input is given for it."""
    required = (positional(function) or ([], []))[0]
    left = [name for name in required if all(name != one.name for one in given)]
    missing = left[sum(not one.name for one in given) :]
    if len(missing) == 1 and role_in_loss(missing[0]) != TARGET:
        name = missing[0]
        yield (
            f"{name} was given the targets; an array for it is --input {name}=4x3, and what a function of the file "
            f'returns is --input "{name}=initialize(4,3)"'
        )


_OF_NUMBERS = re.compile(r"(^|_)(n|num|number|size|dim|count|classes|length|axis|index|target)(_|$)")


def _told_of_numbers(given: Sequence[Drawn]) -> Iterator[str]:
    """A line on each argument that is called as a number is and got an array of one axis."""
    for one in given:
        if len(one.shape) == 1 and one.kind == "normal" and not one.code and _OF_NUMBERS.search(one.name):
            array, number = f"an array of shape ({one.shape[0]},)", f"int({one.shape[0]})"
            yield f"{one.name} was given as {array}; the number is --input {one.name}={number}"


def _told(error: BaseException) -> tuple[str, str]:
    """What there is to say of an error, and its last line.

    That is the traceback from where the user's own code begins, or an installed package's, and the error.
    """
    if isinstance(error, SystemExit):
        line = f"your code ended the program with sys.exit({error.code}): nothing was checked"
        return line, line
    frames = traceback.extract_tb(error.__traceback__)
    kinds = [_whose(frame.filename) for frame in frames]
    start = next((kinds.index(kind) for kind in ("theirs", "installed") if kind in kinds), None)
    last = "".join(traceback.format_exception_only(error)).strip()
    if start is None:
        return last, last
    shown = "".join(traceback.format_list(frames[start:]))
    return f"the check stopped in your code:\n{shown}{last}", last


def _whose(filename: str) -> str:
    """Whether a file is the checker's or Python's, an installed package's, or the user's, as a layer of ours may be."""
    path, ours = Path(filename), Path(__file__).resolve().parents[2]
    rooms = *(ours / room for room in ("commands", "gradcheck", "subjects")), ours.parent / "torch_ref"
    packages, library = (map(sysconfig.get_path, kinds) for kinds in (("purelib", "platlib"), ("stdlib",)))
    if filename.startswith("<frozen") or any(map(path.is_relative_to, rooms)):
        return "ours"
    if any(map(path.is_relative_to, packages)):
        return "installed"
    return "ours" if any(map(path.is_relative_to, library)) else "theirs"
