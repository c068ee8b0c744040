"""The pages of the site, gathered from the repository into a folder, with their links made those of the site."""

from __future__ import annotations

import html
import posixpath
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.book.reference import TITLES, Name, public_names

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\s*<?([^)\s>]+)>?\s*\)")
FENCE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
STEP_PAGE = "trace-4-5-3.html"


@dataclass(frozen=True)
class Language:
    """One of the two: where its site lies in the other's terms, and what stands around its pages."""

    code: str
    readme: str
    docs: str
    up: str  # from its front page to the English one
    words: dict[str, str] = field(hash=False)

    def page_of(self, path: str) -> str | None:
        """The page of the site, without its suffix, that a file of the repository becomes in this language."""
        if path == self.readme:
            return "index"
        for folder, prefix, suffix in ((self.docs, "", ".md"), (f"docs/notebooks{self.lessons}", "lessons/", ".ipynb")):
            if posixpath.dirname(path) == folder and path.endswith(suffix):
                return prefix + posixpath.basename(path).removesuffix(suffix)
        return {"CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}.get(path) if self.code == "en" else None

    @property
    def lessons(self) -> str:
        """What follows docs/notebooks."""
        return "" if self.code == "en" else "/zh"


ENGLISH = Language(
    "en",
    "README.md",
    "docs",
    "",
    {
        "lessons": "Lessons",
        "subjects": "Subjects",
        "project": "The project",
        "reference": "Reference",
        "step": "A backward pass, step by step",
        "step_text": "A recorded training step of a network of 4, 5 and 3 units, forward, backward and update. Any "
        "number can be asked where it comes from; change one, and everything follows.",
        "step_alone": "The page by itself",
        "reference_text": "Every public name, {count} of them, from the docstrings of the code.",
    },
)
CHINESE = Language(
    "zh",
    "README.zh-CN.md",
    "docs/zh",
    "../",
    {
        "lessons": "课程",
        "subjects": "专题",
        "project": "项目",
        "reference": "参考手册",
        "step": "一步一步看反向传播",
        "step_text": "一个 4-5-3 网络的一步训练的记录：前向、反向、更新。"
        "任何一个数都可以问它从哪里来；改动一个，其余都跟着变。",
        "step_alone": "单独打开网页",
        "reference_text": "全部 {count} 个公开的名字。"
        "说明取自程序的文档字符串，是英文的；每个名字都链接到它在英文站点里的位置。",
    },
)
LANGUAGES = (ENGLISH, CHINESE)
PROJECT = ("setup", "map", "contributing", "changelog")


def _target(link: str, source: str, page: str, language: Language) -> tuple[str, str]:
    """What a link of a file becomes on its page: "page", "site" for the other language's, "figure", "gone"; where."""
    name, _, anchor = link.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name)) if name else source
    here = posixpath.dirname(page) or "."
    ending = f"#{anchor}" if anchor else ""
    if posixpath.basename(path) == STEP_PAGE:
        return "page", posixpath.relpath("backward-pass", here) + ".md"
    if path.startswith("docs/figures/"):
        return "figure", posixpath.relpath(path.removeprefix("docs/"), here)
    found = language.page_of(path)
    if found is not None:
        return "page", posixpath.relpath(found, here) + (".ipynb" if path.endswith(".ipynb") else ".md") + ending
    for other in LANGUAGES:
        found = other.page_of(path)
        if found is not None:
            prefix = language.up if other is ENGLISH else f"{other.code}/"
            return "site", posixpath.relpath(".", here) + "/" + prefix + found + ".html" + ending
    return "gone", ""


def with_links_of_the_site(text: str, source: str, page: str, language: Language) -> str:
    """A page of the repository with its links made the site's. What is not part of the site stays as its words."""

    def changed(match: re.Match[str]) -> str:
        image, words, link = match.groups()
        if re.match(r"[a-z]+:", link):
            return match[0]
        kind, target = _target(link, source, page, language)
        if kind in ("page", "figure"):
            return f"{image}[{words}]({target})"
        return f'<a href="{html.escape(target)}">{words}</a>' if kind == "site" else words

    # A link may have code among its words, so that only what stands in code is left out.
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\x00{len(kept) - 1}\x00"

    changed_text = LINK.sub(changed, FENCE.sub(keep, text))
    return re.sub("\x00(\\d+)\x00", lambda match: kept[int(match[1])], changed_text)


def _toctree(caption: str, entries: Sequence[str], hidden: bool = True) -> str:
    lines = [
        "",
        "```{toctree}",
        f":caption: {caption}",
        ":maxdepth: 1",
        *[":hidden:"] * hidden,
        "",
        *entries,
        "```",
        "",
    ]
    return "\n".join(lines)


