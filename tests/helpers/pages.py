"""The examples of a page of Markdown: the files, commands and Python that it shows, run as a reader would run them."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from numpy_nn.commands.gradcheck.command import main

COMMAND = ".venv/bin/python -m numpy_nn.gradcheck "


class Example(NamedTuple):
    """A file to write (``kind`` is "file"), or Python or a command ("python", "sh") and what it is said to print."""

    kind: str
    code: str
    shown: str = ""
    name: str = ""


def examples(text: str) -> Iterator[Example]:
    """The examples of a page in their order. A file is Python under the words `` `name.py`: ``."""
    waiting: Example | None = None
    for before, language, code in re.findall(r"(?:\A|(?<=^```\n))(.*?)^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if not language:
            assert waiting is not None, f"an output without a command: {code}"
            yield waiting._replace(shown=code)
            waiting = None
            continue
        if waiting is not None:
            yield waiting
            waiting = None
        name = re.search(r"`(\w+\.py)`[:：]\n\n\Z", before)
        if language == "python" and name:
            yield Example("file", code, name=name[1])
        elif language == "python":
            waiting = Example("python", code)
        elif language == "sh":
            *others, last = [line.removeprefix(COMMAND) for line in code.splitlines() if line.startswith(COMMAND)]
            yield from (Example("sh", line) for line in others)
            waiting = Example("sh", last)
    if waiting is not None:
        yield waiting


def write_files(text: str, folder: Path) -> None:
    """The files that a page shows, in this folder."""
    for example in examples(text):
        if example.kind == "file":
            (folder / example.name).write_text(example.code, encoding="utf-8")


def run_examples(text: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Run what the text shows, in the present folder, and hold it to what it is said to print.

    Python shares ``names``. A command without an output has to find everything right.
    """
    for example in examples(text):
        if example.kind == "file" or _misses_a_package(example.code):
            continue
        if example.kind == "python":
            exec(compile(example.code, "<page>", "exec"), names)
            said = "".join(capsys.readouterr())
        else:
            status = main(shlex.split(example.code))
            said = "".join(capsys.readouterr())
            verdict = said.partition("\n")[0].rpartition(" ")[2]
            assert verdict == "RIGHT" or example.shown, f"{example.code}: {said}"
            assert status == {"RIGHT": 0, "WRONG": 1}.get(verdict, 2)
        if example.shown:
            assert steady(said) == steady(example.shown), f"{example.code}: {said}"


def _misses_a_package(code: str) -> bool:
    """Whether it is Python for a framework that is not installed here."""
    wanted = re.findall(r"^(?:import|from) (jax|torch|autograd)\b", code.replace("torch_ref", "torch"), re.MULTILINE)
    return any(find_spec(package) is None for package in wanted)


def steady(report: str) -> list[list[str]]:
    """The report without what depends on the machine: of a right gradient the numbers, of all the bounds and times."""
    lines = []
    for line in report.splitlines():
        row = re.fullmatch(r"  (\S+) +right .*?( [\d,]+)", line)
        text = f"{row[1]} right {row[2]}" if row else re.sub(r"\d\.?\d*e-\d+|[\d.]+ s$|[\d,]+ evaluations", "", line)
        lines.append(text.split())
    return lines
