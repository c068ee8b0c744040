"""What docs/gradcheck.md shows is what happens: its files, its commands and its Python are run."""

import re
from pathlib import Path

import pytest
from pages import examples, run_examples, write_files

from scripts.proof.forms import FORMS

ROOT = Path(__file__).parents[2]
PAGES = ["docs/gradcheck.md", "docs/zh/gradcheck.md"]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.numerical
def test_what_the_page_shows_is_what_happens(tmp_path, monkeypatch, capsys):
    text = read(PAGES[0])
    write_files(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    run_examples(text, {}, capsys)


def test_the_chinese_page_shows_the_same():
    english, chinese = ([without_comments(example) for example in examples(read(page))] for page in PAGES)
    assert english == chinese


def without_comments(example):
    """The example without what a translation changes."""
    return example._replace(code=re.sub(r" *#.*", "", example.code))


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_files_commands_and_code_that_are_run(page):
    kinds = [example.kind for example in examples(read(page))]
    assert [kinds.count(kind) >= least for kind, least in (("file", 3), ("sh", 8), ("python", 2))] == [True] * 3


@pytest.mark.parametrize("page", PAGES)
def test_the_tables_have_every_form_that_is_tested_once(page):
    tables = re.findall(r"^\| .* \| .* \| (`.*`) \|$", read(page), re.MULTILINE)
    shown = [name for cell in tables for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(shown) == sorted(FORMS)
