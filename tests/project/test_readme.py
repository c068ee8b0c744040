"""What the README and the pages of docs/ show is what happens."""

import re
from pathlib import Path

import needs
import pytest
from pages import examples, run_examples, write_files

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh-CN.md"]
# The pages that there are in both languages; CONTRIBUTING.md has more to say in English.
TWINS = [
    ("README.md", "README.zh-CN.md"),
    *[(f"docs/{path.name}", f"docs/zh/{path.name}") for path in sorted((ROOT / "docs" / "zh").glob("*.md"))],
]
SHORTER = {"docs/zh/setup.md", "docs/zh/contributing.md"}
PAGES = sorted(
    {*READMES, "CONTRIBUTING.md", *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md"))}
)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text):
    """The code blocks, as pairs of language and text."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def section(name, title):
    """The text under a heading of a page."""
    (body,) = re.findall(rf"^## {title}\n(.*?)^## ", read(name), re.MULTILINE | re.DOTALL)
    return body


@pytest.mark.parametrize("name", READMES)
def test_a_readme_is_read_in_five_minutes(name):
    # In UTF-8, where a Chinese character takes three bytes.
    assert len((ROOT / name).read_bytes()) <= 9000


def test_the_readme_asks_about_the_student_s_layer_as_its_page_does():
    asked = [
        next(example.code for example in examples(text) if example.kind == "sh")
        for text in (section("README.md", "Check your own gradients"), read("docs/gradcheck.md"))
    ]
    assert asked[0] == asked[1]


# The Chinese README has the same code, as another test sees.
@needs.torch
@pytest.mark.slow
def test_the_code_in_the_readme_runs(tmp_path):
    titles = "In code", "The twin in torch, and every number compared"
    code = [text for title in titles for language, text in blocks(section("README.md", title)) if language == "python"]
    # As bytes: an argument would go through the locale.
    (tmp_path / "shown.py").write_text("\n".join(code), encoding="utf-8")
    # Forked from a process that has torch: to import it takes twice as long as all that the code does.
    from ranks import finished

    status, output, complaints = finished("shown.py", cwd=tmp_path)
    assert status == 0, complaints
    loss, accuracy = map(float, output.splitlines()[0].split())
    assert loss < 0.1
    assert accuracy > 0.95
    assert "input" in output


CHECKS = [("README.md", "Check your own gradients"), ("README.zh-CN.md", "检验你自己的梯度")]


@pytest.mark.parametrize(("name", "title"), CHECKS)
def test_the_check_in_the_readme_prints_what_is_shown(name, title, tmp_path, monkeypatch, capsys):
    write_files(read("docs/gradcheck.md"), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with_numpy, with_torch = parts(section(name, title))
    assert "RIGHT" in with_numpy
    assert "from torch_ref import gradcheck" in with_torch
    run_examples(with_numpy, {}, capsys)


@needs.torch
@pytest.mark.parametrize(("name", "title"), CHECKS)
def test_the_check_of_a_torch_function_in_the_readme_runs(name, title, capsys):
    given = """
import torch


class MyFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * grad_output * ctx.saved_tensors[0]


x = torch.ones(2, 3, requires_grad=True)
"""
    names: dict[str, object] = {}
    exec(given, names)
    _, with_torch = parts(section(name, title))
    (code,) = [text for _, text in blocks(with_torch)]
    exec(code, names)
    assert ": RIGHT" in capsys.readouterr().out


def parts(text):
    """The Python of a section, each block with the output that follows it."""
    return re.findall(r"^```python\n.*?^```\n(?:\n```\n.*?^```\n)?", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_scripts_and_targets_that_are_shown_are_there(name):
    shown = "\n".join(text for language, text in blocks(read(name)) if language in ("sh", "powershell"))
    for script in re.findall(r"(?<![\w/])scripts[/\\][\w/\\]+\.py", shown):
        assert (ROOT / script.replace("\\", "/")).is_file(), script
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", shown, re.MULTILINE)) <= targets


@pytest.mark.parametrize(("english", "chinese"), [pair for pair in TWINS if pair[1] not in SHORTER])
def test_both_languages_have_the_same_code_figures_and_headings(english, chinese):
    found = []
    for name in (english, chinese):
        text = read(name).replace("lessons/zh/", "lessons/").replace("](../figures/", "](figures/")
        code = [re.sub(r" *#.*", "", shown) for _, shown in blocks(text)]
        figures = re.findall(r"!\[.*?\]\((.*?)\)", text)
        found.append((code, figures, text.count("\n## "), text.count("\n| ")))
    assert found[0] == found[1]


@pytest.mark.parametrize(("english", "chinese"), [(e, c) for e, c in TWINS if c in SHORTER])
def test_a_shorter_page_shows_what_the_english_one_does(english, chinese):
    english = {"docs/contributing.md": "CONTRIBUTING.md"}.get(english, english)
    lines = [re.sub(r" *#.*", "", line) for _, shown in blocks(read(english)) for line in shown.splitlines()]
    for _, shown in blocks(read(chinese)):
        assert {re.sub(r" *#.*", "", line) for line in shown.splitlines()} <= set(lines)


@pytest.mark.parametrize("name", ["docs/map.md", "docs/zh/map.md"])
def test_every_file_stands_on_the_map(name):
    text = read(name)
    for package in ("torch_ref", "scripts"):
        for path in (ROOT / package).glob("*.py"):
            named = f"`{path.name}`" in text or f"`{package}/{path.name}`" in text
            assert named or path.name == "__init__.py", f"{package}/{path.name} is not on the map"


@pytest.mark.parametrize("name", ["docs/map.md", "docs/zh/map.md"])
def test_every_file_of_a_room_stands_in_the_room_s_line(name):
    rooms = {
        room: set(re.findall(r"`(\w+\.py)`", what))
        for room, what in re.findall(r"^\| `(.*?)/` \|(.*)", read(name), re.M)
    }
    found = [path.relative_to(ROOT) for path in (ROOT / "numpy_nn").rglob("*.py") if path.name != "__init__.py"]
    # What each command's room has is said once, in the line of all of them.
    common = {"arguments.py", "command.py"}
    for folder in {path.parent for path in found}:
        in_folder = {path.name for path in found if path.parent == folder}
        assert rooms.get(folder.as_posix(), set()) - common == in_folder - common
