"""Make the notebooks of docs/notebooks/ from the lessons: executed, with their figures, the same at every run.

A lesson stays the source. Its cells become those of the notebook, behind a first one that installs numpy_nn where it is
missing. What a notebook shows of a run is freed of what is another at the next: the seconds that something took are
shown as three dots, figures have few colours, so that a notebook stays small, and cells are numbered.

    scripts/notebooks.py                         all, in both languages
    scripts/notebooks.py scripts/lessons/lesson_2_xor.py
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LESSONS = ROOT / "scripts" / "lessons"
NOTEBOOKS = ROOT / "docs" / "notebooks"

# What pip is given where numpy_nn is missing. The repository has no public address yet: once it has, this is
# "numpy-nn[scripts] @ git+https://..." and nobody needs to fill it in.
PACKAGE = ""

FIRST_CELL = f'''\
# In a notebook that was copied, to Colab say, this installs numpy_nn and what the lessons draw with.
import importlib.util
import subprocess
import sys

PACKAGE = "{PACKAGE}"  # what pip is given: "numpy-nn[scripts] @ git+https://ADDRESS", or the folder of a checkout
if importlib.util.find_spec("numpy_nn") is None:
    if not PACKAGE:
        raise SystemExit("numpy_nn is not installed: write into PACKAGE above where pip finds it")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
'''

# The times that lessons and the gradient checker print, each with what stands around it.
TIMES = (
    re.compile(r"(\d evaluations, )[\d.e-]+( s)\b"),
    re.compile(r"(backpropagation: )[\d.]+( s)\b"),
    re.compile(r"(numerical derivatives: )\d+( hours)\b"),
    re.compile(r"(a step: )[\d.]+( ms)\b"),
)
COLOURS = 48


def all_lessons() -> list[Path]:
    """The English lessons and the Chinese ones."""
    return sorted(LESSONS.glob("lesson_*.py")) + sorted((LESSONS / "zh").glob("lesson_*.py"))


def notebook_of(lesson: Path) -> Path:
    """Where the notebook of a lesson lies."""
    return NOTEBOOKS / lesson.resolve().relative_to(LESSONS).with_suffix(".ipynb")


def without_times(text: str) -> str:
    """The text with three dots for each time that was measured."""
    for time in TIMES:
        text = time.sub(r"\1…\2", text)
    return text


def small(png: str) -> str:
    """A figure, in base64, with a palette of its own."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    written = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(written, "png", optimize=True)
    return base64.b64encode(written.getvalue()).decode("ascii")


def kept(outputs: Sequence[Any]) -> list[Any]:
    """The outputs of a cell as they are kept: what was printed in one piece, however it came, and figures alone."""
    found: list[Any] = []
    for output in outputs:
        if output["output_type"] != "stream":
            # What says in words that there is a figure is different in every version of matplotlib.
            output["data"] = {kind: small(data) for kind, data in output["data"].items() if kind == "image/png"}
            output["metadata"] = {}
        elif found and found[-1].get("name") == output["name"]:
            found[-1]["text"] += output["text"]
            continue
        found.append(output)
    for output in found:
        if output["output_type"] == "stream":
            output["text"] = without_times(output["text"])
    return found


def made(lesson: Path) -> Any:
    """The executed notebook of a lesson."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(lesson, fmt="py:percent")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST_CELL.strip()))
    for number, cell in enumerate(notebook.cells):
        # The site leaves the first cell out.
        cell |= {"id": f"cell-{number}", "metadata": {} if number else {"tags": ["remove-cell"]}}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", record_timing=False, resources={"metadata": {"path": folder}}
        )
        client.execute()
    for cell in notebook.cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = kept(cell["outputs"])
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("lessons", nargs="*", type=Path, metavar="LESSON", help="which; without any, all")
    for lesson in parser.parse_args(arguments).lessons or all_lessons():
        import nbformat

        from numpy_nn.commands.command_line import in_a_line

        path = notebook_of(lesson)
        text = nbformat.writes(made(lesson))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8", newline="\n")
        except OSError as error:
            print(f"notebooks: {in_a_line(error)}", file=sys.stderr)
            return 2
        print(f"written: {path.relative_to(ROOT)} ({path.stat().st_size / 1000:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
