"""What the README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

import needs
import pytest

ROOT = Path(__file__).parents[2]


def blocks(section):
    """The code blocks of a section of the README, as pairs of language and text."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^## {section}\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```(\w*)\n(.*?)^```", body, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_student_s_layer_gets_the_diagnosis_that_is_printed(tmp_path):
    (_, layer), (_, command), (_, shown), *_ = blocks("Check your own gradients")
    (tmp_path / "my_layers.py").write_text(layer)
    arguments = command.split()[1:]
    run = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    # Bounds are measured from rounding errors and times from a clock: those may differ in their digits.
    assert steady(run.stdout) == steady(shown)


def steady(text):
    """The report without what depends on the machine."""
    return re.sub(r"\d\.?\d*e-\d+|[\d.]+ s$|[\d,]+ evaluations| +", " ", text, flags=re.MULTILINE).split()


@needs.torch
@pytest.mark.slow
def test_the_code_in_the_readme_runs(tmp_path):
    code = [text for language, text in blocks("In code") if language == "python"]
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    loss, accuracy = map(float, run.stdout.splitlines()[0].split())
    assert loss < 0.1
    assert accuracy > 0.95
    assert "input" in run.stdout


def test_every_file_stands_on_the_map():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for package in ("torch_ref", "scripts"):
        for path in (ROOT / package).glob("*.py"):
            named = f"`{path.name}`" in text or f"`{package}/{path.name}`" in text
            assert named or path.name == "__init__.py", f"{package}/{path.name} is not in the README's map"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_file_of_a_room_stands_in_the_room_s_line(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    rooms = {
        room: set(re.findall(r"`(\w+\.py)`", what)) for room, what in re.findall(r"^\| `(.*?)/` \|(.*)", text, re.M)
    }
    found = [path.relative_to(ROOT) for path in (ROOT / "numpy_nn").rglob("*.py") if path.name != "__init__.py"]
    for folder in {path.parent for path in found}:
        assert rooms[folder.as_posix()] == {path.name for path in found if path.parent == folder}
