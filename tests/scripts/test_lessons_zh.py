"""The Chinese lessons: the same code and formulas as the English ones, every text translated."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH = sorted((ROOT / "scripts" / "lessons").glob("lesson_*.py"), key=lambda path: int(path.stem.split("_")[1]))


def sync(folder, *arguments):
    """The finished process of the tool in a folder of lessons."""
    command = [sys.executable, str(folder / "zh" / "sync.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def texts(lesson):
    """The markdown cells."""
    return re.findall(r"^# %% \[markdown\]\n((?:#.*\n)+)", lesson.read_text(encoding="utf-8"), re.MULTILINE)


def formulas(lesson):
    """The displayed formulas without the words and line breaks in them."""
    displayed = re.findall(r"\$\$(.*?)\$\$", "".join(texts(lesson)), re.DOTALL)
    return ["".join(re.sub(r"\\text\{.*?\}|#", "", formula).split()) for formula in displayed]


@pytest.mark.slow
def test_the_code_is_the_english_one():
    done = sync(ROOT / "scripts" / "lessons", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_code_that_drifted_is_found_and_put_right(tmp_path):
    folder = tmp_path / "lessons"
    shutil.copytree(ROOT / "scripts" / "lessons", folder)
    name = ENGLISH[1].name
    lesson = folder / "zh" / name
    right = lesson.read_text(encoding="utf-8")
    lesson.write_text(right.replace("lr=2.0", "lr=1.9"), encoding="utf-8")
    done = sync(folder, "--check")
    assert done.returncode == 1
    assert done.stdout == f"{name}: differs from the English code\n"
    assert sync(folder).returncode == 0
    assert lesson.read_text(encoding="utf-8") == right
    lesson.write_text(right.replace("# %% [markdown]\n", "# %%\n", 1), encoding="utf-8")
    done = sync(folder)
    assert done.returncode == 2
    assert done.stderr.startswith(f"sync: {name}: expected cells text code")


@pytest.mark.parametrize("english", ENGLISH, ids=lambda path: path.stem)
def test_every_text_is_translated_and_every_formula_kept(english):
    chinese = english.parent / "zh" / english.name
    assert len(texts(chinese)) == len(texts(english))
    for ours, theirs in zip(texts(chinese), texts(english), strict=True):
        assert re.search(r"[\u4e00-\u9fff]", ours)
        assert ours.count("\n# ## ") == theirs.count("\n# ## ")
    assert formulas(chinese) == formulas(english)


@pytest.mark.slow
def test_a_chinese_lesson_runs_where_it_stands_and_out_may_name_the_file(tmp_path):
    # The quickest one. Its options are the English one's.
    lesson = ENGLISH[6].parent / "zh" / ENGLISH[6].name
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(lesson), "--out", str(tmp_path / "new" / "figure.svg")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["figure.svg"]
