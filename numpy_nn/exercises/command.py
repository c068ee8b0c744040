"""What ``numpy-nn exercise`` does: list, ask, check, show a solution."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence

from numpy_nn.exercises.arguments import parse
from numpy_nn.exercises.listed import EXERCISES
from numpy_nn.exercises.solutions import SOLUTIONS


def run(args: argparse.Namespace) -> int:
    """0 if the answer is right or nothing was answered, 1 if it is wrong, 2 if it cannot be run or answers nothing."""
    chinese = args.language == "zh"
    if chinese and not _has_chinese(sys.stdout.encoding):
        print(
            f"exercise: the output's encoding, {sys.stdout.encoding}, has no Chinese; set PYTHONIOENCODING=utf-8",
            file=sys.stderr,
        )
        return 2
    if args.exercise is None:
        for number, exercise in EXERCISES.items():
            print(f"{number}  {exercise.text[chinese]}")
        return 0
    if args.exercise not in EXERCISES:
        known = ", ".join(EXERCISES)
        print(f"exercise: argument N.M: expected one of {known}, got {args.exercise}", file=sys.stderr)
        return 2
    exercise = EXERCISES[args.exercise]
    if args.solution:
        print(SOLUTIONS[args.exercise], end="")
        return 0
    if args.file is None:
        print(exercise.text[chinese])
        return 0
    try:
        answer = runpy.run_path(str(args.file))
    except Exception as error:  # whatever stands in the reader's file
        print(f"exercise: {args.file} cannot be run: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    complaints = exercise.check(answer)
    if not complaints:
        print("对。" if chinese else "Right.")
        return 0
    print("还不对：" if chinese else "Not yet:")
    for complaint in complaints:
        print(f"  {complaint[chinese]}")
    return 1


def _has_chinese(encoding: str | None) -> bool:
    try:
        "对".encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (sys.argv without its first by default); return the exit status."""
    return run(parse(arguments))
