"""Check an answer to an exercise of the lessons, or show what is asked.

The answer is a Python file of your own that sets ``answer`` or defines what is asked for. What is wrong with it is said
in words; the solution is shown when it is asked for, and not before.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from numpy_nn.commands.command_line import Parser, program


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line. Which exercises there are is known only to what loads NumPy, :mod:`.command`."""
    parser = Parser(
        "exercise", __doc__, prog=program("exercise"), examples=("", "4.2", "4.2 my_answer.py", "4.2 --solution")
    )
    parser.add_argument("exercise", nargs="?", metavar="N.M", help="exercise M of lesson N; without it, all are listed")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="your answer; without it, what is asked")
    parser.add_argument("--solution", action="store_true", help="show a solution")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="English or Chinese")
    return parser.parse_args(arguments)
