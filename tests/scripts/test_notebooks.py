"""The notebooks hold the lessons' own cells, were run, and show nothing of the machine or of the day."""

import base64
import importlib.util
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import needs
import pytest

from scripts import notebooks

ROOT = Path(__file__).parents[2]
LESSONS = notebooks.all_lessons()
NAMES = [str(lesson.relative_to(notebooks.LESSONS)) for lesson in LESSONS]


def cells_of(lesson):
    """The kind and the source of each cell of a lesson."""
    found = []
    for cell in re.split(r"^(?=# %%)", lesson.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, *lines = cell.rstrip("\n").split("\n")
        text = heading == "# %% [markdown]"
        found.append(("markdown" if text else "code", "\n".join(line[2:] if text else line for line in lines)))
    return found


def cells_in(notebook):
    return [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]


def outputs_in(notebook):
    return [output for cell in notebook["cells"] for output in cell.get("outputs", ())]


@pytest.fixture(params=LESSONS, ids=NAMES)
def lesson(request):
    return request.param


@pytest.fixture
def notebook(lesson):
    return json.loads(notebooks.notebook_of(lesson).read_text(encoding="utf-8"))


def test_its_cells_are_the_lesson_s_behind_one_that_installs(lesson, notebook):
    first, *others = cells_in(notebook)
    assert first == ("code", notebooks.FIRST_CELL.strip())
    assert others == cells_of(lesson)


def test_it_was_run_to_the_end_and_complained_of_nothing(notebook):
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    for output in outputs_in(notebook):
        assert output["output_type"] == "display_data" or output.get("name") == "stdout"
    # Every figure is there: a cell that shows one shows no word instead.
    shows = [cell for cell in notebook["cells"] if "lesson.show(" in "".join(cell["source"])]
    assert shows
    for cell in shows:
        assert cell["outputs"][-1]["data"].keys() == {"image/png"}


def test_it_shows_nothing_of_the_machine_and_no_time(notebook):
    printed = "".join("".join(output.get("text", ())) for output in outputs_in(notebook))
    assert printed
    assert not re.search(r"(?<![\w.])/\w+/\w|[A-Z]:\\|site-packages", printed)
    assert not re.search(r"\d (s|ms|hours)\b", printed)
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert all(cell["metadata"].keys() <= {"tags"} for cell in notebook["cells"])


def test_it_is_small_enough_to_be_looked_at_anywhere(lesson):
    assert notebooks.notebook_of(lesson).stat().st_size < 200_000


def test_a_copy_of_it_finds_all_that_it_imports(notebook):
    code = "\n".join(source for kind, source in cells_in(notebook) if kind == "code")
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", code, re.MULTILINE))
    # torch where it is installed: the lessons are run without it too, in tests/project.
    assert imported - sys.stdlib_module_names <= {"numpy", "numpy_nn", "torch_ref", "torch"}


def test_every_notebook_has_its_lesson():
    assert {notebooks.notebook_of(lesson) for lesson in LESSONS} == set(notebooks.NOTEBOOKS.rglob("*.ipynb"))


def test_the_first_cell_installs_the_package_where_it_is_missing(monkeypatch):
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append((command, check)))
    exec(notebooks.FIRST_CELL, {})
    assert commands == []  # numpy_nn is here
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="numpy_nn is not installed: write into PACKAGE above"):
        exec(notebooks.FIRST_CELL.replace(f'"{notebooks.PACKAGE}"', '""', 1), {})
    exec(notebooks.FIRST_CELL.replace(f'"{notebooks.PACKAGE}"', '"a folder"', 1), {})
    assert commands == [([sys.executable, "-m", "pip", "install", "--quiet", "a folder"], True)]


def test_times_are_left_out_and_nothing_else():
    printed = "  165 evaluations, 0.069 s\n4690 steps by backpropagation: 3.4 s\nnumerical derivatives: 48 hours; 12"
    assert notebooks.without_times(f"{printed} bytes; a step: 26.7 ms") == (
        "  165 evaluations, … s\n4690 steps by backpropagation: … s\nnumerical derivatives: … hours; 12 bytes; "
        "a step: … ms"
    )


@needs.book
@pytest.mark.slow
def test_a_lesson_is_run_and_what_it_printed_in_pieces_is_one(tmp_path):
    import numpy as np
    from PIL import Image

    path = tmp_path / "lesson.py"
    path.write_text(
        "# %% [markdown]\n# # A lesson\n\n# %%\nimport sys\n\nprint('1 evaluations, 0.5 s')\nsys.stdout.flush()\n"
        "print('two')\n\n\n# %%\nfrom numpy_nn.lessons import command_line, plotting\n\n"
        "lesson = command_line.start('a-lesson')\nfigure, axes = plotting.panels()\nlesson.show(figure)\n",
        encoding="utf-8",
    )
    notebook = notebooks.made(path)
    assert cells_in(notebook)[1:] == cells_of(path)
    assert [cell["id"] for cell in notebook.cells] == ["cell-0", "cell-1", "cell-2", "cell-3"]
    printed, shown = outputs_in(notebook)
    assert printed["text"] == "1 evaluations, … s\ntwo\n"
    image = Image.open(io.BytesIO(base64.b64decode(shown["data"]["image/png"])))
    assert image.mode == "P"
    assert np.asarray(image).max() < notebooks.COLOURS


@needs.book
def test_a_notebook_that_cannot_be_written_is_one_line(monkeypatch, tmp_path, capsys):
    import nbformat

    (tmp_path / "lesson_1_perceptron.ipynb").mkdir()
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(notebooks, "made", lambda _: nbformat.v4.new_notebook())
    assert notebooks.main([str(notebooks.LESSONS / "lesson_1_perceptron.py")]) == 2
    assert capsys.readouterr().err == f"notebooks: {tmp_path / 'lesson_1_perceptron.ipynb'}: Is a directory\n"
