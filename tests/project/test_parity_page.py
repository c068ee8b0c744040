"""What docs/parity.md shows is what happens, but for the last digits."""

import re
import shlex
from pathlib import Path

import pytest

from numpy_nn.commands.parity.command import main

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```{}\n(.*?)^```\n\n```\n(.*?)^```", re.MULTILINE | re.DOTALL)


def block(kind: str, text: str) -> tuple[str, str]:
    """The first example of a kind with an output: what is run, and what is said to be printed."""
    found = re.search(BLOCK.pattern.format(kind), text, BLOCK.flags)
    assert found is not None
    return found[1], found[2]


def steady(output: str) -> list[list[str]]:
    """The lines without the numbers that depend on the machine: where elements are worst, and by how much."""
    lines = []
    for line in output.splitlines():
        row = re.fullmatch(r"(.*?)  .* (same|differ)", line)
        lines.append([row[1], row[2]] if row else re.sub(r" and \d+ of \w+ and \d+ of \w+ in", "", line).split())
    return lines


def test_both_languages_show_the_same():
    pages = [(ROOT / page).read_text(encoding="utf-8") for page in ("docs/parity.md", "docs/zh/parity.md")]
    english, chinese = (re.findall(r"^```.*?^```", text, BLOCK.flags) for text in pages)
    assert english == chinese


@pytest.mark.slow
def test_what_the_page_shows_is_what_happens(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    file = re.search(r"^```python\n(.*?)^```", text, BLOCK.flags)
    assert file is not None
    (tmp_path / "my_mlp.py").write_text(file[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    command, shown = block("sh", text)
    assert main(shlex.split(command)[2:]) == 1
    assert steady(capsys.readouterr().out) == steady(shown)
    code, shown = re.findall(r"^```python\n(import numpy.*?^print.*?)^```\n\n```\n(.*?)^```", text, BLOCK.flags)[-1]
    exec(compile(code[code.rindex("import numpy") :], "<page>", "exec"), {})
    assert capsys.readouterr().out == shown