def gather(language: Language, folder: Path) -> list[str]:
    """Write the pages of one language into a folder; their names, for the other language to link to."""
    names: list[str] = []
    files = [
        language.readme,
        *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / language.docs).glob("*.md"))),
    ]
    files += ["CONTRIBUTING.md", "CHANGELOG.md"] if language is ENGLISH else []
    for file in files:
        page = language.page_of(file)
        assert page is not None
        text = (ROOT / file).read_text(encoding="utf-8")
        _write(folder / f"{page}.md", with_links_of_the_site(text, file, page, language))
        names.append(page)
    notebooks = (ROOT / f"docs/notebooks{language.lessons}").glob("*.ipynb")
    for notebook in sorted(notebooks, key=lambda path: int(path.stem.split("_")[1])):
        (folder / "lessons").mkdir(exist_ok=True)
        shutil.copyfile(notebook, folder / "lessons" / notebook.name)
        names.append(f"lessons/{notebook.stem}")
    shutil.copytree(ROOT / "docs" / "figures", folder / "figures", dirs_exist_ok=True)
    # A copy, as Sphinx writes what it makes of a catalogue beside it.
    shutil.copytree(ROOT / "scripts" / "book" / "locales", folder / "locales", dirs_exist_ok=True)
    # The page is the same in both languages, and says in one place with which of them it begins.
    step = (ROOT / "docs" / STEP_PAGE).read_text(encoding="utf-8")
    _write(folder / STEP_PAGE, step.replace('data-lang="en"', f'data-lang="{language.code}"', 1))
    words = language.words
    _write(
        folder / "backward-pass.md",
        f'# {words["step"]}\n\n{words["step_text"]}\n\n<a href="{STEP_PAGE}">{words["step_alone"]}</a>\n\n'
        f'<iframe class="page" src="{STEP_PAGE}" title="{words["step"]}"></iframe>\n',
    )
    reference = _reference(language, folder)
    names += ["backward-pass", *reference]
    subjects = [
        name for name in names if "/" not in name and name not in ("index", "lessons", *PROJECT, "backward-pass")
    ]
    trees = [
        _toctree(
            words["lessons"], ["lessons", *(name for name in names if name.startswith("lessons/")), "backward-pass"]
        ),
        _toctree(words["subjects"], subjects),
        _toctree(words["reference"], reference),
        _toctree(words["project"], [name for name in PROJECT if name in names]),
    ]
    front = folder / "index.md"
    _write(front, front.read_text(encoding="utf-8") + "\n" + "\n".join(trees))
    return names


def _reference(language: Language, folder: Path) -> list[str]:
    """The pages with every public name; their names. The Chinese one leads to the English pages."""
    rooms: dict[str, list[Name]] = {}
    for name in public_names():
        rooms.setdefault(name.room, []).append(name)
    ordered = [room for room in TITLES if room in rooms]
    assert len(ordered) == len(rooms), rooms.keys() - TITLES.keys()
    count = sum(map(len, rooms.values()))
    words = language.words
    lines = [f"# {words['reference']}", "", words["reference_text"].format(count=count), ""]
    for room in ordered:
        title = TITLES[room][language is CHINESE]
        address = f"{room}.html" if language is ENGLISH else f"../../reference/{room}.html"
        entries = (f'<a href="{address}#{name.path}"><code>{name.name}</code></a>' for name in rooms[room])
        lines += [f"## {title}", "", ", ".join(entries), ""]
        if language is ENGLISH:
            _write(folder / "reference" / f"{room}.rst", _room(room, title, rooms[room]))
    _write(folder / "reference" / "index.md", "\n".join(lines))
    return ["reference/index", *(f"reference/{room}" for room in ordered if language is ENGLISH)]


def _room(room: str, title: str, names: Sequence[Name]) -> str:
    lines = [
        title,
        "=" * len(title),
        "",
        f".. automodule:: {'torch_ref' if room == 'torch_ref' else _module(room)}",
        "",
    ]
    for name in names:
        if name.kind == "data":
            lines += [
                f".. py:data:: {name.name}",
                f"   :module: {name.module}",
                "",
                "   A dict of all of them by name.",
                "",
            ]
        else:
            lines += [f".. auto{name.kind}:: {name.path}", *["   :members:"] * (name.kind == "class"), ""]
    return "\n".join(lines)


def _module(room: str) -> str:
    return f"numpy_nn.{room}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
