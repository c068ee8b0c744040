"""What docs/gradcheck.md shows is what happens: its files, its commands and its Python are run, section by section."""

import re
from pathlib import Path

import pytest
from forms import FORMS

from numpy_nn.gradcheck.__main__ import main

ROOT = Path(__file__).parents[2]
PAGES = ["docs/gradcheck.md", "docs/zh/gradcheck.md"]
COMMAND = ".venv/bin/python -m numpy_nn.gradcheck "


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def steps(text):
    """What there is to do: ("file", name, code), ("python", code, shown) and ("sh", command, shown)."""
    found = []
    for before, language, code in re.findall(r"(?:^|(?<=```\n))(.*?)^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        name = re.search(r"`(\w+\.py)`[^`]*\Z", before)
        if language == "python" and name:
            found.append(("file", name[1], code))
        elif language == "python":
            found.append(["python", code, ""])
        elif language == "sh":
            found += [["sh", line.removeprefix(COMMAND), ""] for line in code.splitlines() if line.startswith(COMMAND)]
        elif not language:
            found[-1][2] = code
    return found


def steady(report):
    """The report without what depends on the machine: of a right gradient the numbers, of all the bounds and times."""
    lines = []
    for line in report.splitlines():
        row = re.fullmatch(r"  (\S+) +right .*?( [\d,]+)", line)
        text = f"{row[1]} right {row[2]}" if row else re.sub(r"\d\.?\d*e-\d+|[\d.]+ s$|[\d,]+ evaluations", "", line)
        lines.append(text.split())
    return lines


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_shows_is_what_happens(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {}
    for kind, what, more in steps(read(page)):
        if kind == "file":
            Path(what).write_text(more, encoding="utf-8")
            continue
        if kind == "sh":
            status = main(what.split())
        else:
            exec(compile(what, page, "exec"), names)
        said = capsys.readouterr()
        if more:
            assert steady(said.out + said.err) == steady(more), what
        if kind == "sh":
            verdict = (said.out.splitlines() or [""])[0].rpartition(" ")[2]
            assert verdict == "RIGHT" or more, f"{what}: {said.out}{said.err}"
            assert status == {"RIGHT": 0, "WRONG": 1}.get(verdict, 2)


def test_the_page_has_files_commands_and_code_that_are_run():
    kinds = [step[0] for step in steps(read(PAGES[0]))]
    assert [kinds.count(kind) >= least for kind, least in (("file", 3), ("sh", 8), ("python", 2))] == [True] * 3


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_have_every_form_that_is_tested_once(page):
    tables = re.findall(r"^\| .* \| .* \| (`.*`) \|$", read(page), re.MULTILINE)
    shown = [name for cell in tables for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(shown) == sorted(FORMS)
