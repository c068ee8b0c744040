"""What the command lines have in common: the parser, and the kinds of values."""

from __future__ import annotations

import argparse
import io
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn


def program(name: str) -> str:
    """What the user typed to run a command: ``numpy-nn NAME``, or a script of a checkout, such as ``benchmark.py``."""
    typed = Path(sys.argv[0]).name
    return typed if typed.endswith(".py") and not typed.startswith("__") else f"numpy-nn {name}"


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults where there are some, and leaves lines that begin with a blank, as examples do, as they are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        shown = action.default or action.default == 0
        return super()._get_help_string(action) if shown and action.default is not False else action.help

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill, filled = super()._fill_text, []
        for paragraph in text.split("\n\n"):
            prose, *examples = re.split(r"\n(?= )", paragraph)
            filled.append("\n".join([fill(prose, width, indent), *examples]))
        return "\n\n".join(filled)


class Parser(argparse.ArgumentParser):
    """That of a command, described by the first paragraph of its docstring; an error is one line, without the usage.

    ``examples`` are command lines without the program's name, which ``--help`` puts before them.
    """

    def __init__(self, name: str, doc: str | None, *, examples: Sequence[str] = (), **options: Any) -> None:
        options.setdefault("formatter_class", Formatter)
        options.setdefault("prog", f"{name}.py")
        if examples:
            lines = "".join(f"\n  %(prog)s {example}".rstrip() for example in examples)
            options["epilog"] = "\n\n".join([*filter(None, [options.get("epilog")]), f"Examples:{lines}"])
        super().__init__(description=(doc or "").split("\n\n")[0], **options)
        self.name = name

    def parse_known_args(self, *args: Any, **options: Any) -> Any:
        """As every parser's. From here on no letter ends the command that the output's encoding lacks.

        What is printed holds names of the user's, in any script; a letter is then written as its number, as Python does
        on the standard error.
        """
        if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
            sys.stdout.reconfigure(errors="backslashreplace")
        return super().parse_known_args(*args, **options)

    def error(self, message: str) -> NoReturn:
        """End with the exit status 2."""
        self.exit(2, f"{self.name}: {message}\n")


def number(
    kind: type, low: float = -math.inf, high: float = math.inf, *, above: float = -math.inf
) -> Callable[[str], Any]:
    """A parser for finite numbers of this kind with ``low <= value <= high`` and ``above < value``."""
    if -math.inf < low and high < math.inf:
        bounds = f" from {low:g} to {high:g}"
    else:
        bounds = f" > {above:g}" * (above > -math.inf) + f" >= {low:g}" * (low > -math.inf)

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and above < value and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"expected a {'whole ' * (kind is int)}number{bounds}, got {text!r}")
        return value

    return parse


def positive(kind: type) -> Callable[[str], Any]:
    """A parser for finite numbers > 0 of this kind."""
    return number(kind, above=0)


class Count(NamedTuple):
    """A number of threads; with ``auto``, the most of them to try, where None is as many as there are processors."""

    most: int | None
    auto: bool


def threads(text: str) -> Count:
    """The number of threads: ``auto``, ``auto:N`` for at most N, or N."""
    word, colon, most = text.rpartition(":")
    if text == "auto":
        return Count(None, True)
    if (colon and word != "auto") or not most.isdecimal() or int(most) < 1:
        raise argparse.ArgumentTypeError(f"expected auto, auto:N or a whole number > 0, got {text!r}")
    return Count(int(most), bool(colon))


def sizes(example: str, least: int = 2) -> Callable[[str], list[int]]:
    """A parser for sizes separated by commas, such as the ``example``, at least so many."""

    def parse(text: str) -> list[int]:
        try:
            values = [int(part) for part in text.split(",")]
        except ValueError:
            values = []
        if len(values) < least or min(values) < 1:
            some = {1: "one or more", 2: "two or more"}[least]
            raise argparse.ArgumentTypeError(f"expected {some} whole numbers > 0 such as {example}, got {text!r}")
        return values

    return parse


def listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    """A parser for names out of these, separated by commas."""

    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"expected names out of {', '.join(known)}; got {name!r}")
        return list(dict.fromkeys(names))

    return parse


def drawn(text: str) -> Any:
    """A parser for a random array, such as ``5x4`` or ``ids=6:int10`` (:func:`numpy_nn.gradcheck.inputs.drawn`)."""
    from numpy_nn.gradcheck import inputs  # loads NumPy, which --help can do without

    try:
        return inputs.drawn(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def in_a_line(error: BaseException) -> str:
    """What an error says; of a file, its name and what is wrong with it, without the system's number."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def not_compiled(error: RuntimeError) -> str:
    """What there is to say where ``torch.compile`` failed, told by the name, as torch may be missing; "" of others."""
    if all(kind.__name__ != "BackendCompilerFailed" for kind in type(error).__mro__):
        return ""
    what = str(error).partition("\n")[0].rstrip(".")
    return f"torch cannot compile here ({what}): it needs a C++ compiler, and to lie in a path without spaces"
